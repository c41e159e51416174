//! Where packets come from: the only module that reads the world.

mod block;
mod directory;
mod error;
mod file;
mod follow;
mod item;
mod keylog;
mod magic;
mod merge;
mod options;
mod order;
mod pcap;
mod pcapng;
mod resolution;
mod secrets;
mod section;
mod summary;
#[cfg(test)]
mod tests;
mod unpack;

pub use directory::{Inputs, expand};
pub use error::SourceError;
pub use file::CaptureFile;
pub use follow::Followed;
pub use keylog::{KeyLogSummary, read_key_log};
pub use merge::Merged;
pub use secrets::embedded_key_logs;
pub use summary::{Comment, Damage, FileSummary, Format, Interface, Lead};

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
    /// Nothing came until now, by the clock of the packets: live, or where a file is followed.
    Tick(Timestamp),
}

/// Hands over packets, one at a time.
pub trait Source {
    /// The next input, lent until the next call; `None` at the end, and then always.
    ///
    /// # Errors
    /// The world refused, and nothing more comes.
    fn next(&mut self) -> Result<Option<Input<'_>>, SourceError>;
}
