//! Acknowledgments of bytes that were not seen yet: lost by the capture, or stamped by another clock.

use std::collections::VecDeque;

use crate::stream::PacketRef;

/// Rationale: a few round trips of a connection; what was pushed out showed nothing.
const KEPT: usize = 16;

/// The acknowledgments of one direction that came before what they acknowledge.
#[derive(Debug, Default)]
pub(super) struct EarlyAcks {
    acks: VecDeque<(u64, PacketRef)>,
}

impl EarlyAcks {
    /// Everything before `upto` is acknowledged, and the last of it not seen.
    pub(super) fn acked(&mut self, upto: u64, at: PacketRef) {
        if self.acks.len() == KEPT {
            self.acks.pop_front();
        }
        self.acks.push_back((upto, at));
    }

    /// The usual case: nothing was acknowledged before it was seen.
    pub(super) fn is_empty(&self) -> bool {
        self.acks.is_empty()
    }

    /// Payload from `start` to `end` was seen: the last acknowledgment that came before it,
    /// reaches into it and no further. One that reaches to its start only is of bytes that
    /// the capture lost. Each is told once.
    pub(super) fn seen(&mut self, start: i64, end: u64) -> Option<PacketRef> {
        let mut last = None;
        while let Some((upto, at)) = self.acks.front().copied().filter(|(upto, _)| *upto <= end) {
            self.acks.pop_front();
            if i64::try_from(upto).is_ok_and(|upto| upto > start) {
                last = Some(at);
            }
        }
        last
    }
}
