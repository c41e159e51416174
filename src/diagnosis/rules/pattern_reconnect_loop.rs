//! `pattern-reconnect-loop`: a client connects and fails, again and again.

use crate::diagnosis::patterns::{Fate, Retries, storm_of};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Subject, Value};

pub(super) static RULE: Rule = Rule {
    id: "pattern-reconnect-loop",
    severity: Severity::Error,
    summary: "a client connects and fails again and again",
    explain: "\
## What it means
The same client tried at least three times within a minute, and each try failed or was over in less than a minute. `data.stage` tells how
far it came (`connect`, `tls`, `handshake`, `open`), `data.delays_ms` what it waited between, `data.backoff` the shape of that and
`data.habit` whose it is, where it is known. Clients are told apart by token, session cookie or the id that they name, else by address,
User-Agent, ClientHello and path; a proxy's X-Forwarded-For counts as the address. With several clients of one server it is one finding.

## What usually causes it
- Credentials that the server refuses, sent again unchanged (`auth-retry-same-token`).
- A message that the server can't take (1009, 1007, 1003): the client sends it again after each reconnect.
- The server isn't there, or fails while it starts the session.
- A proxy that takes the upgrade and drops the connection at once.

## How to tell them apart
- `stage` `connect`: the server. `handshake`: see the finding about the answer. `open`: see the one about the close; all the same age or
  after the same message means a cause inside the session.
- The last packets before each end are alike: look at the message that comes right before.
- One client of many: its own data or credentials. All of them: the server (`pattern-mass-disconnect`, `pattern-reconnect-storm`).

## What to do
Mend what ends each try; the loop only follows. Then let the client stop for what won't pass (401, 4401, 1009), wait longer each time
otherwise, and reset its waiting only after a session has lasted a while.

## References
RFC 6455, section 7.2.3.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for retries in overview.patterns.retries() {
        // Many at once are the storm's.
        if storm_of(overview.patterns, retries.server).is_none() {
            findings.extend(finding(&retries));
        }
    }
}

fn finding(retries: &Retries<'_, '_>) -> Option<Finding> {
    let longest = retries.loops.iter().max_by_key(|one| one.tries.len())?;
    let first = longest.first()?;
    let fate = longest.fate()?;
    let (count, server) = (retries.count(), retries.server);
    let lasted = longest.lasted();
    let (clients, client) = (retries.loops.len(), first.client);
    let how = match longest.backoff.delays.is_empty() {
        true => String::new(),
        false => format!(", again {}", longest.backoff.phrase()),
    };
    let summary = match clients {
        1 => format!(
            "{client} tried {count} times in {} to hold a WebSocket to {server}{how}; {}",
            span(lasted),
            fate.phrase()
        ),
        _ => format!(
            "{clients} clients tried {count} times to hold a WebSocket to {server}{how}; {}",
            fate.phrase()
        ),
    };
    // A client that ends its own connections may mean to.
    let wanted = fate == Fate::Quit;
    let known = first.identity.is_some_and(|who| who.own.is_some());
    let confidence = match (wanted, known || longest.tries.len() >= 5) {
        // A few by somebody at that address are a few users, or one who tries something out.
        (true, false) => return None,
        (true, true) => Confidence::Possible,
        (false, true) => Confidence::Likely,
        (false, false) => Confidence::Possible,
    };
    let mut found = Finding::of_capture(&RULE, confidence, summary)
        .data("kind", Value::Text(fate.stage().to_owned()))
        .data("stage", Value::Text(fate.stage().to_owned()))
        .data("attempts", Value::Count(count as u64))
        .data("clients", Value::Count(clients as u64))
        .data("server", Value::Text(server.to_string()))
        .data("lasted_ms", Value::Ms(lasted))
        .data("delays_ms", Value::List(longest.backoff.listed()))
        .data("backoff", Value::Text(longest.backoff.phrase()))
        .data("recovered", Value::Flag(longest.then.is_some()));
    if clients == 1 {
        found = found.data("client", Value::Text(client.to_string()));
        if let Some(session) = first.session {
            found.subject = Subject::Connection {
                client: session.leg.client,
                server,
            };
        }
    }
    if let Some(habit) = longest.backoff.habit {
        found = found.data("habit", Value::Text(habit.to_owned()));
    }
    if wanted {
        found = found.severity(Severity::Warn);
    }
    for (at, what) in retries.shown() {
        found = found.evidence(at, what);
    }
    found.evidence.sort_by_key(|evidence| evidence.at);
    let (cause, advice) = cause_of(fate);
    Some(found.cause(Confidence::Likely, cause).advice(advice))
}

fn cause_of(fate: Fate) -> (&'static str, &'static str) {
    match fate {
        Fate::NoConnection => (
            "the server doesn't take connections",
            "bring the server up; let clients wait longer after each failure",
        ),
        Fate::NoRequest => (
            "TLS or the tunnel before the WebSocket fails",
            "see the finding about TLS or the tunnel",
        ),
        Fate::Rejected(401 | 403 | 407) => (
            "the client's credentials are refused, and it sends them again",
            "renew the credentials before trying again, and stop when fresh ones are refused",
        ),
        Fate::Rejected(_) | Fate::NoAnswer => (
            "the upgrade is not accepted, and trying again changes nothing",
            "see the finding about the answer, and mend that first",
        ),
        Fate::Closed(1009) | Fate::Failed(1009) => (
            "the same oversized message is sent after each reconnect",
            "split the message or raise the limit, and don't send again what was refused as too big",
        ),
        Fate::Closed(_) | Fate::Failed(_) => (
            "the cause that the Close frame names comes back in each session",
            "mend what the Close code says, and don't reconnect for codes that won't pass",
        ),
        Fate::Quit => (
            "the client gives up its connections itself: a timer or a failure of its own, or a network that comes and goes",
            "look in the client's log for what ends the connection",
        ),
        _ => (
            "something on the path or in the server ends each connection soon after it opens",
            "see the finding about the end of the sessions, and mend that first",
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn sessions_that_are_dropped_again_and_again_are_a_loop() {
        let mut script = Script::new();
        for port in 40_001..40_006 {
            script = script
                .at_port(port)
                .upgrade()
                .text(ClientToServer, "hi")
                .fin(ServerToClient)
                .fin(ClientToServer)
                .wait_s(1.0);
        }
        let told = script.told();
        let finding = told.only("pattern-reconnect-loop");
        assert!(finding.data.contains(&("attempts", Value::Count(5))));
        assert!(
            finding
                .data
                .contains(&("stage", Value::Text("open".to_owned())))
        );
        assert_eq!(finding.confidence.name(), "likely");
        assert!(
            finding.summary.contains("every 1.0 s"),
            "{}",
            finding.summary
        );
    }

    #[test]
    fn one_session_after_another_that_ends_well_is_no_loop() {
        let mut script = Script::new();
        for port in 40_001..40_050 {
            script = script.at_port(port).upgrade().clean_close(ClientToServer);
        }
        assert!(script.told().of("pattern-reconnect-loop").is_empty());
    }

    #[test]
    fn a_client_that_drops_a_few_connections_itself_may_mean_to() {
        let quits = |count: u16| {
            let mut script = Script::new();
            for port in 40_001..=40_000 + count {
                script = script.at_port(port).upgrade().fin(ClientToServer);
                script = script.fin(ServerToClient).wait_s(1.0);
            }
            script.told()
        };
        assert!(quits(3).of("pattern-reconnect-loop").is_empty());
        let five = quits(5);
        assert_eq!(five.only("pattern-reconnect-loop").severity.name(), "warn");
    }

    #[test]
    fn clients_behind_one_address_that_each_fail_once_are_no_loop() {
        let mut script = Script::new();
        for (port, user) in (40_001..40_006).zip(1..) {
            script = script
                .at_port(port)
                .upgrade_with(&format!("Authorization: Bearer user{user}\r\n"), "")
                .fin(ServerToClient)
                .fin(ClientToServer);
        }
        assert!(script.told().of("pattern-reconnect-loop").is_empty());
    }
}
