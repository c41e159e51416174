//! The small pieces that a serializer writes, as larger ones.

use std::io::{self, Write};

/// Rationale: some hundred pieces; an output has a buffer of its own.
const ROOM: usize = 4 << 10;

/// What was written and not yet handed on. A serializer writes most pieces of a
/// few bytes, each of which would be a call through `dyn Write`.
pub(super) struct Gathered<'a> {
    out: &'a mut dyn Write,
    bytes: Vec<u8>,
}

impl<'a> Gathered<'a> {
    pub(super) fn before(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            bytes: Vec::with_capacity(ROOM),
        }
    }

    /// To be called at the end: what isn't handed on is lost.
    ///
    /// # Errors
    /// Those of the output.
    #[cold]
    pub(super) fn hand_on(&mut self) -> io::Result<()> {
        let result = self.out.write_all(&self.bytes);
        self.bytes.clear();
        result
    }
}

impl Write for Gathered<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes.len().saturating_add(bytes.len()) > ROOM {
            self.hand_on()?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.out.flush()
    }
}
