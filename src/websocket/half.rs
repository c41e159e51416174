//! One direction: where in its stream of frames we stand.

use super::assembly::{Arrival, Assembly, Reading};
use super::beginning::Carry;
use super::deflate::Inflater;
use super::ending::settle_text;
use super::open::Open;
use super::resync::Habits;
use super::search::{Last, Search};
use super::subprotocol::{Hint, Listener};
use super::{Deflate, Event, Opcode, Parameters, Wants};
use crate::stream::{Chunk, Direction, Gap, GapCause, PacketRef};

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) direction: Direction,
    pub(super) wants: Wants,
    /// permessage-deflate was agreed on.
    pub(super) deflate: bool,
    pub(super) state: State,
    /// The message whose last byte is still to come.
    pub(super) message: Option<Assembly>,
    pub(super) inflater: Inflater,
    /// Where nobody saw what was agreed on: what speaks for permessage-deflate, in bits.
    pub(super) deflate_proof: Option<u64>,
    /// A Close frame was sent.
    pub(super) closed: bool,
    /// Frames that begin before this offset were found by a search and are only likely.
    pub(super) certain_from: u64,
    /// Frames were found by a search.
    pub(super) found: bool,
    /// They were masked, with a key for each.
    pub(super) scrambled: bool,
    /// It isn't known that the connection is a WebSocket: nothing is certain.
    pub(super) doubted: bool,
    /// Since frames were found again no message began: a continuation goes on
    /// with one that was lost.
    pub(super) adrift: bool,
    /// What a search has to know of the frames so far.
    pub(super) habits: Habits,
    /// What reads the protocol inside the messages.
    pub(super) listener: Listener,
    /// An empty buffer for the beginning of the next message, which is read for that.
    pub(super) spare: Vec<u8>,
}

/// Where in the stream of frames we stand.
#[derive(Debug)]
pub(super) enum State {
    /// Where a frame begins, or in its header: what was held of it.
    Boundary(Option<Carry>),
    /// In the payload of a frame.
    Inside(Open),
    /// Nobody knows.
    Lost,
    /// Nobody knows yet: looking for frames.
    Searching(Box<Search>),
    /// After the last byte.
    Ended,
}

impl Half {
    pub(super) fn new(direction: Direction, parameters: &Parameters) -> Self {
        let takeover = parameters.deflate.is_some_and(|deflate| match direction {
            Direction::ClientToServer => !deflate.client_no_context_takeover,
            Direction::ServerToClient => !deflate.server_no_context_takeover,
        });
        Self {
            direction,
            wants: parameters.wants,
            deflate: parameters.deflate.is_some(),
            state: State::Boundary(None),
            message: None,
            inflater: Inflater::new(takeover),
            deflate_proof: None,
            closed: false,
            certain_from: 0,
            found: false,
            scrambled: false,
            doubted: false,
            adrift: false,
            habits: Habits::default(),
            listener: parameters
                .hint
                .map_or_else(Listener::default, Hint::listener),
            spare: Vec::new(),
        }
    }

    /// A direction that begins anywhere, with unknown extensions.
    pub(super) fn mid_stream(direction: Direction, wants: Wants) -> Self {
        let parameters = Parameters {
            deflate: Some(Deflate::default()),
            wants,
            hint: Some(Hint::None),
        };
        let mut this = Self::new(direction, &parameters);
        this.inflater.lose_context();
        this.deflate_proof = Some(0);
        this.doubted = direction == Direction::ServerToClient;
        this.search(0);
        this
    }

    pub(super) fn on_chunk(&mut self, chunk: &Chunk<'_>, out: &mut impl FnMut(Event)) {
        let arrival = Arrival {
            seen: chunk.seen,
            released: chunk.released,
        };
        let (mut rest, mut offset) = (chunk.bytes, chunk.offset);
        while !rest.is_empty() {
            let before = rest.len();
            rest = match self.state {
                State::Boundary(_) => self.read_header(rest, offset, arrival, out),
                State::Inside(_) => self.read_payload(rest, arrival, out),
                State::Searching(_) => {
                    let rest = Chunk {
                        offset,
                        bytes: rest,
                        ..*chunk
                    };
                    return self.search_chunk(&rest, out);
                }
                State::Lost | State::Ended => return,
            };
            offset = offset.saturating_add(before.saturating_sub(rest.len()) as u64);
        }
    }

    pub(super) fn on_gap(&mut self, gap: &Gap, out: &mut impl FnMut(Event)) {
        if let State::Searching(_) = self.state {
            return self.search_gap(gap, out);
        }
        let &Gap {
            direction,
            len,
            cause,
            at,
            ..
        } = gap;
        let skipped = match &self.state {
            State::Inside(open) => len.filter(|&len| len <= open.frame.payload_len - open.position),
            State::Boundary(_) | State::Lost | State::Searching(_) | State::Ended => None,
        };
        out(Event::Gap {
            direction,
            cause,
            at,
            in_step: skipped.is_some(),
        });
        match (skipped, &self.state) {
            (Some(len), _) => self.skip(len, out),
            (None, State::Boundary(_) | State::Inside(_)) => {
                let held = match &self.state {
                    State::Boundary(Some(held)) => held.len as u64,
                    _ => 0,
                };
                self.lose(at, out);
                self.search(held);
                let end = len.map(|len| gap.offset.saturating_add(len));
                if let (GapCause::SnapLength, false, Some(end)) = (cause, self.habits.begun, end) {
                    // Nothing but the end of the opening handshake and what followed it
                    // in the same segment was cut.
                    self.search_from(end);
                }
            }
            (None, State::Lost | State::Searching(_) | State::Ended) => {}
        }
    }

    pub(super) fn on_end(&mut self, at: PacketRef, out: &mut impl FnMut(Event)) {
        self.search_end(Last::OfStream, out);
        let inside_frame = match &self.state {
            State::Inside(open) => Some((open.seen, open.frame.payload_len)),
            State::Boundary(_) | State::Lost | State::Searching(_) => None,
            State::Ended => return,
        };
        self.judge_end(at, out);
        self.cut_off(out);
        self.state = State::Ended;
        self.inflater.release();
        out(Event::End {
            direction: self.direction,
            at,
            inside_frame,
        });
    }

    /// The capture ended: hands over what is incomplete.
    pub(super) fn finish(&mut self, out: &mut impl FnMut(Event)) {
        self.search_end(Last::OfCapture, out);
        self.cut_off(out);
        self.state = State::Ended;
        self.inflater.release();
    }

    /// Bytes of memory held.
    pub(super) fn buffered(&self) -> usize {
        let control = match &self.state {
            State::Inside(open) => open.control.capacity(),
            State::Searching(search) => search.buffered(),
            State::Boundary(_) | State::Lost | State::Ended => 0,
        };
        let message = self.message.as_ref().map_or(0, Assembly::buffered);
        control
            .saturating_add(message)
            .saturating_add(self.inflater.buffered())
            .saturating_add(self.spare.capacity())
            .saturating_add(self.listener.buffered())
    }

    /// Reads payload bytes; returns the bytes after them.
    pub(super) fn read_payload<'a>(
        &mut self,
        bytes: &'a [u8],
        arrival: Arrival,
        out: &mut impl FnMut(Event),
    ) -> &'a [u8] {
        let State::Inside(open) = &mut self.state else {
            return bytes;
        };
        let missing = open.frame.payload_len - open.position;
        let (piece, rest) = usize::try_from(missing)
            .ok()
            .and_then(|missing| bytes.split_at_checked(missing))
            .unwrap_or((bytes, &[]));
        match open.frame.opcode {
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                if let Some(message) = &mut self.message {
                    message.read(
                        piece,
                        &open.frame,
                        open.position,
                        arrival,
                        &mut self.inflater,
                    );
                }
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => open.keep_control(piece),
            Opcode::Reserved(_) => {}
        }
        open.position += piece.len() as u64;
        open.seen += piece.len() as u64;
        open.arrival = open.arrival.latest(arrival);
        let ended = open.position == open.frame.payload_len;
        if let Some(message) = &mut self.message
            && message.bad_text.is_some()
            // What comes out of an inflater that fails later proves nothing.
            && message.reading == Reading::Plain
        {
            settle_text(message, out);
        }
        if ended {
            self.end_frame(out);
        }
        rest
    }

    /// Bytes of the payload are missing, and no more than that.
    fn skip(&mut self, len: u64, out: &mut impl FnMut(Event)) {
        let State::Inside(open) = &mut self.state else {
            return;
        };
        open.position += len;
        let ended = open.position == open.frame.payload_len;
        if open.frame.opcode.is_data()
            && let Some(message) = &mut self.message
        {
            message.tear(len);
            if message.message.compressed {
                self.inflater.lose_context();
            }
        }
        if ended {
            self.end_frame(out);
        }
    }
}
