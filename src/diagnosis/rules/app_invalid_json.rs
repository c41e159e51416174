//! `app-invalid-json`: a message of a session that speaks JSON is not JSON.

use crate::diagnosis::finding::counted;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "app-invalid-json",
    severity: Severity::Warn,
    summary: "a message of a session that speaks JSON is not JSON",
    explain: "\
## What it means
At least nine of ten text messages of the session are JSON as its protocol wants it; this one isn't, from the byte `data.offset` on. Whoever hands
it to a parser gets an exception, and a handler that doesn't catch it stops.

## What usually causes it
1. The text was cut when it was written.
2. It was encoded twice, or not at all.
3. It is a word that some layer uses as a heartbeat, and the other side doesn't know it.

## How to tell them apart
An offset at the very end means that the text was cut; one at its beginning that it never was JSON.

## What to do
Look at the message (`wscope messages`) and at what wrote it. Let the receiving side catch what its parser throws.

## References
RFC 8259.
",
    checks: &[Check::Session(check)],
};

/// Of ten texts nine have to be JSON.
const ONE_IN: u64 = 10;

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let Some(application) = session.application.as_deref() else {
        return;
    };
    let (count, texts) = (application.malformed_count, application.texts);
    let Some((at, direction, offset)) = application.malformed.first() else {
        return;
    };
    if count.saturating_mul(ONE_IN) > texts {
        return;
    }
    let side = direction.sender();
    let mut finding = Finding::new(
        &RULE,
        session,
        match application.malformed_doubtful {
            false => Confidence::Certain,
            true => Confidence::Likely,
        },
        Evidence::new(*at, format!("message of the {side}, no JSON from byte {offset} on")),
        match count {
            1 => format!("a message of the {side} is not JSON from byte {offset} on; {texts} texts of the session are"),
            _ => format!(
                "{} are not JSON, of {texts}; the first, of the {side}, from byte {offset} on",
                counted(count, "text")
            ),
        },
    )
    .data("count", Value::Count(count))
    .data("sender", Value::Text(side.to_owned()))
    .data("offset", Value::Count(*offset))
    .cause(Confidence::Possible, "the text was cut, or encoded twice, when it was written")
    .cause(Confidence::Possible, "it is a heartbeat of a layer that the receiver does not know");
    for (at, ..) in application.malformed.iter().skip(1).take(4) {
        finding = finding.evidence(*at, "another one");
    }
    findings.push(finding.advice(format!(
        "look at what the {side} wrote there, and let the receiver catch what its parser throws"
    )));
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn talk(count: u32) -> Script {
        (0..count).fold(Script::new().upgrade(), |script, id| {
            script.text(
                ClientToServer,
                &format!(r#"{{"jsonrpc":"2.0","method":"note","params":[{id}]}}"#),
            )
        })
    }

    #[test]
    fn a_text_that_is_cut_among_json_is_found() {
        let told = talk(12)
            .text(ServerToClient, r#"{"jsonrpc":"2.0","met"#)
            .told();
        let finding = told.only("app-invalid-json");
        assert!(finding.data.contains(&("offset", Value::Count(21))));
    }

    #[test]
    fn a_word_that_is_a_heartbeat_is_none() {
        let told = talk(12)
            .text(ServerToClient, "ping")
            .text(ServerToClient, "")
            .told();
        assert!(told.of("app-invalid-json").is_empty());
    }

    #[test]
    fn where_every_other_text_is_something_else_nothing_is_wrong() {
        let told = talk(2)
            .text(ServerToClient, "hello you")
            .text(ServerToClient, "good bye")
            .told();
        assert!(told.of("app-invalid-json").is_empty());
    }
}
