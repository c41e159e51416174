//! `net-bandwidth-limited`: the path's rate set the pace.

use std::time::Duration;

use crate::diagnosis::wording::{rate, size, span};
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::SteadyRate;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "net-bandwidth-limited",
    severity: Severity::Info,
    summary: "the path's rate, not an endpoint, set the pace",
    explain: "\
## What it means
A large message went at one steady rate while the receiver's window stayed open and nothing was lost: the path carries no more
(`data.bytes_per_second`). What was sent behind it had to wait.

## What usually causes it
- A thin link: mobile networks, a slow uplink, a VPN, a shaped or policed port.
- Other traffic that shares the link.

## How to tell them apart
- The window full or closed: the receiver (`flow-slow-consumer`, `flow-zero-window`).
- Losses: `net-loss`.
- The round trip grew while the message went (`data.rtt_growth_ms`): a queue filled before the thin link.
- A sender that hands its message over in pieces, at a steady rate of its own, looks the same.

## What to do
Send less (compression, smaller or fewer messages), split large messages so that small ones get between them, or use a faster path.

## References
RFC 5681.
",
    checks: &[Check::Session(check)],
};

/// Rationale: half a second at one rate is no chance: congestion control alone speeds up or slows down in that time.
const BINS: u64 = 5;
/// Rationale: what a queue of a tenth of a second before a thin link adds.
const QUEUE: Duration = Duration::from_millis(100);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for sender in Direction::BOTH {
        let flow = &case.session.leg.flow[sender];
        if let Some(steady) = flow.steady
            && steady.bins >= BINS
            && steady.full * 10 <= steady.bins
            && flow.lost * 100 <= flow.segments
            && is_one_message(case, sender, &steady)
        {
            findings.push(found(case, sender, &steady));
        }
    }
}

/// One large message took most of that time, so there was always something to send.
fn is_one_message(case: &Case<'_>, sender: Direction, steady: &SteadyRate) -> bool {
    let Some((first, last, _)) = case.session.queue[sender].slowest else {
        return false;
    };
    let from = first.time.max(steady.span.0.time);
    let to = last.time.min(steady.span.1.time);
    to.saturating_since(from) * 10 >= steady.len() * 8
}

fn found(case: &Case<'_>, sender: Direction, steady: &SteadyRate) -> Finding {
    let leg = &case.session.leg;
    let (side, peer) = (sender.sender(), sender.receiver());
    let rtt = &leg.rtt[sender.reverse()];
    let growth = rtt
        .max()
        .zip(rtt.min())
        .map(|(max, min)| max.saturating_sub(min))
        .unwrap_or_default();
    let confidence = match growth >= QUEUE {
        true => Confidence::Likely,
        false => Confidence::Possible,
    };
    let nanos = u64::try_from(steady.len().as_nanos()).unwrap_or(u64::MAX);
    // The last bin's bytes came after its begin.
    let spans = steady.bins.saturating_sub(1).max(1);
    let bytes = steady.bytes / steady.bins.max(1) * spans;
    let per_second = bytes.saturating_mul(1_000_000) / (nanos / 1_000).max(1);
    let summary = format!(
        "{} from the {side} went at a steady {} for {}, with the {peer}'s window open: the path sets the pace",
        size(steady.bytes),
        rate(per_second),
        span(steady.len())
    );
    let first = Evidence::new(
        steady.span.0,
        format!("the steady rate begins, {side} to {peer}"),
    );
    Finding::new(&RULE, case.session, confidence, first, summary)
        .evidence(steady.span.1, "the steady rate ends")
        .data("sender", Value::Text(side.to_owned()))
        .data("bytes", Value::Count(steady.bytes))
        .data("bytes_per_second", Value::Count(per_second))
        .data("rtt_growth_ms", Value::Ms(growth))
        .cause(
            confidence,
            format!("a link on the path that carries about {}", rate(per_second)),
        )
        .cause(
            Confidence::Possible,
            format!("a {side} that hands over a message at a steady rate"),
        )
        .advice(
            "send less or smaller messages on this connection, compress them, or use a faster path",
        )
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// 120 kB in segments of 1,200 bytes, so many seconds apart.
    fn transfer(apart: impl Fn(usize) -> f64) -> crate::script::Told {
        let bytes = frame(0x82, &vec![7; 120_000], false);
        let mut script = Script::new().window(ClientToServer, 60_000).upgrade();
        for (index, piece) in bytes.chunks(1_200).enumerate() {
            script = script.bytes(ServerToClient, piece).wait_s(apart(index));
        }
        script.clean_close(ClientToServer).told()
    }

    #[test]
    fn a_large_message_at_one_rate_shows_the_paths() {
        let told = transfer(|_| 0.01);
        let finding = told.only("net-bandwidth-limited");
        assert_eq!(finding.confidence.name(), "possible");
    }

    #[test]
    fn a_rate_that_changes_is_not_the_paths() {
        let told = transfer(|index| if index / 9 % 2 == 0 { 0.002 } else { 0.02 });
        assert!(told.of("net-bandwidth-limited").is_empty());
    }

    #[test]
    fn small_messages_at_one_rate_are_the_senders() {
        let mut script = Script::new().upgrade();
        for _ in 0..100 {
            script = script.frame(ServerToClient, 0x82, &[7; 1_200]).wait_s(0.01);
        }
        let told = script.clean_close(ClientToServer).told();
        assert!(told.of("net-bandwidth-limited").is_empty());
    }
}
