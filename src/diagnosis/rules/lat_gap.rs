//! `lat-gap`: a regular stream of messages paused.

use std::time::Duration;

use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::{Cadence, Pause};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "lat-gap",
    severity: Severity::Info,
    summary: "a regular stream of messages paused",
    explain: "\
## What it means
One side's messages came at a steady interval, and once none came for far longer (`data.gap_ms` against `data.interval_ms`). Nobody closed
anything.

## What usually causes it
1. The producer paused: there was nothing to say, or it was blocked.
2. The receiver's window was closed (`flow-zero-window`).
3. A loss, and the wait until it was made good (`lat-retransmit`, `net-stall`).

## How to tell them apart
- `data.tcp` tells what TCP shows in the pause: `healthy`, `window` or `loss`.
- What was due in the pause came at once after it: `lat-burst-delivery`.

## What to do
With a healthy TCP look at the producer's logs at that time.

## References
RFC 6455, section 5.6.
",
    checks: &[Check::Session(check)],
};

/// Rationale: with more variation there is no rhythm to be out of.
const STEADY: f64 = 0.5;
/// Rationale: one interval in five that is a pause is no pause, but the rhythm.
const SHARE: u64 = 5;
/// Rationale: shorter ones nobody notices.
const NOTICED: Duration = Duration::from_millis(250);

/// This side's messages have a rhythm.
pub(super) fn is_steady(cadence: &Cadence) -> bool {
    cadence
        .variation()
        .is_some_and(|variation| variation < STEADY)
        && cadence.paused * SHARE <= cadence.intervals
}

/// What TCP shows between two packets of this sender.
pub(super) fn tcp_in(case: &Case<'_>, sender: Direction, pause: &Pause) -> &'static str {
    let leg = &case.session.leg;
    let within = |from, to| from < pause.to && to > pause.from;
    let shut = &leg.zero_window[sender.reverse()];
    if shut.longest.is_some_and(|(_, from, to)| within(from, to)) {
        return "window";
    }
    let mut recoveries = leg.flow[sender].recoveries.iter();
    match recoveries.any(|recovery| within(recovery.first, recovery.acked)) {
        true => "loss",
        false => "healthy",
    }
}

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let worst = |sender: Direction| {
        let cadence = &case.session.cadence[sender];
        let pauses = cadence.pauses().filter(|pause| pause.len() >= NOTICED);
        let pause = *pauses.max_by_key(|pause| pause.len())?;
        let whole = !case.session.may_hide_frames(sender);
        (is_steady(cadence) && whole).then_some((sender, pause))
    };
    let [client, server] = Direction::BOTH.map(worst);
    let told = match (client, server) {
        // Answers pause with the questions: who went on first had paused.
        (Some(one), Some(other)) if overlap(&one.1, &other.1) => {
            [Some(if one.1.to < other.1.to { one } else { other }), None]
        }
        both => [both.0, both.1],
    };
    for (sender, pause) in told.into_iter().flatten() {
        findings.push(found(case, sender, &pause));
    }
}

fn overlap(one: &Pause, other: &Pause) -> bool {
    one.from < other.to && other.from < one.to
}

fn found(case: &Case<'_>, sender: Direction, pause: &Pause) -> Finding {
    let cadence = &case.session.cadence[sender];
    let interval = cadence.mean().unwrap_or_default();
    let (side, peer) = (sender.sender(), sender.receiver());
    let summary = format!(
        "{} without a message of the {side}, which otherwise sends one every {}",
        span(pause.len()),
        span(interval)
    );
    let tcp = tcp_in(case, sender, pause);
    let first = Evidence::new(
        pause.from,
        format!("the last message before the pause, {side} to {peer}"),
    );
    let finding = Finding::new(&RULE, case.session, Confidence::Certain, first, summary)
        .evidence(pause.to, "the next one")
        .data("sender", Value::Text(side.to_owned()))
        .data("gap_ms", Value::Ms(pause.len()))
        .data("interval_ms", Value::Ms(interval))
        .data("pauses", Value::Count(cadence.paused))
        .data("tcp", Value::Text(tcp.to_owned()));
    match tcp {
        "window" => finding.cause(
            Confidence::Likely,
            format!("the {peer} took nothing: its window was closed"),
        ),
        "loss" => finding.cause(
            Confidence::Likely,
            "a loss on the path, and the wait for its repair",
        ),
        _ => finding.cause(
            Confidence::Possible,
            format!("the {side} had nothing to send, or was blocked"),
        ),
    }
    .advice(format!(
        "look what the {side} did in these {}",
        span(pause.len())
    ))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn ticks(mut script: Script, count: u32, every: f64) -> Script {
        for _ in 0..count {
            script = script.wait_s(every).text(ServerToClient, "tick");
        }
        script
    }

    #[test]
    fn a_pause_in_a_steady_stream_is_told() {
        let script = ticks(Script::new().upgrade(), 20, 0.1).wait_s(2.0);
        let told = ticks(script, 20, 0.1).clean_close(ClientToServer).told();
        let finding = told.only("lat-gap");
        assert!(
            finding
                .summary
                .starts_with("2.1 s without a message of the server")
        );
        assert!(
            finding
                .data
                .contains(&("tcp", Value::Text("healthy".to_owned())))
        );
    }

    #[test]
    fn messages_without_a_rhythm_have_no_gap() {
        let mut script = Script::new().upgrade();
        for index in 0..8 {
            script = ticks(script, 3, 0.0).wait_s(0.1 * f64::from(index * index));
        }
        assert!(script.told().of("lat-gap").is_empty());
    }

    #[test]
    fn a_rhythm_that_is_slow_throughout_has_none() {
        let script = ticks(Script::new().upgrade(), 20, 5.0);
        assert!(script.told().of("lat-gap").is_empty());
    }
}
