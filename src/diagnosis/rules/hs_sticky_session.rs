//! `hs-sticky-session`: a session id reached a backend that doesn't know it.

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Family, Finding, Refusal, Rule, Severity, Value, refusal_of,
};

pub(super) static RULE: Rule = Rule {
    id: "hs-sticky-session",
    severity: Severity::Error,
    summary: "an engine.io or SignalR session id reached a backend that doesn't know it",
    explain: "\
## What it means
Socket.IO (engine.io) and SignalR first fetch a session id over HTTP and open the WebSocket with it. The backend that got the upgrade
has never heard of that id and refused.

## What usually causes it
- The load balancer has no session affinity: the id was given out by another backend.
- The server restarted between the two requests.
- The id ran out: more time than its ping interval and timeout passed.

## How to tell them apart
- It happens at random, about as often as there are other backends: affinity. Compare the server's address (or its affinity cookie) of
  the two requests.
- All clients get it at one moment: a restart.
- Only clients that were away for a while: the id had expired; reconnecting starts anew.

## What to do
Switch session affinity on at the load balancer, or do without the first request: `transports: ['websocket']` for Socket.IO,
`skipNegotiation` for SignalR.

## References
Engine.IO protocol, version 4 (handshake and transports); ASP.NET Core SignalR, hosting and scaling.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let (Some(Refusal::UnknownSession(family)), Some(response)) =
        (refusal_of(session), &session.handshake.response)
    else {
        return;
    };
    let (kind, text, without) = match family {
        Family::EngineIo => (
            "engine.io",
            "Session ID unknown",
            "transports: ['websocket']",
        ),
        Family::SignalR => ("signalr", "No Connection with that ID", "skipNegotiation"),
    };
    let request = Evidence::new(
        session.handshake.request.last,
        "the upgrade request with a session id",
    );
    let summary = format!(
        "{} doesn't know the client's {kind} session id (\"{text}\")",
        session.leg.server
    );
    findings.push(
        Finding::new(&RULE, session, unless_unpaired(session), request, summary)
            .evidence(
                response.first,
                format!("the answer: {} with \"{text}\"", response.status),
            )
            .data("kind", Value::Text(kind.to_owned()))
            .data("status", Value::Count(u64::from(response.status)))
            .cause(
                Confidence::Possible,
                "no session affinity: the id was given out by another backend",
            )
            .cause(
                Confidence::Possible,
                "the server restarted after it had given the id out",
            )
            .cause(Confidence::Possible, "the id had expired")
            .advice(format!(
                "switch session affinity on at the load balancer, or use {without}"
            )),
    );
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;

    #[test]
    fn the_body_of_engine_io_tells() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer(
                "400 Bad Request",
                "",
                "{\"code\":1,\"message\":\"Session ID unknown\"}",
            )
            .told();
        let finding = told.only("hs-sticky-session");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("engine.io".to_owned())))
        );
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(6));
        assert_eq!(told.only("hs-http-status").severity.name(), "info");
    }

    #[test]
    fn another_error_of_engine_io_is_none() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer(
                "400 Bad Request",
                "",
                "{\"code\":0,\"message\":\"Transport unknown\"}",
            )
            .told();
        assert!(told.of("hs-sticky-session").is_empty());
    }
}
