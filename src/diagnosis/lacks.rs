//! What the capture lacks, and how sure that leaves what the rest of it shows.

use super::{Confidence, Finding, Subject};
use crate::session::{FrameConfidence, Session};
use crate::stream::{Direction, GapCause};

/// Rationale: a session keeps that many; there may be more.
const GAPS_KEPT: usize = 16;

/// Certain, unless frames of this side may have passed that nobody can show.
/// Of a frame whose payload was cut the header tells enough.
pub(super) fn unless_hidden(session: &Session, sender: Direction) -> Confidence {
    let gaps = &session.frame_gaps;
    let only_cut = session.lost_sync[sender].is_none()
        && session.resyncs[sender].unread == 0
        && !session.is_inferred()
        && session.leg.last_packet[sender].is_some()
        && gaps.len() < GAPS_KEPT
        && gaps
            .iter()
            .all(|gap| gap.direction != sender || gap.in_step);
    match session.may_hide_frames(sender) && !only_cut {
        true => Confidence::Likely,
        false => Confidence::Certain,
    }
}

/// Behind what is said of a session that nobody could read.
const INFERRED: &str = " (inferred from the sizes of TLS records)";
/// What is known of a connection's TCP and TLS is so whatever it carries.
const OF_TRANSPORT: [&str; 3] = ["net-", "tls-", "cap-"];

/// No finding is surer than that its session is a WebSocket at all.
pub(super) fn discount(findings: &mut [Finding], sessions: &[Session]) {
    let guessed = |id: u32| {
        let place = sessions.binary_search_by_key(&id, |session| session.id);
        let session = place.ok().and_then(|place| sessions.get(place));
        session.is_some_and(|session| {
            session.handshake.mid_stream.is_some()
                && session.found_with() == FrameConfidence::Likely
        })
    };
    let inferred = |id: u32| {
        let place = sessions.binary_search_by_key(&id, |session| session.id);
        let session = place.ok().and_then(|place| sessions.get(place));
        session.is_some_and(Session::is_inferred)
    };
    for finding in findings {
        let id = finding.rule.id;
        let of_transport = OF_TRANSPORT.iter().any(|group| id.starts_with(group));
        if matches!(finding.subject, Subject::Session(id) if inferred(id)) && !of_transport {
            finding.confidence = finding.confidence.min(Confidence::Possible);
            finding.summary.push_str(INFERRED);
        }
        if matches!(finding.subject, Subject::Session(id) if guessed(id)) {
            finding.confidence = finding.confidence.min(Confidence::Likely);
        }
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
