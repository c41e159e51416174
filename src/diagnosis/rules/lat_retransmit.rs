//! `lat-retransmit`: messages waited until a loss was made good.

use std::time::Duration;

use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "lat-retransmit",
    severity: Severity::Warn,
    summary: "messages waited until a lost segment was sent again",
    explain: "\
## What it means
A segment was lost, and what had been sent before or after it could be handed to the application only when it came again: TCP keeps the order.
`data.worst_ms` is the time between a message's last byte and the repetition that let it through, `data.messages` how many messages and control
frames waited so.

## What usually causes it
1. Loss on the path (`net-loss` tells how much).
2. A path that was interrupted (`net-stall`), or one that drops long segments (`net-mtu-blackhole`).

## How to tell them apart
- Waits of 200 ms, 400 ms, 800 ms: the sender waited for its retransmission timer, since nothing followed that would have shown the loss.
- Waits of one round trip: later segments showed it (fast retransmit).

## What to do
The network is to be mended, not the application. Where that can't be, send what may be lost over something else than one TCP connection.

## References
RFC 6298, RFC 5681, RFC 8985; RFC 9293, section 3.8.1.
",
    checks: &[Check::Session(check)],
};

/// Rationale: shorter waits nobody notices among the jitter of any path.
const NOTICED: Duration = Duration::from_millis(100);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for sender in Direction::BOTH {
        let delivery = &case.session.delivery[sender];
        let Some(worst) = delivery
            .worst
            .first()
            .filter(|worst| worst.wait() >= NOTICED)
        else {
            continue;
        };
        let (side, peer) = (sender.sender(), sender.receiver());
        let what = match delivery.held_up {
            1 => "a message".to_owned(),
            count => format!("{count} messages"),
        };
        let summary = format!(
            "{what} of the {side} waited up to {} until a lost segment was sent again",
            span(worst.wait())
        );
        let first = Evidence::new(
            worst.message,
            format!("a message that waited, {side} to {peer}"),
        );
        findings.push(
            Finding::new(&RULE, case.session, Confidence::Likely, first, summary)
                .evidence(worst.again, "the lost segment, sent again")
                .evidence(worst.acked, format!("the {peer} has both"))
                .data("sender", Value::Text(side.to_owned()))
                .data("messages", Value::Count(delivery.held_up))
                .data("worst_ms", Value::Ms(worst.wait()))
                .data("waited_ms", Value::Ms(delivery.waited))
                .cause(Confidence::Likely, "loss on the path")
                .advice("mend the path, not the application; the other sessions of both hosts show whose side loses"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn again_after(seconds: f64) -> Script {
        let bytes = frame(0x81, b"lost", true);
        Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .silent(ServerToClient, true)
            .bytes(ClientToServer, &bytes)
            .wait_s(seconds)
            .again(ClientToServer, &bytes)
            .silent(ServerToClient, false)
    }

    #[test]
    fn a_message_that_had_to_be_sent_again_waited() {
        let told = again_after(0.4)
            .wait_s(0.02)
            .text(ServerToClient, "got it")
            .clean_close(ClientToServer)
            .told();
        let finding = told.only("lat-retransmit");
        assert!(
            finding
                .summary
                .starts_with("a message of the client waited up to 401 ms"),
            "{}",
            finding.summary
        );
    }

    #[test]
    fn a_repetition_that_overtakes_nobody_is_none() {
        // The acknowledgment follows sooner than any round trip: it is of the first copy.
        let told = again_after(0.4)
            .wait_s(-0.0009)
            .text(ServerToClient, "got it")
            .clean_close(ClientToServer)
            .told();
        assert!(
            told.of("lat-retransmit").is_empty(),
            "{:?}",
            told.sessions[0].leg.flow
        );
    }

    #[test]
    fn what_is_made_good_at_once_nobody_notices() {
        let told = again_after(0.05)
            .wait_s(0.02)
            .text(ServerToClient, "got it")
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("lat-retransmit").is_empty());
    }
}
