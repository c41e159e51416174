//! A proxy refused a tunnel in the words of SOCKS (RFC 1928, section 6): told as `hs-http-status`,
//! as a refused CONNECT is.

use super::failures;
use crate::diagnosis::{Confidence, Evidence, Finding, Overview, Rule, Value};
use crate::session::{SocksRefusal, TunnelKind};
use Confidence::{Certain, Likely};

/// The refused requests that no later one overcame.
pub(in crate::diagnosis) fn check(
    overview: &Overview<'_>,
    rule: &'static Rule,
    findings: &mut Vec<Finding>,
) {
    for failure in failures(overview, |_, request| request.socks.is_some()) {
        let (leg, request) = (&failure.first.leg, failure.request);
        let Some(refusal) = request.socks else {
            continue;
        };
        let (means, cause) = meaning(refusal);
        let version = match refusal.kind {
            TunnelKind::Socks4 => "SOCKS 4",
            TunnelKind::Socks5 | TunnelKind::Connect => "SOCKS 5",
        };
        let summary = format!(
            "the proxy {} refused a tunnel to {}: {means} ({version} reply {}){}",
            failure.proxy(),
            failure.whom(),
            refusal.reply,
            failure.times()
        );
        let asked = Evidence::new(request.first, "the request for a tunnel, client to proxy");
        let finding = Finding::of_connection(rule, leg, Certain, asked, summary)
            .evidence(refusal.at, format!("the proxy's reply: {means}"));
        let finding = failure
            .dressed(finding, rule)
            .data("reply", Value::Count(u64::from(refusal.reply)));
        findings.push(
            finding
                .cause(Likely, cause)
                .advice("ask the proxy's log: the client is told no more than this reply"),
        );
    }
}

/// What a reply says, and what is behind it.
fn meaning(refusal: SocksRefusal) -> (&'static str, &'static str) {
    const UNREACHED: &str = "the proxy tried to reach the target and could not";
    match (refusal.kind, refusal.reply) {
        (TunnelKind::Socks4, 0x5c | 0x5d) => (
            "the user can't be identified",
            "the proxy wants an ident server on the client's host",
        ),
        (TunnelKind::Socks4, _) | (_, 1) => (
            "general failure",
            "the proxy's rules forbid the target, or it could not reach it",
        ),
        (_, 2) => (
            "not allowed by its rules",
            "the proxy's rules forbid the host, the port or this client",
        ),
        (_, 3) => ("network unreachable", UNREACHED),
        (_, 4) => ("host unreachable", UNREACHED),
        (_, 5) => (
            "connection refused",
            "nothing listens on the target's port, as the proxy sees it",
        ),
        (_, 6) => ("TTL expired", UNREACHED),
        (_, 8) => (
            "address type not supported",
            "the proxy resolves no names, or has no IPv6",
        ),
        _ => ("refused", UNREACHED),
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, Told};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// A request for ws.test:443, and the first two bytes of the reply.
    fn asked(reply: [u8; 2]) -> Script {
        let request = [&[5, 1, 0, 3, 7][..], b"ws.test", &[1, 187]].concat();
        let reply = [&reply[..], &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
        Script::new()
            .handshake()
            .bytes(ClientToServer, &[5, 1, 0])
            .bytes(ServerToClient, &[5, 0])
            .bytes(ClientToServer, &request)
            .bytes(ServerToClient, &reply)
    }

    fn closed(script: Script) -> Told {
        script.fin(ServerToClient).fin(ClientToServer).told()
    }

    #[test]
    fn a_refused_socks_names_its_target_and_why() {
        let told = closed(asked([5, 5]));
        let finding = told.only("hs-http-status");
        assert!(
            finding
                .summary
                .ends_with("refused a tunnel to ws.test:443: connection refused (SOCKS 5 reply 5)"),
            "{}",
            finding.summary
        );
        let kind = ("kind", Value::Text("socks5".to_owned()));
        assert!(finding.data.contains(&kind), "{:?}", finding.data);
    }

    #[test]
    fn a_tunnel_that_stands_and_bytes_that_are_no_reply_are_silent() {
        for reply in [[5, 0], [5, 77], [7, 5]] {
            assert!(
                closed(asked(reply)).of("hs-http-status").is_empty(),
                "{reply:?}"
            );
        }
    }
}
