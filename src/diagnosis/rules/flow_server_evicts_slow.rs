//! `flow-server-evicts-slow`: the server cut a client that didn't read.

use std::time::Duration;

use crate::diagnosis::heartbeat::first_sign_of_the_end;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Value};
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "flow-server-evicts-slow",
    severity: Severity::Error,
    summary: "the server cut a client that didn't read",
    explain: "\
## What it means
The client's window was closed for a while, and soon after that the server ended the session. Servers protect their memory from slow readers:
Centrifugo closes with 3008, others with 1008, 1011 or 1013, and uWebSockets (`closeOnBackpressureLimit`) just closes TCP.

## What usually causes it
- A limit on what the server buffers for one client: messages or bytes that wait, or the time that a write takes.
- A client that is blocked, paused, or behind a link that is too thin for what it subscribed to.

## How to tell them apart
- A Close reason that names a Ping: the deadline of the heartbeat, although the client may have missed it for the same reason.
- The window had been open again for long: the end has another cause.

## What to do
Let the client read in a task of its own and drop what is outdated; subscribe to less; or raise the server's limit on what it buffers per client.

## References
RFC 9293, section 3.8.6; RFC 6455, section 7.4.1.
",
    checks: &[Check::Session(check)],
};

/// Rationale: a server's limit is reached while the client doesn't read, or by what waits shortly after.
const SOON: Duration = Duration::from_secs(30);
/// Rationale: a shorter stop fills no queue.
const LONG: Duration = Duration::from_secs(1);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let zero = &session.leg.zero_window.client;
    let Some((at, what, code)) = ended_by_server(case) else {
        return;
    };
    let end = first_sign_of_the_end(session, case.closing).min(at);
    let total = zero.total_until(end);
    let (begin, still) = match (zero.since, zero.newest) {
        (Some(since), _) => (since, true),
        (None, Some((from, to))) if at.time.saturating_since(to.time) <= SOON => (from, false),
        _ => return,
    };
    if total < LONG || begin > at {
        return;
    }
    let confidence = match still || code == Some(3008) {
        true => Confidence::Likely,
        false => Confidence::Possible,
    };
    let summary = format!(
        "the server ended the session ({what}) after the client had taken nothing for {}",
        span(total)
    );
    findings.push(
        Finding::new(
            &RULE,
            session,
            confidence,
            Evidence::new(begin, "window 0 of the client"),
            summary,
        )
        .evidence(at, format!("{what} of the server"))
        .data("zero_window_ms", Value::Ms(total))
        .data("still_closed", Value::Flag(still))
        .cause(confidence, "the server's limit on what it buffers for a slow client")
        .advice("make the client read faster or subscribe to less, or raise the server's limit for slow clients"),
    );
}

/// The server's Close frame or the end of its transport, if it acted first and not for a Ping.
fn ended_by_server(case: &Case<'_>) -> Option<(PacketRef, String, Option<u16>)> {
    let close = &case.session.close;
    if let Some(server) = &close.server {
        let first = close
            .client
            .as_ref()
            .is_none_or(|client| client.control.frame.at > server.control.frame.at);
        let fits = matches!(server.code, Some(1008 | 1011 | 1013 | 3008));
        let names_ping = ["ping", "pong", "heartbeat"]
            .iter()
            .any(|word| server.reason.to_ascii_lowercase().contains(word));
        let code = server.code?;
        return (first && fits && !names_ping)
            .then(|| (server.control.frame.at, format!("Close {code}"), Some(code)));
    }
    let end = case.closing.terminator?;
    let silent = case.closing.kind == Kind::Abnormal && end.direction == Direction::ServerToClient;
    silent.then(|| (end.at, end.word().to_owned(), None))
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn stuck() -> Script {
        Script::new()
            .upgrade()
            .window(ClientToServer, 0)
            .frame(ServerToClient, 0x82, &[7; 900])
            .wait_s(5.0)
    }

    #[test]
    fn a_server_that_gives_up_on_a_client_that_reads_nothing_is_told() {
        let told = stuck().fin(ServerToClient).told();
        assert_eq!(
            told.only("flow-server-evicts-slow").confidence.name(),
            "likely"
        );
        let told = stuck()
            .update(ClientToServer, 500)
            .close(ServerToClient, 1013, "")
            .told();
        assert_eq!(
            told.only("flow-server-evicts-slow").confidence.name(),
            "possible"
        );
    }

    #[test]
    fn a_client_that_leaves_was_not_cut() {
        let told = stuck().fin(ClientToServer).told();
        assert!(told.of("flow-server-evicts-slow").is_empty());
    }

    #[test]
    fn long_after_the_window_opened_the_end_has_another_cause() {
        let told = stuck()
            .update(ClientToServer, 500)
            .wait_s(40.0)
            .fin(ServerToClient)
            .told();
        assert!(told.of("flow-server-evicts-slow").is_empty());
    }
}
