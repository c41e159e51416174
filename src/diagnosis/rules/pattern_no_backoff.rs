//! `pattern-no-backoff`: clients that retry at a fixed short pace, or never.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::diagnosis::patterns::{Fate, Patterns, Shape, Trial};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "pattern-no-backoff",
    severity: Severity::Warn,
    summary: "a client retries at a fixed short pace, or doesn't come back at all",
    explain: "\
## What it means
`data.kind` `fixed`: after at least four failures the client waited equally long each time, less than two seconds, however often it had
failed before. `never`: the server's side or the path ended its session, and it did not try again for two minutes, though others or the
capture went on.

## What usually causes it
- `setTimeout(connect, 1000)` in the close handler, or a call of `connect()` there at once.
- No reconnect at all: the close handler is missing, or it looks only at `wasClean` or at certain codes; or five attempts were used up.
- A person closed the page or the device went away: then `never` is right.

## How to tell them apart
- `data.delays_ms` shows the pace. The first retry at once is good practice, the second one is not.
- `never` for one client of many that came back: that client. For all: the code lacks it.

## What to do
Exponential backoff with full jitter: wait a random time between 0 and min(30 s, 1 s * 2^n); reset n only after a session that lasted.
Stop for codes and statuses that won't pass (401, 1008, 4401). Listen to the browser's `online` and `visibilitychange` events to come
back sooner.

## References
RFC 6455, section 7.2.3.
",
    checks: &[Check::Capture(paced), Check::Capture(never)],
};

/// Rationale: a fifth failure at the same pace shows that there is no growth; two seconds are short for a server that restarts.
const PACE: (usize, Duration) = (4, Duration::from_secs(2));
/// Rationale: every known library has tried again by then.
const NEVER: Duration = Duration::from_secs(120);

fn paced(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for retries in overview.patterns.retries() {
        let paced: Vec<_> = retries
            .loops
            .iter()
            .filter(|one| one.backoff.delays.len() >= PACE.0)
            .filter(|one| matches!(one.backoff.shape, Shape::Constant(every) if every < PACE.1))
            // Its own ends aren't failures of the other side to be waited for.
            .filter(|one| one.fate() != Some(Fate::Quit))
            .collect();
        let Some(first) = paced.first() else { continue };
        let (Some(trial), Some(middle)) = (first.first(), first.backoff.median()) else {
            continue;
        };
        let pace = first.backoff.phrase();
        let (count, server) = (paced.len(), retries.server);
        let who = match count {
            1 => format!("{} retries", trial.client),
            count => format!("{count} clients retry"),
        };
        let summary = format!(
            "{who} {pace} to connect to {server}, without waiting longer after each failure"
        );
        let mut found = Finding::of_capture(&RULE, Confidence::Likely, summary)
            .data("kind", Value::Text("fixed".to_owned()))
            .data("clients", Value::Count(count as u64))
            .data("server", Value::Text(server.to_string()))
            .data("delay_ms", Value::Ms(middle))
            .data("delays_ms", Value::List(first.backoff.listed()));
        if let Some(habit) = first.backoff.habit {
            found = found.data("habit", Value::Text(habit.to_owned()));
        }
        for trial in first.tries.iter().take(5) {
            found = found.evidence(
                trial.began,
                format!("{} tries; {}", trial.client, trial.fate.phrase()),
            );
        }
        findings.push(
            found
                .cause(Confidence::Likely, "the close handler calls connect() at once or by a fixed timer")
                .advice("use exponential backoff with full jitter, up to 30 s, and reset it only after a session that lasted"),
        );
    }
}

fn never(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let gone = who_never_came(overview.patterns, overview);
    let mut servers: BTreeMap<SocketAddr, Vec<&Trial<'_>>> = BTreeMap::new();
    for place in gone {
        if let Some(trial) = overview.patterns.trials.get(place) {
            servers.entry(trial.server).or_default().push(trial);
        }
    }
    for (server, gone) in servers {
        let count = gone.len();
        let Some(first) = gone.first() else {
            continue;
        };
        let over = first.over.unwrap_or(first.began);
        let silent = overview.capture.last.time.saturating_since(over.time);
        let summary = match count {
            1 => format!(
                "{} did not come back to {server} within {} of the end of its session",
                first.client,
                span(silent)
            ),
            count => format!(
                "{count} clients did not come back to {server} after their sessions were ended"
            ),
        };
        let mut found = Finding::of_capture(&RULE, Confidence::Possible, summary)
            .severity(Severity::Info)
            .data("kind", Value::Text("never".to_owned()))
            .data("clients", Value::Count(count as u64))
            .data("server", Value::Text(server.to_string()));
        for trial in gone.iter().take(5) {
            let at = trial.over.unwrap_or(trial.began);
            found = found.evidence(at, format!("the end of the session of {}", trial.client));
        }
        findings.push(
            found
                .cause(Confidence::Possible, "the client doesn't reconnect, or not for this way of ending")
                .cause(Confidence::Possible, "its user or its device was gone anyway")
                .advice("if its user was still there: reconnect in the close handler, whatever the code, unless it says that it won't pass"),
        );
    }
}

/// Tries that were dropped, long before the capture ended, and that nothing of the same client follows.
fn who_never_came(patterns: &Patterns<'_>, overview: &Overview<'_>) -> Vec<usize> {
    let last = |chain: &Vec<usize>| {
        let place = *chain.last()?;
        let trial = patterns.trials.get(place)?;
        let over = trial.over?;
        let dropped = trial.opened()
            && matches!(trial.fate, Fate::Dropped | Fate::Closed(1001 | 1011..=1014));
        let waited = overview.capture.last.time.saturating_since(over.time) > NEVER;
        (dropped && waited).then_some(place)
    };
    let gone: Vec<usize> = patterns.chains.iter().filter_map(last).collect();
    // Another chain of the same client is a client that came back.
    let mut clients: Vec<_> = patterns
        .trials
        .iter()
        .map(|t| (t.client, t.service, t.began))
        .collect();
    clients.sort_unstable();
    gone.into_iter()
        .filter(|place| {
            let Some(trial) = patterns.trials.get(*place) else {
                return false;
            };
            let over = trial.over.unwrap_or(trial.began);
            let from = clients.partition_point(|c| *c <= (trial.client, trial.service, over));
            clients
                .get(from)
                .is_none_or(|c| (c.0, c.1) != (trial.client, trial.service))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn refused(delays: &[f64]) -> Script {
        let mut script = Script::new()
            .upgrade()
            .fin(ServerToClient)
            .fin(ClientToServer);
        for (port, delay) in (40_002..).zip(delays) {
            script = script.wait_s(*delay).at_port(port).syn().refuse();
        }
        script
    }

    #[test]
    fn equal_delays_of_half_a_second_are_no_backoff() {
        let told = refused(&[0.5; 6]).told();
        let finding = told.only("pattern-no-backoff");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("fixed".to_owned())))
        );
        assert!(finding.summary.contains("every 50"), "{}", finding.summary);
    }

    #[test]
    fn growing_delays_are_backoff() {
        let told = refused(&[1.0, 2.0, 4.0, 8.0, 16.0]).told();
        assert!(told.of("pattern-no-backoff").is_empty());
        let finding = told.only("pattern-reconnect-loop");
        let habit = finding.data.iter().find(|(name, _)| *name == "habit");
        assert!(habit.is_some(), "{finding:?}");
    }

    #[test]
    fn a_client_that_was_dropped_and_stays_away_is_worth_a_word() {
        let dropped = || {
            Script::new()
                .upgrade()
                .fin(ServerToClient)
                .fin(ClientToServer)
        };
        let told = dropped().wait_s(200.0).at_host(2).upgrade().told();
        assert_eq!(told.only("pattern-no-backoff").severity.name(), "info");
        let back = dropped()
            .wait_s(60.0)
            .at_port(40_002)
            .upgrade()
            .wait_s(150.0)
            .text(ClientToServer, "hi");
        assert!(back.told().of("pattern-no-backoff").is_empty());
    }
}
