//! A PROXY protocol header as the reason why a server answered nothing, or 400.

use crate::diagnosis::{Confidence, Finding};
use crate::session::{Capture, Session};

/// One came before the request: servers that don't expect it take it for a
/// broken request, and those that do close where it is malformed.
pub(in crate::diagnosis) fn about_proxy_header(
    finding: Finding,
    session: &Session,
    unexpected: Confidence,
) -> Finding {
    let Some((header, at)) = &session.leg.proxied else {
        return finding;
    };
    let mut finding = finding.evidence(*at, "a PROXY protocol header");
    finding.evidence.sort_by_key(|evidence| evidence.at);
    match header.fault {
        Some(fault) => finding.cause(
            Confidence::Likely,
            format!(
                "the PROXY protocol header before the request is malformed: {}",
                fault.what()
            ),
        ),
        None => finding.cause(
            unexpected,
            "the server doesn't expect the PROXY protocol header that came before the request",
        ),
    }
}

/// None came, although other connections to this server begin with one.
pub(in crate::diagnosis) fn about_missing_proxy_header(
    finding: Finding,
    session: &Session,
    capture: &Capture,
) -> Finding {
    let leg = &session.leg;
    if leg.proxied.is_some() || !capture.proxied_servers.contains(&leg.server) {
        return finding;
    }
    finding.cause(
        Confidence::Likely,
        "no PROXY protocol header came before the request, as on other connections to this server: it closes without one",
    )
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Finding;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.2 40001 80\r\n";

    fn closed(header: &[u8]) -> Finding {
        let script = Script::new().handshake().bytes(ClientToServer, header);
        let told = script.request("").fin(ServerToClient).told();
        told.only("hs-no-response").clone()
    }

    fn says(finding: &Finding, what: &str) -> bool {
        finding.causes.iter().any(|cause| cause.text.contains(what))
    }

    #[test]
    fn a_server_that_closes_on_a_header_may_not_expect_it() {
        assert!(says(&closed(HEADER), "doesn't expect"));
    }

    #[test]
    fn a_malformed_header_says_what_is_wrong() {
        let finding = closed(b"PROXY TCP4 192.0.2.7 nowhere 40001 80\r\n");
        assert!(says(&finding, "malformed: an address"));
        assert!(!says(&finding, "doesn't expect"));
    }

    #[test]
    fn a_missing_header_shows_beside_connections_that_have_one() {
        let closed = || Script::new().handshake().request("").fin(ServerToClient);
        let alone = closed().told();
        assert!(!says(alone.only("hs-no-response"), "PROXY"));
        let beside = closed().at_port(40_002).handshake();
        let told = beside
            .bytes(ClientToServer, HEADER)
            .request("")
            .accept("")
            .told();
        assert!(says(
            told.only("hs-no-response"),
            "no PROXY protocol header"
        ));
    }
}
