//! Heartbeats of the application: the ledger of one side's, whatever protocol they are of.

use std::collections::VecDeque;
use std::time::Duration;

use super::Distribution;
use super::keepalive::{Exchange, Interval, keep_worst};
use crate::stream::PacketRef;
use crate::websocket::subprotocol::{Heard, Id};

/// Rationale: as many as with Pings; older ones are counted, not kept.
const WAITING: usize = 256;
/// How much longer than any round trip before a pairing may be, where another one fits.
const PLAUSIBLE: u32 = 4;

/// A heartbeat without its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The packet with its first byte.
    pub at: PacketRef,
    /// What its answer repeats, if anything.
    pub id: Option<Id>,
    /// Stream offset just after it.
    pub end: u64,
    /// The acknowledgment of its bytes by the peer's TCP.
    pub acked: Option<PacketRef>,
    /// That it is a message is certain.
    pub certain: bool,
}

/// The heartbeats that one side sent, and what came back.
#[derive(Clone, Debug, Default)]
pub struct BeatLedger {
    /// Heartbeats sent.
    pub sent: u64,
    /// Those that have an answer.
    pub answered: u64,
    /// Round trips of the answered.
    pub rtt: Distribution,
    /// The slowest, worst first: at most 3.
    pub slowest: Vec<Exchange>,
    /// Times between two of them.
    pub intervals: Distribution,
    /// The longest, longest first: at most 3.
    pub longest: Vec<Interval>,
    /// Those without an answer, oldest first.
    pub waiting: VecDeque<Beat>,
    /// Those no longer kept although unanswered.
    pub forgotten: u64,
    /// The first and the newest.
    pub first: Option<PacketRef>,
    /// The newest.
    pub last: Option<PacketRef>,
    /// Answers for which no heartbeat waited.
    pub unsolicited: u64,
}

impl BeatLedger {
    /// This side sent one; `answerable` tells whether anything answers it.
    pub(super) fn on_beat(&mut self, id: Option<Id>, answerable: bool, heard: &Heard) {
        let at = heard.first;
        self.sent += 1;
        self.first.get_or_insert(at);
        if let Some(from) = self.last.replace(at) {
            let len = at.time.saturating_since(from.time);
            self.intervals.record(len);
            let interval = Interval {
                from,
                to: at,
                len,
                busy: false,
            };
            keep_worst(&mut self.longest, interval, |interval| interval.len);
        }
        if !answerable {
            return;
        }
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
            self.forgotten += 1;
        }
        self.waiting.push_back(Beat {
            at,
            id,
            end: heard.end,
            acked: None,
            certain: heard.certain,
        });
    }

    /// The other side answered one.
    pub(super) fn on_answer(&mut self, id: Option<Id>, heard: &Heard) {
        let pong = heard.begun;
        let Some(beat) = self
            .place_of(id, pong)
            .and_then(|place| self.waiting.remove(place))
        else {
            self.unsolicited += 1;
            return;
        };
        let exchange = Exchange {
            ping: beat.at,
            pong,
            rtt: pong.time.saturating_since(beat.at.time),
            acked: beat.acked.filter(|acked| *acked < pong),
            bytes_between: 0,
        };
        self.answered += 1;
        self.rtt.record(exchange.rtt);
        keep_worst(&mut self.slowest, exchange, |exchange| exchange.rtt);
    }

    /// Which of the waiting ones an answer is for: the one that it repeats; where
    /// it repeats nothing the oldest, unless that would have taken out of all
    /// proportion while the newest fits: then the answers to those before are missing.
    fn place_of(&self, id: Option<Id>, pong: PacketRef) -> Option<usize> {
        if let Some(id) = id
            && self.waiting.iter().any(|beat| beat.id.is_some())
        {
            return self.waiting.iter().position(|beat| beat.id == Some(id));
        }
        let newest = self.waiting.len().checked_sub(1)?;
        let took = |beat: &Beat| pong.time.saturating_since(beat.at.time);
        let longest = self.rtt.max().unwrap_or(Duration::MAX);
        let out_of_proportion = longest.saturating_mul(PLAUSIBLE);
        let fits = |beat: &Beat| took(beat) <= longest.saturating_mul(2);
        let oldest_is_late = self
            .waiting
            .front()
            .is_some_and(|beat| took(beat) > out_of_proportion);
        let newest_fits = self.waiting.back().is_some_and(fits);
        Some(if oldest_is_late && newest_fits {
            newest
        } else {
            0
        })
    }

    /// The other side's TCP has everything before this offset.
    pub(super) fn on_acked(&mut self, upto: u64, at: PacketRef) {
        let new = self
            .waiting
            .iter_mut()
            .rev()
            .take_while(|beat| beat.acked.is_none());
        for beat in new.filter(|beat| beat.end <= upto) {
            beat.acked = Some(at);
        }
    }
}
