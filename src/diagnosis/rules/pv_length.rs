//! `pv-length`: a payload length that must not be.

use crate::diagnosis::violation::{Reaction, violations};
use crate::diagnosis::{Case, Check, Confidence, Finding, Rule, Severity};
use crate::session::Breach;

pub(super) static RULE: Rule = Rule {
    id: "pv-length",
    severity: Severity::Error,
    summary: "a frame's length is not allowed, or not in its shortest form",
    explain: "\
## What it means
`data.kind` says which rule about lengths a frame breaks:
- `control-too-long`: a Ping, Pong or Close with more than 125 bytes. Receivers fail the connection.
- `top-bit`: the highest bit of a 64-bit length is set. Nothing after it can be read.
- `non-minimal`: a length in more bytes than it needs. Chromium fails the connection for it, most other receivers let it pass, so this one is a
  warning unless the receiver failed the connection.

## What usually causes it
- `control-too-long`: the application puts its own data into a Ping, or a long error text into the reason of a Close frame (the code takes 2 of
  the 125 bytes).
- `top-bit`: these bytes are no frame header; the sender is out of step, or writes a negative number.
- `non-minimal`: a hand-written encoder that always uses the 16-bit or 64-bit form.

## How to tell them apart
Look at the opcode: a Close frame of 130 bytes is a reason that is too long, counted in bytes, not in characters.

## What to do
Cut reasons to 123 bytes of UTF-8, send data in messages rather than in Pings, and use the shortest form of the length.

## References
RFC 6455, sections 5.2 and 5.5.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    for violation in violations(session, &[Breach::ControlTooLong, Breach::LengthTopBit]) {
        let detail = &violation.first.detail;
        let finding = match violation.first.breach {
            Breach::ControlTooLong => violation
                .finding(&RULE, case, "control-too-long", &format!("sent a control frame of {detail}; 125 are allowed"))
                .cause(Confidence::Likely, "the application puts data into a Ping, or a long text into the reason of a Close frame")
                .advice("keep what Ping, Pong and Close carry within 125 bytes (a reason within 123)"),
            _ => violation
                .finding(&RULE, case, "top-bit", &format!("sent a frame with the top bit of its length set ({detail})"))
                .cause(Confidence::Likely, "the sender's stream is out of step, so that these bytes are no header")
                .cause(Confidence::Possible, "it writes a negative number as length")
                .advice("nothing after this frame can be read; look at what was written just before it"),
        };
        findings.push(finding);
    }
    for violation in violations(session, &[Breach::NonMinimalLength]) {
        let sender = violation.sender.sender();
        // Who fails the connection for it makes an error of it.
        let severity = match violation.reaction(case) {
            Reaction::Failed(..) => Severity::Error,
            Reaction::Ended(_) | Reaction::Nothing => Severity::Warn,
        };
        findings.push(
            violation
                .finding(&RULE, case, "non-minimal", "wrote a frame's length in more bytes than it needs")
                .severity(severity)
                .cause(Confidence::Likely, format!("the {sender}'s encoder always uses the long form"))
                .advice("Chromium fails such a connection (1002), most other receivers let it pass: use the shortest form"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Severity;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_ping_of_126_bytes_is_an_error() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, &[b'x'; 126])
            .told();
        let finding = told.only("pv-length");
        assert_eq!(finding.severity, Severity::Error);
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(8));
    }

    #[test]
    fn a_ping_of_125_bytes_is_silent() {
        let told = Script::new()
            .upgrade()
            .ping(ClientToServer, &[b'x'; 125])
            .told();
        assert!(told.of("pv-length").is_empty());
    }

    #[test]
    fn two_bytes_in_the_16_bit_form_are_a_warning() {
        let told = Script::new()
            .upgrade()
            .bytes(ServerToClient, &[0x81, 126, 0, 2, b'h', b'i'])
            .told();
        assert_eq!(told.only("pv-length").severity, Severity::Warn);
    }
}
