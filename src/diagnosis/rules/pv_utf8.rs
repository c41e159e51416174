//! `pv-utf8`: a text message that isn't UTF-8.

use crate::diagnosis::violation::violations;
use crate::diagnosis::{Case, Check, Confidence, Finding, Rule, Severity};
use crate::session::Breach;

pub(super) static RULE: Rule = Rule {
    id: "pv-utf8",
    severity: Severity::Error,
    summary: "a text message is not UTF-8",
    explain: "\
## What it means
Text messages must be UTF-8 as a whole, after all fragments are put together and inflated. The receiver must fail the connection, usually with
Close 1007; Chromium reports 1006 to the page and sends 1002 or 1007 itself. (A Close reason that is not UTF-8 is `close-illegal`.)

## What usually causes it
- Binary data is sent as text: a compressed blob, a protobuf, an image.
- Text in another encoding (ISO 8859-1, Windows-1252) is sent as it is.
- A message is cut by bytes rather than characters, and the parts are sent as messages of their own.

## How to tell them apart
- The bad byte stands at the very start or the message looks random: binary data.
- One bad byte among readable text, 0x80 to 0xff: another encoding.
- The bad byte is at the end of the message, or a stray continuation byte (0x80 to 0xbf) at its start: cut in the middle of a character.

## What to do
Send binary data in binary messages; encode text as UTF-8 before it is split.

## References
RFC 6455, sections 5.6 and 8.1; RFC 3629.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for violation in violations(case.session, &[Breach::InvalidUtf8]) {
        let sender = violation.sender.sender();
        let detail = &violation.first.detail;
        let cut = detail.contains("offset 0")
            && ["0x8", "0x9", "0xa", "0xb"]
                .iter()
                .any(|start| detail.contains(start));
        let (binary, split) = if cut {
            (Confidence::Possible, Confidence::Likely)
        } else {
            (Confidence::Possible, Confidence::Possible)
        };
        let what = format!("sent a text message that is not UTF-8 ({detail})");
        let finding = violation.finding(&RULE, case, "text-message", &what);
        let split_text = "a message was cut in the middle of a character";
        let finding = match cut {
            true => finding.cause(split, split_text),
            false => finding,
        };
        let finding = finding
            .cause(binary, "binary data is sent as text")
            .cause(binary, "text in another encoding is sent as it is");
        let finding = match cut {
            true => finding,
            false => finding.cause(split, split_text),
        };
        findings.push(finding.advice(format!(
            "let the {sender} send binary messages for binary data, and encode text as UTF-8 before splitting it"
        )));
    }
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn latin_1_in_a_text_message_is_found() {
        let told = Script::new()
            .upgrade()
            .frame(ClientToServer, 0x81, b"caf\xe9 au lait")
            .close(ServerToClient, 1007, "")
            .told();
        let finding = told.only("pv-utf8");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(finding.summary.contains("offset 3"), "{}", finding.summary);
    }

    #[test]
    fn a_character_split_over_two_fragments_is_silent() {
        let told = Script::new()
            .upgrade()
            .frame(ClientToServer, 0x01, b"caf\xc3")
            .frame(ClientToServer, 0x80, b"\xa9")
            .told();
        assert!(told.of("pv-utf8").is_empty());
    }

    #[test]
    fn the_same_bytes_in_a_binary_message_are_silent() {
        let told = Script::new()
            .upgrade()
            .frame(ClientToServer, 0x82, b"caf\xe9")
            .told();
        assert!(told.of("pv-utf8").is_empty());
    }
}
