//! `cap-offload`: segments larger than any that were on the wire.

use crate::diagnosis::finding::counted;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};
use crate::session::Session;
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "cap-offload",
    severity: Severity::Info,
    summary: "segments were captured before the network card split them, or after it joined them",
    explain: "\
## What it means
Segments are larger than the receiver's maximum segment size, so they can't have been on the wire like this: the capture was taken on a host
whose network card splits (TSO, GSO) or joins (LRO, GRO) segments. What was said is right. Findings about loss, packet sizes and the path's MTU
are less sure, since single packets can't be seen, and checksums of sent packets may be wrong in the capture without being wrong on the wire.

## What usually causes it
Segmentation offload is on by default in most systems, and always on virtual interfaces.

## How to tell them apart
`data.largest` against `data.mss`.

## What to do
Nothing, unless the question is about packet loss or MTU: then capture on a mirror port, or switch offload off with
`ethtool -K IF tso off gso off gro off lro off`.

## References
RFC 9293, section 3.7.1: the maximum segment size option.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let joined: Vec<_> = overview.sessions.iter().filter_map(oversized).collect();
    let Some((largest, mss, at, stream)) = joined.iter().max_by_key(|(largest, ..)| *largest)
    else {
        return;
    };
    let sessions = joined.len() as u64;
    let mut finding = Finding::of_capture(
        &RULE,
        Confidence::Certain,
        format!(
            "{} of up to {largest} bytes a segment, where {mss} are the maximum: split or joined by a network card",
            counted(sessions, "session")
        ),
    )
    .evidence(*at, "the largest segment")
    .data("sessions", Value::Count(sessions))
    .data("largest", Value::Count(u64::from(*largest)))
    .data("mss", Value::Count(u64::from(*mss)))
    .advice("findings about loss and MTU are less sure; for those, switch offload off (ethtool -K) or capture on a mirror port");
    finding.tcp_stream = Some(*stream);
    findings.push(finding);
}

/// The largest segment that exceeds what its receiver takes at once.
fn oversized(session: &Session) -> Option<(u32, u16, PacketRef, u32)> {
    let leg = &session.leg;
    Direction::BOTH
        .into_iter()
        .filter_map(|sender| {
            let (largest, at) = leg.largest_segment[sender]?;
            let mss = leg.mss[sender.reverse()]?;
            (largest > u32::from(mss)).then_some((largest, mss, at, leg.tcp_stream))
        })
        .max_by_key(|(largest, ..)| *largest)
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, frame};
    use crate::stream::Direction::ServerToClient;

    #[test]
    fn a_segment_above_the_maximum_was_joined() {
        let told = Script::new()
            .mss(1_460)
            .upgrade()
            .bytes(ServerToClient, &frame(0x82, &[0; 4_000], false))
            .told();
        assert_eq!(
            told.only("cap-offload")
                .evidence
                .first()
                .map(|e| e.at.number),
            Some(8)
        );
    }

    #[test]
    fn a_full_segment_is_silent() {
        let told = Script::new()
            .mss(1_460)
            .upgrade()
            .bytes(ServerToClient, &frame(0x82, &[0; 1_456], false))
            .told();
        assert!(told.of("cap-offload").is_empty());
    }
}
