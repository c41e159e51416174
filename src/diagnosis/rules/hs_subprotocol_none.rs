//! `hs-subprotocol-none`: the client offered subprotocols, the server chose none.

use std::borrow::Cow;

use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value, api::ClientKind,
};
use crate::session::redact::{REPLACEMENT, Secrets};

pub(super) static RULE: Rule = Rule {
    id: "hs-subprotocol-none",
    severity: Severity::Warn,
    summary: "the client offered subprotocols, the server chose none",
    explain: "\
## What it means
The request has `Sec-WebSocket-Protocol`, the 101 has none. The RFC allows it, but browsers, Node's ws and undici then fail the
handshake (`error`, then 1006). Python's websockets, aiohttp and most Go clients go on without a subprotocol.

## What usually causes it
- The server doesn't negotiate subprotocols at all.
- The names differ: `graphql-ws` and `graphql-transport-ws`, `ocpp1.6` and `ocpp2.0.1`, `v12.stomp` and `stomp`.
- The client uses the field to carry a token, and the server reads it without echoing a name.

## How to tell them apart
- Other clients of the server do get a subprotocol: compare the names that they offer.
- One of the offers is a token: look at how the server reads it; it has to answer with one of the other names.

## What to do
Let the server answer with one of the offered names, spelled exactly alike, or offer none.

## References
RFC 6455, sections 4.1, 4.2.2 and 1.9; WHATWG WebSockets, establishing a connection.
",
    checks: &[Check::Session(check)],
};

/// Names that mean nearly the same and are taken for each other.
const MIXED_UP: [&str; 3] = ["graphql", "ocpp", "stomp"];

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let handshake = &session.handshake;
    let Some(response) = &handshake.response else {
        return;
    };
    let offered: Vec<&str> = handshake.offered_subprotocols().collect();
    let chosen = handshake.agreement.subprotocol.is_some()
        || response.headers.first("Sec-WebSocket-Protocol").is_some();
    if response.status != 101 || offered.is_empty() || chosen {
        return;
    }
    let shown = Secrets::Redacted.subprotocols(offered.iter().copied());
    let names: Vec<String> = shown.into_iter().take(8).map(Cow::into_owned).collect();
    let went_on = session.frames.client.total() > u64::from(session.close.client.is_some());
    let fails = matches!(
        ClientKind::of(session),
        ClientKind::Browser | ClientKind::Undici | ClientKind::NodeWs
    );
    let left = case.closing.terminator.is_some();
    let severity = match (went_on, fails && left) {
        (false, true) => Severity::Error,
        _ => Severity::Warn,
    };
    let effect = if went_on {
        ", and the client went on without"
    } else if severity == Severity::Error {
        ": such a client fails the handshake"
    } else {
        ""
    };
    let list = names.join(", ");
    let summary = format!("the server chose no subprotocol, offered: {list}{effect}");
    let request = Evidence::new(handshake.request.last, "the request with its offers");
    let finding = Finding::new(&RULE, session, Confidence::Certain, request, summary)
        .severity(severity)
        .evidence(response.first, "the 101, without Sec-WebSocket-Protocol")
        .data("client_went_on", Value::Flag(went_on));
    findings.push(
        causes(finding, &names)
            .data("offered", Value::List(names))
            .advice(format!(
                "let the server answer with one of: {list}; browsers fail the handshake otherwise"
            )),
    );
}

fn causes(finding: Finding, names: &[String]) -> Finding {
    let finding = finding.cause(
        Confidence::Possible,
        "the server doesn't negotiate subprotocols",
    );
    let finding = match MIXED_UP
        .iter()
        .find(|part| names.iter().any(|name| name.contains(*part)))
    {
        Some(part) => finding.cause(
            Confidence::Possible,
            format!("the server knows another name: {part} has several that are easily mixed up"),
        ),
        None => finding.cause(
            Confidence::Possible,
            "the server knows the subprotocol by another name",
        ),
    };
    if names.iter().any(|name| name == REPLACEMENT) {
        return finding.cause(
            Confidence::Possible,
            "the client carries a token in this field, and the server reads it without echoing a name",
        );
    }
    finding
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Severity;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    const BROWSER: &str = "User-Agent: Mozilla/5.0\r\nSec-WebSocket-Protocol: graphql-ws\r\n";

    #[test]
    fn a_browser_fails_without_a_subprotocol() {
        let told = Script::new()
            .upgrade_with(BROWSER, "")
            .fin(ClientToServer)
            .told();
        let finding = told.only("hs-subprotocol-none");
        assert_eq!(finding.severity, Severity::Error);
        assert_eq!(finding.confidence.name(), "certain");
        assert!(finding.summary.contains("graphql-ws"));
    }

    #[test]
    fn a_client_that_goes_on_is_only_warned_of() {
        let told = Script::new()
            .upgrade_with(
                "Sec-WebSocket-Protocol: eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.abcdefgh\r\n",
                "",
            )
            .text(ClientToServer, "hi")
            .clean_close(ServerToClient)
            .told();
        let finding = told.only("hs-subprotocol-none");
        assert_eq!(finding.severity, Severity::Warn);
        assert!(
            !format!("{finding:?}").contains("eyJ"),
            "a token is not shown"
        );
    }

    #[test]
    fn no_offer_needs_no_answer() {
        assert!(
            Script::new()
                .upgrade()
                .told()
                .of("hs-subprotocol-none")
                .is_empty()
        );
    }
}
