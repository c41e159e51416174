//! `pv-fragmentation`: fragments that don't fit together.

use crate::diagnosis::violation::violations_where;
use crate::diagnosis::{Case, Check, Confidence, Finding, Rule, Severity};
use crate::session::Breach;
use crate::session::{BreachNote, Session};

pub(super) static RULE: Rule = Rule {
    id: "pv-fragmentation",
    severity: Severity::Error,
    summary: "fragments of messages don't fit together",
    explain: "\
## What it means
A message may come in several frames: the first carries the opcode, the others are continuations, the last has FIN. Only control frames may come
between, and those may not be fragmented themselves. `data.kind` says what was broken:
- `unexpected-continuation`: a continuation with nothing to continue.
- `interleaved`: a new message before the last fragment of the one before.
- `fragmented-control`: a Ping, Pong or Close without FIN.
- `unfinished-message`: a Close frame in the middle of a message.

## What usually causes it
- Two threads or tasks write to one socket without a lock (`interleaved`, `unexpected-continuation`).
- A proxy or gateway that takes messages apart and puts them together.
- A sender that cancels a message half-way and goes on with the next.

## How to tell them apart
- Both messages are intact if read frame by frame: two writers.
- The first message just stops: it was cancelled, or its writer failed.

## What to do
Serialise the writes of the sender: one task owns the socket, or a lock is held for a whole message.

## References
RFC 6455, sections 5.4 and 5.5.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    for violation in violations_where(session, |note| is_mine(note, session)) {
        let sender = violation.sender.sender();
        let (kind, what) = match violation.first.breach {
            Breach::UnexpectedContinuation => (
                "unexpected-continuation",
                "sent a continuation with nothing to continue",
            ),
            Breach::InterleavedMessage => (
                "interleaved",
                "began a new message before the one before was complete",
            ),
            Breach::FragmentedControl => ("fragmented-control", "sent a fragmented control frame"),
            _ => (
                "unfinished-message",
                "sent a Close frame in the middle of a message",
            ),
        };
        let finding = violation.finding(&RULE, case, kind, what);
        let finding = match violation.first.breach {
            Breach::InterleavedMessage | Breach::UnexpectedContinuation => finding
                .cause(
                    Confidence::Likely,
                    format!("two writers share the {sender}'s socket without a lock"),
                )
                .cause(
                    Confidence::Possible,
                    "a proxy takes messages apart and puts them together wrongly",
                )
                .advice(format!(
                    "let one task of the {sender} own the socket, or hold a lock for a whole message"
                )),
            Breach::FragmentedControl => finding
                .cause(
                    Confidence::Likely,
                    format!("the {sender} builds control frames by hand and leaves FIN out"),
                )
                .advice("set FIN on each control frame"),
            _ => finding
                .cause(
                    Confidence::Likely,
                    format!("the {sender} was told to close while it was sending"),
                )
                .advice("finish or drop the message before closing"),
        };
        findings.push(finding);
    }
}

/// A message that the end of the transport cut off is `pv-truncated`'s.
fn is_mine(note: &BreachNote, session: &Session) -> bool {
    match note.breach {
        Breach::UnexpectedContinuation | Breach::InterleavedMessage | Breach::FragmentedControl => {
            true
        }
        Breach::UnfinishedMessage => {
            session.ends[note.direction].is_none_or(|end| end.at != note.at)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_message_between_the_fragments_of_another_is_found() {
        let told = Script::new()
            .upgrade()
            .frame(ServerToClient, 0x01, b"first, ")
            .frame(ServerToClient, 0x81, b"second")
            .told();
        let finding = told.only("pv-fragmentation");
        let kind = ("kind", Value::Text("interleaved".to_owned()));
        assert!(finding.data.contains(&kind), "{:?}", finding.data);
    }

    #[test]
    fn a_ping_between_fragments_is_silent() {
        let told = Script::new()
            .upgrade()
            .frame(ClientToServer, 0x01, b"first, ")
            .ping(ClientToServer, b"1")
            .frame(ClientToServer, 0x80, b"last")
            .told();
        assert!(told.of("pv-fragmentation").is_empty());
    }

    #[test]
    fn a_message_that_the_fin_cut_off_is_not_told_here() {
        let told = Script::new()
            .upgrade()
            .frame(ServerToClient, 0x01, b"first, ")
            .fin(ServerToClient)
            .told();
        assert!(told.of("pv-fragmentation").is_empty());
        assert_eq!(told.of("pv-truncated").len(), 1);
    }
}
