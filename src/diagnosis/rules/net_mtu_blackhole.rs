//! `net-mtu-blackhole`: long segments vanish, short ones pass.

use crate::diagnosis::path_mtu::{BlackHole, black_hole};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "net-mtu-blackhole",
    severity: Severity::Error,
    summary: "long segments vanish on the path, short ones pass",
    explain: "\
## What it means
The path carries packets only up to a size below the one that the endpoints agreed on, and the router that drops the longer ones says nothing, or
is not heard. Handshakes, Pings and short messages work; the first long message hangs for good.

## What usually causes it
- A tunnel (VPN, PPPoE, VXLAN, GRE) on the path, with a filter that drops ICMP.
- A load balancer or firewall that loses the ICMP answers which belong to other hosts.

## How to tell them apart
- `data.asked` true: a router did ask for shorter packets, and the sender doesn't listen: its own firewall drops ICMP.
- Shorter repetitions got through in the end: the sender found the path's limit by itself, after seconds.

## What to do
Clamp the MSS at the tunnel (`data.delivered` bytes got through, `data.len` did not), let ICMP type 3 code 4 and ICMPv6 type 2 pass, or set
`net.ipv4.tcp_mtu_probing=1` at the sender.

## References
RFC 1191, RFC 8201, RFC 4821, RFC 2923.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if !case.session.leg.both_ways() {
        return;
    }
    let Some(hole) = black_hole(case.session) else {
        return;
    };
    let (side, peer) = (hole.sender.sender(), hole.sender.receiver());
    let confidence = match hole.heard || hole.asked.is_some() {
        true => Confidence::Likely,
        false => Confidence::Possible,
    };
    let BlackHole {
        len,
        delivered,
        count,
        ..
    } = hole;
    let summary = format!(
        "segments of {len} bytes from the {side} vanish ({count} times sent again), up to {delivered} bytes pass"
    );
    let first = Evidence::new(hole.first, format!("long data, {side} to {peer}"));
    let mut finding = Finding::new(&RULE, case.session, confidence, first, summary)
        .evidence(hole.again.0, "sent again for the first time")
        .evidence(hole.again.1, "sent again for the last time")
        .evidence_if(hole.mended, "acknowledged, in shorter pieces")
        .evidence_if(
            hole.asked.map(|asked| asked.at),
            "a router asks for shorter packets",
        )
        .data("sender", Value::Text(side.to_owned()))
        .data("len", Value::Count(len.into()))
        .data("delivered", Value::Count(delivered.into()))
        .data("retransmissions", Value::Count(count))
        .data("asked", Value::Flag(hole.asked.is_some()));
    finding = match hole.asked {
        Some(_) => finding.cause(
            Confidence::Likely,
            format!("the {side} doesn't hear the router that asks for shorter packets"),
        ),
        None => finding.cause(
            Confidence::Possible,
            "a tunnel or VPN on the path, and a filter that drops ICMP",
        ),
    };
    let tried = span(hole.again.1.time.saturating_since(hole.first.time));
    findings.push(finding.advice(format!(
        "clamp the MSS on the path below {len} bytes or set net.ipv4.tcp_mtu_probing=1 at the {side}; it tried for {tried}"
    )));
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// The server's message of so many bytes never arrives.
    fn stuck(len: usize) -> Script {
        let bytes = frame(0x82, &vec![7; len], false);
        let mut script = Script::new()
            .mss(1_460)
            .upgrade()
            .silent(ClientToServer, true)
            .bytes(ServerToClient, &bytes);
        for _ in 0..4 {
            script = script.wait_s(0.5).again(ServerToClient, &bytes);
        }
        script
    }

    #[test]
    fn only_long_segments_that_vanish_may_be_a_black_hole() {
        let told = stuck(1_400).told();
        let finding = told.only("net-mtu-blackhole");
        assert_eq!(finding.confidence.name(), "possible");
        assert!(told.of("net-half-open").is_empty());
    }

    #[test]
    fn short_segments_fit_every_path() {
        assert!(stuck(300).told().of("net-mtu-blackhole").is_empty());
    }

    #[test]
    fn a_length_that_passed_before_is_not_too_long() {
        let long = frame(0x82, &[7; 1_400], false);
        let bytes = frame(0x82, &[8; 1_400], false);
        let mut script = Script::new()
            .upgrade()
            .bytes(ServerToClient, &long)
            .silent(ClientToServer, true)
            .bytes(ServerToClient, &bytes);
        for _ in 0..4 {
            script = script.wait_s(0.5).again(ServerToClient, &bytes);
        }
        assert!(script.told().of("net-mtu-blackhole").is_empty());
    }
}
