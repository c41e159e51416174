//! `hs-subprotocol-none`: the client offered subprotocols, the server chose none.

use std::borrow::Cow;

use crate::diagnosis::api::ClientKind;
use crate::diagnosis::closing::close_of;
use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::legs::{behind, proxy_name};
use crate::diagnosis::{
    Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value, confidence_of, joined,
};
use crate::session::redact::{REPLACEMENT, Secrets};
use crate::session::{CloseFrame, Response, Session};

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
    checks: &[Check::Capture(check)],
};

/// Names that mean nearly the same and are taken for each other.
const MIXED_UP: [&str; 3] = ["graphql", "ocpp", "stomp"];

/// The 101 that chooses none of the subprotocols that the client offers.
fn unmet(session: &Session) -> Option<&Response> {
    let handshake = &session.handshake;
    let response = handshake.response.as_ref()?;
    let chosen = handshake.agreement.subprotocol.is_some()
        || response.headers.first("Sec-WebSocket-Protocol").is_some();
    let offers = handshake.offered_subprotocols().next().is_some();
    (response.status == 101 && offers && !chosen).then_some(response)
}

/// The Close frame with which the client refuses such a 101: an error, and all
/// that it sends.
pub(super) fn refusing_close(session: &Session) -> Option<&CloseFrame> {
    let close = session.close.client.as_deref()?;
    // 1002 says that of any fault of the other side, 1010 of a missing extension, 1003 and 1008 of what isn't taken.
    let refuses = matches!(close.code, Some(1002 | 1003 | 1008 | 1010));
    let first = session
        .close
        .server
        .as_ref()
        .is_none_or(|theirs| theirs.control.frame.at > close.control.frame.at);
    let alone = session.frames.client.total() == 1 && session.breaches.is_empty();
    (unmet(session).is_some() && refuses && first && alone).then_some(close)
}

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for session in overview.sessions {
        if let Some(response) = unmet(session) {
            findings.push(found(session, response, behind(session, overview.sessions)));
        }
    }
}

/// `back` is the proxy's leg to the backend, where it was captured.
fn found(session: &Session, response: &Response, back: Option<&Session>) -> Finding {
    let handshake = &session.handshake;
    let offered: Vec<&str> = handshake.offered_subprotocols().collect();
    let shown = Secrets::Redacted.subprotocols(offered.iter().copied());
    let names: Vec<String> = shown.into_iter().take(8).map(Cow::into_owned).collect();
    let went_on = session.frames.client.total() > u64::from(session.close.client.is_some());
    let fails = matches!(
        ClientKind::of(session),
        ClientKind::Browser | ClientKind::Undici | ClientKind::NodeWs
    );
    let left = close_of(session).terminator.is_some();
    let refusal = refusing_close(session);
    let severity = match (went_on, refusal.is_some() || (fails && left)) {
        (false, true) => Severity::Error,
        _ => Severity::Warn,
    };
    let effect = if went_on {
        ", and the client went on without"
    } else if refusal.is_some() {
        ", and the client closed for that with an error"
    } else if severity == Severity::Error {
        ": such a client fails the handshake"
    } else {
        ""
    };
    let list = names.join(", ");
    let summary = format!("the server chose no subprotocol, offered: {list}{effect}");
    let request = Evidence::new(handshake.request.last, "the request with its offers");
    let finding = Finding::new(&RULE, session, unless_unpaired(session), request, summary)
        .severity(severity)
        .evidence(response.first, "the 101, without Sec-WebSocket-Protocol")
        .evidence_if(
            refusal.map(|close| close.control.frame.at),
            "Close of the client, its only frame",
        )
        .data("client_went_on", Value::Flag(went_on));
    causes(lost_in_proxy(finding, session, back), &names)
        .data("offered", Value::List(names))
        .advice(format!(
            "let the server answer with one of: {list}; browsers fail the handshake otherwise"
        ))
}

/// The proxy took the offer out of the request, or the choice out of the answer.
fn lost_in_proxy(finding: Finding, front: &Session, back: Option<&Session>) -> Finding {
    let Some(back) = back else { return finding };
    let (name, server) = (proxy_name(front), back.leg.server);
    let answered = back.handshake.response.as_ref();
    let chosen = answered.filter(|a| a.headers.first("Sec-WebSocket-Protocol").is_some());
    let (at, cause) = match (back.handshake.offered_subprotocols().next(), chosen) {
        (None, _) => (
            back.handshake.request.last,
            format!("{name} took Sec-WebSocket-Protocol out of the request to {server}"),
        ),
        (Some(_), Some(answer)) => (
            answer.first,
            format!("{name} took Sec-WebSocket-Protocol out of the answer of {server}"),
        ),
        (Some(_), None) => return finding,
    };
    let confidence = joined(front).map_or(Confidence::Likely, |j| confidence_of(j.story.proof));
    let what = format!("s{}, the proxy's leg to the backend", back.id);
    let mut finding = finding.evidence(at, what).cause(confidence, cause);
    finding.tcp_stream = None;
    finding
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
    fn a_client_that_closes_at_once_with_an_error_refuses_the_answer() {
        let told = Script::new()
            .upgrade_with("Sec-WebSocket-Protocol: chat.v2\r\n", "")
            .close(ClientToServer, 1002, "no common subprotocol")
            .close(ServerToClient, 1002, "no common subprotocol")
            .told();
        let finding = told.only("hs-subprotocol-none");
        assert_eq!(finding.severity, Severity::Error);
        assert_eq!(finding.evidence.len(), 3, "the Close too");
        let close = told.only("close-code-meaning");
        assert_eq!(close.severity, Severity::Info);
        assert!(close.advice.contains("hs-subprotocol-none"));
    }

    #[test]
    fn a_proxy_that_drops_the_offer_is_named() {
        let told = Script::new()
            .handshake()
            .request(BROWSER)
            .behind(Script::upgrade)
            .accept("Server: nginx/1.22.1\r\n")
            .told();
        let finding = told.only("hs-subprotocol-none");
        assert_eq!(
            finding.causes[0].text,
            "nginx took Sec-WebSocket-Protocol out of the request to 10.0.0.3:9000"
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
