//! `cmp-not-negotiated`: compressed messages that nobody agreed to.

use crate::diagnosis::violation::violations;
use crate::diagnosis::{Case, Check, Confidence, Finding, Rule, Severity, Value};
use crate::session::Breach;
use crate::session::Session;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "cmp-not-negotiated",
    severity: Severity::Error,
    summary: "RSV1 is set although no compression was agreed on",
    explain: "\
## What it means
RSV1 marks a compressed message, but the 101 of this session doesn't name permessage-deflate. The receiver must fail the connection; it can't
know how to read the payload. `data.kind`: `declined` (the client had offered it, the server's answer left it out), `not-offered`, or
`unknown` where the answer was not captured.

## What usually causes it
- Safari 15.0 to 15.3 and other users of Apple's NSURLSession of that time compress after the server declined.
- A proxy removes `Sec-WebSocket-Extensions` from one of the two heads but passes the frames on.
- A sender whose compression is switched on by hand, whatever was agreed on.
- The bytes are no frame: see the other findings of the same packet.

## How to tell them apart
- The User-Agent names Safari 15: the first.
- Captures on both sides of the proxy show different extensions: the second.

## What to do
Switch permessage-deflate off on the side that compresses, or see to it that the proxy passes `Sec-WebSocket-Extensions` on in both directions.

## References
RFC 6455, sections 5.2 and 9.1; RFC 7692, sections 5 and 6.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for violation in violations(case.session, &[Breach::Rsv1WithoutExtension]) {
        let session = case.session;
        // What was agreed on before the capture began isn't known.
        if session.handshake.mid_stream.is_some() {
            return;
        }
        let sender = violation.sender.sender();
        let offered = offered(session);
        let answered = session.handshake.response.is_some();
        let kind = match (offered, answered) {
            (_, false) => "unknown",
            (true, true) => "declined",
            (false, true) => "not-offered",
        };
        let what = "set RSV1 although no compression was agreed on";
        let mut finding = violation
            .finding(&RULE, case, kind, what)
            .evidence_if(
                session.handshake.seen_request().map(|request| request.last),
                "the request",
            )
            .evidence_if(
                session
                    .handshake
                    .response
                    .as_ref()
                    .map(|answer| answer.last),
                "the answer without permessage-deflate",
            )
            .data("offered", Value::Flag(offered));
        finding.evidence.sort_by_key(|evidence| evidence.at);
        let agent = session
            .handshake
            .request
            .headers
            .first("User-Agent")
            .unwrap_or_default();
        let apple = agent.contains("Version/15.") && agent.contains("Safari");
        if apple && violation.sender == Direction::ClientToServer {
            finding = finding.cause(
                Confidence::Likely,
                "Safari 15.0 to 15.3 compresses after the server declined",
            );
        }
        if offered {
            finding = finding.cause(
                Confidence::Possible,
                "a proxy took Sec-WebSocket-Extensions out of the answer or the request and passes the frames on",
            );
        }
        findings.push(
            finding
                .cause(Confidence::Possible, format!("the {sender} compresses whatever was agreed on"))
                .cause(Confidence::Possible, "these bytes are no frame header: two writers on one socket")
                .advice(format!("switch permessage-deflate off on the {sender}, or let the proxy pass Sec-WebSocket-Extensions on in both directions")),
        );
    }
}

fn offered(session: &Session) -> bool {
    session
        .handshake
        .request
        .headers
        .list("Sec-WebSocket-Extensions")
        .any(|offer| offer.trim_start().starts_with("permessage-deflate"))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::ClientToServer;

    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

    #[test]
    fn a_client_that_compresses_after_the_server_declined_is_found() {
        let told = Script::new()
            .upgrade_with(DEFLATE, "")
            .frame(ClientToServer, 0xc1, HELLO)
            .told();
        let finding = told.only("cmp-not-negotiated");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("declined".to_owned())))
        );
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(8));
        assert!(told.of("pv-rsv").is_empty());
    }

    #[test]
    fn a_client_that_compresses_as_agreed_is_not() {
        let told = Script::new()
            .upgrade_with(DEFLATE, DEFLATE)
            .frame(ClientToServer, 0xc1, HELLO)
            .told();
        assert!(told.of("cmp-not-negotiated").is_empty());
    }
}
