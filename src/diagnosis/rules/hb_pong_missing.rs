//! `hb-pong-missing`: a Ping was never answered, although the session lived on.

use super::hb_pong_timeout::seconds;
use crate::diagnosis::heartbeat::waited;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Value, judge_pings,
};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hb-pong-missing",
    severity: Severity::Error,
    summary: "a Ping was never answered, although the session lived on",
    explain: "\
## What it means
A Ping has no Pong of its payload, no newer Ping was answered either, and the session went on for much longer than answers took before. An
endpoint must answer a Ping as soon as it can; it may skip older ones and answer the newest, which does not count here. `data.acked` tells
whether TCP acknowledged the Ping's bytes, `data.unanswered` how many Pings are meant. If the sender ended the session for it, the finding is
`hb-pong-timeout` instead.

## What usually causes it
- The other side's program doesn't answer Pings, or answers with another payload (see `hb-pong-anomaly`).
- Its process is blocked.
- The path, or the peer, is gone.

## How to tell them apart
- Acknowledged, and other frames come from that side: it does not answer Pings by design or by mistake.
- Acknowledged, and nothing comes any more: its process is blocked.
- Not acknowledged: the path or the host.

## What to do
Acknowledged: look at the peer's program. Not acknowledged: look at the path. Let the pinging side act on a missing Pong: here it went on as if
nothing had happened.

## References
RFC 6455, sections 5.5.2 and 5.5.3.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for pinger in Direction::BOTH {
        if let Some(finding) = missing(case, pinger) {
            findings.push(finding);
        }
    }
}

fn missing(case: &Case<'_>, pinger: Direction) -> Option<Finding> {
    let session = case.session;
    let verdict = judge_pings(session, case.closing, pinger, case.thresholds);
    // Ended for it: that is hb-pong-timeout.
    let ping = verdict
        .unanswered
        .first()
        .filter(|_| verdict.gave_up.is_none())?;
    let (side, peer) = (pinger.sender(), pinger.receiver());
    let count = verdict.unanswered_count;
    let waited = waited(session, case.closing, ping);
    let acked = ping.acked.is_some();
    let talks = session.last_frame[pinger.reverse()].is_some_and(|(_, at)| at > ping.at);
    let gone = !acked && session.leg.last_packet[pinger.reverse()].is_none_or(|at| at < ping.at);
    let pings = match count {
        1 => "a Ping".to_owned(),
        count => format!("{count} Pings"),
    };
    let mut finding = Finding::new(
        &RULE,
        session,
        // Where the capture ends first, the Pong may be no more than late.
        if case.capture.dropped > 0 || case.closing.kind == Kind::Open {
            Confidence::Likely
        } else {
            Confidence::Certain
        },
        Evidence::new(ping.at, format!("Ping, {side} to {peer}, never answered")),
        format!(
            "{pings} of the {side} never got a Pong, within {} of session after it; the {peer}'s TCP {} it",
            seconds(waited),
            if acked { "acknowledged" } else { "did not acknowledge" }
        ),
    )
    .evidence_if(ping.acked, "TCP acknowledges the Ping's bytes")
    .data("kind", Value::Text("unanswered".to_owned()))
    .data("sender", Value::Text(side.to_owned()))
    .data("waited_ms", Value::Ms(waited))
    .data("acked", Value::Flag(acked))
    .data("unanswered", Value::Count(count));
    for later in verdict.unanswered.iter().skip(1).take(2) {
        finding = finding.evidence(later.at, "another one");
    }
    // Nothing at all comes from there any more: the Ping shows it, but is not what is wrong.
    if gone {
        finding = finding.severity(Severity::Warn);
    }
    finding = match (acked, talks) {
        (true, true) => finding.cause(Confidence::Likely, format!("the {peer} sends other frames, but does not answer Pings")),
        (true, false) => finding.cause(Confidence::Likely, format!("the {peer}'s process is blocked: its TCP took the Ping, and nothing more came from it")),
        (false, _) => finding.cause(Confidence::Likely, format!("the path to the {peer} is down, or the {peer} is gone")),
    };
    Some(finding.advice(match acked {
        true => format!("look at the {peer}'s program: its host took the Ping"),
        false => format!("look at the path to the {peer}, and whether that host is up"),
    }))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Severity, Value};
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_peer_that_talks_but_answers_no_ping_is_found() {
        let told = Script::new()
            .upgrade()
            .ping(ServerToClient, b"1")
            .wait_s(5.0)
            .text(ClientToServer, "still here")
            .clean_close(ClientToServer)
            .told();
        let finding = told.only("hb-pong-missing");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(finding.data.contains(&("acked", Value::Flag(true))));
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(8));
    }

    #[test]
    fn a_pong_for_a_newer_ping_settles_the_older_ones() {
        let told = Script::new()
            .upgrade()
            .ping(ServerToClient, b"1")
            .ping(ServerToClient, b"2")
            .pong(ClientToServer, b"2")
            .wait_s(5.0)
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("hb-pong-missing").is_empty());
    }

    #[test]
    fn a_ping_just_before_the_close_is_outstanding() {
        let told = Script::new()
            .upgrade()
            .wait_s(5.0)
            .ping(ServerToClient, b"1")
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("hb-pong-missing").is_empty());
    }

    #[test]
    fn a_pong_that_the_capture_may_have_lost_is_not_missed() {
        let told = Script::new()
            .upgrade()
            .ping(ServerToClient, b"1")
            .uncaptured(ClientToServer, &[0x8a, 0x81, 1, 2, 3, 4, 0x30])
            .wait_s(5.0)
            .text(ServerToClient, "x")
            .told();
        assert!(told.of("hb-pong-missing").is_empty());
    }

    #[test]
    fn a_payload_that_the_snap_length_cut_is_no_other_payload() {
        let ping = [
            0x89,
            0x84,
            1,
            2,
            3,
            4,
            b'a' ^ 1,
            b'b' ^ 2,
            b'c' ^ 3,
            b'd' ^ 4,
        ];
        let told = Script::new()
            .upgrade()
            .cut(ClientToServer, &ping, 8)
            .bytes(ServerToClient, b"\x8a\x04abcd")
            .wait_s(5.0)
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("hb-pong-missing").is_empty());
        assert!(told.of("hb-pong-anomaly").is_empty());
        let ledger = &told.sessions.first().expect("a session").pings.client;
        assert_eq!((ledger.sent, ledger.answered), (1, 1));
    }

    #[test]
    fn a_cut_pong_of_another_length_answers_nothing() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, b"abcd")
            .cut(ServerToClient, b"\x8a\x05abcde", 4)
            .wait_s(5.0)
            .clean_close(ClientToServer)
            .told();
        let ledger = &told.sessions.first().expect("a session").pings.client;
        assert_eq!((ledger.answered, ledger.mismatched_count), (0, 1));
    }

    #[test]
    fn a_pong_may_be_late_where_the_capture_ends_first() {
        let told = Script::new()
            .upgrade()
            .ping(ServerToClient, b"1")
            .wait_s(5.0)
            .text(ClientToServer, "still here")
            .told();
        assert_eq!(told.only("hb-pong-missing").confidence.name(), "likely");
    }

    #[test]
    fn where_nothing_comes_back_the_ping_is_but_a_symptom() {
        let told = Script::new()
            .upgrade()
            .silent(ClientToServer, true)
            .ping(ServerToClient, b"1")
            .wait_s(9.0)
            .text(ServerToClient, "x")
            .told();
        assert_eq!(told.only("hb-pong-missing").severity, Severity::Warn);
    }
}
