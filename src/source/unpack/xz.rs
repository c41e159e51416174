//! xz streams, one behind the other.

use std::io::{self, Read};

use lzma_rust2::{Action, Status, XzStream};

use super::super::block::Block;
use super::MOST_WINDOW;

/// How much is unpacked at once. Rationale: an error takes with it what was unpacked
/// in the same step.
const STEP: usize = 4096;

pub(super) struct Streams {
    input: Block,
    decoder: XzStream,
    ended: bool,
}

impl Streams {
    pub(super) fn new(input: Block) -> Self {
        // The decoder's own needs are less than a mebibyte.
        let most = u32::try_from(MOST_WINDOW >> 10).unwrap_or(u32::MAX);
        Self {
            input,
            decoder: XzStream::new_mem_limit(true, most.saturating_add(1 << 10)),
            ended: false,
        }
    }
}

impl Read for Streams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len().min(STEP);
        let Some(buffer) = buffer.get_mut(..len) else {
            return Ok(0);
        };
        while !self.ended && !buffer.is_empty() {
            let at_end = self.input.want(1).is_none();
            if at_end && let Some(error) = self.input.take_failure() {
                self.ended = true;
                return Err(error);
            }
            let mut step = |decoder: &mut XzStream, action| {
                decoder.process(self.input.available(), buffer, action)
            };
            let mut done = step(&mut self.decoder, Action::Run)?;
            if at_end && done.bytes_produced == 0 && done.status == Status::Ok {
                self.ended = true;
                // Only between two streams may the input end.
                done = step(&mut self.decoder, Action::Finish)
                    .map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            }
            self.ended |= done.status == Status::StreamEnd;
            self.input.consume(done.bytes_consumed);
            if done.bytes_produced > 0 {
                return Ok(done.bytes_produced);
            }
        }
        Ok(0)
    }
}
