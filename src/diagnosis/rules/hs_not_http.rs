//! `hs-not-http`: what answered the upgrade isn't HTTP.

use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::Lookalike;
use crate::session::redact::Secrets;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hs-not-http",
    severity: Severity::Error,
    summary: "what answered the upgrade request is not HTTP",
    explain: "\
## What it means
The client asked for a WebSocket, and the bytes that came back are neither an HTTP status line nor a TLS record. Another service owns
this port.

## What usually causes it
- The wrong port in the URL: SSH, SMTP, FTP, a database, a message broker's native port (1883 for MQTT instead of its WebSocket port).
- A port forwarding or a load balancer that points to another service.
- A server that writes WebSocket frames without having answered the handshake.

## How to tell them apart
- `data.service` names the service where its greeting is known.
- The greeting came before the request: a protocol in which the server speaks first (SSH, SMTP, FTP, databases).

## What to do
Look at what listens on that port (`ss -ltnp`), and correct the URL or the forwarding.

## References
RFC 9112, section 4; RFC 6455, section 4.2.2.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let Some((at, looks_like)) = session.handshake.not_http else {
        return;
    };
    let service = match looks_like {
        Lookalike::Unknown => None,
        Lookalike::Service(name) => Some(name),
        Lookalike::Http2Preface => Some("HTTP/2"),
        Lookalike::ProxyProtocol => Some("the PROXY protocol"),
        // TLS is `hs-scheme-mismatch`; a request of the server is HTTP after all.
        Lookalike::TlsHandshake | Lookalike::TlsAlert(..) | Lookalike::OtherRole => return,
    };
    let far_end = session.leg.far_end();
    let server = Secrets::Redacted.authority(&far_end);
    let summary = match service {
        Some(name) => format!("{server} answered the upgrade request with {name}, not with HTTP"),
        None => format!("{server} answered the upgrade request with something that is not HTTP"),
    };
    // Where earlier bytes are missing, these may be the middle of an answer.
    let missing = session
        .leg
        .gaps
        .iter()
        .any(|gap| gap.direction == Direction::ServerToClient);
    let confidence = if missing {
        Confidence::Possible
    } else {
        Confidence::Certain
    };
    let request = session.handshake.request.last;
    let first = Evidence::new(request, "the upgrade request");
    let mut finding = Finding::new(&RULE, session, confidence, first, summary)
        .evidence(at, "the server's bytes")
        .data("server_spoke_first", Value::Flag(at < request));
    finding.evidence.sort_by_key(|evidence| evidence.at);
    let finding = match service {
        Some(name) => finding.data("service", Value::Text(name.to_owned())).cause(
            Confidence::Likely,
            format!("the port belongs to {name}: wrong port in the URL, or a wrong forwarding"),
        ),
        None => finding.cause(Confidence::Possible, "another service owns this port"),
    };
    findings.push(finding.advice(format!(
        "look at what listens on {server}, and correct the client's URL or the forwarding"
    )));
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::ServerToClient;

    #[test]
    fn a_greeting_names_its_service() {
        let told = Script::new()
            .handshake()
            .request("")
            .bytes(ServerToClient, b"SSH-2.0-OpenSSH_8.7\r\n")
            .told();
        let finding = told.only("hs-not-http");
        assert!(
            finding
                .data
                .contains(&("service", Value::Text("SSH".to_owned())))
        );
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(6));
    }

    #[test]
    fn a_server_that_speaks_first_is_named_too() {
        let told = Script::new()
            .handshake()
            .bytes(ServerToClient, b"220 mail.example ESMTP\r\n")
            .request("")
            .fin(ServerToClient)
            .told();
        let finding = told.only("hs-not-http");
        assert!(finding.summary.contains("SMTP"));
        assert!(told.of("hs-no-response").is_empty());
    }

    #[test]
    fn an_http_answer_is_http() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer("500 Oops", "", "")
            .told();
        assert!(told.of("hs-not-http").is_empty());
    }
}
