//! `pattern-connection-leak`: sockets that nobody uses and nobody closes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::diagnosis::patterns::{Fate, Trial};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "pattern-connection-leak",
    severity: Severity::Warn,
    summary: "one side holds sockets that carry nothing any more",
    explain: "\
## What it means
`data.kind` `half-closed`: the peer said FIN, this side's kernel acknowledged it, and its program did not close the socket for a minute and
more, on at least three connections: CLOSE_WAIT piles up. `shadow`: one client opened at least three sessions of the same kind side by
side, and the older ones carried nothing from the moment when the next one began: it opens new ones without closing the old.

## What usually causes it
- `half-closed` on the server: nobody reads from the socket any more, so the end isn't noticed: a blocked worker, a handler that waits for
  something else.
- `shadow`: connect() runs again (a component is mounted again, a reconnect timer fires although the session lives) and the old object
  is forgotten, not closed.

## How to tell them apart
- `ss -tanp state close-wait` on that host shows who holds them.
- The kind tells which side. Old sessions that only answer Pings are kept by the library, not by the program.

## What to do
Close the old session before opening a new one; clean up in the effect or the destructor. On the server read until the end, and set a
read deadline.

## References
RFC 9293, section 3.6; RFC 6455, section 7.1.1.
",
    checks: &[Check::Capture(half_closed), Check::Capture(shadows)],
};

/// Rationale: three are no accident, and no program takes a minute to close.
const HELD: (usize, Duration) = (3, Duration::from_secs(60));

/// A socket that was held: since when, until when.
type Held = (PacketRef, Duration);

fn half_closed(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let mut hosts: BTreeMap<(IpAddr, bool), Vec<Held>> = BTreeMap::new();
    for session in overview.sessions {
        let leg = &session.leg;
        for gone in Direction::BOTH {
            let holder = gone.reverse();
            let Some(fin) = leg.fin[gone] else { continue };
            // Its kernel heard the FIN; without that the path may be to blame.
            let heard = leg.last_packet[holder].is_some_and(|at| at > fin);
            let closed = leg.fin[holder].or(leg.resets.first().map(|reset| reset.at));
            let until = closed.map_or(session.horizon, |at| at);
            let held = until.time.saturating_since(fin.time);
            let busy = leg.last_payload[holder].is_some_and(|at| at > fin);
            if heard && !busy && held > HELD.1 {
                let server = holder == Direction::ServerToClient;
                let host = if server { leg.server } else { leg.client }.ip();
                hosts.entry((host, server)).or_default().push((fin, held));
            }
        }
    }
    for ((host, server), held) in hosts.into_iter().filter(|(_, held)| held.len() >= HELD.0) {
        let side = if server { "server" } else { "client" };
        let oldest = held.iter().map(|(_, held)| *held).max().unwrap_or_default();
        let summary = format!(
            "the {side} {host} held {} sockets open after its peers had said FIN, for up to {}",
            held.len(),
            span(oldest)
        );
        let mut found = Finding::of_capture(&RULE, Confidence::Likely, summary)
            .data("kind", Value::Text("half-closed".to_owned()))
            .data("side", Value::Text(side.to_owned()))
            .data("sockets", Value::Count(held.len() as u64))
            .data("oldest_ms", Value::Ms(oldest));
        for (fin, held) in held.iter().take(5) {
            found = found.evidence(
                *fin,
                format!(
                    "FIN; the {side} closes its half not before {} later",
                    span(*held)
                ),
            );
        }
        findings.push(
            found
                .cause(Confidence::Likely, format!("the program on the {side} doesn't read from these sockets any more"))
                .advice(format!("find the holder on {host}: ss -tanp state close-wait; read until the end, or set a deadline")),
        );
    }
}

fn shadows(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let patterns = overview.patterns;
    let mut clients: BTreeMap<(IpAddr, u32, u64), Vec<&Trial<'_>>> = BTreeMap::new();
    for trial in patterns.trials.iter().filter(|t| t.opened()) {
        // Of clients that share an address and a look nobody knows which is which.
        let Some(own) = trial.identity.and_then(|who| who.own) else {
            continue;
        };
        clients
            .entry((trial.client, trial.service, own))
            .or_default()
            .push(trial);
    }
    for ((client, ..), sessions) in clients {
        let idle: Vec<&Trial<'_>> = sessions
            .iter()
            .zip(sessions.iter().skip(1))
            .filter(|(old, new)| is_shadow(old, new, overview.capture.last))
            .map(|(old, _)| *old)
            .collect();
        if idle.len() < HELD.0 {
            continue;
        }
        let Some(first) = idle.first() else { continue };
        let age = overview
            .capture
            .last
            .time
            .saturating_since(first.began.time);
        let summary = format!(
            "{client} holds {} sessions to {} that carry nothing since it opened the next one; the oldest for {}",
            idle.len(),
            first.server,
            span(age)
        );
        let mut found = Finding::of_capture(&RULE, Confidence::Likely, summary)
            .data("kind", Value::Text("shadow".to_owned()))
            .data("side", Value::Text("client".to_owned()))
            .data("sockets", Value::Count(idle.len() as u64))
            .data("oldest_ms", Value::Ms(age));
        for trial in idle.iter().take(5) {
            found = found.evidence(trial.began, "the beginning of a session that was left open");
        }
        findings.push(
            found
                .cause(Confidence::Likely, "the client opens a new session without closing the old one")
                .advice("close the old session before opening a new one, and when the component goes away"),
        );
    }
}

/// The older one stayed open for a minute and more after the newer one began, without a message.
fn is_shadow(old: &Trial<'_>, new: &Trial<'_>, last: PacketRef) -> bool {
    let Some(session) = old.session else {
        return false;
    };
    let until = match (old.fate, old.over) {
        (Fate::Open, _) => last,
        (_, Some(over)) => over,
        (_, None) => return false,
    };
    let message = session.last_message.client.max(session.last_message.server);
    let quiet = message.is_none_or(|at| at < new.began);
    let hidden = Direction::BOTH
        .into_iter()
        .any(|side| session.may_hide_frames(side));
    quiet && !hidden && until.time.saturating_since(new.began.time) > HELD.1
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn sockets_that_a_server_does_not_close_are_a_leak() {
        let told = |closes: bool| {
            let mut script = Script::new();
            for port in 40_001..40_004 {
                script = script.at_port(port).upgrade().fin(ClientToServer);
                if closes {
                    script = script.fin(ServerToClient);
                }
            }
            script.wait_s(90.0).at_port(40_009).upgrade().told()
        };
        assert!(
            told(false)
                .only("pattern-connection-leak")
                .summary
                .contains("3 sockets")
        );
        assert!(told(true).of("pattern-connection-leak").is_empty());
    }

    #[test]
    fn sessions_that_were_left_for_newer_ones_are_a_leak() {
        let told = |users: [u8; 5]| {
            let mut script = Script::new();
            for (port, user) in (40_001..).zip(users) {
                script = script
                    .at_port(port)
                    .upgrade_with(&format!("Authorization: Bearer user{user}\r\n"), "")
                    .text(ServerToClient, "hi")
                    .wait_s(70.0);
            }
            script.text(ServerToClient, "still").told()
        };
        assert_eq!(told([1; 5]).of("pattern-connection-leak").len(), 1);
        assert!(
            told([1, 2, 3, 4, 5])
                .of("pattern-connection-leak")
                .is_empty()
        );
    }
}
