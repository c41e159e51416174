//! `cmp-context-unavailable`: compressed messages that can't be read, since
//! the capture lacks what they lean on.

use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::Breach;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "cmp-context-unavailable",
    severity: Severity::Info,
    summary: "compressed messages can't be read, since the capture lacks earlier ones",
    explain: "\
## What it means
With context takeover a compressed message can refer to those before it. Bytes of an earlier message are missing from the capture, so the later
ones of that direction that refer to it can't be inflated here, although their receiver could read them. Their times, sizes on the wire and
opcodes are right; what they say is not known, and rules that read messages are blind for them. Messages that refer to nothing missing are read.

## What usually causes it
Packets that the capture lost, a snap length, or a capture that began after the session.

## How to tell them apart
See the findings about the capture itself: `cap-packet-loss`, `cap-snaplen`, `cap-mid-session`.

## What to do
Capture again from the start of the session and without loss. If that can't be had, agree on `server_no_context_takeover` and
`client_no_context_takeover` for the test: then each message stands alone.

## References
RFC 7692, section 7.1.1.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    for sender in Direction::BOTH {
        let Some(at) = session.context_lost[sender] else {
            continue;
        };
        // A message that its sender broke is cmp-inflate-error.
        let broken = session
            .breach_counts
            .iter()
            .any(|(breach, by, _)| *by == sender && *breach == Breach::InflateFailed);
        if broken {
            continue;
        }
        let gap = session
            .frame_gaps
            .iter()
            .find(|gap| gap.direction == sender && gap.at <= at);
        let name = sender.sender();
        let why = gap.map_or("bytes before them are missing", |gap| match gap.cause {
            crate::stream::GapCause::SnapLength => "the snap length cut earlier ones",
            crate::stream::GapCause::BeganMidStream => "the capture began after them",
            _ => "the capture lacks earlier ones",
        });
        let unreadable = session.messages[sender].incomplete;
        let finding = Finding::new(
            &RULE,
            session,
            Confidence::Certain,
            Evidence::new(at, "the first message that can't be read"),
            format!("compressed messages of the {name} can't be read: {why}"),
        );
        let mut finding = finding
            .evidence_if(gap.map(|gap| gap.at), "here bytes are missing")
            .data("sender", Value::Text(name.to_owned()))
            .data("unreadable", Value::Count(unreadable))
            .advice("sizes and times are right, contents are unknown; capture from the start of the session and without loss");
        finding.evidence.sort_by_key(|evidence| evidence.at);
        findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, frame};
    use crate::stream::Direction::ServerToClient;

    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    const ALONE: &str =
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";
    const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

    /// Hello again: a reference to the first one.
    const AGAIN: &[u8] = &[0xf2, 0x00, 0x11, 0x00, 0x00];

    fn after_a_cut(agreed: &str, next: &[u8]) -> crate::script::Told {
        Script::new()
            .upgrade_with(DEFLATE, agreed)
            .cut(ServerToClient, &frame(0xc1, HELLO, false), 4)
            .frame(ServerToClient, 0xc1, next)
            .told()
    }

    #[test]
    fn a_cut_message_makes_the_next_unreadable() {
        let told = after_a_cut(DEFLATE, AGAIN);
        let finding = told.only("cmp-context-unavailable");
        assert!(
            finding.summary.contains("snap length"),
            "{}",
            finding.summary
        );
        assert!(told.of("cmp-inflate-error").is_empty());
    }

    #[test]
    fn a_message_that_refers_to_nothing_missing_is_read() {
        let told = after_a_cut(DEFLATE, HELLO);
        assert!(told.of("cmp-context-unavailable").is_empty());
        assert_eq!(told.sessions[0].messages.server.incomplete, 1);
    }

    #[test]
    fn without_context_takeover_the_next_one_is_read() {
        assert!(
            after_a_cut(ALONE, HELLO)
                .of("cmp-context-unavailable")
                .is_empty()
        );
    }
}
