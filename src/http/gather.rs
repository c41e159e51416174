//! Gathers a head until its empty line: lent where it lies in one chunk, copied where it doesn't.

use memchr::memchr;

use crate::stream::{Chunk, PacketRef};

/// The longest head that is read.
///
/// Rationale: servers refuse heads of more than 8 to 32 KiB; twice that leaves
/// room for cookies that grew out of hand and still bounds what a connection holds.
pub(super) const HEAD_MAX: usize = 64 * 1024;

/// The head of one direction as far as it came.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// What came in earlier chunks.
    buffer: Vec<u8>,
    /// The packet with the first byte.
    first: Option<PacketRef>,
    line: Line,
}

/// What the current line holds so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    Empty,
    CarriageReturn,
    #[default]
    Content,
}

/// What a chunk did to the head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// All bytes taken; more are needed.
    Pending,
    /// It is complete after so many bytes of the chunk: see [`Gather::head`].
    Complete(usize),
    /// It is longer than [`HEAD_MAX`].
    TooLong,
}

impl Gather {
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// What came so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// The packet with the first byte.
    pub(super) fn first(&self) -> Option<PacketRef> {
        self.first
    }

    /// The bytes kept so far, followed by these.
    pub(super) fn with<'a>(&'a self, bytes: &'a [u8], joined: &'a mut Vec<u8>) -> &'a [u8] {
        if self.buffer.is_empty() {
            return bytes;
        }
        joined.extend_from_slice(&self.buffer);
        joined.extend_from_slice(bytes);
        joined
    }

    /// Keeps bytes that end no head.
    pub(super) fn keep(&mut self, bytes: &[u8], seen: PacketRef) {
        self.first.get_or_insert(seen);
        self.buffer.extend_from_slice(bytes);
    }

    /// Drops the first `len` of the kept bytes; how many of `len` were not there.
    pub(super) fn drop_front(&mut self, len: usize) -> usize {
        let here = len.min(self.buffer.len());
        self.buffer.drain(..here);
        if self.buffer.is_empty() {
            self.first = None;
        }
        len - here
    }

    /// Looks for the end of the head.
    pub(super) fn push(&mut self, chunk: &Chunk<'_>) -> Gathered {
        let end = self.find_end(chunk.bytes);
        let len = end.unwrap_or(chunk.bytes.len());
        if self.buffer.len().saturating_add(len) > HEAD_MAX {
            return Gathered::TooLong;
        }
        let Some(end) = end else {
            self.keep(chunk.bytes, chunk.seen);
            return Gathered::Pending;
        };
        if !self.buffer.is_empty() {
            self.buffer
                .extend_from_slice(chunk.bytes.get(..end).unwrap_or_default());
        }
        Gathered::Complete(end)
    }

    /// The head that `push` found to be complete after `end` bytes of the chunk, and the packet of its first byte.
    pub(super) fn head<'a>(&'a self, chunk: &Chunk<'a>, end: usize) -> (&'a [u8], PacketRef) {
        let first = self.first.unwrap_or(chunk.seen);
        match self.buffer.as_slice() {
            [] => (chunk.bytes.get(..end).unwrap_or_default(), first),
            buffer => (buffer, first),
        }
    }

    /// RFC 9112, section 2.1: the head ends with an empty line; section 2.2: LF alone may end a line.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match (self.line, rest.first()) {
                (Line::Empty | Line::CarriageReturn, Some(b'\n')) => return Some(at + 1),
                (Line::Empty, Some(b'\r')) => {
                    self.line = Line::CarriageReturn;
                    at += 1;
                }
                _ => {
                    let Some(feed) = memchr(b'\n', rest) else {
                        self.line = Line::Content;
                        return None;
                    };
                    self.line = Line::Empty;
                    at += feed + 1;
                }
            }
        }
        None
    }
}
