//! `--from` and `--to`: a point in time, as people write it, and the stretch
//! between two of them.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::SignedDuration;
use jiff::civil;
use jiff::tz::TimeZone;

use crate::report::rfc3339;
use crate::time::Timestamp;

/// A point in time that a capture may be needed to pin down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// A date and a time; UTC, where no zone is given.
    At(Timestamp),
    /// A time of day, UTC: nanoseconds since midnight.
    TimeOfDay(i64),
    /// As long after the capture's first packet.
    AfterFirst(Duration),
    /// As long before its last one.
    BeforeLast(Duration),
}

const DAY: i64 = 86_400_000_000_000;

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(span) = text.strip_prefix('+') {
            return span_of(span).map(Self::AfterFirst);
        }
        if let Some(span) = text.strip_prefix('-') {
            return span_of(span).map(Self::BeforeLast);
        }
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return at(time);
        }
        let bare = text.strip_suffix(['Z', 'z']).unwrap_or(text);
        if !bare.contains('-')
            && let Ok(time) = bare.parse::<civil::Time>()
        {
            let midnight = civil::Time::midnight();
            let since = time.duration_since(midnight).as_nanos();
            return i64::try_from(since)
                .map(Self::TimeOfDay)
                .map_err(|_| FORMS.to_owned());
        }
        let date = bare.parse::<civil::DateTime>().map_err(|_| FORMS)?;
        let time = TimeZone::UTC.to_timestamp(date).map_err(|_| FORMS)?;
        at(time)
    }
}

const FORMS: &str = "write 2026-11-23T14:05:00Z, 14:05 or 14:05:10.5 (UTC), +90s from the first packet or -5m from the last";

fn at(time: jiff::Timestamp) -> Result<Moment, String> {
    i64::try_from(time.as_nanosecond())
        .map(|nanos| Moment::At(Timestamp::from_nanos(nanos)))
        .map_err(|_| "no capture file can hold this time".to_owned())
}

fn span_of(text: &str) -> Result<Duration, String> {
    // `-+5m` and `+-5m` mean nothing.
    let plain = text.starts_with(|first: char| first.is_ascii_digit());
    let span = text.parse::<SignedDuration>().ok().filter(|_| plain);
    span.and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| "write a duration as 90s, 1m30s, 500ms or 2h".to_owned())
}

impl Moment {
    /// The same clock time, the first one at `after` or later, for an end;
    /// others stay what they are.
    fn pinned(self, first: Timestamp, last: Timestamp, day: impl Fn(i64) -> i64) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::AfterFirst(span) => first.saturating_add(span),
            Self::BeforeLast(span) => last.saturating_sub(span),
            Self::TimeOfDay(clock) => Timestamp::from_nanos(day(clock)),
        }
    }
}

/// From when to when; both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
    /// The newest packet, those after the end included.
    pub(super) newest: Timestamp,
}

impl Window {
    /// Pins both ends down in a capture whose first packet came at `first`; `last` counts only for what is
    /// told from the end.
    ///
    /// A time of day is that of the first packet's day. Where that was more than 12 hours before the first packet, it
    /// is the next day's, as in a capture that runs over midnight. An end is the first such time after the start.
    ///
    /// # Errors
    /// The end lies before the start.
    pub(super) fn new(
        from: Option<Moment>,
        to: Option<Moment>,
        first: Timestamp,
        last: Timestamp,
    ) -> Result<Self> {
        let from = from.map(|from| from.pinned(first, last, |clock| begin(clock, first)));
        let after = from.unwrap_or(first);
        let to = to.map(|to| to.pinned(first, last, |clock| next(clock, after)));
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            let (from, to) = (rfc3339(from), rfc3339(to));
            bail!("--to {to} lies before --from {from}: nothing can be between them");
        }
        Ok(Self {
            from,
            to,
            newest: first,
        })
    }

    /// The capture goes on after the end.
    pub(super) fn ends_early(&self) -> bool {
        self.to.is_some_and(|to| to < self.newest)
    }

    /// Something that lasted from `first` to `last` falls within, if only in part.
    pub(super) fn meets(&self, first: Timestamp, last: Timestamp) -> bool {
        self.from.is_none_or(|from| last >= from) && self.to.is_none_or(|to| first <= to)
    }
}

fn midnight_before(time: Timestamp) -> i64 {
    let nanos = time.as_nanos();
    nanos.saturating_sub(nanos.rem_euclid(DAY))
}

fn begin(clock: i64, first: Timestamp) -> i64 {
    let same_day = midnight_before(first).saturating_add(clock);
    if first.as_nanos().saturating_sub(same_day) > DAY / 2 {
        return same_day.saturating_add(DAY);
    }
    same_day
}

fn next(clock: i64, after: Timestamp) -> i64 {
    let same_day = midnight_before(after).saturating_add(clock);
    if same_day < after.as_nanos() {
        return same_day.saturating_add(DAY);
    }
    same_day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        text.parse().expect(text)
    }

    fn time(text: &str) -> Timestamp {
        match moment(text) {
            Moment::At(time) => time,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let utc = time("2026-11-23T14:05:00Z");
        for text in [
            "2026-11-23T14:05:00",
            "2026-11-23 14:05",
            "2026-11-23T16:05:00+02:00",
            "2026-11-23t14:05:00z",
        ] {
            assert_eq!(time(text), utc, "{text}");
        }
        assert_eq!(time("2026-11-23"), time("2026-11-23T00:00:00Z"));
        assert_eq!(time("1970-01-01T00:00:00.000000001Z").as_nanos(), 1);
    }

    #[test]
    fn a_bare_time_is_one_of_day_and_a_sign_counts_from_an_end() {
        assert_eq!(moment("14:05"), Moment::TimeOfDay(50_700_000_000_000));
        assert_eq!(moment("14:05:10.5"), Moment::TimeOfDay(50_710_500_000_000));
        assert_eq!(moment("14:05Z"), moment("14:05"));
        assert_eq!(
            moment("+1m30s"),
            Moment::AfterFirst(Duration::from_secs(90))
        );
        assert_eq!(moment("-5m"), Moment::BeforeLast(Duration::from_secs(300)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "+",
            "-",
            "+-5m",
            "-+5m",
            "+5",
            "noon",
            "25:00",
            "14:61",
            "2026-13-01",
            "9999-01-01T00:00:00Z",
            "-99999999999999999999h",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    /// From when to when, in a capture that began then and lasted a day.
    fn window(first: &str, from: &str, to: &str) -> Result<(String, String)> {
        let first = time(first);
        let given = |text: &str| (!text.is_empty()).then(|| moment(text));
        let last = first.saturating_add(Duration::from_secs(86_400));
        let window = Window::new(given(from), given(to), first, last)?;
        let shown = |time: Option<Timestamp>| {
            time.map_or(String::new(), |time| {
                rfc3339(time).chars().take(16).collect()
            })
        };
        Ok((shown(window.from), shown(window.to)))
    }

    #[test]
    fn a_time_of_day_is_on_the_day_on_which_the_capture_meets_it() {
        let cases = [
            // The first packet's day, also where it is a little or much earlier.
            ("2026-11-23T09:00:00Z", "22:00", "", "2026-11-23T22:00", ""),
            ("2026-11-23T14:00:03Z", "14:00", "", "2026-11-23T14:00", ""),
            // Over midnight.
            (
                "2026-11-23T23:50:00Z",
                "00:05",
                "00:10",
                "2026-11-24T00:05",
                "2026-11-24T00:10",
            ),
            (
                "2026-11-23T22:00:00Z",
                "23:55",
                "00:05",
                "2026-11-23T23:55",
                "2026-11-24T00:05",
            ),
            (
                "2026-11-23T10:00:00Z",
                "23:55",
                "00:05",
                "2026-11-23T23:55",
                "2026-11-24T00:05",
            ),
            // An end is never before the first packet.
            ("2026-11-23T15:30:00Z", "", "09:00", "", "2026-11-24T09:00"),
            // Before all of it.
            (
                "2026-11-23T15:30:00Z",
                "13:00",
                "14:00",
                "2026-11-23T13:00",
                "2026-11-23T14:00",
            ),
        ];
        for (first, from, to, begins, ends) in cases {
            let told = window(first, from, to).expect("an end after the start");
            assert_eq!(
                told,
                (begins.to_owned(), ends.to_owned()),
                "{first} {from} {to}"
            );
        }
    }

    #[test]
    fn offsets_count_from_the_first_packet_and_from_the_last() {
        let told = window("2026-11-23T10:00:00Z", "+90m", "-1h").expect("in order");
        assert_eq!(told.0, "2026-11-23T11:30");
        assert_eq!(told.1, "2026-11-24T09:00");
    }

    #[test]
    fn an_end_before_the_start_is_refused() {
        let told = window("2026-11-23T10:00:00Z", "+2m", "+1m");
        let told = told.expect_err("no such window").to_string();
        assert_eq!(
            told,
            "--to 2026-11-23T10:01:00.000000000Z lies before --from 2026-11-23T10:02:00.000000000Z: nothing can be between them"
        );
    }

    #[test]
    fn the_ends_of_a_window_belong_to_it() {
        let [one, two, three] = [1, 2, 3].map(Timestamp::from_nanos);
        let window = Window {
            from: Some(two),
            to: Some(two),
            newest: three,
        };
        assert!(window.meets(one, two) && window.meets(two, three) && window.meets(one, three));
        assert!(!window.meets(one, one) && !window.meets(three, three));
        assert!(Window::default().meets(one, one));
    }
}
