//! Frames, messages and the closing handshake (RFC 6455), with
//! permessage-deflate (RFC 7692), as a bystander reads them.
//!
//! Decoding never stops at a breach of the standards as long as the lengths
//! still tell where the next frame begins.

mod assembly;
mod beginning;
mod breach;
mod candidate;
mod close;
mod deflate;
mod ending;
mod evidence;
mod found;
mod frame;
mod half;
mod held;
mod mask;
mod message;
mod quiet;
mod recognition;
mod resync;
mod search;
pub mod subprotocol;
#[cfg(test)]
mod tests;
mod utf8;

pub use breach::Breach;
pub use close::CloseFrame;
pub use deflate::Deflate;
pub use frame::Frame;
pub use message::Message;
pub use recognition::{Recognised, Recognition};

use crate::stream::{Direction, GapCause, PacketRef, Sides, StreamEvent};
use half::Half;
use quiet::Said;
use subprotocol::{Detection, Hint};

/// The opcodes of RFC 6455, section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opcode {
    /// 0: goes on with a fragmented message.
    Continuation,
    /// 1
    Text,
    /// 2
    Binary,
    /// 8
    Close,
    /// 9
    Ping,
    /// 10
    Pong,
    /// 3 to 7 and 11 to 15.
    Reserved(u8),
}

impl Opcode {
    /// The opcode that the low four bits of `code` stand for.
    const fn from_code(code: u8) -> Self {
        match code & 0x0f {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            reserved => Self::Reserved(reserved),
        }
    }

    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continuation => "continuation",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Reserved(_) => "reserved",
        }
    }

    /// Text, Binary and Continuation: the frames that messages consist of.
    pub const fn is_data(self) -> bool {
        matches!(self, Self::Continuation | Self::Text | Self::Binary)
    }

    /// Close, Ping, Pong, and the reserved ones from 11 on (RFC 6455, section 5.5).
    pub const fn is_control(self) -> bool {
        match self {
            Self::Close | Self::Ping | Self::Pong => true,
            Self::Reserved(code) => code >= 8,
            Self::Continuation | Self::Text | Self::Binary => false,
        }
    }
}

/// How sure it is that a frame begins where we read it.
///
/// What is only possible isn't reported at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Found by search: more than chance speaks for it, and something that
    /// people do build could still look the same.
    Likely,
    /// Read in step from the opening handshake on, or found by a search whose
    /// proof leaves nothing else to be believed.
    #[default]
    Certain,
}

/// What the consumer wants kept of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Keep up to that many bytes of each message, uncompressed and unmasked.
    pub payload: Option<usize>,
    /// Digest each message.
    pub sha256: bool,
}

/// What the opening handshake settled, and what the consumer wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// permessage-deflate, where both sides agreed on it.
    pub deflate: Option<Deflate>,
    /// What to keep of messages.
    pub wants: Wants,
    /// What the handshake tells of the protocol inside the messages; `None`
    /// where nobody wants to know.
    pub hint: Option<Hint>,
}

/// Both directions of a WebSocket connection, from the first byte after the
/// opening handshake on.
#[derive(Debug)]
pub struct Connection {
    halves: Sides<Half>,
    /// What each direction said, while frames of the other are looked for in a
    /// connection without a handshake.
    said: Option<Box<Sides<Said>>>,
    /// While it is being found out what the messages are.
    detection: Option<Box<Detection>>,
}

impl Connection {
    /// A connection of which nothing was seen yet.
    pub fn new(parameters: Parameters) -> Self {
        Self {
            halves: Sides::from_fn(|direction| Half::new(direction, &parameters)),
            said: None,
            detection: matches!(parameters.hint, Some(Hint::None)).then(Box::default),
        }
    }

    /// A connection whose opening handshake wasn't captured: both directions
    /// begin at an unknown place, with unknown extensions, and first search for
    /// frames. See [`Recognition`] for connections that may be something else.
    pub fn mid_stream(wants: Wants) -> Self {
        Self {
            halves: Sides::from_fn(|direction| Half::mid_stream(direction, wants)),
            said: Some(Box::default()),
            detection: Some(Box::default()),
        }
    }

    /// Takes the next bytes, gap or end of one direction and hands what shows
    /// in it to `out`, in stream order.
    pub fn on_stream(&mut self, event: &StreamEvent<'_>, out: &mut impl FnMut(Event)) {
        self.on_frames(event, out);
        if self.detection.is_some() {
            self.detect(matches!(event, StreamEvent::End(..)), out);
        }
    }

    /// Looks at messages that came, to find out what is spoken.
    #[cold]
    fn detect(&mut self, ended: bool, out: &mut impl FnMut(Event)) {
        let listeners = Sides {
            client: &mut self.halves.client.listener,
            server: &mut self.halves.server.listener,
        };
        let detection = self.detection.as_mut();
        if !detection.is_some_and(|detection| detection.judge(listeners, ended, out)) {
            self.detection = None;
        }
    }

    fn on_frames(&mut self, event: &StreamEvent<'_>, out: &mut impl FnMut(Event)) {
        let Some(mut said) = self.said.take() else {
            return self.read(event, out);
        };
        let mut note = |event: Event| {
            if let Some(sender) = event.sender_of_control() {
                said[sender].note(&event);
            }
            out(event);
        };
        if let StreamEvent::End(direction, _) = event {
            self.search_last(*direction, &mut note);
        }
        self.read(event, &mut note);
        for direction in Direction::BOTH {
            let peer = direction.reverse();
            if self.halves[direction].is_sought() && self.halves[peer].found {
                self.halves[direction].search_answer(&said[peer], out);
            }
        }
        let halves = &mut self.halves;
        if halves.server.doubted && halves.client.scrambled {
            halves.server.trust();
        }
        if halves.server.doubted || !halves.client.found || !halves.server.found {
            self.said = Some(said);
        }
    }

    /// Nothing more comes in this direction: what is likely has to do, and
    /// where the other is proven, that all of it is frames.
    fn search_last(&mut self, direction: Direction, out: &mut impl FnMut(Event)) {
        self.halves[direction].search_last(out);
        if self.halves[direction].is_sought() && self.halves[direction.reverse()].found {
            self.halves[direction].search_whole(out);
        }
    }

    /// So many captured bytes of a direction that is searched went by before any other.
    fn pass_over(&mut self, direction: Direction, bytes: u64) {
        self.halves[direction].search(bytes);
    }

    fn read(&mut self, event: &StreamEvent<'_>, out: &mut impl FnMut(Event)) {
        match event {
            StreamEvent::Chunk(chunk) => self.halves[chunk.direction].on_chunk(chunk, out),
            StreamEvent::Gap(gap) => self.halves[gap.direction].on_gap(gap, out),
            StreamEvent::End(direction, at) => self.halves[*direction].on_end(*at, out),
        }
    }

    /// Bytes of memory held beyond the connection itself: kept payload and
    /// decompression state.
    pub fn buffered(&self) -> usize {
        self.halves.iter().map(|(_, half)| half.buffered()).sum()
    }

    /// The capture ended: hands over what was cut off, incomplete. That the
    /// rest is missing is nobody's breach.
    pub fn finish(&mut self, out: &mut impl FnMut(Event)) {
        if self.said.take().is_some() {
            // Twice: what proves the second proves the first.
            for direction in Direction::BOTH.into_iter().cycle().take(3) {
                self.search_last(direction, out);
            }
        }
        for direction in Direction::BOTH {
            self.halves[direction].finish(out);
        }
        if self.detection.is_some() {
            self.detect(true, out);
        }
    }
}

/// What the WebSocket layer noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame header of any opcode was read. Comes when the header is complete,
    /// before the events of its payload.
    Frame(Frame),
    /// A data message ended: its last fragment came, or something cut it off.
    Message(Message),
    /// What a message says in its protocol; comes after the message itself, and
    /// of the first ones when it is known what is spoken.
    Said(subprotocol::Said),
    /// A Ping frame, whole.
    Ping(Control),
    /// A Pong frame, whole.
    Pong(Control),
    /// A Close frame, whole.
    Close(Box<CloseFrame>),
    /// The standards were broken.
    Breach {
        /// How.
        breach: Breach,
        /// By whom.
        direction: Direction,
        /// The packet that shows it.
        at: PacketRef,
        /// The frame's position in its stream.
        offset: u64,
        /// What was seen, for people: `opcode 5`, `141 bytes`, `byte 0xff at offset 3`.
        detail: String,
    },
    /// Bytes of this direction are missing; `in_step` tells whether the next
    /// frame's place is still known.
    Gap {
        /// Whose bytes.
        direction: Direction,
        /// Why.
        cause: GapCause,
        /// Where that became clear.
        at: PacketRef,
        /// The gap lay inside one frame's payload, so the next header's place is known.
        in_step: bool,
    },
    /// Frames of this direction can't be told any more. After a gap a search for
    /// the next ones begins, which ends with `Resynced` or with `Unread`.
    LostSync {
        /// Whose frames.
        direction: Direction,
        /// From where on.
        at: PacketRef,
    },
    /// Frames of this direction can be told again, or for the first time where
    /// the opening handshake wasn't captured.
    Resynced {
        /// Whose frames.
        direction: Direction,
        /// The packet with the first of them.
        at: PacketRef,
        /// Where in the stream it begins.
        offset: u64,
        /// Captured bytes before it that the search passed over; they are in no frame.
        skipped: u64,
        /// How sure the first of them is; each frame has its own.
        confidence: Confidence,
    },
    /// A search for frames ended without any: the direction ended, or a limit was reached.
    Unread {
        /// Whose bytes.
        direction: Direction,
        /// Where that became clear.
        at: PacketRef,
        /// Captured bytes that were passed over; they are in no frame.
        bytes: u64,
    },
    /// Compressed messages of this direction can't be read any more: the
    /// context was lost with a message that is missing or broken (RFC 7692, section 7.1.1).
    ContextLost {
        /// Whose messages.
        direction: Direction,
        /// The first message that can't be read.
        at: PacketRef,
    },
    /// The transport of this direction ended.
    End {
        /// Whose.
        direction: Direction,
        /// The FIN or RST.
        at: PacketRef,
        /// Where in a frame: bytes of the frame's payload seen and announced, if it ended inside one.
        inside_frame: Option<(u64, u64)>,
    },
}

impl Event {
    /// Whose control frame it is.
    const fn sender_of_control(&self) -> Option<Direction> {
        match self {
            Self::Ping(control) | Self::Pong(control) => Some(control.frame.direction),
            Self::Close(close) => Some(close.control.frame.direction),
            _ => None,
        }
    }
}

/// A Ping or a Pong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its header.
    pub frame: Frame,
    /// The packet with its last byte.
    pub last: PacketRef,
    /// When the receiver could have all of it.
    pub available: PacketRef,
    /// The payload, unmasked; at most 125 bytes of it.
    pub payload: Vec<u8>,
    /// False where bytes of it are missing.
    pub complete: bool,
}

impl Control {
    /// As a Pong: its payload may be this Ping's (RFC 6455, section 5.5.3). What the
    /// snap length or a gap took from either is no difference.
    pub fn may_echo(&self, ping: &Self) -> bool {
        let mut pairs = self.payload.iter().zip(&ping.payload);
        self.frame.payload_len == ping.frame.payload_len && pairs.all(|(one, other)| one == other)
    }
}
