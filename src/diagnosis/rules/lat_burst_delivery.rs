//! `lat-burst-delivery`: messages that were due over a time came all at once.

use std::time::Duration;

use super::lat_gap::{is_steady, tcp_in};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::Pause;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "lat-burst-delivery",
    severity: Severity::Warn,
    summary: "messages that were due over a time came all at once",
    explain: "\
## What it means
One side's messages came at a steady interval, then none came, and then about as many as had been due, at once. They were made in time and held
back on the way: the first of them is `data.gap_ms` late.

## What usually causes it
1. The receiver's window was closed and opened again (`flow-zero-window`).
2. A loss, behind which everything waited (`lat-retransmit`).
3. A proxy or a virus scanner that buffers, or a sender that batches or was paused by garbage collection.

## How to tell them apart
- `data.tcp` tells what TCP shows in the pause: `window`, `loss` or `healthy`. With a healthy TCP it is the third.
- Behind a proxy compare its two legs: the one where the messages are still regular is the healthy side.

## What to do
Switch buffering off in the proxy for this path (nginx: `proxy_buffering off`), or look at what stopped the sender.

## References
RFC 6455, section 5.6.
",
    checks: &[Check::Session(check)],
};

/// Rationale: five at once, and half of what was due, are no chance.
const BURST: u64 = 5;
/// Rationale: shorter pauses nobody notices.
const NOTICED: Duration = Duration::from_millis(250);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for sender in Direction::BOTH {
        let cadence = &case.session.cadence[sender];
        let Some(mean) = cadence.mean().filter(|_| is_steady(cadence)) else {
            continue;
        };
        let caught_up = |pause: &&Pause| {
            let due = pause.len().as_micros() / mean.as_micros().max(1);
            pause.len() >= NOTICED
                && pause.caught_up >= BURST
                && u128::from(pause.caught_up) * 2 >= due
        };
        if let Some(pause) = cadence
            .pauses()
            .filter(caught_up)
            .max_by_key(|pause| pause.len())
        {
            findings.push(found(case, sender, pause, mean));
        }
    }
}

fn found(case: &Case<'_>, sender: Direction, pause: &Pause, mean: Duration) -> Finding {
    let (side, peer) = (sender.sender(), sender.receiver());
    let tcp = tcp_in(case, sender, pause);
    let summary = format!(
        "after {} of silence {} messages of the {side} came at once, which otherwise come every {}",
        span(pause.len()),
        pause.caught_up,
        span(mean)
    );
    let first = Evidence::new(
        pause.from,
        format!("the last message before the silence, {side} to {peer}"),
    );
    let finding = Finding::new(&RULE, case.session, Confidence::Likely, first, summary)
        .evidence(pause.to, "the burst begins")
        .data("sender", Value::Text(side.to_owned()))
        .data("gap_ms", Value::Ms(pause.len()))
        .data("interval_ms", Value::Ms(mean))
        .data("messages", Value::Count(pause.caught_up))
        .data("tcp", Value::Text(tcp.to_owned()));
    match tcp {
        "window" => finding.cause(Confidence::Likely, format!("the {peer}'s window was closed")),
        "loss" => finding.cause(Confidence::Likely, "a loss, behind which the messages waited"),
        _ => finding
            .cause(Confidence::Possible, "a proxy or scanner that buffers")
            .cause(Confidence::Possible, format!("the {side} was paused, or sends in batches")),
    }
    .advice(format!(
        "look for what holds messages back between the {side}'s application and here: buffering, a full window, losses"
    ))
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn ticks(mut script: Script, count: u32, every: f64) -> Script {
        for _ in 0..count {
            script = script.wait_s(every).text(ServerToClient, "tick");
        }
        script
    }

    #[test]
    fn what_was_due_and_comes_at_once_was_held_back() {
        let script = ticks(Script::new().upgrade(), 20, 0.2).wait_s(2.0);
        let script = ticks(script, 10, 0.0);
        let told = ticks(script, 10, 0.2).clean_close(ClientToServer).told();
        assert!(
            told.only("lat-burst-delivery")
                .summary
                .contains("10 messages of the server")
        );
    }

    #[test]
    fn a_pause_that_nothing_makes_up_for_is_only_a_pause() {
        let script = ticks(Script::new().upgrade(), 20, 0.2).wait_s(2.0);
        let told = ticks(script, 20, 0.2).clean_close(ClientToServer).told();
        assert!(told.of("lat-burst-delivery").is_empty());
        assert_eq!(told.of("lat-gap").len(), 1);
    }
}
