//! Compressed files, unpacked while they are read.

mod lz4;
mod xz;
mod zstd;

use std::fmt;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use flate2::read::MultiGzDecoder;

use super::block::Block;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// gzip, RFC 1952.
    Gzip,
    /// Zstandard, RFC 8878.
    Zstd,
    /// LZ4 frames, the legacy ones too.
    Lz4,
    /// xz.
    Xz,
}

/// The most memory that a compressed file may ask for, in bytes. Rationale: what
/// `zstd --long` and `xz -9` need; a file that asks for more was made to hurt.
const MOST_WINDOW: usize = 128 << 20;

/// Size of what crosses from the thread at once, and how many of these may wait.
/// Rationale: a zstd block is as long; four keep both threads busy.
const PIECE: usize = 128 << 10;
const PIECES: usize = 4;

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
        })
    }
}

impl Method {
    /// What the input unpacks to. After members, frames or streams follow others
    /// of the same method (`cat a.gz b.gz`).
    pub(super) fn reader(self, input: Block) -> Box<dyn Read + Send> {
        match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::Frames::new(input)),
            Self::Lz4 => Box::new(lz4::Frames::new(input)),
            Self::Xz => Box::new(xz::Streams::new(input)),
        }
    }

    /// As [`reader`](Self::reader), at work in a thread of its own, which ends
    /// when nobody reads any more.
    pub(super) fn thread(self, input: Block) -> io::Result<Box<dyn Read + Send>> {
        let (pieces, from) = sync_channel(PIECES);
        let (back, spare) = sync_channel(PIECES);
        thread::Builder::new()
            .name(format!("unpack {self}"))
            .spawn(move || unpack(self.reader(input), &pieces, &spare))?;
        Ok(Box::new(Pieces {
            method: self,
            from,
            back,
            piece: Vec::new(),
            at: 0,
            ended: false,
        }))
    }

    /// What went wrong, in the user's words.
    fn told(self, error: &io::Error) -> io::Error {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("the {self} data ends early"),
            _ => format!("the {self} data can't be unpacked on ({error})"),
        };
        io::Error::new(error.kind(), what)
    }
}

/// Bytes, or the end of them: an empty piece.
type Piece = io::Result<Vec<u8>>;

/// Unpacks until the end, an error, or until nobody listens.
fn unpack(mut reader: Box<dyn Read + Send>, pieces: &SyncSender<Piece>, spare: &Receiver<Vec<u8>>) {
    loop {
        let mut piece: Vec<u8> = spare.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        let read = match reader.read(&mut piece) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let _ = pieces.send(Err(error));
                return;
            }
        };
        piece.truncate(read);
        if pieces.send(Ok(piece)).is_err() || read == 0 {
            return;
        }
    }
}

/// The reading end.
struct Pieces {
    method: Method,
    from: Receiver<Piece>,
    back: SyncSender<Vec<u8>>,
    piece: Vec<u8>,
    /// How much of the piece was read.
    at: usize,
    ended: bool,
}

impl Pieces {
    /// Waits for more; false at the end.
    fn next(&mut self) -> io::Result<bool> {
        let _ = self.back.try_send(std::mem::take(&mut self.piece));
        self.at = 0;
        let next = match self.from.try_recv() {
            Err(TryRecvError::Empty) => self.from.recv().ok(),
            now => now.ok(),
        };
        self.ended = true;
        match next {
            Some(Ok(piece)) if piece.is_empty() => Ok(false),
            Some(Ok(piece)) => {
                self.piece = piece;
                self.ended = false;
                Ok(true)
            }
            Some(Err(error)) => Err(self.method.told(&error)),
            // The thread is gone without a word: the decompressor failed.
            None => Err(self.method.told(&io::ErrorKind::InvalidData.into())),
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.piece.len() && (self.ended || !self.next()?) {
            return Ok(0);
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        self.at = self.at.saturating_add(len);
        Ok(len)
    }
}

/// The length of a frame of user data (RFC 8878, section 3.1.2; LZ4 has the same), if one
/// stands at the next byte. It is stepped over.
fn skippable(head: &[u8]) -> Option<u64> {
    let (magic, rest) = head.split_first_chunk::<4>()?;
    let is = u32::from_le_bytes(*magic) & 0xffff_fff0 == 0x184d_2a50;
    let len = u32::from_le_bytes(*rest.first_chunk()?);
    is.then_some(u64::from(len).saturating_add(8))
}

/// Steps over frames of user data; false if the input ends there.
fn at_frame(input: &mut Block) -> io::Result<bool> {
    loop {
        // As many as there are: a frame may be shorter than that.
        let _whole = input.want(8);
        let Some(len) = skippable(input.available()) else {
            return match input.take_failure() {
                Some(error) => Err(error),
                None => Ok(!input.available().is_empty()),
            };
        };
        let skipped = io::copy(&mut input.take(len), &mut io::sink())?;
        if skipped < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
