//! `hs-bad-request`: the client's opening handshake breaks RFC 6455.

use crate::diagnosis::refusal::{is_about_form, is_about_hop_by_hop, stripped_before_capture};
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Rule, Severity, Stripped, Value,
};
use crate::session::HandshakeBreach;

pub(super) static RULE: Rule = Rule {
    id: "hs-bad-request",
    severity: Severity::Error,
    summary: "the client's opening handshake breaks RFC 6455",
    explain: "\
## What it means
The upgrade request lacks something that the standard demands, or has it wrong. Servers differ in how strict they are: Node's ws and
aiohttp take version 8, Python's websockets doesn't, so the same client may work against one and fail against another.

## What usually causes it
- A client written by hand, or a very old library.
- A proxy that rewrites requests.
- A scanner or health check that only looks like a WebSocket client.

## How to tell them apart
- Other clients of the same server send sound requests: it is this client, or the proxy that it goes through.
- `Upgrade` or `Connection` is what is wrong: think of a proxy first; see `hs-upgrade-stripped`.
- The User-Agent and the path name a scanner.

## What to do
`data.breaches` has every breach and its section. A request needs: GET, HTTP/1.1, one Host, `Upgrade: websocket`, `Connection: Upgrade`,
a `Sec-WebSocket-Key` of 16 random bytes in base64, `Sec-WebSocket-Version: 13`, and no body.

## References
RFC 6455, sections 4.1 and 4.2.1; RFC 7692, section 7.1; RFC 9112, sections 2 to 5.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let handshake = &session.handshake;
    let stripped = !handshake.is_upgraded()
        && stripped_before_capture(session) == Some(Stripped::BeforeCapture);
    let breaches: Vec<&HandshakeBreach> = handshake
        .request_breaches
        .iter()
        .filter(|breach| !(stripped && is_about_hop_by_hop(breach)))
        .collect();
    let Some(first) = breaches.first() else {
        return;
    };
    let more = match breaches.len() {
        1 => String::new(),
        2 => ", and one more breach".to_owned(),
        count => format!(", and {} more breaches", count - 1),
    };
    let request = Evidence::new(
        handshake.request.last,
        format!("the request: {}", first.what),
    );
    let summary = format!(
        "the upgrade request breaks {}: {}{more}",
        first.section, first.what
    );
    let texts = breaches
        .iter()
        .map(|b| format!("{} ({})", b.what, b.section))
        .collect();
    let finding = Finding::new(&RULE, session, Confidence::Certain, request, summary)
        .severity(severity(case))
        .data("kind", Value::Text(first.kind.to_owned()))
        .data("breaches", Value::List(texts));
    let finding = match &handshake.response {
        Some(response) => finding
            .evidence(response.first, format!("the answer: {}", response.status))
            .data("status", Value::Count(u64::from(response.status))),
        None => finding,
    };
    let hop = breaches.iter().any(|b| is_about_hop_by_hop(b));
    let finding = if hop {
        finding.cause(
            Confidence::Possible,
            "a proxy changed the request: it drops Upgrade and Connection unless told otherwise",
        )
    } else {
        finding
    };
    findings.push(
        finding
            .cause(
                Confidence::Possible,
                "a client written by hand, or a very old library",
            )
            .advice("correct the client's request; data.breaches has each breach with its section"),
    );
}

/// It is to blame where the server refused for the request's form, or said
/// nothing; where it was let through, or refused for something else, it isn't.
fn severity(case: &Case<'_>) -> Severity {
    let handshake = &case.session.handshake;
    match handshake.status() {
        _ if handshake.is_upgraded() => Severity::Warn,
        None => Severity::Error,
        Some(status) if is_about_form(status) => Severity::Error,
        Some(_) => Severity::Warn,
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Severity, Value};
    use crate::script::Script;
    use crate::stream::Direction::ClientToServer;

    fn asked_without_key() -> Script {
        Script::new().handshake().bytes(
            ClientToServer,
            b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Version: 13\r\n\r\n",
        )
    }

    #[test]
    fn a_missing_key_is_named() {
        let told = asked_without_key().answer("400 Bad Request", "", "").told();
        let finding = told.only("hs-bad-request");
        assert_eq!(finding.severity, Severity::Error);
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("key-missing".to_owned())))
        );
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(4));
    }

    #[test]
    fn what_the_server_let_through_is_a_warning() {
        let told = asked_without_key().accept("").told();
        assert_eq!(told.only("hs-bad-request").severity, Severity::Warn);
    }

    #[test]
    fn a_sound_request_is_not_told() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer("400 Bad Request", "", "")
            .told();
        assert!(told.of("hs-bad-request").is_empty());
    }
}
