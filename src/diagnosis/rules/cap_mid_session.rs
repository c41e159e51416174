//! `cap-mid-session`: sessions were open before the capture began.

use crate::diagnosis::finding::counted;
use crate::diagnosis::{
    Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Subject, Value,
};
use crate::session::{FoundBy, FrameConfidence, MidStream, Session};

pub(super) static RULE: Rule = Rule {
    id: "cap-mid-session",
    severity: Severity::Info,
    summary: "sessions whose opening handshake is not in the capture",
    explain: "\
## What it means
These connections were open before the capture began, or the capture lost the packets with their opening handshake. WebSocket frames give
themselves away all the same: headers, lengths, masks and UTF-8 that fit together over several frames are no accident, and only clients mask.
From the first such frame on the session is read as usual (`data.kind`: `frames`). Unknown are the path, the subprotocol, the extensions, who the
client is by its User-Agent, and how long the session had been open. Compressed messages can be read only if they don't need an earlier one.

`record-sizes`: the connection is TLS without its beginning, which no key can open. The client's masks show through the sizes of its records, and
the last ones have the sizes of two Close frames: it looks like a WebSocket that closed as it should. This is inferred, not read.

`answer-only`: the 101 is in the capture and the request is not. The subprotocol and the extensions are known, the path isn't.

`unknown`: nothing proves that these connections are WebSockets, and nothing in the report is about them. After 256 KiB of a direction only the
starts of segments are searched, for large frames, and after 64 MiB nothing is; `data.searched_in_part` counts the connections to which that happened,
and the finding is then no more than likely.

## What usually causes it
The capture was started on a server whose sockets live for hours, or the packets at its beginning were dropped.

## How to tell them apart
Where a SYN was captured and the handshake wasn't, the capture lost it (`data.lost` counts these): see cap-packet-loss.

## What to do
For the handshake, let one client reconnect while the capture runs.

## References
RFC 6455, sections 4 and 5.2.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let found: Vec<(&Session, MidStream)> = overview
        .sessions
        .iter()
        // What begins in the capture and can't be read is cap-no-keys' matter.
        .filter(|session| session.keyless.is_none())
        .filter_map(|session| Some((session, session.handshake.mid_stream?)))
        .collect();
    let (inferred, read): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|(session, _)| session.is_inferred());
    findings.extend(of_frames(&read));
    findings.extend(of_sizes(&inferred));
    findings.extend(of_answers(overview));
    findings.extend(of_unknown(overview));
}

fn of_frames(sessions: &[(&Session, MidStream)]) -> Option<Finding> {
    let (first, _) = sessions.first()?;
    let count = sessions.len() as u64;
    let lost = sessions.iter().filter(|(_, found)| found.lost).count() as u64;
    let began = match (count, lost) {
        (1, 0) => "1 session was already open when the capture began".to_owned(),
        (_, 0) => format!("{count} sessions were already open when the capture began"),
        (_, _) if lost == count => {
            format!(
                "the capture lacks the opening handshake of {}",
                counted(count, "session")
            )
        }
        _ => format!(
            "the capture lacks the opening handshake of {count} sessions, which began before it or in a gap"
        ),
    };
    let skipped: u64 = sessions
        .iter()
        .map(|(_, found)| found.skipped.client.saturating_add(found.skipped.server))
        .sum();
    let passed = match skipped {
        0 => String::new(),
        1 => ", 1 byte passed over before it".to_owned(),
        bytes => format!(", {bytes} bytes passed over before it"),
    };
    let certain = sessions
        .iter()
        .all(|(session, _)| session.found_with() == FrameConfidence::Certain);
    let (confidence, word) = if certain {
        (Confidence::Certain, "certain")
    } else {
        (Confidence::Likely, "likely")
    };
    let theirs = if count == 1 { "its" } else { "their" };
    let summary =
        format!("{began}; {theirs} frames are read from the first provable one on{passed}");
    let evidence = Evidence::new(first.found_at(), "the first frame that could be told");
    Some(
        of_all(&plain(sessions), confidence, evidence, summary)
            .data("kind", Value::Text("frames".to_owned()))
            .data("sessions", Value::Count(count))
            .data("lost", Value::Count(lost))
            .data("skipped_bytes", Value::Count(skipped))
            .data("proof", Value::Text("chains of frame headers, masks and UTF-8".to_owned()))
            .data("frames_are", Value::Text(word.to_owned()))
            .advice("let a client reconnect while the capture runs: path, subprotocol and extensions are then known"),
    )
}

fn of_sizes(sessions: &[(&Session, MidStream)]) -> Option<Finding> {
    let (first, found) = sessions.first()?;
    let count = sessions.len() as u64;
    let summary = format!(
        "{} of TLS without its beginning, which no key opens: the sizes of its records suggest WebSocket, closed with Close frames",
        counted(count, "connection")
    );
    let evidence = Evidence::new(first.handshake.request.first, "the first record");
    let finding = of_all(&plain(sessions), Confidence::Possible, evidence, summary)
        .data("kind", Value::Text("record-sizes".to_owned()))
        .data("sessions", Value::Count(count))
        .advice("start the capture before the client connects, and keep the SSLKEYLOGFILE");
    Some(match found.by {
        FoundBy::RecordSizes { close: Some(close) } => finding
            .evidence(
                close.client.min(close.server),
                "a record of the size of a Close frame",
            )
            .evidence(
                close.client.max(close.server),
                "its answer's size: four bytes apart, the mask",
            ),
        FoundBy::RecordSizes { close: None } | FoundBy::Frames => finding,
    })
}

fn plain<'a>(sessions: &[(&'a Session, MidStream)]) -> Vec<&'a Session> {
    sessions.iter().map(|(session, _)| *session).collect()
}

/// About the session if there is one, else about the capture.
fn of_all(
    sessions: &[&Session],
    confidence: Confidence,
    evidence: Evidence,
    summary: String,
) -> Finding {
    match sessions {
        [session] => Finding::new(&RULE, session, confidence, evidence, summary),
        _ => {
            let mut finding = Finding::of_capture(&RULE, confidence, summary);
            finding.evidence.push(evidence);
            finding.subject = Subject::Capture;
            finding.tcp_stream = sessions.first().map(|session| session.leg.tcp_stream);
            finding
        }
    }
}

fn of_answers(overview: &Overview<'_>) -> Option<Finding> {
    let unasked = |session: &&Session| {
        session.handshake.request_lost && session.handshake.mid_stream.is_none()
    };
    let sessions: Vec<&Session> = overview.sessions.iter().filter(unasked).collect();
    let first = sessions.first()?;
    let count = sessions.len() as u64;
    let summary = format!(
        "the capture has the 101 of {} and not the request: the path is unknown",
        counted(count, "session")
    );
    let evidence = Evidence::new(first.handshake.request.first, "the 101");
    Some(
        of_all(&sessions, Confidence::Certain, evidence, summary)
            .data("kind", Value::Text("answer-only".to_owned()))
            .data("sessions", Value::Count(count))
            .advice("start the capture before the client connects"),
    )
}

fn of_unknown(overview: &Overview<'_>) -> Option<Finding> {
    let tally = overview.capture.mid_stream;
    let (at, stream) = tally.first?;
    let connections = match tally.count {
        1 => "1 connection was".to_owned(),
        count => format!("{count} connections were"),
    };
    let skimmed = overview.capture.mid_stream_skimmed;
    let (confidence, limit) = match (skimmed, tally.count) {
        (0, _) => (Confidence::Certain, String::new()),
        (1, 1) => (
            Confidence::Likely,
            "; it was too long to be searched whole".to_owned(),
        ),
        (some, _) => (
            Confidence::Likely,
            format!("; {some} of them too long to be searched whole"),
        ),
    };
    let mut finding = Finding::of_capture(
        &RULE,
        confidence,
        format!("{connections} already open when the capture began, and nothing proves WebSocket frames there{limit}"),
    )
    .evidence(at, "the first payload, without a SYN before it")
    .data("kind", Value::Text("unknown".to_owned()))
    .data("connections", Value::Count(tally.count))
    .data("searched_in_part", Value::Count(skimmed))
    .advice("if WebSockets are expected there, let a client reconnect while the capture runs: its opening handshake then shows them");
    finding.tcp_stream = Some(stream);
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Script, Told};
    use crate::stream::Direction::{self, ClientToServer, ServerToClient};

    fn kind(told: &Told) -> String {
        let finding = told.only("cap-mid-session");
        let kind = finding.data.iter().find(|(name, _)| *name == "kind");
        match kind {
            Some((_, Value::Text(kind))) => kind.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_without_a_handshake_are_told() {
        let mut script = Script::new().unseen(Script::upgrade);
        for number in 0..8 {
            script = script
                .text(ClientToServer, &format!("question {number}"))
                .text(ServerToClient, &format!("answer {number}"));
        }
        let told = script.told();
        let finding = told.only("cap-mid-session");
        assert_eq!(kind(&told), "frames");
        assert_eq!(finding.subject, Subject::Session(1));
        let packets: Vec<u64> = finding.evidence.iter().map(|e| e.at.number).collect();
        assert_eq!(packets, [1]);
    }

    #[test]
    fn several_sessions_are_one_finding() {
        let talk = |mut script: Script| {
            for number in 0..8 {
                script = script
                    .text(ClientToServer, &format!("question {number}"))
                    .text(ServerToClient, &format!("answer {number}"));
            }
            script
        };
        let told = talk(Script::new().unseen(Script::upgrade))
            .elsewhere(40_002, |script| talk(script.unseen(Script::upgrade)))
            .told();
        assert_eq!(told.only("cap-mid-session").subject, Subject::Capture);
        assert_eq!(told.sessions.len(), 2);
    }

    #[test]
    fn a_101_without_its_request_is_told_as_such() {
        let told = Script::new()
            .handshake()
            .unseen(|script| script.request(""))
            .accept("")
            .told();
        assert_eq!(kind(&told), "answer-only");
    }

    #[test]
    fn two_short_texts_prove_nothing() {
        let told = Script::new()
            .text(ClientToServer, "hi")
            .text(ServerToClient, "ho")
            .told();
        assert!(told.sessions.is_empty());
        assert_eq!(kind(&told), "unknown");
        let packets: Vec<u64> = told
            .only("cap-mid-session")
            .evidence
            .iter()
            .map(|e| e.at.number)
            .collect();
        assert_eq!(packets, [1]);
    }

    /// So many bytes of something else, from the server.
    fn noise(kib: usize) -> Told {
        let mut script = Script::new();
        for _ in 0..kib {
            script = script.bytes(ServerToClient, &[0x55; 1_024]);
        }
        script.told()
    }

    #[test]
    fn a_search_that_stopped_at_its_limit_is_not_certain() {
        let told = noise(300);
        assert_eq!(kind(&told), "unknown");
        let finding = told.only("cap-mid-session");
        assert_eq!(finding.confidence, Confidence::Likely);
        assert!(
            finding
                .summary
                .ends_with("; it was too long to be searched whole")
        );
    }

    #[test]
    fn a_search_of_all_bytes_is_certain() {
        let told = noise(200);
        assert_eq!(told.only("cap-mid-session").confidence, Confidence::Certain);
    }

    /// Records of TLS 1.3 around these lengths of frames.
    fn records(mut script: Script, frames: &[(Direction, usize)]) -> Script {
        for (from, len) in frames {
            let mut record = vec![0x17, 3, 3, 0, u8::try_from(len + 17).unwrap()];
            record.resize(len + 22, 0x5c);
            script = script.bytes(*from, &record);
        }
        script
    }

    const PING: [(Direction, usize); 2] = [(ClientToServer, 10), (ServerToClient, 6)];
    const CLOSE: [(Direction, usize); 4] = [
        (ClientToServer, 8),
        (ServerToClient, 4),
        (ServerToClient, 2),
        (ClientToServer, 2),
    ];

    #[test]
    fn sizes_that_suggest_a_websocket_are_told_as_no_more() {
        let told = records(Script::new(), &[&PING[..], &PING, &PING, &CLOSE].concat())
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        assert_eq!(kind(&told), "record-sizes");
        let finding = told.only("cap-mid-session");
        assert_eq!(finding.confidence, Confidence::Possible);
        assert!(told.sessions[0].is_inferred());
        let loud = told.findings.iter().filter(|f| f.severity > Severity::Info);
        assert_eq!(loud.count(), 0, "{:?}", told.ids());
    }

    #[test]
    fn other_tls_without_its_beginning_is_no_session() {
        let page = [(ClientToServer, 90), (ServerToClient, 200)];
        let told = records(Script::new(), &[page, page, page].concat())
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        assert!(told.sessions.is_empty());
        assert!(told.of("cap-mid-session").is_empty());
        assert_eq!(
            (told.capture.tls.connections, told.capture.tls.headless),
            (1, 1)
        );
    }

    #[test]
    fn a_request_without_a_syn_is_a_whole_session() {
        let told = Script::new()
            .request("")
            .accept("")
            .text(ClientToServer, "hi")
            .told();
        assert_eq!(told.sessions.len(), 1);
        assert!(told.of("cap-mid-session").is_empty());
    }
}
