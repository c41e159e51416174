//! `close-illegal`: a Close frame that breaks the rules itself.

use crate::diagnosis::closing::named;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::redact::{Secrets, secrets_of};
use crate::session::{Breach, CloseFrame};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "close-illegal",
    severity: Severity::Error,
    summary: "a Close frame is malformed or carries a code that must not be on the wire",
    explain: "\
## What it means
The Close frame itself breaks the protocol. A strict receiver answers with Close 1002 and reports 1006 to its application, whatever the code said.

## What usually causes it
- A library or proxy passes on 1005, 1006 or 1015: these codes exist only in APIs, for an end without a Close frame.
- An application uses a code that isn't its own: below 1000, from 1016 to 2999, or above 4999.
- A body of one byte: the code was cut, or written as a byte.
- A reason that isn't UTF-8, or was cut in the middle of a character to fit 123 bytes.

## How to tell them apart
The finding's `kind` names the breach, and `status` the code.

## What to do
Mend the sender. Where a proxy passes on an abnormal end, let it send 1001, 1011 or 1014 instead. Codes of one's own are 4000 to 4999.

## References
RFC 6455, sections 5.5.1, 7.4.1 and 7.4.2.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for sender in Direction::BOTH {
        if let Some(close) = &case.session.close[sender]
            && let Some((kind, what)) = fault(close)
        {
            findings.push(found(case, sender, close, kind, &what));
        }
    }
}

/// What is wrong with the frame's body.
pub(super) fn fault(close: &CloseFrame) -> Option<(&'static str, String)> {
    close.breaches.iter().find_map(|breach| match breach {
        Breach::CloseBodyOneByte => Some(("body-one-byte", "a body of one byte".to_owned())),
        Breach::CloseCodeIllegal => {
            let code = named(close.code);
            Some((
                "code",
                format!("code {code}, which must not be on the wire"),
            ))
        }
        Breach::CloseReasonNotUtf8 => {
            Some(("reason-not-utf8", "a reason that isn't UTF-8".to_owned()))
        }
        Breach::ControlTooLong => Some(("too-long", "a body of more than 125 bytes".to_owned())),
        _ => None,
    })
}

fn found(
    case: &Case<'_>,
    sender: Direction,
    close: &CloseFrame,
    kind: &'static str,
    what: &str,
) -> Finding {
    let session = case.session;
    let name = sender.sender();
    let answer = session.close[sender.reverse()]
        .as_ref()
        .filter(|answer| answer.control.frame.at > close.control.frame.at);
    let summary = match answer.and_then(|answer| answer.code) {
        Some(code) if code != close.code.unwrap_or(1005) => {
            format!(
                "the {name}'s Close frame has {what}; the other side answered with Close {code}"
            )
        }
        _ => format!("the {name}'s Close frame has {what}"),
    };
    let request = &session.handshake.request;
    let known = secrets_of(&request.target, &request.headers.0);
    let reason = Secrets::Redacted.text(&close.reason, &known).into_owned();
    let first = Evidence::new(
        close.control.frame.at,
        format!("Close of the {name}: {what}"),
    );
    let mut finding = Finding::new(&RULE, session, Confidence::Certain, first, summary)
        .evidence_if(answer.map(|answer| answer.control.frame.at), "the answer")
        .data("kind", Value::Text(kind.to_owned()))
        .data("sender", Value::Text(name.to_owned()))
        .data("reason", Value::Text(reason));
    if let Some(code) = close.code {
        finding = finding.data("status", Value::Count(u64::from(code)));
    }
    let cause = match close.code {
        Some(1005 | 1006 | 1015) => "a library or proxy passes on the code of an abnormal end",
        _ => "a mistake in the sender's library or application",
    };
    finding.cause(Confidence::Likely, cause).advice(format!(
        "mend the {name}: receivers answer with 1002, and their applications see 1006"
    ))
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn code_1006_on_the_wire_is_illegal() {
        let told = Script::new()
            .upgrade()
            .close(ServerToClient, 1006, "")
            .close(ClientToServer, 1002, "")
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        let finding = told.only("close-illegal");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(finding.summary.contains("1006") && finding.summary.contains("1002"));
        assert!(told.of("close-failed-by-receiver").is_empty());
    }

    #[test]
    fn a_private_code_and_an_empty_body_are_legal() {
        let private = Script::new()
            .upgrade()
            .close(ServerToClient, 4999, "bye")
            .told();
        assert!(private.of("close-illegal").is_empty());
        let empty = Script::new()
            .upgrade()
            .frame(ServerToClient, 0x88, b"")
            .told();
        assert!(empty.of("close-illegal").is_empty());
    }
}
