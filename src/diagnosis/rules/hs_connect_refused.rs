//! `hs-connect-refused`: nothing accepts TCP where the client dials.

use std::net::SocketAddr;

use crate::diagnosis::dial::{Dial, dials};
use crate::diagnosis::wording::times;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Attempt, Leg, Reset, Unreachable};
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "hs-connect-refused",
    severity: Severity::Error,
    summary: "nothing accepts TCP on the address that the client dials",
    explain: "\
## What it means
The client's SYN was answered by a reset, or by an ICMP message that says that the port is closed. No byte of TLS or HTTP was exchanged;
a browser reports `error`, then `close` with code 1006.

## What usually causes it
- The service isn't running, or crashed, or has not finished starting.
- The URL names the wrong port, or the service listens on another address (127.0.0.1 rather than 0.0.0.0).
- A firewall rejects instead of dropping; a load balancer without a healthy target does the same.

## How to tell them apart
- Sessions to the same address and port worked before: the process went away at that moment, and all clients fail from then on.
- Other ports of the same host answer: it is the port.
- The reset has another TTL than the host's packets: something in front of the host sent it.
- One client is refused while others connect: a firewall rule, or several hosts behind one name.

## What to do
On the server, look at what listens (`ss -ltn`) and on which address. If the service is up, capture there: a SYN that doesn't arrive was
rejected on the way.

## References
RFC 9293, section 3.5.2; RFC 792 (code 3 of destination unreachable); RFC 4443, section 3.1 (code 4).
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for dial in dials(overview, |attempt| refusal(attempt).is_some()) {
        findings.extend(finding(&dial, overview));
    }
}

/// The packet that refused it, and whether it was ICMP.
fn refusal(attempt: &Attempt) -> Option<(PacketRef, bool)> {
    if !attempt.never_opened() {
        return None;
    }
    let leg = &attempt.leg;
    let reset = leg
        .resets
        .iter()
        .find(|reset| reset.direction == Direction::ServerToClient && answers_syn(leg, reset))
        .map(|reset| (reset.at, false));
    reset.or_else(|| {
        leg.unreachable
            .iter()
            .find(|e| closed_port(e))
            .map(|e| (e.at, true))
    })
}

/// A client that sent more than SYNs had an answer that the capture lacks: the
/// reset ends an open connection.
fn answers_syn(leg: &Leg, reset: &Reset) -> bool {
    let syns = &leg.syns.client;
    reset.refuses_syn && reset.answers.is_some_and(|at| syns.contains(&at))
}

/// Port unreachable: the host itself says that nobody listens.
pub(super) fn closed_port(error: &Unreachable) -> bool {
    match error.v6 {
        false => error.kind == 3 && error.code == 3,
        true => error.kind == 1 && error.code == 4,
    }
}

fn finding(dial: &Dial<'_>, overview: &Overview<'_>) -> Option<Finding> {
    let leg = &dial.first.leg;
    let (refused_at, icmp) = refusal(dial.first)?;
    let server = leg.server;
    let answer = if icmp {
        "ICMP: port unreachable"
    } else {
        "reset in answer to the SYN"
    };
    let syn = leg.syns.client.first().copied().unwrap_or(leg.first);
    // RFC 9293, section 3.5.2: what refuses a SYN acknowledges it. A reset that doesn't
    // is a device's, or answers a segment that was not captured.
    let bare = leg
        .resets
        .iter()
        .any(|r| r.at == refused_at && !r.acknowledges);
    let confidence = if bare {
        Confidence::Likely
    } else {
        Confidence::Certain
    };
    let (who, whom) = (dial.who(), dial.whom());
    let summary = match dial.count {
        1 => format!("{server} refused the connection of {who}"),
        count if dial.is_pair() => {
            let count = times(usize::try_from(count).unwrap_or(usize::MAX));
            format!("{server} refused the connections of {who}, {count}")
        }
        count => format!(
            "{} refused by {whom}, {}{count} attempts",
            dial.who_was(),
            dial.minimum()
        ),
    };
    let first = Evidence::new(syn, "SYN, client to server");
    let mut found = dial
        .finding(overview, &RULE, dial.first, confidence, first, summary)
        .evidence(refused_at, answer)
        .data(
            "kind",
            Value::Text(if icmp { "icmp" } else { "reset" }.to_owned()),
        );
    if dial.attempts.len() > 1 {
        found.tcp_stream = None; // The evidence is of several connections.
    }
    let shown = if dial.is_pair() { 3 } else { 6 };
    for attempt in dial.attempts.iter().skip(1).take(shown) {
        let what = match dial.is_pair() {
            true => "refused again".to_owned(),
            false => format!(
                "{} refuses {} too",
                attempt.leg.server,
                attempt.leg.client.ip()
            ),
        };
        found = found.evidence_if(refusal(attempt).map(|(at, _)| at), &what);
    }
    let advice = match dial.is_scan() {
        true => {
            format!("look at what {who} dials there: if it is no scan, whether these hosts are up")
        }
        false => format!(
            "nothing accepts TCP on {whom}: start the service there, or correct host and port in the client's URL"
        ),
    };
    Some(causes(found, server, syn, overview).advice(advice))
}

fn causes(found: Finding, server: SocketAddr, syn: PacketRef, overview: &Overview<'_>) -> Finding {
    let sessions = || {
        overview
            .sessions
            .iter()
            .filter(|s| s.leg.server.ip() == server.ip())
    };
    let before = sessions().any(|s| s.leg.server == server && s.leg.first < syn);
    let other_port = sessions().find(|s| s.leg.server.port() != server.port());
    let found = if before {
        found.cause(
            Confidence::Likely,
            "the service went away: it took connections on this port earlier in the capture",
        )
    } else {
        found.cause(
            Confidence::Possible,
            "the service isn't running, or not yet",
        )
    };
    let found = match other_port {
        Some(other) => found.cause(
            Confidence::Likely,
            format!(
                "the wrong port: the same host answers on port {}",
                other.leg.server.port()
            ),
        ),
        None => found.cause(
            Confidence::Possible,
            "the wrong port or address in the client's URL",
        ),
    };
    found.cause(
        Confidence::Possible,
        "a firewall that rejects, or a load balancer without a healthy target",
    )
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Severity, Value};
    use crate::packet::Flags;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_reset_in_answer_to_a_syn_is_a_refusal() {
        let told = Script::new().syn().refuse().told();
        let finding = told.only("hs-connect-refused");
        assert_eq!(finding.confidence.name(), "certain");
        assert_eq!(
            finding.severity,
            Severity::Error,
            "the capture holds nothing else"
        );
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(2));
    }

    #[test]
    fn a_reset_that_acknowledges_no_syn_is_a_likely_refusal() {
        let told = Script::new().syn().bare_rst(ServerToClient).told();
        assert_eq!(told.only("hs-connect-refused").confidence.name(), "likely");
    }

    #[test]
    fn the_attempts_of_one_host_are_one_finding() {
        let told = Script::new()
            .syn()
            .refuse()
            .at_port(40_002)
            .syn()
            .refuse()
            .told();
        let finding = told.only("hs-connect-refused");
        assert!(finding.data.contains(&("attempts", Value::Count(2))));
    }

    /// A refused connection of each of these client hosts to each of these ports.
    fn refused(hosts: u8, ports: u16) -> Script {
        let mut script = Script::new();
        for host in 1..=hosts {
            for port in 0..ports {
                script = script
                    .at_host(host)
                    .at_server_port(8_080 + port)
                    .syn()
                    .refuse();
            }
        }
        script
    }

    #[test]
    fn a_server_that_refuses_many_clients_is_one_finding() {
        assert_eq!(refused(3, 1).told().of("hs-connect-refused").len(), 3);
        let told = refused(40, 1).told();
        let finding = told.only("hs-connect-refused");
        assert_eq!(
            finding.summary,
            "40 clients were refused by 10.0.0.2:8080, 40 attempts"
        );
        assert!(finding.data.contains(&("clients", Value::Count(40))));
        assert_eq!(finding.evidence.len(), 8);
    }

    #[test]
    fn a_port_scan_is_one_finding() {
        assert_eq!(refused(1, 16).told().of("hs-connect-refused").len(), 16);
        let told = refused(1, 17).told();
        let finding = told.only("hs-connect-refused");
        assert!(finding.data.contains(&("ports", Value::Count(17))));
        assert!(finding.summary.contains("17 ports of 10.0.0.2"));
        assert!(finding.causes[0].text.starts_with("a scan"));
        assert_eq!(refused(30, 30).told().of("hs-connect-refused").len(), 1);
    }

    #[test]
    fn a_scan_does_not_hide_the_port_that_sessions_use() {
        let told = refused(1, 40)
            .at_server_port(8_080)
            .at_port(41_000)
            .upgrade()
            .told();
        assert_eq!(told.of("hs-connect-refused").len(), 2);
    }

    #[test]
    fn attempts_that_were_only_counted_count() {
        let mut script = Script::new();
        for port in 0..50 {
            script = script.at_port(41_000 + port).syn().refuse();
        }
        let told = script.told();
        assert!(told.attempts.len() < 50, "the rest is only counted");
        let finding = told.only("hs-connect-refused");
        assert!(finding.data.contains(&("attempts", Value::Count(50))));
        assert_eq!(finding.severity, Severity::Error, "nothing else is there");
    }

    #[test]
    fn beside_other_traffic_it_is_worth_no_alarm() {
        let told = Script::new()
            .handshake()
            .bytes(ClientToServer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .answer("200 OK", "", "hi")
            .at_port(40_002)
            .syn()
            .refuse()
            .told();
        assert_eq!(told.only("hs-connect-refused").severity, Severity::Info);
    }

    #[test]
    fn both_sides_of_a_translation_are_nothing_else() {
        let told = Script::new()
            .stamped()
            .translated(99, 0, 0)
            .syn()
            .refuse()
            .told();
        assert_eq!(told.only("hs-connect-refused").severity, Severity::Error);
    }

    #[test]
    fn beside_a_connection_that_a_translation_shows_twice_it_is_worth_no_alarm() {
        let told = Script::new()
            .stamped()
            .translated(99, 0, 0)
            .handshake()
            .bytes(ClientToServer, b"\x16\x03\x01 no HTTP")
            .bytes(ServerToClient, b"\x16\x03\x03 nor here")
            .inside_only()
            .at_port(40_002)
            .syn()
            .refuse()
            .told();
        assert_eq!(told.only("hs-connect-refused").severity, Severity::Info);
    }

    #[test]
    fn a_reset_of_a_connection_whose_syn_ack_was_lost_is_no_refusal() {
        let told = Script::new()
            .syn()
            .flags(ClientToServer, Flags::ACK)
            .rst(ServerToClient)
            .told();
        assert!(told.of("hs-connect-refused").is_empty());
    }

    #[test]
    fn a_reset_of_an_open_connection_is_no_refusal() {
        let told = Script::new().upgrade().rst(ServerToClient).told();
        assert!(told.of("hs-connect-refused").is_empty());
    }
}
