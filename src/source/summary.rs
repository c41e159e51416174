//! What a capture file was, told when it has been read.

use std::fmt;
use std::path::PathBuf;

use super::LinkType;
use crate::stream::PacketRef;
use crate::time::Timestamp;

/// How the file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// libpcap's own, in any of its flavours.
    Pcap,
    /// The block format of Wireshark and dumpcap.
    Pcapng,
}

impl Format {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
        }
    }
}

/// Where a file stops making sense, and how. Everything before it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Bytes from the beginning of the file (of what it unpacks to, if it is compressed).
    pub offset: u64,
    /// What is wrong there, without a full stop: `the file ends inside a packet record ...`.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}: {}", self.offset, self.what)
    }
}

/// A comment that somebody left in a pcapng file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The packet that it belongs to (`frame.number`); `None` for one on the file or an interface.
    pub packet: Option<u64>,
    /// What it says; cut where it is very long.
    pub text: String,
}

/// An interface of the capture. A pcap file has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// How its packets begin.
    pub link: LinkType,
    /// Where the file says so, in bytes from its beginning.
    pub offset: u64,
    /// At most this many bytes of each packet were kept; `None` where the file sets no limit.
    pub snap_length: Option<u32>,
    /// Its name on the capturing machine, where the file tells it.
    pub name: Option<String>,
}

/// What one file held. While it is being read: what it held so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSummary {
    /// The file, as it was named to us.
    pub path: PathBuf,
    /// How it is written.
    pub format: Format,
    /// Packets of a network.
    pub packets: u64,
    /// The last `frame.number`. More than `packets` where the file has other records that
    /// Wireshark numbers too, such as entries of a systemd journal.
    pub last_number: u64,
    /// Bytes read, after unpacking.
    pub bytes: u64,
    /// The earliest time of a packet.
    pub first: Option<Timestamp>,
    /// The latest time of a packet.
    pub last: Option<Timestamp>,
    /// Where reading ended before the file did.
    pub damage: Option<Damage>,
    /// Packets that the capturing machine says it dropped.
    pub dropped: u64,
    /// The first comments, in file order.
    pub comments: Vec<Comment>,
    /// The program that wrote the file, where it says so.
    pub application: Option<String>,
    /// The first interfaces, in file order.
    pub interfaces: Vec<Interface>,
    /// By how much its clock is ahead of another file's: its times are told without that.
    pub lead: Option<Lead>,
}

/// How far the clock of a file is ahead of that of others, and what shows it. The two
/// packets are as the files stamp them; one is of this file, the other of `than`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Nanoseconds; negative where it is behind.
    pub nanos: i64,
    /// The file with which it was compared.
    pub than: PathBuf,
    /// Of this file are the bytes, rather than their acknowledgment.
    pub sent_here: bool,
    /// Bytes.
    pub sent: PacketRef,
    /// Their acknowledgment; of one of the two, it is stamped before them.
    pub acked: PacketRef,
}

/// How many comments, and how many interfaces, a summary tells. Rationale: more
/// than a person reads; a file that was annotated by a program can hold millions.
const MOST: usize = 1000;

/// The longest text that is kept, in bytes. Rationale: a comment is a remark;
/// the format allows 64 KiB each.
const LONGEST: usize = 4096;

impl FileSummary {
    pub(super) const fn new(path: PathBuf, format: Format) -> Self {
        Self {
            path,
            format,
            packets: 0,
            last_number: 0,
            bytes: 0,
            first: None,
            last: None,
            damage: None,
            dropped: 0,
            comments: Vec::new(),
            application: None,
            interfaces: Vec::new(),
            lead: None,
        }
    }

    /// Counts a packet; `time` is `None` where the record has none of its own.
    pub(super) fn count(&mut self, time: Option<Timestamp>) {
        self.packets = self.packets.saturating_add(1);
        self.number_record();
        let Some(time) = time else { return };
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
    }

    /// Gives a record the next number.
    pub(super) fn number_record(&mut self) {
        self.last_number = self.last_number.saturating_add(1);
    }

    pub(super) fn add_interface(&mut self, interface: Interface) {
        if self.interfaces.len() < MOST {
            self.interfaces.push(interface);
        }
    }

    /// Keeps a comment on the file or one of its interfaces.
    pub(super) fn add_comment(&mut self, bytes: &[u8]) {
        self.keep_comment(None, bytes);
    }

    /// Keeps a comment on the packet that is counted next.
    pub(super) fn add_packet_comment(&mut self, bytes: &[u8]) {
        self.keep_comment(Some(self.last_number.saturating_add(1)), bytes);
    }

    fn keep_comment(&mut self, packet: Option<u64>, bytes: &[u8]) {
        if self.comments.len() < MOST {
            self.comments.push(Comment {
                packet,
                text: text(bytes),
            });
        }
    }
}

/// A string of the file, made readable.
pub(super) fn text(bytes: &[u8]) -> String {
    let kept = bytes.get(..LONGEST).unwrap_or(bytes);
    String::from_utf8_lossy(kept)
        .trim_end_matches('\0')
        .to_owned()
}
