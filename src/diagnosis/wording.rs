//! Durations and counts as summaries say them.

use std::time::Duration;

use super::timeouts::whole_seconds;

/// A duration for people: `0.4 ms`, `12 ms`, `350.4 s`, `12 min 5 s`, `3 h 2 min`.
/// Seconds up to ten minutes, since that is how timers are configured.
pub fn span(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    let seconds = duration.as_secs();
    match ms {
        // What would read as nothing at all is not nothing.
        _ if ms < 0.05 => "<0.1 ms".to_owned(),
        _ if ms < 10.0 => format!("{ms:.1} ms"),
        _ if ms < 1_000.0 => format!("{ms:.0} ms"),
        _ if seconds < 600 => format!("{:.1} s", duration.as_secs_f64()),
        _ if seconds < 3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A silence as the length of a timer: `4 s` where it fits a whole number of seconds, else `4.4 s`.
pub(super) fn timer_length(silence: Duration) -> String {
    match whole_seconds(silence) {
        Some(seconds) => format!("{seconds} s"),
        None => span(silence),
    }
}

/// How often to ping so that a timer of this length doesn't strike: half of
/// it, rounded down to a figure that people would configure: `500 ms`, `2 s`, `25 s`.
pub(super) fn ping_interval(timer: Duration) -> String {
    let timer = whole_seconds(timer).map_or(timer, Duration::from_secs);
    let half = timer / 2;
    match half.as_secs() {
        0 => format!("{} ms", (half.as_millis() / 100 * 100).max(50)),
        seconds @ 1..10 => format!("{seconds} s"),
        seconds => format!("{} s", seconds / 5 * 5),
    }
}

/// Bytes for people: `900 bytes`, `64 kB`, `1.4 MB`.
pub(super) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let exact = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} kB", exact / 1e3),
        _ => format!("{:.1} MB", exact / 1e6),
    }
}

/// Bytes a second as links are sold: `900 kbit/s`, `2.0 Mbit/s`.
pub(super) fn rate(bytes_per_second: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let bits = bytes_per_second as f64 * 8.0;
    match bits {
        _ if bits < 1e6 => format!("{:.0} kbit/s", bits / 1e3),
        _ if bits < 1e9 => format!("{:.1} Mbit/s", bits / 1e6),
        _ => format!("{:.1} Gbit/s", bits / 1e9),
    }
}

/// `once`, `twice`, `5 times`.
pub(super) fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_the_unit_that_fits() {
        assert_eq!(span(Duration::from_micros(6)), "<0.1 ms");
        assert_eq!(span(Duration::from_micros(400)), "0.4 ms");
        assert_eq!(span(Duration::from_millis(2_010)), "2.0 s");
        assert_eq!(span(Duration::from_millis(350_400)), "350.4 s");
        assert_eq!(span(Duration::from_secs(725)), "12 min 5 s");
        assert_eq!(span(Duration::from_secs(10_920)), "3 h 2 min");
        assert_eq!(times(2), "twice");
    }

    #[test]
    fn a_ping_interval_is_a_round_figure() {
        let of = |ms| ping_interval(Duration::from_millis(ms));
        assert_eq!(of(1_001), "500 ms");
        assert_eq!(of(4_400), "2 s");
        assert_eq!(of(55_020), "25 s");
        assert_eq!(of(60_020), "30 s");
    }
}
