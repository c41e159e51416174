//! Zstandard, block by block, so that a file which is cut off gives all of its whole blocks.

use std::io::{self, Read};

use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::super::block::Block;
use super::{MOST_WINDOW, at_frame};

/// An empty raw block that is the last of its frame, and a checksum behind it.
const CLOSING: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

/// Frames, one behind the other.
pub(super) struct Frames {
    input: Block,
    decoder: FrameDecoder,
    /// Within a frame that has more blocks.
    open: bool,
    /// What ended unpacking, told when all that came before it was read.
    failure: Option<io::Error>,
    ended: bool,
}

impl Frames {
    pub(super) fn new(input: Block) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(super::super::block::length(MOST_WINDOW));
        Self {
            input,
            decoder,
            open: false,
            failure: None,
            ended: false,
        }
    }

    /// Begins the next frame; false if there is none.
    fn begin(&mut self) -> io::Result<bool> {
        if !at_frame(&mut self.input)? {
            return Ok(false);
        }
        // The longest header there is; the frame may be shorter, the file cut off.
        let _whole = self.input.want(18);
        let short = self.input.available().len() < 18;
        match self.decoder.reset(&mut self.input) {
            Ok(()) => {
                self.open = true;
                Ok(true)
            }
            Err(FrameDecoderError::ReadFrameHeaderError(_)) if short => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Decodes the next block, which is all there before the decoder sees it.
    fn block(&mut self) -> io::Result<()> {
        let whole = self
            .input
            .want(3)
            .and_then(|bytes| bytes.first_chunk())
            .map(|header| block_length(*header));
        let there = whole.is_some_and(|whole| self.input.want(whole).is_some());
        if !there {
            return Err(self
                .input
                .take_failure()
                .unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
        }
        let one = BlockDecodingStrategy::UptoBlocks(1);
        let more = self.decoder.decode_blocks(&mut self.input, one);
        self.open = !more.map_err(io::Error::other)?;
        Ok(())
    }

    /// The checksum at a frame's end, where it has one (RFC 8878, section 3.1.1).
    fn check(&self) -> io::Result<()> {
        match self.decoder.get_checksum_from_data() {
            Some(told) if self.decoder.get_calculated_checksum() != Some(told) => Err(
                io::Error::new(io::ErrorKind::InvalidData, "its checksum is another"),
            ),
            _ => Ok(()),
        }
    }

    /// The decoder keeps back a window of what it has unpacked, as long as the
    /// frame is open: closes it, so that the rest can be read before the error is told.
    fn fail(&mut self, error: io::Error) {
        self.failure = Some(error);
        if std::mem::take(&mut self.open) {
            let one = BlockDecodingStrategy::UptoBlocks(1);
            let _closed = self.decoder.decode_blocks(CLOSING.as_slice(), one);
        }
    }

    fn step(&mut self) -> io::Result<()> {
        if self.open {
            return self.block();
        }
        self.check()?;
        self.ended = !self.begin()?;
        Ok(())
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 {
            if let Some(failure) = self.failure.take() {
                self.ended = true;
                return Err(failure);
            }
            if self.ended {
                return Ok(0);
            }
            if let Err(error) = self.step() {
                self.fail(error);
            }
        }
        self.decoder.read(buffer)
    }
}

/// Length of a block with its header (RFC 8878, section 3.1.1.2).
fn block_length([a, b, c]: [u8; 3]) -> usize {
    let header = u32::from_le_bytes([a, b, c, 0]);
    let size = match (header >> 1) & 3 {
        // One byte, repeated.
        1 => 1,
        _ => header >> 3,
    };
    // At most 2 MiB: it fits.
    usize::try_from(size)
        .unwrap_or(usize::MAX)
        .saturating_add(3)
}
