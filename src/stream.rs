//! The words that all layers share: directions, packets, and the byte stream
//! that one layer hands to the next.
//!
//! TCP and TLS hand the layer above the same type, [`StreamEvent`], so
//! that HTTP and WebSocket can't tell whether bytes came in the clear, late, or
//! through a decryptor.

mod secret;

use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

use crate::time::Timestamp;

pub use secret::{Secret, SecretLabel};

/// Who sent it, seen from neither side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Sent by the client: the side that opened the connection.
    ClientToServer,
    /// Sent by the server.
    ServerToClient,
}

impl Direction {
    /// Both directions, the client's first.
    pub const BOTH: [Self; 2] = [Self::ClientToServer, Self::ServerToClient];

    /// The other one.
    pub const fn reverse(self) -> Self {
        match self {
            Self::ClientToServer => Self::ServerToClient,
            Self::ServerToClient => Self::ClientToServer,
        }
    }

    /// The sender's name in reports: `client` or `server`.
    pub const fn sender(self) -> &'static str {
        match self {
            Self::ClientToServer => "client",
            Self::ServerToClient => "server",
        }
    }

    /// The receiver's name in reports.
    pub const fn receiver(self) -> &'static str {
        self.reverse().sender()
    }
}

/// One value for each side of a connection, indexed by the direction in which
/// that side *sends*: `sides[ClientToServer]` is the client's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides<T> {
    /// The client's value, or that of what the client sent.
    pub client: T,
    /// The server's value, or that of what the server sent.
    pub server: T,
}

impl<T> Sides<T> {
    /// The pair in which each side has `make(direction)`.
    pub fn from_fn(mut make: impl FnMut(Direction) -> T) -> Self {
        Self {
            client: make(Direction::ClientToServer),
            server: make(Direction::ServerToClient),
        }
    }

    /// Exchanges the two.
    pub fn swap(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
    }

    /// Both values, the client's first.
    pub fn iter(&self) -> impl Iterator<Item = (Direction, &T)> {
        [
            (Direction::ClientToServer, &self.client),
            (Direction::ServerToClient, &self.server),
        ]
        .into_iter()
    }
}

impl<T> Index<Direction> for Sides<T> {
    type Output = T;

    fn index(&self, direction: Direction) -> &T {
        match direction {
            Direction::ClientToServer => &self.client,
            Direction::ServerToClient => &self.server,
        }
    }
}

impl<T> IndexMut<Direction> for Sides<T> {
    fn index_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::ClientToServer => &mut self.client,
            Direction::ServerToClient => &mut self.server,
        }
    }
}

/// A time between two settings of the capture's clock, the first one by default.
///
/// Never 0 inside, so that an `Option<PacketRef>` is no larger than a [`PacketRef`]:
/// records of sessions consist of little else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(NonZeroU32);

impl Default for Epoch {
    fn default() -> Self {
        Self(NonZeroU32::MIN)
    }
}

impl Epoch {
    /// The one that follows.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One captured packet: where to look.
///
/// Of two packets that one is less which was captured first: by their times, unless the
/// clock was set back between them. Their order in the file doesn't tell it, since two
/// interfaces or threads may write one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketRef {
    /// How often a clock was set back before, as far as the analysis noticed. Its times
    /// compare with those of the same epoch only.
    pub epoch: Epoch,
    /// When the capture saw it.
    pub time: Timestamp,
    /// Wireshark's `frame.number`: from 1, per file.
    pub number: u64,
    /// Which of the input's files, from 0.
    pub source: u16,
}

/// Contiguous bytes of one direction, in order, each byte of the stream at most once.
///
/// The bytes are lent: they live in the reader's block or in the reassembler
/// until the call that hands them over returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Who sent them.
    pub direction: Direction,
    /// Position of the first byte in its stream, from 0.
    pub offset: u64,
    /// The bytes; never empty.
    pub bytes: &'a [u8],
    /// The packet that carried them.
    pub seen: PacketRef,
    /// The packet after which the receiving application could have them. Later
    /// than `seen` where an earlier byte was still on its way: the difference
    /// is head-of-line waiting.
    pub released: PacketRef,
}

/// Why bytes of a stream are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapCause {
    /// The peer acknowledged them, or later bytes of the stream were seen, but the capture has no packet with them.
    NotCaptured,
    /// The packet was cut by the snap length.
    SnapLength,
    /// They were sent before the capture began.
    BeganMidStream,
    /// They were dropped to stay within a limit on memory.
    LimitReached,
    /// They are encrypted and no key is known.
    NoKeys,
}

impl GapCause {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotCaptured => "not-captured",
            Self::SnapLength => "snap-length",
            Self::BeganMidStream => "began-mid-stream",
            Self::LimitReached => "limit-reached",
            Self::NoKeys => "no-keys",
        }
    }
}

/// Bytes of a stream that the layer below could not hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Who sent the missing bytes.
    pub direction: Direction,
    /// Position of the first missing byte.
    pub offset: u64,
    /// How many are missing; `None` where that can't be known (the stream
    /// then goes on at an offset of its own choosing, at or after `offset`).
    pub len: Option<u64>,
    /// Why.
    pub cause: GapCause,
    /// The packet that showed that they are missing.
    pub at: PacketRef,
}

/// What a layer hands to the layer above it, in stream order per direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// The next bytes.
    Chunk(Chunk<'a>),
    /// The next bytes are missing.
    Gap(Gap),
    /// This side sends nothing any more: a FIN in order, or a reset by either side.
    /// Comes at most once per direction, and not at all if the capture ends first.
    End(Direction, PacketRef),
}

impl StreamEvent<'_> {
    /// Whose bytes, whose gap or whose end it is.
    pub const fn direction(&self) -> Direction {
        match self {
            Self::Chunk(chunk) => chunk.direction,
            Self::Gap(gap) => gap.direction,
            Self::End(direction, _) => *direction,
        }
    }
}
