//! What the capture lacks, and how sure that leaves what the rest of it shows.

use super::Confidence;
use crate::session::Session;
use crate::stream::{Direction, GapCause};

/// Certain, unless frames of this side may have passed that nobody can show.
pub(super) fn unless_hidden(session: &Session, sender: Direction) -> Confidence {
    match session.may_hide_frames(sender) {
        true => Confidence::Likely,
        false => Confidence::Certain,
    }
}

/// Certain that the answer is that to this request, unless another request or
/// answer of the connection may lie in what wasn't captured.
pub(super) fn unless_unpaired(session: &Session) -> Confidence {
    let lost = [GapCause::NotCaptured, GapCause::LimitReached];
    match lost.into_iter().any(|cause| session.leg.has_loss(cause)) {
        true => Confidence::Likely,
        false => Confidence::Certain,
    }
}

/// This side's stream was captured up to its end: it sent nothing more. A
/// reset that answers what came after its sender's own FIN shows that more came.
pub(super) fn end_is_captured(session: &Session, sender: Direction) -> bool {
    let leg = &session.leg;
    leg.fin[sender].is_some() || leg.resets.iter().any(|r| r.in_window && !r.after_own_fin)
}
