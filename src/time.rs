//! When something happened, as the capture stamped it.

use std::time::Duration;

/// Nanoseconds since the Unix epoch, UTC, as the capturing machine's clock had it.
///
/// There is no `now()`: below `source`, time only ever comes with a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time that is `nanos` nanoseconds after the epoch (before it, when negative).
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to `self`; `None` if the clock ran back between the two.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let nanos = self.0.checked_sub(earlier.0)?;
        u64::try_from(nanos).ok().map(Duration::from_nanos)
    }

    /// As [`since`](Self::since), with a clock that ran back counted as no time at all.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.since(earlier).unwrap_or_default()
    }

    /// `self` moved on by `by`, held at the end of the range.
    pub fn saturating_add(self, by: Duration) -> Self {
        let nanos = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// `self` moved back by `by`, held at the end of the range.
    pub fn saturating_sub(self, by: Duration) -> Self {
        let nanos = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_ran_back_gives_no_duration() {
        let (early, late) = (Timestamp::from_nanos(5), Timestamp::from_nanos(9));
        assert_eq!(late.since(early), Some(Duration::from_nanos(4)));
        assert_eq!(early.since(late), None);
        assert_eq!(early.saturating_since(late), Duration::ZERO);
    }

    #[test]
    fn the_ends_of_the_range_do_not_overflow() {
        let (least, most) = (
            Timestamp::from_nanos(i64::MIN),
            Timestamp::from_nanos(i64::MAX),
        );
        assert_eq!(most.since(least), None);
        assert_eq!(most.saturating_add(Duration::from_secs(1)), most);
    }
}
