//! `pattern-network-change`: a client went silent and came back from another address.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::diagnosis::patterns::{Fate, Trial};
use crate::diagnosis::token;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "pattern-network-change",
    severity: Severity::Info,
    summary: "the same user went silent and came back from another address: mobility, not a server's fault",
    explain: "\
## What it means
A session fell silent without any good-bye from its client, and within a minute the same token or session cookie came from another address.
The user changed networks: from Wi-Fi to mobile, into a VPN, to another cell's gateway. TCP can't follow; the old session is lost, and its
server notices only when it sends something.

## What usually causes it
A telephone or laptop on the move; a VPN that goes up or down; a carrier's NAT that gives out another address.

## How to tell them apart
- The new address names another provider: a change of networks. One next to it: a pool of a NAT or of proxies.
- Both sessions go on: two devices with the same token, and no finding.

## What to do
On the client listen to `online`, to the network information of the platform, and reconnect at once. On the server end the old session when
the new one authenticates, and ping often enough to be rid of ghosts.

## References
RFC 9293, section 3.1 (a connection is its two sockets).
",
    checks: &[Check::Capture(check)],
};

/// Rationale: who changes networks is back within a minute.
const BACK: Duration = Duration::from_secs(60);

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let mut users: BTreeMap<(u32, u64), Vec<&Trial<'_>>> = BTreeMap::new();
    for trial in &overview.patterns.trials {
        let Some(session) = trial.session.filter(|s| s.is_open_or_was()) else {
            continue;
        };
        if let Some(credential) = token::credentials(session).first() {
            users
                .entry((trial.service, credential.digest))
                .or_default()
                .push(trial);
        }
    }
    let mut found: Vec<Finding> = users
        .values()
        .flat_map(|trials| trials.iter().zip(trials.iter().skip(1)))
        .filter_map(|(old, new)| finding(old, new))
        .collect();
    found.sort_by_key(|finding| finding.evidence.first().map(|e| e.at));
    findings.extend(found);
}

fn finding(old: &Trial<'_>, new: &Trial<'_>) -> Option<Finding> {
    let (before, after) = (old.session?, new.session?);
    let silent = matches!(old.fate, Fate::Open | Fate::Dropped | Fate::Quit);
    let last = before.leg.last_packet.client?;
    let gap = new.began.time.since(last.time)?;
    if old.client == new.client || !silent || gap > BACK || before.leg.fin.client.is_some() {
        return None;
    }
    let summary = format!(
        "the same user came back from {} {} after {} had fallen silent",
        new.client,
        span(gap),
        old.client
    );
    let mut found = Finding::of_capture(&RULE, Confidence::Likely, summary)
        .evidence(
            last,
            format!("the last packet of {}, {}", old.client, before.name()),
        )
        .evidence(
            after.handshake.request.last,
            format!("the same credential from {}, {}", new.client, after.name()),
        )
        .data("from", Value::Text(old.client.to_string()))
        .data("to", Value::Text(new.client.to_string()))
        .data("gap_ms", Value::Ms(gap));
    found.tcp_stream = None;
    Some(
        found
            .cause(Confidence::Likely, "the client changed networks")
            .cause(Confidence::Possible, "a NAT or proxies with several addresses, and a failure of the first connection")
            .advice("reconnect at once when the platform tells of another network; end the old session when the new one authenticates"),
    )
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, Told};
    use crate::stream::Direction::ClientToServer;

    fn moved(old: &str, new: &str, good_bye: bool) -> Told {
        let cookie = |user: &str| format!("Cookie: sessionid={user}\r\n");
        let script = Script::new()
            .upgrade_with(&cookie(old), "")
            .text(ClientToServer, "hi");
        let script = match good_bye {
            true => script.clean_close(ClientToServer),
            false => script,
        };
        script
            .wait_s(20.0)
            .at_host(7)
            .upgrade_with(&cookie(new), "")
            .told()
    }

    #[test]
    fn one_user_from_two_addresses_has_moved() {
        let finding = moved("u1", "u1", false);
        assert!(
            finding
                .only("pattern-network-change")
                .summary
                .contains("10.0.0.8")
        );
    }

    #[test]
    fn another_user_or_one_who_said_good_bye_has_not() {
        assert!(
            moved("u1", "u2", false)
                .of("pattern-network-change")
                .is_empty()
        );
        assert!(
            moved("u1", "u1", true)
                .of("pattern-network-change")
                .is_empty()
        );
    }
}
