//! Where packets come from: the only module that reads the world.

use std::path::PathBuf;

use crate::stream::PacketRef;
use crate::time::Timestamp;

/// A data link type as pcap files number it (LINKTYPE_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

/// One captured packet, lent from the reader's block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When, which, and from which file.
    pub at: PacketRef,
    /// How to read the first byte.
    pub link: LinkType,
    /// Length on the wire, in bytes.
    pub wire_len: u32,
    /// The captured bytes.
    pub bytes: &'a [u8],
}

/// What a source hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// The text of a key log (RFC 9850) that the capture carries within itself.
    KeyLog(&'a [u8]),
    /// The capturing machine dropped this many packets since it last said so.
    Dropped(u64),
    /// Live only: nothing came until now.
    Tick(Timestamp),
}

/// What can't be read and why, in one line that names the way out.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Placeholder of the skeleton.
    #[error("{path}: {why}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
}
