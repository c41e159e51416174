//! Payload on its way to the acknowledgment: round trips, and what was delivered.

use std::collections::VecDeque;

use crate::stream::PacketRef;

/// Rationale: a sender has at most a window in flight; beyond this many
/// segments only the precision of samples suffers.
const MOST_IN_FLIGHT: usize = 256;

/// A payload segment that is not acknowledged yet.
#[derive(Clone, Copy, Debug)]
struct Flight {
    end: u64,
    at: PacketRef,
    /// Sent twice: its acknowledgment may belong to either (Karn's algorithm; RFC 6298, section 3).
    ambiguous: bool,
}

/// The payload of one direction that waits for its acknowledgment, oldest first.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    segments: VecDeque<Flight>,
}

/// What an acknowledgment settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) covers: Option<PacketRef>,
    pub(super) round_trip: Option<u64>,
}

impl InFlight {
    /// New payload up to `end` was sent.
    pub(super) fn sent(&mut self, end: u64, at: PacketRef) {
        if self.segments.len() == MOST_IN_FLIGHT {
            self.segments.pop_front();
        }
        // Rationale: most connections have one in flight.
        if self.segments.is_empty() {
            self.segments.reserve_exact(1);
            // Back to the first place, which is in the cache.
            self.segments.clear();
        }
        self.segments.push_back(Flight {
            end,
            at,
            ambiguous: false,
        });
    }

    /// Payload from `offset` on was sent again.
    pub(super) fn sent_again(&mut self, offset: u64) {
        for flight in self
            .segments
            .iter_mut()
            .rev()
            .take_while(|f| f.end > offset)
        {
            flight.ambiguous = true;
        }
    }

    /// Payload up to `end` came only now, behind later payload.
    pub(super) fn overtaken(&mut self, end: u64, at: PacketRef) {
        if let Some(flight) = self.segments.iter_mut().find(|f| f.end >= end) {
            flight.at = flight.at.max(at);
            flight.ambiguous = true;
        }
    }

    /// Everything before `upto` is acknowledged at `at`.
    pub(super) fn acked(&mut self, upto: u64, at: PacketRef) -> Settled {
        let mut newest = None;
        let mut ambiguous = false;
        while let Some(flight) = self.segments.front().copied().filter(|f| f.end <= upto) {
            ambiguous |= flight.ambiguous;
            newest = Some(flight);
            self.segments.pop_front();
        }
        let Some(newest) = newest else {
            return Settled::default();
        };
        let sample = at.time.since(newest.at.time).filter(|_| !ambiguous);
        Settled {
            covers: Some(newest.at),
            round_trip: sample.and_then(|d| u64::try_from(d.as_nanos()).ok()),
        }
    }
}
