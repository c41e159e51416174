//! `cap-clock`: the capture's clock ran backwards, or two clocks differ.

use std::time::Duration;

use crate::diagnosis::finding::counted;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value, span};
use crate::session::{Capture, Clocks, Lead, Skew};

pub(super) static RULE: Rule = Rule {
    id: "cap-clock",
    severity: Severity::Warn,
    summary: "the times of packets can't be relied on",
    explain: "\
## What it means
`data.kind` tells which:
- `step`: the clock was set back between two packets of a file. What stands behind the step counts as later; durations across it are
  unknown.
- `skew`: bytes are stamped later than their acknowledgment, so two clocks stamped them. `data.skew_ms` is how much they differ at least.
  Files are merged by time, so what the two show of one moment stands that far apart.
  Two files that hold one direction each are put in order first (`data.corrected`): the difference is estimated from both directions, to
  the shortest round trip, and the times of one file are told by the clock of the other.
- `out-of-order`: some records stand behind later ones, and time goes on as before. For information only: durations shorter than
  `data.back_ms` may be wrong.

What other findings say of order or durations across a step, or between the two clocks, is called possible at most.

## What usually causes it
- A step: the clock was set (NTP, a resumed machine), or files were put together in the wrong order. Many steps: records of several clocks
  were mixed in one file.
- Skew: captures of two hosts are read as one, or interfaces whose hardware stamps the packets.
- Records out of order: several queues, interfaces or threads that write one file.

## How to tell them apart
Where a file was put together (`mergecap -a`), the step is at the seam. Clocks of two hosts differ by about the same everywhere.

## What to do
Correct a file that is off with `editcap -t SECONDS IN OUT`, and analyse again. Sort records with `reordercap`. A clock that was set
can't be repaired afterwards: look at the parts before and behind the step one by one.

## References
pcapng: packet timestamps. RFC 9293, section 3.4: nothing is acknowledged before it was sent.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: nobody who looks for milliseconds is misled by less.
const TOLD: Duration = Duration::from_millis(1);

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let clocks = &overview.capture.clocks;
    findings.extend(step(clocks));
    for skew in clocks.skews.iter().filter(|skew| skew.is_sure()) {
        findings.push(differing(skew, overview.capture));
    }
    for (source, file) in (0..).zip(&overview.capture.files) {
        if let Some(lead) = file.lead {
            findings.extend(corrected(source, lead, overview.capture));
        }
    }
    findings.extend(out_of_order(clocks));
}

fn name(source: u16, capture: &Capture) -> String {
    let file = capture.files.get(usize::from(source));
    file.map_or_else(
        || format!("file {source}"),
        |file| file.path.display().to_string(),
    )
}

/// A file whose times are told by the clock of another.
fn corrected(source: u16, lead: Lead, capture: &Capture) -> Option<Finding> {
    let by = Duration::from_nanos(lead.nanos.unsigned_abs());
    if by < TOLD {
        return None;
    }
    let own = name(source, capture);
    let other = match lead.sent.source == source {
        true => name(lead.acked.source, capture),
        false => name(lead.sent.source, capture),
    };
    let (ahead, behind, sign) = match lead.nanos > 0 {
        true => (own.clone(), other, '-'),
        false => (other, own.clone(), '+'),
    };
    let summary = format!(
        "the clock of {ahead} is ahead of that of {behind} by about {}; the times of {own} are told without that",
        span(by)
    );
    Some(
        Finding::of_capture(&RULE, Confidence::Certain, summary)
            .evidence(lead.acked, "the acknowledgment")
            .evidence(lead.sent, "the bytes that it acknowledges")
            .data("kind", Value::Text("skew".to_owned()))
            .data("skew_ms", Value::Ms(by))
            .data("corrected", Value::Flag(true))
            .data("ahead", Value::Text(ahead))
            .data("behind", Value::Text(behind))
            .cause(
                Confidence::Likely,
                "two interfaces or machines captured one direction each, by clocks of their own",
            )
            .advice(format!(
                "this report puts them in order; for other programs, move {own} with editcap -t {sign}{:.6} IN OUT first",
                by.as_secs_f64()
            )),
    )
}

fn step(clocks: &Clocks) -> Option<Finding> {
    let worst = clocks.steps.iter().max_by_key(|step| step.nanos)?;
    let back = Duration::from_nanos(worst.nanos);
    let often = clocks.step_count;
    let summary = match often {
        1 => format!(
            "the clock was set back by {} at packet {}",
            span(back),
            worst.at.number
        ),
        _ => format!(
            "the clock ran back {often} times, by {} at most (packet {})",
            span(back),
            worst.at.number
        ),
    };
    let confidence = match worst.proven {
        true => Confidence::Certain,
        false => Confidence::Likely,
    };
    let finding = Finding::of_capture(&RULE, confidence, summary)
        .evidence(worst.before, "the last packet before the step")
        .evidence(worst.at, "the first packet after it")
        .data("kind", Value::Text("step".to_owned()))
        .data("back_ms", Value::Ms(back))
        .data("count", Value::Count(often));
    // Rationale: nobody sets a clock back again and again.
    let mixed = match often {
        0..3 if worst.proven => Confidence::Possible,
        _ => Confidence::Likely,
    };
    let set = (often < 3).then_some("the clock of the capturing machine was set");
    let finding = set.into_iter().fold(finding, |finding, cause| {
        finding.cause(Confidence::Possible, cause)
    });
    Some(
        finding
            .cause(mixed, "records of several files or clocks were put together unsorted")
            .advice(
                "durations across this place are unknown: look at the parts one by one, or sort the file \
                 with reordercap if it was put together",
            ),
    )
}

fn differing(skew: &Skew, capture: &Capture) -> Finding {
    let (ahead, behind) = (skew.sent.source, skew.acked.source);
    let name = |source: u16| name(source, capture);
    let by = span(Duration::from_nanos(skew.nanos));
    let finding = Finding::of_capture(
        &RULE,
        Confidence::Certain,
        match ahead == behind {
            true => format!(
                "{} are stamped later than their acknowledgment, by {by} at most: {} holds packets of two clocks",
                counted(skew.count, "segment"),
                name(ahead)
            ),
            false => format!(
                "the clock of {} is ahead of that of {} by at least {by}: {} are stamped later than their acknowledgment",
                name(ahead),
                name(behind),
                counted(skew.count, "segment")
            ),
        },
    )
    .evidence(skew.acked, "the acknowledgment")
    .evidence(skew.sent, "the bytes that it acknowledges")
    .data("kind", Value::Text("skew".to_owned()))
    .data("skew_ms", Value::Ms(Duration::from_nanos(skew.nanos)))
    .data("count", Value::Count(skew.count))
    .data("ahead", Value::Text(name(ahead)));
    finding
        .data("behind", Value::Text(name(behind)))
        .cause(Confidence::Likely, "captures of two machines were put together")
        .cause(Confidence::Possible, "two interfaces stamp packets with clocks of their own")
        .advice(format!(
            "times between the two are off: move the one that is ahead with editcap -t -{:.3} IN OUT, and analyse again",
            Duration::from_nanos(skew.nanos).as_secs_f64()
        ))
}

fn out_of_order(clocks: &Clocks) -> Option<Finding> {
    let (at, nanos) = clocks.latest.filter(|_| clocks.late > 0)?;
    let back = Duration::from_nanos(nanos);
    // Rationale: TCP puts back what is a window behind; what is seconds behind may be lost to it.
    let severity = match back > Duration::from_secs(1) {
        true => Severity::Warn,
        false => Severity::Info,
    };
    let summary = match clocks.late {
        1 => format!(
            "a packet is stamped {} earlier than one before it",
            span(back)
        ),
        count => format!(
            "{count} packets are stamped earlier than one before them, by {} at most",
            span(back)
        ),
    };
    Some(
        Finding::of_capture(&RULE, Confidence::Certain, summary)
            .severity(severity)
            .evidence(at, "the packet that is furthest behind")
            .data("kind", Value::Text("out-of-order".to_owned()))
            .data("back_ms", Value::Ms(back))
            .data("count", Value::Count(clocks.late))
            .cause(Confidence::Likely, "several interfaces, queues or threads wrote this file")
            .advice("durations shorter than that may be wrong; sort the file with reordercap to be sure"),
    )
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Confidence, Finding, Severity, Thresholds, Value, diagnose_capture};
    use crate::script::{Script, Told};
    use crate::session::{Capture, Clocks};
    use crate::stream::Direction::{ClientToServer, ServerToClient};
    use crate::stream::PacketRef;
    use crate::time::Timestamp;

    fn after_a_step(seconds: f64) -> Told {
        Script::new()
            .upgrade()
            .wait_s(-seconds)
            .text(ServerToClient, "hi")
            .told()
    }

    fn kind(finding: &Finding) -> &Value {
        &finding.data[0].1
    }

    #[test]
    fn a_clock_that_is_set_back_is_a_warning() {
        let told = after_a_step(5.0);
        let finding = told.only("cap-clock");
        assert_eq!(finding.severity, Severity::Warn);
        assert_eq!(kind(finding), &Value::Text("step".to_owned()));
        let packets: Vec<u64> = finding.evidence.iter().map(|e| e.at.number).collect();
        assert_eq!(packets, [7, 8]);
    }

    #[test]
    fn records_that_are_seconds_behind_those_that_acknowledge_them_are_no_step() {
        let told = Script::new()
            .upgrade()
            .written_backwards(|s| {
                let first = s.text(ClientToServer, "one").wait_s(3.0);
                let second = first.text(ServerToClient, "two").wait_s(3.0);
                second.text(ClientToServer, "three")
            })
            .told();
        let finding = told.only("cap-clock");
        assert_eq!(kind(finding), &Value::Text("out-of-order".to_owned()));
        assert_eq!(finding.severity, Severity::Warn);
        assert_eq!(told.sessions[0].messages.client.count, 2);
    }

    #[test]
    fn a_step_of_which_no_connection_tells_is_likely() {
        let stepped = |more: fn(Script) -> Script| {
            let script = Script::new().upgrade().wait_s(-5.0);
            let told = more(script.elsewhere(40_002, Script::upgrade)).told();
            told.only("cap-clock").confidence
        };
        assert_eq!(stepped(|s| s), Confidence::Likely);
        let told_later = stepped(|s| s.text(ClientToServer, "hi"));
        assert_eq!(told_later, Confidence::Certain);
    }

    #[test]
    fn records_that_are_milliseconds_late_are_for_information() {
        let told = after_a_step(0.003);
        let finding = told.only("cap-clock");
        assert_eq!(finding.severity, Severity::Info);
        assert_eq!(kind(finding), &Value::Text("out-of-order".to_owned()));
    }

    #[test]
    fn a_clock_that_stands_still_is_silent() {
        assert!(after_a_step(0.001).of("cap-clock").is_empty());
    }

    /// What is said of bytes that were acknowledged so often, so many milliseconds early.
    fn acked_early(times: u64, ms: i64) -> Vec<Finding> {
        let at = |ms: i64, source| PacketRef {
            time: Timestamp::from_nanos(ms * 1_000_000),
            source,
            ..PacketRef::default()
        };
        let mut clocks = Clocks::default();
        for _ in 0..times {
            clocks.on_acked_early(at(ms, 1), at(0, 0));
        }
        let capture = Capture {
            clocks,
            ..Capture::default()
        };
        let mut findings = diagnose_capture(&[], &[], &capture, &Thresholds::default());
        findings.retain(|finding| finding.rule.id == "cap-clock");
        findings
    }

    #[test]
    fn bytes_acknowledged_before_they_were_sent_give_the_difference_of_two_clocks() {
        let findings = acked_early(3, 40);
        assert_eq!(
            findings[0].summary,
            "the clock of file 1 is ahead of that of file 0 by at least 40 ms: \
             3 segments are stamped later than their acknowledgment"
        );
    }

    #[test]
    fn one_early_acknowledgment_or_a_tick_of_the_clock_is_no_skew() {
        assert!(acked_early(2, 40).is_empty());
        assert!(acked_early(50, 0).is_empty());
    }

    #[test]
    fn bytes_that_the_capture_lost_are_of_no_other_clock() {
        let mut script = Script::new().upgrade();
        for _ in 0..5 {
            script = script
                .uncaptured(ServerToClient, b"\x81\x02hi")
                .text(ClientToServer, "an acknowledgment, too")
                .wait_s(0.1)
                .text(ServerToClient, "seen");
        }
        let told = script.clean_close(ClientToServer).told();
        assert!(!told.of("cap-packet-loss").is_empty());
        assert!(told.of("cap-clock").is_empty());
    }
}
