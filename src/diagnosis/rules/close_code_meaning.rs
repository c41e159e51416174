//! `close-code-meaning`: who closed, with which code, and what it means.

use crate::diagnosis::closing::closes_by_size;
use crate::diagnosis::lacks::unless_hidden;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value, codes};
use crate::session::redact::{Secrets, secrets_of};
use crate::session::{CloseFrame, Session};
use crate::stream::Direction;

use super::{close_failed_by_receiver, close_illegal, hs_subprotocol_none};

pub(super) static RULE: Rule = Rule {
    id: "close-code-meaning",
    severity: Severity::Info,
    summary: "the session was closed with a code that tells why",
    explain: "\
## What it means
One side sent a Close frame. Its code says why: 1000 that all is done, 1001 that the side goes away, others that something went wrong. Codes from 3000 on
belong to libraries and applications; where the subprotocol is known, its own table explains them.

## What usually causes it
- 1000, 1001, 1012: an orderly end, a page that is left, a server that restarts.
- An empty Close frame: the application called `close()` without a code; APIs report 1005.
- 1008, 3000, 3500, 4401, 4403: authentication or policy.
- 1013, 4429: overload or a limit.

## How to tell them apart
The side that sent its Close frame first decided; the other one only echoes. The reason, where there is one, is meant for people.

## What to do
For codes that stand for an error look at the application that sent it. For 1001, 1012 and 1013 reconnect with delays that vary, or all clients return at once.

## References
RFC 6455, sections 7.1.5, 7.1.6 and 7.4; IANA's WebSocket Close Code Number Registry.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(sender) = case.closing.first_close else {
        return;
    };
    if let Some(close) = case.session.close[sender].as_ref() {
        // Other rules explain 1011 and the end for a bad frame; a frame that breaks the rules means nothing.
        let explained = close.code == Some(1011)
            || close_illegal::fault(close).is_some()
            || close_failed_by_receiver::explains(case, sender);
        // It announces a code that the capture doesn't hold.
        let unread = close.code.is_none() && close.control.frame.payload_len >= 2;
        if !explained && !unread {
            findings.push(found(case, sender, close));
        }
    } else if case.session.keyless.is_some() {
        findings.extend(by_size(case.session, sender));
    }
}

/// Nobody could read the code: two records have the sizes of Close frames, and then TLS or TCP ended.
fn by_size(session: &Session, sender: Direction) -> Option<Finding> {
    let close = closes_by_size(session)?;
    let (name, peer) = (sender.sender(), sender.receiver());
    let first = Evidence::new(
        close[sender],
        format!("a Close frame of the {name}, by its size"),
    );
    let took = close[sender.reverse()]
        .time
        .saturating_since(close[sender].time);
    let summary = format!("the {name} probably closed as it should; the code can't be read");
    Some(
        Finding::new(&RULE, session, Confidence::Possible, first, summary)
            .evidence(
                close[sender.reverse()],
                format!("the answer of the {peer}, by its size: four bytes apart, the mask"),
            )
            .data("initiator", Value::Text(name.to_owned()))
            .data("answer_ms", Value::Ms(took))
            .severity(Severity::Info)
            .advice("for the code, give the key log of the run with --keys"),
    )
}

/// The finding about the handshake for which this side closed: it was its only
/// frame, an error, and the answer was not to its liking.
fn handshake_fault(session: &Session, sender: Direction) -> Option<&'static str> {
    if sender != Direction::ClientToServer || session.frames.client.total() != 1 {
        return None;
    }
    if hs_subprotocol_none::refusing_close(session).is_some() {
        return Some("hs-subprotocol-none");
    }
    let code = session.close.client.as_ref()?.code?;
    let broken = !session.handshake.response_breaches.is_empty() && session.breaches.is_empty();
    (broken && matches!(code, 1002 | 1010)).then_some("the findings about the 101")
}

fn found(case: &Case<'_>, sender: Direction, close: &CloseFrame) -> Finding {
    let session = case.session;
    let name = sender.sender();
    let request = &session.handshake.request;
    let known = secrets_of(&request.target, &request.headers.0);
    let reason = Secrets::Redacted.text(&close.reason, &known).into_owned();
    let said = if reason.is_empty() {
        String::new()
    } else {
        format!(", \"{reason}\"")
    };
    let subprotocol = session.handshake.agreement.subprotocol.as_deref();
    let meaning = close.code.map(|code| codes::meaning(code, subprotocol));
    let summary = match (close.code, &meaning) {
        (Some(code), Some(meaning)) => {
            format!("the {name} closed with {code}, {}{said}", meaning.name)
        }
        _ => format!("the {name} closed without a code; APIs report 1005"),
    };
    let first = Evidence::new(close.control.frame.at, format!("Close of the {name}"));
    let answer = session.close[sender.reverse()].as_ref();
    let confidence = unless_hidden(session, sender.reverse());
    let mut finding = Finding::new(&RULE, session, confidence, first, summary)
        .evidence_if(
            answer.map(|answer| answer.control.frame.at),
            "the answering Close",
        )
        .data("initiator", Value::Text(name.to_owned()))
        .data("reason", Value::Text(reason));
    if let Some(code) = close.code {
        finding = finding.data("status", Value::Count(u64::from(code)));
    }
    if let Some(answer) = answer {
        let took = answer
            .control
            .frame
            .at
            .time
            .saturating_since(close.control.frame.at.time);
        finding = finding.data("answer_ms", Value::Ms(took));
    }
    let cause = handshake_fault(case.session, sender);
    match meaning {
        Some(meaning) => {
            let finding = finding
                .data("meaning", Value::Text(meaning.name.to_owned()))
                .data("defined_by", Value::Text(meaning.by.to_owned()));
            match cause {
                Some(id) => finding
                    .severity(Severity::Info)
                    .cause(
                        Confidence::Likely,
                        "the client doesn't take the server's answer to the handshake",
                    )
                    .advice(format!("mend the opening handshake: see {id}")),
                None => finding.severity(meaning.severity).advice(meaning.advice),
            }
        }
        None => finding.advice("nothing: pass a code to close() if the other side should know why"),
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Severity;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_normal_close_is_worth_a_note() {
        let told = Script::new().upgrade().clean_close(ClientToServer).told();
        assert_eq!(told.only("close-code-meaning").severity, Severity::Info);
    }

    #[test]
    fn a_policy_violation_is_an_error() {
        let told = Script::new()
            .upgrade()
            .close(ServerToClient, 1008, "no")
            .told();
        assert_eq!(told.only("close-code-meaning").severity, Severity::Error);
    }

    #[test]
    fn a_code_that_was_not_captured_is_not_called_missing() {
        let told = Script::new()
            .upgrade()
            .bytes(ServerToClient, &[0x88, 2])
            .told();
        assert!(told.of("close-code-meaning").is_empty());
        let told = Script::new()
            .upgrade()
            .bytes(ServerToClient, &[0x88, 0])
            .told();
        assert_eq!(told.of("close-code-meaning").len(), 1);
    }

    #[test]
    fn a_protocol_error_without_a_breach_points_to_no_frame() {
        let told = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .close(ClientToServer, 1002, "")
            .told();
        let finding = told.only("close-code-meaning");
        assert_eq!(finding.severity, Severity::Error);
        assert!(finding.advice.contains("shows no frame"));
    }

    #[test]
    fn an_end_without_close_has_no_code_to_explain() {
        let told = Script::new().upgrade().fin(ServerToClient).told();
        assert!(told.of("close-code-meaning").is_empty());
    }
}
