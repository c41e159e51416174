//! `close-tcp-lingers`: the WebSocket is closed, and the server leaves TCP open.

use crate::diagnosis::timeouts::Counts;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Value};
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "close-tcp-lingers",
    severity: Severity::Info,
    summary: "both Close frames were sent, and the server did not close TCP",
    explain: "\
## What it means
After both Close frames the server closes TCP first. Here it didn't: the client had to, after a while, or nobody did. The session itself is closed
cleanly; what is lost is a socket on the server, and a wait in the client.

## What usually causes it
- The server's code answers Close and forgets the socket: connections pile up in CLOSE_WAIT.
- The server's process is busy or stuck after its Close frame.

## How to tell them apart
- The client's FIN comes 2 s after the Close frames: Chromium's patience. 10 s: Python websockets or aiohttp. 30 s: ws.
- The server acknowledges that FIN and sends none itself: the socket is leaked. `ss -tan state close-wait` on the server counts them.

## What to do
Close the socket on the server once both Close frames have passed.

## References
RFC 6455, section 7.1.1.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let close = &case.session.close;
    if let (Kind::Clean, Some(client), Some(server)) =
        (case.closing.kind, &close.client, &close.server)
    {
        let closed = client.control.last.max(server.control.last);
        findings.extend(found(case, closed));
    }
}

fn found(case: &Case<'_>, closed: PacketRef) -> Option<Finding> {
    let session = case.session;
    let end = case.closing.terminator;
    if end.is_some_and(|end| end.direction == Direction::ServerToClient) || !session.leg.both_ways()
    {
        return None;
    }
    let upto = end.map_or(session.horizon, |end| end.at);
    let waited = upto
        .time
        .since(closed.time)
        .filter(|waited| *waited >= case.thresholds.linger)?;
    let summary = match end {
        Some(_) => format!(
            "the server did not close TCP after the Close frames; the client gave up after {}",
            span(waited)
        ),
        None => format!(
            "nobody closed TCP within {} of the Close frames",
            span(waited)
        ),
    };
    // A server's FIN that comes after shows that none came before; without it one may
    // have been missed, as no sequence number follows that would give it away.
    let confidence = if end.is_some() && session.leg.fin.server.is_some() {
        Confidence::Certain
    } else {
        Confidence::Likely
    };
    let leaked = end.is_some() && session.leg.fin.server.is_none() && session.leg.resets.is_empty();
    let mut finding = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(closed, "both Close frames have passed"),
        summary,
    )
    .evidence_if(end.map(|end| end.at), "the client ends TCP")
    .data("lingered_ms", Value::Ms(waited))
    .data(
        "server_closed",
        Value::Flag(session.leg.fin.server.is_some()),
    );
    if leaked {
        finding = finding.cause(
            Confidence::Likely,
            "the server leaks the socket: it never sent a FIN of its own",
        );
    }
    for row in case
        .thresholds
        .timeouts
        .fitting(Counts::CloseWait, waited)
        .filter(|_| end.is_some())
    {
        finding = finding.cause(
            Confidence::Possible,
            format!("the wait is that of {}", row.owner),
        );
    }
    let advice = "close the socket on the server once both Close frames have passed; count its sockets in CLOSE_WAIT";
    Some(finding.advice(advice))
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_client_that_has_to_close_tcp_itself_is_found() {
        let told = Script::new()
            .upgrade()
            .close(ClientToServer, 1000, "")
            .close(ServerToClient, 1000, "")
            .wait_s(2.0)
            .fin(ClientToServer)
            .fin(ServerToClient)
            .told();
        assert_eq!(told.only("close-tcp-lingers").confidence.name(), "certain");
    }

    #[test]
    fn a_server_whose_fin_may_have_been_missed_lingers_likely() {
        let told = Script::new()
            .upgrade()
            .close(ClientToServer, 1000, "")
            .close(ServerToClient, 1000, "")
            .wait_s(2.0)
            .fin(ClientToServer)
            .told();
        assert_eq!(told.only("close-tcp-lingers").confidence.name(), "likely");
    }

    #[test]
    fn a_server_that_closes_tcp_does_not_linger() {
        let told = Script::new().upgrade().clean_close(ClientToServer).told();
        assert!(told.of("close-tcp-lingers").is_empty());
    }
}
