//! LZ4 frames, one behind the other.

use std::io::{self, Read};

use lz4_flex::frame::FrameDecoder;

use super::super::block::Block;
use super::at_frame;

/// Magic number of the format that `lz4 -l` and the Linux kernel write: it has no
/// mark at its end.
const LEGACY: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

/// The input, and whether it ended while somebody wanted more of it.
struct Input {
    block: Block,
    starved: bool,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.block.read(buffer)?;
        self.starved |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

pub(super) struct Frames {
    decoder: FrameDecoder<Input>,
    /// Within a frame.
    open: bool,
    legacy: bool,
}

impl Frames {
    pub(super) fn new(block: Block) -> Self {
        let starved = false;
        Self {
            decoder: FrameDecoder::new(Input { block, starved }),
            open: false,
            legacy: false,
        }
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.open {
                let input = &mut self.decoder.get_mut().block;
                if !at_frame(input)? {
                    return Ok(0);
                }
                self.legacy = input.available().starts_with(&LEGACY);
                self.open = true;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.open = false;
            // The decoder takes an input that ends between two blocks for the end of the frame.
            if self.decoder.get_ref().starved && !self.legacy {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
