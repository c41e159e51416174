//! Durations and their percentiles: exact while few, a bounded histogram when many.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Rationale: 512 values are 4 KiB, a third of the histogram that replaces them.
const EXACT: usize = 512;
/// The histogram's range in microseconds: 1 us to 1 h, 2 significant digits (13.8 KB).
const RANGE_US: (u64, u64) = (1, 3_600_000_000);

/// Durations, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    values: Values,
    count: u64,
    min: u64,
    max: u64,
    /// Sum and sum of squares, in seconds.
    sum: f64,
    squares: f64,
}

#[derive(Clone, Debug)]
enum Values {
    Exact(Vec<u64>),
    Many(Box<Histogram<u64>>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Distribution {
    /// Adds one.
    pub fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.min = if self.count == 0 {
            nanos
        } else {
            self.min.min(nanos)
        };
        self.max = self.max.max(nanos);
        self.count += 1;
        let seconds = duration.as_secs_f64();
        self.sum += seconds;
        self.squares += seconds * seconds;
        match &mut self.values {
            Values::Exact(values) if values.len() < EXACT => values.push(nanos),
            Values::Exact(values) => {
                if let Ok(mut many) = Histogram::new_with_bounds(RANGE_US.0, RANGE_US.1, 2) {
                    for value in values.drain(..) {
                        many.saturating_record(value / 1_000);
                    }
                    many.saturating_record(nanos / 1_000);
                    self.values = Values::Many(Box::new(many));
                }
            }
            Values::Many(many) => many.saturating_record(nanos / 1_000),
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shortest; `None` if there is none at all.
    pub fn min(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_nanos(self.min))
    }

    /// The coefficient of variation: the standard deviation as a share of the
    /// mean; `None` without values, or if all are zero.
    pub fn variation(&self) -> Option<f64> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "more than 2^53 values don't come"
        )]
        let count = self.count as f64;
        let mean = self.sum / count;
        let variance = (self.squares / count - mean * mean).max(0.0);
        (mean > 0.0).then(|| variance.sqrt() / mean)
    }

    /// The longest.
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_nanos(self.max))
    }

    /// The value that `percent` of all don't exceed (nearest rank).
    pub fn percentile(&self, percent: u8) -> Option<Duration> {
        match &self.values {
            Values::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_unstable();
                let rank = (sorted.len() * usize::from(percent.min(100)))
                    .div_ceil(100)
                    .max(1);
                sorted
                    .get(rank - 1)
                    .map(|nanos| Duration::from_nanos(*nanos))
            }
            Values::Many(many) => {
                let micros = many.value_at_percentile(f64::from(percent));
                Some(Duration::from_micros(micros).clamp(
                    Duration::from_nanos(self.min),
                    Duration::from_nanos(self.max),
                ))
            }
        }
    }

    /// The median.
    pub fn median(&self) -> Option<Duration> {
        self.percentile(50)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Distribution {
        let mut all = Distribution::default();
        for ms in millis {
            all.record(Duration::from_millis(ms));
        }
        all
    }

    #[test]
    fn few_values_have_exact_percentiles() {
        let all = of([5, 1, 4, 2, 3]);
        assert_eq!(all.min(), Some(Duration::from_millis(1)));
        assert_eq!(all.median(), Some(Duration::from_millis(3)));
        assert_eq!(all.percentile(95), Some(Duration::from_millis(5)));
        assert_eq!(Distribution::default().median(), None);
    }

    #[test]
    fn many_values_stay_within_one_percent_and_between_the_extremes() {
        let all = of(1..=10_000);
        let median = all.median().unwrap().as_millis();
        assert!((4_950..=5_050).contains(&median), "{median}");
        assert_eq!(all.max(), Some(Duration::from_secs(10)));
        assert!(all.percentile(100).unwrap() <= Duration::from_secs(10));
    }
}
