//! A search that has looked at every byte of a stretch in vain goes on with
//! those places alone where large messages would show.
//!
//! A stream may consist of nothing but messages that are larger than the
//! stretch. Their headers are few, and their senders write each message in one
//! go, so that most of them begin with a segment. So it looks at segment
//! starts, for headers that announce much, and where the chains that hang on
//! them are due; all bytes between go by unseen and are not kept.

use super::candidate::{Candidate, Site};
use super::evidence::may_begin;
use super::search::Search;
use crate::stream::Chunk;

/// Payload bytes that a frame announces at least with which a chain may begin.
///
/// Rationale: shorter ones are told by a length of seven bits (RFC 6455, section 5.2);
/// a stream of those would have proven itself in the stretch before.
const LARGE: u64 = 126;

impl Search {
    /// It looks at few places only.
    pub(super) const fn is_skimming(&self) -> bool {
        self.looked > self.closely
    }

    /// From here on every byte is looked at again: frames are known to pass.
    pub(super) const fn look_closely(&mut self) {
        self.closely = u64::MAX;
    }

    /// Lets a chunk go by in which nothing has to be looked at.
    pub(super) fn skim_over(&mut self, chunk: &Chunk<'_>) -> bool {
        let due = self.candidates.keys().next();
        let aligned = self.segments.next() == Some(chunk.offset);
        let awaited = !self.tail.is_empty() || due.is_some_and(|&due| due < self.end);
        if awaited || aligned && self.may_begin_large(chunk.bytes) {
            return false;
        }
        if aligned {
            self.segments.reach(chunk.offset);
        }
        self.at = self.end;
        true
    }

    fn may_begin_large(&self, bytes: &[u8]) -> bool {
        match *bytes {
            [first, second, ..] => {
                may_begin(first, second, self.expected) && u64::from(second & 0x7f) >= LARGE
            }
            _ => true,
        }
    }

    /// A chain may begin here.
    pub(super) fn takes_up(&self, candidate: &Candidate, site: Site) -> bool {
        !self.is_skimming() || site.aligned && candidate.latest().0.payload_len >= LARGE
    }

    /// A chain is followed further. One of small frames would cost as much as
    /// looking at every byte, and has had its chance.
    pub(super) fn goes_on(&self, candidate: &Candidate) -> bool {
        !self.is_skimming() || candidate.mean() >= LARGE
    }
}
