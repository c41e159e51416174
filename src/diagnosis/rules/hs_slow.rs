//! `hs-slow`: the opening handshake took long; decomposed.

use std::time::Duration;

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::wording::{span, times};
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::Session;
use crate::stream::PacketRef;

pub(super) static RULE: Rule = Rule {
    id: "hs-slow",
    severity: Severity::Warn,
    summary: "the opening handshake took long",
    explain: "\
## What it means
From the SYN to the 101 more than a second passed, not counting the time in which the connection was open and nothing had been asked yet
(browsers open connections ahead). `data.tcp_ms` is SYN to established, `data.http_ms` is request to answer.

## What usually causes it
- The code that accepts WebSockets waits for something: authentication, a database, another service.
- A cold start: the first request wakes an instance.
- Distance or loss: every part takes round trips, and a lost SYN costs a second.

## How to tell them apart
- `http_ms` dominates, and other requests are fast: the accept or authentication code.
- Only the first session is slow: a cold start.
- `tcp_ms` dominates: SYNs sent again are loss or a full accept queue, a long round trip is distance.
- `http_ms` dominates and the request was sent again: loss.

## What to do
Measure what the server does between the request and the 101. Accept first and load afterwards, if the protocol allows it.

## References
RFC 6455, section 4; RFC 6298 (timers for lost SYNs).
",
    checks: &[Check::Session(check)],
};

/// SYN to established, with its packets. Only the first request of a connection waited for that.
fn tcp(session: &Session) -> Option<(Duration, PacketRef, PacketRef)> {
    let leg = &session.leg;
    let first = leg.first_payload.client == Some(session.handshake.request.first);
    let (syn, established) = (*leg.syns.client.first()?, leg.established?);
    first.then(|| {
        (
            established.time.saturating_since(syn.time),
            syn,
            established,
        )
    })
}

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let handshake = &session.handshake;
    let Some(response) = handshake.response.as_ref().filter(|r| r.status == 101) else {
        return;
    };
    let Some(request) = handshake.seen_request() else {
        return;
    };
    let http = response.first.time.saturating_since(request.last.time);
    let tcp = tcp(session);
    let tcp_time = tcp.map_or(Duration::ZERO, |(time, ..)| time);
    let total = http.saturating_add(tcp_time);
    if total < case.thresholds.slow_handshake {
        return;
    }
    let (part, spent) = if http >= tcp_time {
        ("between request and 101", http)
    } else {
        ("opening TCP", tcp_time)
    };
    let share = (spent.as_secs_f64() / total.as_secs_f64() * 100.0).round();
    let summary = format!(
        "the opening handshake took {}, {share} % of it {part}",
        span(total)
    );
    // The client's first packet after the SYN-ACK is the request itself: its bare
    // acknowledgment may have been missed, and then TCP was open earlier.
    let late = tcp.is_some_and(|(.., open)| session.leg.first_payload.client == Some(open));
    let confidence = if late {
        Confidence::Likely
    } else {
        unless_unpaired(session)
    };
    let mut finding = match tcp {
        Some((_, syn, established)) => Finding::new(
            &RULE,
            session,
            confidence,
            Evidence::new(syn, "SYN"),
            summary,
        )
        .evidence(established, "TCP is open")
        .evidence(handshake.request.last, "the upgrade request"),
        None => {
            let request = Evidence::new(handshake.request.last, "the upgrade request");
            Finding::new(&RULE, session, confidence, request, summary)
        }
    };
    finding = finding
        .evidence(response.first, "the 101")
        .data("total_ms", Value::Ms(total))
        .data("http_ms", Value::Ms(http));
    if let Some((time, ..)) = tcp {
        finding = finding.data("tcp_ms", Value::Ms(time));
    }
    findings.push(if http >= tcp_time {
        of_http(session, finding, response.first)
    } else {
        of_tcp(session, finding)
    });
}

fn of_http(session: &Session, finding: Finding, answer: PacketRef) -> Finding {
    let asked = session.handshake.request.last;
    let resent = session
        .leg
        .last_retransmission
        .client
        .is_some_and(|at| at > asked && at < answer);
    let finding = if resent {
        finding.cause(Confidence::Likely, "the request was lost and sent again")
    } else {
        finding
    };
    finding
        .cause(Confidence::Possible, "the code that accepts and authenticates waits for something: a database, another service")
        .cause(Confidence::Possible, "a cold start, if only the first session is slow")
        .advice("measure what the server does between the request and the 101")
}

fn of_tcp(session: &Session, finding: Finding) -> Finding {
    let syns = session.leg.syn_count.client;
    let finding = if syns > 1 {
        let count = times(usize::try_from(syns).unwrap_or(usize::MAX));
        finding.cause(
            Confidence::Likely,
            format!("the SYN was sent {count}: loss, or a full accept queue"),
        )
    } else {
        finding.cause(Confidence::Likely, "the round trip is long")
    };
    finding.advice(
        "look at loss and distance between client and server, and at the server's accept queue",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::diagnosis::Value;
    use crate::packet::Flags;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn tcp_may_have_been_open_before_a_late_request() {
        let told = Script::new()
            .syn()
            .flags(ServerToClient, Flags::SYN | Flags::ACK)
            .wait_s(2.0)
            .request("")
            .accept("")
            .told();
        assert_eq!(told.only("hs-slow").confidence.name(), "likely");
    }

    #[test]
    fn a_server_that_thinks_for_long_is_named() {
        let told = Script::new()
            .handshake()
            .request("")
            .wait_s(1.5)
            .accept("")
            .told();
        let finding = told.only("hs-slow");
        assert!(
            finding
                .data
                .contains(&("http_ms", Value::Ms(Duration::from_millis(1_502)))),
            "{finding:?}"
        );
        assert!(finding.summary.contains("between request and 101"));
        assert_eq!(finding.evidence.len(), 4);
    }

    #[test]
    fn a_lost_syn_is_told_from_a_slow_server() {
        let told = Script::new()
            .syn()
            .wait_s(1.0)
            .syn_again()
            .flags(ServerToClient, 0x12)
            .flags(ClientToServer, 0x10)
            .request("")
            .accept("")
            .told();
        assert!(told.only("hs-slow").summary.contains("opening TCP"));
    }

    #[test]
    fn a_connection_that_was_opened_ahead_is_not_slow() {
        let told = Script::new()
            .handshake()
            .wait_s(8.0)
            .request("")
            .accept("")
            .told();
        assert!(told.of("hs-slow").is_empty());
    }
}
