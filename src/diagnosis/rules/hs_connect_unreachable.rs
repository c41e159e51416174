//! `hs-connect-unreachable`: a router or firewall says that the address can't be reached.

use crate::diagnosis::dial::{Dial, dials};
use crate::diagnosis::wording::times;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Attempt, Unreachable};

use super::hs_connect_refused::closed_port;

pub(super) static RULE: Rule = Rule {
    id: "hs-connect-unreachable",
    severity: Severity::Error,
    summary: "a router or firewall says that the server can't be reached",
    explain: "\
## What it means
The client's SYN was answered by an ICMP message that quotes it: destination unreachable. The connection was never opened. Systems treat
it as a hint and may go on retrying the SYN for a while; the application then sees an error such as EHOSTUNREACH.

## What usually causes it
- A firewall that rejects by policy.
- No route to that network, or the host doesn't answer on its own network.

## How to tell them apart
- Administratively prohibited (ICMP codes 9, 10, 13; ICMPv6 codes 1, 5 and 6): a policy, of whoever sent the message.
- Network unreachable (code 0; ICMPv6 code 0): a route is missing.
- Host unreachable (code 1; ICMPv6 code 3): the last router asked for the host's hardware address, and nobody answered: it is down, or
  the address is wrong.

## What to do
The source address of the ICMP message names the device: ask whoever runs it. If it is the client's own address, look at its routes.

## References
RFC 792; RFC 1812, section 5.2.7.1; RFC 4443, section 3.1.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for dial in dials(overview, |attempt| report(attempt).is_some()) {
        findings.extend(finding(&dial, overview));
    }
}

fn report(attempt: &Attempt) -> Option<&Unreachable> {
    let opened = !attempt.never_opened() || !attempt.leg.resets.is_empty();
    let mut errors = attempt.leg.unreachable.iter();
    errors.find(|e| !opened && e.kind == if e.v6 { 1 } else { 3 } && !closed_port(e))
}

/// The word for scripts, the one for people, and the cause that it stands for.
fn meaning(error: &Unreachable) -> (&'static str, &'static str, &'static str) {
    const POLICY: &str = "a firewall's policy";
    const ROUTE: &str = "no route to that network";
    const DOWN: &str =
        "the host is down, or its address is wrong: nobody answers for it on its network";
    match (error.v6, error.code) {
        (false, 9 | 10 | 13) | (true, 1 | 5 | 6) => {
            ("prohibited", "administratively prohibited", POLICY)
        }
        (false, 0 | 6 | 11) | (true, 0) => ("network", "network unreachable", ROUTE),
        (false, 1 | 7 | 12) | (true, 3) => ("host", "host unreachable", DOWN),
        _ => ("other", "destination unreachable", "a route or a policy"),
    }
}

fn finding(dial: &Dial<'_>, overview: &Overview<'_>) -> Option<Finding> {
    let leg = &dial.first.leg;
    let error = report(dial.first)?;
    let (kind, word, cause) = meaning(error);
    let syn = leg.syns.client.first().copied().unwrap_or(leg.first);
    let again = match dial.count {
        1 => String::new(),
        count => format!(", {}", times(usize::try_from(count).unwrap_or(usize::MAX))),
    };
    let summary = format!(
        "{} can't be reached from {}: {} reports {word}{again}",
        dial.whom(),
        dial.who(),
        error.reporter
    );
    let first = Evidence::new(syn, "SYN, client to server");
    // RFC 1122, section 4.2.3.9: such an error is a hint, and a later SYN may still get through.
    let mut found = dial
        .finding(
            overview,
            &RULE,
            dial.first,
            Confidence::Likely,
            first,
            summary,
        )
        .evidence(error.at, format!("ICMP from {}: {word}", error.reporter))
        .data("kind", Value::Text(kind.to_owned()))
        .data("reporter", Value::Text(error.reporter.to_string()))
        .data("code", Value::Count(u64::from(error.code)))
        .cause(Confidence::Likely, cause)
        .advice(format!(
            "ask whoever runs {}: that device sent the message",
            error.reporter
        ));
    if !dial.is_pair() {
        found.tcp_stream = None; // The counts are of several connections.
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn an_icmp_error_names_its_reporter() {
        let told = Script::new().syn().unreachable(3, 13).told();
        let finding = told.only("hs-connect-unreachable");
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(2));
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("prohibited".to_owned())))
        );
        assert!(finding.summary.contains("10.0.0.254"));
    }

    #[test]
    fn a_server_that_many_clients_cannot_reach_is_one_finding() {
        let mut script = Script::new();
        for host in 1..=4 {
            script = script.at_host(host).syn().unreachable(3, 1);
        }
        let told = script.told();
        let finding = told.only("hs-connect-unreachable");
        assert!(finding.data.contains(&("clients", Value::Count(4))));
        assert!(finding.summary.contains("from 4 clients"));
    }

    #[test]
    fn a_closed_port_is_a_refusal_instead() {
        let told = Script::new().syn().unreachable(3, 3).told();
        assert!(told.of("hs-connect-unreachable").is_empty());
        assert_eq!(told.of("hs-connect-refused").len(), 1);
    }

    #[test]
    fn an_error_after_which_the_connection_opened_is_none() {
        let told = Script::new()
            .syn()
            .unreachable(3, 1)
            .syn_again()
            .flags(ServerToClient, 0x12)
            .flags(ClientToServer, 0x10)
            .told();
        assert!(told.of("hs-connect-unreachable").is_empty());
    }
}
