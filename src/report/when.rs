//! Times and durations as text.

use std::time::Duration;

use jiff::fmt::temporal::DateTimePrinter;

use crate::time::Timestamp;

/// RFC 3339, UTC, always nine digits of the second.
pub fn rfc3339(time: Timestamp) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(9));
    let nanos = i128::from(time.as_nanos());
    match jiff::Timestamp::from_nanosecond(nanos) {
        Ok(time) => PRINTER.timestamp_to_string(&time),
        Err(_) => format!("{nanos}ns"),
    }
}

/// `14:02:11.123`, UTC.
pub(super) fn clock(time: Timestamp) -> String {
    let text = rfc3339(time);
    text.get(11..23).unwrap_or(&text).to_owned()
}

/// `2026-11-23`, UTC.
pub(super) fn date(time: Timestamp) -> String {
    let text = rfc3339(time);
    text.get(..10).unwrap_or(&text).to_owned()
}

/// Milliseconds, to the microsecond.
pub(super) fn ms(duration: Duration) -> f64 {
    let micros = u32::try_from(duration.as_micros());
    match micros {
        Ok(micros) => f64::from(micros) / 1_000.0,
        Err(_) => (duration.as_secs_f64() * 1e6).round() / 1e3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits_and_a_z() {
        assert_eq!(
            rfc3339(Timestamp::from_nanos(1_500_000_000)),
            "1970-01-01T00:00:01.500000000Z"
        );
        assert_eq!(clock(Timestamp::from_nanos(1_500_000_000)), "00:00:01.500");
    }

    #[test]
    fn milliseconds_are_exact_to_the_microsecond() {
        assert_eq!(ms(Duration::from_nanos(1_234_567)), 1.234);
    }
}
