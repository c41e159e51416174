//! Requests and heartbeats of the application, judged: answered, too young to
//! tell, or provably never answered.

use std::time::Duration;

use super::heartbeat::first_sign_of_the_end;
use super::{Closing, Thresholds};
use crate::session::{Asked, Beat, Session};
use crate::stream::{Direction, PacketRef};

/// One side's heartbeats, judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BeatVerdict {
    /// Provably never answered, though others were.
    pub unanswered: Vec<Beat>,
    /// How many, forgotten ones included.
    pub unanswered_count: u64,
    /// Too young to tell, or the answer may hide in what the capture lacks.
    pub outstanding: u64,
    /// How long one has to have waited to count as unanswered.
    pub deadline: Duration,
}

/// Judges the application's heartbeats of `sender`. Those that are never
/// answered at all are one-way: nothing is missing.
pub fn judge_beats(
    session: &Session,
    closing: &Closing,
    sender: Direction,
    thresholds: &Thresholds,
) -> BeatVerdict {
    let mut verdict = BeatVerdict::default();
    let Some(application) = session.application.as_deref() else {
        return verdict;
    };
    let ledger = &application.beats[sender];
    if ledger.answered == 0 {
        return verdict;
    }
    let median = ledger.rtt.median().unwrap_or_default();
    verdict.deadline = thresholds
        .pong_floor
        .max(median.saturating_mul(thresholds.pong_rtts));
    verdict.unanswered_count = ledger.forgotten;
    let end = first_sign_of_the_end(session, closing);
    for beat in &ledger.waiting {
        let waited = end.time.saturating_since(beat.at.time);
        if waited >= verdict.deadline && !may_hide_answer(session, sender.reverse(), beat.at) {
            verdict.unanswered_count += 1;
            verdict.unanswered.push(*beat);
        } else {
            verdict.outstanding += 1;
        }
    }
    verdict
}

/// One side's requests, judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestVerdict {
    /// Provably never answered, the oldest first.
    pub unanswered: Vec<Asked>,
    /// Too young to tell, or the reply may hide in what the capture lacks or in
    /// what isn't looked at.
    pub outstanding: u64,
    /// How long one has to have waited to count as unanswered, whatever was answered meanwhile.
    pub deadline: Duration,
    /// Up to here: the first sign of the session's end, or that of the capture.
    pub end: PacketRef,
}

/// Judges the requests of `asker` that have no reply. "Never answered" asks
/// whether the capture could have shown the reply.
pub fn judge_requests(
    session: &Session,
    closing: &Closing,
    asker: Direction,
    thresholds: &Thresholds,
) -> RequestVerdict {
    let end = first_sign_of_the_end(session, closing);
    let mut verdict = RequestVerdict {
        end,
        ..RequestVerdict::default()
    };
    let Some(application) = session.application.as_deref() else {
        return verdict;
    };
    let latency = &application.latency;
    let slow = latency.times.percentile(99).unwrap_or_default();
    verdict.deadline = thresholds
        .reply_floor
        .max(slow.saturating_mul(thresholds.reply_times));
    let longest = latency.times.max().unwrap_or_default();
    let median = latency.times.median().unwrap_or_default();
    let overtaken = thresholds
        .reply_overtaken
        .max(longest)
        .max(median.saturating_mul(thresholds.reply_medians));
    let settled = session.ended == Some(crate::session::Ended::Settled);
    for request in latency.waiting(asker) {
        let waited = end.time.saturating_since(request.last.time);
        let hidden = may_hide_answer(session, asker.reverse(), request.at);
        // Later ones were answered, and the session ended in the meantime.
        let passed_over = settled
            && latency.last_answered[asker].is_some_and(|at| at > request.last)
            && waited >= overtaken;
        if (waited >= verdict.deadline || passed_over) && !hidden {
            verdict.unanswered.push(*request);
        } else {
            verdict.outstanding += 1;
        }
    }
    verdict
}

/// What `replier` said after `from` may be in bytes that the capture lacks, or
/// beyond what is looked at.
pub(super) fn may_hide_answer(session: &Session, replier: Direction, from: PacketRef) -> bool {
    let unread = session
        .application
        .as_ref()
        .and_then(|known| known.last_unread[replier]);
    let blind = session.blind[replier].max(unread);
    blind.is_some_and(|at| at >= from)
        || session.is_lost(replier)
        || session.leg.last_packet[replier].is_none()
}
