//! `lat-server-stall`: the server's TCP answers, its process doesn't.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Exchange, Session, Silence};

pub(super) static RULE: Rule = Rule {
    id: "lat-server-stall",
    severity: Severity::Error,
    summary: "the server's process stood still while its TCP went on",
    explain: "\
## What it means
The server's kernel acknowledged what came, Pings among it, but its process sent nothing for a second or more, and then caught up. The network
is well. A Ping needs no handler of the application: if even Pongs stay out, the process didn't run.

## What usually causes it
1. A blocked event loop: a computation or a blocking call in a handler.
2. Garbage collection, swapping, CPU time taken by others.
3. A proxy in front whose backend connection stalled.

## How to tell them apart
- Possible with one session: other work may have gone first for it alone.
- Likely when three sessions of the server or more stood still at the same time (`data.sessions`).

## What to do
Compare the time with the server's garbage collection, CPU and event-loop lag. Move what blocks out of the loop.

## References
RFC 6455, section 5.5.3.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: a second without a byte while a Ping waits is beyond any scheduling.
const LONG: Duration = Duration::from_secs(1);
/// Rationale: TCP acknowledges within 500 ms (RFC 9293, section 3.8.6.3), and most within 200 ms.
const PROMPT: Duration = Duration::from_millis(500);
/// Rationale: fewer may share chance.
const SHARED: usize = 3;

/// One session's server stood still.
struct Stall<'a> {
    session: &'a Session,
    silence: Silence,
    ping: Exchange,
}

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let mut servers: BTreeMap<_, Vec<Stall<'_>>> = BTreeMap::new();
    for session in overview.sessions {
        if let Some(stall) = stall(session) {
            servers.entry(session.leg.server).or_default().push(stall);
        }
    }
    for stalls in servers.values() {
        for stall in stalls {
            let together = stalls.iter().filter(|other| overlap(stall, other)).count();
            findings.push(found(stall, together));
        }
    }
}

fn overlap(one: &Stall<'_>, other: &Stall<'_>) -> bool {
    let from = one.silence.from.time.max(other.silence.from.time);
    let to = one.silence.to.time.min(other.silence.to.time);
    to.saturating_since(from) >= LONG / 2
}

/// A Ping of the client was acknowledged at once, and the server sent nothing for long.
fn stall(session: &Session) -> Option<Stall<'_>> {
    let ledger = &session.pings.client;
    // A server that always takes so long does so by design.
    let usual = ledger.rtt.min()?;
    let leg = &session.leg;
    leg.flow.server.answers.iter().find_map(|silence| {
        let inside = |exchange: &&Exchange| {
            let prompt = |acked: crate::stream::PacketRef| {
                acked.time.saturating_since(exchange.ping.time) <= PROMPT
            };
            exchange.ping >= silence.from
                && exchange.ping < silence.to
                && exchange.pong >= silence.to
                && exchange.acked.is_some_and(prompt)
                && silence.to.time.saturating_since(exchange.ping.time) >= LONG
                && usual * 3 < exchange.rtt
        };
        let ping = ledger.slowest.iter().find(inside).copied()?;
        // It couldn't send.
        let shut = &leg.zero_window.client;
        let closed = shut
            .longest
            .is_some_and(|(_, from, to)| from < silence.to && to > silence.from);
        (!closed).then_some(Stall {
            session,
            silence: *silence,
            ping,
        })
    })
}

fn found(stall: &Stall<'_>, together: usize) -> Finding {
    let (confidence, severity) = match together >= SHARED {
        true => (Confidence::Likely, Severity::Error),
        false => (Confidence::Possible, Severity::Warn),
    };
    let len = span(stall.silence.len);
    let mut summary = format!(
        "the server's TCP acknowledged a Ping at once, but nothing came from its process for {len}"
    );
    if together >= SHARED {
        summary.push_str(&format!("; {together} sessions stood still together"));
    }
    let first = Evidence::new(
        stall.silence.from,
        "first data of the client that waited for an answer",
    );
    Finding::new(&RULE, stall.session, confidence, first, summary)
        .severity(severity)
        .evidence(stall.ping.ping, "a Ping in that time")
        .evidence_if(stall.ping.acked, "its acknowledgment by TCP")
        .evidence(stall.silence.to, "the server sends again")
        .data("stall_ms", Value::Ms(stall.silence.len))
        .data("sessions", Value::Count(together as u64))
        .data("acked", Value::Flag(true))
        .cause(Confidence::Possible, "a blocked event loop or handler of the server")
        .cause(Confidence::Possible, "garbage collection, swapping, or no CPU time")
        .advice(format!(
            "compare these {len} with the server's logs of garbage collection, CPU and event-loop lag"
        ))
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, Told};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn beat(script: Script) -> Script {
        script
            .ping(ClientToServer, b"1")
            .pong(ServerToClient, b"1")
            .wait_s(0.2)
    }

    fn waits(seconds: f64) -> Script {
        beat(beat(Script::new().upgrade()))
            .ping(ClientToServer, b"2")
            .wait_s(seconds)
    }

    #[test]
    fn a_pong_that_stays_out_while_tcp_answers_may_be_a_stall() {
        let told = waits(1.5)
            .pong(ServerToClient, b"2")
            .clean_close(ClientToServer)
            .told();
        assert_eq!(told.only("lat-server-stall").confidence.name(), "possible");
    }

    #[test]
    fn a_server_that_goes_on_sending_has_no_stall() {
        let told = waits(0.8)
            .text(ServerToClient, "still running")
            .wait_s(0.8)
            .pong(ServerToClient, b"2")
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("lat-server-stall").is_empty());
    }

    #[test]
    fn three_sessions_that_stand_still_together_are_likely_one() {
        let each = |mut script: Script, play: &dyn Fn(Script) -> Script| {
            for port in [40_001, 40_002, 40_003] {
                script = script.on_port(port, play);
            }
            script
        };
        let mut script = each(Script::new(), &|script| beat(beat(script.upgrade())));
        script = each(script, &|script| script.ping(ClientToServer, b"2")).wait_s(1.5);
        script = each(script, &|script| script.pong(ServerToClient, b"2"));
        let told: Told = script.told();
        let found = told.of("lat-server-stall");
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].confidence.name(), "likely");
    }
}
