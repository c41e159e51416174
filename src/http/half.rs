//! One side of a connection of HTTP, and what it waits for.

use super::Request;
use super::body::Body;
use super::connect::Asked;
use super::gather::Gather;
use super::hold::Held;
use crate::stream::PacketRef;

/// What one side sends.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) phase: Phase,
    pub(super) gather: Gather,
    pub(super) held: Held,
    /// Whether a head of this side was read, or bytes before the first were missing.
    pub(super) begun: bool,
    /// Why the place of the next head isn't known, while it isn't.
    pub(super) lost: Option<PacketRef>,
    pub(super) ended: Option<PacketRef>,
}

/// What the next byte of a side belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first bytes; what they speak isn't known.
    #[default]
    Start,
    Head,
    Body(Body),
    /// Bytes were lost: the next head is looked for at the start of each chunk.
    Search,
    /// The messages of SOCKS before a tunnel.
    Socks,
    /// No HTTP.
    Ignored,
    Stream,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) enum Question {
    WebSocket { request: Box<Request>, size: usize },
    Connect(Box<Asked>),
    Head,
    Ordinary,
}

impl Question {
    /// Whether what follows it can't be read before the answer is known.
    pub(super) const fn decides_the_protocol(&self) -> bool {
        matches!(self, Self::WebSocket { .. } | Self::Connect(_))
    }
}
