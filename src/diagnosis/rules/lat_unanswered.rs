//! `lat-unanswered`: a request never got its reply.

use crate::diagnosis::finding::counted;
use crate::diagnosis::refusal::shown;
use crate::diagnosis::wording::span;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Value, judge_requests,
};
use crate::session::{Application, Asked, Protocol};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "lat-unanswered",
    severity: Severity::Error,
    summary: "a request never got its reply",
    explain: "\
## What it means
A request has an id, and no reply with this id came in the time that was left: 30 s and three times what the slowest replies took, or, with less
certainty, until the session ended although later requests were answered meanwhile. Notifications, requests that were taken back, and requests
whose reply may be in bytes that the capture lacks don't count. `data.unanswered` says how many, `data.methods` which, `data.acked` whether TCP
acknowledged the first one's bytes.

## What usually causes it
1. The answering side dropped it: an exception in the handler, an unknown method, a full queue.
2. The session ended first.
3. The reply's id is of another type (1 and \"1\" are two ids) or another value.

## How to tell them apart
- Later requests were answered: the connection and the process were well; the handler of this one is to be looked at.
- Nothing was answered any more: the process was blocked or the path was down; see the heartbeat findings.
- `id_type_changed` in the session's data: the asker may not recognise its replies.

## What to do
Look for the method and the id in the answering side's log. Give requests a time limit on the asking side.

## References
JSON-RPC 2.0, section 5; OCPP-J, section 4.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(application) = case.session.application.as_deref() else {
        return;
    };
    for asker in Direction::BOTH {
        findings.extend(unanswered(case, application, asker));
    }
}

fn unanswered(case: &Case<'_>, application: &Application, asker: Direction) -> Option<Finding> {
    let session = case.session;
    let latency = &application.latency;
    // Where nothing is ever answered, what looks like a request may be none.
    if latency.answered[asker] == 0 {
        return None;
    }
    let verdict = judge_requests(session, case.closing, asker, case.thresholds);
    let missing: Vec<&Asked> = verdict.unanswered.iter().collect();
    let first = *missing.first()?;
    let waited = verdict.end.time.saturating_since(first.last.time);
    let (side, peer) = (asker.sender(), asker.receiver());
    let long = waited >= verdict.deadline;
    let overtaken = latency.last_answered[asker].is_some_and(|at| at > first.last);
    let guessed = application.protocol == Protocol::Generic;
    let open = case.closing.kind == Kind::Open || case.capture.dropped > 0;
    // What took it back may be missing.
    let lacks = session.blind[asker].is_some_and(|at| at >= first.at);
    let doubtful = lacks || !missing.iter().all(|request| request.certain);
    let confidence = match (long, overtaken) {
        (true, _) if !open && !guessed && !doubtful => Confidence::Certain,
        (true, _) | (false, true) if !guessed => Confidence::Likely,
        _ => Confidence::Possible,
    };
    let name = |request: &Asked| shown(session, &request.method.text(), 60);
    let mut methods: Vec<String> = missing.iter().map(|request| name(request)).collect();
    methods.sort_unstable();
    methods.dedup();
    methods.truncate(5);
    let id = shown(session, &first.id.text(), 40);
    let acked = first.acked.is_some();
    let many = counted(missing.len() as u64, "request");
    let mut finding = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(
            first.at,
            format!("request {id} of the {side} ({}), never answered", name(first)),
        ),
        format!(
            "{many} of the {side} ({}) never got a reply, within {} of session after the first; {} others did",
            methods.join(", "),
            span(waited),
            latency.answered[asker]
        ),
    )
    .evidence_if(first.acked, "TCP acknowledges the request's bytes")
    .data("unanswered", Value::Count(missing.len() as u64))
    .data("answered", Value::Count(latency.answered[asker]))
    .data("sender", Value::Text(side.to_owned()))
    .data("methods", Value::List(methods))
    .data("waited_ms", Value::Ms(waited))
    .data("acked", Value::Flag(acked));
    for other in missing.iter().skip(1).take(4) {
        finding = finding.evidence(other.at, format!("another one ({})", name(other)));
    }
    if let Some(at) = latency.id_type_changed {
        finding = finding
            .evidence(at, "a reply whose id is of another type")
            .data("id_type_changed", Value::Flag(true));
    }
    if !long {
        finding = finding.severity(Severity::Warn);
    }
    let dropped = if overtaken {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    finding = finding.cause(
        dropped,
        format!(
            "the {peer} dropped it: an exception in the handler, an unknown method, a full queue"
        ),
    );
    if !long {
        let text = "the session ended before the reply was ready";
        finding = finding.cause(Confidence::Possible, text);
    }
    Some(finding.advice(format!(
        "look for these requests in the {peer}'s log, and give requests a time limit"
    )))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Severity;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn ask(script: Script, id: u32) -> Script {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"get"}}"#);
        script.text(ClientToServer, &text)
    }

    fn answer(script: Script, id: u32) -> Script {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#);
        script.text(ServerToClient, &text)
    }

    fn call(script: Script, id: u32) -> Script {
        answer(ask(script, id), id)
    }

    #[test]
    fn a_request_that_waits_40_s_in_vain_is_an_error() {
        let script = ask(call(Script::new().upgrade(), 1), 2).wait_s(40.0);
        let told = call(script, 3).clean_close(ClientToServer).told();
        let finding = told.only("lat-unanswered");
        assert_eq!(finding.severity, Severity::Error);
        assert_eq!(finding.confidence.name(), "certain");
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(12));
    }

    #[test]
    fn a_request_that_later_ones_overtook_before_the_close_is_likely_lost() {
        let script = call(ask(call(Script::new().upgrade(), 1), 2), 3).wait_s(0.8);
        let told = script.clean_close(ClientToServer).told();
        let finding = told.only("lat-unanswered");
        assert_eq!(
            (finding.severity, finding.confidence.name()),
            (Severity::Warn, "likely")
        );
    }

    #[test]
    fn a_request_just_before_the_end_is_outstanding() {
        let script = ask(call(Script::new().upgrade(), 1), 2).wait_s(0.2);
        assert!(
            script
                .clean_close(ClientToServer)
                .told()
                .of("lat-unanswered")
                .is_empty()
        );
    }

    #[test]
    fn a_reply_that_the_capture_may_have_lost_is_not_missed() {
        let script = ask(call(Script::new().upgrade(), 1), 2).wait_s(1.0);
        let lost = crate::script::frame(0x81, br#"{"jsonrpc":"2.0","id":2,"result":1}"#, false);
        let script = script.uncaptured(ServerToClient, &lost).wait_s(40.0);
        let told = call(script, 3).clean_close(ClientToServer).told();
        assert!(told.of("lat-unanswered").is_empty());
    }

    #[test]
    fn a_reply_whose_id_became_a_string_is_a_reply() {
        let script = ask(call(Script::new().upgrade(), 1), 2);
        let told = script
            .text(ServerToClient, r#"{"jsonrpc":"2.0","id":"2","result":1}"#)
            .wait_s(40.0)
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("lat-unanswered").is_empty());
    }
}
