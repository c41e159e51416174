//! `pattern-duplicate-connections`: one client opens the same URL twice at once.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::diagnosis::patterns::Trial;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};
use crate::session::redact::Secrets;
use crate::stream::PacketRef;

pub(super) static RULE: Rule = Rule {
    id: "pattern-duplicate-connections",
    severity: Severity::Warn,
    summary: "one client opened the same URL several times at once",
    explain: "\
## What it means
The same client opened the same URL at least twice within two seconds, and kept both sessions for more than a second. Each message of the
server then arrives twice.

## What usually causes it
- A component connects in an effect that runs twice: React's StrictMode does that in development, and so does an effect whose cleanup is missing.
- Two parts of one program each open a socket of their own.
- Two tabs of a browser: their sessions seldom begin within two seconds, but a restored window opens all its tabs at once.

## How to tell them apart
- Sessions within some 10 ms: one program. Seconds: tabs.
- One of the two says nothing: it was opened by mistake. Both are used: two parts of the program, or a pool that is meant.

## What to do
Share one socket, or close it in the effect's cleanup. Where several are meant, nothing.

## References
RFC 6455, section 4.1 (one connection in the connecting state at a time).
",
    checks: &[Check::Capture(check)],
};

/// Rationale: what one program opens by mistake comes within two seconds; two that overlap for less than a second replaced each other.
const TOGETHER: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(1));
/// Rationale: more of the same at once are a pool or a load test, which are meant.
const POOL: usize = 4;
/// Rationale: who opens more within two seconds has a pool, or measures.
const SEARCHED: usize = 16;

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let mut same: BTreeMap<_, Vec<&Trial<'_>>> = BTreeMap::new();
    for trial in overview.patterns.trials.iter().filter(|t| t.opened()) {
        let (Some(who), Some(session)) = (trial.identity, trial.session) else {
            continue;
        };
        let Some(own) = who.own else {
            // Without anything of its own a client can't be told from its neighbours.
            continue;
        };
        let url = session.handshake.path().unwrap_or_default();
        let key = (trial.client, trial.service, own, who.look, url);
        same.entry(key).or_default().push(trial);
    }
    let mut found: Vec<Finding> = same
        .into_values()
        .filter_map(|trials| finding(&trials, overview.capture.last))
        .collect();
    found.sort_by_key(|finding| finding.evidence.first().map(|e| e.at));
    findings.extend(found);
}

fn finding(trials: &[&Trial<'_>], last: PacketRef) -> Option<Finding> {
    let group = trials.iter().enumerate().find_map(|(place, first)| {
        let end = |t: &Trial<'_>| t.over.unwrap_or(last).time;
        let group: Vec<&Trial<'_>> = trials
            .get(place..)?
            .iter()
            .copied()
            .take(SEARCHED)
            .take_while(|t| t.began.time.saturating_since(first.began.time) <= TOGETHER.0)
            .filter(|t| {
                let both = end(t).min(end(first));
                both.saturating_since(t.began.time) > TOGETHER.1
            })
            .collect();
        (group.len() >= 2).then_some(group)
    })?;
    if group.len() > POOL {
        return None;
    }
    let (first, newest) = (group.first()?, group.last()?);
    let apart = newest.began.time.saturating_since(first.began.time);
    let path = first.session?.handshake.path()?;
    let path = Secrets::Redacted.target(path);
    let count = group.len();
    let summary = format!(
        "{} opened {path} {count} times within {}",
        first.client,
        span(apart)
    );
    let mut found = Finding::of_capture(&RULE, Confidence::Likely, summary)
        .data("client", Value::Text(first.client.to_string()))
        .data(
            "sessions",
            Value::List(
                group
                    .iter()
                    .filter_map(|t| Some(t.session?.name()))
                    .collect(),
            ),
        )
        .data("apart_ms", Value::Ms(apart));
    for trial in &group {
        let session = trial.session?;
        found = found.evidence(
            session.handshake.request.last,
            format!("the upgrade request of {}", session.name()),
        );
    }
    Some(
        found
            .cause(
                Confidence::Possible,
                "an effect that runs twice, or two parts of one program",
            )
            .cause(Confidence::Possible, "two tabs, or a pool that is meant")
            .advice("share one socket, or close it where the component goes away"),
    )
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, Told};

    fn opened(users: &[u8]) -> Told {
        let mut script = Script::new();
        for (port, user) in (40_001..).zip(users) {
            let fields = format!("Cookie: sessionid=user{user}\r\n");
            script = script.at_port(port).upgrade_with(&fields, "");
        }
        script
            .wait_s(5.0)
            .ping(crate::stream::Direction::ClientToServer, b"")
            .told()
    }

    #[test]
    fn two_sessions_of_one_user_at_once_are_told() {
        let told = opened(&[1, 1]);
        assert!(
            told.only("pattern-duplicate-connections")
                .summary
                .contains("2 times")
        );
    }

    #[test]
    fn two_users_or_a_pool_are_not() {
        assert!(
            opened(&[1, 2])
                .of("pattern-duplicate-connections")
                .is_empty()
        );
        assert!(
            opened(&[1; 9])
                .of("pattern-duplicate-connections")
                .is_empty()
        );
    }
}
