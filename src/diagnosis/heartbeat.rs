//! Pings, judged: answered, too young to tell, or provably never answered;
//! and whether the side that sent them ended the session for that.

use std::time::Duration;

use super::{Closing, Provenance, Thresholds, reset_provenance};
use crate::session::{Ended, Ping, Session};
use crate::stream::{Direction, PacketRef};
use crate::time::Timestamp;

/// One side's Pings, judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PingVerdict {
    /// Provably never answered: the session lived long enough for it.
    pub unanswered: Vec<Ping>,
    /// How many are unanswered, forgotten ones included.
    pub unanswered_count: u64,
    /// Too young to tell when the session or the capture ended, or their Pong
    /// may hide in what the capture lacks.
    pub outstanding: u64,
    /// Passed over for a newer one.
    pub superseded: u64,
    /// How long a Ping has to have waited to count as unanswered.
    pub deadline: Duration,
    /// The pinger ended the session for want of a Pong.
    pub gave_up: Option<GaveUp>,
    /// Pongs may hide in bytes that the capture lacks.
    pub blind: bool,
}

/// How a pinger ended a session whose Ping was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// A Close frame whose reason names the missing Pong.
    Said(PacketRef),
    /// A Close frame with a code that fits, without a reason.
    Closed(PacketRef),
    /// It ended the transport, and nobody had sent a Close frame.
    Hard(PacketRef),
}

impl GaveUp {
    /// The packet.
    pub const fn at(self) -> PacketRef {
        match self {
            Self::Said(at) | Self::Closed(at) | Self::Hard(at) => at,
        }
    }
}

/// Rationale: libraries that end the transport without a Close frame do so
/// after one or two missing Pongs; a side that was content with more has another reason.
const HARD_AFTER: u64 = 3;

/// Judges the Pings that `pinger` sent. "Never answered" asks whether the
/// capture could have shown the Pong: not if bytes of the other side are missing.
pub fn judge_pings(
    session: &Session,
    closing: &Closing,
    pinger: Direction,
    thresholds: &Thresholds,
) -> PingVerdict {
    let ledger = &session.pings[pinger];
    let median = ledger.rtt.median().unwrap_or_default();
    let deadline = thresholds
        .pong_floor
        .max(median.saturating_mul(thresholds.pong_rtts));
    let end = first_sign_of_the_end(session, closing).time;
    let said = said_so(session, pinger).filter(|_| closing.first_close == Some(pinger));
    let mut verdict = PingVerdict {
        superseded: ledger.superseded + ledger.covered(),
        unanswered_count: ledger.forgotten,
        deadline,
        ..PingVerdict::default()
    };
    for (index, ping) in ledger.waiting().enumerate() {
        let waited = end.saturating_since(ping.at.time);
        let blind = may_hide_since(session, pinger.reverse(), ping.at);
        verdict.blind |= blind;
        // Who says that a Pong is missing has a deadline of its own; it ran for the oldest Ping.
        let overdue = waited >= deadline || (said.is_some() && index == 0);
        if overdue && !blind {
            verdict.unanswered_count += 1;
            verdict.unanswered.push(ping.clone());
        } else {
            verdict.outstanding += 1;
        }
    }
    verdict.gave_up = said.or_else(|| gave_up_silently(session, closing, pinger, &verdict));
    verdict
}

/// The first sign that the session comes to its end: a Close frame of either
/// side, the end of the transport, or that of the capture.
pub(super) fn first_sign_of_the_end(session: &Session, closing: &Closing) -> PacketRef {
    let closes = Direction::BOTH
        .into_iter()
        .filter_map(|direction| session.close[direction].as_ref())
        .map(|close| close.control.frame.at);
    let open_until = match session.ended {
        // It was let go of: what came later nobody looked at.
        Some(Ended::LimitReached) => session.leg.last_packet_any(),
        _ => session.horizon,
    };
    closes
        .chain(closing.terminator.map(|end| end.at))
        .min()
        .unwrap_or(open_until)
}

/// Frames of this sender after `from` may have passed that nobody can show.
pub(super) fn may_hide_since(session: &Session, sender: Direction, from: PacketRef) -> bool {
    let gaps = &session.frame_gaps;
    session.may_hide_frames(sender)
        && (session.lost_sync[sender].is_some()
            || session.passed_over_since(sender, from)
            || session.resyncs[sender].unread > 0
            || session.leg.last_packet[sender].is_none()
            // The list is full: there may be more of them.
            || gaps.len() >= 16
            || gaps.iter().any(|gap| gap.direction == sender && gap.at >= from))
}

/// The pinger's Close frame names the missing Pong.
pub(super) fn said_so(session: &Session, pinger: Direction) -> Option<GaveUp> {
    let close = session.close[pinger].as_ref()?;
    let reason = close.reason.to_ascii_lowercase();
    let names_it = ["ping", "pong", "heartbeat", "keepalive", "keep-alive"]
        .iter()
        .any(|word| reason.contains(word));
    // 3012 is Centrifugo's "no pong".
    let fits = matches!(close.code, Some(1011 | 1008) if names_it) || close.code == Some(3012);
    fits.then_some(GaveUp::Said(close.control.frame.at))
}

/// The pinger ended the session while a Ping was overdue, and said nothing of it.
fn gave_up_silently(
    session: &Session,
    closing: &Closing,
    pinger: Direction,
    verdict: &PingVerdict,
) -> Option<GaveUp> {
    if verdict.unanswered.is_empty() {
        return None;
    }
    if let Some(close) = &session.close[pinger] {
        let fits = matches!(close.code, Some(1011 | 1008)) && close.reason.is_empty();
        let first = closing.first_close == Some(pinger);
        return (fits && first).then_some(GaveUp::Closed(close.control.frame.at));
    }
    let end = closing.terminator?;
    let own = end.direction == pinger && session.close[pinger.reverse()].is_none();
    let forged = end
        .reset
        .is_some_and(|reset| reset_provenance(session, &reset).verdict == Provenance::Middlebox);
    let soon = verdict.unanswered_count <= HARD_AFTER;
    (own && !forged && soon).then_some(GaveUp::Hard(end.at))
}

/// The time from a Ping to the first sign of the session's end.
pub(super) fn waited(session: &Session, closing: &Closing, ping: &Ping) -> Duration {
    let end: Timestamp = first_sign_of_the_end(session, closing).time;
    end.saturating_since(ping.at.time)
}
