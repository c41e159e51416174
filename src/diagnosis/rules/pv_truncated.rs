//! `pv-truncated`: the transport ended inside a frame or a message.

use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Provenance, Rule, Severity, Value, reset_provenance,
};
use crate::session::Breach;
use crate::session::BreachNote;
use crate::stream::{Direction, GapCause};

pub(super) static RULE: Rule = Rule {
    id: "pv-truncated",
    severity: Severity::Error,
    summary: "the connection ended inside a frame or a message",
    explain: "\
## What it means
The side that was sending ended TCP before the frame, or the fragmented message, was complete. The receiver's application never sees that
message; its API reports 1006. `data.kind`: `header`, `frame` or `message`; `data.seen_bytes` of `data.announced_bytes` of the frame's payload
were sent.

## What usually causes it
- The sending process was killed or crashed while it wrote.
- A limit on the sender's side ended it: a write timeout, an output buffer that was full, a slow-reader policy.
- A proxy between the two ended the connection: its idle or lifetime timer ran out, or its other leg broke.

## How to tell them apart
- A zero window of the receiver before the end: a write timeout or slow-reader policy.
- A RST, and other sessions of the same host end at the same moment: the process.
- A round number of seconds since the start or the last bytes: a timer on the path.

## What to do
Look in the sender's log at the time of the FIN or RST. If the sender knows nothing of it, look at the proxies.

## References
RFC 6455, section 7.1.7.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for sender in Direction::BOTH {
        let note = case.session.breaches.iter().find(|note| {
            note.direction == sender
                && (note.breach == Breach::TruncatedFrame || is_cut_message(case, note))
        });
        if let Some(note) = note
            && !receiver_ended_it(case, note)
        {
            findings.push(finding(case, note));
        }
    }
}

/// A fragmented message that the end of the transport cut off between two frames.
fn is_cut_message(case: &Case<'_>, note: &BreachNote) -> bool {
    note.breach == Breach::UnfinishedMessage
        && case.session.ends[note.direction].is_some_and(|end| end.at == note.at)
}

/// Who is reset, or told to close, in the middle of a frame did not truncate it.
fn receiver_ended_it(case: &Case<'_>, note: &BreachNote) -> bool {
    let receiver = note.direction.reverse();
    let session = case.session;
    let closed = session.close[receiver]
        .as_ref()
        .is_some_and(|close| close.control.frame.at <= note.at);
    let ended = case
        .closing
        .terminator
        .is_some_and(|end| end.direction == receiver && end.at <= note.at);
    closed || ended
}

fn finding(case: &Case<'_>, note: &BreachNote) -> Finding {
    let session = case.session;
    let (sender, receiver) = (note.direction.sender(), note.direction.receiver());
    let inside = session.ends[note.direction].and_then(|end| end.inside_frame);
    let (kind, place) = match (note.breach, inside) {
        (Breach::UnfinishedMessage, _) => {
            ("message", "between two fragments of a message".to_owned())
        }
        (_, Some((seen, len))) => ("frame", format!("{seen} of {len} bytes into a frame")),
        (_, None) => ("header", format!("inside a frame header ({})", note.detail)),
    };
    let reset = session.leg.resets.iter().find(|reset| reset.at == note.at);
    let forged = reset
        .is_some_and(|reset| reset_provenance(session, reset).verdict == Provenance::Middlebox);
    let how = if reset.is_some() { "RST" } else { "FIN" };
    // Behind a reset nobody sends what is missing, so a gap elsewhere is all that can mislead.
    let confidence = if session.leg.has_loss(GapCause::NotCaptured) {
        Confidence::Likely
    } else {
        Confidence::Certain
    };
    let summary = format!("TCP ended {place}, by a {how} of the {sender}'s side");
    let first = Evidence::new(
        note.at,
        format!("{how}, {sender} to {receiver}: {}", note.detail),
    );
    let mut finding = Finding::new(&RULE, session, confidence, first, summary)
        .evidence_if(
            session.leg.last_payload[note.direction].filter(|at| *at <= note.at),
            "the last bytes before it",
        )
        .data("kind", Value::Text(kind.to_owned()))
        .data("sender", Value::Text(sender.to_owned()));
    finding.evidence.sort_by_key(|evidence| evidence.at);
    if let Some((seen, len)) = inside {
        finding = finding
            .data("seen_bytes", Value::Count(seen))
            .data("announced_bytes", Value::Count(len));
    }
    if forged {
        finding = finding.severity(Severity::Info).cause(
            Confidence::Likely,
            "a device on the path wrote the reset: the sender knows nothing of it",
        );
    }
    let stalled = &session.leg.zero_window[note.direction.reverse()];
    if stalled.since.is_some() || stalled.episodes > 0 {
        finding = finding.cause(
            Confidence::Likely,
            format!(
                "the {receiver} had stopped reading (zero window), and the {sender} gave up on it"
            ),
        );
    }
    finding
        .cause(Confidence::Possible, format!("the {sender}'s process was killed or crashed while it wrote"))
        .cause(Confidence::Possible, format!("a limit or timer of the {sender}, or of a proxy before it, ended the connection"))
        .advice(format!("look in the log of the {sender}, then of the proxies before it, at the time of the {how}"))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_fin_inside_a_frame_is_found() {
        let whole = frame(0x82, &[7; 100], false);
        let told = Script::new()
            .upgrade()
            .bytes(ServerToClient, &whole[..42])
            .fin(ServerToClient)
            .told();
        let finding = told.only("pv-truncated");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(finding.data.contains(&("seen_bytes", Value::Count(40))));
        assert!(
            finding
                .data
                .contains(&("announced_bytes", Value::Count(100)))
        );
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(10));
    }

    #[test]
    fn an_upload_that_the_server_refused_is_silent() {
        let whole = frame(0x82, &[7; 100], true);
        let told = Script::new()
            .upgrade()
            .bytes(ClientToServer, &whole[..42])
            .close(ServerToClient, 1009, "too big")
            .rst(ServerToClient)
            .told();
        assert!(told.of("pv-truncated").is_empty());
    }

    #[test]
    fn a_frame_of_which_the_capture_lacks_bytes_is_silent() {
        let whole = frame(0x82, &[7; 100], false);
        let told = Script::new()
            .upgrade()
            .bytes(ServerToClient, &whole[..42])
            .uncaptured(ServerToClient, &whole[42..])
            .fin(ServerToClient)
            .told();
        assert!(told.of("pv-truncated").is_empty());
    }

    #[test]
    fn a_fin_after_a_whole_frame_is_silent() {
        let told = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .fin(ServerToClient)
            .told();
        assert!(told.of("pv-truncated").is_empty());
    }
}
