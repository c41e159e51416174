//! `net-stall`: for a while nothing came through, then it went on.

use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::Recovery;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "net-stall",
    severity: Severity::Warn,
    summary: "neither data nor acknowledgments came through for a while, then the connection went on",
    explain: "\
## What it means
One side sent the same data again and again, the other was not heard at all, and then both went on. The network was interrupted; no endpoint
closed anything. Ping deadlines shorter than `data.stall_ms` would have ended the session.

## What usually causes it
1. A link or a route that flapped.
2. A radio hand-over, or a client that was out of reach.
3. A host or its hypervisor that paused.

## How to tell them apart
- Other connections of the same hosts stalled too: look at what they share.
- After a paused host its acknowledgments come at once, with everything that it sends; after a link that flapped the sender's next
  repetition is the first packet to get through.

## What to do
Choose Ping deadlines longer than the interruptions that the path is known for, and shorter than what users accept.

## References
RFC 6298.
",
    checks: &[Check::Session(check)],
};

/// Rationale: two timeouts in a row without an answer, and a third packet that got one.
const POSSIBLE: u64 = 3;
/// Rationale: longer than any round trip with a delayed acknowledgment.
const LIKELY: std::time::Duration = std::time::Duration::from_secs(1);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let leg = &case.session.leg;
    let worst = Direction::BOTH
        .into_iter()
        .flat_map(|sender| {
            let recoveries = leg.flow[sender].recoveries.iter();
            recoveries
                .filter(|r| is_stall(r))
                .map(move |r| (sender, *r))
        })
        .max_by_key(|(_, recovery)| recovery.len());
    let Some((sender, recovery)) = worst else {
        return;
    };
    let confidence = match unanswered(&recovery) > LIKELY {
        true => Confidence::Likely,
        false => Confidence::Possible,
    };
    let (side, peer) = (sender.sender(), sender.receiver());
    let len = span(recovery.len());
    let summary = format!(
        "for {len} nothing of the {peer} came through while the {side} sent the same data {} more times; then it went on",
        recovery.count
    );
    let first = Evidence::new(recovery.first, format!("data of the {side} that waited"));
    findings.push(
        Finding::new(&RULE, case.session, confidence, first, summary)
            .evidence(recovery.again.0, "sent again for the first time")
            .evidence(recovery.acked, format!("the {peer} is heard again"))
            .data("sender", Value::Text(side.to_owned()))
            .data("stall_ms", Value::Ms(recovery.len()))
            .data("retransmissions", Value::Count(recovery.count))
            .cause(Confidence::Possible, "a link or route on the path was interrupted")
            .cause(Confidence::Possible, format!("the {peer} or its hypervisor paused"))
            .advice(format!(
                "look what other connections of the {peer} did at that time; a Ping deadline under {len} would have ended the session"
            )),
    );
}

fn unanswered(recovery: &Recovery) -> std::time::Duration {
    recovery.acked.time.saturating_since(recovery.again.0.time)
}

/// The other side was not heard from the first repetition to the end.
fn is_stall(recovery: &Recovery) -> bool {
    let dark = recovery.heard.is_none_or(|heard| heard < recovery.again.0);
    dark && (recovery.count >= POSSIBLE || unanswered(recovery) > LIKELY)
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn dark(times: u32, pause: f64) -> Script {
        let bytes = frame(0x81, b"hello?", true);
        let mut script = Script::new()
            .upgrade()
            .silent(ServerToClient, true)
            .bytes(ClientToServer, &bytes);
        for _ in 0..times {
            script = script.wait_s(pause).again(ClientToServer, &bytes);
        }
        script.wait_s(0.02).silent(ServerToClient, false)
    }

    #[test]
    fn a_path_that_goes_on_after_seconds_had_stalled() {
        let told = dark(4, 0.6).text(ServerToClient, "here").told();
        let finding = told.only("net-stall");
        assert_eq!(finding.confidence.name(), "likely");
        assert!(told.of("net-half-open").is_empty());
    }

    #[test]
    fn one_loss_is_no_stall() {
        let told = dark(1, 0.3).text(ServerToClient, "here").told();
        assert!(told.of("net-stall").is_empty());
    }

    #[test]
    fn a_path_that_stays_dark_is_not_called_a_stall() {
        assert!(dark(5, 0.6).told().of("net-stall").is_empty());
    }
}
