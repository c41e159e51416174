//! `close-1011`: an endpoint reported an internal error.

use std::time::Duration;

use crate::diagnosis::lacks::unless_hidden;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::CloseFrame;
use crate::session::redact::{Secrets, secrets_of};
use crate::stream::{Direction, PacketRef};

/// Rationale: a handler that fails does so while it works on a message; 2 s cover slow ones.
const WORKING: Duration = Duration::from_secs(2);

pub(super) static RULE: Rule = Rule {
    id: "close-1011",
    severity: Severity::Warn,
    summary: "an endpoint closed with 1011, internal error",
    explain: "\
## What it means
The side that sent Close 1011 met a condition that it didn't expect. For servers that is mostly an exception in the handler; several libraries also use
1011 when a Ping stays without an answer.

## What usually causes it
- An exception in the code that handled the last message.
- No Pong in time: Python websockets and uvicorn close with 1011 and the reason `keepalive ping timeout`.

## How to tell them apart
- The reason speaks of ping or keepalive: the heartbeat; see `hb-pong-timeout`.
- A message of the other side stands just before it, without an answer: its handler failed.
- Browsers can't send 1011: if the client did, it is no browser.

## What to do
Look in the sender's log at that time for a stack trace, and replay the message that stands before it.

## References
RFC 6455, section 7.4.1.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(sender) = case.closing.first_close else {
        return;
    };
    if let Some(close) = case.session.close[sender]
        .as_ref()
        .filter(|close| close.code == Some(1011))
    {
        findings.push(found(case, sender, close));
    }
}

fn found(case: &Case<'_>, sender: Direction, close: &CloseFrame) -> Finding {
    let session = case.session;
    let (name, at) = (sender.sender(), close.control.frame.at);
    let request = &session.handshake.request;
    let known = secrets_of(&request.target, &request.headers.0);
    let reason = Secrets::Redacted.text(&close.reason, &known).into_owned();
    let first = Evidence::new(at, format!("Close 1011 of the {name}"));
    let confidence = unless_hidden(session, sender.reverse());
    let make = |summary: String| {
        Finding::new(&RULE, session, confidence, first.clone(), summary)
            .data("status", Value::Count(1011))
            .data("sender", Value::Text(name.to_owned()))
            .data("reason", Value::Text(reason.clone()))
    };
    if speaks_of_pings(&close.reason) {
        return make(format!(
            "the {name} closed with 1011 because a Ping stayed without an answer"
        ))
        .evidence_if(
            session.pings[sender].waiting().last().map(|ping| ping.at),
            "newest Ping without a Pong",
        )
        .data("kind", Value::Text("ping-timeout".to_owned()))
        .advice("look at the side that didn't answer the Ping: see hb-pong-timeout");
    }
    match message_before(case, sender, at) {
        Some((message, before)) => make(format!(
            "the {name} closed with 1011, internal error, {} after a message to it",
            span(before)
        ))
        .evidence(message, "message that was worked on")
        .data("kind", Value::Text("after-message".to_owned()))
        .data("after_message_ms", Value::Ms(before))
        .cause(
            Confidence::Likely,
            "an exception in the handler of that message",
        ),
        None => make(format!("the {name} closed with 1011, internal error"))
            .data("kind", Value::Text("unprompted".to_owned()))
            .cause(
                Confidence::Possible,
                "an exception in a task of its own: no message stands just before it",
            ),
    }
    .advice(format!(
        "look in the {name}'s log at that time for the exception"
    ))
}

fn speaks_of_pings(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    ["ping", "pong", "keepalive", "keep-alive", "heartbeat"]
        .iter()
        .any(|word| reason.contains(word))
}

fn message_before(
    case: &Case<'_>,
    sender: Direction,
    at: PacketRef,
) -> Option<(PacketRef, Duration)> {
    let message = case.session.last_message[sender.reverse()]?;
    let before = at.time.since(message.time)?;
    (before <= WORKING).then_some((message, before))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn an_internal_error_points_to_the_message_before_it() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "divide by zero")
            .close(ServerToClient, 1011, "")
            .told();
        let finding = told.only("close-1011");
        assert_eq!(
            told.sessions[0].last_message.client,
            finding.evidence.get(1).map(|e| e.at)
        );
    }

    #[test]
    fn a_keepalive_timeout_is_told_apart() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, b"1")
            .wait_s(20.0)
            .close(ClientToServer, 1011, "keepalive ping timeout")
            .told();
        let kind = Value::Text("ping-timeout".to_owned());
        assert!(told.only("close-1011").data.contains(&("kind", kind)));
    }

    #[test]
    fn another_code_is_not() {
        let told = Script::new().upgrade().clean_close(ServerToClient).told();
        assert!(told.of("close-1011").is_empty());
    }
}
