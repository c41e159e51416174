//! One direction while it searches for frames, and once it has found them.

use super::candidate::Rhythm;
use super::evidence::Expected;
use super::found::Found;
use super::half::{Half, State};
use super::held::Piece;
use super::search::{Last, Search};
use super::{Confidence, Event};
use crate::stream::{Chunk, Direction, Gap};

/// What frames of this direction were seen to be like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habits {
    /// A masking key was zero.
    pub(super) zero_key: bool,
    /// A binary message came that wasn't compressed.
    pub(super) binary: bool,
    /// A frame came.
    pub(super) begun: bool,
    /// What segments told that the snap length cut.
    pub(super) rhythm: Rhythm,
}

impl Half {
    /// From here on frames are searched for. `torn`: bytes of a header whose
    /// rest is missing, which are in no frame.
    pub(super) fn search(&mut self, torn: u64) {
        let expected = Expected {
            masked: self.direction == Direction::ClientToServer,
            rsv1: self.deflate,
            keys_vary: !self.habits.zero_key,
            binary: self.habits.binary,
            known: !self.doubted,
        };
        self.state = State::Searching(Box::new(Search::new(expected, self.habits.rhythm, torn)));
    }

    pub(super) fn search_chunk(&mut self, chunk: &Chunk<'_>, out: &mut impl FnMut(Event)) {
        let State::Searching(search) = &mut self.state else {
            return;
        };
        match search.on_chunk(chunk, out) {
            Some(found) => self.resume(&found, out),
            None if search.is_exhausted() => self.give_up(out),
            None => {}
        }
    }

    pub(super) fn search_gap(&mut self, gap: &Gap, out: &mut impl FnMut(Event)) {
        if let State::Searching(search) = &mut self.state
            && let Some(found) = search.on_gap(gap, out)
        {
            self.resume(&found, out);
        }
    }

    /// Frames begin at `offset`, or one began before and goes on there.
    pub(super) fn search_from(&mut self, offset: u64) {
        if let State::Searching(search) = &mut self.state {
            search.beginning = Some(offset);
        }
    }

    /// A search that others have begun goes on here.
    pub(super) fn take_over(&mut self, mut search: Box<Search>) {
        search.look_closely();
        search.expected.known = !self.doubted;
        self.state = State::Searching(search);
    }

    /// Nothing more comes.
    pub(super) fn search_end(&mut self, last: Last, out: &mut impl FnMut(Event)) {
        // What was found may end in a gap, and so in a search.
        while let State::Searching(search) = &mut self.state {
            match search.on_end(last, out) {
                Some(found) => self.resume(&found, out),
                None => self.give_up(out),
            }
        }
    }

    /// Reads on from where frames were found.
    pub(super) fn resume(&mut self, found: &Found, out: &mut impl FnMut(Event)) {
        self.state = State::Boundary(None);
        self.certain_from = found.certain_from;
        self.listener.on_lost();
        (self.adrift, self.found) = (true, true);
        self.scrambled |= found.scrambled;
        self.habits.rhythm = found.rhythm;
        let first = found.held.pieces.iter().find_map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.chunk(found.start),
            Piece::Gap(_) | Piece::End(..) => None,
        });
        if let Some(first) = first {
            out(Event::Resynced {
                direction: self.direction,
                at: first.seen,
                offset: found.start,
                skipped: found.skipped,
                confidence: self.confidence_at(found.start),
            });
        }
        // What is only likely accuses nobody.
        let certain_from = found.certain_from;
        let mut out: &mut dyn FnMut(Event) = &mut |event| match event {
            Event::Breach { offset, .. } if offset < certain_from => {}
            event => out(event),
        };
        for piece in &found.held.pieces {
            match piece {
                Piece::Bytes(bytes) => {
                    if let Some(chunk) = bytes.chunk(found.start) {
                        self.on_chunk(&chunk, &mut out);
                    }
                }
                Piece::Gap(gap) => self.on_gap(gap, &mut out),
                Piece::End(..) => {}
            }
        }
    }

    /// The other direction masks: this is a WebSocket.
    pub(super) fn trust(&mut self) {
        self.doubted = false;
        if let State::Searching(search) = &mut self.state {
            search.trust();
        }
    }

    /// No frame was found.
    fn give_up(&mut self, out: &mut impl FnMut(Event)) {
        let State::Searching(search) = &mut self.state else {
            return;
        };
        search.give_up(out);
        if let (bytes @ 1.., Some(at)) = search.looked() {
            let direction = self.direction;
            out(Event::Unread {
                direction,
                at,
                bytes,
            });
        }
        self.state = State::Lost;
    }

    /// How sure a frame is that begins here.
    pub(super) const fn confidence_at(&self, offset: u64) -> Confidence {
        if self.doubted || offset < self.certain_from {
            Confidence::Likely
        } else {
            Confidence::Certain
        }
    }
}
