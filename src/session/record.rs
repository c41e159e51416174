//! Messages and control frames one by one, for those who asked for them.

use std::time::Duration;

use super::{Answered, FrameConfidence};
use crate::stream::{Direction, PacketRef};
use crate::websocket::{CloseFrame, Control, Message};

/// A message or a control frame.
#[derive(Clone, Debug)]
pub struct Record {
    /// The session's number.
    pub session: u32,
    /// Wireshark's `tcp.stream`.
    pub tcp_stream: u32,
    /// What it is.
    pub kind: RecordKind,
    /// The acknowledgment of its last byte.
    pub acked: Option<PacketRef>,
    /// Of a reply: what it answers.
    pub answers: Option<Answered>,
    /// Secret values of the session's request that the text of a Close may repeat.
    pub secrets: Vec<String>,
}

/// What a record is.
#[derive(Clone, Debug)]
pub enum RecordKind {
    /// A data message.
    Message(Message),
    /// A Ping.
    Ping {
        /// The frame.
        control: Control,
        /// The time to its Pong.
        rtt: Option<Duration>,
        /// The time since the same side's Ping before.
        gap: Option<Duration>,
    },
    /// A Pong.
    Pong(Control),
    /// A Close.
    Close(Box<CloseFrame>),
}

impl Record {
    /// The packet with its first byte.
    pub fn first(&self) -> PacketRef {
        match &self.kind {
            RecordKind::Message(message) => message.first,
            RecordKind::Ping { control, .. } | RecordKind::Pong(control) => control.frame.at,
            RecordKind::Close(close) => close.control.frame.at,
        }
    }

    /// How sure it is that it begins where it was read.
    pub fn confidence(&self) -> FrameConfidence {
        match &self.kind {
            RecordKind::Message(message) => message.confidence,
            RecordKind::Ping { control, .. } | RecordKind::Pong(control) => {
                control.frame.confidence
            }
            RecordKind::Close(close) => close.control.frame.confidence,
        }
    }

    /// Who sent it.
    pub fn direction(&self) -> Direction {
        match &self.kind {
            RecordKind::Message(message) => message.direction,
            RecordKind::Ping { control, .. } | RecordKind::Pong(control) => control.frame.direction,
            RecordKind::Close(close) => close.control.frame.direction,
        }
    }

    /// Stream offset just after its last frame.
    pub fn end(&self) -> u64 {
        match &self.kind {
            RecordKind::Message(message) => message.end,
            RecordKind::Ping { control, .. } | RecordKind::Pong(control) => control.frame.end(),
            RecordKind::Close(close) => close.control.frame.end(),
        }
    }

    /// Bytes of payload that it holds.
    pub fn bytes(&self) -> usize {
        match &self.kind {
            RecordKind::Message(message) => message.payload.as_ref().map_or(0, Vec::len),
            _ => 0,
        }
    }
}
