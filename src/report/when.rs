//! Times and durations as text.

use std::time::Duration;

use jiff::fmt::temporal::DateTimePrinter;

use crate::time::Timestamp;

/// RFC 3339, UTC, always nine digits of the second.
pub(super) fn rfc3339(time: Timestamp) -> String {
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

/// For people: `0.4 ms`, `12 ms`, `2.0 s`, `4m 10s`, `3h 2m`.
pub(super) fn short(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    let seconds = duration.as_secs();
    match ms {
        _ if ms < 0.05 => "<0.1 ms".to_owned(),
        _ if ms < 10.0 => format!("{ms:.1} ms"),
        _ if ms < 1_000.0 => format!("{ms:.0} ms"),
        _ if seconds < 120 => format!("{:.1} s", duration.as_secs_f64()),
        _ if seconds < 3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
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
    fn durations_get_shorter_with_their_size() {
        assert_eq!(short(Duration::from_micros(400)), "0.4 ms");
        assert_eq!(short(Duration::from_millis(2_010)), "2.0 s");
        assert_eq!(short(Duration::from_secs(250)), "4m 10s");
        assert_eq!(ms(Duration::from_nanos(1_234_567)), 1.234);
    }
}
