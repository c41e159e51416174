//! Units of time in pcapng: an interface's timestamps count its own.

use crate::time::Timestamp;

const NANOS: u64 = 1_000_000_000;

/// How to turn an interface's 64-bit timestamps into nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    resolution: Resolution,
    /// Nanoseconds to add (if_tsoffset).
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// A unit is this many nanoseconds.
    Nanos(u64),
    /// A second has this many units: a power of two, or a power of ten beyond nanoseconds.
    PerSecond(u128),
}

impl Default for Clock {
    /// Without if_tsresol, microseconds.
    fn default() -> Self {
        Self {
            resolution: Resolution::Nanos(1000),
            offset: 0,
        }
    }
}

impl Clock {
    /// if_tsresol: a negative power of ten, or of two where the uppermost bit is set.
    pub(super) fn set_resolution(&mut self, tsresol: u8) {
        let exponent = u32::from(tsresol & 0x7f);
        self.resolution = match (tsresol & 0x80 == 0, 9u32.checked_sub(exponent)) {
            (true, Some(zeros)) => Resolution::Nanos(10u64.saturating_pow(zeros)),
            (true, None) => Resolution::PerSecond(10u128.saturating_pow(exponent)),
            (false, _) => Resolution::PerSecond(2u128.saturating_pow(exponent)),
        };
    }

    /// if_tsoffset, in seconds.
    pub(super) fn set_offset(&mut self, seconds: i64) {
        self.offset = seconds.saturating_mul(1_000_000_000);
    }

    /// Rounds down to nanoseconds; a time that doesn't fit is held at the end of the range.
    pub(super) fn time(&self, units: u64) -> Timestamp {
        let nanos = match self.resolution {
            Resolution::Nanos(nanos) => units.saturating_mul(nanos),
            Resolution::PerSecond(rate) => nanos_at(units, rate),
        };
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        Timestamp::from_nanos(nanos.saturating_add(self.offset))
    }
}

fn nanos_at(units: u64, rate: u128) -> u64 {
    // Fits: units < 2^64 and NANOS < 2^30. `rate` is a power and so at least 1.
    let nanos = (u128::from(units) * u128::from(NANOS)).checked_div(rate);
    nanos
        .and_then(|nanos| u64::try_from(nanos).ok())
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(tsresol: u8, offset: i64, units: u64) -> i64 {
        let mut clock = Clock::default();
        clock.set_resolution(tsresol);
        clock.set_offset(offset);
        clock.time(units).as_nanos()
    }

    #[test]
    fn powers_of_ten_and_of_two_become_nanoseconds() {
        assert_eq!(Clock::default().time(1_500_000).as_nanos(), 1_500_000_000);
        assert_eq!(nanos(0, 0, 2), 2_000_000_000);
        assert_eq!(nanos(9, 0, 7), 7);
        assert_eq!(nanos(12, 0, 7_999), 7);
        assert_eq!(nanos(0x80 | 10, 0, 1024 + 512), 1_500_000_000);
        assert_eq!(nanos(0x80, 0, 3), 3_000_000_000);
        assert_eq!(nanos(6, -1, 1_500_000), 500_000_000);
    }

    #[test]
    fn absurd_units_and_offsets_stay_in_range() {
        for tsresol in 0..=u8::MAX {
            for offset in [i64::MIN, 0, i64::MAX] {
                nanos(tsresol, offset, u64::MAX);
                nanos(tsresol, offset, 0);
            }
        }
        assert_eq!(nanos(6, 0, u64::MAX), i64::MAX);
        assert_eq!(nanos(0x7f, 0, u64::MAX), 0);
    }
}
