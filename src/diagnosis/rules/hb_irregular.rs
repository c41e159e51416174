//! `hb-irregular`: Pings without a steady rhythm.

use super::hb_gap::worst_gap;
use super::hb_pong_timeout::seconds;
use crate::diagnosis::lacks::unless_hidden;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hb-irregular",
    severity: Severity::Info,
    summary: "Pings without a steady rhythm",
    explain: "\
## What it means
The times between the Pings of one side vary a lot (`data.variation` is the standard deviation as a share of the mean). That is no fault by
itself, but no timeout can be derived from such a rhythm, and the longest time between two Pings counts for every idle timer on the path.

## What usually causes it
- The side pings only after a silence of its own, so that data shifts the Pings.
- Its timers are late: a busy event loop, a throttled background tab.
- Several timers ping on one connection.

## How to tell them apart
Messages between the Pings (`data.busy_share` near 1): pings on silence. Many very short intervals: several timers.

## What to do
Look at `data.max_ms`: if it comes near the shortest idle timer on the path, ping more often.

## References
RFC 6455, section 5.5.2.
",
    checks: &[Check::Session(check)],
};

/// Rationale: a variation of fewer values says little.
const FEWEST: u64 = 5;
/// Rationale: a timer on a busy machine stays below 0.2; chance (a Poisson process) has 1.
const VARIATION: f64 = 0.5;

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for pinger in Direction::BOTH {
        let ledger = &case.session.pings[pinger];
        let intervals = &ledger.intervals;
        let (Some(variation), Some(median), Some(longest)) = (
            intervals.variation(),
            intervals.median(),
            ledger.longest.first(),
        ) else {
            continue;
        };
        // One gap in a steady rhythm is hb-gap.
        let steady_but_for_a_gap = worst_gap(case, pinger).is_some();
        let too_short = longest.len < case.thresholds.gap_floor;
        let few = intervals.count() < FEWEST || too_short;
        if few || variation <= VARIATION || steady_but_for_a_gap {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let busy = ledger.busy_intervals as f64 / intervals.count() as f64;
        let side = pinger.sender();
        let finding = Finding::new(
            &RULE,
            case.session,
            unless_hidden(case.session, pinger),
            Evidence::new(longest.from, "the longest time between two Pings begins"),
            format!(
                "the {side}'s Pings have no steady rhythm: {} in the middle, {} at most",
                seconds(median),
                seconds(longest.len)
            ),
        );
        findings.push(
            finding
                .evidence(longest.to, "the next Ping")
                .data("sender", Value::Text(side.to_owned()))
                .data("variation", Value::Number(variation))
                .data("median_ms", Value::Ms(median))
                .data("max_ms", Value::Ms(longest.len))
                .data("busy_share", Value::Number(busy))
                .cause(
                    if busy > 0.0 {
                        Confidence::Likely
                    } else {
                        Confidence::Possible
                    },
                    format!("the {side} pings only after a silence"),
                )
                .cause(
                    Confidence::Possible,
                    format!("the {side}'s timers are late, or several of them ping"),
                )
                .advice("compare the longest interval with the shortest idle timer on the path"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn pings(waits: &[f64]) -> crate::script::Told {
        let mut script = Script::new().upgrade();
        for wait in waits {
            script = script
                .wait_s(*wait)
                .ping(ServerToClient, b"")
                .pong(ClientToServer, b"");
        }
        script.clean_close(ClientToServer).told()
    }

    #[test]
    fn intervals_all_over_the_place_are_told() {
        let told = pings(&[1.0, 0.2, 5.0, 0.3, 4.0, 1.0, 6.0, 0.1]);
        assert_eq!(told.only("hb-irregular").confidence.name(), "certain");
    }

    #[test]
    fn intervals_that_no_timer_notices_are_silent() {
        let told = pings(&[0.0, 0.3, 0.0, 0.9, 0.0, 0.5, 0.0, 0.1]);
        assert!(told.of("hb-irregular").is_empty());
    }

    #[test]
    fn a_little_jitter_is_silent() {
        let told = pings(&[1.0, 1.1, 0.9, 1.05, 0.95, 1.2, 0.8, 1.0]);
        assert!(told.of("hb-irregular").is_empty());
    }
}
