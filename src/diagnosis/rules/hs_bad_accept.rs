//! `hs-bad-accept`: a 101 whose Sec-WebSocket-Accept doesn't belong to the request.

use std::collections::HashMap;

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::legs::{behind, proxy_name};
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::Session;
use crate::stream::PacketRef;

pub(super) static RULE: Rule = Rule {
    id: "hs-bad-accept",
    severity: Severity::Error,
    summary: "the 101 has a wrong, missing or repeated Sec-WebSocket-Accept",
    explain: "\
## What it means
The server switched protocols, but its `Sec-WebSocket-Accept` isn't the one that the request's key demands. Clients that follow the
standard drop the connection here (Chromium, Node's ws, undici, Python's websockets and aiohttp do): a browser reports `error`, then
1006.

## What usually causes it
- Something between caches answers, or mixes up two requests: the client gets another client's 101.
- A server that computes the value wrongly, or sends a constant.
- A proxy that opens a handshake of its own and passes the answer on as it is.

## How to tell them apart
- The value fits the key of another request in the capture: an intermediary (or a confused server) answered with the wrong 101;
  `data.matches` names the session.
- It is wrong in every session: the server's computation.
- The value is missing: the answer wasn't made by a WebSocket server at all.

## What to do
Ask the server directly, without the proxy. If it is right there, the proxy must not cache or replay a 101. The value is base64 of the
SHA-1 of key and the fixed GUID of the standard, over the key as text.

## References
RFC 6455, sections 1.3, 4.1 and 4.2.2.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let wrong: Vec<(&Session, &'static str, &str)> = overview
        .sessions
        .iter()
        .filter_map(|session| {
            let mut breaches = session.handshake.response_breaches.iter();
            let breach = breaches.find(|breach| breach.kind.starts_with("accept-"))?;
            Some((session, breach.kind, breach.what.as_str()))
        })
        .collect();
    if wrong.is_empty() {
        return;
    }
    let owners: HashMap<String, u32> = overview
        .sessions
        .iter()
        .filter_map(|session| Some((session.handshake.expected_accept()?, session.id)))
        .collect();
    for (session, kind, what) in wrong {
        let back = behind(session, overview.sessions);
        let spoilt = back.and_then(|back| spoilt_in_proxy(session, back));
        findings.extend(finding(session, kind, what, &owners, spoilt));
    }
}

/// The backend's own answer, where its value was right for the key that the client sent too.
fn spoilt_in_proxy<'a>(front: &Session, back: &'a Session) -> Option<(&'a Session, PacketRef)> {
    let answer = back.handshake.response.as_ref()?;
    let right = front.handshake.expected_accept()?;
    let accept = answer.headers.first("Sec-WebSocket-Accept")?.trim();
    (answer.status == 101 && accept == right).then_some((back, answer.first))
}

fn finding(
    session: &Session,
    kind: &'static str,
    what: &str,
    owners: &HashMap<String, u32>,
    spoilt: Option<(&Session, PacketRef)>,
) -> Option<Finding> {
    let handshake = &session.handshake;
    let response = handshake.response.as_ref()?;
    let accept = response
        .headers
        .first("Sec-WebSocket-Accept")
        .map(str::trim);
    let owner = accept
        .and_then(|accept| owners.get(accept))
        .filter(|id| **id != session.id && kind == "accept-mismatch");
    let went_on = session.frames.client.total() > u64::from(session.close.client.is_some());
    let aside = if went_on {
        ", which this client didn't mind"
    } else {
        ""
    };
    let summary = match owner {
        Some(id) => format!(
            "the 101 belongs to another request: its Sec-WebSocket-Accept is that of s{id}{aside}"
        ),
        None => format!("the 101 is not valid: {what}{aside}"),
    };
    let answer = Evidence::new(response.first, "the 101");
    let mut finding = Finding::new(&RULE, session, unless_unpaired(session), answer, summary)
        .data("kind", Value::Text(kind.to_owned()))
        .data("client_went_on", Value::Flag(went_on));
    if let Some(request) = handshake.seen_request() {
        let request = Evidence::new(request.last, "the request with its key");
        finding.evidence.insert(0, request);
    }
    let finding = if went_on {
        finding.severity(Severity::Warn)
    } else {
        finding
    };
    if let Some((back, right)) = spoilt {
        let did = match kind {
            "accept-missing" => "took Sec-WebSocket-Accept out of the answer",
            _ => "changed Sec-WebSocket-Accept in the answer",
        };
        let (proxy, server) = (proxy_name(session), back.leg.server);
        let mut finding = finding
            .evidence(
                right,
                format!("{}: the backend's 101, with the right value", back.name()),
            )
            .data("in_proxy", Value::Flag(true))
            .cause(
                Confidence::Certain,
                format!("{proxy} {did} of the backend {server}, which is right"),
            );
        finding.tcp_stream = None;
        finding.evidence.sort_by_key(|evidence| evidence.at);
        return Some(finding.advice(format!(
            "let {proxy} pass the fields of the 101 on as they are"
        )));
    }
    let finding = match owner {
        Some(id) => finding
            .data("matches", Value::Text(format!("s{id}")))
            .cause(
                Confidence::Likely,
                "an intermediary caches or mixes up answers",
            ),
        None if kind == "accept-missing" => finding.cause(
            Confidence::Likely,
            "the 101 was not written by a WebSocket server",
        ),
        None => finding
            .cause(
                Confidence::Possible,
                "the server computes the value wrongly, or sends a constant",
            )
            .cause(
                Confidence::Possible,
                "a proxy made a handshake of its own, or replays an old 101",
            ),
    };
    Some(finding.advice(
        "ask the server without the proxy; if its answer is right, the proxy must not replay a 101",
    ))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::ClientToServer;
    use crate::stream::Direction::ServerToClient;

    const OTHER_KEY: &[u8] =
        b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

    #[test]
    fn the_accept_of_another_session_is_recognised() {
        let told = Script::new()
            .upgrade()
            .at_port(40_002)
            .handshake()
            .bytes(ClientToServer, OTHER_KEY)
            .accept("")
            .fin(ClientToServer)
            .told();
        let finding = told.only("hs-bad-accept");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(
            finding
                .data
                .contains(&("matches", Value::Text("s1".to_owned())))
        );
    }

    #[test]
    fn a_missing_accept_is_not_anybodys() {
        let told = Script::new()
            .handshake()
            .request("")
            .bytes(
                ServerToClient,
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            )
            .told();
        let finding = told.only("hs-bad-accept");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("accept-missing".to_owned())))
        );
    }

    #[test]
    fn the_right_value_is_fine() {
        assert!(
            Script::new()
                .upgrade()
                .told()
                .of("hs-bad-accept")
                .is_empty()
        );
    }

    const WITHOUT: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

    fn without_accept(backend: fn(Script) -> Script) -> crate::diagnosis::Finding {
        let script = Script::new().handshake().request("");
        let told = script
            .behind(|s| backend(s.handshake().request("")))
            .bytes(ServerToClient, WITHOUT)
            .told();
        let mut of = told.of("hs-bad-accept").into_iter();
        of.next().expect("it is found").clone()
    }

    #[test]
    fn a_value_that_the_proxy_took_out_is_the_proxys_fault() {
        let finding = without_accept(|s| s.accept(""));
        assert_eq!(finding.causes.len(), 1);
        let first = &finding.causes[0];
        assert!(
            first
                .text
                .starts_with("the proxy took Sec-WebSocket-Accept out")
        );
        assert_eq!(first.confidence.name(), "certain");
    }

    #[test]
    fn a_value_that_the_backend_never_sent_is_not() {
        let finding = without_accept(|s| s.bytes(ServerToClient, WITHOUT));
        assert!(!finding.data.contains(&("in_proxy", Value::Flag(true))));
        assert!(
            finding.causes[0]
                .text
                .contains("not written by a WebSocket server")
        );
    }
}
