//! TCP sequence numbers: modulo 2^32, so they can only wrap (RFC 9293, section 3.4).

/// A sequence or acknowledgment number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seq(pub u32);

impl Seq {
    /// This number moved on by `by`, wrapping.
    #[must_use]
    pub const fn plus(self, by: u32) -> Self {
        Self(self.0.wrapping_add(by))
    }

    /// How far `self` lies after `earlier`; negative when it lies before.
    /// Right as long as the two are less than 2^31 apart, as a window always is.
    pub const fn distance(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_crosses_the_wrap() {
        let before = Seq(u32::MAX - 1);
        let after = before.plus(5);
        assert_eq!(after, Seq(3));
        assert_eq!(after.distance(before), 5);
        assert_eq!(before.distance(after), -5);
    }
}
