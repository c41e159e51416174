//! What a search holds while it lasts, and hands over at its end.

use super::Event;
use super::candidate::{Candidate, Rhythm};
use super::held::{Held, Piece};
use super::search::Search;

/// Bytes held of one direction.
///
/// Rationale: five frames of a few hundred bytes prove themselves; what is
/// larger is given up, and named, for the sake of memory. The latest chunk
/// stays, whatever its size.
const MAX_HELD: usize = 64 << 10;

/// Where frames begin.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) start: u64,
    /// Frames from here on are certain; those before it only likely.
    pub(super) certain_from: u64,
    /// Bytes that were passed over.
    pub(super) skipped: u64,
    /// They are certain, and masked with a key for each.
    pub(super) scrambled: bool,
    /// What came from `start` on.
    pub(super) held: Held,
    pub(super) rhythm: Rhythm,
}

impl Search {
    /// Hands over the gaps that nothing is to be told of any more.
    pub(super) fn give_up(&mut self, out: &mut impl FnMut(Event)) {
        while let Some(piece) = self.held.pop() {
            tell(&piece, out);
        }
    }

    /// Everything from `start` on is held.
    pub(super) fn holds(&self, start: u64) -> bool {
        let first = self.held.pieces.iter().find_map(|piece| match piece {
            Piece::Bytes(bytes) => Some(bytes.offset),
            Piece::Gap(_) | Piece::End(..) => None,
        });
        first.is_some_and(|first| first <= start)
    }

    /// Drops what isn't needed any more, or hands over what was found.
    pub(super) fn conclude(
        &mut self,
        found: Option<(u64, u64)>,
        out: &mut impl FnMut(Event),
    ) -> Option<Found> {
        let keep = match found {
            Some((start, _)) => start,
            None if self.is_skimming() => self.at,
            None => self.needed(),
        };
        while let Some(piece) = self.held.first() {
            let old = match piece {
                Piece::Bytes(bytes) => bytes.end() <= keep,
                Piece::Gap(gap) => gap.offset <= keep,
                Piece::End(..) => true,
            };
            // The header that begins in the tail may prove the chain.
            let awaited = matches!(piece, Piece::Bytes(bytes) if bytes.end() > self.at);
            let too_much = found.is_none() && !awaited && self.held.size() > MAX_HELD;
            if !old && !too_much {
                break;
            }
            if let Some(piece) = self.held.pop() {
                tell(&piece, out);
            }
        }
        let (start, certain_from) = found?;
        let held = std::mem::take(&mut self.held);
        let kept = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.chunk(start).map_or(0, |chunk| chunk.bytes.len()),
            Piece::Gap(_) | Piece::End(..) => 0,
        };
        let kept: usize = held.pieces.iter().map(kept).sum();
        Some(Found {
            start,
            certain_from,
            skipped: self.looked.saturating_sub(kept as u64),
            scrambled: self.scrambled,
            held,
            rhythm: self.rhythm,
        })
    }

    /// Where the earliest chain begins that would be handed over from its start
    /// on, or the part of it that is likely.
    fn needed(&self) -> u64 {
        let needed = |candidate: &Candidate| match candidate.is_likely_from_its_start()
            || self.is_from_origin(candidate)
        {
            true => Some(candidate.start),
            false => candidate.likely_from(),
        };
        let starts = self.all().filter_map(needed);
        starts.fold(self.at, u64::min)
    }

    /// Where the held part of a chain begins that is likely by now.
    pub(super) fn likely(&self, candidate: &Candidate) -> Option<u64> {
        let begins = candidate.is_likely_from_its_start() || self.is_from_switch(candidate);
        let whole = (begins && candidate.is_likely()).then_some(candidate.start);
        let starts = [whole, candidate.likely_from()].into_iter().flatten();
        starts.into_iter().find(|&start| self.holds(start))
    }
}

/// Reports a gap that isn't held any longer.
fn tell(piece: &Piece, out: &mut impl FnMut(Event)) {
    if let Piece::Gap(gap) = piece {
        out(Event::Gap {
            direction: gap.direction,
            cause: gap.cause,
            at: gap.at,
            in_step: false,
        });
    }
}
