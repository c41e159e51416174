//! `close-handshake-incomplete`: one side said Close, and the other never answered.

use std::time::Duration;

use super::{close_failed_by_receiver, close_lost_to_rst};
use crate::diagnosis::api::refuses_answer;
use crate::diagnosis::closing::{late_close, named};
use crate::diagnosis::lacks::end_is_captured;
use crate::diagnosis::timeouts::Counts;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Value};
use crate::session::Ended;
use crate::stream::{Direction, PacketRef};

/// Rationale: an answer takes a round trip; a side that ends TCP sooner didn't wait for one.
const AT_ONCE: Duration = Duration::from_millis(50);

pub(super) static RULE: Rule = Rule {
    id: "close-handshake-incomplete",
    severity: Severity::Warn,
    summary: "one side sent a Close frame, and the other never answered with its own",
    explain: "\
## What it means
The closing handshake takes a Close frame of each side. Only one was sent. The side that waited for the answer reports 1006, although it asked for another
code; the side that got the Close frame reports that code.

## What usually causes it
- The other side's application is blocked, or doesn't read.
- The other side or the path to it is dead.
- A server that ends TCP instead of answering.
- The closing side didn't wait: it ended TCP right after its Close frame.

## How to tell them apart
- The Close frame was never acknowledged: the path or the host is dead. Acknowledged: the host lives, the application doesn't answer.
- A FIN of the other side: it closes without answering.
- The time until the closing side gave up tells its library: 10 s Python websockets and aiohttp, 30 s ws, 60 s Chromium.

## What to do
The receiver of a Close frame must answer with one, as soon as it can, and the server then closes TCP.

## References
RFC 6455, sections 5.5.1, 7.1.1 and 7.1.3.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let (Kind::Half, Some(closer)) = (case.closing.kind, case.closing.first_close) else {
        return;
    };
    let Some(close) = case.session.close[closer].as_ref() else {
        return;
    };
    // What broke the closing handshake off has a better name in these cases.
    let refused = closer == Direction::ServerToClient && refuses_answer(case.session);
    if refused
        || close_failed_by_receiver::explains(case, closer)
        || close_lost_to_rst::found(case, closer).is_some()
    {
        return;
    }
    let from = close.control.frame.at;
    let upto = case
        .closing
        .terminator
        .map_or(case.session.horizon, |end| end.at);
    let waited = upto.time.saturating_since(from.time);
    let cut = case.closing.terminator.is_none() && case.session.ended != Some(Ended::Settled);
    // The answer may stand beyond the end of the capture.
    if cut && waited < case.thresholds.no_response {
        return;
    }
    findings.push(found(case, closer, from, waited, close.code));
}

fn found(
    case: &Case<'_>,
    closer: Direction,
    from: PacketRef,
    waited: Duration,
    code: Option<u16>,
) -> Finding {
    let session = case.session;
    let (name, other) = (closer.sender(), closer.reverse().sender());
    let acked = session.leg.unacked[closer].first.is_none();
    let left = case
        .closing
        .terminator
        .is_some_and(|end| end.direction == closer)
        && waited < AT_ONCE;
    let theirs = case
        .closing
        .terminator
        .filter(|end| end.direction != closer);
    let (kind, cause) = match (theirs, left) {
        (Some(end), _) if end.reset.is_some() => (
            "peer-rst",
            format!("the {other} reset the connection instead of answering"),
        ),
        (Some(_), _) => (
            "peer-fin",
            format!("the {other} ended TCP instead of answering"),
        ),
        (None, true) => (
            "not-awaited",
            format!(
                "the {name} ended TCP {} after its Close frame, without waiting",
                span(waited)
            ),
        ),
        (None, false) if acked => (
            "peer-silent",
            format!("the {other}'s host took the Close frame, its application didn't answer"),
        ),
        (None, false) => (
            "peer-dead",
            format!(
                "the {other} or the path to it is dead: the Close frame was never acknowledged"
            ),
        ),
    };
    let closing = &case.closing;
    let late = late_close(
        session,
        closing.kind,
        Some(closer),
        closing.terminator.as_ref(),
    );
    let (summary, cause) = match late {
        Some(end) => (
            format!(
                "the {other} ended TCP without a Close frame, {} before the {name} sent its Close {}",
                span(from.time.saturating_since(end.at.time)),
                named(code)
            ),
            format!("the {other} ends TCP without closing the WebSocket"),
        ),
        None => (
            format!(
                "the {name} sent Close {} and got no Close frame in return: {cause}",
                named(code)
            ),
            cause,
        ),
    };
    let hidden = session.may_hide_frames(closer.reverse());
    let confidence = match (hidden, case.closing.terminator) {
        (true, _) => Confidence::Possible,
        // The answer may be behind the end of the capture.
        (false, Some(_))
            if session.ended != Some(Ended::CaptureEnd)
                && end_is_captured(session, closer.reverse()) =>
        {
            Confidence::Certain
        }
        (false, _) => Confidence::Likely,
    };
    // Who doesn't wait, or fails the connection (section 7.1.7), has nothing to complain of.
    let harmless =
        kind == "not-awaited" || matches!(code, Some(1002 | 1003 | 1007 | 1009 | 1010 | 1011));
    let severity = if harmless {
        Severity::Info
    } else {
        Severity::Warn
    };
    let mut finding = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(from, format!("Close of the {name}")),
        summary,
    )
    .severity(severity)
    .evidence_if(
        case.closing.terminator.map(|end| end.at),
        "end of the transport",
    )
    .data("kind", Value::Text(kind.to_owned()))
    .data("closer", Value::Text(name.to_owned()))
    .data("waited_ms", Value::Ms(waited))
    .data("acked", Value::Flag(acked))
    .cause(confidence.min(Confidence::Likely), cause);
    if kind == "peer-silent" {
        for row in case.thresholds.timeouts.fitting(Counts::CloseWait, waited) {
            let gave_up = format!(
                "the {name} gave up after {}, as {} does",
                span(waited),
                row.owner
            );
            finding = finding.cause(Confidence::Possible, gave_up);
        }
    }
    finding.advice(match kind {
        _ if late.is_some() => format!("let the {other} send a Close frame before it ends TCP; look at what made it end TCP"),
        "not-awaited" => format!("let the {name} wait for the answer before it ends TCP, if the code matters to it"),
        "peer-dead" => format!("look at the {other}'s host and the path to it"),
        _ => format!("the {other} must answer a Close frame with its own: look whether its application reads and its library answers"),
    })
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::closing::close_of;
    use crate::diagnosis::{EndedBy, Severity, Value};
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_close_that_stays_without_an_answer_is_found() {
        let told = Script::new()
            .upgrade()
            .close(ClientToServer, 1000, "")
            .wait_s(10.0)
            .fin(ClientToServer)
            .fin(ServerToClient)
            .told();
        let finding = told.only("close-handshake-incomplete");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("peer-silent".to_owned())))
        );
    }

    #[test]
    fn a_close_that_comes_after_the_other_side_ended_tcp_is_not_what_ended_it() {
        let told = Script::new()
            .upgrade()
            .fin(ServerToClient)
            .close(ClientToServer, 1000, "")
            .fin(ClientToServer)
            .told();
        let finding = told.only("close-handshake-incomplete");
        assert!(finding.summary.starts_with("the server ended TCP"));
        let closing = close_of(&told.sessions[0]);
        assert_eq!(closing.ended_by, EndedBy::Server);
    }

    #[test]
    fn who_does_not_wait_is_told_apart() {
        let told = Script::new()
            .upgrade()
            .close(ClientToServer, 1001, "")
            .fin(ClientToServer)
            .told();
        assert_eq!(
            told.only("close-handshake-incomplete").severity,
            Severity::Info
        );
    }

    #[test]
    fn an_answer_beyond_the_end_of_the_capture_is_not_missing() {
        let told = Script::new()
            .upgrade()
            .close(ClientToServer, 1000, "")
            .wait_s(1.0)
            .told();
        assert!(told.of("close-handshake-incomplete").is_empty());
    }
}
