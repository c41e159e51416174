//! `pattern-uneven-backends`: one backend takes far more sessions than the others.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::diagnosis::patterns::{Trial, backend_of};
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "pattern-uneven-backends",
    severity: Severity::Warn,
    summary: "one backend took more than twice as many sessions as the others on average",
    explain: "\
## What it means
Of at least three backends of one service one took more than twice the mean number of sessions, and more than chance explains.
`data.backends` has the counts.

## What usually causes it
- Backends that were added later: sessions live long, so the old ones keep theirs.
- The order of a restart: all clients come back while only the first backend is up.
- Stickiness by address, with many clients behind one NAT; weights that are meant.

## How to tell them apart
- New sessions are spread evenly, the old ones aren't: age, not balancing.
- One client host has most of them: stickiness.

## What to do
Balance by the fewest connections (`least_conn`, `leastconn`) instead of round robin, recycle sessions after some hours, or rebalance after a
scale-out by closing some with 1012.

## References
RFC 6455, section 7.4.1.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: with fewer backends or sessions a skew is chance or meant.
const FEWEST: (usize, usize) = (3, 50);

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let mut services: BTreeMap<u32, BTreeMap<SocketAddr, Vec<&Trial<'_>>>> = BTreeMap::new();
    for trial in overview.patterns.trials.iter().filter(|t| t.opened()) {
        let Some(session) = trial.session else {
            continue;
        };
        let backends = services.entry(trial.service).or_default();
        backends.entry(backend_of(session)).or_default().push(trial);
    }
    for backends in services.values() {
        findings.extend(finding(backends));
    }
}

fn finding(backends: &BTreeMap<SocketAddr, Vec<&Trial<'_>>>) -> Option<Finding> {
    let all: usize = backends.values().map(Vec::len).sum();
    let (busiest, taken) = backends.iter().max_by_key(|(_, trials)| trials.len())?;
    if backends.len() < FEWEST.0 || all < FEWEST.1 {
        return None;
    }
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let mean = number(all) / number(backends.len());
    let ratio = number(taken.len()) / mean;
    // Rationale: four deviations of a count that chance alone spreads.
    let beyond_chance = number(taken.len()) - mean > 4.0 * mean.sqrt();
    if ratio <= 2.0 || !beyond_chance {
        return None;
    }
    let summary = format!(
        "{busiest} took {} of {all} sessions, {ratio:.1} times the mean of {} backends",
        taken.len(),
        backends.len()
    );
    let table = backends
        .iter()
        .take(32)
        .map(|(backend, trials)| format!("{backend}: {}", trials.len()));
    let mut found = Finding::of_capture(&RULE, Confidence::Likely, summary)
        .data("backends", Value::List(table.collect()))
        .data("ratio", Value::Number(ratio));
    for trial in taken.iter().take(3) {
        found = found.evidence(trial.began, format!("a session of {busiest} begins"));
    }
    Some(
        found
            .cause(
                Confidence::Possible,
                "backends that were added or restarted later: old sessions stay where they are",
            )
            .cause(
                Confidence::Possible,
                "stickiness, or weights that are meant",
            )
            .advice("balance by the fewest connections, and recycle long sessions"),
    )
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, Told};
    use crate::stream::Direction::ClientToServer;

    /// So many sessions of each of these servers, by port.
    fn taken(counts: [u16; 4]) -> Told {
        let mut script = Script::new();
        for (server, count) in (8_080..).zip(counts) {
            script = script.at_server_port(server);
            for port in 0..count {
                script = script
                    .at_port(40_001 + port)
                    .upgrade()
                    .clean_close(ClientToServer);
            }
        }
        script.told()
    }

    #[test]
    fn a_backend_with_most_sessions_is_told() {
        let told = taken([50, 6, 7, 5]);
        assert!(
            told.only("pattern-uneven-backends")
                .summary
                .contains("50 of 68")
        );
    }

    #[test]
    fn what_chance_spreads_is_not() {
        assert!(
            taken([20, 14, 17, 12])
                .of("pattern-uneven-backends")
                .is_empty()
        );
        assert!(
            taken([20, 2, 2, 2])
                .of("pattern-uneven-backends")
                .is_empty()
        );
    }
}
