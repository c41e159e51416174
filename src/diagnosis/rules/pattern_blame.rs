//! `pattern-blame`: failures concentrate on one client, network, server, path or kind of client.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::diagnosis::patterns::{Trial, backend_of};
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};
use crate::session::redact::Secrets;

pub(super) static RULE: Rule = Rule {
    id: "pattern-blame",
    severity: Severity::Info,
    summary: "failures concentrate: on one client, one network, one server, one path, one kind of client",
    explain: "\
## What it means
Is it us or them? Of all ways to split the tries in two by one property, this one separates failures from successes best: within the group
failing is at least five times as frequent as outside (`data.relative_risk`), and at least five tries of it failed. `data.kind` names the
property: `client`, `network` (/24, or /64 of IPv6), `server`, `backend`, `path`, `user-agent`.

## What usually causes it
- `client`, `network`: something on their side: a proxy, a firewall, a bad link, wrong credentials. Them.
- `server`, `backend`: an instance that is ill. Us.
- `path`: one handler of the application. Us.
- `user-agent`: one version of a client's program or library.

## How to tell them apart
Properties go together: one network may have all clients of one version. Look whether others of the same kind outside of the group do
well. What is spread over all of them evenly is a common cause, and gives no finding here.

## What to do
Look at what is named first, and compare one of its failures with a success outside.

## References
None; it is arithmetic.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: five times as often and five failures are more than chance; ten others tell what is usual.
const BLAME: (f64, usize, usize) = (5.0, 5, 10);

/// Failures and all tries.
#[derive(Clone, Copy, Default)]
struct Tally {
    failed: usize,
    all: usize,
}

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let trials = &overview.patterns.trials;
    if trials.len() < BLAME.1.saturating_add(BLAME.2) {
        return;
    }
    let mut tables: BTreeMap<(&'static str, String), Tally> = BTreeMap::new();
    let mut whole: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let failed = trials.iter().filter(|t| t.fate.is_failure()).count();
    if failed < BLAME.1 || failed == trials.len() {
        return;
    }
    for trial in trials {
        for (kind, value) in properties(trial) {
            for tally in [
                tables.entry((kind, value)).or_default(),
                whole.entry(kind).or_default(),
            ] {
                tally.all = tally.all.saturating_add(1);
                tally.failed = tally
                    .failed
                    .saturating_add(usize::from(trial.fate.is_failure()));
            }
        }
    }
    let mut best: Option<(f64, &'static str, &str, Tally, Tally)> = None;
    for ((kind, value), inside) in &tables {
        let Some(all) = whole.get(kind) else { continue };
        let outside = Tally {
            failed: all.failed.saturating_sub(inside.failed),
            all: all.all.saturating_sub(inside.all),
        };
        let risk = relative_risk(*inside, outside);
        let support = inside.failed >= BLAME.1 && outside.all >= BLAME.2;
        let better = best.as_ref().is_none_or(|best| risk > best.0);
        if support && risk >= BLAME.0 && better {
            best = Some((risk, kind, value, *inside, outside));
        }
    }
    if let Some((risk, kind, value, inside, outside)) = best {
        findings.push(finding(trials, (kind, value), risk, inside, outside));
    }
}

/// Half a failure is added outside, so that none there divides.
fn relative_risk(inside: Tally, outside: Tally) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let within = number(inside.failed) / number(inside.all.max(1));
    within / ((number(outside.failed) + 0.5) / (number(outside.all) + 1.0))
}

fn properties(trial: &Trial<'_>) -> Vec<(&'static str, String)> {
    let mut found = vec![
        ("client", trial.client.to_string()),
        ("network", network_of(trial.client)),
        ("server", trial.server.to_string()),
    ];
    if let Some(session) = trial.session {
        let backend = backend_of(session);
        if backend != trial.server {
            found.push(("backend", backend.to_string()));
        }
        let path = session
            .handshake
            .path()
            .and_then(|path| path.split('?').next());
        if let Some(path) = path {
            found.push(("path", Secrets::Redacted.target(path).into_owned()));
        }
        if let Some(agent) = session.handshake.request.headers.first("User-Agent") {
            found.push((
                "user-agent",
                agent.chars().filter(|c| !c.is_control()).take(80).collect(),
            ));
        }
    }
    found
}

fn network_of(host: IpAddr) -> String {
    match host {
        IpAddr::V4(host) => {
            let [a, b, c, _] = host.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(host) => {
            let [a, b, c, d, ..] = host.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

fn finding(
    trials: &[Trial<'_>],
    (kind, value): (&'static str, &str),
    risk: f64,
    inside: Tally,
    outside: Tally,
) -> Finding {
    let percent =
        inside.failed.saturating_mul(100) / inside.failed.saturating_add(outside.failed).max(1);
    let what = match kind {
        "user-agent" => "clients that call themselves",
        "path" => "the path",
        "client" => "the client",
        "network" => "the network",
        "backend" => "the backend",
        _ => "the server",
    };
    let summary = format!(
        "{percent} % of the failures are of {what} {value}: {} of its {} tries failed, and {} of {} others",
        inside.failed, inside.all, outside.failed, outside.all
    );
    let mut found = Finding::of_capture(&RULE, Confidence::Possible, summary)
        .data("kind", Value::Text(kind.to_owned()))
        .data("value", Value::Text(value.to_owned()))
        .data("relative_risk", Value::Number(risk))
        .data("failed", Value::Count(inside.failed as u64))
        .data("tries", Value::Count(inside.all as u64))
        .data("others_failed", Value::Count(outside.failed as u64))
        .data("others", Value::Count(outside.all as u64));
    let own = trials.iter().filter(|t| {
        t.fate.is_failure() && properties(t).iter().any(|(k, v)| *k == kind && v == value)
    });
    for trial in own.take(3) {
        found = found.evidence(trial.over.unwrap_or(trial.began), trial.fate.phrase());
    }
    let cause = match kind {
        "client" | "network" => "something on the clients' side: others reach the same servers",
        "user-agent" => "this kind of client",
        _ => "something on the servers' side: clients do well elsewhere",
    };
    found
        .cause(Confidence::Possible, cause)
        .cause(
            Confidence::Possible,
            "another property that goes together with this one",
        )
        .advice("compare one of these failures with a success outside of the group")
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, Told};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// Sessions of 30 hosts to two servers; those for which `fails` holds are dropped.
    fn lived(fails: impl Fn(u8, u16) -> bool) -> Told {
        let mut script = Script::new();
        for host in 1..=30 {
            for server in [8_080, 8_081] {
                script = script
                    .at_server_port(server)
                    .at_host(host)
                    .upgrade()
                    .wait_s(1.0);
                script = match fails(host, server) {
                    true => script.fin(ServerToClient).fin(ClientToServer),
                    false => script.clean_close(ClientToServer),
                };
            }
        }
        script.told()
    }

    #[test]
    fn a_server_on_which_most_failures_are_is_named() {
        let told = lived(|host, server| server == 8_081 && host % 2 == 0);
        let finding = told.only("pattern-blame");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("server".to_owned())))
        );
        assert!(
            finding.summary.contains("10.0.0.2:8081"),
            "{}",
            finding.summary
        );
    }

    #[test]
    fn failures_that_are_spread_evenly_blame_nobody() {
        assert!(
            lived(|host, _| host % 3 == 0)
                .of("pattern-blame")
                .is_empty()
        );
        assert!(lived(|_, _| false).of("pattern-blame").is_empty());
    }
}
