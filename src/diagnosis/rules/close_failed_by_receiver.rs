//! `close-failed-by-receiver`: a side failed the connection for a frame that it got.

use super::{app_message_too_big, close_illegal};
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::redact::{Secrets, secrets_of};
use crate::session::{Breach, CloseFrame};
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "close-failed-by-receiver",
    severity: Severity::Error,
    summary: "one side failed the connection because of a frame that it got",
    explain: "\
## What it means
A side received a frame that it can't accept, and ended the session with a Close frame that says so: 1002, 1003, 1007 or 1010. Its own
application usually sees 1006, although a Close frame with a precise code is on the wire.

## What usually causes it
- 1002: a frame that breaks the protocol: mask, reserved bits, opcode, fragmentation.
- 1007: text that isn't UTF-8, or a compressed message that doesn't inflate.
- 1009: a message above the receiver's limit; `app-message-too-big` says more of it.
- 1003, 1010: data or an extension that the receiver doesn't take.

## How to tell them apart
The finding points to the offending frame; the breach itself has a finding of its own (`pv-*`, `cmp-*`). The reason in the Close frame often names it too.

## What to do
Mend the sender of the offending frame, or what stands between. It is not the network.

## References
RFC 6455, sections 7.1.7 and 7.4.1.
",
    checks: &[Check::Session(check)],
};

/// The Close frame of this side is explained by what it got.
pub(super) fn explains(case: &Case<'_>, receiver: Direction) -> bool {
    case.session.close[receiver].as_ref().is_some_and(|close| {
        fails(close)
            .and_then(|_| objection(case, receiver, close))
            .is_some_and(|objection| objection.confidence >= Confidence::Likely)
    }) || app_message_too_big::explains(case, receiver)
}

/// The code with which a side fails a connection.
fn fails(close: &CloseFrame) -> Option<u16> {
    close
        .code
        .filter(|code| matches!(code, 1002 | 1003 | 1007 | 1009 | 1010))
}

/// What the receiver objects to.
struct Objection {
    at: PacketRef,
    what: String,
    confidence: Confidence,
}

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for receiver in Direction::BOTH {
        let Some(close) = &case.session.close[receiver] else {
            continue;
        };
        let Some(code) = fails(close) else {
            continue;
        };
        if let Some(objection) = objection(case, receiver, close) {
            findings.push(found(case, receiver, close, code, &objection));
        }
    }
}

fn objection(case: &Case<'_>, receiver: Direction, close: &CloseFrame) -> Option<Objection> {
    let session = case.session;
    let (sender, at) = (receiver.reverse(), close.control.frame.at);
    // Where the answer is to an illegal Close frame, that finding tells all.
    let answers = session.close[sender].as_ref().is_some_and(|theirs| {
        theirs.control.frame.at < at && close_illegal::fault(theirs).is_some()
    });
    // An echo of the same code fails nothing.
    let echoes = session.close[sender]
        .as_ref()
        .is_some_and(|theirs| theirs.control.frame.at < at && theirs.code == close.code);
    if answers || echoes {
        return None;
    }
    let breach = session.breaches.iter().rfind(|note| {
        note.direction == sender && note.at <= at && note.breach != Breach::TruncatedFrame
    });
    // A size is objected to for itself (`app-message-too-big`), unless it is no size.
    let of_size = close.code == Some(1009);
    let breach = breach.filter(|note| !of_size || note.breach == Breach::LengthTopBit);
    if of_size && breach.is_none() {
        return None;
    }
    if let Some(note) = breach {
        let what = format!(
            "the {} sent {} ({})",
            sender.sender(),
            offence(note.breach),
            note.detail
        );
        let confidence = Confidence::Certain;
        return Some(Objection {
            at: note.at,
            what,
            confidence,
        });
    }
    // The frame itself may not have been captured; the reason still tells.
    let hidden = session.may_hide_frames(sender);
    let (_, last) = session.last_frame[sender].filter(|(_, last)| *last <= at)?;
    let what = format!("newest frame of the {} before it", sender.sender());
    let confidence = Confidence::Possible;
    (hidden || names_a_fault(&close.reason)).then_some(Objection {
        at: last,
        what,
        confidence,
    })
}

/// What a breach is, to be read without a look into the standard.
fn offence(breach: Breach) -> &'static str {
    match breach {
        Breach::UnmaskedClientFrame => "an unmasked frame",
        Breach::MaskedServerFrame => "a masked frame",
        Breach::Rsv1WithoutExtension | Breach::Rsv1Misplaced | Breach::ReservedBits => {
            "a reserved bit"
        }
        Breach::ReservedOpcode => "a reserved opcode",
        Breach::NonMinimalLength => "a length that is not in its shortest form",
        Breach::LengthTopBit => "an impossible length",
        Breach::FragmentedControl => "a control frame in fragments",
        Breach::ControlTooLong => "a control frame of more than 125 bytes",
        Breach::UnexpectedContinuation => "a continuation frame without a message",
        Breach::InterleavedMessage => "a message inside another one",
        Breach::InvalidUtf8 => "text that is not UTF-8",
        Breach::InflateFailed => "a message that does not inflate",
        Breach::CloseBodyOneByte | Breach::CloseCodeIllegal | Breach::CloseReasonNotUtf8 => {
            "a malformed Close frame"
        }
        Breach::FrameAfterClose => "a frame after its Close frame",
        Breach::HttpInStream => "HTTP where a frame should begin",
        Breach::TruncatedFrame | Breach::UnfinishedMessage => "an unfinished message",
    }
}

/// The reasons that libraries give when they fail a connection themselves.
fn names_a_fault(reason: &str) -> bool {
    const WORDS: [&str; 9] = [
        "invalid frame",
        "masked frame",
        "incorrect masking",
        "bad mask",
        "utf-8",
        "continuation",
        "opcode",
        "reserved bit",
        "frame unfinished",
    ];
    let reason = reason.to_ascii_lowercase();
    WORDS.iter().any(|word| reason.contains(word))
}

fn found(
    case: &Case<'_>,
    receiver: Direction,
    close: &CloseFrame,
    code: u16,
    objection: &Objection,
) -> Finding {
    let session = case.session;
    let (name, sender) = (receiver.sender(), receiver.reverse().sender());
    let request = &session.handshake.request;
    let known = secrets_of(&request.target, &request.headers.0);
    let reason = Secrets::Redacted.text(&close.reason, &known).into_owned();
    let said = if reason.is_empty() {
        String::new()
    } else {
        format!(" (\"{reason}\")")
    };
    let summary = format!(
        "the {name} failed the connection with Close {code}{said}: {}",
        objection.what
    );
    let first = Evidence::new(objection.at, objection.what.clone());
    Finding::new(&RULE, session, objection.confidence, first, summary)
        .evidence(close.control.frame.at, format!("Close {code} of the {name}"))
        .data("status", Value::Count(u64::from(code)))
        .data("receiver", Value::Text(name.to_owned()))
        .data("reason", Value::Text(reason))
        .advice(format!(
            "the cause is the {sender}'s frame in packet {}, not the network: mend the {sender} or what changes its frames on the way",
            objection.at.number
        ))
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_close_1002_after_a_reserved_opcode_points_to_it() {
        let told = Script::new()
            .upgrade()
            .frame(ServerToClient, 0x83, b"x")
            .close(ClientToServer, 1002, "invalid opcode")
            .fin(ClientToServer)
            .told();
        let finding = told.only("close-failed-by-receiver");
        assert_eq!(finding.confidence.name(), "certain");
        assert_eq!(finding.evidence[0].at, told.sessions[0].breaches[0].at);
        let ends = "the server sent a reserved opcode (opcode 3)";
        assert!(finding.summary.ends_with(ends), "{}", finding.summary);
        assert!(finding.causes.is_empty(), "the summary has it already");
    }

    #[test]
    fn an_application_that_closes_with_1002_for_no_reason_on_the_wire_failed_nothing() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .close(ServerToClient, 1002, "")
            .close(ClientToServer, 1002, "")
            .told();
        assert!(told.of("close-failed-by-receiver").is_empty());
    }
}
