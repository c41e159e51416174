//! What it means: rules that turn a session's facts into findings with evidence.
//!
//! Pure functions of the facts and the thresholds: no clock, no parsing, no I/O.

pub mod api;
mod application;
mod breach;
mod client_certificate;
pub mod closing;
mod codes;
mod dial;
mod ending;
mod ends;
mod finding;
mod heartbeat;
mod keyless;
#[cfg(test)]
mod keyless_tests;
mod lacks;
mod legs;
mod path;
mod path_mtu;
mod patterns;
mod provenance;
mod refusal;
mod responder;
mod rule;
pub mod rules;
mod status;
mod story_end;
mod thresholds;

pub mod timeouts;
mod timing;
mod tls;
mod token;
mod tunnel;
mod violation;
mod wording;

pub use application::{BeatVerdict, RequestVerdict, judge_beats, judge_requests};
pub use breach::{is_of_framing, rule_of};
pub use closing::Closing;
pub use ending::{EndedBy, Farewell, How, Kind, Terminator};
pub use finding::{Cause, Confidence, Evidence, Finding, Severity, Subject, Value};
pub use heartbeat::{GaveUp, PingVerdict, judge_pings};
pub use legs::{
    HeadChanges, client_leg, confidence_of, head_changes, joined, merge_legs, not_passed_on,
    pings_passed, server_leg, stories,
};
pub use path::{Vanished, vanished};
pub use patterns::Patterns;
pub use provenance::{Provenance, reset_provenance};
pub use refusal::{Family, Refusal, Stripped, refusal_of};
pub use responder::{Responder, responder_of};
pub use rule::{Case, Check, Overview, Rule};
pub use thresholds::Thresholds;
pub use wording::span;

use crate::session::{Attempt, Capture, Session};

/// What one session's facts mean. Called when the session is settled, or at
/// any time for a report on open ones.
pub fn diagnose(session: &Session, capture: &Capture, thresholds: &Thresholds) -> Vec<Finding> {
    let closing = closing::close_of(session);
    let case = Case {
        session,
        closing: &closing,
        capture,
        thresholds,
    };
    let mut findings = Vec::new();
    for rule in rules::ALL {
        for check in rule.checks {
            if let Check::Session(check) = check {
                check(&case, &mut findings);
            }
        }
    }
    timing::discount(&mut findings, &capture.clocks);
    lacks::discount(&mut findings, std::slice::from_ref(session));
    findings
}

/// What the connections without a session mean, and the capture as a whole.
/// `found` holds the findings of the sessions.
pub fn diagnose_capture(
    sessions: &[Session],
    attempts: &[Attempt],
    capture: &Capture,
    thresholds: &Thresholds,
) -> Vec<Finding> {
    let patterns = Patterns::of(sessions, attempts, capture);
    let overview = Overview {
        sessions,
        attempts,
        capture,
        patterns: &patterns,
        thresholds,
    };
    let mut findings = Vec::new();
    for rule in rules::ALL {
        for check in rule.checks {
            if let Check::Capture(check) = check {
                check(&overview, &mut findings);
            }
        }
    }
    lacks::discount(&mut findings, sessions);
    findings
}

/// The order of a report: capture quality first, then the worst, then by place.
pub fn rank(findings: &mut [Finding]) {
    for finding in &mut *findings {
        // The best supported cause first; of equals the order of the rule.
        finding
            .causes
            .sort_by_key(|cause| std::cmp::Reverse(cause.confidence));
    }
    findings.sort_by_key(|finding| {
        let quality = finding.rule.id.starts_with("cap-");
        let place = finding.evidence.first().map(|e| e.at);
        (
            !quality,
            std::cmp::Reverse(finding.severity),
            std::cmp::Reverse(finding.confidence),
            finding.subject,
            place,
        )
    });
}
