//! The rhythm in which one side's messages came, and the pauses in it.

use std::time::Duration;

use super::flow::keep_longest;
use crate::stream::PacketRef;

/// Rationale: ten messages have a rhythm if any have.
const FEWEST: u64 = 9;
/// Rationale: two messages may be left out by the sender's own timer; three are a pause.
const FACTOR: u64 = 3;

/// A time without messages that is out of the rhythm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The last message before it.
    pub from: PacketRef,
    /// The first one after it.
    pub to: PacketRef,
    /// Messages that came within a tenth of the pause after it, the first one included.
    pub caught_up: u64,
}

impl Pause {
    /// How long.
    pub fn len(&self) -> Duration {
        self.to.time.saturating_since(self.from.time)
    }
}

/// When one side's messages were there for the other.
#[derive(Clone, Debug, Default)]
pub struct Cadence {
    /// Times between two messages, pauses not among them.
    pub intervals: u64,
    /// Pauses.
    pub paused: u64,
    pauses: Vec<Pause>,
    /// The newest one, while messages are counted that catch up.
    open: Option<Pause>,
    /// Sum and sum of squares of the intervals, in microseconds.
    sum: u64,
    squares: u128,
    last: Option<PacketRef>,
}

impl Cadence {
    /// A message was complete, and there for its receiver, with this packet.
    #[inline]
    pub(super) fn on_message(&mut self, at: PacketRef) {
        let Some(from) = self.last.replace(at) else {
            return;
        };
        let len = at.time.saturating_since(from.time);
        let us = u64::try_from(len.as_micros()).unwrap_or(u64::MAX);
        if let Some(open) = &mut self.open {
            let since = at.time.saturating_since(open.to.time);
            if since <= open.len() / 10 {
                // What catches up is no part of the rhythm.
                open.caught_up += 1;
                return;
            }
            let closed = *open;
            self.open = None;
            keep_longest(&mut self.pauses, closed, Pause::len);
            // From what caught up to the next beat.
            return;
        }
        let scaled = us.saturating_mul(self.intervals);
        if self.intervals >= FEWEST && scaled > self.sum.saturating_mul(FACTOR) {
            self.paused += 1;
            self.open = Some(Pause {
                from,
                to: at,
                caught_up: 1,
            });
            return;
        }
        self.intervals += 1;
        self.sum = self.sum.saturating_add(us);
        self.squares = self.squares.saturating_add(u128::from(us) * u128::from(us));
    }

    /// The longest pauses, at most 5, in no order.
    pub fn pauses(&self) -> impl Iterator<Item = &Pause> {
        self.pauses.iter().chain(&self.open)
    }

    /// The mean interval; `None` before there is one.
    pub fn mean(&self) -> Option<Duration> {
        let mean = self.sum.checked_div(self.intervals)?;
        Some(Duration::from_micros(mean))
    }

    /// The coefficient of variation of the intervals.
    pub fn variation(&self) -> Option<f64> {
        if self.intervals == 0 || self.sum == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a ratio of sums; nobody needs its last digits"
        )]
        let (n, sum, squares) = (self.intervals as f64, self.sum as f64, self.squares as f64);
        let mean = sum / n;
        Some((squares / n - mean * mean).max(0.0).sqrt() / mean)
    }
}
