//! `hs-no-response`: the upgrade request was delivered, and no HTTP answer came.

use std::time::Duration;

use crate::diagnosis::keyless;
use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::tunnel;
use crate::diagnosis::wording::span;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Farewell, Finding, Overview, Rule, Severity, Terminator,
    Value,
};
use crate::session::{Ended, Session};
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "hs-no-response",
    severity: Severity::Error,
    summary: "the upgrade request was delivered, but no HTTP answer came",
    explain: "\
## What it means
The server's TCP took the request, but nobody answered it in HTTP: the server ended the connection, or stayed silent until the client
gave up. A browser reports `error`, then `close` with code 1006.

## What usually causes it
- The code that accepts WebSockets hangs or throws: an authentication call, a database, a blocked event loop.
- A proxy that can't reach its upstream, or resets because of a limit.
- The port speaks something else: TLS servers often close on a plain `GET` without a word.
- The process crashed while it handled the request.
- A PROXY protocol header that the server doesn't expect, or one that it misses: such servers close without a word.
- `data.kind` `connect`: a forward proxy never answered the CONNECT for the tunnel in which the upgrade would have gone: it waits for a
  target that it can't reach, or is no proxy.
- `data.kind` `keyless`: nobody could read it. To a server that speaks WebSocket on other connections a client sent a record of a
  request's size, and none came back.

## How to tell them apart
- FIN or reset within about a round trip of the request: the server looked at the first bytes and wanted none of them. Try `wss://`.
- FIN or reset later: the handler died, or a timer ended it.
- Silence, and the client ends it after a round number of seconds: the client's handshake timer (10 s Python's websockets, 45 s
  gorilla).
- Other sessions of the same server are silent at the same time: the process is blocked, not this handler.
- `data.acked` false: the request itself was never acknowledged; look at the network first.

## What to do
Look at the accept and authentication code of the server at the time of the request, and at the log of the proxy before it.

## References
RFC 6455, sections 4.1 and 4.2.2.
",
    checks: &[Check::Session(check), Check::Capture(tunnels), Check::Capture(unread)],
};

/// Rationale: a server that decides on the first bytes answers within its round
/// trip and a scheduling delay; 20 ms covers both where no round trip was measured.
const AT_ONCE: Duration = Duration::from_millis(20);

fn tunnels(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    tunnel::unanswered(overview, &RULE, findings);
}

fn unread(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    keyless::unanswered_requests(overview, &RULE, findings);
}

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let handshake = &session.handshake;
    let answered =
        handshake.response.is_some() || handshake.is_upgraded() || handshake.not_http.is_some();
    // An answer may hide in what was not captured.
    let leg = &session.leg;
    let server_spoke = leg
        .last_payload
        .server
        .is_some_and(|at| at > handshake.request.last);
    let one_way = leg.last_packet.server.is_none();
    if answered || one_way || server_spoke || session.may_hide_answer() {
        return;
    }
    findings.extend(match case.closing.terminator {
        // That is the answer: `tls-alert`.
        Some(end) if matches!(end.farewell, Some(Farewell::Alert(_))) => None,
        Some(end) if end.at < handshake.request.first => None,
        Some(end) if end.direction == Direction::ServerToClient => {
            Some(ended_by_server(case, &end))
        }
        Some(end) => {
            let waited = end.at.time.saturating_since(handshake.request.last.time);
            // Earlier, it is the client that had no patience: `hs-aborted-by-client`.
            (waited >= case.thresholds.slow_handshake).then(|| client_gave_up(case, &end, waited))
        }
        None => silent(case),
    });
}

fn acked(session: &Session) -> Option<PacketRef> {
    let request = session.handshake.request.last;
    session
        .leg
        .last_delivered
        .client
        .filter(|(payload, _)| *payload >= request)
        .map(|(_, ack)| ack)
}

fn start(
    session: &Session,
    terminator: Option<&Terminator>,
    confidence: Confidence,
    kind: &str,
    waited: Duration,
    summary: String,
) -> Finding {
    let request = Evidence::new(session.handshake.request.last, "the upgrade request");
    let acked = acked(session);
    let hidden = session
        .leg
        .gaps
        .iter()
        .any(|gap| gap.direction == Direction::ServerToClient);
    let confidence = match terminator {
        _ if hidden => Confidence::Possible,
        // The socket was gone before: there may have been an answer to that end.
        Some(end) if end.of_no_socket(session) => confidence.min(Confidence::Likely),
        _ => confidence,
    };
    let mut finding = Finding::new(&RULE, session, confidence, request, summary)
        .evidence_if(acked, "the server's TCP acknowledged it")
        .data("kind", Value::Text(kind.to_owned()))
        .data("waited_ms", Value::Ms(waited))
        .data("acked", Value::Flag(acked.is_some()));
    if let Some((status, at)) = session.handshake.interim.last() {
        finding = finding.evidence(*at, format!("an interim {status}"));
    }
    finding
}

fn ended_by_server(case: &Case<'_>, end: &Terminator) -> Finding {
    let session = case.session;
    let waited = end
        .at
        .time
        .saturating_since(session.handshake.request.last.time);
    let (word, kind) = (format!("a {}", end.word()), end.how().name());
    let summary = format!(
        "the server ended the connection with {word} {} after the upgrade request, without an answer",
        span(waited)
    );
    let rtt = session.leg.rtt.server.min().unwrap_or_default();
    let at_once = waited <= AT_ONCE.max(rtt.saturating_mul(2));
    let leg = &session.leg;
    // A FIN of the client that comes later shows that none came before; and only
    // from its SYN on is it known that the server sent nothing.
    let first = end.reset.is_some() || leg.fin.client.is_some();
    let confidence = match leg.syn_count.server {
        1.. if first => unless_unpaired(session),
        _ => Confidence::Likely,
    };
    let finding = start(session, Some(end), confidence, kind, waited, summary).evidence(
        end.at,
        format!("{word}, server to client, nothing before it"),
    );
    let finding = tunnel::about_proxy_header(finding, session, Confidence::Possible);
    let finding = tunnel::about_missing_proxy_header(finding, session, case.capture);
    let finding = match session.leg.via.is_empty() {
        true => finding,
        false => finding.cause(
            Confidence::Possible,
            "the forward proxy lost the target, or opened the tunnel before it had reached it",
        ),
    };
    let finding = if at_once {
        finding
            .cause(
                Confidence::Possible,
                "the port speaks TLS: such servers often close on plain bytes without a word",
            )
            .cause(
                Confidence::Possible,
                "the server or a proxy refused the first bytes: a limit, a filter, no backend",
            )
            .cause(
                Confidence::Possible,
                "the handler failed before it wrote an answer",
            )
    } else {
        finding
            .cause(
                Confidence::Possible,
                "the handler failed, or its process did, before it wrote an answer",
            )
            .cause(
                Confidence::Possible,
                "a proxy waited for its upstream and gave up",
            )
    };
    finding.advice(if at_once {
        "try wss:// on this port; if it is meant to be plain, look in the log of the server at the time of the request"
    } else {
        "look in the log of the server, or of the proxy before it, at the time of the request"
    })
}

fn client_gave_up(case: &Case<'_>, end: &Terminator, waited: Duration) -> Finding {
    let session = case.session;
    // A client that sends FIN still listens: an answer may come until the server is done too.
    let confidence = match session.ended {
        Some(Ended::Settled) => unless_unpaired(session),
        _ => Confidence::Likely,
    };
    let summary = format!(
        "no answer to the upgrade request in {}, then the client gave up",
        span(waited)
    );
    let finding = start(
        session,
        Some(end),
        confidence,
        "client-gave-up",
        waited,
        summary,
    )
    .evidence(
        end.at,
        "the client ends the connection, nothing from the server before it",
    );
    silence_causes(session, finding).cause(
        Confidence::Possible,
        "the client's handshake timer is shorter than the server needs",
    )
}

/// The capture ends first: how long it looked on decides.
fn silent(case: &Case<'_>) -> Option<Finding> {
    let session = case.session;
    let waited = session
        .horizon
        .time
        .saturating_since(session.handshake.request.last.time);
    if waited < case.thresholds.no_response {
        return None;
    }
    let summary = format!(
        "no answer to the upgrade request in {}, until the capture ends",
        span(waited)
    );
    // An answer may still come: what is certain is the wait so far.
    let finding = start(session, None, Confidence::Likely, "silent", waited, summary);
    Some(silence_causes(session, finding))
}

fn silence_causes(session: &Session, finding: Finding) -> Finding {
    if acked(session).is_none() {
        return finding
            .cause(Confidence::Likely, "the request was never acknowledged: it, or every answer, is lost on the way")
            .advice("look at the network first: capture on the server to see whether the request arrives");
    }
    finding
        .cause(Confidence::Possible, "the server's accept or authentication code hangs, or its event loop is blocked")
        .cause(Confidence::Possible, "a proxy waits for an upstream that it can't reach")
        .advice("the server's TCP took the request, its application stayed silent: look at the code that accepts and authenticates")
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::api::Sees;
    use crate::diagnosis::closing::close_of;
    use crate::diagnosis::{Kind, Value};
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_fin_of_the_server_may_answer_one_that_was_missed() {
        let asked = || Script::new().handshake().request("");
        let told = asked().fin(ServerToClient).told();
        assert_eq!(told.only("hs-no-response").confidence.name(), "likely");
        let told = asked().fin(ServerToClient).fin(ClientToServer).told();
        assert_eq!(told.only("hs-no-response").confidence.name(), "certain");
    }

    #[test]
    fn a_reset_of_a_socket_that_is_gone_may_hide_the_answer() {
        for side in [ClientToServer, ServerToClient] {
            let asked = Script::new().handshake().request("").wait_s(2.0);
            let told = asked.bare_rst(side).told();
            assert_eq!(told.only("hs-no-response").confidence.name(), "likely");
        }
    }

    #[test]
    fn a_reset_before_the_answer_is_found() {
        let told = Script::new()
            .handshake()
            .request("")
            .rst(ServerToClient)
            .told();
        let finding = told.only("hs-no-response");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("rst".to_owned())))
        );
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(6));
    }

    #[test]
    fn a_client_that_waited_long_enough_blames_the_server() {
        let told = Script::new()
            .handshake()
            .request("")
            .wait_s(2.0)
            .fin(ClientToServer)
            .told();
        let finding = told.only("hs-no-response");
        assert!(finding.data.contains(&("acked", Value::Flag(true))));
        assert!(told.of("hs-aborted-by-client").is_empty());
    }

    #[test]
    fn silence_counts_once_the_capture_saw_enough_of_it() {
        let asked = || Script::new().handshake().request("");
        let other = |script: Script| script.at_port(40_002).syn().told();
        let long = other(asked().wait_s(6.0));
        assert_eq!(long.only("hs-no-response").confidence.name(), "likely");
        let short = other(asked().wait_s(3.0));
        assert!(short.of("hs-no-response").is_empty());
    }

    #[test]
    fn in_a_tunnel_the_proxy_may_have_lost_the_target() {
        let inside = |script: Script| {
            let told = script.request("").fin(ServerToClient).told();
            let causes = told.only("hs-no-response").causes.clone();
            causes.iter().any(|cause| cause.text.contains("tunnel"))
        };
        let tunnel = Script::new()
            .handshake()
            .bytes(ClientToServer, b"CONNECT h:80 HTTP/1.1\r\n\r\n")
            .bytes(ServerToClient, b"HTTP/1.1 200 OK\r\n\r\n");
        assert!(inside(tunnel));
        assert!(!inside(Script::new().handshake()));
    }

    #[test]
    fn an_answer_that_was_not_captured_is_an_answer() {
        let told = Script::new()
            .handshake()
            .request("")
            .uncaptured(ServerToClient, b"HTTP/1.1 101 Switching Protocols")
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        assert!(told.of("hs-no-response").is_empty());
        let closing = close_of(&told.sessions[0]);
        assert_eq!((closing.kind, closing.sees), (Kind::None, Sees::default()));
    }

    #[test]
    fn a_refusal_is_an_answer() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer("404 Not Found", "", "")
            .fin(ServerToClient)
            .told();
        assert!(told.of("hs-no-response").is_empty());
    }
}
