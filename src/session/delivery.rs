//! When messages were acknowledged, and which of them waited for what was lost.

use std::collections::VecDeque;
use std::time::Duration;

use super::flow::keep_longest;
use crate::stream::PacketRef;

/// Rationale: a sender has a window on its way; of more messages than that only the count suffers.
const WAITING: usize = 256;

/// A message that the other side could have only after a loss was made good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldUp {
    /// The packet with the message's last byte.
    pub message: PacketRef,
    /// The packet that was sent again.
    pub again: PacketRef,
    /// The acknowledgment that covers both.
    pub acked: PacketRef,
}

impl HeldUp {
    /// How much later than its last byte the lost packet went out again.
    pub fn wait(&self) -> Duration {
        self.again.time.saturating_since(self.message.time)
    }
}

/// The messages of one sender on their way.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// Messages and control frames that waited for a retransmission.
    pub held_up: u64,
    /// All their waits together.
    pub waited: Duration,
    /// The longest of them, longest first: at most 4.
    pub worst: Vec<HeldUp>,
    /// Ends in the stream, and the packets of the last bytes.
    waiting: VecDeque<(u64, PacketRef)>,
    acked: u64,
}

impl Delivery {
    /// A message ends at this place of the stream; `last` brought its last byte.
    #[inline]
    pub(super) fn on_message(&mut self, end: u64, last: PacketRef) {
        if end <= self.acked {
            return;
        }
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() {
            // Back to the first place, which is in the cache.
            self.waiting.clear();
        }
        self.waiting.push_back((end, last));
    }

    /// All before `upto` is acknowledged; `lost` is the newest packet that made good a loss.
    #[inline]
    pub(super) fn on_acked(&mut self, upto: u64, at: PacketRef, lost: Option<PacketRef>) {
        self.acked = self.acked.max(upto);
        while let Some((_, message)) = self
            .waiting
            .front()
            .copied()
            .filter(|(end, _)| *end <= upto)
        {
            self.waiting.pop_front();
            let Some(again) = lost.filter(|again| *again > message && *again < at) else {
                continue;
            };
            let held_up = HeldUp {
                message,
                again,
                acked: at,
            };
            self.held_up += 1;
            self.waited = self.waited.saturating_add(held_up.wait());
            keep_longest(&mut self.worst, held_up, HeldUp::wait);
        }
    }
}
