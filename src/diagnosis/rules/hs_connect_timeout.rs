//! `hs-connect-timeout`: SYNs are never answered.

use std::time::Duration;

use crate::diagnosis::dial::{Dial, dials};
use crate::diagnosis::wording::{span, times};
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::Attempt;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hs-connect-timeout",
    severity: Severity::Error,
    summary: "the client's SYNs are never answered",
    explain: "\
## What it means
The client sent its SYN again and again, and neither a SYN-ACK nor a reset nor an ICMP error came back. The application waits until its
own timer ends the attempt (seconds), or until TCP gives up (Linux: about two minutes).

## What usually causes it
- A firewall or security group that drops the SYN, or a route that leads nowhere.
- The server's accept queue is full: its process doesn't call accept, and the kernel drops new SYNs.
- The host is down, or the address belongs to nobody.

## How to tell them apart
- Every attempt to this host and port fails, from the start of the capture: a filter or a route.
- Other connections to the same port live on meanwhile, or it happens in bursts: the accept queue.
- The host doesn't even answer ARP or neighbour solicitation: it is down.
- No packet at all comes from that direction, on any connection: the capture sees one way only, and an answer may have come.

## What to do
Capture on the server as well. If the SYN arrives there, look at its accept queue (`ss -ltn`: Recv-Q against Send-Q, `nstat -az
TcpExtListenDrops`); if it doesn't, go through the filters on the way.

## References
RFC 9293, sections 3.5 and 3.8.3; RFC 6298.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for dial in dials(overview, is_unanswered) {
        // One SYN alone may just be young, or its sender may have given up at once.
        let retried = dial
            .attempts
            .iter()
            .copied()
            .max_by_key(|a| a.leg.syn_count.client);
        if let Some(longest) = retried.filter(|a| a.leg.syn_count.client >= 2) {
            findings.extend(finding(&dial, longest, overview));
        }
    }
}

fn is_unanswered(attempt: &Attempt) -> bool {
    let leg = &attempt.leg;
    attempt.never_opened()
        && leg
            .resets
            .iter()
            .all(|r| r.direction == Direction::ClientToServer)
        && leg.unreachable.is_empty()
}

/// How sure it is that the answer would have been seen, and why; `None` where
/// the capture seems to see one way only.
fn sureness(
    dial: &Dial<'_>,
    longest: &Attempt,
    overview: &Overview<'_>,
) -> Option<(Confidence, &'static str)> {
    let (client, server) = (longest.leg.client.ip(), longest.leg.server.ip());
    let heard = &overview.capture.heard;
    let one_way = overview
        .sessions
        .iter()
        .any(|s| s.leg.client.ip() == client && !s.leg.both_ways());
    if one_way {
        return None;
    }
    // A SYN counts in the first packet of its connection; `heard` thus has the client itself.
    if heard.contains(&server) {
        let enough = longest.leg.syn_count.client >= 3 || dial.count >= 3;
        let confidence = if enough {
            Confidence::Likely
        } else {
            Confidence::Possible
        };
        return Some((confidence, "the host is there: packets of it were captured"));
    }
    let others = heard.iter().any(|host| *host != client);
    let note = if others {
        "packets of other hosts were captured, none of this one"
    } else {
        "no packet of any other host was captured: the capture may see one way only"
    };
    Some((Confidence::Possible, note))
}

fn finding(dial: &Dial<'_>, longest: &Attempt, overview: &Overview<'_>) -> Option<Finding> {
    let (confidence, note) = sureness(dial, longest, overview)?;
    let leg = &longest.leg;
    let syns = &leg.syns.client;
    let (first, last) = (*syns.first()?, *syns.last()?);
    let waited = last.time.saturating_since(first.time);
    let server = leg.server;
    let (who, whom) = (dial.who(), dial.whom());
    let of_how_many = match dial.count {
        1 => String::new(),
        count => format!("; {count} attempts of {who} in all"),
    };
    let summary = format!(
        "{whom} never answered: SYN sent {} in {}{of_how_many}",
        times(usize::try_from(leg.syn_count.client).unwrap_or(usize::MAX)),
        span(waited)
    );
    let evidence = Evidence::new(first, "SYN, client to server");
    let mut found = dial.finding(overview, &RULE, longest, confidence, evidence, summary);
    for (again, at) in syns.iter().enumerate().skip(1).take(6) {
        found = found.evidence(*at, format!("SYN again, retry {again}"));
    }
    if !dial.is_pair() {
        found.tcp_stream = None; // The counts are of several connections.
    }
    let found = found
        .data("kind", Value::Text(ladder(longest).to_owned()))
        .data("syns", Value::Count(u64::from(leg.syn_count.client)))
        .data("waited_ms", Value::Ms(waited))
        .data(
            "heard",
            Value::Flag(overview.capture.heard.contains(&server.ip())),
        )
        .data("note", Value::Text(note.to_owned()));
    Some(causes(found, longest, overview).advice(format!(
        "capture on {} too: if the SYN arrives there, its accept queue is full; if not, a packet filter or a route on the way drops it",
        server.ip()
    )))
}

/// Linux since 6.5 retries a few times at equal distances before it doubles them (1, 2, 3, 4 s; not 1, 3, 7, 15 s).
fn ladder(attempt: &Attempt) -> &'static str {
    let steps: Vec<Duration> = attempt
        .leg
        .syns
        .client
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => Some(b.time.saturating_since(a.time)),
            _ => None,
        })
        .collect();
    match (steps.first(), steps.last()) {
        (Some(first), Some(last)) if steps.len() >= 2 => {
            if *last >= first.saturating_mul(3) / 2 {
                "doubling"
            } else {
                "linear"
            }
        }
        _ => "single",
    }
}

fn causes(found: Finding, attempt: &Attempt, overview: &Overview<'_>) -> Finding {
    let leg = &attempt.leg;
    let alive = overview.sessions.iter().any(|s| {
        s.leg.server == leg.server && s.leg.last_packet.server.is_some_and(|at| at > leg.first)
    });
    const FILTER: &str = "a packet filter or a route drops the SYN, or its answer";
    const QUEUE: &str = "the server's accept queue is full";
    let found = if alive {
        found
            .cause(
                Confidence::Likely,
                format!("{QUEUE}: other connections to this port were alive meanwhile"),
            )
            .cause(Confidence::Possible, FILTER)
    } else {
        found
            .cause(Confidence::Possible, FILTER)
            .cause(Confidence::Possible, QUEUE)
    };
    if overview.capture.heard.contains(&leg.server.ip()) {
        return found;
    }
    found.cause(
        Confidence::Possible,
        "the host is down, or the address is nobody's",
    )
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Severity, Value};
    use crate::script::Script;

    /// Another connection shows that the server is there, so silence means something.
    fn beside_a_session() -> Script {
        Script::new().upgrade().at_port(40_002)
    }

    #[test]
    fn three_unanswered_syns_to_a_host_that_is_there_are_likely_a_timeout() {
        let told = beside_a_session()
            .syn()
            .wait_s(1.0)
            .syn_again()
            .wait_s(2.0)
            .syn_again()
            .told();
        let finding = told.only("hs-connect-timeout");
        assert_eq!(finding.confidence.name(), "likely");
        assert_eq!(
            finding.severity,
            Severity::Error,
            "a session ties the server to WebSocket"
        );
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("doubling".to_owned())))
        );
        assert_eq!(finding.evidence.len(), 3);
    }

    #[test]
    fn of_a_host_that_was_never_heard_it_is_only_possible() {
        let told = Script::new()
            .syn()
            .wait_s(1.0)
            .syn_again()
            .wait_s(1.0)
            .syn_again()
            .told();
        let finding = told.only("hs-connect-timeout");
        assert_eq!(finding.confidence.name(), "possible");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("linear".to_owned())))
        );
    }

    #[test]
    fn a_server_that_answers_none_of_many_clients_is_one_finding() {
        let mut script = Script::new();
        for host in 1..=9 {
            script = script.at_host(host).syn().wait_s(1.0).syn_again();
        }
        let told = script.told();
        let finding = told.only("hs-connect-timeout");
        assert!(finding.data.contains(&("clients", Value::Count(9))));
        assert!(finding.summary.contains("9 attempts of 9 clients"));
    }

    #[test]
    fn a_syn_at_the_end_of_the_capture_is_just_young() {
        let told = beside_a_session().syn().told();
        assert!(told.of("hs-connect-timeout").is_empty());
    }

    #[test]
    fn a_late_answer_is_an_answer() {
        let told = Script::new()
            .syn()
            .wait_s(1.0)
            .syn_again()
            .flags(crate::stream::Direction::ServerToClient, 0x12)
            .told();
        assert!(told.of("hs-connect-timeout").is_empty());
    }
}
