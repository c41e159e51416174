//! `net-loss`: the path loses packets.

use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "net-loss",
    severity: Severity::Warn,
    summary: "the path loses packets",
    explain: "\
## What it means
Segments were lost on the way and had to be sent again. Each loss holds up everything that the same side sent after it, for a round trip at
best and for 200 ms and more where nothing follows that would show the loss. Repetitions that turned out needless (the first copy had arrived,
as with tail-loss probes) are left out: `data.needless`.

## What usually causes it
1. The client's last mile: radio, a full uplink.
2. A full or policed link of the server: then its sessions lose alike.
3. A device in between that is overloaded.

## How to tell them apart
- One client or network only: its own link. All sessions of the server: the server's side.
- Loss in one direction only: a queue before a thin link, which fills by what flows there.
- Bytes that are acknowledged although the capture never had them were lost by the capture, not by the path: `cap-packet-loss`.

## What to do
Look at the link that the sessions concerned share. What the losses cost is told by `lat-retransmit`.

## References
RFC 5681, RFC 2883 (D-SACK), RFC 3522, RFC 8985.
",
    checks: &[Check::Session(check)],
};

/// Rationale: one or two lost segments are everyday; a hundredth of all is felt.
const POSSIBLE: (u64, u64) = (3, 100);
/// Rationale: more than bad luck with a few segments.
const LIKELY: u64 = 10;

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let flow = &case.session.leg.flow;
    let lost = flow.client.lost + flow.server.lost;
    let segments = flow.client.segments + flow.server.segments;
    if lost < POSSIBLE.0 || lost.saturating_mul(POSSIBLE.1) < segments {
        return;
    }
    let worst = match flow.client.lost > flow.server.lost {
        true => Direction::ClientToServer,
        false => Direction::ServerToClient,
    };
    let Some(first) = flow[worst].resent.first().copied() else {
        return;
    };
    let confidence = match lost >= LIKELY {
        true => Confidence::Likely,
        false => Confidence::Possible,
    };
    #[expect(clippy::cast_precision_loss, reason = "a percentage with one decimal")]
    let percent = 100.0 * lost as f64 / segments.max(1) as f64;
    let (side, peer) = (worst.sender(), worst.receiver());
    let summary = format!(
        "{percent:.1} % of the segments were lost and sent again: {} of the client, {} of the server",
        flow.client.lost, flow.server.lost
    );
    let first = Evidence::new(first, format!("sent again after a loss, {side} to {peer}"));
    let last = flow[worst].resent.last().copied();
    let mut finding = Finding::new(&RULE, case.session, confidence, first, summary)
        .evidence_if(
            last.filter(|_| flow[worst].lost > 1),
            "lost and sent again once more",
        )
        .data("lost_client", Value::Count(flow.client.lost))
        .data("lost_server", Value::Count(flow.server.lost))
        .data(
            "needless",
            Value::Count(flow.client.needless + flow.server.needless),
        )
        .data("percent", Value::Number(percent));
    let other = flow[worst.reverse()].lost;
    if other.saturating_mul(4) < flow[worst].lost {
        let cause = format!("a queue or link that only the direction from the {side} passes");
        finding = finding.cause(Confidence::Likely, cause);
    }
    findings.push(
        finding
            .cause(Confidence::Possible, "a bad link on the way, such as the client's radio")
            .cause(Confidence::Possible, "a full or policed link")
            .advice("compare the sessions of other clients to this server: if they lose too, look at the server's link, otherwise at the client's"),
    );
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn lost(times: u8) -> Script {
        let mut script = Script::new().upgrade();
        for index in 0..times {
            let bytes = frame(0x81, &[b'a' + index; 9], true);
            script = script
                .text(ClientToServer, "fine")
                .silent(ServerToClient, true)
                .bytes(ClientToServer, &bytes)
                .wait_s(0.3)
                .silent(ServerToClient, false)
                .again(ClientToServer, &bytes)
                .wait_s(0.02)
                .text(ServerToClient, "got it");
        }
        script
    }

    #[test]
    fn three_losses_among_few_segments_are_told() {
        let told = lost(3).told();
        let finding = told.only("net-loss");
        assert_eq!(finding.confidence.name(), "possible");
        assert!(
            finding.summary.contains("3 of the client"),
            "{}",
            finding.summary
        );
        assert_eq!(lost(12).told().only("net-loss").confidence.name(), "likely");
    }

    #[test]
    fn two_are_everyday() {
        assert!(lost(2).told().of("net-loss").is_empty());
    }

    #[test]
    fn what_is_sent_again_into_the_void_is_not_called_loss() {
        let bytes = frame(0x81, b"anyone?", true);
        let mut script = Script::new()
            .upgrade()
            .silent(ServerToClient, true)
            .bytes(ClientToServer, &bytes);
        for _ in 0..6 {
            script = script.wait_s(1.0).again(ClientToServer, &bytes);
        }
        assert!(script.told().of("net-loss").is_empty());
    }
}
