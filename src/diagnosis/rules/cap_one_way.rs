//! `cap-one-way`: only one direction of connections was captured.

use super::cap_packet_loss::left_out;
use crate::diagnosis::finding::counted;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "cap-one-way",
    severity: Severity::Error,
    summary: "only one direction of connections was captured",
    explain: "\
## What it means
One side acknowledges payload of the other, but not one packet of that other side is in the capture. Requests, answers, Pongs and Close frames
of the missing side can't be seen; how those sessions went can't be told. `data.missing` names the missing side. Where other connections were
captured both ways, this is a warning.

## What usually causes it
- Asymmetric routing: the two directions take different paths.
- A mirror port that copies received or sent packets only.
- A capture filter with `src` or `dst` in it.

## How to tell them apart
All connections lack the same side: filter or mirror port. Some lack one, others the other: routing.

## What to do
Capture on the host itself, or at both paths and merge the files (`mergecap`). Use `host` and `port` in the filter instead of `src` and `dst`.

## References
RFC 9293, section 3.4.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: one connection may be a straggler of which the rest was cut off;
/// five are a property of the capture.
const SURE_FROM: u64 = 5;

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let capture = overview.capture;
    let total = Direction::BOTH
        .into_iter()
        .map(|side| capture.unheard[side].count)
        .sum::<u64>();
    if total == 0 {
        return;
    }
    let all = total >= capture.tcp_connections;
    let left_out = left_out(capture);
    for missing in Direction::BOTH {
        let tally = capture.unheard[missing];
        let Some((at, stream)) = tally.first else {
            continue;
        };
        let (side, other) = (missing.sender(), missing.receiver());
        let confidence = if all || tally.count >= SURE_FROM {
            Confidence::Certain
        } else {
            Confidence::Likely
        };
        let connections = counted(tally.count, "connection");
        let mut finding = Finding::of_capture(
            &RULE,
            confidence,
            match &left_out {
                None => format!("of {connections} only the {other}'s packets were captured: what the {side} sent, its Pongs and Close frames too, can't be told"),
                Some(left_out) => format!("of {connections} only the {other}'s packets were read: what the {side} sent, its Pongs and Close frames too, can't be told ({left_out})"),
            },
        )
        .evidence(at, format!("acknowledges payload of the {side}"))
        .data("missing", Value::Text(side.to_owned()))
        .data("connections", Value::Count(tally.count))
        .cause(Confidence::Possible, "a filter with src or dst in it, or a mirror port that copies one direction")
        .cause(Confidence::Possible, "asymmetric routing: the other direction takes another path")
        .advice("capture on the host itself, or on both paths, with host and port instead of src and dst in the filter");
        if left_out.is_some() {
            finding = finding.cause(
                Confidence::Likely,
                "--filter left that direction out: look again with host and port instead of src and dst",
            );
        }
        finding.tcp_stream = Some(stream);
        if !all {
            finding = finding.severity(Severity::Warn);
        }
        findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Severity, Value};
    use crate::packet::Flags;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// A server that acknowledges a request that was not captured.
    fn server_only() -> Script {
        Script::new()
            .flags(ServerToClient, Flags::SYN | Flags::ACK)
            .silent(ClientToServer, true)
            .uncaptured(ClientToServer, &[b'x'; 200])
            .bytes(ServerToClient, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    }

    #[test]
    fn acknowledgments_of_a_side_that_was_never_captured_are_one_way() {
        let told = server_only().told();
        let finding = told.only("cap-one-way");
        assert_eq!(finding.severity, Severity::Error);
        assert!(
            finding
                .data
                .contains(&("missing", Value::Text("client".to_owned())))
        );
        assert!(told.of("cap-packet-loss").is_empty());
    }

    #[test]
    fn an_unanswered_syn_is_not() {
        let told = Script::new().syn().wait_s(1.0).syn_again().told();
        assert!(told.of("cap-one-way").is_empty());
    }
}
