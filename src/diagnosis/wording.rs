//! Durations and counts as summaries say them.

use std::time::Duration;

/// `0.4 ms`, `12 ms`, `2.0 s`, `4 min 10 s`.
pub(super) fn span(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    let seconds = duration.as_secs();
    match ms {
        _ if ms < 10.0 => format!("{ms:.1} ms"),
        _ if ms < 1_000.0 => format!("{ms:.0} ms"),
        _ if seconds < 120 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
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
        assert_eq!(span(Duration::from_micros(400)), "0.4 ms");
        assert_eq!(span(Duration::from_millis(2_010)), "2.0 s");
        assert_eq!(span(Duration::from_secs(250)), "4 min 10 s");
        assert_eq!(times(2), "twice");
    }
}
