//! `hb-app-vs-ws-divergence`: Pongs come at once, answers to the application's heartbeats don't.

use std::time::Duration;

use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hb-app-vs-ws-divergence",
    severity: Severity::Warn,
    summary: "Pongs come at once, answers to the application's heartbeats do not",
    explain: "\
## What it means
Two heartbeats go to the same side: Pings, which its WebSocket library answers, and the application's own, which its program answers. The first
come back about as fast as TCP's acknowledgments (`data.ping_ms`), the second are at least ten times slower (`data.beat_ms`). So the network is
well, and the library too: the program behind it is late.

## What usually causes it
1. A page whose script is blocked or throttled: browsers answer Pings outside of it.
2. A server whose handlers queue: the library's own thread answers Pings.

## How to tell them apart
The side that is slow says it: `data.slow_side`.

## What to do
Look at the slow side's event loop: long tasks, background throttling, a queue before the handler. A proxy that answers Pings itself makes the
first figure worthless; then compare with a capture behind it.

## References
RFC 6455, sections 5.5.2 and 5.5.3.
",
    checks: &[Check::Session(check)],
};

/// Rationale: three pairs are the fewest that have a middle.
const FEWEST: u64 = 3;
/// Rationale: what is faster nobody notices.
const NOTICED: Duration = Duration::from_millis(200);
const TIMES: u32 = 10;
/// A Pong comes at once within twice TCP's round trip, and this much for the library.
const LIBRARY: Duration = Duration::from_millis(5);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for sender in Direction::BOTH {
        findings.extend(divergence(case, sender));
    }
}

fn divergence(case: &Case<'_>, sender: Direction) -> Option<Finding> {
    let session = case.session;
    let application = session.application.as_deref()?;
    let (beats, pings) = (&application.beats[sender], &session.pings[sender]);
    if beats.answered < FEWEST || pings.answered < FEWEST {
        return None;
    }
    let (beat, ping) = (beats.rtt.median()?, pings.rtt.median()?);
    let tcp = session.leg.rtt[sender.reverse()].min()?;
    let prompt = ping <= tcp.saturating_mul(2).saturating_add(LIBRARY);
    if !prompt || beat < NOTICED.max(ping.saturating_mul(TIMES)) {
        return None;
    }
    let peer = sender.receiver();
    let worst = beats.slowest.first()?;
    let finding = Finding::new(
        &RULE,
        session,
        Confidence::Likely,
        Evidence::new(worst.ping, "the application's heartbeat that was answered last of all"),
        format!(
            "the {peer} answers Pings within {} and the heartbeats of its application only after {}: its program is late, not the network",
            span(ping),
            span(beat)
        ),
    )
    .evidence(worst.pong, "its answer")
    .evidence_if(pings.slowest.first().map(|slow| slow.pong), "the slowest Pong")
    .data("slow_side", Value::Text(peer.to_owned()))
    .data("ping_ms", Value::Ms(ping))
    .data("beat_ms", Value::Ms(beat))
    .data("tcp_rtt_ms", Value::Ms(tcp));
    let cause = match sender {
        Direction::ServerToClient => "the page's script is blocked, or throttled in the background",
        Direction::ClientToServer => {
            "handlers of the server wait in a queue, or its event loop is busy"
        }
    };
    Some(
        finding
            .cause(Confidence::Likely, cause)
            .cause(
                Confidence::Possible,
                "a proxy between the two answers the Pings",
            )
            .advice(format!(
                "look at the {peer}'s event loop; the network needs no look"
            )),
    )
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn round(script: Script, late: f64) -> Script {
        script
            .ping(ServerToClient, b"p")
            .pong(ClientToServer, b"p")
            .text(ServerToClient, r#"{"type":"ping"}"#)
            .wait_s(late)
            .text(ClientToServer, r#"{"type":"pong"}"#)
            .wait_s(5.0)
    }

    #[test]
    fn a_page_that_is_late_behind_a_prompt_browser_is_found() {
        let script = (0..4).fold(Script::new().upgrade(), |script, _| round(script, 3.0));
        let told = script.clean_close(ClientToServer).told();
        assert!(
            told.only("hb-app-vs-ws-divergence")
                .summary
                .starts_with("the client")
        );
    }

    #[test]
    fn answers_after_100_ms_are_no_matter() {
        let script = (0..4).fold(Script::new().upgrade(), |script, _| round(script, 0.1));
        let told = script.clean_close(ClientToServer).told();
        assert!(told.of("hb-app-vs-ws-divergence").is_empty());
    }
}
