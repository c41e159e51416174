//! The frame that is being read.

use super::assembly::{Arrival, Place};
use super::breach::MAX_CONTROL;
use super::mask::unmask;
use super::{Breach, Frame};

/// A frame whose payload is not yet complete.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) frame: Frame,
    /// Payload bytes that passed, seen or not.
    pub(super) position: u64,
    /// Payload bytes that were seen.
    pub(super) seen: u64,
    /// The latest of its bytes.
    pub(super) arrival: Arrival,
    /// A control frame's payload, unmasked.
    pub(super) control: Vec<u8>,
    /// What its header broke.
    pub(super) breaches: Vec<Breach>,
}

impl Open {
    /// Bytes of the payload are missing.
    pub(super) const fn is_torn(&self) -> bool {
        self.seen < self.position
    }

    /// Every byte of the payload was seen.
    pub(super) const fn is_whole(&self) -> bool {
        self.seen == self.frame.payload_len
    }

    /// Where its last byte was.
    pub(super) const fn place(&self) -> Place {
        Place {
            at: self.arrival.seen,
            offset: self.frame.offset,
        }
    }

    /// Keeps the next bytes of a control frame's payload.
    pub(super) fn keep_control(&mut self, bytes: &[u8]) {
        let room = MAX_CONTROL.saturating_sub(self.control.len());
        // What follows a hole isn't kept: it would read as if it followed.
        if !self.is_torn() {
            let bytes = bytes.get(..room).unwrap_or(bytes);
            let kept = &mut self.control;
            unmask(bytes, self.frame.mask, self.position, &mut |clear| {
                kept.extend(clear)
            });
        }
    }
}
