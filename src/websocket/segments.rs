//! Where the segments of a direction begin, as far as a search has come.

use std::collections::VecDeque;

use super::candidate::Site;
use crate::stream::{Chunk, PacketRef};

/// A segment below this size wasn't full.
///
/// Rationale: the smallest default maximum segment size (RFC 9293, section 3.7.1).
const SMALL_SEGMENT: u64 = 536;

/// The segments of one direction.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// Starts that the search has not reached.
    ahead: VecDeque<u64>,
    /// The latest that it has reached, unless bytes are missing since then.
    latest: Option<u64>,
    reached: u64,
    /// The packet of the latest chunk.
    seen: Option<PacketRef>,
}

impl Segments {
    /// More bytes came, perhaps of the same segment.
    pub(super) fn on_chunk(&mut self, chunk: &Chunk<'_>) {
        if self.seen != Some(chunk.seen) {
            self.ahead.push_back(chunk.offset);
        }
        self.seen = Some(chunk.seen);
    }

    /// Bytes are missing.
    pub(super) fn on_gap(&mut self) {
        (self.seen, self.latest) = (None, None);
        self.ahead.clear();
    }

    /// The next start.
    pub(super) fn next(&self) -> Option<u64> {
        self.ahead.front().copied()
    }

    /// The latest start.
    pub(super) const fn latest(&self) -> Option<u64> {
        self.latest
    }

    /// The search stands at `offset`.
    pub(super) fn reach(&mut self, offset: u64) -> Site {
        let aligned = self.next() == Some(offset);
        let before = self.latest.filter(|_| aligned);
        let short_before = before.filter(|&start| offset.saturating_sub(start) < SMALL_SEGMENT);
        if aligned {
            self.ahead.pop_front();
            self.latest = Some(offset);
            self.reached = self.reached.saturating_add(1);
        }
        Site {
            offset,
            aligned,
            short_before,
            segments: self.reached,
        }
    }
}
