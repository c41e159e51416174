//! What somebody chose of a capture, and in which words a report says so.

use super::when::{clock, date};
use crate::time::Timestamp;

/// What the capture has of one key, for those whose choice matched nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `host`, `path` and the like.
    pub key: &'static str,
    /// Values and in how many sessions each was seen, the most frequent first. Free of secrets.
    pub values: Vec<(String, usize)>,
    /// How many more values there are.
    pub more: usize,
}

/// A part of what was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The flags. Free of secrets.
    pub by: Vec<String>,
    /// Sessions that match.
    pub sessions: usize,
    /// Of so many.
    pub of: usize,
    /// The same, with the legs of a proxy as one.
    pub stories: usize,
    /// Of so many.
    pub of_stories: usize,
    /// The start of the time in question.
    pub from: Option<Timestamp>,
    /// Its end; packets after it were not read.
    pub to: Option<Timestamp>,
    /// Findings about these sessions that are left out, since all their packets lie outside that time.
    pub findings_outside: usize,
    /// Those of them that are more than information.
    pub faults_outside: usize,
    /// What there was, where nothing matched.
    pub seen: Vec<Seen>,
}

impl Selected {
    /// `3 of 812 sessions: --where path=/chat*`.
    pub fn sentence(&self) -> String {
        let plural = if self.of_stories == 1 { "" } else { "s" };
        let (sessions, of, flags) = (self.stories, self.of_stories, self.flags());
        let mut told = format!("{sessions} of {of} session{plural}: {flags}");
        match self.findings_outside {
            0 => {}
            1 => told.push_str("; 1 finding about them lies outside that time"),
            more => told.push_str(&format!(
                "; {more} findings about them lie outside that time"
            )),
        }
        told
    }

    /// `--from --where host=a (from 2026-11-23 14:05:00.000 UTC)`.
    fn flags(&self) -> String {
        let shown = |time| format!("{} {}", date(time), clock(time));
        let when = match (self.from, self.to) {
            (Some(from), Some(to)) => format!(" ({} to {} UTC)", shown(from), shown(to)),
            (Some(from), None) => format!(" (from {} UTC)", shown(from)),
            (None, Some(to)) => format!(" (to {} UTC)", shown(to)),
            (None, None) => String::new(),
        };
        format!("{}{when}", self.by.join(" "))
    }

    /// That nothing matched, and what there was instead.
    pub fn nothing(&self) -> String {
        let flags = self.flags();
        let mut told = match self.of_stories {
            0 => return format!("No session matches {flags}: the capture has none."),
            1 => format!("The one session of the capture doesn't match {flags}."),
            of => format!("None of the {of} sessions matches {flags}."),
        };
        for seen in &self.seen {
            let values = seen.values.iter();
            let values: Vec<String> = values
                .map(|(value, sessions)| format!("{value} ({sessions})"))
                .collect();
            let more = match seen.more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            told.push_str(&match values.as_slice() {
                [] => format!(" No {} was seen.", seen.key),
                _ => format!(" Of {} there is: {}{more}.", seen.key, values.join(", ")),
            });
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(sessions: usize, of: usize) -> Selected {
        Selected {
            by: vec!["--where path=/chat*".to_owned()],
            sessions,
            of,
            stories: sessions,
            of_stories: of,
            ..Selected::default()
        }
    }

    #[test]
    fn a_choice_says_of_how_many() {
        assert_eq!(
            chosen(3, 812).sentence(),
            "3 of 812 sessions: --where path=/chat*"
        );
        let timed = Selected {
            from: Some(Timestamp::from_nanos(0)),
            findings_outside: 2,
            ..chosen(1, 1)
        };
        assert_eq!(
            timed.sentence(),
            "1 of 1 session: --where path=/chat* (from 1970-01-01 00:00:00.000 UTC); \
             2 findings about them lie outside that time"
        );
    }

    #[test]
    fn a_choice_that_matches_nothing_says_what_there_is() {
        let nothing = Selected {
            seen: vec![Seen {
                key: "path",
                values: vec![("/feed".to_owned(), 7), ("/ws".to_owned(), 1)],
                more: 2,
            }],
            ..chosen(0, 8)
        };
        assert_eq!(
            nothing.nothing(),
            "None of the 8 sessions matches --where path=/chat*. \
             Of path there is: /feed (7), /ws (1) and 2 more."
        );
    }
}
