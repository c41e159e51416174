//! `close-1006-flow-expired`: a device on the path forgot the connection.

use crate::diagnosis::path::{Expired, expired};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Value};
use crate::session::Session;

pub(super) static RULE: Rule = Rule {
    id: "close-1006-flow-expired",
    severity: Severity::Error,
    summary: "a NAT, load balancer or firewall forgot the silent connection",
    explain: "\
## What it means
The connection was silent for long, and a device on the path dropped what it knew of it. Neither end noticed. The next data was answered by a reset
from somebody who doesn't know the connection, or by nothing at all.

## What usually causes it
- AWS: Network Load Balancer, NAT gateway and connection tracking forget after 350 s.
- Azure: Load Balancer and NAT gateway forget after 240 s.
- Home routers and mobile carriers: anything from 30 s on.
- Linux connection tracking, kube-proxy with IPVS (900 s).

## How to tell them apart
- A reset whose TTL or IP identification isn't the peer's: the device itself answered.
- A bare reset with the peer's TTL: the peer's host doesn't know the connection either; it was restarted, or a balancer moved the flow to another host.
- No answer: the device drops what it doesn't know.
- Other connections to the same host survive the same moment: not the host.

## What to do
Send something more often than the device forgets. These devices count packets, so TCP keep-alives suffice here; for proxies they don't.

## References
RFC 5382, section 5 (REQ-5); RFC 6455, section 5.5.2.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let unanswered = matches!(
        case.closing.kind,
        Kind::Abnormal | Kind::Open | Kind::Half | Kind::Unknown
    );
    if !unanswered {
        return;
    }
    findings.extend(
        expired(case.session, case.thresholds.timeouts).map(|expired| found(case, &expired)),
    );
}

fn found(case: &Case<'_>, expired: &Expired) -> Finding {
    let silence = span(expired.silence);
    let sender = expired.sender.sender();
    let answer = match expired.reset {
        Some(_) => "was answered by a reset",
        None => "was never acknowledged",
    };
    let kind = if expired.reset.is_some() {
        "reset"
    } else {
        "silent"
    };
    let summary = format!(
        "after {silence} without a packet, data of the {sender} {answer}: the path has probably forgotten the connection"
    );
    let first = Evidence::new(expired.quiet_since, "last packet before the silence");
    let mut finding = Finding::new(&RULE, case.session, expired.confidence, first, summary)
        .evidence(
            expired.data,
            format!("first data after it, from the {sender}"),
        )
        .evidence_if(expired.reset, "reset")
        .evidence_if(
            case.session.leg.unacked[expired.sender].last,
            "sent again for the last time",
        )
        .data("kind", Value::Text(kind.to_owned()))
        .data("silence_ms", Value::Ms(expired.silence))
        .data("acked", Value::Flag(false));
    for row in case
        .thresholds
        .timeouts
        .forgets_after(expired.silence)
        .take(3)
    {
        finding = finding.cause(Confidence::Possible, row.candidate());
    }
    let finding = stopped_at_translation(finding, case.session, expired);
    finding
        .cause(Confidence::Possible, "a NAT, firewall or load balancer with a shorter timer")
        .cause(Confidence::Possible, "the peer's host restarted during the silence")
        .advice(format!("send a Ping or a TCP keep-alive well within {silence}; look at what translates or filters addresses on the path"))
}

/// What came in on one side of a translation has to go out on the other, where that was captured.
fn stopped_at_translation(mut finding: Finding, session: &Session, expired: &Expired) -> Finding {
    let stopped = session.far_side.as_ref().filter(|far| {
        let sent = far.leg.last_payload[expired.sender];
        far.was_watched(expired.data, session.horizon)
            && sent.is_none_or(|sent| sent.time < expired.data.time)
            && far.leg.unacked[expired.sender].first.is_none()
    });
    let Some(far) = stopped else { return finding };
    let last = far.leg.last_payload[expired.sender];
    let what = format!(
        "newest data of the {} on the far side",
        expired.sender.sender()
    );
    finding.summary = format!(
        "after {} without a packet, the address translation had forgotten the connection: data of the {} went in and didn't come out",
        span(expired.silence),
        expired.sender.sender()
    );
    finding.confidence = Confidence::Likely;
    finding.tcp_stream = None;
    finding = finding
        .evidence_if(last, &what)
        .data("far_side", Value::Text("silent".to_owned()))
        .cause(
            Confidence::Likely,
            "the timer of the address translation between the two captured sides",
        );
    finding.evidence.sort_by_key(|evidence| evidence.at);
    finding
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn silence_then_data_then_a_strangers_reset_is_a_forgotten_flow() {
        let told = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .wait_s(400.0)
            .silent(ServerToClient, true)
            .text(ClientToServer, "still there?")
            .bare_rst(ServerToClient)
            .told();
        let finding = told.only("close-1006-flow-expired");
        assert_eq!(finding.confidence.name(), "likely");
        assert!(told.of("close-1006-peer-rst").is_empty());
    }

    #[test]
    fn a_reset_while_busy_is_not() {
        let told = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .silent(ServerToClient, true)
            .text(ClientToServer, "still there?")
            .bare_rst(ServerToClient)
            .told();
        assert!(told.of("close-1006-flow-expired").is_empty());
        assert_eq!(told.of("close-1006-peer-rst").len(), 1);
    }

    #[test]
    fn a_reset_of_the_living_socket_is_not() {
        let told = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .wait_s(400.0)
            .silent(ServerToClient, true)
            .text(ClientToServer, "still there?")
            .rst(ServerToClient)
            .told();
        assert!(told.of("close-1006-flow-expired").is_empty());
    }
}
