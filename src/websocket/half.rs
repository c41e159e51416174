//! One direction: from bytes to frames, from frames to messages.

use super::breach::{self, MAX_CONTROL};
use super::deflate::{Context, Inflater};
use super::ending::settle_text;
use super::frame::{self, Boundary, Header, MAX_HEADER};
use super::mask::unmask;
use super::message::{Arrival, Assembly, Place, Reading};
use super::{Breach, Event, Frame, Opcode, Parameters, Wants};
use crate::stream::{Chunk, Direction, Gap, PacketRef};

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) direction: Direction,
    pub(super) wants: Wants,
    /// permessage-deflate was agreed on.
    deflate: bool,
    pub(super) state: State,
    /// The message whose last byte is still to come.
    pub(super) message: Option<Assembly>,
    pub(super) inflater: Inflater,
    /// A Close frame was sent.
    closed: bool,
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
    /// After the last byte.
    Ended,
}

/// The first bytes of a header that straddles chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carry {
    bytes: [u8; MAX_HEADER],
    pub(super) len: usize,
    /// Stream offset of the first.
    pub(super) offset: u64,
    /// The packet with the first.
    at: PacketRef,
    arrival: Arrival,
}

/// A frame whose payload is not yet complete.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) frame: Frame,
    /// Payload bytes that passed, seen or not.
    pub(super) position: u64,
    /// Payload bytes that were seen.
    pub(super) seen: u64,
    /// The latest of its bytes.
    pub(super) arrival: Arrival,
    /// A control frame's payload, unmasked.
    pub(super) control: Vec<u8>,
    /// What its header broke.
    pub(super) breaches: Vec<Breach>,
}

impl Open {
    /// Bytes of the payload are missing.
    pub(super) const fn is_torn(&self) -> bool {
        self.seen < self.position
    }

    /// Every byte of the payload was seen.
    pub(super) const fn is_whole(&self) -> bool {
        self.seen == self.frame.payload_len
    }

    /// Where its last byte was.
    pub(super) const fn place(&self) -> Place {
        Place {
            at: self.arrival.seen,
            offset: self.frame.offset,
        }
    }

    /// Keeps the next bytes of a control frame's payload.
    fn keep_control(&mut self, bytes: &[u8]) {
        let room = MAX_CONTROL.saturating_sub(self.control.len());
        // What follows a hole isn't kept: it would read as if it followed.
        if !self.is_torn() {
            let bytes = bytes.get(..room).unwrap_or(bytes);
            let kept = &mut self.control;
            unmask(bytes, self.frame.mask, self.position, &mut |clear| {
                kept.extend(clear)
            });
        }
    }
}

impl Carry {
    const fn new(offset: u64, arrival: Arrival) -> Self {
        Self {
            bytes: [0; MAX_HEADER],
            len: 0,
            offset,
            at: arrival.seen,
            arrival,
        }
    }

    /// Holds as many of `bytes` as a header can have.
    fn hold(&mut self, bytes: &[u8], arrival: Arrival) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        self.len += room.len().min(bytes.len());
        room.iter_mut()
            .zip(bytes)
            .for_each(|(slot, byte)| *slot = *byte);
        self.arrival = self.arrival.latest(arrival);
    }
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
            closed: false,
        }
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
                // The place to look for the next provable frame start.
                State::Lost | State::Ended => return,
            };
            offset = offset.saturating_add(before.saturating_sub(rest.len()) as u64);
        }
    }

    pub(super) fn on_gap(&mut self, gap: &Gap, out: &mut impl FnMut(Event)) {
        let &Gap {
            direction,
            len,
            cause,
            at,
            ..
        } = gap;
        let skipped = match &self.state {
            State::Inside(open) => len.filter(|&len| len <= open.frame.payload_len - open.position),
            State::Boundary(_) | State::Lost | State::Ended => None,
        };
        out(Event::Gap {
            direction,
            cause,
            at,
            in_step: skipped.is_some(),
        });
        match (skipped, &self.state) {
            (Some(len), _) => self.skip(len, out),
            (None, State::Boundary(_) | State::Inside(_)) => self.lose(at, out),
            (None, State::Lost | State::Ended) => {}
        }
    }

    pub(super) fn on_end(&mut self, at: PacketRef, out: &mut impl FnMut(Event)) {
        let inside_frame = match &self.state {
            State::Inside(open) => Some((open.seen, open.frame.payload_len)),
            State::Boundary(_) | State::Lost => None,
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
        self.cut_off(out);
        self.state = State::Ended;
        self.inflater.release();
    }

    /// Bytes of memory held.
    pub(super) fn buffered(&self) -> usize {
        let control = match &self.state {
            State::Inside(open) => open.control.capacity(),
            State::Boundary(_) | State::Lost | State::Ended => 0,
        };
        let message = self.message.as_ref().map_or(0, Assembly::buffered);
        control
            .saturating_add(message)
            .saturating_add(self.inflater.buffered())
    }

    /// Reads what stands at a frame boundary; returns the bytes after it.
    fn read_header<'a>(
        &mut self,
        bytes: &'a [u8],
        offset: u64,
        arrival: Arrival,
        out: &mut impl FnMut(Event),
    ) -> &'a [u8] {
        let State::Boundary(carry) = &mut self.state else {
            return bytes;
        };
        let Some(mut held) = carry.take() else {
            let mut held = Carry::new(offset, arrival);
            match frame::read(bytes) {
                Boundary::Header(header) => {
                    self.begin(&header, &held, out);
                    return bytes.get(usize::from(header.len)..).unwrap_or_default();
                }
                Boundary::Http(pattern) => self.meet_http(pattern, &held, out),
                Boundary::Short => {
                    held.hold(bytes, arrival);
                    self.state = State::Boundary(Some(held));
                }
            }
            return &[];
        };
        let before = held.len;
        held.hold(bytes, arrival);
        let known = held.bytes.get(..held.len).unwrap_or_default();
        match frame::read(known) {
            Boundary::Header(header) => {
                self.begin(&header, &held, out);
                let len = usize::from(header.len);
                // Bytes that were held since they could have become HTTP, and
                // are payload: such a frame is longer than any pattern.
                if let Some(payload) = known.get(len..before).filter(|held| !held.is_empty()) {
                    self.read_payload(payload, arrival, out);
                }
                bytes.get(len.saturating_sub(before)..).unwrap_or_default()
            }
            Boundary::Http(pattern) => {
                self.meet_http(pattern, &held, out);
                &[]
            }
            Boundary::Short => {
                self.state = State::Boundary(Some(held));
                &[]
            }
        }
    }

    fn meet_http(&mut self, pattern: &str, held: &Carry, out: &mut impl FnMut(Event)) {
        let place = Place {
            at: held.at,
            offset: held.offset,
        };
        out(self.breach(
            Breach::HttpInStream,
            place,
            format!("begins with {pattern:?}"),
        ));
        self.lose(held.at, out);
    }

    /// A frame begins: its header is complete.
    fn begin(&mut self, header: &Header, held: &Carry, out: &mut impl FnMut(Event)) {
        let direction = self.direction;
        let &Header {
            opcode,
            fin,
            rsv,
            mask,
            len,
            payload_len,
            minimal,
        } = header;
        let (offset, at) = (held.offset, held.at);
        let frame = Frame {
            direction,
            opcode,
            fin,
            rsv,
            mask,
            offset,
            header_len: len,
            payload_len,
            at,
        };
        out(Event::Frame(frame));
        let mut breaches = Vec::new();
        let mut found = |breach, detail| {
            breaches.push(breach);
            out(Event::Breach {
                breach,
                direction,
                at,
                offset,
                detail,
            });
        };
        breach::of_header(&frame, minimal, self.deflate, &mut found);
        self.judge_sequence(&frame, &mut found);
        if opcode.is_data() {
            self.begin_fragment(&frame, held.arrival, &breaches, out);
        }
        self.closed |= opcode == Opcode::Close;
        let (arrival, control) = (held.arrival, Vec::new());
        self.state = State::Inside(Open {
            frame,
            position: 0,
            seen: 0,
            arrival,
            control,
            breaches,
        });
        if breach::top_bit(&frame) {
            self.lose(at, out);
        } else if payload_len == 0 {
            self.end_frame(out);
        }
    }

    /// What is wrong with a frame here, though it could be right elsewhere.
    fn judge_sequence(&mut self, frame: &Frame, found: &mut impl FnMut(Breach, String)) {
        let open = self.message.as_mut();
        match frame.opcode {
            Opcode::Continuation if open.is_none() => {
                found(
                    Breach::UnexpectedContinuation,
                    "nothing to continue".to_owned(),
                );
            }
            Opcode::Text | Opcode::Binary if open.is_some() => {
                found(
                    Breach::InterleavedMessage,
                    format!("new {} message", frame.opcode.name()),
                );
            }
            Opcode::Close => {
                if let Some(message) = open.filter(|message| !message.unfinished) {
                    message.unfinished = true;
                    message.note(Breach::UnfinishedMessage);
                    let detail = format!("Close after {} fragments", message.message.fragments);
                    found(Breach::UnfinishedMessage, detail);
                }
            }
            _ => {}
        }
        // RFC 6455, section 5.5.1 speaks of data frames; a Ping then asks for an
        // answer that can't come, while a Pong may still answer a Ping.
        if self.closed
            && let Opcode::Continuation | Opcode::Text | Opcode::Binary | Opcode::Ping =
                frame.opcode
        {
            let detail = format!(
                "{} frame of {} bytes",
                frame.opcode.name(),
                frame.payload_len
            );
            found(Breach::FrameAfterClose, detail);
        }
    }

    /// A frame of a message begins.
    fn begin_fragment(
        &mut self,
        frame: &Frame,
        arrival: Arrival,
        breaches: &[Breach],
        out: &mut impl FnMut(Event),
    ) {
        if frame.opcode != Opcode::Continuation
            && let Some(cut) = self.message.take()
        {
            self.cut_message(cut, out);
        }
        if self.message.is_none() {
            let started = self.start_message(frame, out);
            self.message = Some(started);
        }
        if let Some(message) = &mut self.message {
            breaches.iter().for_each(|&breach| message.note(breach));
            message.add(frame, arrival);
        }
    }

    fn start_message(&mut self, frame: &Frame, out: &mut impl FnMut(Event)) -> Assembly {
        let compressed = self.deflate && frame.rsv1() && frame.opcode != Opcode::Continuation;
        let reading = match compressed.then(|| self.inflater.begin()) {
            None => Reading::Plain,
            Some(Context::Whole) => Reading::Inflated,
            Some(Context::Lost) => Reading::Unreadable,
            Some(Context::JustLost) => {
                out(Event::ContextLost {
                    direction: self.direction,
                    at: frame.at,
                });
                Reading::Unreadable
            }
        };
        // A bit that nothing explains may mean that the payload isn't what it seems.
        let opaque = if compressed {
            frame.rsv & 0b011 != 0
        } else {
            frame.rsv != 0
        };
        Assembly::begin(frame, reading, opaque, self.wants)
    }

    /// Reads payload bytes; returns the bytes after them.
    fn read_payload<'a>(
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
            settle_text(message, self.direction, out);
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
