//! `cap-duplicates`: the same packets were captured more than once.

use crate::diagnosis::finding::counted;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::Session;

pub(super) static RULE: Rule = Rule {
    id: "cap-duplicates",
    severity: Severity::Info,
    summary: "the same packets were captured more than once",
    explain: "\
## What it means
Packets are in the capture twice. They are counted once: copies are no retransmissions. `data.kind`: `interface` where addresses are the same
in both copies, `nat` where whole sessions are there twice under different addresses, so that one WebSocket is reported as two sessions.

## What usually causes it
- `interface`: capture on all interfaces (`-i any`), on a bridge and its ports, or a mirror port that copies packets both in and out.
- `nat`: captures from both sides of a NAT, or of a relay that changes nothing but addresses, in one input.

## How to tell them apart
See `data.kind`.

## What to do
Nothing needs to be done for `interface`. For `nat`, analyse the two captures separately, or read the two sessions as one.

## References
editcap -d removes copies.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let capture = overview.capture;
    let count = capture.duplicates;
    if count > 0 {
        let mut finding = Finding::of_capture(
            &RULE,
            Confidence::Certain,
            format!(
                "{} captured twice; their content counts once",
                counted(count, "packet")
            ),
        )
        .data("kind", Value::Text("interface".to_owned()))
        .data("packets", Value::Count(count))
        .cause(
            Confidence::Possible,
            "several interfaces, a bridge, or a mirror port that copies packets in and out",
        )
        .advice("nothing needs to be done; editcap -d removes the copies");
        if let Some((at, stream)) = capture.first_duplicate {
            finding
                .evidence
                .push(Evidence::new(at, "the second copy of a packet"));
            finding.tcp_stream = Some(stream);
        }
        findings.push(finding);
    }
    findings.extend(both_sides_of_nat(overview));
}

/// Sessions that are the same one under other addresses.
fn both_sides_of_nat(overview: &Overview<'_>) -> Option<Finding> {
    let mut keys: Vec<(&str, &Session)> = overview
        .sessions
        .iter()
        .filter_map(|session| {
            let key = session
                .handshake
                .request
                .headers
                .first("Sec-WebSocket-Key")?;
            Some((key, session))
        })
        .collect();
    keys.sort_by_key(|(key, session)| (*key, session.id));
    let twins: Vec<(&Session, &Session)> = keys
        .iter()
        .zip(keys.iter().skip(1))
        .filter(|((key, a), (other, b))| key == other && is_twin(a, b))
        .map(|((_, a), (_, b))| (*a, *b))
        .collect();
    let (first, second) = twins.iter().min_by_key(|(a, _)| a.id)?;
    Some(
        Finding::of_capture(
            &RULE,
            Confidence::Likely,
            format!(
                "{} in the capture twice under different addresses: {} and {}",
                counted(twins.len() as u64, "session"),
                first.name(),
                second.name()
            ),
        )
        .evidence(first.handshake.request.last, "the opening handshake")
        .evidence(
            second.handshake.request.last,
            "the same one under other addresses",
        )
        .data("kind", Value::Text("nat".to_owned()))
        .data("sessions", Value::Count(twins.len() as u64))
        .cause(
            Confidence::Likely,
            "captures from both sides of a NAT, or of a relay, in one input",
        )
        .advice("read each pair as one session, or analyse the two captures separately"),
    )
}

/// The same request, byte counts and all, on another connection at the same
/// time. A proxy that speaks HTTP changes the request's length; a client that
/// uses its key again does so later.
fn is_twin(a: &Session, b: &Session) -> bool {
    let same_addresses = a.leg.client == b.leg.client && a.leg.server == b.leg.server;
    let (from, to) = (a.leg.first.min(b.leg.first), a.leg.first.max(b.leg.first));
    let end = a.leg.last_packet_any().min(b.leg.last_packet_any());
    !same_addresses
        && from != to
        && to < end
        && a.handshake.request.headers == b.handshake.request.headers
        && a.leg.payload_bytes == b.leg.payload_bytes
}

#[cfg(test)]
mod tests {
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
