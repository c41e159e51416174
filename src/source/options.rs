//! Options of pcapng blocks: a code, a length, a value padded to 4 bytes.

use super::order::{ByteOrder, Fields};

/// opt_comment, the same in every block.
pub(super) const COMMENT: u16 = 1;

/// The options of a block, in order. A malformed one ends them: options explain
/// packets, and none is worth losing packets for.
pub(super) struct Options<'a> {
    fields: Fields<'a>,
}

impl<'a> Options<'a> {
    pub(super) const fn new(order: ByteOrder, bytes: &'a [u8]) -> Self {
        Self {
            fields: Fields::new(order, bytes),
        }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (code, len) = (self.fields.u16()?, self.fields.u16()?);
        // opt_endofopt
        if code == 0 {
            return None;
        }
        let value = self.fields.bytes(usize::from(len))?;
        // The last one's padding may be missing; then nothing follows.
        let _padding = self.fields.bytes(padding(value.len()));
        Some((code, value))
    }
}

/// How many bytes follow `len` bytes up to the next multiple of 4.
pub(super) const fn padding(len: usize) -> usize {
    len.wrapping_neg() % 4
}
