//! `pattern-periodic-disconnect`: the ends of a server's sessions follow a timer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::diagnosis::patterns::{Fate, Trial};
use crate::diagnosis::timeouts::{Counts, Timeouts};
use crate::diagnosis::wording::{span, timer_length};
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "pattern-periodic-disconnect",
    severity: Severity::Error,
    summary: "the sessions of a server end after equal times: a timer, not the network",
    explain: "\
## What it means
Three sessions and more of one server were ended, not by their clients, at different moments but after equal times: the spread (coefficient
of variation, `data.cv`) is below 2 %. Networks don't do that; timers do. `data.kind` `idle`: equal silence before the end, an idle timer.
`lifetime`: equal age at the end, a limit on how long a session may live. `data.timer_ms` is the timer.

## What usually causes it
- `idle`: the read timeout of a proxy or a load balancer (nginx 60 s, ALB 60 s), or of the server.
- `lifetime`: a limit of a gateway (API Gateway 2 h), a token's lifetime (`auth-expiry-kill`), a worker that is recycled.

## How to tell them apart
- Send something now and then: an idle timer stops striking, a limit doesn't care.
- The causes name known timers that fit. The findings about each session tell whether a proxy or the server ended it.

## What to do
`idle`: Pings at half the timer, in both directions if two proxies count, or a longer timer. `lifetime`: open the next session before the
limit, and move over.

## References
RFC 6455, section 5.5.2.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: three make a cluster if they are within 2 %; a shorter time than 0.9 s is no timer that people set.
const CLUSTER: (usize, f64, Duration) = (3, 0.02, Duration::from_millis(900));
/// Rationale: ends within 2 s have a common event, not a timer each.
const TOGETHER: Duration = Duration::from_secs(2);

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let mut servers: BTreeMap<_, Vec<&Trial<'_>>> = BTreeMap::new();
    for trial in overview.patterns.trials.iter().filter(|t| is_ended(t)) {
        servers.entry(trial.server).or_default().push(trial);
    }
    for ended in servers.values().filter(|ended| ended.len() >= CLUSTER.0) {
        findings.extend(finding(ended, overview.thresholds.timeouts));
    }
}

/// Not by its client, and not for what that sent.
fn is_ended(trial: &Trial<'_>) -> bool {
    let theirs = match trial.fate {
        Fate::Closed(code) => !matches!(code, 1002 | 1003 | 1007 | 1009 | 1010),
        Fate::Dropped => true,
        _ => false,
    };
    theirs && trial.opened()
}

fn idle(trial: &Trial<'_>) -> Option<f64> {
    // What was sent right before a Close frame is not known here.
    let closing = trial.closing.as_ref()?;
    closing.idle.map(|idle| idle.as_secs_f64())
}

fn age(trial: &Trial<'_>) -> Option<f64> {
    let leg = &trial.session?.leg;
    let (began, over) = (leg.established?, trial.over?);
    Some(over.time.saturating_since(began.time).as_secs_f64())
}

/// The mean and the coefficient of variation, of all or of none.
fn cluster(ended: &[&Trial<'_>], measure: fn(&Trial<'_>) -> Option<f64>) -> Option<(f64, f64)> {
    let values: Vec<f64> = ended.iter().map(|t| measure(t)).collect::<Option<_>>()?;
    let count = f64::from(u32::try_from(values.len()).ok()?);
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    let cv = variance.sqrt() / mean;
    (mean >= CLUSTER.2.as_secs_f64() && cv < CLUSTER.1).then_some((mean, cv))
}

fn finding(ended: &[&Trial<'_>], known: &Timeouts) -> Option<Finding> {
    let overs = ended
        .iter()
        .filter_map(|trial| trial.over)
        .map(|over| over.time);
    let spread = overs.clone().max()?.saturating_since(overs.min()?);
    if spread <= TOGETHER {
        return None;
    }
    let (kind, counts, (mean, cv)) = match cluster(ended, idle) {
        Some(found) => ("idle", Counts::Idle, found),
        None => ("lifetime", Counts::Lifetime, cluster(ended, age)?),
    };
    let timer = Duration::try_from_secs_f64(mean).ok()?;
    let (count, server) = (ended.len(), ended.first()?.server);
    let of = match kind {
        "idle" => "of silence",
        _ => "of life",
    };
    let summary = format!(
        "{count} sessions to {server} were ended after {} {of} each (spread {:.1} %): a timer, not the network",
        timer_length(timer),
        cv * 100.0
    );
    let mut found = Finding::of_capture(&RULE, Confidence::Likely, summary)
        .data("kind", Value::Text(kind.to_owned()))
        .data("timer_ms", Value::Ms(timer))
        .data("cv", Value::Number(cv))
        .data("sessions", Value::Count(count as u64))
        .data("server", Value::Text(server.to_string()));
    for trial in ended.iter().take(3) {
        let value = if kind == "idle" {
            idle(trial)
        } else {
            age(trial)
        };
        let after = Duration::try_from_secs_f64(value?).ok()?;
        found = found.evidence(
            trial.over?,
            format!("the end of a session after {} {of}", span(after)),
        );
    }
    for row in known.fitting(counts, timer).take(3) {
        found = found.cause(Confidence::Possible, row.candidate());
    }
    Some(match kind {
        "idle" => found
            .cause(
                Confidence::Likely,
                "an idle timer of a proxy, a load balancer or the server",
            )
            .advice(format!(
                "send Pings every {}, or raise the timer",
                span(timer / 2)
            )),
        _ => found
            .cause(
                Confidence::Likely,
                "a limit on the age of sessions, of a gateway, the server or a token",
            )
            .advice(format!(
                "open the next session after {} and move over, or raise the limit",
                span(timer.mul_f64(0.9))
            )),
    })
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, Told};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn lives(seconds: &[(f64, f64)]) -> Told {
        let mut script = Script::new();
        for (port, (busy, quiet)) in (40_001..).zip(seconds) {
            script = script
                .at_port(port)
                .upgrade()
                .wait_s(*busy)
                .text(ClientToServer, "hi")
                .wait_s(*quiet)
                .fin(ServerToClient)
                .fin(ClientToServer);
        }
        script.told()
    }

    fn kind(told: &Told) -> bool {
        let data = &told.only("pattern-periodic-disconnect").data;
        data.contains(&("kind", Value::Text("idle".to_owned())))
    }

    #[test]
    fn equal_silences_are_an_idle_timer_and_equal_ages_a_limit() {
        assert!(kind(&lives(&[(1.0, 4.0), (7.0, 4.01), (3.0, 4.0)])));
        assert!(!kind(&lives(&[(5.0, 2.0), (4.0, 3.0), (6.0, 1.0)])));
    }

    #[test]
    fn two_ends_or_unequal_ones_are_no_timer() {
        for seconds in [
            &[(1.0, 4.0), (7.0, 4.0)][..],
            &[(1.0, 4.0), (7.0, 5.0), (3.0, 2.0)],
        ] {
            assert!(lives(seconds).of("pattern-periodic-disconnect").is_empty());
        }
    }
}
