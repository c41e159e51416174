//! `hb-pong-anomaly`: Pongs that answer nothing, and floods of Pings.

use std::time::Duration;

use crate::diagnosis::heartbeat::may_hide_since;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hb-pong-anomaly",
    severity: Severity::Warn,
    summary: "a Pong echoes no waiting Ping, or Pings come in a flood",
    explain: "\
## What it means
`data.kind` says what is odd about the heartbeat:
- `mismatch` (a warning): a Ping waited, and a Pong with another payload came. Who sent the Ping can't take it for an answer.
- `unsolicited` (for information): Pongs without any Ping. That is allowed, a heartbeat in one direction; nobody answers it.
- `flood` (for information): more than one Ping a second, all the time.

## What usually causes it
- `mismatch`: the answering program builds Pongs by hand, or sends an empty one; a proxy answers Pings with its own payload.
- `unsolicited`: .NET's keep-alive, and other libraries whose keep-alive is a Pong.
- `flood`: a timer in the wrong unit, or one timer for each reconnect that is never cancelled.

## How to tell them apart
A constant interval between unsolicited Pongs is a keep-alive. A mismatch whose payload is that of an older Ping is a late or repeated answer.

## What to do
`mismatch`: echo the Ping's payload byte by byte. `unsolicited`: nothing, but don't take it for a liveness check of the other side.
`flood`: ping every 20 to 30 s.

## References
RFC 6455, sections 5.5.2 and 5.5.3.
",
    checks: &[Check::Session(check)],
};

/// Rationale: fewer are no load that anyone notices.
const FLOOD_FROM: u64 = 60;

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for pinger in Direction::BOTH {
        findings.extend(mismatch(case, pinger));
        findings.extend(unsolicited(case, pinger));
        findings.extend(flood(case, pinger));
    }
}

fn mismatch(case: &Case<'_>, pinger: Direction) -> Option<Finding> {
    let ledger = &case.session.pings[pinger];
    let (side, peer) = (pinger.sender(), pinger.receiver());
    let first = *ledger.mismatched.first()?;
    // The Ping that it answers may be one that the capture lacks.
    let mid_stream = case.session.handshake.mid_stream.is_some();
    // One may answer a Ping from before the capture.
    if mid_stream && ledger.mismatched_count <= 1 {
        return None;
    }
    let confidence = match mid_stream || case.session.may_hide_frames(pinger) {
        true => Confidence::Possible,
        false => Confidence::Certain,
    };
    let waiting = ledger.outstanding.iter().rfind(|ping| ping.at < first);
    let count = ledger.mismatched_count;
    let mut finding = Finding::new(
        &RULE,
        case.session,
        confidence,
        Evidence::new(
            first,
            format!("Pong, {peer} to {side}, with another payload"),
        ),
        match count {
            1 => format!("a Pong of the {peer} echoes none of the {side}'s waiting Pings"),
            count => format!("{count} Pongs of the {peer} echo none of the {side}'s waiting Pings"),
        },
    )
    .evidence_if(waiting.map(|ping| ping.at), "the Ping that waited");
    finding.evidence.sort_by_key(|evidence| evidence.at);
    if let Some(ping) = waiting {
        finding = finding.data("acked", Value::Flag(ping.acked.is_some()));
    }
    Some(
        finding
            .data("kind", Value::Text("mismatch".to_owned()))
            .data("sender", Value::Text(peer.to_owned()))
            .data("count", Value::Count(count))
            .cause(
                Confidence::Likely,
                format!("the {peer}'s program builds Pongs itself instead of echoing the payload"),
            )
            .cause(Confidence::Possible, "a proxy answers in its place")
            .advice("a Pong must carry the payload of the Ping that it answers, byte by byte"),
    )
}

fn unsolicited(case: &Case<'_>, pinger: Direction) -> Option<Finding> {
    let session = case.session;
    let ledger = &session.pings[pinger];
    let first = ledger.first_unsolicited?;
    // Not if their Pings may be among what the capture lacks.
    if session.handshake.mid_stream.is_some()
        || may_hide_since(session, pinger, session.handshake.request.first)
    {
        return None;
    }
    let peer = pinger.receiver();
    let count = ledger.unsolicited;
    let what = match count {
        1 => "a Pong that no Ping asked for".to_owned(),
        count => format!("{count} Pongs that no Ping asked for"),
    };
    Some(
        Finding::new(
            &RULE,
            session,
            Confidence::Certain,
            Evidence::new(
                first,
                format!("Pong, {peer} to {}, without a Ping", pinger.sender()),
            ),
            format!("the {peer} sent {what}: a one-way keep-alive, which is allowed"),
        )
        .severity(Severity::Info)
        .data("kind", Value::Text("unsolicited".to_owned()))
        .data("sender", Value::Text(peer.to_owned()))
        .data("count", Value::Count(count))
        .cause(
            Confidence::Likely,
            "a library whose keep-alive is a Pong, such as .NET's",
        )
        .advice(
            "harmless; but nobody answers it, so it doesn't show whether the other side is alive",
        ),
    )
}

fn flood(case: &Case<'_>, pinger: Direction) -> Option<Finding> {
    let ledger = &case.session.pings[pinger];
    let median = ledger.intervals.median()?;
    if ledger.sent < FLOOD_FROM || median >= Duration::from_secs(1) {
        return None;
    }
    let side = pinger.sender();
    let last = ledger.last?;
    Some(
        Finding::new(
            &RULE,
            case.session,
            Confidence::Certain,
            Evidence::new(last, format!("the last of {} Pings", ledger.sent)),
            format!("the {side} pings every {} ms", median.as_millis()),
        )
        .severity(Severity::Info)
        .data("kind", Value::Text("flood".to_owned()))
        .data("sender", Value::Text(side.to_owned()))
        .data("count", Value::Count(ledger.sent))
        .data("interval_ms", Value::Ms(median))
        .cause(
            Confidence::Possible,
            "a timer in the wrong unit, or one for each reconnect that is never cancelled",
        )
        .advice("a Ping every 20 to 30 s is enough to keep a path open"),
    )
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Severity, Value};
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_pong_with_another_payload_is_a_warning() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, b"abcd")
            .pong(ServerToClient, b"wrong")
            .told();
        let finding = told.only("hb-pong-anomaly");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("mismatch".to_owned())))
        );
        assert_eq!(finding.severity, Severity::Warn);
        let packets: Vec<u64> = finding.evidence.iter().map(|e| e.at.number).collect();
        assert_eq!(packets, [8, 10]);
    }

    #[test]
    fn pongs_without_pings_are_only_told() {
        let told = Script::new()
            .upgrade()
            .pong(ClientToServer, b"")
            .wait_s(15.0)
            .pong(ClientToServer, b"")
            .told();
        assert_eq!(told.only("hb-pong-anomaly").severity, Severity::Info);
    }

    #[test]
    fn an_echo_of_the_payload_is_silent() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, b"")
            .pong(ServerToClient, b"")
            .told();
        assert!(told.of("hb-pong-anomaly").is_empty());
    }
}
