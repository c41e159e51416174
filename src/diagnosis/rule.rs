//! A rule: the one place that knows a finding's id, severity, meaning and check.

use super::{Closing, Finding, Patterns, Severity, Thresholds};
use crate::session::{Attempt, Capture, Session};

/// One finding of the catalogue.
#[derive(Debug)]
pub struct Rule {
    /// Names what is wrong; never reused, never renamed.
    pub id: &'static str,
    /// The default; a finding carries its own.
    pub severity: Severity,
    /// One line: what it says when it fires.
    pub summary: &'static str,
    /// Markdown: what it means, what usually causes it, how to tell the causes
    /// apart, what to do, references. Shown by `explain` and in docs/findings.md.
    pub explain: &'static str,
    /// What decides.
    pub checks: &'static [Check],
}

/// The function that decides, by what it looks at.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// One session.
    Session(fn(&Case<'_>, &mut Vec<Finding>)),
    /// Everything at once: connections without a session, the capture, patterns.
    Capture(fn(&Overview<'_>, &mut Vec<Finding>)),
}

/// One session, with what the rules share.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The facts.
    pub session: &'a Session,
    /// How it ended and what each side was told.
    pub closing: &'a Closing,
    /// The capture it is from.
    pub capture: &'a Capture,
    /// The numbers that opinions depend on.
    pub thresholds: &'a Thresholds,
}

/// Everything at once.
#[derive(Clone, Copy, Debug)]
pub struct Overview<'a> {
    /// All sessions, in the order in which they began.
    pub sessions: &'a [Session],
    /// Connections without a session that failed.
    pub attempts: &'a [Attempt],
    /// The capture.
    pub capture: &'a Capture,
    /// What many sessions and attempts show together.
    pub patterns: &'a Patterns<'a>,
    /// The numbers that opinions depend on.
    pub thresholds: &'a Thresholds,
}
