//! What the readers of both formats find in a record.

use super::LinkType;
use crate::time::Timestamp;

/// A record or block, and how many bytes of the input it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) taken: usize,
    pub(super) item: Item,
}

/// What it was. Positions count from the record's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Packet(Found),
    /// Wireshark numbers it, and it is no packet of a network.
    Frame,
    /// A key log.
    Secrets {
        start: usize,
        len: usize,
    },
    /// So many more packets were dropped.
    Dropped(u64),
    /// Nothing to hand over.
    Nothing,
}

/// A packet in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// `None` in a Simple Packet Block.
    pub(super) time: Option<Timestamp>,
    pub(super) link: LinkType,
    pub(super) wire_len: u32,
    pub(super) start: usize,
    pub(super) len: usize,
    /// Packets of the same interface that were lost just before this one.
    pub(super) lost: u64,
}
