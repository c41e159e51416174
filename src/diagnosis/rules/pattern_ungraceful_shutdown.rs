//! `pattern-ungraceful-shutdown`: a server went away without a word to its clients.

use crate::diagnosis::patterns::{Event, Mass};
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "pattern-ungraceful-shutdown",
    severity: Severity::Warn,
    summary: "a server went away without Close frames: clients saw 1006 instead of 1001 or 1012",
    explain: "\
## What it means
All sessions of a server ended together (`pattern-mass-disconnect`), and not one of them got a Close frame. Its clients can't tell this
from a network failure.

## What usually causes it
- The process ends on SIGTERM without closing its sessions: most HTTP servers' graceful shutdown leaves upgraded connections alone.
- The time to shut down is too short, and SIGKILL comes first (Kubernetes: terminationGracePeriodSeconds).
- A crash, or a kill for want of memory: no program can say good-bye then.

## How to tell them apart
- It happens at each deploy: the shutdown. At other times: crashes; look for exit codes 137 (killed) and 139.
- FINs: the kernel closed the sockets of a process that ended. Resets: there was unread data in them.

## What to do
On SIGTERM stop accepting, send Close 1001 (or 1012) to all sessions, spread over some seconds, wait for the answers, then exit. Node's ws:
`for (const c of wss.clients) c.close(1001)`; Spring, SignalR and others do it in their shutdown hooks if they get the time.

## References
RFC 6455, sections 7.1.1 and 7.4.1.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for mass in &overview.patterns.masses {
        let gone = match mass.event {
            Event::Restart => true,
            // Without a refusal only all of them at once speak for the server's end.
            Event::Unknown => {
                mass.ended.len() >= 5 && mass.ended.len() >= mass.open && !mass.same_age
            }
            _ => false,
        };
        if gone && mass.wordless {
            findings.extend(finding(mass, overview));
        }
    }
}

fn finding(mass: &Mass, overview: &Overview<'_>) -> Option<Finding> {
    let ended: Vec<_> = mass
        .ended
        .iter()
        .filter_map(|place| overview.patterns.trials.get(*place))
        .collect();
    let hidden = ended
        .iter()
        .filter_map(|trial| trial.session)
        .any(|session| session.may_hide_frames(Direction::ServerToClient));
    let confidence = match (mass.event, hidden) {
        (Event::Restart, false) => Confidence::Likely,
        _ => Confidence::Possible,
    };
    let count = ended.len();
    let summary = format!(
        "{} ended {count} sessions together and sent none of them a Close frame",
        mass.server
    );
    let mut found = Finding::of_capture(&RULE, confidence, summary)
        .data("ended", Value::Count(count as u64))
        .data("server", Value::Text(mass.server.to_string()));
    for trial in ended.iter().take(3) {
        found = found.evidence(
            trial.over?,
            format!(
                "the end of the session of {}, without a Close frame",
                trial.client
            ),
        );
    }
    if let Some(refused) = mass.refused {
        found = found.evidence(refused, "the server refuses a connection");
    }
    Some(
        found
            .cause(Confidence::Possible, "the process ends on SIGTERM without closing its sessions")
            .cause(Confidence::Possible, "a crash or a kill: nobody could have said good-bye")
            .advice("on SIGTERM send Close 1001 or 1012 to all sessions, wait for the answers, then exit"),
    )
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn ended(close: bool) -> crate::script::Told {
        let open = (1..=5).fold(Script::new(), |script, host| {
            script.at_host(host).upgrade().wait_s(5.0)
        });
        (1..=5)
            .fold(open, |script, host| {
                let script = script.at_host(host).resume();
                let script = match close {
                    true => script.close(ServerToClient, 1012, "restart"),
                    false => script,
                };
                script.fin(ServerToClient).fin(ClientToServer)
            })
            .told()
    }

    #[test]
    fn a_server_that_says_nothing_to_anyone_is_told() {
        assert_eq!(
            ended(false)
                .only("pattern-ungraceful-shutdown")
                .confidence
                .name(),
            "possible"
        );
    }

    #[test]
    fn a_server_that_says_good_bye_is_not() {
        assert!(ended(true).of("pattern-ungraceful-shutdown").is_empty());
    }
}
