//! `app-error-response`: the application reported errors inside its messages.

use crate::diagnosis::finding::counted;
use crate::diagnosis::refusal::shown;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::{ErrorGroup, Protocol, Session};

pub(super) static RULE: Rule = Rule {
    id: "app-error-response",
    severity: Severity::Warn,
    summary: "the application reported errors inside its messages",
    explain: "\
## What it means
Messages of the session's protocol say that something failed: an error object of JSON-RPC, `errors` of a GraphQL result, a STOMP ERROR frame, a
reason code of MQTT, and so on. WebSocket itself is well. Errors that are alike, by code and method, are counted together; `data.errors` lists the
most frequent, `data.count` counts all.

## What usually causes it
Whatever the error says: a method that doesn't exist, arguments that don't fit, a permission that is missing, a failure behind the server.

## How to tell them apart
By code and text. The same error for every request points at the client's version or its credentials; one among many at that request.

## What to do
Look up the code in the protocol's or the application's documentation, and the time of the first one in the log of the side that reports it.

## References
JSON-RPC 2.0, section 5.1; graphql-transport-ws, Error; STOMP 1.2, ERROR; MQTT 5, section 2.4.
",
    checks: &[Check::Session(check)],
};

/// Rationale: what fits a screen.
const SHOWN: usize = 5;

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let Some(application) = session.application.as_deref() else {
        return;
    };
    let mut groups: Vec<&ErrorGroup> = application.errors.iter().collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.count), group.first));
    let Some(most) = groups.first() else { return };
    let count = application.error_count;
    let confidence = match application.protocol {
        Protocol::Generic => Confidence::Likely,
        _ if groups.iter().all(|group| group.certain) => Confidence::Certain,
        _ => Confidence::Likely,
    };
    let side = most.direction.sender();
    let mut finding = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(most.first, format!("{side}: {}", named(session, most))),
        match count {
            1 => format!(
                "an error inside the messages, of the {side}: {}",
                named(session, most)
            ),
            _ => format!(
                "{} inside the messages; the most frequent, of the {side}: {}",
                counted(count, "error"),
                named(session, most)
            ),
        },
    );
    for group in groups.iter().skip(1).take(SHOWN - 1) {
        let side = group.direction.sender();
        finding = finding.evidence(group.first, format!("{side}: {}", named(session, group)));
    }
    let errors = groups.iter().take(SHOWN);
    let errors = errors.map(|group| format!("{} x {}", group.count, named(session, group)));
    let errors: Vec<String> = errors.collect();
    findings.push(
        finding
            .data("count", Value::Count(count))
            .data(
                "protocol",
                Value::Text(application.protocol.name().to_owned()),
            )
            .data("errors", Value::List(errors))
            .advice(format!("look for the first of them in the {side}'s log")),
    );
}

/// `-32601 "Method not found" on nosuch`
fn named(session: &Session, group: &ErrorGroup) -> String {
    let code = shown(session, &group.fault.code.text(), 40);
    let text = shown(session, &group.fault.text, 80);
    let method = shown(session, &group.method.text(), 60);
    let mut name = match (code.as_str(), text.as_str()) {
        ("", "") => "an error".to_owned(),
        ("", text) => format!("\"{text}\""),
        (code, "") => code.to_owned(),
        (code, text) => format!("{code} \"{text}\""),
    };
    if !method.is_empty() {
        name.push_str(" on ");
        name.push_str(&method);
    }
    name
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn errors_that_are_alike_are_counted_together() {
        let call = |script: Script, id: u32| {
            script
                .text(ClientToServer, &format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"get"}}"#))
                .text(
                    ServerToClient,
                    &format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"busy"}}}}"#),
                )
        };
        let script = (0..3).fold(Script::new().upgrade(), call);
        let told = script.clean_close(ClientToServer).told();
        let finding = told.only("app-error-response");
        let listed = Value::List(vec!["3 x -32000 \"busy\" on get".to_owned()]);
        assert!(
            finding.data.contains(&("errors", listed)),
            "{:?}",
            finding.data
        );
    }

    #[test]
    fn a_result_with_a_null_error_is_none() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, r#"{"jsonrpc":"2.0","id":1,"method":"get"}"#)
            .text(
                ServerToClient,
                r#"{"jsonrpc":"2.0","id":1,"result":1,"error":null}"#,
            )
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("app-error-response").is_empty());
    }
}
