//! A proxy never answered CONNECT (`hs-no-response`).

use std::time::Duration;

use super::failures;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Confidence, Evidence, Finding, Overview, Rule, Value};
use crate::session::{Attempt, TunnelRequest};
use crate::stream::{Direction, PacketRef};
use Confidence::{Certain, Likely, Possible};

/// How the wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fin(PacketRef),
    Reset(PacketRef),
    GaveUp(PacketRef),
    /// The capture, or the connection's record, ended first.
    Silent(PacketRef),
}

/// The CONNECTs without an answer that no later one overcame.
pub(in crate::diagnosis) fn check(
    overview: &Overview<'_>,
    rule: &'static Rule,
    findings: &mut Vec<Finding>,
) {
    let unanswered =
        |attempt: &Attempt, request: &TunnelRequest| end_of(attempt, request, overview).is_some();
    for failure in failures(overview, unanswered) {
        let Some(end) = end_of(failure.first, failure.request, overview) else {
            continue;
        };
        // A FIN of the client that comes later shows that none came before.
        let sure = match failure.first.leg.fin.client {
            Some(_) => Certain,
            None => Likely,
        };
        let (at, kind, what, confidence) = match end {
            End::Fin(at) => (at, "fin", "ended the connection with a FIN", sure),
            // The socket may have been gone before.
            End::Reset(at) => (at, "rst", "ended the connection with a reset", Likely),
            End::GaveUp(at) => (
                at,
                "client-gave-up",
                "stayed silent, and the client gave up",
                Certain,
            ),
            // An answer may still come: what is certain is the wait so far.
            End::Silent(at) => (at, "silent", "stayed silent until the capture ends", Likely),
        };
        let leg = &failure.first.leg;
        let waited = at.time.saturating_since(failure.request.last.time);
        let summary = format!(
            "the proxy {} never answered CONNECT {}: {what}, {} after it{}",
            failure.proxy(),
            failure.whom(),
            span(waited),
            failure.times()
        );
        let asked = Evidence::new(failure.request.last, "CONNECT, client to proxy");
        let finding = Finding::of_connection(rule, leg, confidence, asked, summary);
        let finding = failure
            .dressed(finding, rule)
            .data("end", Value::Text(kind.to_owned()))
            .data("waited_ms", Value::Ms(waited));
        findings.push(explained(finding, end));
    }
}

/// How the wait for an answer ended; `None` where there may have been one, or
/// the wait was too short to tell.
fn end_of(attempt: &Attempt, request: &TunnelRequest, overview: &Overview<'_>) -> Option<End> {
    let leg = &attempt.leg;
    let asked = request.last;
    let spoke = leg.last_payload.server.is_some_and(|at| at > asked);
    let hidden = leg
        .gaps
        .iter()
        .any(|gap| gap.direction == Direction::ServerToClient);
    if request.response.is_some() || spoke || hidden || leg.last_packet.server.is_none() {
        return None;
    }
    let after = |at: &PacketRef| *at > asked;
    let reset = |from: Direction| {
        let of_side = leg.resets.iter().filter(move |r| r.direction == from);
        of_side.map(|reset| reset.at).find(after)
    };
    let by_server = [
        leg.fin.server.filter(after).map(End::Fin),
        reset(Direction::ServerToClient).map(End::Reset),
    ];
    let by_client = leg
        .fin
        .client
        .filter(after)
        .into_iter()
        .chain(reset(Direction::ClientToServer))
        .min();
    let by_server = by_server
        .into_iter()
        .flatten()
        .min_by_key(|end| end.at())
        .filter(|end| by_client.is_none_or(|client| end.at() < client));
    let long = |at: PacketRef, least: Duration| at.time.saturating_since(asked.time) >= least;
    match (by_server, by_client) {
        (Some(end), _) => Some(end),
        (None, Some(at)) => long(at, overview.thresholds.slow_handshake).then_some(End::GaveUp(at)),
        (None, None) => long(attempt.horizon, overview.thresholds.no_response)
            .then_some(End::Silent(attempt.horizon)),
    }
}

impl End {
    const fn at(self) -> PacketRef {
        match self {
            Self::Fin(at) | Self::Reset(at) | Self::GaveUp(at) | Self::Silent(at) => at,
        }
    }
}

fn explained(finding: Finding, end: End) -> Finding {
    match end {
        End::Fin(at) | End::Reset(at) => finding
            .evidence(at, "the proxy ends the connection, nothing from it before")
            .cause(
                Possible,
                "what listens there is no HTTP proxy: it may speak TLS or SOCKS",
            )
            .cause(
                Possible,
                "the proxy can't reach the target, and closes instead of answering 502",
            )
            .advice(
                "check the proxy's address, port and kind in the client's settings, then its log",
            ),
        End::GaveUp(at) => waiting(finding.evidence(at, "the client ends the connection")),
        End::Silent(_) => waiting(finding),
    }
}

fn waiting(finding: Finding) -> Finding {
    finding
        .cause(
            Possible,
            "the proxy waits for the target, which it can't reach",
        )
        .cause(Possible, "the proxy is overloaded")
        .advice("from the proxy's host, try to reach the target: name, route, firewall")
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn asked() -> Script {
        let head = b"CONNECT ws.test:443 HTTP/1.1\r\nHost: ws.test:443\r\n\r\n";
        Script::new().handshake().bytes(ClientToServer, head)
    }

    #[test]
    fn a_proxy_that_closes_instead_of_answering_is_told() {
        for (script, kind) in [
            (asked().fin(ServerToClient), "fin"),
            (asked().rst(ServerToClient), "rst"),
            (asked().wait_s(20.0).fin(ClientToServer), "client-gave-up"),
            (asked().wait_s(60.0).at_port(40_002).syn(), "silent"),
        ] {
            let told = script.told();
            let finding = told.only("hs-no-response");
            let expected = ("end", Value::Text(kind.to_owned()));
            assert!(finding.data.contains(&expected), "{finding:?}");
        }
    }

    #[test]
    fn a_client_that_goes_at_once_blames_nobody() {
        let told = asked().fin(ClientToServer).fin(ServerToClient).told();
        assert!(told.of("hs-no-response").is_empty());
    }

    #[test]
    fn an_answer_that_was_not_captured_is_no_silence() {
        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        let told = asked()
            .uncaptured(ServerToClient, answer)
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        assert!(told.of("hs-no-response").is_empty());
    }

    #[test]
    fn a_tunnel_that_nobody_uses_is_no_fault() {
        let told = asked()
            .bytes(ServerToClient, b"HTTP/1.1 200 OK\r\n\r\n")
            .wait_s(30.0)
            .fin(ClientToServer)
            .fin(ServerToClient)
            .told();
        assert_eq!(told.ids(), ["cap-no-websocket"]);
    }
}
