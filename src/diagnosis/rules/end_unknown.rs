//! `end-unknown`: the capture ended while the session was open.

use crate::diagnosis::path::dead_path;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Value};
use crate::session::Ended;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "end-unknown",
    severity: Severity::Info,
    summary: "the capture ended while the session was open",
    explain: "\
## What it means
No Close frame, FIN or reset was captured: the session was open at its last packet. How it ended, and with which code, can't be told from this file.
It isn't called 1006.

## What usually causes it
- The capture was stopped, or rotated to the next file.
- A capture filter or the capturing host lost the end. `data.kind` is `not-captured` where another connection between the same
  addresses and ports proves that there was one.

## How to tell them apart
The next file of a rotated ring, if there is one, has the rest: give all of them to wscope.

## What to do
Capture longer, or give the following files too.

## References
RFC 6455, section 7.1.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let pending = case.closing.terminator.is_none() && case.session.ended != Some(Ended::Settled);
    let waiting = case.closing.kind == Kind::Half && pending;
    if case.closing.kind != Kind::Open && !waiting {
        return;
    }
    // A dead path is the better word for it.
    if dead_path(session).is_some() {
        return;
    }
    // The end may be in what the capture lacks.
    let lacks = |side| session.may_hide_frames(side);
    let confidence = match case.capture.dropped > 0 || Direction::BOTH.into_iter().any(lacks) {
        true => Confidence::Likely,
        false => Confidence::Certain,
    };
    let last = session.leg.last_packet_any();
    let quiet = session.horizon.time.saturating_since(last.time);
    let (kind, summary) = match session.ended {
        Some(Ended::LimitReached) => (
            "limit-reached",
            "the session was open when its record was let go to stay within the limits".to_owned(),
        ),
        Some(Ended::Settled) => (
            "not-captured",
            "the end of the session was not captured: another connection follows between the same addresses and ports".to_owned(),
        ),
        _ if waiting => (
            "closing",
            "the capture ends in the middle of the closing handshake".to_owned(),
        ),
        _ => (
            "open",
            format!(
                "the session was open when the capture ended, {} after its last packet",
                span(quiet)
            ),
        ),
    };
    findings.push(
        Finding::new(
            &RULE,
            session,
            confidence,
            Evidence::new(last, "last packet of the session"),
            summary,
        )
        .data("kind", Value::Text(kind.to_owned()))
        .data("quiet_ms", Value::Ms(quiet))
        .advice("capture longer, or give the files that follow, if the end matters"),
    );
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn an_open_session_at_the_end_is_no_1006() {
        let told = Script::new().upgrade().text(ClientToServer, "hi").told();
        assert_eq!(told.of("end-unknown").len(), 1);
        assert!(!told.ids().iter().any(|id| id.starts_with("close-1006")));
    }

    #[test]
    fn a_session_whose_end_was_not_captured_is_no_1006_either() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .wait_s(60.0)
            .at_port(40_001)
            .upgrade()
            .clean_close(ClientToServer)
            .told();
        assert_eq!(told.sessions.len(), 2);
        let finding = told.only("end-unknown");
        assert!(finding.summary.contains("not captured"));
        assert!(!told.ids().iter().any(|id| id.starts_with("close-1006")));
    }

    #[test]
    fn a_session_that_was_closed_has_a_known_end() {
        let told = Script::new().upgrade().clean_close(ServerToClient).told();
        assert!(told.of("end-unknown").is_empty());
    }
}
