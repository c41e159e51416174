//! `net-rst-injected`: a device on the path wrote a reset in another's name.

use crate::diagnosis::path::expired;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Kind, Provenance, Rule, Severity, Value,
    reset_provenance,
};
use crate::session::Reset;

pub(super) static RULE: Rule = Rule {
    id: "net-rst-injected",
    severity: Severity::Error,
    summary: "a reset came from something between the two ends",
    explain: "\
## What it means
The connection was reset, and the packet doesn't look like one of the side in whose name it was sent. A device on the path wrote it. The side that got
it believes that its peer hung up; the other side may know nothing of it.

## What usually causes it
- A firewall or intrusion prevention system that rejects the flow, by rule or by content.
- A load balancer or NAT that ends idle flows with resets to both sides.
- A carrier or a national filter.

## How to tell them apart
- The claimed sender goes on sending or retransmitting after its reset: it never sent it.
- The TTL differs from that of the sender's other packets: the difference tells how many hops nearer or farther the device is.
- The IP identification breaks that sender's count.
- Resets to both sides at the same moment: a device in between ends the flow.
- After a long silence: it has forgotten the flow; see `close-1006-flow-expired`.

## What to do
Count hops from the capture point (initial TTLs are 64, 128 or 255) and look at the device there: its log names the rule.

## References
Weaver, Sommer, Paxson: Detecting Forged TCP Reset Packets, NDSS 2009; RFC 9293, section 3.5.2.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    // After both Close frames a reset costs nobody anything.
    if case.closing.kind == Kind::Clean {
        return;
    }
    let forged = case
        .session
        .leg
        .resets
        .iter()
        .filter(|reset| reset.in_window && !reset.after_own_fin)
        .find(|reset| reset_provenance(case.session, reset).verdict == Provenance::Middlebox);
    findings.extend(forged.map(|reset| found(case, reset)));
}

fn found(case: &Case<'_>, reset: &Reset) -> Finding {
    let reading = reset_provenance(case.session, reset);
    let confidence = match (reading.decisive, reading.sure) {
        (Some(_), _) => Confidence::Certain,
        (None, true) => Confidence::Likely,
        (None, false) => Confidence::Possible,
    };
    let sender = reset.direction.sender();
    let summary = format!(
        "the reset in the {sender}'s name came from a device on the path: {}",
        reading.signs.join("; ")
    );
    let first = Evidence::new(reset.at, format!("reset in the {sender}'s name"));
    let mut finding = Finding::new(&RULE, case.session, confidence, first, summary)
        .evidence_if(reset.answers, "what it answers")
        .evidence_if(reading.decisive, "the claimed sender goes on")
        .data("ttl", Value::Count(u64::from(reset.ttl)))
        .data("signs", Value::Count(reading.signs.len() as u64));
    if let Some((usual, _)) = reset.usual_ttl {
        finding = finding.data("usual_ttl", Value::Count(u64::from(usual)));
    }
    // The cause is told by the other rule; this one then only says how it shows.
    if expired(case.session, case.thresholds.timeouts)
        .is_some_and(|e| e.confidence >= Confidence::Likely)
    {
        finding = finding.severity(Severity::Info).cause(
            Confidence::Likely,
            "the device had forgotten the silent flow",
        );
    }
    finding
        .cause(
            Confidence::Possible,
            "a firewall or intrusion prevention system that rejects the flow",
        )
        .cause(
            Confidence::Possible,
            "a load balancer or NAT that ends flows with resets",
        )
        .advice(advice(reset))
}

fn advice(reset: &Reset) -> String {
    let away = [64_u8, 128, 255]
        .into_iter()
        .find(|initial| *initial >= reset.ttl)
        .map_or(0, |initial| initial - reset.ttl);
    match away {
        0 => "the device is on the segment of the capture point: look in the log of the router or firewall there".to_owned(),
        hops => format!("look at the device about {hops} hops from the capture point: its log names the rule"),
    }
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_server_that_goes_on_after_its_reset_never_sent_it() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .ttl(ServerToClient, 61)
            .bare_rst(ServerToClient)
            .ttl(ServerToClient, 64)
            .text(ServerToClient, "ho")
            .told();
        let finding = told.only("net-rst-injected");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(told.of("close-1006-peer-rst").is_empty());
        assert_eq!(told.sessions[0].leg.resets[0].at, finding.evidence[0].at);
    }

    #[test]
    fn a_bare_reset_with_the_servers_ttl_is_the_hosts() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .bare_rst(ServerToClient)
            .told();
        assert!(told.of("net-rst-injected").is_empty());
    }
}
