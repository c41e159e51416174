//! How long a client waits before it tries again: the shape of its delays, and
//! whose habit that is.

use std::time::Duration;

use crate::diagnosis::wording::span;

/// Rationale: three delays and more have a shape.
const SHAPED: usize = 3;
/// Rationale: timers in programs are exact; scheduling and the way to the capture add a few milliseconds.
const SLACK: Duration = Duration::from_millis(10);

/// The shape of a series of delays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::diagnosis) enum Shape {
    /// Always the same.
    Constant(Duration),
    /// Growing by a factor, up to a cap if it got there.
    Growing {
        /// The first.
        base: Duration,
        /// The median of the quotients.
        factor: f64,
        /// Where it stopped growing.
        cap: Option<Duration>,
    },
    /// Between these.
    Random(Duration, Duration),
    /// Too few to tell.
    Unclear,
}

/// The delays before the tries of a client that followed a failure.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::diagnosis) struct Backoff {
    /// The delays, in order.
    pub(in crate::diagnosis) delays: Vec<Duration>,
    /// Their shape.
    pub(in crate::diagnosis) shape: Shape,
    /// Whose habit it is, where it fits one.
    pub(in crate::diagnosis) habit: Option<&'static str>,
}

impl Backoff {
    /// What these delays are. Fitted in order: constant, growing, random.
    pub(in crate::diagnosis) fn of(delays: Vec<Duration>) -> Self {
        let habit = habit_of(&delays);
        let shape = constant(&delays)
            .or_else(|| growing(&delays))
            .or_else(|| {
                let (least, most) = (delays.iter().min()?, delays.iter().max()?);
                (delays.len() >= SHAPED).then_some(Shape::Random(*least, *most))
            })
            .unwrap_or(Shape::Unclear);
        Self {
            delays,
            shape,
            habit,
        }
    }

    /// The one in the middle.
    pub(in crate::diagnosis) fn median(&self) -> Option<Duration> {
        median(&self.delays)
    }

    /// In words: `every 100 ms`, `1.0 s growing by 2.0 up to 30.0 s`.
    pub(in crate::diagnosis) fn phrase(&self) -> String {
        match self.shape {
            Shape::Constant(every) if every < SLACK => "at once".to_owned(),
            Shape::Constant(every) => format!("every {}", span(every)),
            Shape::Growing { base, factor, cap } => {
                let cap = cap.map_or(String::new(), |cap| format!(" up to {}", span(cap)));
                format!("after {}, growing by {factor:.1}{cap}", span(base))
            }
            Shape::Random(least, most) => format!("after {} to {}", span(least), span(most)),
            Shape::Unclear => match self.delays.first() {
                Some(first) => format!("after {}", span(*first)),
                None => "never".to_owned(),
            },
        }
    }

    /// The delays for scripts, in milliseconds: the first 16.
    pub(in crate::diagnosis) fn listed(&self) -> Vec<String> {
        let ms = |delay: &Duration| format!("{:.1}", delay.as_secs_f64() * 1e3);
        self.delays.iter().take(16).map(ms).collect()
    }
}

fn median(delays: &[Duration]) -> Option<Duration> {
    let mut sorted = delays.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

fn close_to(delay: Duration, wanted: Duration) -> bool {
    delay.abs_diff(wanted) <= (wanted / 10).max(SLACK)
}

/// The first delay may be another one: many try at once first.
fn constant(delays: &[Duration]) -> Option<Shape> {
    let middle = median(delays)?;
    let alike = delays.iter().filter(|d| close_to(**d, middle)).count();
    let tolerated = match delays.first() {
        Some(first) if !close_to(*first, middle) => 1,
        _ => 0,
    };
    let others = delays.len().saturating_sub(tolerated);
    // Rationale: now and then a timer is late; one in ten.
    (alike >= SHAPED && alike.saturating_mul(10) >= others.saturating_mul(9))
        .then_some(Shape::Constant(middle))
}

fn growing(delays: &[Duration]) -> Option<Shape> {
    let base = *delays.first()?;
    let most = *delays.iter().max()?;
    let plateau = delays.iter().filter(|d| close_to(**d, most)).count();
    let climb: Vec<Duration> = delays
        .iter()
        .copied()
        .take_while(|d| plateau < 2 || !close_to(*d, most))
        .collect();
    let mut quotients: Vec<f64> = climb
        .iter()
        .zip(climb.iter().skip(1))
        .filter(|(a, _)| !a.is_zero())
        .map(|(a, b)| b.as_secs_f64() / a.as_secs_f64())
        .collect();
    if quotients.len() < SHAPED.saturating_sub(1) {
        return None;
    }
    quotients.sort_unstable_by(f64::total_cmp);
    let factor = *quotients.get(quotients.len() / 2)?;
    let climbs = quotients.iter().filter(|q| **q > 1.0).count();
    let grows = (1.25..=2.6).contains(&factor)
        && climbs.saturating_mul(4) >= quotients.len().saturating_mul(3);
    grows.then_some(Shape::Growing {
        base,
        factor,
        cap: (plateau >= 2).then_some(most),
    })
}

/// A habit and the delays in milliseconds that it begins with; the last one repeats.
const LADDERS: [(&str, &[u64]); 6] = [
    (
        "exponential backoff, min(1000 * 2^n, 30000) ms",
        &[1_000, 2_000, 4_000, 8_000, 16_000, 30_000],
    ),
    (
        "exponential backoff, min(1000 * 2^n, 30000) ms",
        &[2_000, 4_000, 8_000, 16_000, 30_000],
    ),
    ("SignalR's automatic reconnect", &[0, 2_000, 10_000, 30_000]),
    (
        "Phoenix's client",
        &[10, 50, 100, 150, 200, 250, 500, 1_000, 2_000, 5_000],
    ),
    ("STOMP.js (reconnectDelay)", &[5_000]),
    ("a fixed timer of one second", &[1_000]),
];

/// Whose habit it is: of the known ones the first that all delays fit.
fn habit_of(delays: &[Duration]) -> Option<&'static str> {
    if delays.len() < SHAPED {
        return None;
    }
    let fits = |ladder: &[u64]| {
        let last = ladder.last().copied().unwrap_or_default();
        let steps = ladder.iter().copied().chain(std::iter::repeat(last));
        delays.iter().zip(steps).all(|(delay, ms)| {
            // What the connection itself takes is in it.
            let wanted = Duration::from_millis(ms);
            delay.saturating_add(SLACK) >= wanted && *delay <= wanted + (wanted / 10).max(SLACK * 5)
        })
    };
    let ladder = LADDERS.into_iter().find(|(_, ladder)| fits(ladder));
    ladder.map(|(name, _)| name).or_else(|| within(delays))
}

/// Those that add chance: the least and the most that each delay may be, in milliseconds.
fn within(delays: &[Duration]) -> Option<&'static str> {
    let all = |bounds: fn(f64) -> (f64, f64)| {
        let steps = std::iter::successors(Some(0.0_f64), |n| Some(n + 1.0));
        delays.iter().zip(steps).all(|(delay, n)| {
            let (least, most) = bounds(n);
            (least..=most * 1.05 + 50.0).contains(&(delay.as_secs_f64() * 1e3))
        })
    };
    // Constant ones fit these windows too, and are not theirs.
    if constant(delays).is_some() || delays.len() <= SHAPED {
        return None;
    }
    if all(|n| {
        let middle = (1_000.0 * 2_f64.powf(n)).min(5_000.0);
        (middle * 0.5, middle * 1.5)
    }) {
        return Some("Socket.IO's client (1 s to 5 s, half of it chance)");
    }
    all(|n| {
        let grown = 1.3_f64.powf(n);
        (
            (1_000.0 * grown).min(10_000.0),
            (5_000.0 * grown).min(10_000.0),
        )
    })
    .then_some("reconnecting-websocket (1 s to 5 s, growing by 1.3 up to 10 s)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ms: &[u64]) -> Backoff {
        Backoff::of(ms.iter().copied().map(Duration::from_millis).collect())
    }

    #[test]
    fn equal_delays_are_constant_and_the_first_may_differ() {
        let every = Duration::from_millis(101);
        assert_eq!(of(&[100, 101, 99, 102]).shape, Shape::Constant(every));
        assert_eq!(of(&[2, 101, 101, 102]).shape, Shape::Constant(every));
    }

    #[test]
    fn doubling_up_to_a_cap_is_growing_and_known() {
        let backoff = of(&[1_003, 2_002, 4_005, 8_010, 16_002, 30_004, 30_009]);
        let Shape::Growing { factor, cap, .. } = backoff.shape else {
            panic!("{backoff:?}");
        };
        assert!((factor - 2.0).abs() < 0.05);
        assert_eq!(cap, Some(Duration::from_millis(30_009)));
        assert!(backoff.habit.is_some_and(|habit| habit.contains("2^n")));
    }

    #[test]
    fn chance_within_a_window_is_neither() {
        let backoff = of(&[1_400, 700, 2_300, 1_100, 1_900]);
        assert!(matches!(backoff.shape, Shape::Random(..)), "{backoff:?}");
    }

    #[test]
    fn habits_of_libraries_are_told() {
        let habit = |ms: &[u64]| of(ms).habit;
        assert_eq!(
            habit(&[1, 2_001, 10_003, 30_004]),
            Some("SignalR's automatic reconnect")
        );
        assert_eq!(
            habit(&[5_001, 5_002, 5_001]),
            Some("STOMP.js (reconnectDelay)")
        );
        assert_eq!(habit(&[11, 52, 101, 153, 204]), Some("Phoenix's client"));
        assert_eq!(
            habit(&[600, 2_900, 4_100, 6_800, 3_000]).map(|h| h.starts_with("Socket.IO")),
            Some(true)
        );
        assert_eq!(habit(&[300, 900]), None);
    }
}
