//! `pv-rsv`: reserved bits that no extension explains.

use crate::diagnosis::violation::violations;
use crate::diagnosis::{Case, Check, Confidence, Finding, Rule, Severity};
use crate::session::Breach;

pub(super) static RULE: Rule = Rule {
    id: "pv-rsv",
    severity: Severity::Error,
    summary: "a reserved bit is set where nothing allows it",
    explain: "\
## What it means
RSV2 or RSV3 is set, which no extension in use defines, or RSV1 is set on a frame where permessage-deflate forbids it: on a continuation or on a
control frame. `data.kind`: `rsv23` or `rsv1-misplaced`. (RSV1 without any agreed extension is `cmp-not-negotiated`.) The receiver must fail
the connection; browsers say \"One or more reserved bits are on\".

## What usually causes it
- The bytes at this place are no frame header: the sender lost its place, or two writers share the socket.
- A compressor that sets RSV1 on every fragment instead of the first.
- A test tool or fuzzer.

## How to tell them apart
- The opcode or the length of the same frame is impossible too: no frame header, look at what was written just before it.
- Only RSV1, only on continuations: the compressor.

## What to do
Find out who writes to the socket at that moment. If the sender compresses fragmented messages, upgrade its library or switch compression off.

## References
RFC 6455, section 5.2; RFC 7692, section 6.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    // An extension may define them that was agreed on before the capture began.
    if case.session.handshake.mid_stream.is_some() {
        return;
    }
    for violation in violations(case.session, &[Breach::ReservedBits, Breach::Rsv1Misplaced]) {
        let sender = violation.sender.sender();
        let misplaced = violation.first.breach == Breach::Rsv1Misplaced;
        let detail = &violation.first.detail;
        let kind = if misplaced { "rsv1-misplaced" } else { "rsv23" };
        let what = match misplaced {
            true => format!("set {detail}, which permessage-deflate forbids"),
            false => format!("set {detail} without an extension that defines it"),
        };
        let elsewhere = case.session.breaches.iter().any(|note| {
            note.direction == violation.sender
                && note.offset == violation.first.offset
                && matches!(note.breach, Breach::ReservedOpcode | Breach::LengthTopBit)
        });
        let lost = if elsewhere {
            Confidence::Likely
        } else {
            Confidence::Possible
        };
        let finding = violation.finding(&RULE, case, kind, &what);
        let finding = match misplaced {
            true => finding.cause(
                Confidence::Likely,
                "its compressor marks each frame instead of the first of a message",
            ),
            false => finding,
        };
        findings.push(
            finding
                .cause(lost, "these bytes are no frame header: two writers on one socket, or the sender lost its place")
                .advice(format!("find out what the {sender} wrote to the socket just before this frame; the receiver must fail the connection (1002)")),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

    #[test]
    fn rsv2_is_found() {
        let told = Script::new()
            .upgrade()
            .frame(ServerToClient, 0xa1, b"hi")
            .told();
        assert_eq!(told.only("pv-rsv").confidence.name(), "certain");
    }

    #[test]
    fn rsv1_on_a_ping_is_found_though_deflate_was_agreed_on() {
        let told = Script::new()
            .upgrade_with(DEFLATE, DEFLATE)
            .frame(ClientToServer, 0xc9, b"hi")
            .told();
        assert_eq!(
            told.only("pv-rsv").evidence.first().map(|e| e.at.number),
            Some(8)
        );
        assert!(told.of("cmp-not-negotiated").is_empty());
    }

    #[test]
    fn rsv1_on_a_compressed_message_is_silent() {
        let told = Script::new()
            .upgrade_with(DEFLATE, DEFLATE)
            .frame(
                ServerToClient,
                0xc1,
                &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            )
            .told();
        assert!(told.of("pv-rsv").is_empty());
    }
}
