//! How frames and messages of one direction begin.

use super::assembly::{Arrival, Assembly, Place, Reading};
use super::breach;
use super::frame::{self, Boundary, Header, MAX_HEADER};
use super::half::{Half, State};
use super::open::Open;
use super::{Breach, Event, Frame, Opcode};
use crate::stream::PacketRef;

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
    /// Reads what stands at a frame boundary; returns the bytes after it.
    pub(super) fn read_header<'a>(
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
            confidence: self.confidence_at(offset),
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
        self.habits.begun = true;
        self.habits.zero_key |= mask == Some([0; 4]);
        self.habits.binary |= opcode == Opcode::Binary && rsv == 0;
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
            Opcode::Continuation if open.is_none() && !self.adrift => {
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
        if frame.opcode != Opcode::Continuation {
            self.cut_message(out);
        }
        if self.message.is_none() {
            let mut started = self.start_message(frame);
            started.message.begun = arrival.released;
            let room = self.listener.room();
            if room > 0 {
                started.lend(std::mem::take(&mut self.spare), room);
            }
            self.message = Some(started);
            // Its first fragments came before frames were found again.
            if frame.opcode == Opcode::Continuation
                && self.adrift
                && let Some(message) = &mut self.message
            {
                message.cut();
            }
            self.adrift = false;
        }
        if let Some(message) = &mut self.message {
            breaches.iter().for_each(|&breach| message.note(breach));
            message.add(frame, arrival);
        }
    }

    #[inline(always)]
    fn start_message(&mut self, frame: &Frame) -> Assembly {
        let compressed = self.deflate && frame.rsv1() && frame.opcode != Opcode::Continuation;
        let reading = if compressed {
            self.inflater.begin();
            Reading::Inflated
        } else {
            Reading::Plain
        };
        // A bit that nothing explains may mean that the payload isn't what it seems.
        let opaque = if compressed {
            frame.rsv & 0b011 != 0
        } else {
            frame.rsv != 0
        };
        Assembly::begin(frame, reading, opaque, self.wants)
    }
}
