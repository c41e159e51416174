//! Segments that the snap length cut: each shows the headers of its first frames.

use super::candidate::{Candidate, Rhythm};
use super::search::Search;
use crate::stream::{Gap, GapCause};

impl Search {
    /// The rest of a segment was cut off: how does it fit the ones before it?
    pub(super) fn listen(&mut self, gap: &Gap) -> Option<(u64, u64)> {
        let (GapCause::SnapLength, Some(len), Some(segment)) =
            (gap.cause, gap.len, self.segments.latest())
        else {
            return None;
        };
        let end = gap.offset.saturating_add(len);
        let torn = |candidate: &&Candidate| {
            let lost = candidate.next() < end && self.holds(candidate.start);
            self.is_from_switch(candidate) && candidate.is_likely() && lost
        };
        if let Some(candidate) = self.all().find(torn) {
            return Some((candidate.start, u64::MAX));
        }
        let first = self.all();
        let first = first.copied().find(|candidate| candidate.start == segment);
        let Some(candidate) = first else {
            let earlier = |other: &Candidate| other.start < segment && other.fits_segments;
            if !self.all().any(earlier) {
                self.rhythm = Rhythm::default();
            }
            return None;
        };
        let cut_off = candidate.next() < end;
        let likely = cut_off && candidate.is_in_rhythm(self.rhythm) && self.holds(segment);
        candidate.add_to(&mut self.rhythm);
        likely.then_some((segment, u64::MAX))
    }
}
