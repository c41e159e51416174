//! `close-data-after-close`: a side sent frames after its own Close.

use crate::diagnosis::api::ClientKind;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::Breach;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "close-data-after-close",
    severity: Severity::Error,
    summary: "a side sent frames after its own Close frame",
    explain: "\
## What it means
After its Close frame a side must send nothing more. Here data or a Ping followed. Most receivers drop it silently: the message is lost. Chromium, when
it reads both together, fails the connection and reports 1006 with an `error` event instead of the code.

## What usually causes it
- Two threads or tasks write to the same socket, and one closes while the other still sends.
- A send queue that isn't emptied before closing.
- A heartbeat timer that isn't stopped.

## How to tell them apart
The opcode of the later frame: a Ping speaks for the timer, data for a writer.

## What to do
Stop all writers, then send Close. Where messages must arrive, have them confirmed before closing.

## References
RFC 6455, section 5.5.1.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for sender in Direction::BOTH {
        findings.extend(found(case, sender));
    }
}

fn found(case: &Case<'_>, sender: Direction) -> Option<Finding> {
    let session = case.session;
    let note = session
        .breaches
        .iter()
        .find(|note| note.breach == Breach::FrameAfterClose && note.direction == sender)?;
    let count = session
        .breach_counts
        .iter()
        .find(|(breach, by, _)| *breach == Breach::FrameAfterClose && *by == sender)
        .map_or(1, |(.., count)| *count);
    let name = sender.sender();
    let close = session.close[sender]
        .as_ref()
        .map(|close| close.control.frame.at);
    let frames = if count == 1 {
        "a frame".to_owned()
    } else {
        format!("{count} frames")
    };
    let first = Evidence::new(close.unwrap_or(note.at), format!("Close of the {name}"));
    let summary = format!(
        "the {name} sent {frames} after its own Close frame; the other side drops what comes then"
    );
    let finding = Finding::new(&RULE, session, Confidence::Certain, first, summary)
        .evidence(note.at, format!("frame after it: {}", note.detail))
        .data("sender", Value::Text(name.to_owned()))
        .data("frames", Value::Count(count))
        .cause(
            Confidence::Likely,
            "a writer or timer of the sender still runs while it closes",
        );
    let browser =
        sender == Direction::ServerToClient && ClientKind::of(session) == ClientKind::Browser;
    let finding = if browser && case.closing.sees.client == Some(1006) {
        finding.cause(
            Confidence::Likely,
            "the browser read both together and reported 1006 instead of the code",
        )
    } else {
        finding
    };
    Some(finding.advice(format!(
        "stop everything that writes on the {name} before it sends Close"
    )))
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn text_after_the_own_close_is_found() {
        let told = Script::new()
            .upgrade()
            .close(ServerToClient, 1000, "")
            .text(ServerToClient, "one more thing")
            .close(ClientToServer, 1000, "")
            .told();
        let finding = told.only("close-data-after-close");
        assert_eq!(
            finding.evidence.get(1).map(|e| e.at),
            told.sessions[0].breaches.first().map(|b| b.at)
        );
    }

    #[test]
    fn text_after_the_others_close_is_allowed() {
        let told = Script::new()
            .upgrade()
            .close(ServerToClient, 1000, "")
            .text(ClientToServer, "on its way already")
            .close(ClientToServer, 1000, "")
            .told();
        assert!(told.of("close-data-after-close").is_empty());
    }
}
