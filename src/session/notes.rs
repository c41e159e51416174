//! The small facts that a session lists.

use super::{Answered, Breach, Exchange, PongKind};
use crate::stream::{Direction, GapCause, PacketRef};

/// What the session made of a WebSocket fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A Ping, and the time since the same side's Ping before.
    Ping {
        /// That time; `None` for the first.
        gap: Option<std::time::Duration>,
        /// Its Pong, where that was told of before the Ping.
        answer: Option<Exchange>,
    },
    /// A Pong.
    Pong(PongKind),
    /// A reply to a request.
    Reply(Answered),
    /// Nothing that anyone asks for.
    Nothing,
}

/// A breach of the standards, where and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreachNote {
    /// What was broken.
    pub breach: Breach,
    /// By whom.
    pub direction: Direction,
    /// The packet that shows it.
    pub at: PacketRef,
    /// The frame's position in its stream.
    pub offset: u64,
    /// What was seen.
    pub detail: String,
}

/// Where a direction's transport ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// The FIN or RST.
    pub at: PacketRef,
    /// Payload bytes seen and announced, where it ended inside a frame.
    pub inside_frame: Option<(u64, u64)>,
}

/// The largest payload that a data frame of one side announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Bytes, as the frame's header says.
    pub len: u64,
    /// The packet with the header.
    pub at: PacketRef,
    /// The largest before it, and its packet.
    pub before: Option<(u64, PacketRef)>,
}

/// Missing bytes, as the WebSocket layer met them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameGap {
    /// Whose bytes.
    pub direction: Direction,
    /// Why.
    pub cause: GapCause,
    /// Where that became clear.
    pub at: PacketRef,
    /// The next frame's place stayed known.
    pub in_step: bool,
}

/// What searches for frames of one direction met with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resyncs {
    /// How often frames could be told again after the place of the next one was lost.
    pub count: u64,
    /// Captured bytes that the searches passed over: they are in no frame.
    pub skipped: u64,
    /// Captured bytes after which no frame could be told.
    pub unread: u64,
    /// The packet with the first frame after the newest search that found one.
    pub last: Option<PacketRef>,
}
