//! Pings, judged: answered, too young to tell, or provably never answered.

use std::time::Duration;

use super::{Closing, Thresholds};
use crate::session::{Ping, Session};
use crate::stream::Direction;

/// One side's Pings, judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PingVerdict {
    /// Provably never answered: the session lived long enough for it.
    pub unanswered: Vec<Ping>,
    /// How many are unanswered, forgotten ones included.
    pub unanswered_count: u64,
    /// Too young to tell when the session or the capture ended.
    pub outstanding: u64,
    /// Passed over for a newer one.
    pub superseded: u64,
    /// How long a Ping has to have waited to count as unanswered.
    pub deadline: Duration,
}

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
    let end = end_of(session, closing, pinger);
    let blind = session.may_hide_frames(pinger.reverse());
    let mut verdict = PingVerdict {
        superseded: ledger.superseded + ledger.covered(),
        unanswered_count: ledger.forgotten,
        deadline,
        ..PingVerdict::default()
    };
    let gave_up = gave_up(session, pinger);
    for ping in ledger.waiting() {
        let waited = end.saturating_since(ping.at.time);
        // The pinger's own deadline: it closed for want of a Pong.
        if !blind && (waited >= deadline || gave_up) {
            verdict.unanswered_count += 1;
            verdict.unanswered.push(ping.clone());
        } else {
            verdict.outstanding += 1;
        }
    }
    verdict
}

/// When waiting for Pongs came to an end: the first sign of the session's end.
fn end_of(session: &Session, closing: &Closing, pinger: Direction) -> crate::time::Timestamp {
    let close = session.close[pinger]
        .as_ref()
        .map(|close| close.control.frame.at.time);
    let end = closing.terminator.map(|end| end.at.time);
    [close, end]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(session.horizon.time)
}

/// The pinger closed and said that a Pong was missing.
pub(super) fn gave_up(session: &Session, pinger: Direction) -> bool {
    session.close[pinger].as_ref().is_some_and(|close| {
        let reason = close.reason.to_ascii_lowercase();
        matches!(close.code, Some(1011 | 1008 | 3012))
            && ["ping", "pong", "heartbeat", "keepalive", "keep-alive"]
                .iter()
                .any(|w| reason.contains(w))
    })
}
