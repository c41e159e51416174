//! `lat-hol-blocking`: small frames waited behind a large message.

use std::time::Duration;

use crate::diagnosis::wording::{size, span};
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::{Behind, Exchange, Opcode};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "lat-hol-blocking",
    severity: Severity::Warn,
    summary: "small frames waited behind a large message",
    explain: "\
## What it means
A connection carries one frame after the other. While a large message in one frame is on its way, Pings, Pongs and small messages of the same
sender wait, however urgent they are; with a slow link for seconds. Heartbeat deadlines may strike although both ends are well.

## What usually causes it
1. Large messages sent in one frame.
2. A thin link (`net-bandwidth-limited`), which makes the wait long.

## How to tell them apart
- Likely where a Pong came right behind the large message and its Ping had come before that message's end.
- Possible where other small frames follow right behind: they may have been made only then.

## What to do
Send large messages in fragments of 16 to 64 KiB: control frames may come between fragments (RFC 6455, section 5.4). Small messages can't: give
large transfers a connection of their own.

## References
RFC 6455, sections 5.4 and 5.5.
",
    checks: &[Check::Session(check)],
};

/// Rationale: a Pong and what it came with are in one packet or the next.
const TOGETHER: Duration = Duration::from_millis(50);
/// Rationale: shorter waits are no matter.
const NOTICED: Duration = Duration::from_millis(100);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for sender in Direction::BOTH {
        let queue = &case.session.queue[sender];
        let proven = queue
            .worst
            .iter()
            .find_map(|behind| Some((*behind, pong_behind(case, sender, behind)?)));
        match (proven, queue.worst.first()) {
            (Some((behind, pong)), _) => findings.push(found(case, sender, &behind, Some(pong))),
            (None, Some(behind)) => findings.push(found(case, sender, behind, None)),
            (None, None) => {}
        }
    }
}

/// The Pong that this frame is, or that came with it, if its Ping had come before.
fn pong_behind(case: &Case<'_>, sender: Direction, behind: &Behind) -> Option<Exchange> {
    let slowest = &case.session.pings[sender.reverse()].slowest;
    slowest.iter().copied().find(|exchange| {
        let end = behind.large.1;
        exchange.ping < end
            && exchange.pong >= end
            && exchange.pong.time.saturating_since(end.time) <= TOGETHER
            && end.time.saturating_since(exchange.ping.time) >= NOTICED
    })
}

fn found(case: &Case<'_>, sender: Direction, behind: &Behind, pong: Option<Exchange>) -> Finding {
    let (side, peer) = (sender.sender(), sender.receiver());
    let bytes = size(behind.bytes);
    let what = match (pong, behind.opcode) {
        (Some(_), _) | (None, Opcode::Pong) => "a Pong",
        (None, Opcode::Ping) => "a Ping",
        (None, _) => "a small message",
    };
    let (confidence, severity, wait, summary) = match pong {
        Some(pong) => (
            Confidence::Likely,
            Severity::Warn,
            pong.rtt,
            format!(
                "a Pong of the {side} came {} after its Ping, behind a message of {bytes}",
                span(pong.rtt)
            ),
        ),
        None => (
            Confidence::Possible,
            Severity::Info,
            behind.transfer(),
            format!(
                "{what} of the {side} came right behind a message of {bytes} that took {}, and may have waited for it",
                span(behind.transfer())
            ),
        ),
    };
    let first = Evidence::new(
        behind.large.0,
        format!("the large message begins, {side} to {peer}"),
    );
    let mut finding = Finding::new(&RULE, case.session, confidence, first, summary)
        .severity(severity)
        .evidence(behind.large.1, "its last byte")
        .evidence_if(pong.map(|pong| pong.ping), "the Ping")
        .evidence(
            pong.map_or(behind.frame, |pong| pong.pong),
            format!("{what} behind it"),
        )
        .data("sender", Value::Text(side.to_owned()))
        .data(
            "kind",
            Value::Text(if pong.is_some() { "pong" } else { "frame" }.to_owned()),
        )
        .data("wait_ms", Value::Ms(wait))
        .data("bytes", Value::Count(behind.bytes))
        .data("frames", Value::Count(case.session.queue[sender].count));
    finding = finding.cause(confidence, "a large message sent in one frame");
    if case.session.leg.flow[sender]
        .steady
        .is_some_and(|steady| steady.bins >= 5)
    {
        finding = finding.cause(
            Confidence::Possible,
            "a link that is thin for messages of that size",
        );
    }
    finding.advice(format!(
        "let the {side} send large messages in fragments of 16 to 64 KiB, or over a connection of their own"
    ))
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// 80 kB of the server, so many milliseconds a piece of 1,400 bytes; the client pings after the first.
    fn transfer(ms: f64) -> Script {
        let bytes = frame(0x82, &vec![7; 80_000], false);
        let mut script = Script::new().upgrade();
        for (index, piece) in bytes.chunks(1_400).enumerate() {
            script = script.bytes(ServerToClient, piece).wait_s(ms / 1e3);
            if index == 0 {
                script = script.ping(ClientToServer, b"1");
            }
        }
        script
    }

    #[test]
    fn a_pong_behind_a_slow_large_message_waited() {
        let told = transfer(10.0)
            .pong(ServerToClient, b"1")
            .clean_close(ClientToServer)
            .told();
        assert_eq!(told.only("lat-hol-blocking").confidence.name(), "likely");
    }

    #[test]
    fn a_message_behind_it_may_have() {
        let told = transfer(10.0)
            .text(ServerToClient, "small")
            .clean_close(ClientToServer)
            .told();
        assert_eq!(told.only("lat-hol-blocking").confidence.name(), "possible");
    }

    #[test]
    fn behind_a_fast_message_and_long_after_one_nobody_waits() {
        let fast = transfer(-0.9).pong(ServerToClient, b"1");
        assert!(fast.told().of("lat-hol-blocking").is_empty());
        let late = transfer(10.0).wait_s(0.2).text(ServerToClient, "small");
        assert!(late.told().of("lat-hol-blocking").is_empty());
    }
}
