//! Frames, messages and the closing handshake (RFC 6455), with
//! permessage-deflate (RFC 7692), as a bystander reads them.
//!
//! Decoding never stops at a breach of the standards as long as the lengths
//! still tell where the next frame begins.

mod close;
mod deflate;
mod frame;
mod mask;
mod message;

pub use close::CloseFrame;
pub use message::Message;

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

    /// Close, Ping, Pong, and the reserved ones from 11 on (RFC 6455, section 5.5).
    pub const fn is_control(self) -> bool {
        match self {
            Self::Close | Self::Ping | Self::Pong => true,
            Self::Reserved(code) => code >= 8,
            Self::Continuation | Self::Text | Self::Binary => false,
        }
    }
}

/// One frame's header and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Who sent it.
    pub direction: Direction,
    /// Its opcode.
    pub opcode: Opcode,
    /// FIN: the last frame of its message.
    pub fin: bool,
    /// RSV1, RSV2, RSV3 as the bits 4, 2, 1.
    pub rsv: u8,
    /// The masking key, where the MASK bit is set.
    pub mask: Option<[u8; 4]>,
    /// Stream offset of the header's first byte.
    pub offset: u64,
    /// Bytes of the header.
    pub header_len: u8,
    /// Payload bytes, as the header says.
    pub payload_len: u64,
    /// The packet with the header's first byte.
    pub at: PacketRef,
}

impl Frame {
    /// Stream offset just after the frame.
    pub const fn end(&self) -> u64 {
        self.offset
            .saturating_add(self.header_len as u64)
            .saturating_add(self.payload_len)
    }
}

/// A breach of RFC 6455 or RFC 7692, named after what is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Breach {
    /// A client's frame is not masked (RFC 6455, section 5.1).
    UnmaskedClientFrame,
    /// A server's frame is masked (RFC 6455, section 5.1).
    MaskedServerFrame,
    /// RSV1 is set, and no extension that uses it was agreed on (RFC 6455, section 5.2).
    Rsv1WithoutExtension,
    /// RSV1 is set on a control frame or on a continuation (RFC 7692, section 6.1).
    Rsv1Misplaced,
    /// RSV2 or RSV3 is set (RFC 6455, section 5.2).
    ReservedBits,
    /// A reserved opcode (RFC 6455, section 5.2).
    ReservedOpcode,
    /// The length is not in its shortest form (RFC 6455, section 5.2).
    NonMinimalLength,
    /// The top bit of the 64-bit length is set (RFC 6455, section 5.2). Nothing after it can be read.
    LengthTopBit,
    /// A control frame without FIN (RFC 6455, section 5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (RFC 6455, section 5.5).
    ControlTooLong,
    /// A continuation with nothing to continue (RFC 6455, section 5.4).
    UnexpectedContinuation,
    /// A new data message before the last fragment of the one before (RFC 6455, section 5.4).
    InterleavedMessage,
    /// A text message that isn't UTF-8 (RFC 6455, section 8.1).
    InvalidUtf8,
    /// The compressed payload doesn't inflate (RFC 7692, section 7.2.2).
    InflateFailed,
    /// A Close frame with a body of one byte (RFC 6455, section 5.5.1).
    CloseBodyOneByte,
    /// A Close frame with a code that must not be on the wire (RFC 6455, section 7.4).
    CloseCodeIllegal,
    /// A Close reason that isn't UTF-8 (RFC 6455, section 5.5.1).
    CloseReasonNotUtf8,
    /// A data or Ping frame after the sender's own Close (RFC 6455, section 5.5.1).
    FrameAfterClose,
    /// HTTP or HTML where a frame header should be. Nothing after it can be read.
    HttpInStream,
    /// The transport ended inside a frame (RFC 6455, section 7.1.7).
    TruncatedFrame,
    /// The transport ended, or Close was sent, inside a fragmented message.
    UnfinishedMessage,
}

/// What the WebSocket layer noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A frame header of any opcode was read. Comes when the header is complete,
    /// before the events of its payload.
    Frame(Frame),
    /// A data message ended: its last fragment came, or something cut it off.
    Message(Box<Message>),
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
    /// Frames of this direction can't be told any more, and why.
    LostSync {
        /// Whose frames.
        direction: Direction,
        /// From where on.
        at: PacketRef,
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
