//! Connections whose opening handshake wasn't captured: is this WebSocket at all?

use super::candidate::Rhythm;
use super::evidence::Expected;
use super::found::Found;
use super::held::{Held, Piece};
use super::search::{Last, Search};
use crate::stream::{Chunk, Direction, Gap, GapCause, PacketRef, Sides, StreamEvent};

/// Bytes held of both directions.
///
/// Rationale: many frames of ordinary size; beyond that the oldest go, and are named.
const MAX_HELD: usize = 128 << 10;

/// Bytes of one direction that are looked at one by one, and of which some are held.
///
/// Rationale: ordinary frames prove themselves within a few kilobytes. Most
/// connections of unknown kind are no WebSocket, and must not cost much. Large
/// frames show in the few places that are looked at beyond.
const CLOSELY: u64 = 256 << 10;

/// Bytes of both directions after which nothing is looked for any more.
///
/// Rationale: the largest messages that servers take by default have 16 MiB or
/// less, often 1 MiB; four such prove themselves, or may pass before the other
/// side has spoken.
const MAX_LOOKED: u64 = 64 << 20;

/// Bytes of each direction after which nothing is looked for any more.
///
/// Rationale: where both sides send so much, most connections are something
/// else. Messages of 1 MiB that are echoed prove themselves within half of it.
const MAX_OF_EACH: u64 = 8 << 20;

/// What a connection turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// Nothing is proven yet; the bytes are held.
    Undecided,
    /// WebSocket frames.
    Frames {
        /// Which of the directions, as the caller labels them, is the client's:
        /// clients mask (RFC 6455, section 5.1).
        client: Direction,
    },
    /// No proof came within the bounds, and none is looked for any more.
    Nothing,
}

/// Looks for frames in a connection of which only a later part was captured,
/// and which is neither HTTP nor TLS.
///
/// The labels of the directions may be the wrong way round; one direction alone is enough.
#[derive(Debug)]
pub struct Recognition {
    /// Each direction as a client's and as a server's.
    pub(super) searches: Sides<[Search; 2]>,
    pub(super) held: Held,
    /// Bytes that had to go, and where the first of them was.
    pub(super) dropped: Sides<Option<Gap>>,
    /// How many of them were captured.
    pub(super) passed: Sides<u64>,
    pub(super) answer: Recognised,
    /// The direction that proved it, and its frames.
    pub(super) proof: Option<(Direction, Found)>,
}

/// A search for frames of a client, which masks, or of a server.
pub(super) fn search(masked: bool) -> Search {
    let expected = Expected {
        masked,
        rsv1: true,
        keys_vary: true,
        binary: false,
        known: false,
    };
    Search {
        closely: CLOSELY,
        ..Search::new(expected, Rhythm::default(), 0)
    }
}

impl Default for Recognition {
    fn default() -> Self {
        Self::new()
    }
}

impl Recognition {
    /// Of a connection of which nothing was seen yet.
    pub fn new() -> Self {
        Self {
            searches: Sides::from_fn(|_| [search(true), search(false)]),
            held: Held::default(),
            dropped: Sides::default(),
            passed: Sides::default(),
            answer: Recognised::Undecided,
            proof: None,
        }
    }

    /// The head of a 101 ends before this offset, or in what is missing before
    /// it: frames begin here, or one goes on that began right behind the head.
    pub fn begins_at(&mut self, direction: Direction, offset: u64) {
        for search in &mut self.searches[direction] {
            search.beginning = Some(offset);
        }
    }

    /// Every byte that came was looked at as one that may begin a frame.
    pub fn is_thorough(&self) -> bool {
        let skims = |direction| self.is_skimmed(direction);
        !Direction::BOTH.into_iter().any(skims)
    }

    /// Takes the next bytes, gap or end. After `Frames` the connection is to be
    /// taken with [`into_connection`](Self::into_connection) before more is handed in.
    pub fn on_stream(&mut self, event: &StreamEvent<'_>) -> Recognised {
        if self.answer != Recognised::Undecided {
            return self.answer;
        }
        match event {
            StreamEvent::Chunk(chunk) => self.on_chunk(chunk),
            StreamEvent::Gap(gap) => {
                if self.is_skimmed(gap.direction) {
                    let end = gap.len.map(|len| gap.offset.saturating_add(len));
                    self.drop_until(gap.direction, gap.offset, end, gap.at);
                } else {
                    self.held.push(Piece::Gap(*gap));
                }
                self.ask(gap.direction, |search| search.on_gap(gap, &mut |_| {}));
            }
            StreamEvent::End(direction, at) => {
                self.held.push(Piece::End(*direction, *at));
                self.conclude(*direction, Last::OfStream);
            }
        }
        self.bound();
        self.answer
    }

    /// The capture ended: answers `Frames` where they are likely too, else `Nothing`.
    pub fn finish(&mut self) -> Recognised {
        for direction in Direction::BOTH {
            if self.answer == Recognised::Undecided {
                self.conclude(direction, Last::OfCapture);
            }
        }
        if self.answer == Recognised::Undecided {
            self.answer = Recognised::Nothing;
        }
        self.answer
    }

    /// Bytes of memory held.
    pub fn buffered(&self) -> usize {
        let searches = self.searches.iter().flat_map(|(_, pair)| pair);
        let searching: usize = searches.map(Search::buffered).sum();
        searching.saturating_add(self.held.size())
    }

    fn on_chunk(&mut self, chunk: &Chunk<'_>) {
        let direction = chunk.direction;
        let skimmed = self.is_skimmed(direction);
        if skimmed {
            let end = chunk.offset.saturating_add(chunk.bytes.len() as u64);
            self.pass(direction, chunk.bytes);
            self.drop_until(direction, chunk.offset, Some(end), chunk.seen);
        } else {
            self.held.push_chunk(chunk);
        }
        self.ask(direction, |search| search.on_chunk(chunk, &mut |_| {}));
        if self.answer != Recognised::Undecided {
            return;
        }
        if !skimmed && self.is_skimmed(direction) {
            self.forget(direction);
        }
        let [one, other] = Direction::BOTH.map(|direction| {
            let [search, _] = &self.searches[direction];
            search.looked().0
        });
        if one.saturating_add(other) > MAX_LOOKED || one.min(other) > MAX_OF_EACH {
            self.answer = Recognised::Nothing;
        }
    }

    /// Lets go of what one direction said: its frames, if any, are too large to be held.
    fn forget(&mut self, direction: Direction) {
        let mut kept = Held::default();
        while let Some(piece) = self.held.pop() {
            match &piece {
                Piece::Bytes(bytes) if bytes.direction == direction => {
                    let at = bytes.arrival.seen;
                    self.pass(direction, &bytes.bytes);
                    self.drop_until(direction, bytes.offset, Some(bytes.end()), at);
                }
                Piece::Gap(gap) if gap.direction == direction => {
                    let end = gap.len.map(|len| gap.offset.saturating_add(len));
                    self.drop_until(direction, gap.offset, end, gap.at);
                }
                Piece::Bytes(_) | Piece::Gap(_) | Piece::End(..) => kept.push(piece),
            }
        }
        self.held = kept;
    }

    /// Nothing more comes from there: what is likely has to do.
    fn conclude(&mut self, direction: Direction, last: Last) {
        self.ask(direction, |search| search.on_end(last, &mut |_| {}));
    }

    /// Of this direction only few places are looked at any more, and nothing is held.
    pub(super) fn is_skimmed(&self, direction: Direction) -> bool {
        let [search, _] = &self.searches[direction];
        search.is_skimming()
    }

    /// Lets both searches of a direction take something, which tells whether it proves frames.
    fn ask(&mut self, direction: Direction, mut take: impl FnMut(&mut Search) -> Option<Found>) {
        let [as_client, as_server] = &mut self.searches[direction];
        let (client, server) = (take(as_client), take(as_server));
        // Other protocols have records of the same form (MQTT's SUBSCRIBE has), but
        // none whose other side masks.
        let [peer, _] = &self.searches[direction.reverse()];
        let server = server.filter(|_| peer.is_plausible());
        let (client, found) = match (client, server) {
            (Some(found), _) => (direction, found),
            (None, Some(found)) => (direction.reverse(), found),
            (None, None) => return,
        };
        self.answer = Recognised::Frames { client };
        self.proof = Some((direction, found));
    }

    /// Keeps what is held within its bound.
    fn bound(&mut self) {
        if self.answer == Recognised::Nothing {
            self.held = Held::default();
        }
        while self.held.size() > MAX_HELD
            && let Some(piece) = self.held.pop()
        {
            let (direction, from, to, at) = match &piece {
                Piece::Bytes(bytes) => {
                    let at = bytes.arrival.seen;
                    self.pass(bytes.direction, &bytes.bytes);
                    (bytes.direction, bytes.offset, Some(bytes.end()), at)
                }
                Piece::Gap(gap) => {
                    let end = gap.len.map(|len| gap.offset.saturating_add(len));
                    (gap.direction, gap.offset, end, gap.at)
                }
                Piece::End(..) => continue,
            };
            self.drop_until(direction, from, to, at);
        }
    }

    /// Captured bytes go unread.
    fn pass(&mut self, direction: Direction, bytes: &[u8]) {
        let passed = &mut self.passed[direction];
        *passed = passed.saturating_add(bytes.len() as u64);
    }

    fn drop_until(&mut self, direction: Direction, from: u64, to: Option<u64>, at: PacketRef) {
        let dropped = self.dropped[direction].get_or_insert(Gap {
            direction,
            offset: from,
            len: Some(0),
            cause: GapCause::LimitReached,
            at,
        });
        dropped.len = match (dropped.len, to) {
            (Some(_), Some(to)) => Some(to.saturating_sub(dropped.offset)),
            _ => None,
        };
    }
}
