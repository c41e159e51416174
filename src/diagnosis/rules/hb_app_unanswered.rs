//! `hb-app-unanswered`: a heartbeat of the application, which is normally answered, was not.

use crate::diagnosis::finding::counted;
use crate::diagnosis::heartbeat::first_sign_of_the_end;
use crate::diagnosis::wording::span;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Value, judge_beats,
};
use crate::session::Protocol;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hb-app-unanswered",
    severity: Severity::Warn,
    summary: "a heartbeat of the application, which is normally answered, was not",
    explain: "\
## What it means
Beside or instead of the Pings of WebSocket the application sends heartbeats of its own (`data.protocol`), and the other side answers them. At
least one has no answer, although others have, and the session went on for longer than three times what answers usually took, and 1 s at least.
`data.unanswered` says how many, `data.acked` whether TCP acknowledged the first one's bytes.

## What usually causes it
1. The answering side's program was blocked, or its handler failed.
2. The peer, or the path to it, is gone.

## How to tell them apart
- Acknowledged by TCP: the host is there; its program did not answer. Where native Pongs still come, the library lives and the handler is late.
- Not acknowledged: the path or the host; see `net-half-open`.

## What to do
Acknowledged: look for what blocked the answering program at that time. Else look at the path. Let the sender end the session when an answer stays out.

## References
Each protocol's chapter on heartbeats (Engine.IO, Phoenix, MQTT 5 section 3.12, graphql-transport-ws).
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for sender in Direction::BOTH {
        findings.extend(unanswered(case, sender));
    }
}

fn unanswered(case: &Case<'_>, sender: Direction) -> Option<Finding> {
    let session = case.session;
    let application = session.application.as_deref()?;
    let verdict = judge_beats(session, case.closing, sender, case.thresholds);
    let first = verdict.unanswered.first()?;
    let (side, peer) = (sender.sender(), sender.receiver());
    let end = first_sign_of_the_end(session, case.closing);
    let waited = end.time.saturating_since(first.at.time);
    let open = case.capture.dropped > 0 || case.closing.kind == Kind::Open;
    // Where one is missing, another's answer may be taken for its own.
    let lacks = session.blind.client.is_some() || session.blind.server.is_some();
    let doubtful = lacks || !verdict.unanswered.iter().all(|beat| beat.certain);
    let guessed = application.protocol == Protocol::Generic;
    let confidence = match open || doubtful || guessed {
        true => Confidence::Likely,
        false => Confidence::Certain,
    };
    let acked = first.acked.is_some();
    let many = counted(verdict.unanswered_count, "heartbeat");
    let answered = application.beats[sender].answered;
    let mut finding = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(first.at, format!("heartbeat, {side} to {peer}, never answered")),
        format!(
            "{many} of the {side}'s application never got an answer, {answered} did; the {peer}'s TCP {} the first of them",
            if acked { "acknowledged" } else { "did not acknowledge" }
        ),
    )
    .evidence_if(first.acked, "TCP acknowledges its bytes")
    .data("protocol", Value::Text(application.protocol.name().to_owned()))
    .data("sender", Value::Text(side.to_owned()))
    .data("unanswered", Value::Count(verdict.unanswered_count))
    .data("answered", Value::Count(answered))
    .data("waited_ms", Value::Ms(waited))
    .data("acked", Value::Flag(acked));
    for other in verdict.unanswered.iter().skip(1).take(3) {
        finding = finding.evidence(other.at, "another one");
    }
    finding = match acked {
        true => finding.cause(
            Confidence::Likely,
            format!("the {peer}'s program was blocked, or its handler failed: its host took the heartbeat"),
        ),
        false => finding.cause(
            Confidence::Likely,
            format!("the path to the {peer} is down, or the {peer} is gone"),
        ),
    };
    Some(finding.advice(format!(
        "look at what the {peer} did {} into the silence, and at its TCP if nothing was acknowledged",
        span(verdict.deadline)
    )))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn beat(script: Script, seq: u32) -> Script {
        script.text(
            ClientToServer,
            &format!(r#"{{"type":"heartbeat","seq":{seq}}}"#),
        )
    }

    fn ack(script: Script, seq: u32) -> Script {
        script.text(
            ServerToClient,
            &format!(r#"{{"type":"heartbeat_ack","seq":{seq}}}"#),
        )
    }

    #[test]
    fn a_heartbeat_whose_answer_is_missing_among_others_is_found() {
        let mut script = Script::new().upgrade();
        for seq in 0..5 {
            script = beat(script, seq);
            if seq != 2 {
                script = ack(script, seq);
            }
            script = script.wait_s(1.0);
        }
        let told = script.clean_close(ClientToServer).told();
        let finding = told.only("hb-app-unanswered");
        assert!(finding.data.contains(&("unanswered", Value::Count(1))));
    }

    #[test]
    fn heartbeats_that_nobody_ever_answers_are_one_way() {
        let script = (0..5).fold(Script::new().upgrade(), |script, seq| {
            beat(script, seq).wait_s(1.0)
        });
        assert!(
            script
                .clean_close(ClientToServer)
                .told()
                .of("hb-app-unanswered")
                .is_empty()
        );
    }

    #[test]
    fn a_heartbeat_just_before_the_close_is_too_young() {
        let script = beat(ack(beat(Script::new().upgrade(), 1), 1).wait_s(1.0), 2);
        assert!(
            script
                .clean_close(ClientToServer)
                .told()
                .of("hb-app-unanswered")
                .is_empty()
        );
    }
}
