//! `hs-aborted-by-client`: the client left before the answer to its upgrade.

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::Ended;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hs-aborted-by-client",
    severity: Severity::Warn,
    summary: "the client dropped the connection before the server answered its upgrade request",
    explain: "\
## What it means
The client asked for a WebSocket and ended the connection itself, before an answer and before the server had taken long. A browser's
console says that the WebSocket was closed before the connection was established.

## What usually causes it
- The page called `close()` while the socket was still connecting: a component that mounts and unmounts (React's StrictMode does both at
  once).
- The user navigated away or reloaded.
- A connect timer of the application that is very short.

## How to tell them apart
- Another upgrade for the same path by the same client within some 150 ms: the page opened two sockets and dropped one.
- The same time from request to end over and over: a timer.
- Once, with no sibling: somebody left the page.

## What to do
Nothing on the server. In the client, close a connecting socket only when it is really not wanted any more, and share one socket between
components.

## References
WHATWG WebSockets, close() while CONNECTING; RFC 6455, section 7.1.7.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let handshake = &session.handshake;
    let Some(end) = case.closing.terminator else {
        return;
    };
    let answered =
        handshake.response.is_some() || handshake.is_upgraded() || handshake.not_http.is_some();
    let leg = &session.leg;
    // Where the server's direction was not captured, its answer may have come.
    let unseen = leg.last_packet.server.is_none()
        || leg
            .last_payload
            .server
            .is_some_and(|at| at > handshake.request.last)
        || leg
            .gaps
            .iter()
            .any(|gap| gap.direction == Direction::ServerToClient);
    if answered
        || unseen
        || end.direction != Direction::ClientToServer
        || end.at < handshake.request.first
    {
        return;
    }
    let waited = end.at.time.saturating_since(handshake.request.last.time);
    if waited >= case.thresholds.slow_handshake {
        return; // Then the server was slow: `hs-no-response`.
    }
    // A client that sends FIN still listens: an answer may come until the server is done too.
    let confidence = match session.ended {
        // Of a reset without a socket, the end came before, and perhaps an answer.
        Some(Ended::Settled) if !end.of_no_socket(session) => unless_unpaired(session),
        _ => Confidence::Likely,
    };
    let word = end.word();
    let request = Evidence::new(handshake.request.last, "the upgrade request");
    let summary = format!(
        "the client gave up its own upgrade {} after asking, before any answer",
        span(waited)
    );
    findings.push(
        Finding::new(&RULE, session, confidence, request, summary)
            .evidence(end.at, format!("{word}, client to server"))
            .data("kind", Value::Text(end.how().name().replace("rst", "reset")))
            .data("waited_ms", Value::Ms(waited))
            .cause(
                Confidence::Possible,
                "the page called close() while the socket was connecting, or was left",
            )
            .cause(Confidence::Possible, "a connect timer of the client that is very short")
            .advice("look in the client for what closes a socket that is still connecting; the server did nothing wrong"),
    );
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_reset_of_a_socket_that_is_gone_may_hide_the_answer() {
        let asked = Script::new().handshake().request("");
        let told = asked.bare_rst(ClientToServer).told();
        let finding = told.only("hs-aborted-by-client");
        assert_eq!(finding.confidence.name(), "likely");
    }

    #[test]
    fn a_client_that_leaves_at_once_is_told() {
        let told = Script::new()
            .handshake()
            .request("")
            .fin(ClientToServer)
            .told();
        let finding = told.only("hs-aborted-by-client");
        assert_eq!(finding.severity.name(), "warn");
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(6));
        assert!(told.of("hs-no-response").is_empty());
    }

    #[test]
    fn once_both_sides_are_done_no_answer_can_come() {
        let left = || Script::new().handshake().request("").fin(ClientToServer);
        let sure = |script: Script| {
            let told = script.told();
            told.only("hs-aborted-by-client").confidence.name()
        };
        assert_eq!(sure(left()), "likely");
        assert_eq!(sure(left().fin(ServerToClient)), "certain");
    }

    #[test]
    fn a_server_that_leaves_first_is_another_matter() {
        let told = Script::new()
            .handshake()
            .request("")
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        assert!(told.of("hs-aborted-by-client").is_empty());
    }

    #[test]
    fn a_connection_without_a_request_is_a_preconnect() {
        let told = Script::new().handshake().fin(ClientToServer).told();
        assert!(told.of("hs-aborted-by-client").is_empty());
    }
}
