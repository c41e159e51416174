//! `lat-nagle-delack`: Nagle's algorithm waits for a delayed acknowledgment.

use std::time::Duration;

use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::{HeldBack, Leg};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "lat-nagle-delack",
    severity: Severity::Warn,
    summary: "short writes wait 40 or 200 ms: Nagle's algorithm meets delayed acknowledgments",
    explain: "\
## What it means
One side writes a message in two pieces. TCP sends the first at once and keeps the second until the first is acknowledged (Nagle's algorithm); the
other side delays that acknowledgment, since it hopes for an answer to send along. Each message costs the timer: 40 ms (Linux), up to
200 ms elsewhere.

## What usually causes it
- A library that writes the frame's header and its payload separately, on a socket without `TCP_NODELAY`.
- A proxy between that turns one write into two.

## How to tell them apart
- The time is what is left when the round trip is taken off, and the second piece follows the acknowledgment at once: a slow
  path shows neither.
- The first piece has 2 to 14 bytes, a frame's header: the library. Otherwise what stands between.

## What to do
Set `TCP_NODELAY` on the side that waits (`data.sender`), or write each frame with one call.

## References
RFC 896; RFC 9293, section 3.7.4; RFC 1122, section 4.2.3.2.
",
    checks: &[Check::Session(check)],
};

/// Rationale: once or twice is chance.
const FEWEST: usize = 3;
/// The timers in use, and how much a tick of 10 ms adds to them.
///
/// Rationale: 40 ms (Linux), 200 ms (BSD, Windows, Linux at most).
const TIMERS: [(Duration, Duration); 2] = [
    (Duration::from_millis(36), Duration::from_millis(50)),
    (Duration::from_millis(188), Duration::from_millis(212)),
];
/// Rationale: a kernel that waits for an acknowledgment sends within microseconds of it.
const AT_ONCE: Duration = Duration::from_millis(2);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let leg = &case.session.leg;
    for sender in Direction::BOTH {
        let flow = &leg.flow[sender];
        let fitting: Vec<&HeldBack> = flow
            .held_back
            .iter()
            .filter(|held| is_nagle(leg, sender, held))
            .collect();
        let [example, .., last] = fitting.as_slice() else {
            continue;
        };
        // Of a stream whose rhythm only resembles the timer, few segments follow at once.
        let share = fitting.len() * 2 >= usize::try_from(flow.delayed_acks.min(16)).unwrap_or(16);
        if fitting.len() < FEWEST || !share {
            continue;
        }
        let (side, peer) = (sender.sender(), sender.receiver());
        let wait = waited(leg, sender, example).unwrap_or_default();
        let summary = format!(
            "{} times the {side} kept back a short segment for about {} until the {peer} acknowledged the one before",
            fitting.len(),
            span(wait)
        );
        let first = Evidence::new(
            example.payload,
            format!("a short segment, {side} to {peer}"),
        );
        findings.push(
            Finding::new(&RULE, case.session, Confidence::Likely, first, summary)
                .evidence(example.ack, "its acknowledgment, delayed")
                .evidence(example.next, "the rest follows at once")
                .evidence(last.next, "the last time that it happened, of those kept")
                .data("sender", Value::Text(side.to_owned()))
                .data("wait_ms", Value::Ms(wait))
                .data("times", Value::Count(fitting.len() as u64))
                .cause(
                    Confidence::Likely,
                    format!("the {side} writes frames in pieces, without TCP_NODELAY"),
                )
                .advice(format!(
                    "set TCP_NODELAY at the {side}, or write each frame with one call"
                )),
        );
    }
}

/// How long the acknowledgment was kept back: what the round trip doesn't explain.
fn waited(leg: &Leg, sender: Direction, held: &HeldBack) -> Option<Duration> {
    let whole = held.ack.time.saturating_since(held.payload.time);
    whole.checked_sub(leg.rtt[sender.reverse()].min()?)
}

fn is_nagle(leg: &Leg, sender: Direction, held: &HeldBack) -> bool {
    let Some(waited) = waited(leg, sender, held) else {
        return false;
    };
    let near = leg.rtt[sender].min().unwrap_or_default();
    let next = held.next.time.saturating_since(held.ack.time);
    let in_time = TIMERS
        .iter()
        .any(|(from, to)| waited >= *from && waited <= *to);
    in_time && next <= near + AT_ONCE
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, Told, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// Frames in two pieces; so many seconds to the acknowledgment of the first, and on to the second.
    fn halves(times: u8, ack: f64, next: f64) -> Told {
        let mut script = Script::new().upgrade();
        for index in 0..times {
            let bytes = frame(0x81, &[b'a' + index; 20], true);
            let (head, body) = bytes.split_at(6);
            script = script
                .silent(ServerToClient, true)
                .bytes(ClientToServer, head)
                .wait_s(ack)
                .silent(ServerToClient, false)
                .flags(ServerToClient, crate::packet::Flags::ACK)
                .wait_s(next)
                .bytes(ClientToServer, body)
                .text(ServerToClient, "ok")
                .wait_s(0.01);
        }
        script.clean_close(ClientToServer).told()
    }

    #[test]
    fn pieces_that_wait_for_a_delayed_acknowledgment_are_told() {
        let told = halves(5, 0.041, 0.0);
        assert!(
            told.only("lat-nagle-delack")
                .summary
                .starts_with("5 times the client")
        );
        assert_eq!(halves(5, 0.2, 0.0).of("lat-nagle-delack").len(), 1);
    }

    #[test]
    fn other_waits_are_not() {
        assert!(halves(5, 0.1, 0.0).of("lat-nagle-delack").is_empty());
        assert!(halves(5, 0.041, 0.02).of("lat-nagle-delack").is_empty());
        assert!(halves(2, 0.041, 0.0).of("lat-nagle-delack").is_empty());
    }
}
