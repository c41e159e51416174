//! What can't be read, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why nothing of an input could be read: one line with the file, the place in it and the way out.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No file has this name.
    #[error("{path}: no such file; check the name, or give - to read from stdin", path = path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file is there but not for us. Usual where tcpdump ran as root.
    #[error(
        "{path}: permission denied; run as a user who may read it, or have its owner run chmod a+r on it",
        path = path.display()
    )]
    Permission {
        /// The file or directory.
        path: PathBuf,
    },
    /// The operating system refused in another way.
    #[error("{path}: offset {offset}: {error}; check the file and the disk that it is on", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// How far reading came, in bytes.
        offset: u64,
        /// What the system said.
        error: io::Error,
    },
    /// A file of no bytes. Usually the capture was killed before it wrote its buffer, or the disk was full.
    #[error(
        "{path}: offset 0: the file is empty; end the capture with Ctrl-C, or write with tcpdump -U -w, and try again",
        path = path.display()
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something else than a capture.
    #[error(
        "{path}: offset 0: not a pcap or pcapng file ({found}); {way_out}",
        path = path.display()
    )]
    NotACapture {
        /// The file.
        path: PathBuf,
        /// What stands there, for the eye.
        found: String,
        /// What to do with such a file.
        way_out: &'static str,
    },
    /// A compression that is not unpacked here.
    #[error(
        "{path}: offset 0: compressed with {method}; unpack it first: {command} {path}",
        path = path.display()
    )]
    Compressed {
        /// The file.
        path: PathBuf,
        /// Its name.
        method: &'static str,
        /// The command that unpacks such a file.
        command: &'static str,
    },
    /// A capture that is damaged before its first packet could be told.
    #[error(
        "{path}: offset {offset}: {what}; take a fresh copy of the file, or capture again",
        path = path.display()
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// The place, in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A directory in which no file is a capture.
    #[error(
        "{path}: no pcap or pcapng file in this directory; name the files, or the directory that tcpdump -w wrote to",
        path = path.display()
    )]
    NoCaptures {
        /// The directory.
        path: PathBuf,
    },
    /// More files than are told apart.
    #[error("more than 65,535 files; give fewer at once, or start again")]
    TooManyFiles,
}

impl SourceError {
    /// What the system said of `path`, in our words where we have better ones.
    pub(super) fn from_io(path: PathBuf, offset: u64, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::PermissionDenied => Self::Permission { path },
            // What unpacks says so of a file that is cut off.
            io::ErrorKind::UnexpectedEof => Self::Header {
                path,
                offset,
                what: error.to_string(),
            },
            _ => Self::Io {
                path,
                offset,
                error,
            },
        }
    }
}

/// What ends the reading of a file that began well. It becomes the file's [`Damage`](super::Damage).
#[derive(Debug, thiserror::Error)]
pub(super) enum Breach {
    /// The file is shorter than its last record. Usual for a capture that was copied while it ran.
    #[error("the file ends inside {part} ({there} of its {whole} bytes are there)")]
    CutOff {
        part: &'static str,
        there: usize,
        whole: usize,
    },
    /// The system or the decompressor gave up.
    #[error("reading stopped: {0}")]
    Failed(io::Error),
    /// A pcap record that no capture writes.
    #[error(
        "a packet record claims {claimed} bytes, and no packet of this file can have more than {most}"
    )]
    RecordLength { claimed: u32, most: u32 },
    /// A pcapng block that is shorter than its own header, has no multiple of 4 bytes, or is vast.
    #[error("a block of type {kind:#010x} claims an impossible length of {claimed} bytes")]
    BlockLength { kind: u32, claimed: u32 },
    /// The length stands before and after a block, for reading in both directions.
    #[error(
        "a block of type {kind:#010x} begins with length {before} and ends with length {after}"
    )]
    Lengths { kind: u32, before: u32, after: u32 },
    /// A block that is too short for its fixed fields, or for the packet that it announces.
    #[error("{0} is shorter than what it announces")]
    Short(&'static str),
    /// A section header whose byte-order magic is neither way round.
    #[error("a section header has no byte-order magic ({0:#010x} stands there)")]
    ByteOrder(u32),
    /// A newer format than ours.
    #[error("version {major}.{minor} of the format is unknown")]
    Version { major: u16, minor: u16 },
    /// A packet of an interface that the section doesn't describe: its link type is unknown.
    #[error("a packet belongs to interface {id}, and the section describes only {known}")]
    Interface { id: u32, known: usize },
    /// More interfaces than are kept.
    #[error("the section describes more than {0} interfaces")]
    Interfaces(usize),
}
