//! What the user sees: one file per format. Types of the model never leave as
//! they are; each format owns its shapes and its version.

mod community;
mod describe;
mod explanation;
mod json;
mod messages;
mod selected;
mod show;
mod text;
mod when;
mod wrap;

use std::collections::BTreeMap;
use std::io::{self, Write};

pub use explanation::{explain_rule, list_rules};
pub use messages::{MessageFormat, Messages};
pub use selected::{Seen, Selected};
pub use show::{Gathered, Show, ShowFormat};
pub use when::rfc3339;

use crate::diagnosis::{
    Closing, Finding, PingVerdict, Severity, Subject, Thresholds, closing, judge_pings,
};
use crate::session::redact::Secrets;
use crate::session::{Capture, Session};
use crate::stream::Sides;

/// One session with what is made of it.
#[derive(Clone, Debug)]
pub struct Reported<'a> {
    /// The facts.
    pub session: &'a Session,
    /// How it ended.
    pub closing: Closing,
    /// Its Pings, judged.
    pub pings: Sides<PingVerdict>,
}

/// All that a report is written from.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was read.
    pub capture: Capture,
    /// The sessions, in the order in which they began.
    pub sessions: Vec<Session>,
    /// The findings, in the order in which they are to be shown.
    pub findings: Vec<Finding>,
    /// Whether secrets are shown.
    pub secrets: Secrets,
    /// A key log was given.
    pub keys_given: bool,
    /// The numbers that opinions depend on.
    pub thresholds: Thresholds,
    /// What somebody chose of it; `None`: this is all.
    pub selected: Option<Selected>,
    /// Where in `findings` those about a session stand, by its number.
    about: BTreeMap<u32, Vec<usize>>,
}

impl Report {
    /// A report on all of this; `findings` in the order in which they are to be shown.
    pub fn new(
        capture: Capture,
        sessions: Vec<Session>,
        findings: Vec<Finding>,
        secrets: Secrets,
        keys_given: bool,
        thresholds: Thresholds,
    ) -> Self {
        let mut about: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, finding) in findings.iter().enumerate() {
            if let Subject::Session(id) = finding.subject {
                about.entry(id).or_default().push(index);
            }
        }
        Self {
            capture,
            sessions,
            findings,
            secrets,
            keys_given,
            thresholds,
            selected: None,
            about,
        }
    }

    /// The same, as a part of what was read.
    #[must_use]
    pub fn selected(mut self, selected: Option<Selected>) -> Self {
        self.selected = selected;
        self
    }

    /// How many sessions the capture holds, those that weren't chosen included.
    pub fn all_sessions(&self) -> usize {
        self.selected
            .as_ref()
            .map_or(self.sessions.len(), |selected| selected.of)
    }

    /// A session, judged. Done when it is asked for: kept for all, it would
    /// take as much memory as the sessions do.
    pub fn judged<'a>(&self, session: &'a Session) -> Reported<'a> {
        let closing = closing::close_of(session);
        let pings = Sides::from_fn(|side| judge_pings(session, &closing, side, &self.thresholds));
        Reported {
            session,
            closing,
            pings,
        }
    }

    /// The session of this number.
    pub fn session(&self, id: u32) -> Option<&Session> {
        let place = self
            .sessions
            .binary_search_by_key(&id, |session| session.id)
            .ok()?;
        self.sessions.get(place)
    }

    /// Where in `findings` those about this session stand.
    pub fn about(&self, session: u32) -> &[usize] {
        self.about.get(&session).map_or(&[], Vec::as_slice)
    }

    /// The worst severity among the findings.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text {
        /// With colour.
        color: bool,
        /// Columns.
        width: usize,
        /// All evidence, rather than the first few packets.
        verbose: bool,
    },
    /// One object (schema 1).
    Json,
    /// One object a line: the capture, each session, each finding.
    Jsonl,
}

impl Format {
    /// Writes the report.
    ///
    /// # Errors
    /// What `out` says; a closed pipe among them.
    pub fn write(self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Text {
                color,
                width,
                verbose,
            } => text::write(
                report,
                text::Style {
                    color,
                    width,
                    verbose,
                },
                out,
            ),
            Self::Json => json::write(report, out),
            Self::Jsonl => json::write_lines(report, out),
        }
    }
}
