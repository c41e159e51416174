//! Connections whose opening handshake wasn't captured: is this WebSocket at all?

use super::candidate::Rhythm;
use super::evidence::Expected;
use super::held::{Held, Piece};
use super::search::Search;
use super::{Connection, Event, Wants};
use crate::stream::{Chunk, Direction, Gap, GapCause, PacketRef, Sides, StreamEvent};

/// Bytes held of both directions.
///
/// Rationale: many frames of ordinary size; beyond that the oldest go, and are named.
const MAX_HELD: usize = 128 << 10;

/// Bytes of one direction that are looked at; the other is looked at as far.
///
/// Rationale: ordinary frames prove themselves within a few kilobytes. Most
/// connections of unknown kind are no WebSocket, and must not cost much. But
/// a large message of one side says nothing of the small ones of the other.
const MAX_LOOKED: u64 = 256 << 10;

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
    searches: Sides<[Search; 2]>,
    held: Held,
    /// Bytes that had to go, and where the first of them was.
    dropped: Sides<Option<Gap>>,
    /// How many of them were captured.
    passed: Sides<u64>,
    answer: Recognised,
}

impl Default for Recognition {
    fn default() -> Self {
        Self::new()
    }
}

impl Recognition {
    /// Of a connection of which nothing was seen yet.
    pub fn new() -> Self {
        let search = |masked| {
            let expected = Expected {
                masked,
                rsv1: true,
                keys_vary: true,
                binary: false,
                known: false,
            };
            Search::new(expected, Rhythm::default(), 0)
        };
        Self {
            searches: Sides::from_fn(|_| [search(true), search(false)]),
            held: Held::default(),
            dropped: Sides::default(),
            passed: Sides::default(),
            answer: Recognised::Undecided,
        }
    }

    /// Takes the next bytes, gap or end. After `Frames` the connection is to be
    /// taken with [`into_connection`](Self::into_connection) before more is handed in.
    pub fn on_stream(&mut self, event: &StreamEvent<'_>) -> Recognised {
        if self.answer != Recognised::Undecided {
            return self.answer;
        }
        match event {
            StreamEvent::Chunk(chunk) => self.on_chunk(chunk),
            StreamEvent::Gap(gap) if self.is_exhausted(gap.direction) => {
                let end = gap.len.map(|len| gap.offset.saturating_add(len));
                self.drop_until(gap.direction, gap.offset, end, gap.at);
            }
            StreamEvent::Gap(gap) => {
                self.held.push(Piece::Gap(*gap));
                self.ask(gap.direction, |search| {
                    search.on_gap(gap, &mut |_| {}).is_some()
                });
            }
            StreamEvent::End(direction, at) => {
                self.held.push(Piece::End(*direction, *at));
                self.conclude(*direction);
            }
        }
        self.bound();
        self.answer
    }

    /// The capture ended: answers `Frames` where they are likely too, else `Nothing`.
    pub fn finish(&mut self) -> Recognised {
        for direction in Direction::BOTH {
            if self.answer == Recognised::Undecided {
                self.conclude(direction);
            }
        }
        if self.answer == Recognised::Undecided {
            self.answer = Recognised::Nothing;
        }
        self.answer
    }

    /// The connection, into which all that was held has been fed; what shows in it goes to `out`.
    ///
    /// It and its events call the client's direction `ClientToServer`: a
    /// caller that was answered `client: ServerToClient` exchanges its labels
    /// before it feeds the connection on.
    pub fn into_connection(mut self, wants: Wants, out: &mut impl FnMut(Event)) -> Connection {
        let mut connection = Connection::mid_stream(wants);
        let exchanged = matches!(self.answer, Recognised::Frames { client } if client == Direction::ServerToClient);
        let turn = |direction: Direction| {
            if exchanged {
                direction.reverse()
            } else {
                direction
            }
        };
        for direction in Direction::BOTH {
            if let Some(gap) = self.dropped[direction] {
                let passed = self.passed[direction];
                let direction = turn(direction);
                connection.pass_over(direction, passed);
                connection.on_stream(&StreamEvent::Gap(Gap { direction, ..gap }), out);
            }
        }
        while let Some(piece) = self.held.pop() {
            match &piece {
                Piece::Bytes(bytes) => {
                    if let Some(chunk) = bytes.chunk(0) {
                        let direction = turn(chunk.direction);
                        let chunk = Chunk { direction, ..chunk };
                        connection.on_stream(&StreamEvent::Chunk(chunk), out);
                    }
                }
                Piece::Gap(gap) => {
                    let direction = turn(gap.direction);
                    let gap = Gap { direction, ..*gap };
                    connection.on_stream(&StreamEvent::Gap(gap), out);
                }
                Piece::End(direction, at) => {
                    connection.on_stream(&StreamEvent::End(turn(*direction), *at), out);
                }
            }
        }
        connection
    }

    /// Bytes of memory held.
    pub fn buffered(&self) -> usize {
        let searches = self.searches.iter().flat_map(|(_, pair)| pair);
        let searching: usize = searches.map(Search::buffered).sum();
        searching.saturating_add(self.held.size())
    }

    fn on_chunk(&mut self, chunk: &Chunk<'_>) {
        let direction = chunk.direction;
        if self.is_exhausted(direction) {
            let end = chunk.offset.saturating_add(chunk.bytes.len() as u64);
            self.pass(direction, chunk.bytes);
            self.drop_until(direction, chunk.offset, Some(end), chunk.seen);
            return;
        }
        self.held.push_chunk(chunk);
        self.ask(direction, |search| {
            search.on_chunk(chunk, &mut |_| {}).is_some()
        });
        if self.answer != Recognised::Undecided || !self.is_exhausted(direction) {
            return;
        }
        if self.is_exhausted(direction.reverse()) {
            self.answer = Recognised::Nothing;
        } else {
            self.forget(direction);
        }
    }

    /// Lets go of what one direction said: no frame will be found there.
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
    fn conclude(&mut self, direction: Direction) {
        if !self.is_exhausted(direction) {
            self.ask(direction, |search| search.on_end(&mut |_| {}).is_some());
        }
    }

    fn is_exhausted(&self, direction: Direction) -> bool {
        let [search, _] = &self.searches[direction];
        search.looked().0 > MAX_LOOKED
    }

    /// Lets both searches of a direction take something, which tells whether it proves frames.
    fn ask(&mut self, direction: Direction, mut take: impl FnMut(&mut Search) -> bool) {
        let [as_client, as_server] = &mut self.searches[direction];
        let (client, server) = (take(as_client), take(as_server));
        // Other protocols have records of the same form (MQTT's SUBSCRIBE has), but
        // none whose other side masks.
        let [peer, _] = &self.searches[direction.reverse()];
        let server = server && peer.is_plausible();
        if client {
            self.answer = Recognised::Frames { client: direction };
        } else if server {
            let client = direction.reverse();
            self.answer = Recognised::Frames { client };
        }
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
