//! `pv-opcode`: an opcode that RFC 6455 reserves.

use crate::diagnosis::violation::violations;
use crate::diagnosis::{Case, Check, Confidence, Finding, Rule, Severity, Value};
use crate::session::Breach;

pub(super) static RULE: Rule = Rule {
    id: "pv-opcode",
    severity: Severity::Error,
    summary: "a frame has a reserved opcode",
    explain: "\
## What it means
Opcodes 3 to 7 and 11 to 15 are reserved; no extension in use defines them. The receiver must fail the connection, usually with Close 1002.

## What usually causes it
- The sender's stream is out of step: these bytes are the middle of something else. A wrong length in the frame before does that, and so do two
  threads that write to one socket without a lock.
- Something that is not WebSocket writes into the stream.
- A test tool or fuzzer.

## How to tell them apart
- Reserved bits or an impossible length in the same frame: out of step; compare the length of the frame before with what it carried.
- Everything else in the frame is in order: deliberate.

## What to do
Look at the frame just before it, and at what writes to the socket at that moment.

## References
RFC 6455, sections 5.2 and 11.8.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for violation in violations(case.session, &[Breach::ReservedOpcode]) {
        let others = case.session.breaches.iter().any(|note| {
            note.direction == violation.sender
                && note.offset == violation.first.offset
                && note.breach != Breach::ReservedOpcode
        });
        let (out_of_step, meant) = if others {
            (Confidence::Likely, Confidence::Possible)
        } else {
            (Confidence::Possible, Confidence::Possible)
        };
        let what = format!(
            "sent a frame with a reserved opcode ({})",
            violation.first.detail
        );
        let opcode = violation
            .first
            .detail
            .rsplit(' ')
            .next()
            .and_then(|word| word.parse().ok());
        let finding = violation.finding(&RULE, case, "reserved-opcode", &what);
        let finding = match opcode {
            Some(opcode) => finding.data("opcode", Value::Count(opcode)),
            None => finding,
        };
        findings.push(
            finding
                .cause(out_of_step, "the sender's stream is out of step: a wrong length before, or two writers without a lock")
                .cause(meant, "the sender uses an opcode of its own, or is a test tool")
                .advice("compare the length of the frame before this one with what it carried"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn opcode_5_is_found() {
        let told = Script::new()
            .upgrade()
            .frame(ClientToServer, 0x85, b"hi")
            .close(ServerToClient, 1002, "")
            .told();
        let finding = told.only("pv-opcode");
        assert!(finding.data.contains(&("opcode", Value::Count(5))));
        assert_eq!(finding.confidence.name(), "certain");
    }

    #[test]
    fn the_opcodes_of_the_standard_are_silent() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, b"1")
            .pong(ServerToClient, b"1")
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("pv-opcode").is_empty());
    }
}
