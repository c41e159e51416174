//! What a clock that can't be relied on takes from findings that rest on durations or order.

use super::rules::BY_ACKNOWLEDGMENT;
use super::{Confidence, Finding, Value};
use crate::session::Clocks;

/// Rules that say how long something took, or which of two directions came first.
const TIMED: [&str; 26] = [
    "close-1006-flow-expired",
    "close-1006-idle-timeout",
    "close-1006-lifetime-limit",
    "close-tcp-lingers",
    "flow-sender-backlog",
    "flow-server-evicts-slow",
    "flow-slow-consumer",
    "flow-zero-window",
    "hb-gap",
    "hb-interval-risky",
    "hb-irregular",
    "hb-pong-anomaly",
    "hb-pong-missing",
    "hb-pong-slow",
    "hb-pong-timeout",
    "hs-data-before-101",
    "hs-slow",
    "lat-burst-delivery",
    "lat-gap",
    "lat-hol-blocking",
    "lat-nagle-delack",
    "lat-retransmit",
    "lat-server-stall",
    "net-bandwidth-limited",
    "net-keepalive-useless",
    "net-stall",
];

/// Calls those possible whose evidence lies on both sides of a step, or was
/// stamped by two clocks that differ.
pub(super) fn discount(findings: &mut [Finding], clocks: &Clocks) {
    if clocks.steps.is_empty() && clocks.skews.is_empty() {
        return;
    }
    for finding in findings {
        if TIMED.contains(&finding.rule.id) && !is_by_number(finding) && is_spoilt(finding, clocks)
        {
            finding.confidence = finding.confidence.min(Confidence::Possible);
        }
    }
}

/// Acknowledgment numbers told what came first.
fn is_by_number(finding: &Finding) -> bool {
    let by = |(name, value): &(&str, Value)| {
        *name == "told_by" && matches!(value, Value::Text(by) if by == BY_ACKNOWLEDGMENT)
    };
    finding.data.iter().any(by)
}

fn is_spoilt(finding: &Finding, clocks: &Clocks) -> bool {
    let places = || finding.evidence.iter().map(|evidence| evidence.at);
    let (Some(first), Some(last)) = (places().min(), places().max()) else {
        return false;
    };
    let from = |source: u16| places().any(|at| at.source == source);
    let stepped = |step: &crate::session::ClockStep| first < step.at && step.at <= last;
    clocks.steps.iter().any(stepped)
        || clocks
            .skews
            .iter()
            .any(|skew| skew.is_sure() && from(skew.sent.source) && from(skew.acked.source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::rules;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn every_rule_that_is_named_exists() {
        for id in TIMED {
            assert!(rules::by_id(id).is_some(), "{id}");
        }
    }

    /// What is said of a Pong that takes 20 s, where the clock is set by so much before the
    /// Ping and between the two.
    fn slow_pong(before: f64, between: f64) -> Option<Confidence> {
        let mut script = Script::new().upgrade();
        for _ in 0..5 {
            script = script
                .ping(ClientToServer, b"1")
                .pong(ServerToClient, b"1")
                .wait_s(1.0);
        }
        let told = script
            .wait_s(before)
            .ping(ClientToServer, b"2")
            .wait_s(between)
            .text(ServerToClient, "hi")
            .wait_s(20.0)
            .pong(ServerToClient, b"2")
            .clean_close(ClientToServer)
            .told();
        told.of("hb-pong-slow")
            .first()
            .map(|found| found.confidence)
    }

    #[test]
    fn a_duration_across_a_step_is_possible_at_most() {
        assert_eq!(slow_pong(0.0, -10.0), Some(Confidence::Possible));
    }

    #[test]
    fn a_step_before_what_is_measured_changes_nothing() {
        assert!(slow_pong(0.0, 0.0) > Some(Confidence::Possible));
        assert_eq!(slow_pong(-10.0, 0.0), slow_pong(0.0, 0.0));
    }

    #[test]
    fn the_end_that_closed_first_is_told_by_order_not_by_time() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .fin(ClientToServer)
            .wait_s(-30.0)
            .fin(ServerToClient)
            .told();
        let [session] = told.sessions.as_slice() else {
            panic!("{} sessions", told.sessions.len());
        };
        let end = crate::diagnosis::closing::close_of(session).terminator;
        assert_eq!(end.map(|end| end.direction), Some(ClientToServer));
    }
}
