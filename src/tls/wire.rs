//! Reading the vectors of the presentation language (RFC 8446, section 3.4).

/// What is still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire<'a>(pub(super) &'a [u8]);

impl<'a> Wire<'a> {
    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Option<usize> {
        let [high, middle, low] = self.array()?;
        usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()
    }

    /// A vector whose length takes one byte.
    pub(super) fn vector8(&mut self) -> Option<Self> {
        let len = usize::from(self.u8()?);
        self.take(len).map(Wire)
    }

    /// A vector whose length takes two bytes.
    pub(super) fn vector16(&mut self) -> Option<Self> {
        let len = usize::from(self.u16()?);
        self.take(len).map(Wire)
    }

    /// A vector whose length takes three bytes.
    pub(super) fn vector24(&mut self) -> Option<Self> {
        let len = self.u24()?;
        self.take(len).map(Wire)
    }

    /// All of it as numbers of two bytes.
    pub(super) fn u16s(self) -> Vec<u16> {
        let (pairs, _) = self.0.as_chunks::<2>();
        pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
    }
}
