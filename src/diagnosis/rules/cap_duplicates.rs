//! `cap-duplicates`: the same packets were captured more than once.

use std::time::Duration;

use crate::diagnosis::finding::counted;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Capture, Session};

pub(super) static RULE: Rule = Rule {
    id: "cap-duplicates",
    severity: Severity::Info,
    summary: "the same packets were captured more than once",
    explain: "\
## What it means
Packets are in the capture twice. They are counted once: copies are no retransmissions. `data.kind`:
- `interface`: both copies have the same addresses and were taken at the same moment; hops between may have lowered the TTL of one.
- `points`: the same, but the copies are apart by milliseconds, `data.apart_ms` on average. Of each packet the first copy counts, so a time that is
  measured from one packet to its answer begins and ends at different places.
- `nat`: whole connections are there twice under different addresses. Such a connection is one session, that of the side which was seen first; the
  addresses of the other side are with it.

## What usually causes it
- `interface`: capture on all interfaces (`-i any`), on a bridge and its ports, on both interfaces of a router, or a mirror port that copies packets
  both in and out.
- `points`: files of two hosts that were merged, or a host whose interfaces are joined by a slow path.
- `nat`: a capture on the NAT itself, or captures from both sides of it, in one input.

## How to tell them apart
See `data.kind`. What is sent again isn't counted here: it has another identification or a later timestamp, or came too late for a copy. A NAT
leaves sequence numbers, timestamps or identifications as they are; a proxy, also one that relays TCP only, has sockets with numbers of their own,
and its two connections are two sessions joined into one story.

## What to do
Nothing needs to be done for `interface` and `nat`; where the two sides of a NAT differ, as for a reset that only one of them shows, the findings on
the session say so. For `points`, analyse each file alone where times matter; together they show what got lost between the two.

## References
editcap -d removes copies.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: copies that one machine takes of a packet are apart by
/// microseconds; a network between two points takes longer.
const SAME_PLACE: Duration = Duration::from_millis(1);

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    findings.extend(same_addresses(overview.capture));
    findings.extend(both_sides_of_nat(overview));
}

/// Copies of packets with the same addresses.
fn same_addresses(capture: &Capture) -> Option<Finding> {
    let count = capture.duplicates;
    if count == 0 {
        return None;
    }
    let (known, nanos) = capture.copies_apart;
    let apart = Duration::from_nanos(nanos.checked_div(known).unwrap_or(0));
    let packets = counted(count, "packet");
    let (kind, summary) = if apart < SAME_PLACE {
        (
            "interface",
            format!("{packets} captured twice; their content counts once"),
        )
    } else {
        let apart = span(apart);
        (
            "points",
            format!("{packets} captured at two points, {apart} apart; their content counts once"),
        )
    };
    let mut finding = Finding::of_capture(&RULE, Confidence::Certain, summary)
        .data("kind", Value::Text(kind.to_owned()))
        .data("packets", Value::Count(count))
        .data("of", Value::Count(capture.tcp_segments))
        .data("apart_ms", Value::Ms(apart));
    finding = match kind {
        "interface" => finding
            .cause(
                Confidence::Possible,
                "several interfaces, a bridge, or a mirror port that copies packets in and out",
            )
            .advice("nothing needs to be done; editcap -d removes the copies"),
        _ => finding
            .cause(
                Confidence::Likely,
                "captures of two places on the path, merged into one input",
            )
            .advice("analyse each capture alone where times matter: here they begin at one point and end at the other"),
    };
    if let Some((at, stream)) = capture.first_duplicate {
        finding
            .evidence
            .push(Evidence::new(at, "the second copy of a packet"));
        finding.tcp_stream = Some(stream);
    }
    Some(finding)
}

/// Connections that were captured on both sides of an address translation.
fn both_sides_of_nat(overview: &Overview<'_>) -> Option<Finding> {
    let capture = overview.capture;
    let first = capture.translated.first()?;
    let count = capture.translated_count;
    let there = |session: &&Session| session.leg.tcp_stream == first.tcp_stream;
    let session = overview.sessions.iter().find(there);
    let example = session
        .and_then(|session| Some((session, session.far_side.as_ref()?)))
        .map_or_else(String::new, |(session, far)| {
            format!(
                ": {} ({} -> {}) is also {} -> {}",
                session.name(),
                session.leg.client,
                session.leg.server,
                far.leg.client,
                far.leg.server
            )
        });
    let summary = format!(
        "{} captured on both sides of an address translation, and counted once{example}",
        counted(count, "connection")
    );
    let mut finding = Finding::of_capture(&RULE, Confidence::Certain, summary)
        .data("kind", Value::Text("nat".to_owned()))
        .data("connections", Value::Count(count))
        .cause(
            Confidence::Likely,
            "a capture on the device that translates, or captures from before and behind it in one input",
        )
        .advice("nothing needs to be done: what the far side shows besides is evidence only");
    for same in &capture.translated {
        finding = finding
            .evidence(same.there, "a segment on one side")
            .evidence(same.here, "the same one under other addresses");
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, frame};
    use crate::stream::Direction::ClientToServer;

    #[test]
    fn two_sessions_with_a_key_used_again_later_are_no_twins() {
        let told = Script::new()
            .upgrade()
            .clean_close(ClientToServer)
            .wait_s(1.0)
            .at_port(40_002)
            .upgrade()
            .clean_close(ClientToServer)
            .told();
        assert_eq!(told.sessions.len(), 2);
        assert!(told.of("cap-duplicates").is_empty());
    }

    #[test]
    fn one_packet_twice_is_told() {
        let told = Script::new()
            .upgrade()
            .twice(ClientToServer, &frame(0x81, b"hi", true), 0)
            .told();
        let finding = told.only("cap-duplicates");
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(9));
    }

    #[test]
    fn copies_of_two_capture_points_are_apart_by_the_path_between_them() {
        let told = Script::new()
            .stamped()
            .upgrade()
            .twice(ClientToServer, &frame(0x81, b"hi", true), 30)
            .told();
        assert_eq!(told.capture.duplicates, 1);
        assert_eq!(told.sessions[0].leg.retransmissions.client, 0);
        let finding = told.only("cap-duplicates");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("points".to_owned())))
        );
    }

    #[test]
    fn what_is_sent_again_is_no_copy() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "a")
            .wait_s(0.3)
            .again(ClientToServer, &[0; 7])
            .told();
        assert_eq!(told.capture.duplicates, 0);
        assert_eq!(told.sessions[0].leg.retransmissions.client, 1);
    }
}
