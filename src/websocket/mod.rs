//! Frames, messages and the closing handshake (RFC 6455), with
//! permessage-deflate (RFC 7692), as a bystander reads them.
//!
//! Decoding never stops at a breach of the standards as long as the lengths
//! still tell where the next frame begins.

mod adoption;
mod assembly;
mod beginning;
mod breach;
mod candidate;
mod close;
mod connection;
mod cut;
mod deflate;
mod ending;
mod evidence;
mod found;
mod frame;
mod half;
mod held;
mod mask;
mod message;
mod open;
mod quiet;
mod recognition;
mod resync;
mod search;
mod segments;
mod skim;
pub mod subprotocol;
#[cfg(test)]
mod tests;
mod utf8;

pub use breach::Breach;
pub use close::CloseFrame;
pub use connection::Connection;
pub use deflate::Deflate;
pub use frame::Frame;
pub use message::Message;
pub use recognition::{Recognised, Recognition};

use crate::stream::{Direction, GapCause, PacketRef};

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
    pub hint: Option<subprotocol::Hint>,
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
