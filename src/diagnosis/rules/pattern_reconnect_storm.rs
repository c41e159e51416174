//! `pattern-reconnect-storm`: many clients come back at once.

use crate::diagnosis::patterns::{Patterns, Storm};
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "pattern-reconnect-storm",
    severity: Severity::Error,
    summary: "many clients came back within the same second",
    explain: "\
## What it means
At least 20 clients whose sessions had failed tried again within one second, more than five times as often as in the minute before. A
server that has just come up then meets its whole load at once, TLS handshakes and logins included, and may fall over again.
`data.in_step` is the share of that second's tries which fell into one tenth of it.

## What usually causes it
- All sessions ended at once, by a deploy or a crash (`pattern-mass-disconnect`), and all clients wait equally long.
- A fixed timer without chance: the tries come as a comb, every T seconds.

## How to tell them apart
- `mass-disconnect` in `data`: how long before all had ended at once.
- `in_step` near 1: clients in lockstep. A spread-out second: they have some chance in their delays, but too little for their number.
- Nothing ended before: it isn't this finding. New clients in the morning don't count, only those that come back.

## What to do
Full jitter: wait a random time between 0 and min(cap, base * 2^n). Let the server close with 1012 (restart) at spread-out times, limit new
connections a second at the proxy (with 503 and Retry-After), and drain instances one by one.

## References
RFC 6455, section 7.2.3 (a random delay before the first reconnect).
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for storm in &overview.patterns.storms {
        findings.push(finding(storm, overview.patterns));
    }
}

fn finding(storm: &Storm, patterns: &Patterns<'_>) -> Finding {
    let tries = storm.tries.len();
    let percent = (storm.in_step * 100.0).round();
    let before = patterns
        .masses
        .iter()
        .rev()
        .find(|mass| mass.server == storm.server && mass.first < storm.first);
    let after = match before {
        Some(mass) => format!(
            ", after {} of their sessions had ended at once",
            mass.ended.len()
        ),
        None => String::new(),
    };
    let summary = format!(
        "{} clients tried {tries} times within a second to come back to {}{after}; {percent:.0} % of that within 100 ms",
        storm.clients, storm.server
    );
    let mut found = Finding::of_capture(&RULE, Confidence::Likely, summary)
        .data("clients", Value::Count(storm.clients as u64))
        .data("attempts", Value::Count(tries as u64))
        .data("all_attempts", Value::Count(storm.all as u64))
        .data("server", Value::Text(storm.server.to_string()))
        .data("in_step", Value::Number(storm.in_step));
    if let Some(mass) = before {
        let ago = storm.first.time.saturating_since(mass.first.time);
        found = found
            .data("mass_disconnect_ms", Value::Ms(ago))
            .evidence(mass.first, "the first of the sessions that ended at once")
            .cause(
                Confidence::Likely,
                "their sessions had ended at once, and all wait equally long",
            );
    }
    for trial in storm
        .tries
        .iter()
        .take(5)
        .filter_map(|place| patterns.trials.get(*place))
    {
        found = found.evidence(trial.began, format!("{} tries again", trial.client));
    }
    if storm.in_step >= 0.5 {
        found = found.cause(
            Confidence::Likely,
            "a fixed delay without chance: the clients move in step",
        );
    }
    found
        .cause(Confidence::Possible, "the server fails again under the load of those who come back")
        .advice("add full jitter to the clients' delays: a random time up to min(cap, base * 2^n); limit new connections a second at the proxy")
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// So many clients of one host each, dropped together, that come back after `apart` seconds from each other.
    fn back(clients: u8, apart: f64) -> Script {
        let mut script = Script::new();
        for host in 1..=clients {
            script = script.at_host(host).upgrade();
        }
        for host in 1..=clients {
            script = script
                .at_host(host)
                .resume()
                .fin(ServerToClient)
                .fin(ClientToServer);
        }
        for host in 1..=clients {
            script = script
                .at_host(host)
                .at_port(41_000)
                .upgrade()
                .wait_s(apart)
                .at_port(40_001);
        }
        script
    }

    #[test]
    fn clients_that_come_back_in_one_second_are_a_storm() {
        let told = back(30, 0.0).told();
        let finding = told.only("pattern-reconnect-storm");
        assert!(
            finding.summary.contains("30 clients"),
            "{}",
            finding.summary
        );
        assert!(told.of("pattern-reconnect-loop").is_empty());
    }

    #[test]
    fn those_who_take_their_time_or_come_for_the_first_time_are_none() {
        assert!(
            back(30, 1.0)
                .told()
                .of("pattern-reconnect-storm")
                .is_empty()
        );
        let mut script = Script::new();
        for host in 1..=40 {
            script = script.at_host(host).upgrade();
        }
        assert!(script.told().of("pattern-reconnect-storm").is_empty());
    }
}
