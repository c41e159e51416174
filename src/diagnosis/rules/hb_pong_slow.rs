//! `hb-pong-slow`: Pongs take far longer than the network does.

use super::hb_pong_timeout::seconds;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hb-pong-slow",
    severity: Severity::Warn,
    summary: "Pongs take far longer than the network does",
    explain: "\
## What it means
The time from Ping to Pong is far above what TCP needs to the same host and back, so something other than distance delays the answer.
`data.p95_ms` is what 95 of 100 Pongs don't exceed (the slowest one, while they are few), `data.tcp_rtt_ms` is TCP's, both seen from where the
capture was taken. `data.acked` tells whether TCP acknowledged the slowest Ping before its Pong came.

## What usually causes it
1. The answering side's process was busy or blocked.
2. The Ping waited behind many bytes, in the sender's buffers or on the wire.
3. Packets were lost and sent again.

## How to tell them apart
- Acknowledged at once, and nothing came from that side meanwhile (`data.bytes_between`): the process. Its host was there.
- Acknowledged at once, and that side was sending all the time: the Pong lay behind its own messages.
- Acknowledged late, and not sent again: it lay behind other bytes.
- Retransmissions at that time: the network.

## What to do
Compare with the answering side's event-loop lag or garbage collection at those moments. Note that browsers answer Pings outside of the page's
script: a slow Pong from a browser is rarely the page.

## References
RFC 6455, section 5.5.3.
",
    checks: &[Check::Session(check)],
};

/// Rationale: a Pong has 131 bytes at most; what comes before it in ten full
/// segments is a message that took its place on the wire.
const BEHIND: u64 = 14_600;

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for pinger in Direction::BOTH {
        if let Some(finding) = slow(case, pinger) {
            findings.push(finding);
        }
    }
}

fn slow(case: &Case<'_>, pinger: Direction) -> Option<Finding> {
    let session = case.session;
    let ledger = &session.pings[pinger];
    let (side, peer) = (pinger.sender(), pinger.receiver());
    let p95 = ledger.rtt.percentile(95)?;
    let tcp = session.leg.rtt[pinger.reverse()].min().unwrap_or_default();
    let thresholds = case.thresholds;
    let limit = thresholds
        .pong_slow
        .max(tcp.saturating_mul(thresholds.pong_slow_rtts));
    let worst = ledger.slowest.first().filter(|_| p95 > limit)?;
    // Half of the time: an acknowledgment that comes with the Pong says nothing.
    let acked = worst
        .acked
        .filter(|at| at.time.saturating_since(worst.ping.time) <= worst.rtt / 2);
    let again = session.leg.last_retransmission;
    let resent = Direction::BOTH
        .into_iter()
        .any(|direction| again[direction].is_some_and(|at| at >= worst.ping && at <= worst.pong));
    let blocked = session.leg.zero_window[pinger.reverse()].episodes > 0;
    let mut finding = Finding::new(
        &RULE,
        session,
        if acked.is_some() {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        Evidence::new(worst.ping, format!("Ping, {side} to {peer}: the slowest")),
        format!(
            "the {peer} took up to {} to answer Pings, where TCP needs {}",
            seconds(worst.rtt),
            span(tcp)
        ),
    )
    .evidence_if(acked, "TCP acknowledges the Ping")
    .evidence(worst.pong, "its Pong");
    for other in ledger
        .slowest
        .iter()
        .skip(1)
        .filter(|other| other.rtt > limit)
    {
        finding = finding.evidence(
            other.pong,
            format!("another Pong after {}", seconds(other.rtt)),
        );
    }
    finding = finding
        .data("sender", Value::Text(side.to_owned()))
        .data("p95_ms", Value::Ms(p95))
        .data("max_ms", Value::Ms(worst.rtt))
        .data("tcp_rtt_ms", Value::Ms(tcp))
        .data("answered", Value::Count(ledger.answered))
        .data("bytes_between", Value::Count(worst.bytes_between))
        .data("acked", Value::Flag(acked.is_some()));
    if resent {
        finding = finding.cause(
            Confidence::Likely,
            "packets were lost and sent again at that time",
        );
    }
    if blocked {
        finding = finding.cause(
            Confidence::Likely,
            format!(
                "the {peer} had stopped reading (zero window), and the Ping lay behind other bytes"
            ),
        );
    }
    let behind = worst.bytes_between > BEHIND;
    if behind {
        finding = finding.cause(
            Confidence::Likely,
            format!(
                "the Pong lay behind other bytes: the {peer} sent {} in the meantime",
                worst.bytes_between
            ),
        );
    }
    let busy = match (acked, resent || behind) {
        (Some(_), false) => Confidence::Likely,
        _ => Confidence::Possible,
    };
    finding = finding.cause(busy, format!("the {peer}'s process was busy or blocked"));
    if acked.is_none() {
        finding = finding.cause(
            Confidence::Possible,
            "the Ping lay behind other bytes on its way",
        );
    }
    Some(finding.advice(match acked {
        Some(_) if behind => format!("the {peer} was sending all the time: look at large messages before the Pong, and at the bandwidth"),
        Some(_) => {
            format!("the {peer}'s host had the Ping in time: look for what blocked its process")
        }
        None => format!("look for large messages or losses on the way to the {peer} at that time"),
    }))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_pong_after_700_ms_where_tcp_needs_one_is_slow() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, b"1")
            .wait_s(0.7)
            .pong(ServerToClient, b"1")
            .told();
        let finding = told.only("hb-pong-slow");
        assert!(finding.data.contains(&("acked", Value::Flag(true))));
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(8));
    }

    #[test]
    fn one_slow_pong_among_thirty_is_not() {
        let mut script = Script::new().upgrade();
        for index in 0..30_u8 {
            let wait = if index == 9 { 0.7 } else { 0.01 };
            script = script
                .wait_s(2.0)
                .ping(ClientToServer, &[index])
                .wait_s(wait)
                .pong(ServerToClient, &[index]);
        }
        assert!(script.told().of("hb-pong-slow").is_empty());
    }

    #[test]
    fn a_pong_behind_a_large_message_is_not_blamed_on_the_process() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, b"1")
            .wait_s(0.7)
            .frame(ServerToClient, 0x82, &[0; 30_000])
            .pong(ServerToClient, b"1")
            .told();
        let causes = &told.only("hb-pong-slow").causes;
        assert!(
            causes
                .first()
                .is_some_and(|c| c.text.contains("behind other bytes"))
        );
        assert!(
            causes
                .iter()
                .skip(1)
                .all(|c| c.confidence.name() == "possible")
        );
    }

    #[test]
    fn an_unacknowledged_ping_was_not_taken_in_time() {
        let told = Script::new()
            .upgrade()
            .silent(ServerToClient, true)
            .ping(ClientToServer, b"1")
            .wait_s(0.7)
            .pong(ServerToClient, b"1")
            .told();
        let finding = told.only("hb-pong-slow");
        assert!(finding.data.contains(&("acked", Value::Flag(false))));
    }
}
