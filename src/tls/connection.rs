//! One connection: what comes in of both directions, and in which order it is read.

use std::mem;

use super::half::{Half, Protection};
use super::headless::Headless;
use super::keys::Keys;
use super::parameters::{Answer, Parameters};
use super::reader::Item;
use super::record::HEADER;
use super::{Event, Output, Undecrypted};
use crate::stream::{Chunk, Direction, Gap, GapCause, PacketRef, Secret, Sides, StreamEvent};

/// TLS on one connection, both directions.
///
/// Feed it the stream events of both directions in capture order; what is
/// inside comes out as another stream.
#[derive(Debug)]
pub struct Connection {
    pub(super) halves: Sides<Half>,
    pub(super) parameters: Parameters,
    /// How many bytes of a direction may wait for keys.
    pub(super) limit: usize,
    /// No ServerHello comes any more for records of the client to wait for.
    pub(super) server_hello_lost: bool,
    /// Master secrets of sessions that no key log holds; whoever owns the keys takes them.
    pub(super) learned: Vec<Secret>,
    pub(super) headless: Headless,
}

impl Connection {
    /// A connection of which nothing is known. At most `limit` bytes of each
    /// direction wait for keys that may still come.
    pub fn new(limit: usize) -> Self {
        Self {
            halves: Sides::from_fn(Half::new),
            parameters: Parameters::default(),
            limit,
            server_hello_lost: false,
            learned: Vec::new(),
            headless: Headless::default(),
        }
    }

    /// The client random of the ClientHello, by which key logs name the connection.
    pub fn client_random(&self) -> Option<&[u8; 32]> {
        self.parameters.client_random.as_ref()
    }

    /// Secrets that a private key told and that open other connections, which resume this session.
    pub fn take_learned(&mut self) -> Vec<Secret> {
        mem::take(&mut self.learned)
    }

    /// Records of this direction wait for keys.
    pub fn waits(&self, direction: Direction) -> bool {
        !self.halves[direction].waiting.is_empty()
    }

    /// Bytes of memory held.
    pub fn buffered(&self) -> usize {
        let halves = self.halves.iter().map(|(_, half)| half.buffered());
        halves.sum::<usize>() + self.parameters.transcript.capacity()
    }

    /// Takes the next event of either direction.
    pub fn on_stream(
        &mut self,
        event: &StreamEvent<'_>,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let direction = match event {
            StreamEvent::Chunk(Chunk { direction, .. })
            | StreamEvent::Gap(Gap { direction, .. })
            | StreamEvent::End(direction, _) => *direction,
        };
        let mut reader = mem::take(&mut self.halves[direction].reader);
        let mut each = |item: Item<'_>| self.on_item(direction, item, keys, out);
        match event {
            StreamEvent::Chunk(chunk) => reader.on_chunk(chunk, &mut each),
            StreamEvent::Gap(gap) => reader.on_gap(gap, &mut each),
            StreamEvent::End(_, at) => {
                if reader.is_searching() {
                    self.lose(direction, None, *at, out);
                }
                self.halves[direction].ended = Some(*at);
                self.tell_end(direction, out);
                if direction == Direction::ServerToClient {
                    self.give_up_server_hello(keys, out);
                }
            }
        }
        self.halves[direction].reader = reader;
    }

    /// More keys are known: opens what waited for them.
    pub fn on_keys(&mut self, keys: &Keys, out: &mut impl FnMut(Output<'_>)) {
        for direction in Direction::BOTH {
            self.replay(direction, keys, out);
        }
    }

    /// Nothing more comes: what waits stays closed.
    pub fn finish(&mut self, out: &mut impl FnMut(Output<'_>)) {
        let none = Keys::new(false);
        self.give_up_server_hello(&none, out);
        for direction in Direction::BOTH {
            for one in mem::take(&mut self.halves[direction].waiting) {
                self.stay_closed(direction, one.header, one.arrival.seen, &none, out);
            }
            self.tell_end(direction, out);
            let half = &mut self.halves[direction];
            if half.closed > 0 && half.opened == 0 && !half.told {
                half.told = true;
                let at = half.torn.unwrap_or_default();
                out(Output::Fact(Event::Undecrypted {
                    direction,
                    reason: Undecrypted::WrongKey,
                    at,
                }));
            }
        }
    }

    /// The end of a direction comes behind what waits in it.
    pub(super) fn tell_end(&mut self, direction: Direction, out: &mut impl FnMut(Output<'_>)) {
        let half = &mut self.halves[direction];
        if half.waiting.is_empty()
            && let Some(at) = half.ended.take()
        {
            // Records that were lost behind what was read may have held more of it.
            if half.offset > 0
                && let Some(at) = half.torn.take()
            {
                out(Output::Stream(StreamEvent::Gap(Gap {
                    direction,
                    offset: half.offset,
                    len: None,
                    cause: GapCause::NotCaptured,
                    at,
                })));
            }
            out(Output::Stream(StreamEvent::End(direction, at)));
        }
    }

    fn on_item(
        &mut self,
        direction: Direction,
        item: Item<'_>,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let half = &mut self.halves[direction];
        match item {
            Item::Record {
                header,
                fragment,
                arrival,
            } if half.waiting.is_empty() => {
                self.on_record(direction, header, fragment, arrival, keys, out);
            }
            Item::Record {
                header,
                fragment,
                arrival,
            } => {
                half.wait(header, fragment, arrival);
                if half.waiting_bytes > self.limit {
                    self.give_up_waiting(direction, keys, out);
                }
            }
            Item::Torn { at, .. } => {
                half.pass(1);
                self.lose(direction, Some(1), at, out);
                if direction == Direction::ServerToClient {
                    self.give_up_server_hello(keys, out);
                }
            }
            Item::Lost { bytes, at } => {
                // A record under encryption is never shorter than its header, tag and content type.
                let shortest = HEADER as u64 + 17;
                half.pass(bytes.map_or(u64::MAX, |bytes| bytes / shortest + 1));
                self.lose(direction, None, at, out);
                if direction == Direction::ServerToClient {
                    self.give_up_server_hello(keys, out);
                }
            }
            Item::Foreign { at } => {
                out(Output::Fact(Event::Foreign { direction, at }));
                if direction == Direction::ServerToClient {
                    self.give_up_server_hello(keys, out);
                }
            }
        }
    }

    fn lose(
        &mut self,
        direction: Direction,
        count: Option<u64>,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let half = &mut self.halves[direction];
        half.messages.lose();
        half.torn = Some(at);
        if let Protection::Classic(Some(opener)) = &mut half.protection {
            opener.pass(None);
        }
        if direction == Direction::ServerToClient {
            self.parameters.answer = Answer::More;
        }
        // The transcript has a hole.
        self.parameters.transcript = Vec::new();
        out(Output::Fact(Event::RecordsLost {
            direction,
            count,
            at,
        }));
    }
}
