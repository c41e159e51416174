//! `hb-contract-violated`: a side was silent for longer than it had declared.

use std::time::Duration;

use crate::diagnosis::application::may_hide_answer;
use crate::diagnosis::heartbeat::first_sign_of_the_end;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::Promise;
use crate::stream::PacketRef;

pub(super) static RULE: Rule = Rule {
    id: "hb-contract-violated",
    severity: Severity::Warn,
    summary: "a side was silent for longer than it had declared",
    explain: "\
## What it means
The protocol declares how often something has to be heard: `pingInterval` and `pingTimeout` of Engine.IO, `heart-beat` of STOMP, the keep-alive of
MQTT, the interval in OCPP's BootNotification, and so on. In this session a side was silent for longer than that and the margin that the protocol
grants (`data.declared_ms`, `data.deadline_ms`), so the other side may have given it up. `data.silence_ms` is what was observed.

## What usually causes it
1. The sender's timer was throttled: a background tab, a suspended machine.
2. The sender was blocked.
3. The network held the heartbeats up.

## How to tell them apart
- Other messages of that side went on: only its timer.
- Nothing came, then much at once: it was blocked or suspended.
- Retransmissions in the silence: the network.

## What to do
Let the side send heartbeats whose timers aren't throttled, or declare an interval that it can hold. In most protocols any message counts as a
heartbeat; in Engine.IO only its own packets do.

## References
STOMP 1.2, Heart-beating; MQTT 3.1.1, section 3.1.2.10; Engine.IO protocol, Heartbeat.
",
    checks: &[Check::Session(check)],
};

/// Rationale: a timer that fires late by a fifth breaks no promise.
const MARGIN: f64 = 1.2;

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(application) = case.session.application.as_deref() else {
        return;
    };
    for promise in &application.promises {
        findings.extend(broken(case, promise));
    }
}

/// The longest silence of the side that promised, the last one included.
fn silence(case: &Case<'_>, promise: &Promise) -> (PacketRef, PacketRef) {
    let end = first_sign_of_the_end(case.session, case.closing);
    let last = (promise.heard, end.max(promise.heard));
    let len = |(from, to): (PacketRef, PacketRef)| to.time.saturating_since(from.time);
    promise
        .longest
        .filter(|longest| len(*longest) > len(last))
        .unwrap_or(last)
}

/// The declaration is certain, and nothing is missing that could have taken it back.
fn declared_for_good(case: &Case<'_>, promise: &Promise) -> bool {
    let later = |(_, at): (_, &Option<PacketRef>)| at.is_some_and(|at| at >= promise.declared);
    promise.certain && !case.session.blind.iter().any(later)
}

fn broken(case: &Case<'_>, promise: &Promise) -> Option<Finding> {
    let (session, contract) = (case.session, &promise.contract);
    let (from, to) = silence(case, promise);
    let len = to.time.saturating_since(from.time);
    let limit = Duration::try_from_secs_f64(contract.every.as_secs_f64() * MARGIN);
    let limit = limit.unwrap_or(Duration::MAX).max(contract.deadline);
    if len <= limit || may_hide_answer(session, contract.sender, from) {
        return None;
    }
    let side = contract.sender.sender();
    let protocol = session
        .application
        .as_ref()
        .map(|known| known.protocol.name());
    let went_on = session.last_message[contract.sender].is_some_and(|at| at > from);
    let again = session.leg.last_retransmission[contract.sender];
    let resent = again.is_some_and(|at| at >= from && at <= to);
    let mut finding = Finding::new(
        &RULE,
        session,
        match case.capture.dropped {
            0 if declared_for_good(case, promise) => Confidence::Certain,
            0 => Confidence::Likely,
            _ => Confidence::Possible,
        },
        Evidence::new(promise.declared, "the declaration"),
        format!(
            "the {side} declared a heartbeat every {} and was silent for {}",
            span(contract.every),
            span(len)
        ),
    )
    .evidence(from, "the last sign of life before the silence")
    .evidence(to, "the end of the silence")
    .data(
        "protocol",
        Value::Text(protocol.unwrap_or_default().to_owned()),
    )
    .data("sender", Value::Text(side.to_owned()))
    .data("declared_ms", Value::Ms(contract.every))
    .data("deadline_ms", Value::Ms(contract.deadline))
    .data("silence_ms", Value::Ms(len));
    if resent {
        finding = finding.cause(
            Confidence::Likely,
            "packets were lost and sent again in the silence",
        );
    }
    let timer = match went_on && !contract.any_message {
        true => Confidence::Likely,
        false => Confidence::Possible,
    };
    finding = finding
        .cause(
            timer,
            format!("the {side}'s timer was throttled or stopped"),
        )
        .cause(
            Confidence::Possible,
            format!("the {side} was blocked or suspended"),
        );
    Some(finding.advice(format!(
        "declared {}, observed {}: declare what the {side} can hold, or find what stopped it",
        span(contract.every),
        span(len)
    )))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn engine_io() -> Script {
        let open =
            r#"0{"sid":"x","upgrades":[],"pingInterval":5000,"pingTimeout":2000,"maxPayload":9}"#;
        Script::new()
            .upgrade()
            .text(ServerToClient, open)
            .text(ClientToServer, "40")
            .text(ServerToClient, r#"40{"sid":"y"}"#)
    }

    #[test]
    fn a_server_that_pings_after_9_s_instead_of_5_is_found() {
        let told = engine_io()
            .wait_s(9.0)
            .text(ServerToClient, "2")
            .text(ClientToServer, "3")
            .clean_close(ClientToServer)
            .told();
        let finding = told.only("hb-contract-violated");
        assert!(
            finding
                .data
                .contains(&("sender", Value::Text("server".to_owned())))
        );
    }

    #[test]
    fn a_ping_that_is_a_little_late_breaks_no_promise() {
        let told = engine_io()
            .wait_s(5.8)
            .text(ServerToClient, "2")
            .text(ClientToServer, "3")
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("hb-contract-violated").is_empty());
    }

    #[test]
    fn in_stomp_any_message_is_a_heartbeat() {
        let script = Script::new()
            .upgrade()
            .text(
                ClientToServer,
                "CONNECT\naccept-version:1.2\nheart-beat:4000,4000\n\n\0",
            )
            .text(
                ServerToClient,
                "CONNECTED\nversion:1.2\nheart-beat:4000,4000\n\n\0",
            );
        let talk = |script: Script, _| {
            script
                .wait_s(4.0)
                .text(ClientToServer, "SEND\ndestination:/q\n\nx\0")
                .text(ServerToClient, "\n")
        };
        let told = (0..3).fold(script, talk).clean_close(ClientToServer).told();
        assert!(told.of("hb-contract-violated").is_empty());
    }
}
