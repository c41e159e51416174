//! `hb-gap`: a gap between Pings that is out of their rhythm.

use std::time::Duration;

use super::hb_pong_timeout::seconds;
use crate::diagnosis::application::may_hide_answer;
use crate::diagnosis::heartbeat::{first_sign_of_the_end, may_hide_since};
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::{Interval, PingLedger, Session};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hb-gap",
    severity: Severity::Warn,
    summary: "a gap between Pings that is out of their rhythm",
    explain: "\
## What it means
One side pings in a steady rhythm, and then a Ping stays out for far longer, or no further one comes although the session stays open
(`data.kind`: `between` or `ended`; `application` where the heartbeats are the application's own). During the gap nothing kept the path open: `data.gap_ms` against `data.median_ms`.

## What usually causes it
1. The sender's timer was stopped or throttled (a suspended machine, a background tab, a timer that a reconnect cleared).
2. The sender was blocked: its other data stops too.
3. The network: packets were lost and sent again in the gap.
4. The capture lost the Ping.

## How to tell them apart
- The sender's other frames go on in the gap: only the timer stopped.
- Nothing at all comes from the sender, then everything at once: it was blocked or suspended.
- Retransmissions in the gap: the network.

## What to do
Compare the gap with the shortest idle timer on the path. Senders that ping only after a silence may skip Pings while data flows: such gaps are
left out here.

## References
RFC 6455, section 5.5.2.
",
    checks: &[Check::Session(check)],
};

/// Rationale: three Pings are the fewest that have a rhythm.
const FEWEST: u64 = 3;
/// Rationale: the share of the interquartile range beyond which a value is
/// far out of a distribution, whatever its shape.
const RANGES: u32 = 3;
/// Rationale: half a beat more than between two Pings, since the next one may have been about to come.
const LAST_FACTOR: u32 = 2;

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for pinger in Direction::BOTH {
        if let Some(gap) = worst_gap(case, pinger) {
            findings.push(finding(case, pinger, &gap));
        }
        findings.extend(of_application(case, pinger));
    }
}

/// The same of heartbeats that the application sends by itself.
fn of_application(case: &Case<'_>, sender: Direction) -> Option<Finding> {
    let session = case.session;
    let application = session.application.as_deref()?;
    let ledger = &application.beats[sender];
    if ledger.sent < FEWEST {
        return None;
    }
    let median = ledger.intervals.median()?;
    let quartile = |percent| ledger.intervals.percentile(percent).unwrap_or_default();
    let range = quartile(75).saturating_sub(quartile(25));
    let gap = ledger.longest.first()?;
    let out_of_rhythm = gap.len >= case.thresholds.gap_floor
        && gap.len > median.mul_f64(case.thresholds.gap_factor)
        && gap.len > range.saturating_mul(RANGES);
    if !out_of_rhythm || may_hide_answer(session, sender, gap.from) {
        return None;
    }
    let side = sender.sender();
    let finding = Finding::new(
        &RULE,
        session,
        Confidence::Likely,
        Evidence::new(gap.from, "the application's heartbeat before the gap"),
        format!(
            "{} without a heartbeat of the {side}'s application, which otherwise sends one every {}",
            seconds(gap.len),
            seconds(median)
        ),
    )
    .evidence(gap.to, "the next one")
    .data("kind", Value::Text("application".to_owned()))
    .data("protocol", Value::Text(application.protocol.name().to_owned()))
    .data("sender", Value::Text(side.to_owned()))
    .data("gap_ms", Value::Ms(gap.len))
    .data("median_ms", Value::Ms(median))
    .cause(Confidence::Possible, format!("the {side}'s timer was stopped or throttled"))
    .cause(Confidence::Possible, format!("the {side} was blocked or suspended"));
    Some(finding.advice(format!(
        "compare {} with the shortest idle timer on the path, and look what stopped the {side}'s timer",
        seconds(gap.len)
    )))
}

/// A gap out of rhythm.
#[derive(Clone, Copy, Debug)]
pub(super) struct PingGap {
    interval: Interval,
    median: Duration,
    /// No further Ping came.
    ended: bool,
}

/// The longest gap that is out of this side's rhythm.
pub(super) fn worst_gap(case: &Case<'_>, pinger: Direction) -> Option<PingGap> {
    let ledger = &case.session.pings[pinger];
    if ledger.sent < FEWEST {
        return None;
    }
    let median = ledger.intervals.median()?;
    let quartile = |percent| ledger.intervals.percentile(percent).unwrap_or_default();
    let range = quartile(75).saturating_sub(quartile(25));
    let out_of_rhythm = |len: Duration, factor: f64| {
        len >= case.thresholds.gap_floor
            && len > median.mul_f64(factor)
            && len > range.saturating_mul(RANGES)
    };
    let between = ledger
        .longest
        .iter()
        .find(|gap| {
            out_of_rhythm(gap.len, case.thresholds.gap_factor) && !pings_on_idle(ledger, gap)
        })
        .map(|gap| PingGap {
            interval: *gap,
            median,
            ended: false,
        });
    let last = last_interval(case, ledger)
        .filter(|gap| out_of_rhythm(gap.len, f64::from(LAST_FACTOR)) && !pings_on_idle(ledger, gap))
        .map(|gap| PingGap {
            interval: gap,
            median,
            ended: true,
        });
    between
        .into_iter()
        .chain(last)
        .max_by_key(|gap| gap.interval.len)
}

/// From the last Ping to the first sign of the end.
fn last_interval(case: &Case<'_>, ledger: &PingLedger) -> Option<Interval> {
    let from = ledger.last?;
    let to = first_sign_of_the_end(case.session, case.closing);
    let messages = case.session.last_message;
    Some(Interval {
        from,
        to,
        len: to.time.saturating_since(from.time),
        busy: messages
            .client
            .max(messages.server)
            .is_some_and(|at| at > from),
    })
}

/// Messages passed in this gap, as they did in no interval of the rhythm: this
/// side pings only after a silence, and the messages were beats as well.
fn pings_on_idle(ledger: &PingLedger, gap: &Interval) -> bool {
    let long_ones = ledger.longest.iter().filter(|other| other.busy).count() as u64;
    gap.busy && ledger.busy_intervals <= long_ones
}

fn finding(case: &Case<'_>, pinger: Direction, gap: &PingGap) -> Finding {
    let session = case.session;
    let (side, peer) = (pinger.sender(), pinger.receiver());
    let PingGap {
        interval,
        median,
        ended,
    } = *gap;
    let blind = may_hide_since(session, pinger, interval.from);
    let confidence = if blind {
        Confidence::Possible
    } else {
        Confidence::Certain
    };
    let (kind, summary, what) = if ended {
        (
            "ended",
            format!(
                "the {side} pinged every {}, then not any more for {} although the session stayed open",
                seconds(median),
                seconds(interval.len)
            ),
            "the session until here",
        )
    } else {
        (
            "between",
            format!(
                "{} without a Ping of the {side}, which otherwise pings every {}",
                seconds(interval.len),
                seconds(median)
            ),
            "the next Ping",
        )
    };
    let mut finding = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(
            interval.from,
            format!("Ping, {side} to {peer}, before the gap"),
        ),
        summary,
    )
    .evidence(interval.to, what)
    .data("kind", Value::Text(kind.to_owned()))
    .data("sender", Value::Text(side.to_owned()))
    .data("gap_ms", Value::Ms(interval.len))
    .data("median_ms", Value::Ms(median));
    for (confidence, text) in causes(session, pinger, &interval, blind) {
        finding = finding.cause(confidence, text);
    }
    finding.advice(format!(
        "compare {} with the shortest idle timer on the path, and look what stopped the {side}'s timer",
        seconds(interval.len)
    ))
}

fn causes(
    session: &Session,
    pinger: Direction,
    gap: &Interval,
    blind: bool,
) -> Vec<(Confidence, String)> {
    let side = pinger.sender();
    let mut causes = Vec::new();
    if blind {
        causes.push((
            Confidence::Likely,
            "the capture lacks bytes that may hold Pings".to_owned(),
        ));
    }
    let again = session.leg.last_retransmission[pinger];
    if again.is_some_and(|at| at >= gap.from && at <= gap.to) {
        causes.push((
            Confidence::Likely,
            "packets were lost and sent again in the gap".to_owned(),
        ));
    }
    let (timer, blocked) = if gap.busy {
        (Confidence::Likely, Confidence::Possible)
    } else {
        (Confidence::Possible, Confidence::Possible)
    };
    causes.push((
        timer,
        format!("the {side}'s timer was stopped or throttled"),
    ));
    causes.push((blocked, format!("the {side} was blocked or suspended")));
    causes
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn app_beats(script: Script, count: u32) -> Script {
        let beat = |script: Script, _| {
            script
                .text(ClientToServer, r#"{"type":"heartbeat"}"#)
                .wait_s(1.0)
        };
        (0..count).fold(script, beat)
    }

    #[test]
    fn a_gap_in_the_applications_heartbeats_is_found() {
        let script = app_beats(app_beats(Script::new().upgrade(), 6).wait_s(7.0), 3);
        let told = script.clean_close(ClientToServer).told();
        let kind = Value::Text("application".to_owned());
        assert!(told.only("hb-gap").data.contains(&("kind", kind)));
    }

    #[test]
    fn heartbeats_of_the_application_in_rhythm_are_no_gap() {
        let told = app_beats(Script::new().upgrade(), 9)
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("hb-gap").is_empty());
    }

    fn beats(mut script: Script, count: u8) -> Script {
        for index in 0..count {
            script = script
                .wait_s(1.0)
                .ping(ServerToClient, &[index])
                .pong(ClientToServer, &[index]);
        }
        script
    }

    #[test]
    fn pings_that_stop_are_found() {
        let told = beats(Script::new().upgrade(), 8)
            .wait_s(15.0)
            .clean_close(ServerToClient)
            .told();
        let finding = told.only("hb-gap");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("ended".to_owned())))
        );
        assert_eq!(finding.confidence.name(), "certain");
    }

    #[test]
    fn a_missing_beat_in_between_is_found() {
        let script = beats(Script::new().upgrade(), 8).wait_s(4.0);
        let told = beats(script, 8).clean_close(ServerToClient).told();
        let finding = told.only("hb-gap");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("between".to_owned())))
        );
        assert!(told.of("hb-irregular").is_empty());
    }

    #[test]
    fn pings_of_one_flight_have_no_gap_between_them() {
        let mut script = Script::new().upgrade();
        for wait in [0.0, 0.0, 0.0, 0.3, 0.0, 0.0] {
            script = script.wait_s(wait).ping(ServerToClient, b"");
        }
        let told = script.wait_s(0.5).clean_close(ServerToClient).told();
        assert!(told.of("hb-gap").is_empty());
    }

    #[test]
    fn a_steady_rhythm_is_silent() {
        let told = beats(Script::new().upgrade(), 8)
            .wait_s(0.9)
            .clean_close(ServerToClient)
            .told();
        assert!(told.of("hb-gap").is_empty());
    }

    #[test]
    fn a_side_that_pings_only_after_a_silence_skips_pings_while_data_flows() {
        let mut script = beats(Script::new().upgrade(), 8);
        for _ in 0..9 {
            script = script.wait_s(0.5).text(ServerToClient, "tick");
        }
        let told = beats(script, 3).clean_close(ServerToClient).told();
        assert!(told.of("hb-gap").is_empty());
    }
}
