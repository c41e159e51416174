//! The block of file bytes in which records are parsed in place.

use std::io::{self, Read};

/// Size of the first read. Rationale: small, because a merge of many files
/// looks at the first packet of each before it reads any in full.
const FIRST_READ: usize = 64 << 10;

/// Size of later reads. Rationale: large enough that the system call costs
/// nothing per packet, small enough to stay in a second-level cache.
const READ: usize = 256 << 10;

/// The longest record or block that is held in memory. Rationale: no interface
/// carries a packet near it, and what writers put into one block besides (key
/// logs, name tables) stays below it; a length beyond is damage.
pub(super) const MAX_RECORD: usize = 64 << 20;

/// A window on the input: bytes that were read and not yet consumed.
///
/// ```text
/// buffer  [ consumed | start .. end: available | free ]
///           ^ file offset `base`
/// ```
pub(super) struct Block {
    /// `None` once it has ended, failed or been closed.
    input: Option<Box<dyn Read + Send>>,
    /// The input may get longer: its end is no end.
    growing: bool,
    /// Why reading stopped, where that was not the end of the input.
    failure: Option<io::Error>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    base: u64,
}

impl Block {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            input: Some(input),
            growing: false,
            failure: None,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
        }
    }

    /// A file that is still written to: what isn't there may come, until
    /// [`settle`](Self::settle) says otherwise.
    pub(super) fn growing(input: Box<dyn Read + Send>) -> Self {
        Self {
            growing: true,
            ..Self::new(input)
        }
    }

    /// Whether more may come.
    pub(super) const fn is_growing(&self) -> bool {
        self.growing && self.input.is_some()
    }

    /// From now on the end of the input is its end.
    pub(super) fn settle(&mut self) {
        self.growing = false;
    }

    /// No more is read than was.
    pub(super) fn cut(&mut self) {
        self.input = None;
    }

    /// The bytes at hand.
    pub(super) fn available(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// All bytes at hand, once they are at least `len`; `None` if the input ends before.
    pub(super) fn want(&mut self, len: usize) -> Option<&[u8]> {
        if self.end - self.start < len && !self.fill(len) {
            return None;
        }
        Some(self.available())
    }

    /// Moves on by `len` bytes of what is available.
    pub(super) fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
    }

    /// Where in the input the next byte stands.
    pub(super) fn offset(&self) -> u64 {
        self.base.saturating_add(length(self.start))
    }

    /// How many bytes were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.base.saturating_add(length(self.end))
    }

    /// Takes the error that ended reading, if there was one.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Gives memory and file back; offsets stay.
    pub(super) fn close(&mut self) {
        self.base = self.bytes_read();
        (self.start, self.end) = (0, 0);
        self.input = None;
        self.buffer = Vec::new();
    }

    /// Reads until `len` bytes are available. No more than one read beyond what is
    /// asked for: a packet from a pipe is handed over before the next one comes.
    #[cold]
    fn fill(&mut self, len: usize) -> bool {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base = self.offset();
        self.end -= self.start;
        self.start = 0;
        while self.end < len {
            self.make_room(len);
            if !self.read_once() {
                return false;
            }
        }
        true
    }

    /// Grows the buffer by doubling, so that a length that is only claimed never
    /// allocates more than twice the bytes that really came.
    fn make_room(&mut self, len: usize) {
        let size = match self.buffer.len() {
            0 => FIRST_READ,
            size if size < READ => READ,
            size if size == self.end => size.saturating_mul(2).min(len.max(size)),
            size => size,
        };
        self.buffer.resize(size.max(self.buffer.len()), 0);
    }

    /// One read into the free part; false at the end of the input.
    fn read_once(&mut self) -> bool {
        let (Some(input), Some(free)) = (&mut self.input, self.buffer.get_mut(self.end..)) else {
            return false;
        };
        loop {
            match input.read(free) {
                Ok(0) if self.growing => return false,
                Ok(0) => break,
                Ok(read) => {
                    self.end = self.end.saturating_add(read).min(self.buffer.len());
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        self.input = None;
        false
    }
}

/// The input as bytes, for those who unpack it.
impl Read for Block {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(bytes) = self.want(1) else {
            return self.take_failure().map_or(Ok(0), Err);
        };
        let len = bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), bytes.get(..len)) {
            to.copy_from_slice(from);
        }
        self.consume(len);
        Ok(len)
    }
}

/// A length in memory as one in a file.
pub(super) fn length(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_longer_than_a_read_are_gathered() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut block = Block::new(Box::new(io::Cursor::new(bytes.clone())));
        assert_eq!(block.want(10).map(|bytes| bytes[0]), Some(0));
        block.consume(10);
        assert_eq!(
            block
                .want(2_500_000)
                .map(|all| all[..2_500_000] == bytes[10..2_500_010]),
            Some(true)
        );
        block.consume(2_500_000);
        assert_eq!(block.offset(), 2_500_010);
        assert!(block.want(600_000).is_none());
        assert_eq!(block.bytes_read(), 3_000_000);
    }

    #[test]
    fn a_claimed_length_allocates_no_more_than_comes() {
        let mut block = Block::new(Box::new(io::Cursor::new(vec![7; 100])));
        assert!(block.want(MAX_RECORD).is_none());
        assert!(block.buffer.len() <= READ, "{} bytes", block.buffer.len());
        assert_eq!(block.available().len(), 100);
    }
}
