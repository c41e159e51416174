//! `app-message-too-big`: a message was larger than its receiver takes.

use std::time::Duration;

use crate::diagnosis::refusal::shown;
use crate::diagnosis::{
    Case, Check, Confidence, EndedBy, Evidence, Finding, Kind, Rule, Severity, Value,
};
use crate::session::{Announced, Breach};
use crate::stream::Direction;
use crate::stream::PacketRef;

pub(super) static RULE: Rule = Rule {
    id: "app-message-too-big",
    severity: Severity::Error,
    summary: "a message was larger than its receiver takes",
    explain: "\
## What it means
A side ended the session for the size of a message: with Close 1009 (`data.kind` `close`), or without a word, by FIN or RST as soon as it had the
header of a frame larger than all that it took before (`dropped`). `data.announced` is the size, `data.accepted` the largest before it that was
surely taken: the limit lies between the two.

## What usually causes it
Each library has a limit for what it receives, and it is often one of these (typical, not proven by the capture): 8 KiB Tomcat; 16 KiB
uWebSockets, which sends no Close frame; 32 KiB a frame and 128 KiB a message AWS API Gateway; 64 KiB Spring's STOMP, Netty and Vert.x; 1 MB
Engine.IO; 1 MiB Python's websockets; 4 MiB aiohttp; 16 MiB uvicorn; 64 MiB tungstenite; 100 MiB ws.

## How to tell them apart
- The reason in the Close frame often names the limit.
- A proxy or a gateway in between has limits of its own: then the leg behind it never carried the frame.
- `dropped` without 1009 may be a crash over this message as well: look into the server's log at that time.

## What to do
Raise the limit on the side that closed (`data.receiver`), or send less at once: by pages, by parts with an upload over HTTP. Don't send the same
message again after reconnecting: it ends the next session too (`pattern-reconnect-loop`). Limits usually count bytes after decompression.

## References
RFC 6455, sections 7.4.1 and 10.4.
",
    checks: &[Check::Session(closed), Check::Session(dropped)],
};

/// Rationale: the smallest limit in the field is that of gorilla's chat example, ...
const SMALLEST_LIMIT: u64 = 512;
/// ... and the smallest default is that of Tomcat's buffers.
const COMMON_LIMIT: u64 = 8_192;
/// Rationale: who hasn't objected to a message for a second and a round trip has taken it.
const TAKEN: Duration = Duration::from_secs(1);
/// Rationale: who drops a connection over a header does it at once; scheduling takes some time.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Limits and whose they are, in bytes.
const KNOWN: [(u64, &str); 11] = [
    (8 << 10, "8 KiB, Tomcat's buffers"),
    (16 << 10, "16 KiB, uWebSockets and Bun"),
    (32 << 10, "32 KiB a frame, AWS API Gateway"),
    (64 << 10, "64 KiB, Spring's STOMP, Netty and Vert.x"),
    (128 << 10, "128 KiB a message, AWS API Gateway"),
    (1_000_000, "1 MB, Engine.IO"),
    (1 << 20, "1 MiB, Python's websockets"),
    (4 << 20, "4 MiB, aiohttp"),
    (16 << 20, "16 MiB, uvicorn"),
    (64 << 20, "64 MiB, tungstenite"),
    (100 << 20, "100 MiB, ws"),
];

/// The Close frame of this side is explained by the size of what it got.
pub(super) fn explains(case: &Case<'_>, receiver: Direction) -> bool {
    refused(case, receiver).is_some_and(|frame| frame.len >= COMMON_LIMIT)
}

/// The frame that this side closes for with 1009.
fn refused(case: &Case<'_>, receiver: Direction) -> Option<Announced> {
    let session = case.session;
    let sender = receiver.reverse();
    let close = session.close[receiver]
        .as_ref()
        .filter(|close| close.code == Some(1009))?;
    let at = close.control.frame.at;
    // An echo of the same code objects to nothing.
    let echoes = session.close[sender]
        .as_ref()
        .is_some_and(|theirs| theirs.control.frame.at < at && theirs.code == close.code);
    // RFC 6455, section 5.2: the top bit of a length is 0. What breaks that is no size.
    if session.first_breach(Breach::LengthTopBit).is_some() {
        return None;
    }
    let frame = session.largest_announced[sender]?;
    (!echoes && frame.at <= at && frame.len >= SMALLEST_LIMIT).then_some(frame)
}

fn closed(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    for receiver in Direction::BOTH {
        let (Some(frame), Some(close)) = (refused(case, receiver), &session.close[receiver]) else {
            continue;
        };
        let reason = shown(session, &close.reason, 120);
        let said = match reason.is_empty() {
            true => String::new(),
            false => format!(" (\"{reason}\")"),
        };
        let (name, sender) = (receiver.sender(), receiver.receiver());
        let summary = format!(
            "the {name} closed with 1009{said} over a message of the {sender}: a frame of {} bytes{}",
            frame.len,
            after(case, receiver, &frame, close.control.frame.at)
        );
        let confidence = match frame.len >= COMMON_LIMIT {
            true => Confidence::Likely,
            false => Confidence::Possible,
        };
        let end = (close.control.frame.at, format!("Close 1009 of the {name}"));
        let found = finding(case, receiver, &frame, confidence, summary, end);
        findings.push(
            found
                .data("kind", Value::Text("close".to_owned()))
                .data("reason", Value::Text(reason)),
        );
    }
}

/// A server that ends the connection over a header says nothing of it.
fn dropped(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let (session, closing) = (case.session, case.closing);
    let (receiver, sender) = (Direction::ServerToClient, Direction::ClientToServer);
    let (Some(frame), Some(end)) = (session.largest_announced[sender], closing.terminator) else {
        return;
    };
    let by_server = closing.kind == Kind::Abnormal
        && closing.ended_by == EndedBy::Server
        && end.direction == receiver;
    let rtt = &session.leg.rtt;
    let round_trip = rtt.client.min().unwrap_or_default() + rtt.server.min().unwrap_or_default();
    let soon = end
        .at
        .time
        .since(frame.at.time)
        .is_some_and(|after| after <= round_trip + AT_ONCE);
    let newest = session.last_frame[sender].is_some_and(|(_, at)| at == frame.at);
    let answered = session.last_message[receiver].is_some_and(|at| at > frame.at);
    let outgrown = frame
        .before
        .is_none_or(|(before, _)| frame.len / 2 >= before);
    let broken = session.first_breach(Breach::LengthTopBit).is_some();
    if !(by_server && soon && newest && outgrown) || answered || broken || frame.len < COMMON_LIMIT
    {
        return;
    }
    // In the middle of it; else it may have taken the message and failed over what it says.
    let inside = session.ends[sender].is_some_and(|end| end.inside_frame.is_some());
    let confidence = match inside {
        true => Confidence::Likely,
        false => Confidence::Possible,
    };
    let word = end.word();
    let summary = format!(
        "the server ended the connection ({word}) over a message of the client: a frame of {} bytes{}",
        frame.len,
        after(case, receiver, &frame, end.at)
    );
    let end = (end.at, format!("{word} of the server, at once"));
    let found = finding(case, receiver, &frame, confidence, summary, end);
    findings.push(found.data("kind", Value::Text("dropped".to_owned())).cause(
        Confidence::Possible,
        "the server's program failed over this message",
    ));
}

/// The largest frame that the receiver took for sure.
fn accepted(
    case: &Case<'_>,
    receiver: Direction,
    frame: &Announced,
    end: PacketRef,
) -> Option<u64> {
    let session = case.session;
    let sender = receiver.reverse();
    // Limits count what is inflated and put together; then frames tell no limit.
    let plain = session.messages[sender].compressed.0 == 0 && session.most_fragments[sender] <= 1;
    let (len, at) = frame.before?;
    let taken = end.time.since(at.time).is_some_and(|after| after > TAKEN);
    (plain && taken && len > 0).then_some(len)
}

/// `, after one of 4096 bytes had passed`
fn after(case: &Case<'_>, receiver: Direction, frame: &Announced, end: PacketRef) -> String {
    accepted(case, receiver, frame, end).map_or(String::new(), |len| {
        format!("; one of {len} bytes it had taken")
    })
}

fn finding(
    case: &Case<'_>,
    receiver: Direction,
    frame: &Announced,
    confidence: Confidence,
    summary: String,
    (end, what): (PacketRef, String),
) -> Finding {
    let session = case.session;
    let (name, sender) = (receiver.sender(), receiver.receiver());
    let header = format!(
        "the header of a frame of {} bytes of the {sender}",
        frame.len
    );
    let mut found = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(frame.at, header),
        summary,
    )
    .evidence(end, what)
    .data("receiver", Value::Text(name.to_owned()))
    .data("announced", Value::Count(frame.len));
    let plain = session.messages[receiver.reverse()].compressed.0 == 0;
    let least = accepted(case, receiver, frame, end).unwrap_or(0);
    if least > 0 {
        found = found.data("accepted", Value::Count(least));
    }
    let fitting = KNOWN
        .iter()
        .filter(|(limit, _)| plain && (least..frame.len).contains(limit))
        // The largest limits that fit are nearest to what was sent.
        .rev()
        .take(3);
    for (_, whose) in fitting {
        let cause = format!("a limit of the {name} (typical ones that fit: {whose})");
        found = found.cause(Confidence::Possible, cause);
    }
    found.advice(format!(
        "raise the {name}'s limit for received messages, or let the {sender} send less at once; it is not the network"
    ))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn sent(script: Script, len: usize) -> Script {
        script.text(ClientToServer, &"x".repeat(len))
    }

    #[test]
    fn a_large_message_before_1009_is_likely_its_cause_and_brackets_the_limit() {
        let script = sent(Script::new().upgrade(), 40_000).wait_s(3.0);
        let told = sent(script, 70_000)
            .close(ServerToClient, 1009, "too long")
            .told();
        let finding = told.only("app-message-too-big");
        assert_eq!(finding.confidence.name(), "likely");
        assert!(finding.data.contains(&("accepted", Value::Count(40_000))));
        assert!(finding.data.contains(&("announced", Value::Count(70_000))));
        let fits: Vec<&str> = finding.causes.iter().map(|c| c.text.as_str()).collect();
        assert!(fits.len() == 1 && fits[0].contains("64 KiB"), "{fits:?}");
        assert!(told.of("close-failed-by-receiver").is_empty());
    }

    #[test]
    fn what_was_sent_right_before_is_not_called_accepted() {
        let told = sent(sent(Script::new().upgrade(), 60_000), 70_000)
            .close(ServerToClient, 1009, "")
            .told();
        let finding = told.only("app-message-too-big");
        assert!(!finding.data.iter().any(|(name, _)| *name == "accepted"));
    }

    #[test]
    fn a_reset_over_the_header_of_a_large_frame_is_told() {
        let whole = frame(0x82, &vec![7; 100_000], true);
        let told = sent(Script::new().upgrade(), 100)
            .wait_s(5.0)
            .bytes(ClientToServer, &whole[..1_400])
            .rst(ServerToClient)
            .told();
        let finding = told.only("app-message-too-big");
        assert_eq!(finding.confidence.name(), "likely");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("dropped".to_owned())))
        );
    }

    #[test]
    fn an_end_after_a_usual_message_or_later_is_not() {
        let usual = sent(sent(Script::new().upgrade(), 50_000).wait_s(2.0), 60_000);
        let told = usual.rst(ServerToClient).told();
        assert!(told.of("app-message-too-big").is_empty());
        let later = sent(Script::new().upgrade(), 60_000).wait_s(2.0);
        assert!(
            later
                .rst(ServerToClient)
                .told()
                .of("app-message-too-big")
                .is_empty()
        );
        let by_client = sent(Script::new().upgrade(), 60_000).rst(ClientToServer);
        assert!(by_client.told().of("app-message-too-big").is_empty());
    }

    #[test]
    fn a_length_with_its_top_bit_set_is_no_size() {
        let told = Script::new()
            .upgrade()
            .bytes(ServerToClient, &[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 1])
            .close(ClientToServer, 1009, "")
            .told();
        assert!(told.of("app-message-too-big").is_empty());
        assert_eq!(told.of("close-failed-by-receiver").len(), 1);
    }

    #[test]
    fn a_1009_after_small_messages_names_no_message() {
        let told = sent(Script::new().upgrade(), 20)
            .close(ServerToClient, 1009, "")
            .told();
        assert!(told.of("app-message-too-big").is_empty());
        assert_eq!(told.of("close-code-meaning").len(), 1);
    }
}
