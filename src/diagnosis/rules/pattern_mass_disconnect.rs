//! `pattern-mass-disconnect`: many sessions of a server ended within two seconds.

use crate::diagnosis::patterns::{Event, Mass, Patterns, backend_of};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "pattern-mass-disconnect",
    severity: Severity::Error,
    summary: "many sessions of one server ended within two seconds",
    explain: "\
## What it means
At least three sessions, and a fifth of those that were open to that server, ended within two seconds without their clients wanting it.
They have a common cause; look for one event, not for many.

## What usually causes it
By `data.kind`:
- `deploy`: Close 1001 or 1012: the server said that it goes away. A deploy, a scale-down, a drained node.
- `restart`: no such word, and the server refused connections afterwards: a crash, a kill, or a deploy that doesn't close sessions.
- `proxy`: a proxy ended them: a reload whose old workers ran out of time (nginx: worker_shutdown_timeout, haproxy: hard-stop-after), or
  its backend went away.
- `network`: the path failed: packets stayed unanswered, or a device wrote resets.
- `policy`: the server closed all with another code, which says why.
- `unknown`: nothing of that shows.

## How to tell them apart
- New connections: refused for a while (restart), taken at once (proxy, network, one of several instances).
- All sessions of one backend while others stay: that instance. `data.backends` names them, where the legs behind a proxy were captured.
- `data.same_age`: they had also begun together, so that equal timers would end them together too.

## What to do
Look at that moment in the logs of deployments, orchestration and proxies. Drain instances: stop taking new sessions, close the old ones
with 1001 or 1012 over some minutes, then exit. Clients should come back with jitter (`pattern-reconnect-storm`).

## References
RFC 6455, sections 7.4.1 and 7.2.3; IANA's registry of close codes for 1012.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for mass in &overview.patterns.masses {
        findings.push(finding(mass, overview.patterns));
    }
}

fn finding(mass: &Mass, patterns: &Patterns<'_>) -> Finding {
    let count = mass.ended.len();
    let said = matches!(mass.event, Event::Shutdown | Event::Policy(_));
    // Equal timers of sessions that began together end them together.
    let alone = mass.same_age && mass.event == Event::Unknown;
    let confidence = match (said || count >= 5, alone) {
        (true, false) => Confidence::Likely,
        _ => Confidence::Possible,
    };
    let cause = match mass.event {
        Event::Shutdown => "; it said that it goes away".to_owned(),
        Event::Restart => "; then it refused connections".to_owned(),
        Event::Proxy => "; a proxy ended them".to_owned(),
        Event::Network => "; the path failed".to_owned(),
        Event::Policy(code) => format!("; it closed them with {code}"),
        Event::Unknown => String::new(),
    };
    let summary = format!(
        "{count} of {} sessions to {} ended within {}{cause}",
        mass.open.max(count),
        mass.server,
        span(mass.within)
    );
    let mut found = Finding::of_capture(&RULE, confidence, summary)
        .severity(match mass.event {
            // It was announced, and clients can tell.
            Event::Shutdown => Severity::Warn,
            _ => RULE.severity,
        })
        .data("kind", Value::Text(mass.event.name().to_owned()))
        .data("ended", Value::Count(count as u64))
        .data("open", Value::Count(mass.open.max(count) as u64))
        .data("server", Value::Text(mass.server.to_string()))
        .data("within_ms", Value::Ms(mass.within))
        .data("same_age", Value::Flag(mass.same_age));
    let ended = || {
        mass.ended
            .iter()
            .filter_map(|place| patterns.trials.get(*place))
    };
    let sessions = ended().filter_map(|trial| trial.session);
    let names = sessions.clone().take(32).map(crate::session::Session::name);
    found = found.data("sessions", Value::List(names.collect()));
    let mut backends: Vec<String> = sessions
        .map(|session| backend_of(session).to_string())
        .collect();
    backends.sort_unstable();
    backends.dedup();
    backends.truncate(8);
    found = found.data("backends", Value::List(backends));
    for trial in ended().take(5) {
        let what = format!(
            "the end of the session of {}; {}",
            trial.client,
            trial.fate.phrase()
        );
        found = found.evidence(trial.over.unwrap_or(trial.began), what);
    }
    if let Some(refused) = mass.refused {
        found = found.evidence(refused, "the server refuses a connection");
    }
    if let Some(back) = mass.back {
        let after = back.time.saturating_since(mass.first.time);
        found = found
            .evidence(back, "the server takes a session again")
            .data("back_ms", Value::Ms(after));
    }
    causes(found, mass)
}

fn causes(mut found: Finding, mass: &Mass) -> Finding {
    let likely = match mass.event {
        Event::Shutdown => {
            "a deploy, a scale-down or a drained node: the server closed with 1001 or 1012"
        }
        Event::Restart => {
            "the server's process went away: a crash, a kill, or a deploy that closes no sessions"
        }
        Event::Proxy => "a reload or restart of the proxy, or of the backend behind it",
        Event::Network => "a failure of the network between the clients and the server",
        Event::Policy(_) => "the server closed all of them for the reason that its code names",
        Event::Unknown => "one event on the server's side: a restart, a proxy, a failover",
    };
    let confidence = match mass.event {
        Event::Unknown => Confidence::Possible,
        _ => Confidence::Likely,
    };
    found = found.cause(confidence, likely);
    if mass.same_age && !matches!(mass.event, Event::Shutdown | Event::Restart) {
        found = found.cause(
            Confidence::Possible,
            "they had begun together, and equal timers ended them together",
        );
    }
    found.advice(match mass.event {
        Event::Shutdown => "spread the closing over some minutes, and let clients come back with jitter",
        Event::Restart => "look why the process ended; drain before a deploy: close with 1001 or 1012, spread over minutes",
        Event::Proxy => "let old workers finish (worker_shutdown_timeout, hard-stop-after) or drain sessions before a reload",
        Event::Network => "look at links, firewalls and failovers at that moment",
        Event::Policy(_) => "look why the server closed all of them at that moment",
        Event::Unknown => "look at deployments, proxies and failovers at that moment",
    })
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// So many sessions of a client each, begun 5 s apart.
    fn open(clients: u8) -> Script {
        (1..=clients).fold(Script::new(), |script, host| {
            script.at_host(host).upgrade().wait_s(5.0)
        })
    }

    fn each(script: Script, clients: u8, play: impl Fn(Script) -> Script) -> Script {
        (1..=clients).fold(script, |script, host| play(script.at_host(host).resume()))
    }

    fn kind(told: &crate::script::Told) -> String {
        let data = &told.only("pattern-mass-disconnect").data;
        match data.iter().find(|(name, _)| *name == "kind") {
            Some((_, Value::Text(kind))) => kind.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sessions_that_a_leaving_server_closes_are_a_deploy() {
        let told = each(open(5), 5, |script| {
            script
                .close(ServerToClient, 1001, "")
                .close(ClientToServer, 1001, "")
                .fin(ServerToClient)
        })
        .told();
        assert_eq!(kind(&told), "deploy");
        assert_eq!(told.only("pattern-mass-disconnect").severity.name(), "warn");
        assert!(told.of("pattern-ungraceful-shutdown").is_empty());
    }

    #[test]
    fn a_server_that_refuses_afterwards_was_restarted() {
        let script = each(open(5), 5, |script| {
            script.fin(ServerToClient).fin(ClientToServer)
        });
        let told = script.at_port(41_000).syn().refuse().told();
        assert_eq!(kind(&told), "restart");
        assert_eq!(
            told.only("pattern-ungraceful-shutdown").confidence.name(),
            "likely"
        );
    }

    #[test]
    fn clients_that_leave_together_or_two_ends_of_many_are_no_event() {
        let left = each(open(5), 5, |script| script.clean_close(ClientToServer)).told();
        assert!(left.of("pattern-mass-disconnect").is_empty());
        let two = each(open(5), 2, |script| {
            script.fin(ServerToClient).fin(ClientToServer)
        })
        .told();
        assert!(two.of("pattern-mass-disconnect").is_empty());
        let few = each(open(20), 3, |script| {
            script.fin(ServerToClient).fin(ClientToServer)
        })
        .told();
        assert!(few.of("pattern-mass-disconnect").is_empty());
    }

    #[test]
    fn one_after_another_is_not_together() {
        let mut script = Script::new();
        for port in 40_001..40_009 {
            script = script
                .at_port(port)
                .upgrade()
                .close(ServerToClient, 1008, "")
                .fin(ServerToClient);
        }
        assert!(script.told().of("pattern-mass-disconnect").is_empty());
    }

    #[test]
    fn sessions_that_each_end_when_their_work_is_done_are_no_event() {
        let open = (1..=6).fold(Script::new(), |script, host| script.at_host(host).upgrade());
        let told = each(open, 6, |script| script.clean_close(ServerToClient)).told();
        assert!(told.of("pattern-mass-disconnect").is_empty());
    }
}
