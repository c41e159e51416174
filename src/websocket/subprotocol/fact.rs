//! What a message of a known protocol says.

use std::time::Duration;

use super::words::{Id, Word};
use super::{Protocol, Source};
use crate::stream::{Direction, PacketRef};
use crate::websocket::Opcode;

/// The message that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Who sent it.
    pub direction: Direction,
    /// Text or binary.
    pub opcode: Opcode,
    /// The packet with its first byte.
    pub first: PacketRef,
    /// The packet that brought its last missing byte.
    pub last: PacketRef,
    /// When the receiver could have its first byte.
    pub begun: PacketRef,
    /// When the receiver could have all of it.
    pub available: PacketRef,
    /// Stream offset just after its last frame.
    pub end: u64,
    /// All of it was looked at.
    pub whole: bool,
    /// That it is a message, and where it begins, is certain.
    pub certain: bool,
}

/// A fact and its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The message.
    pub heard: Heard,
    /// What it says.
    pub fact: Fact,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// From here on it is known what is spoken. May come again, when an inner protocol shows.
    Recognised {
        /// What.
        protocol: Protocol,
        /// What tells it.
        source: Source,
    },
    /// The exchange that has to come before all else was begun.
    OpeningBegun,
    /// It was accepted.
    OpeningAccepted,
    /// It was refused.
    OpeningRefused(Box<Fault>),
    /// A request, which a reply of the other side answers.
    Request {
        /// Its id, among those of its sender.
        id: Id,
        /// The method, event or command.
        method: Word,
    },
    /// A reply, or the first part of one.
    Reply {
        /// The id of the request, among those of the other side.
        id: Id,
        /// The request failed.
        fault: Option<Box<Fault>>,
    },
    /// The sender of a request wants no more reply to it.
    Cancelled {
        /// Its id.
        id: Id,
    },
    /// A message that no reply is due to.
    Notification {
        /// The method, event or command.
        method: Word,
    },
    /// An error that belongs to no request.
    Error(Box<Fault>),
    /// A heartbeat that has to be answered.
    Ping {
        /// What its answer repeats.
        id: Option<Id>,
    },
    /// The answer to a heartbeat.
    Pong {
        /// What it repeats.
        id: Option<Id>,
    },
    /// A heartbeat that nobody answers.
    Beat,
    /// How often something has to be heard.
    Contract(Contract),
    /// How often the sender can send heartbeats and wants to get some, zero
    /// being never: both sides' words together make the contract (STOMP 1.2, "Heart-beating").
    HeartbeatOffer {
        /// The least time between those that it can send.
        sends: Duration,
        /// The time between those that it wants.
        wants: Duration,
    },
    /// A subscription was asked for.
    Subscribe {
        /// To what, or its id.
        name: Word,
    },
    /// It was granted.
    Subscribed {
        /// See [`Fact::Subscribe`].
        name: Word,
    },
    /// It is over.
    Unsubscribed {
        /// See [`Fact::Subscribe`].
        name: Word,
    },
    /// Something for a subscription.
    Push {
        /// See [`Fact::Subscribe`]; empty where nothing tells.
        name: Word,
    },
    /// What would tell whether it is a reply lies beyond what is looked at.
    Unread,
    /// A text that has to be JSON and isn't, from this byte on.
    Malformed {
        /// From 0.
        offset: u64,
    },
}

/// How often something of one side has to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Whose heartbeats.
    pub sender: Direction,
    /// How often.
    pub every: Duration,
    /// The other side may give up when it heard nothing for so long.
    pub deadline: Duration,
    /// Any message of that side is as good as a heartbeat.
    pub any_message: bool,
}

/// An error inside the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Its number or name, if it has one.
    pub code: Word,
    /// What it says; the beginning of it.
    pub text: String,
    /// It says that the peer is not let in, or not any more.
    pub auth: bool,
}
