//! `hb-pong-timeout`: a Ping got no Pong, and its sender ended the session for that.

use std::time::Duration;

use crate::diagnosis::heartbeat::waited;
use crate::diagnosis::timeouts::Counts;
use crate::diagnosis::wording::span;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, GaveUp, PingVerdict, Rule, Severity, Value,
    judge_pings,
};
use crate::session::{Ping, PingLedger, Session};
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "hb-pong-timeout",
    severity: Severity::Error,
    summary: "a Ping was not answered in time, and its sender ended the session for that",
    explain: "\
## What it means
One side sends Pings and ends the session when the Pong stays out: with Close 1011, 1008 or 3012, or by cutting the connection. `data.acked`
tells whether the other side's TCP acknowledged the Ping's bytes, `data.waited_ms` how long its sender waited. `data.kind`: `unanswered`, or
`late` where the capture shows a Pong that its sender no longer waited for or never read, or `mismatch` where the other side answered with
another payload, which is no answer.

## What usually causes it
1. The other side's process or event loop was blocked (garbage collection, a synchronous call, a suspended tab or machine).
2. It had stopped reading: its receive window was closed, the Ping lay behind other bytes.
3. The path was down, or the peer was gone.
4. The other side never answers Pings.
5. It answers with another payload than the Ping's.

## How to tell them apart
- Acknowledged, window open: the host lives, its process doesn't read or doesn't answer.
- Acknowledged, window closed: it doesn't read fast enough.
- Not acknowledged, the Ping is sent again: the path or the host.
- No Pong in the whole session: it never answers.
- A Pong with another payload follows the Ping: the program that answers doesn't echo.
- The right Pong is in the capture: the pinging side did not read it in time; look at that side, or between the capture point and it.

## What to do
Follow the side that the acknowledgment points at. Raise the timeout only if the peer is known to pause for longer than it.

## References
RFC 6455, sections 5.5.2 and 5.5.3.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for pinger in Direction::BOTH {
        let verdict = judge_pings(case.session, case.closing, pinger, case.thresholds);
        let Some(gave_up) = verdict.gave_up else {
            continue;
        };
        match verdict.unanswered.first() {
            Some(ping) => findings.push(unanswered(case, pinger, &verdict, ping, gave_up)),
            // Without any Ping it was a heartbeat of the application, or the Pings are hidden.
            None if case.session.pings[pinger].sent == 0 => {}
            None => findings.push(late(case, pinger, &verdict, gave_up)),
        }
    }
}

fn unanswered(
    case: &Case<'_>,
    pinger: Direction,
    verdict: &PingVerdict,
    ping: &Ping,
    gave_up: GaveUp,
) -> Finding {
    let session = case.session;
    let (side, peer) = (pinger.sender(), pinger.receiver());
    let waited = waited(session, case.closing, ping);
    let acked = ping.acked.is_some();
    let wrong = wrong_pong(&session.pings[pinger], ping);
    let confidence = match gave_up {
        GaveUp::Said(_) => Confidence::Certain,
        GaveUp::Closed(_) => Confidence::Likely,
        GaveUp::Hard(_) if went_silent(session, pinger, ping) => Confidence::Likely,
        GaveUp::Hard(_) => Confidence::Possible,
    };
    let arrived = if acked { "did" } else { "did not" };
    let (kind, fate, what) = match wrong {
        Some(_) => (
            "mismatch",
            "answered with another payload",
            "that got a Pong with another payload, which is no answer".to_owned(),
        ),
        None => (
            "unanswered",
            "never answered",
            format!("that got no Pong; the {peer}'s TCP {arrived} acknowledge it"),
        ),
    };
    let first = Evidence::new(ping.at, format!("Ping, {side} to {peer}, {fate}"));
    let mut finding = Finding::new(
        &RULE,
        session,
        confidence,
        first,
        format!(
            "the {side} ended the session {} after a Ping {what}",
            seconds(waited)
        ),
    )
    .evidence_if(wrong, "Pong with another payload than the Ping's")
    .evidence_if(
        ping.acked.filter(|at| Some(*at) != wrong),
        "TCP acknowledges the Ping's bytes",
    )
    .evidence(gave_up.at(), how(gave_up, side))
    .data("kind", Value::Text(kind.to_owned()))
    .data("sender", Value::Text(side.to_owned()))
    .data("waited_ms", Value::Ms(waited))
    .data("acked", Value::Flag(acked))
    .data("unanswered", Value::Count(verdict.unanswered_count));
    finding.evidence.sort_by_key(|evidence| evidence.at);
    if let Some(pong) = wrong {
        let took = seconds(pong.time.saturating_since(ping.at.time));
        return finding
            .cause(
                Confidence::Likely,
                format!(
                    "the Pong #{} echoes another payload: the {peer} answered after {took}, but not to this Ping",
                    pong.number
                ),
            )
            .cause(Confidence::Possible, "a proxy answers in its place")
            .advice(format!(
                "mend the {peer}: a Pong must carry the payload of the Ping that it answers, byte by byte"
            ));
    }
    for (confidence, text) in causes(session, pinger, ping) {
        finding = finding.cause(confidence, text);
    }
    for row in case.thresholds.timeouts.fitting(Counts::Pong, waited) {
        let deadline = format!("the deadline of {} s is that of {}", row.seconds, row.owner);
        finding = finding.cause(Confidence::Possible, deadline);
    }
    finding.advice(match acked {
        true => {
            format!("the {peer}'s host took the Ping, so look at what its process did in that time")
        }
        false => format!(
            "the Ping never arrived: look at the path to the {peer}, and whether that host was up"
        ),
    })
}

/// The Pong with another payload that came while this Ping waited.
fn wrong_pong(ledger: &PingLedger, ping: &Ping) -> Option<PacketRef> {
    let kept = ledger.mismatched.iter().copied().find(|at| *at > ping.at);
    // Only the first are kept; a side that errs so often did so here too.
    let habit = ledger.mismatched_count > u64::try_from(ledger.mismatched.len()).unwrap_or(0);
    let newest = ledger.last_pong;
    kept.or(newest.filter(|at| habit && *at > ping.at))
}

/// The sender says that a Pong is missing, but the capture shows one, or may
/// have missed it.
fn late(case: &Case<'_>, pinger: Direction, verdict: &PingVerdict, gave_up: GaveUp) -> Finding {
    let ledger = &case.session.pings[pinger];
    let (side, peer) = (pinger.sender(), pinger.receiver());
    let pong = ledger.last_pong;
    let close = Evidence::new(gave_up.at(), how(gave_up, side));
    let finding = Finding::new(
        &RULE,
        case.session,
        Confidence::Likely,
        close,
        match verdict.blind || pong.is_none() {
            true => format!("the {side} ended the session for want of a Pong; the capture lacks bytes that may hold it"),
            false => format!("the {side} ended the session for want of a Pong, although the capture shows one for each of its Pings"),
        },
    )
    .evidence_if(ledger.last, "its last Ping")
    .evidence_if(pong, "the last Pong that it got")
    .data("kind", Value::Text("late".to_owned()))
    .data("sender", Value::Text(side.to_owned()))
    .cause(
        Confidence::Possible,
        format!("the {side} did not read the Pong in time: its own process was blocked"),
    )
    .cause(
        Confidence::Possible,
        format!("the Pong was lost or held up between the capture point and the {side}"),
    )
    .advice(format!("look at what the {side} did at that time, not at the {peer}"));
    let mut finding = finding;
    finding.evidence.sort_by_key(|evidence| evidence.at);
    finding
}

/// Why no Pong came, the best supported first.
fn causes(session: &Session, pinger: Direction, ping: &Ping) -> Vec<(Confidence, String)> {
    let peer = pinger.receiver();
    let answering = pinger.reverse();
    let mut causes = Vec::new();
    let closed = &session.leg.zero_window[answering];
    if closed.since.is_some() || closed.longest.is_some_and(|(_, _, to)| to >= ping.at) {
        causes.push((
            Confidence::Likely,
            format!("the {peer} had stopped reading: it advertised a zero window"),
        ));
    }
    if ping.acked.is_none() {
        let again = session.leg.last_retransmission[pinger].is_some_and(|at| at > ping.at);
        let confidence = if again {
            Confidence::Likely
        } else {
            Confidence::Possible
        };
        causes.push((
            confidence,
            format!("the path to the {peer} was down, or the {peer} was gone"),
        ));
        return causes;
    }
    let never = session.frames[answering].pong == 0;
    let talks = session.last_frame[answering].is_some_and(|(_, at)| at > ping.at);
    if never {
        causes.push((
            Confidence::Possible,
            format!("the {peer} never answers Pings: there is no Pong of it in the whole session"),
        ));
    }
    let (blocked, text) = match talks {
        true => (
            Confidence::Possible,
            format!(
                "the {peer} went on sending but its answers to Pings were held up or forgotten"
            ),
        ),
        false => (
            Confidence::Likely,
            format!(
                "the {peer}'s process was blocked: its TCP took the Ping, and nothing more came from it"
            ),
        ),
    };
    causes.insert(
        causes.len().saturating_sub(usize::from(never)),
        (blocked, text),
    );
    causes
}

/// Nothing came from the other side after the Ping.
fn went_silent(session: &Session, pinger: Direction, ping: &Ping) -> bool {
    session.last_frame[pinger.reverse()].is_none_or(|(_, at)| at < ping.at)
}

fn how(gave_up: GaveUp, side: &str) -> String {
    match gave_up {
        GaveUp::Said(_) => format!("Close of the {side}, which names the missing Pong"),
        GaveUp::Closed(_) => format!("Close of the {side}"),
        GaveUp::Hard(_) => format!("the {side} ends the connection without a Close frame"),
    }
}

pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        0..10 => span(duration),
        10..1_000 => format!("{} ms", duration.as_millis()),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn close_1011_after_a_ping_that_was_acknowledged_blames_the_peers_process() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, b"abcd")
            .wait_s(20.0)
            .close(ClientToServer, 1011, "keepalive ping timeout")
            .fin(ServerToClient)
            .told();
        let finding = told.only("hb-pong-timeout");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(finding.data.contains(&("acked", Value::Flag(true))));
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(8));
        assert!(
            told.of("hb-pong-missing").is_empty(),
            "one Ping, one finding"
        );
    }

    #[test]
    fn a_ping_into_the_void_is_not_acknowledged() {
        let told = Script::new()
            .upgrade()
            .silent(ServerToClient, true)
            .ping(ClientToServer, b"abcd")
            .wait_s(20.0)
            .close(ClientToServer, 1011, "keepalive ping timeout")
            .told();
        let finding = told.only("hb-pong-timeout");
        assert!(finding.data.contains(&("acked", Value::Flag(false))));
    }

    #[test]
    fn a_server_that_cuts_a_silent_client_is_likely() {
        let told = Script::new()
            .upgrade()
            .ping(ServerToClient, b"")
            .wait_s(30.0)
            .rst(ServerToClient)
            .told();
        assert_eq!(told.only("hb-pong-timeout").confidence.name(), "likely");
    }

    #[test]
    fn a_fin_right_after_a_ping_is_no_timeout() {
        let told = Script::new()
            .upgrade()
            .ping(ServerToClient, b"")
            .wait_s(0.1)
            .fin(ServerToClient)
            .told();
        assert!(told.of("hb-pong-timeout").is_empty());
    }

    #[test]
    fn an_echo_of_that_close_and_a_close_without_any_ping_say_nothing() {
        let reason = "keepalive ping timeout";
        let told = Script::new()
            .upgrade()
            .close(ServerToClient, 1011, reason)
            .close(ClientToServer, 1011, reason)
            .told();
        assert!(told.of("hb-pong-timeout").is_empty());
    }

    #[test]
    fn a_pong_that_was_captured_puts_the_fault_on_the_pinging_side() {
        let told = Script::new()
            .upgrade()
            .ping(ServerToClient, b"1")
            .pong(ClientToServer, b"1")
            .wait_s(20.0)
            .close(ServerToClient, 1011, "keepalive ping timeout")
            .told();
        let finding = told.only("hb-pong-timeout");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("late".to_owned())))
        );
    }

    #[test]
    fn a_pong_with_another_payload_is_the_cause() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, b"abcd")
            .pong(ServerToClient, b"wrong")
            .wait_s(1.0)
            .close(ClientToServer, 1011, "keepalive ping timeout")
            .told();
        let finding = told.only("hb-pong-timeout");
        assert!(finding.summary.contains("another payload"));
        assert!(
            finding.causes[0]
                .text
                .starts_with("the Pong #10 echoes another payload")
        );
        assert!(!format!("{:?}", finding.causes).contains("blocked"));
        let packets: Vec<u64> = finding.evidence.iter().map(|e| e.at.number).collect();
        assert_eq!(packets, [8, 9, 10, 12]);
        let anomaly = told.only("hb-pong-anomaly");
        assert!(anomaly.data.contains(&("acked", Value::Flag(true))));
    }

    #[test]
    fn close_1011_for_another_reason_is_no_timeout() {
        let told = Script::new()
            .upgrade()
            .ping(ServerToClient, b"1")
            .pong(ClientToServer, b"1")
            .close(ServerToClient, 1011, "internal error")
            .told();
        assert!(told.of("hb-pong-timeout").is_empty());
    }
}
