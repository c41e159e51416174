//! `hs-scheme-mismatch`: `ws://` to a TLS port, or `wss://` to a plaintext port.

use crate::diagnosis::dial::{Dial, dials};
use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::wording::times;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Overview, Refusal, Rule, Severity, Value,
    refusal_of,
};
use crate::session::redact::Secrets;
use crate::session::{Attempt, Lookalike};
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "hs-scheme-mismatch",
    severity: Severity::Error,
    summary: "the client speaks plaintext to a TLS port, or TLS to a plaintext port",
    explain: "\
## What it means
Client and port don't agree on TLS. Either the client sent `GET` in the clear and the server answered with a TLS alert or with an error
that says so, or the client began with a ClientHello and the server answered in plain HTTP. No WebSocket can come of it.

## What usually causes it
- The URL has the wrong scheme or the wrong port (`ws://host:443`, `wss://host:8080`).
- TLS ends one hop earlier than believed: the proxy terminates it, and the port behind is plain, or the other way round.

## How to tell them apart
- All clients do it: the URL that they are given, or the proxy's upstream setting (`proxy_pass http://` against `https://`).
- Only connections from the proxy do it: its upstream setting.

## What to do
Use `wss://` on the TLS port and `ws://` on the plaintext one; on a proxy, the matching scheme for the upstream. A PROXY protocol header
before the ClientHello that the server doesn't expect looks similar: compare the first bytes.

## References
RFC 6455, sections 3 and 4.1; RFC 8446, section 6.
",
    checks: &[Check::Session(check), Check::Capture(check_attempts)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let handshake = &session.handshake;
    let (at, what) = match (handshake.not_http, refusal_of(session)) {
        (Some((at, Lookalike::TlsAlert(_, description))), _) => {
            (at, format!("a TLS alert ({description})"))
        }
        (Some((at, Lookalike::TlsHandshake)), _) => (at, "a TLS handshake record".to_owned()),
        (_, Some(Refusal::PlainToTls)) => {
            let Some(response) = &handshake.response else {
                return;
            };
            (
                response.first,
                format!("HTTP {}: this port wants TLS", response.status),
            )
        }
        _ => return,
    };
    let request = Evidence::new(handshake.request.last, "the upgrade request, in plaintext");
    let far_end = session.leg.far_end();
    let server = Secrets::Redacted.authority(&far_end);
    let summary =
        format!("the client speaks plaintext to {server}, a TLS port: the answer is {what}");
    findings.push(
        Finding::new(&RULE, session, unless_unpaired(session), request, summary)
            .evidence(at, what)
            .data("kind", Value::Text("plaintext-to-tls".to_owned()))
            .cause(
                Confidence::Likely,
                "the client's URL says ws:// where it should say wss://, or has the wrong port",
            )
            .cause(
                Confidence::Possible,
                "a proxy dials its upstream without TLS",
            )
            .advice(format!(
                "use wss:// for {server}, or the server's plaintext port"
            )),
    );
}

/// The server's answer to TLS that is none, and how sure that is.
pub(super) fn plain_answer(
    attempt: &Attempt,
    overview: &Overview<'_>,
) -> Option<(PacketRef, Confidence, &'static str)> {
    let (Lookalike::TlsHandshake, hello) = attempt.looks_like.client? else {
        return None;
    };
    if let Some(at) = attempt.plain_answer {
        return Some((at, Confidence::Certain, "answered in HTTP, in the clear"));
    }
    let leg = &attempt.leg;
    let missing = leg
        .gaps
        .iter()
        .any(|gap| gap.direction == Direction::ServerToClient);
    // What a proxy does inside a tunnel says nothing of its own port.
    if missing || leg.first_payload.server.is_some() || !leg.via.is_empty() {
        return None;
    }
    // A server that hangs up on a ClientHello may do so for many reasons, unless its port is known to be plain.
    let plain = overview
        .sessions
        .iter()
        .any(|s| s.leg.server == leg.server && s.handshake.is_upgraded());
    if !plain {
        return None;
    }
    let fin = leg.fin.server.map(|at| (at, "FIN without an answer"));
    let reset = leg
        .resets
        .iter()
        .find(|reset| reset.direction == Direction::ServerToClient && reset.at > hello)
        .map(|reset| (reset.at, "reset without an answer"));
    let (at, what) = fin.or(reset)?;
    Some((at, Confidence::Likely, what))
}

fn check_attempts(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for dial in dials(overview, |attempt| {
        plain_answer(attempt, overview).is_some()
    }) {
        findings.extend(of_attempts(&dial, overview));
    }
}

fn of_attempts(dial: &Dial<'_>, overview: &Overview<'_>) -> Option<Finding> {
    let (at, confidence, what) = plain_answer(dial.first, overview)?;
    let (_, hello) = dial.first.looks_like.client?;
    let far_end = dial.first.leg.far_end();
    let server = Secrets::Redacted.authority(&far_end);
    let again = match dial.count {
        1 => String::new(),
        count => format!(", {}", times(usize::try_from(count).unwrap_or(usize::MAX))),
    };
    let summary = format!(
        "{server} is a plaintext port, and {} spoke TLS to it: {what}{again}",
        dial.who()
    );
    let first = Evidence::new(hello, "TLS ClientHello");
    let finding = dial
        .finding(overview, &RULE, dial.first, confidence, first, summary)
        .evidence(at, what)
        .data("kind", Value::Text("tls-to-plaintext".to_owned()))
        .cause(
            Confidence::Likely,
            "the client's URL says wss:// where it should say ws://, or has the wrong port",
        )
        .cause(Confidence::Possible, "TLS ends at a proxy before this port")
        .advice(format!(
            "use ws:// for {server}, or the port on which TLS is spoken"
        ));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    const HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0, 0, 1, 0];

    #[test]
    fn an_alert_in_answer_to_a_get_is_a_tls_port() {
        let told = Script::new()
            .handshake()
            .request("")
            .bytes(ServerToClient, &[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46])
            .told();
        let finding = told.only("hs-scheme-mismatch");
        assert_eq!(finding.confidence.name(), "certain");
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(6));
        assert!(told.of("hs-not-http").is_empty());
    }

    #[test]
    fn the_400_of_a_tls_port_is_one_finding() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer(
                "400 Bad Request",
                "",
                "The plain HTTP request was sent to HTTPS port",
            )
            .told();
        assert_eq!(told.of("hs-scheme-mismatch").len(), 1);
        assert_eq!(told.only("hs-http-status").severity.name(), "info");
    }

    #[test]
    fn http_in_answer_to_a_client_hello_is_a_plaintext_port() {
        let told = Script::new()
            .handshake()
            .bytes(ClientToServer, HELLO)
            .answer("400 Bad Request", "", "")
            .told();
        let finding = told.only("hs-scheme-mismatch");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("tls-to-plaintext".to_owned())))
        );
        assert_eq!(finding.severity.name(), "error");
    }

    #[test]
    fn tls_in_answer_to_tls_is_as_it_should_be() {
        let told = Script::new()
            .handshake()
            .bytes(ClientToServer, HELLO)
            .bytes(
                ServerToClient,
                &[0x16, 0x03, 0x03, 0x00, 0x05, 0x02, 0, 0, 1, 0],
            )
            .told();
        assert!(told.of("hs-scheme-mismatch").is_empty());
    }
}
