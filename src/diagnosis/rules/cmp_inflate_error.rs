//! `cmp-inflate-error`: a compressed message doesn't inflate.

use crate::diagnosis::violation::violations;
use crate::diagnosis::{Case, Check, Confidence, Finding, Rule, Severity};
use crate::session::Breach;
use crate::session::Session;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "cmp-inflate-error",
    severity: Severity::Error,
    summary: "a compressed message does not inflate",
    explain: "\
## What it means
A message is marked as compressed (RSV1, and permessage-deflate was agreed on), but its payload is not what deflate allows at this place. The
receiver can't read it and fails the connection, with Close 1007, 1002 or 1011. Every later message of that sender may be unreadable too, since
it leans on this one. `data.kind`: `fresh-context` if the message can be read without what came before it, `corrupt` if not.

## What usually causes it
- `fresh-context`: sender and receiver disagree about context takeover: the sender starts anew with each message although no
  `server_no_context_takeover` or `client_no_context_takeover` was agreed on, or a proxy recompresses one leg.
- `corrupt`: the sender shares one compressor between sessions or threads; it compresses with a larger window than was agreed on; it sets RSV1
  on a message that isn't compressed; or a middlebox changed the payload.

## How to tell them apart
- The first message of a session already fails: it isn't compressed at all, or not with raw deflate (a zlib or gzip header).
- The first ones can be read, a later one fails: the shared context.
- It fails under load only: a compressor that two threads use.

## What to do
Switch permessage-deflate off for that server or client; if the drops stop, turn it on again with both `no_context_takeover` parameters, which
isolates messages from each other, and report the defect.

## References
RFC 7692, sections 7.1.1 and 7.2.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    // What was agreed on before the capture began isn't known.
    if case.session.handshake.mid_stream.is_some() {
        return;
    }
    for violation in violations(case.session, &[Breach::InflateFailed]) {
        let sender = violation.sender;
        let fresh = violation.first.detail.contains("fresh context");
        let read_before = messages_before(case.session, sender) > 0;
        let (kind, what) = match fresh {
            true => (
                "fresh-context",
                "sent a compressed message that inflates only without its context",
            ),
            false => ("corrupt", "sent a compressed message that does not inflate"),
        };
        let takeover = parameter(sender);
        let mut finding = violation.finding(&RULE, case, kind, what);
        // Where the 101 was not captured, only the offer is known.
        if case.session.handshake.response.is_none() {
            finding.confidence = Confidence::Possible;
        }
        finding = match (fresh, read_before) {
            (true, _) => finding
                .cause(Confidence::Likely, format!("the {} starts a new context with each message although {takeover} was not agreed on", sender.sender())),
            (false, true) => finding
                .cause(Confidence::Likely, "the context went wrong between messages: one compressor used for several sessions or by two threads, or a changed payload")
                .cause(Confidence::Possible, "the sender's window is larger than was agreed on"),
            (false, false) => finding
                .cause(Confidence::Likely, "RSV1 is set on a payload that is not raw deflate")
                .cause(Confidence::Possible, "the payload was changed on its way"),
        };
        findings.push(finding.advice(format!(
            "switch permessage-deflate off, or agree on {takeover}, and see whether the drops stop"
        )));
    }
}

/// Compressed messages of this sender that could be read.
fn messages_before(session: &Session, sender: Direction) -> u64 {
    let counts = &session.messages[sender];
    counts
        .compressed
        .0
        .min(counts.count.saturating_sub(counts.incomplete))
}

const fn parameter(sender: Direction) -> &'static str {
    match sender {
        Direction::ClientToServer => "client_no_context_takeover",
        Direction::ServerToClient => "server_no_context_takeover",
    }
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::ServerToClient;

    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    /// RFC 7692, section 7.2.3.1: "Hello".
    const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

    #[test]
    fn a_payload_that_is_no_deflate_is_found() {
        let told = Script::new()
            .upgrade_with(DEFLATE, DEFLATE)
            .frame(ServerToClient, 0xc1, HELLO)
            .frame(ServerToClient, 0xc1, &[0xff; 12])
            .told();
        let finding = told.only("cmp-inflate-error");
        assert_eq!(finding.confidence.name(), "certain");
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(10));
        assert!(told.of("cmp-context-unavailable").is_empty());
    }

    #[test]
    fn messages_that_inflate_are_silent() {
        let told = Script::new()
            .upgrade_with(DEFLATE, DEFLATE)
            .frame(ServerToClient, 0xc1, HELLO)
            .frame(ServerToClient, 0xc1, HELLO)
            .told();
        assert!(told.of("cmp-inflate-error").is_empty());
    }
}
