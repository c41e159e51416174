//! Timers of proxies, devices and libraries that end WebSockets: the table that
//! comes with the program (`timeouts.toml`), and rows that users add.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

/// What a timer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counts {
    /// Time without bytes; the owner then ends the connection.
    Idle,
    /// Time without packets; the owner then forgets the flow without a word.
    Flow,
    /// The connection's age.
    Lifetime,
    /// Time until an answer to Close.
    #[serde(rename = "close")]
    CloseWait,
    /// Time until the answer to a Ping.
    Pong,
}

/// One timer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    /// After this many seconds.
    pub seconds: u64,
    /// Of what.
    pub counts: Counts,
    /// Whose timer, and the name of its setting where there is one.
    pub owner: String,
    /// How the end looks.
    pub end: String,
    /// The end's signature was seen on the wire; otherwise it is typical, from
    /// documentation or hearsay.
    #[serde(default)]
    pub verified: bool,
}

impl Counts {
    /// The word of the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Flow => "flow",
            Self::Lifetime => "lifetime",
            Self::CloseWait => "close",
            Self::Pong => "pong",
        }
    }
}

impl Timeout {
    /// The time after which it strikes.
    pub const fn after(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// One line for a list of candidates.
    pub fn candidate(&self) -> String {
        let typical = if self.verified { "" } else { "typical: " };
        format!("{}: {} s ({typical}{})", self.owner, self.seconds, self.end)
    }
}

/// A table of timers, shortest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    rows: Vec<Timeout>,
}

/// As the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    timeout: Vec<Timeout>,
}

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// In a few words.
    pub what: String,
}

/// Rationale: a forgotten unit makes weeks of milliseconds; no timer of a connection is longer.
const LONGEST: u64 = 90 * 86_400;

static BUILT_IN: LazyLock<Timeouts> = LazyLock::new(|| {
    // A test reads it, so it is well-formed.
    Timeouts::default()
        .extended(include_str!("timeouts.toml"))
        .unwrap_or_default()
});

impl Timeouts {
    /// The table that comes with the program.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// This table and the rows of `text`, which has the form of `timeouts.toml`.
    /// Of timers of equal length those of `text` come first: who adds them has met them.
    ///
    /// # Errors
    /// It isn't TOML, a field is missing, unknown or of another type, or a time is none.
    pub fn extended(&self, text: &str) -> Result<Self, Malformed> {
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            Malformed {
                line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
                what: error.message().lines().collect::<Vec<_>>().join(", "),
            }
        })?;
        if let Some(row) = file
            .timeout
            .iter()
            .find(|row| !(1..=LONGEST).contains(&row.seconds))
        {
            let named = text.lines().position(|line| line.contains(&row.owner));
            return Err(Malformed {
                line: 1 + named.unwrap_or(0),
                what: format!(
                    "{}: seconds = {} is no timer; give 1 to {LONGEST}",
                    row.owner, row.seconds
                ),
            });
        }
        let mut rows = file.timeout;
        rows.extend(self.rows.iter().cloned());
        rows.sort_by_key(|row| row.seconds);
        Ok(Self { rows })
    }

    /// All timers, shortest first.
    pub fn rows(&self) -> &[Timeout] {
        &self.rows
    }

    /// The timers of this kind that `measured` fits.
    pub fn fitting(&self, counts: Counts, measured: Duration) -> impl Iterator<Item = &Timeout> {
        self.rows
            .iter()
            .filter(move |timeout| timeout.counts == counts && fits(timeout.after(), measured))
    }

    /// The devices that forget a flow after at most this silence, the longest timer first.
    pub fn forgets_after(&self, silence: Duration) -> impl Iterator<Item = &Timeout> {
        self.rows
            .iter()
            .rev()
            .filter(move |timeout| timeout.counts == Counts::Flow && timeout.after() <= silence)
    }
}

/// Within the tolerance: the larger of 0.25 s and 0.5 % early, of 1.5 s and 2 % late.
pub fn fits(limit: Duration, measured: Duration) -> bool {
    let early = Duration::from_millis(250).max(limit / 200);
    let late = Duration::from_millis(1_500).max(limit / 50);
    measured >= limit.saturating_sub(early) && measured <= limit.saturating_add(late)
}

/// A whole number of seconds, as people configure timers; `None` otherwise.
///
/// Rationale: measured timers strike up to 24 ms late (nginx and haproxy, 1 s
/// to 4 s); 10 ms early covers clocks that tick apart.
pub fn whole_seconds(measured: Duration) -> Option<u64> {
    let seconds = measured.saturating_add(Duration::from_millis(10)).as_secs();
    let late = measured.saturating_sub(Duration::from_secs(seconds));
    let tolerance = Duration::from_millis(50).max(Duration::from_secs(seconds) / 200);
    (seconds > 0 && late <= tolerance).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(measured_ms: u64) -> Vec<u64> {
        Timeouts::built_in()
            .fitting(Counts::Idle, Duration::from_millis(measured_ms))
            .map(|timeout| timeout.seconds)
            .collect()
    }

    #[test]
    fn the_table_that_comes_with_the_program_is_well_formed() {
        let read = Timeouts::default().extended(include_str!("timeouts.toml"));
        assert_eq!(read.as_ref(), Ok(Timeouts::built_in()));
        assert!(Timeouts::built_in().rows().len() > 30);
    }

    #[test]
    fn a_minute_fits_nginx_and_not_heroku() {
        assert_eq!(idle(60_017), [60, 60]);
        assert_eq!(idle(62_000), [0; 0]);
        assert_eq!(idle(59_500), [0; 0]);
    }

    #[test]
    fn a_users_timer_comes_before_a_known_one_of_that_length() {
        let own = "[[timeout]]\nseconds = 60\ncounts = \"idle\"\nowner = \"our gateway\"\nend = \"FIN\"\n";
        let table = Timeouts::built_in()
            .extended(own)
            .expect("it is well-formed");
        let first = table.fitting(Counts::Idle, Duration::from_secs(60)).next();
        assert_eq!(
            first.map(Timeout::candidate).as_deref(),
            Some("our gateway: 60 s (typical: FIN)")
        );
    }

    #[test]
    fn what_is_wrong_with_a_table_is_told_in_a_line() {
        let wrong = |text: &str| {
            let told = Timeouts::default()
                .extended(text)
                .expect_err("it is malformed");
            assert!(!told.to_string().contains('\n'));
            told.to_string()
        };
        assert!(
            wrong("[[timeout]]\nseconds = 60\ncounts = \"idel\"\n")
                .starts_with("line 3: unknown variant")
        );
        assert!(wrong("seconds = 60").starts_with("line 1: unknown field"));
        assert!(wrong("[[timeout]]\nseconds = \"a minute\"").starts_with("line 2: invalid type"));
        assert!(wrong("[[timeout]").starts_with("line 1: "));
        let none = "[[timeout]]\nseconds = 0\ncounts = \"idle\"\nowner = \"x\"\nend = \"FIN\"\n";
        assert_eq!(
            wrong(none),
            "line 4: x: seconds = 0 is no timer; give 1 to 7776000"
        );
    }

    #[test]
    fn timers_strike_at_whole_seconds_or_a_little_later() {
        let ms = Duration::from_millis;
        assert_eq!(whole_seconds(ms(1_001)), Some(1));
        assert_eq!(whole_seconds(ms(3_995)), Some(4));
        assert_eq!(whole_seconds(ms(4_024)), Some(4));
        assert_eq!(whole_seconds(ms(4_300)), None);
        assert_eq!(whole_seconds(ms(40)), None);
    }
}
