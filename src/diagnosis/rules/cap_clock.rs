//! `cap-clock`: the capture's clock ran backwards.

use std::time::Duration;

use super::hb_pong_timeout::seconds;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "cap-clock",
    severity: Severity::Warn,
    summary: "packets are not in the order of their times",
    explain: "\
## What it means
A packet is stamped earlier than the one before it. Durations across such a place are counted as 0 where they would be negative; durations that
span a step of the clock are wrong by its size. Steps back of up to a second are told for information only.

## What usually causes it
- Small steps: several queues, interfaces or threads that write one file.
- Large steps: the clock was set (NTP, a resumed machine), or files were put together in the wrong order.

## How to tell them apart
`data.count`: many small steps are the capture's way of writing, one large step is the clock or a seam between two files.

## What to do
Sort the file with `reordercap`, or merge parts with `mergecap`. A clock that was set can't be repaired afterwards.

## References
pcapng: packet timestamps.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: queues and interfaces of one machine differ by milliseconds; nothing but a clock or a seam takes a second.
const STEP: Duration = Duration::from_secs(1);

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let capture = overview.capture;
    let Some((at, nanos)) = capture.clock_back else {
        return;
    };
    let back = Duration::from_nanos(nanos);
    let count = capture.clock_backs;
    let large = back > STEP;
    let how_long = match back.as_millis() {
        0 => format!("{} us", back.as_micros()),
        _ => seconds(back),
    };
    let times = if count == 1 { "once" } else { "at most" };
    let finding = Finding::of_capture(
        &RULE,
        Confidence::Certain,
        match count {
            1 => format!("a packet is stamped {how_long} earlier than one before it"),
            _ => format!(
                "{count} packets are stamped earlier than one before them, by {how_long} {times}"
            ),
        },
    )
    .evidence(at, "the largest step back")
    .data("back_ms", Value::Ms(back))
    .data("count", Value::Count(count));
    findings.push(match large {
        true => finding
            .cause(Confidence::Possible, "the clock of the capturing machine was set")
            .cause(Confidence::Possible, "files were put together in the wrong order")
            .advice("durations across this place are wrong; sort the file with reordercap and look again"),
        false => finding
            .severity(Severity::Info)
            .cause(Confidence::Likely, "several interfaces, queues or threads wrote this file")
            .advice("durations shorter than that may be wrong; sort the file with reordercap to be sure"),
    });
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Severity;
    use crate::script::Script;
    use crate::stream::Direction::ServerToClient;

    fn after_a_step(seconds: f64) -> crate::script::Told {
        Script::new()
            .upgrade()
            .wait_s(-seconds)
            .text(ServerToClient, "hi")
            .told()
    }

    #[test]
    fn a_clock_that_is_set_back_is_a_warning() {
        let told = after_a_step(5.0);
        let finding = told.only("cap-clock");
        assert_eq!(finding.severity, Severity::Warn);
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(8));
    }

    #[test]
    fn a_step_of_milliseconds_is_for_information() {
        assert_eq!(
            after_a_step(0.003).only("cap-clock").severity,
            Severity::Info
        );
    }

    #[test]
    fn a_clock_that_stands_still_is_silent() {
        assert!(after_a_step(0.001).of("cap-clock").is_empty());
    }
}
