//! `net-half-open`: one side keeps sending into a path that carries nothing.

use crate::diagnosis::path::{DeadPath, dead_path, expired};
use crate::diagnosis::path_mtu::black_hole;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "net-half-open",
    severity: Severity::Error,
    summary: "one side keeps sending into a dead path",
    explain: "\
## What it means
Data is sent again and again, at growing intervals, and never acknowledged. The application's socket still says OPEN and takes what is written into the
kernel's buffer. Without a heartbeat it learns of it only when TCP gives up, after about 15 minutes on Linux.

## What usually causes it
- The other side vanished without a word: sleep, lost radio, pulled cable, crashed host.
- A device on the path forgot the flow and drops it; see `close-1006-flow-expired`.
- A route or filter changed and one direction goes dark.

## How to tell them apart
- A long silence before the first unanswered data: the flow was forgotten.
- The other side is still heard, but acknowledges nothing new: only one direction is dark.
- All sessions of a host at once: the host, or the link to it.
- Only large segments stay unanswered: see `net-mtu-blackhole`.

## What to do
Ping in both directions with a deadline of seconds, and reconnect when it passes. On Linux TCP_USER_TIMEOUT bounds the wait.

## References
RFC 9293, section 3.8; RFC 6298; RFC 5482.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let open = matches!(
        case.closing.kind,
        Kind::Abnormal | Kind::Open | Kind::Half | Kind::Unknown
    );
    let Some(dead) = dead_path(case.session).filter(|_| open) else {
        return;
    };
    // A reset of the other side ends the doubt: it, or something in its name, answered.
    let answered = case
        .closing
        .terminator
        .is_some_and(|end| end.direction != dead.sender && end.at > dead.first);
    // Short segments pass: not the path is dead.
    let too_long = black_hole(case.session).is_some_and(|hole| hole.sender == dead.sender);
    if !answered && !too_long {
        findings.push(found(case, &dead));
    }
}

fn found(case: &Case<'_>, dead: &DeadPath) -> Finding {
    let confidence = if dead.is_sure() && !case.session.may_hide_frames(dead.sender) {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let (sender, other) = (dead.sender.sender(), dead.sender.reverse().sender());
    let tried = span(dead.tried());
    let summary = format!(
        "the {sender} sent the same data {} more times over {tried}, and the {other} acknowledged nothing",
        dead.again
    );
    let first = Evidence::new(
        dead.first,
        format!("first data of the {sender} without an acknowledgment"),
    );
    let mut finding = Finding::new(&RULE, case.session, confidence, first, summary)
        .evidence(dead.last, "sent again for the last time")
        .evidence_if(dead.heard, &format!("newest packet of the {other}"))
        .data("sender", Value::Text(sender.to_owned()))
        .data("retransmissions", Value::Count(dead.again))
        .data("tried_ms", Value::Ms(dead.tried()))
        .data("acked", Value::Flag(false))
        .data("one_way", Value::Flag(dead.one_way()));
    if dead.one_way() {
        let cause =
            format!("only the direction from the {sender} is dark: the {other} is still heard");
        finding = finding.cause(Confidence::Likely, cause);
    }
    if let Some(expired) = expired(case.session, case.thresholds.timeouts) {
        let cause = format!(
            "a device forgot the flow: {} of silence stand before it",
            span(expired.silence)
        );
        finding = finding.cause(Confidence::Possible, cause);
    }
    finding
        .cause(Confidence::Possible, format!("the {other} or its network vanished"))
        .cause(Confidence::Possible, "a device on the path drops the packets")
        .advice("ping with a deadline of seconds and reconnect when it passes; capture at the other end to see how far the packets come")
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn unanswered(times: u32) -> Script {
        let bytes = frame(0x81, b"hello?", true);
        let mut script = Script::new()
            .upgrade()
            .silent(ServerToClient, true)
            .bytes(ClientToServer, &bytes);
        for time in 0..times {
            script = script
                .wait_s(0.2 * f64::from(1 << time))
                .again(ClientToServer, &bytes);
        }
        script
    }

    #[test]
    fn three_retransmissions_without_an_answer_may_be_a_dead_path() {
        assert_eq!(
            unanswered(3).told().only("net-half-open").confidence.name(),
            "possible"
        );
    }

    #[test]
    fn five_are_likely_one() {
        let told = unanswered(5).told();
        assert_eq!(told.only("net-half-open").confidence.name(), "likely");
        assert_eq!(told.sessions[0].leg.unacked.client.again_count, 5);
    }

    #[test]
    fn a_path_that_heals_is_not_dead() {
        let told = unanswered(5)
            .silent(ServerToClient, false)
            .text(ServerToClient, "here I am")
            .told();
        assert!(told.of("net-half-open").is_empty());
    }
}
