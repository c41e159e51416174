//! `pv-mask-weak`: masking keys that anyone can foresee.

use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::stream::PacketRef;

pub(super) static RULE: Rule = Rule {
    id: "pv-mask-weak",
    severity: Severity::Info,
    summary: "masking keys are zero, constant or counted up",
    explain: "\
## What it means
A client has to draw a fresh, unpredictable masking key for each frame. Here the keys are all zero, all the same, or grow by a constant step
(`data.kind`: `zero`, `constant`, `counter`). Nothing fails for that, but the protection that masking gives is gone: who controls what the
client sends controls the bytes on the wire, and can write what an intermediary takes for an HTTP request.

## What usually causes it
- Embedded clients and load generators that save the cycles.
- A random generator that is never seeded.

## How to tell them apart
Zero keys are chosen; a key that is the same in each session of a device is a generator without a seed.

## What to do
Use a client that draws its keys from the system's random source. On a closed network without intermediaries this can wait.

## References
RFC 6455, sections 5.3 and 10.3.
",
    checks: &[Check::Session(check)],
};

/// Rationale: three random keys of 32 bits are equal, or evenly spaced, once in 2^32 sessions at most.
const FEWEST: usize = 3;

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let masks = &case.session.masks;
    let Some(((_, first), kind)) = masks.first().zip(weakness(masks)) else {
        return;
    };
    let count = masks.len();
    let what = match kind {
        "zero" => "are all zero",
        "constant" => "are all the same",
        _ => "grow by a constant step",
    };
    let summary = format!("the masking keys of the client's first {count} frames {what}");
    let first = Evidence::new(*first, "the first of these keys");
    let mut finding = Finding::new(&RULE, case.session, Confidence::Certain, first, summary);
    for (_, at) in masks.iter().skip(1).take(2) {
        finding = finding.evidence(*at, "the next");
    }
    // Zero keys hide nothing at all; the others are a weakness that breaks no session.
    if kind == "zero" {
        finding = finding.severity(Severity::Warn);
    }
    findings.push(
        finding
            .data("kind", Value::Text(kind.to_owned()))
            .data("frames", Value::Count(count as u64))
            .cause(
                Confidence::Possible,
                "a client that saves cycles, or a random generator that is never seeded",
            )
            .advice("use a client that draws each key from the system's random source"),
    );
}

fn weakness(masks: &[([u8; 4], PacketRef)]) -> Option<&'static str> {
    if masks.len() < FEWEST {
        return None;
    }
    let step = |read: fn([u8; 4]) -> u32| {
        let keys: Vec<u32> = masks.iter().map(|(key, _)| read(*key)).collect();
        let mut steps = keys
            .iter()
            .zip(keys.iter().skip(1))
            .map(|(a, b)| b.wrapping_sub(*a));
        let first = steps.next()?;
        steps.all(|step| step == first).then_some(first)
    };
    match step(u32::from_be_bytes) {
        Some(0) if masks.iter().all(|(key, _)| *key == [0; 4]) => Some("zero"),
        Some(0) => Some("constant"),
        Some(_) => Some("counter"),
        None => step(u32::from_le_bytes).map(|_| "counter"),
    }
}

#[cfg(test)]
mod tests {
    use super::weakness;
    use crate::diagnosis::Severity;
    use crate::script::Script;
    use crate::stream::Direction::ClientToServer;
    use crate::stream::PacketRef;

    #[test]
    fn three_zero_keys_are_found() {
        let frame = [0x82, 0x81, 0, 0, 0, 0, 7];
        let told = Script::new()
            .upgrade()
            .bytes(ClientToServer, &frame)
            .bytes(ClientToServer, &frame)
            .bytes(ClientToServer, &frame)
            .told();
        let finding = told.only("pv-mask-weak");
        assert_eq!(finding.evidence.len(), 3);
        assert_eq!(finding.severity, Severity::Warn);
    }

    #[test]
    fn keys_that_count_up_are_only_worth_a_note() {
        let mut script = Script::new().upgrade();
        for key in 1..=3 {
            script = script.bytes(ClientToServer, &[0x82, 0x81, 0, 0, 0, key, 7]);
        }
        let told = script.told();
        assert_eq!(told.only("pv-mask-weak").severity, Severity::Info);
    }

    #[test]
    fn two_zero_keys_are_silent() {
        let frame = [0x82, 0x81, 0, 0, 0, 0, 7];
        let told = Script::new()
            .upgrade()
            .bytes(ClientToServer, &frame)
            .bytes(ClientToServer, &frame)
            .told();
        assert!(told.of("pv-mask-weak").is_empty());
    }

    #[test]
    fn counters_of_either_byte_order_are_weak_and_others_are_not() {
        let of = |keys: &[[u8; 4]]| {
            let masks: Vec<_> = keys
                .iter()
                .map(|key| (*key, PacketRef::default()))
                .collect();
            weakness(&masks)
        };
        assert_eq!(
            of(&[[0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 0, 3]]),
            Some("counter")
        );
        assert_eq!(
            of(&[[255, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]]),
            Some("counter")
        );
        assert_eq!(of(&[[9, 9, 9, 9]; 3]), Some("constant"));
        assert_eq!(of(&[[1, 2, 3, 4], [9, 1, 7, 2], [3, 3, 1, 8]]), None);
    }
}
