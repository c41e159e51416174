//! Round trips between the capture point and one side, freed of delayed
//! acknowledgments: the least of each 10 s counts.

use std::time::Duration;

use super::{Distribution, Rare};
use crate::time::Timestamp;

/// Rationale: 10 s are short enough to show a path that changes, and a receiver that
/// delays acknowledgments by up to 200 ms (RFC 9293, section 3.8.6.3) still
/// answers something at once now and then.
const WINDOW: Duration = Duration::from_secs(10);

/// The least round trip of each window.
#[derive(Clone, Debug, Default)]
pub struct RttSeries {
    window: Option<(Timestamp, u64)>,
    least: Option<u64>,
    greatest: u64,
    minima: Rare<Distribution>,
}

impl RttSeries {
    pub(super) fn record(&mut self, at: Timestamp, nanos: u64) {
        self.least = Some(self.least.map_or(nanos, |least| least.min(nanos)));
        self.greatest = self.greatest.max(nanos);
        match &mut self.window {
            Some((start, least)) if at.saturating_since(*start) < WINDOW => {
                *least = nanos.min(*least)
            }
            window => {
                if let Some((_, least)) = window.replace((at, nanos)) {
                    self.minima.record(Duration::from_nanos(least));
                }
            }
        }
    }

    /// The least of all.
    pub fn min(&self) -> Option<Duration> {
        self.least.map(Duration::from_nanos)
    }

    /// The greatest of all, delayed acknowledgments and queues included.
    pub fn max(&self) -> Option<Duration> {
        self.least.map(|_| Duration::from_nanos(self.greatest))
    }

    /// The median of the windows' minima.
    pub fn median(&self) -> Option<Duration> {
        let mut all = self.minima.clone();
        if let Some((_, least)) = self.window {
            all.record(Duration::from_nanos(least));
        }
        all.median()
    }
}
