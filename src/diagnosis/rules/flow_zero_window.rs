//! `flow-zero-window`: a receiver stopped reading.

use std::time::Duration;

use crate::diagnosis::api::ClientKind;
use crate::diagnosis::heartbeat::first_sign_of_the_end;
use crate::diagnosis::wording::{size, span};
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::ZeroWindow;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "flow-zero-window",
    severity: Severity::Error,
    summary: "a receiver stopped reading: its window closed to zero",
    explain: "\
## What it means
A side's TCP said that it takes no more bytes, because its application doesn't read. Everything that the other side sends piles up in the
sender's memory (`bufferedAmount`, a send queue), Pings and Close frames included. `data.zero_window_ms` is the time altogether.

## What usually causes it
1. The application is blocked or slow: a handler that waits for a database, a loop that computes.
2. A page that is paused, in a debugger or in the background: browsers take some megabytes first.
3. A proxy whose other leg is stuck, and which therefore stops reading this one.

## How to tell them apart
- The side goes on sending while it doesn't read: only its reader is blocked.
- The proxy's other leg has a closed window or losses at the same time: the cause is there.
- A window that is full but never closed: `flow-slow-consumer`.

## What to do
Read in a task of its own, bound the queue behind it, and drop or merge what is outdated. At the sender watch the amount that is buffered, and
send less while it grows.

## References
RFC 9293, section 3.8.6.
",
    checks: &[Check::Session(check)],
};

/// Rationale: for so long a reader that is merely busy doesn't stop.
const LONG: Duration = Duration::from_secs(1);
/// Rationale: several short stops are a reader that can't keep up; one under fast transfers is everyday.
const SHORT: (u32, Duration) = (3, Duration::from_millis(200));

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for side in Direction::BOTH {
        findings.extend(found(case, side));
    }
}

/// How long this side took nothing, as far as that is a finding.
pub(super) fn closed_for(case: &Case<'_>, side: Direction) -> Option<Duration> {
    let zero = &case.session.leg.zero_window[side];
    let end = first_sign_of_the_end(case.session, case.closing);
    let total = zero.total_until(end);
    let episodes = zero.episodes + u32::from(zero.since.is_some());
    (total >= LONG || episodes >= SHORT.0 && total >= SHORT.1).then_some(total)
}

fn found(case: &Case<'_>, side: Direction) -> Option<Finding> {
    let total = closed_for(case, side)?;
    let leg = &case.session.leg;
    let ZeroWindow {
        episodes,
        longest,
        since,
        released,
        probes,
        ..
    } = *leg.zero_window[side];
    let begin = since.or(longest.map(|(_, from, _)| from))?;
    let (who, peer) = (side.sender(), side.receiver());
    let mut summary = format!("the {who} took nothing for {}", span(total));
    if since.is_some() {
        summary.push_str(", and its window was still closed at the end");
    } else if released > 0 {
        summary.push_str(&format!(
            "; when its window opened, {} of the {peer} followed within a second",
            size(released)
        ));
    }
    let severity = match total >= LONG {
        true => Severity::Error,
        false => Severity::Warn,
    };
    let first = Evidence::new(begin, format!("window 0, {who} to {peer}"));
    let opened = longest.map(|(.., to)| to).filter(|_| since.is_none());
    let mut finding = Finding::new(&RULE, case.session, Confidence::Certain, first, summary)
        .severity(severity)
        .evidence_if(opened, "the window opens")
        .data("side", Value::Text(who.to_owned()))
        .data("zero_window_ms", Value::Ms(total))
        .data(
            "episodes",
            Value::Count(u64::from(episodes) + u64::from(since.is_some())),
        )
        .data("released_bytes", Value::Count(released))
        .data("probes", Value::Count(probes));
    let spoke = leg.last_payload[side].is_some_and(|last| last > begin);
    finding = match spoke {
        true => finding.cause(
            Confidence::Likely,
            format!("the {who}'s reader was blocked or too slow"),
        ),
        false => finding.cause(
            Confidence::Likely,
            format!("the {who} was blocked or suspended: it sent nothing either"),
        ),
    };
    if side == Direction::ClientToServer && ClientKind::of(case.session) == ClientKind::Browser {
        finding = finding.cause(Confidence::Possible, "a page that is paused or too busy");
    }
    Some(
        finding
            .cause(Confidence::Possible, "a proxy here whose other leg is stuck")
            .advice(format!(
                "look what kept the {who}'s application from reading; at the {peer}, bound what is queued for a slow reader"
            )),
    )
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn closed(seconds: f64) -> Script {
        Script::new()
            .upgrade()
            .window(ClientToServer, 0)
            .frame(ServerToClient, 0x82, &[7; 900])
            .wait_s(seconds)
            .update(ClientToServer, 500)
    }

    #[test]
    fn a_client_that_reads_nothing_for_two_seconds_is_told() {
        let told = closed(2.0)
            .frame(ServerToClient, 0x82, &[7; 900])
            .clean_close(ClientToServer)
            .told();
        let finding = told.only("flow-zero-window");
        assert!(
            finding
                .summary
                .contains("the client took nothing for 2.0 s"),
            "{}",
            finding.summary
        );
        assert_eq!(finding.confidence.name(), "certain");
    }

    #[test]
    fn a_window_that_closes_for_a_moment_is_everyday() {
        let told = closed(0.1).clean_close(ClientToServer).told();
        assert!(told.of("flow-zero-window").is_empty());
    }
}
