//! `flow-sender-backlog`: data piled up at the sender.

use crate::diagnosis::heartbeat::first_sign_of_the_end;
use crate::diagnosis::wording::{size, span};
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "flow-sender-backlog",
    severity: Severity::Warn,
    summary: "data piled up at the sender while the receiver took none",
    explain: "\
## What it means
While the receiver's window was closed the sender's application went on producing: as soon as the window opened, far more than a window's worth
went out at once (`data.released_bytes`). That much was held in the sender's memory, and every message in it was outdated by the time that it
waited. TCP shows only what was released later, so the figure is a lower bound.

## What usually causes it
- No backpressure: `send` is called however much is buffered.

## How to tell them apart
- The same amount after each stop: a limit of the sender's, so some of it was dropped or merged. An amount that grows with the stop: no limit.

## What to do
Look at `bufferedAmount` (browsers), the return value of `send` or `drain` (Node, Python), or the write deadline (Go) before sending more; drop
or merge outdated messages.

## References
RFC 9293, section 3.8.6.
",
    checks: &[Check::Session(check)],
};

/// Rationale: more than the socket buffers of small systems, so the application kept it.
const MUCH: u64 = 131_072;
/// Rationale: a shorter stop lets nothing pile up that anybody would notice.
const LONG: std::time::Duration = std::time::Duration::from_millis(500);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for reader in Direction::BOTH {
        let zero = &case.session.leg.zero_window[reader];
        let total = zero.total_until(first_sign_of_the_end(case.session, case.closing));
        let (Some((_, from, to)), true) = (zero.longest, zero.released >= MUCH && total >= LONG)
        else {
            continue;
        };
        let (sender, side) = (reader.receiver(), reader.sender());
        let summary = format!(
            "at least {} waited at the {sender} while the {side} took nothing for {}",
            size(zero.released),
            span(total)
        );
        let first = Evidence::new(from, format!("the {side}'s window is closed"));
        findings.push(
            Finding::new(&RULE, case.session, Confidence::Possible, first, summary)
                .evidence(to, "it opens, and what waited goes out")
                .data("side", Value::Text(sender.to_owned()))
                .data("released_bytes", Value::Count(zero.released))
                .data("zero_window_ms", Value::Ms(total))
                .cause(
                    Confidence::Possible,
                    format!("the {sender} sends without looking at what is buffered"),
                )
                .advice(format!(
                    "give the {sender} backpressure: bound what it queues for a slow reader"
                )),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn released(segments: usize) -> crate::script::Told {
        let mut script = Script::new()
            .upgrade()
            .window(ClientToServer, 0)
            .frame(ServerToClient, 0x82, &[7; 900])
            .wait_s(2.0)
            .update(ClientToServer, 500);
        for _ in 0..segments {
            script = script.frame(ServerToClient, 0x82, &[7; 1_400]);
        }
        script.clean_close(ClientToServer).told()
    }

    #[test]
    fn much_that_goes_out_as_the_window_opens_had_piled_up() {
        assert_eq!(
            released(120).only("flow-sender-backlog").confidence.name(),
            "possible"
        );
    }

    #[test]
    fn little_may_be_new() {
        assert!(released(5).of("flow-sender-backlog").is_empty());
    }
}
