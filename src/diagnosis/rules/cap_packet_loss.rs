//! `cap-packet-loss`: the capture lacks packets that were on the wire.

use crate::diagnosis::finding::counted;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Capture, FrameGap, Session};
use crate::stream::GapCause;

pub(super) static RULE: Rule = Rule {
    id: "cap-packet-loss",
    severity: Severity::Warn,
    summary: "the capture lacks packets that were on the wire",
    explain: "\
## What it means
Receivers acknowledged bytes that are in no packet of the capture, or the capturing machine says that it dropped packets. The network delivered
them: the capture is at fault, not the connection. Messages in those bytes are missing here, and a finding that something did not happen (no Pong,
no Close frame, no answer) is less sure for the sessions in `data.sessions`.

## What usually causes it
- The capture buffer was too small, or the disk too slow.
- A mirror port (SPAN) that was oversubscribed.
- A capture filter that misses IP fragments, VLAN tags or one path of several.

## How to tell them apart
- A drop counter (`data.dropped`) above 0: buffer or disk. pcapng files carry it, classic pcap files don't.
- No drops, gaps in bursts of traffic: the mirror port.
- No drops, gaps all over: the filter.
- What the network lost isn't here: it was sent again, or the receiver never acknowledged it.

## What to do
Capture again, for example with `tcpdump -i IF -s 0 -B 65536 -w FILE 'tcp port PORT or icmp or icmp6'`, on the host itself rather than on a
mirror port.

## References
RFC 9293, section 3.4: acknowledgments are cumulative.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let capture = overview.capture;
    let (gaps, bytes) = capture
        .gaps
        .iter()
        .find(|total| total.cause == GapCause::NotCaptured)
        .map_or((0, 0), |total| (total.count, total.bytes));
    // A side of which nothing was captured is cap-one-way; what nobody acknowledged, the network may have lost.
    let (unheard, unresolved) = (capture.unheard_gaps, capture.unresolved_gaps);
    let gaps = gaps.saturating_sub(unheard.0 + unresolved.0);
    let bytes = bytes.saturating_sub(unheard.1.saturating_add(unresolved.1));
    let dropped = capture.dropped;
    if gaps == 0 && dropped == 0 {
        return;
    }
    let of = |does: fn(&Session) -> bool| -> Vec<String> {
        let sessions = overview.sessions.iter().filter(|session| does(session));
        sessions.map(Session::name).collect()
    };
    let (unread, touched) = (of(stopped_at_a_gap), of(lacks_frames));
    let left_out = left_out(capture).filter(|_| gaps > 0);
    let mut what = what_is_missing(gaps, bytes, dropped);
    if let Some(left_out) = &left_out {
        what = format!("{what} ({left_out})");
    }
    let means = what_it_means(gaps, unread.len() as u64, &touched);
    let mut finding = Finding::of_capture(&RULE, Confidence::Certain, format!("{what}{means}"))
        .data("unread_sessions", Value::Count(unread.len() as u64))
        .data("gaps", Value::Count(gaps))
        .data("bytes", Value::Count(bytes))
        .data("dropped", Value::Count(dropped))
        .data(
            "sessions",
            Value::List(touched.into_iter().take(NAMED).collect()),
        );
    if let Some((at, stream)) = capture.first_gap {
        finding.evidence.push(Evidence::new(
            at,
            "acknowledges, or follows, bytes that are missing",
        ));
        finding.tcp_stream = Some(stream);
    }
    let buffer = "the capture buffer was too small, or the disk too slow";
    if left_out.is_some() {
        finding = finding.cause(
            Confidence::Likely,
            "--filter left out packets of these connections: look again without it",
        );
    }
    let finding = match dropped {
        0 => finding
            .cause(
                Confidence::Possible,
                "an oversubscribed mirror port, or a filter that misses some of the packets",
            )
            .cause(
                Confidence::Possible,
                format!("{buffer}, though the file counts no drops"),
            ),
        _ => finding.cause(Confidence::Likely, buffer),
    };
    findings.push(finding.advice(if left_out.is_some() {
        "read the file again without --filter; choose sessions with --where instead"
    } else {
        "capture again on the host itself: tcpdump -i IF -s 0 -B 65536 -w FILE 'tcp port PORT or icmp or icmp6'"
    }));
}

/// Rationale: a report names a handful.
const NAMED: usize = 16;

fn what_is_missing(gaps: u64, bytes: u64, dropped: u64) -> String {
    let lost = format!(
        "{}, {}: receivers acknowledged what the capture lacks",
        counted(gaps, "gap"),
        counted(bytes, "byte")
    );
    let dropped_here = format!(
        "the capturing machine dropped {}",
        counted(dropped, "packet")
    );
    match (gaps, dropped) {
        (0, _) => format!("{dropped_here}; no connection shows a gap"),
        (_, 0) => lost,
        _ => format!("{lost}; {dropped_here}"),
    }
}

/// `touched` are the sessions that lack frames, `unread` counts those that stay so.
fn what_it_means(gaps: u64, unread: u64, touched: &[String]) -> String {
    let means = match touched {
        _ if gaps == 0 => "",
        [] => "; no WebSocket frame is missing",
        _ => "; that something did not happen is less sure there",
    };
    match unread {
        0 => means.to_owned(),
        _ => format!(
            "{means}; behind a gap the frames of {} were not decoded any more",
            counted(unread, "session")
        ),
    }
}

/// Frames of the session are missing, or parts of them.
fn lacks_frames(session: &Session) -> bool {
    let lost = |gap: &FrameGap| gap.cause == GapCause::NotCaptured;
    // Frames may have followed an answer that was not captured.
    session.frame_gaps.iter().any(lost) || session.may_hide_answer()
}

/// A filter of ours that may be why packets are missing, in the words of a report.
pub(super) fn left_out(capture: &Capture) -> Option<String> {
    let filter = capture.filter.as_ref().filter(|f| f.left_out > 0)?;
    Some(format!(
        "--filter left out {}, perhaps those",
        counted(filter.left_out, "packet")
    ))
}

/// A lost frame header, after which the place of the next one isn't known.
fn stopped_at_a_gap(session: &Session) -> bool {
    session
        .frame_gaps
        .iter()
        .any(|gap| gap.cause == GapCause::NotCaptured && session.is_lost(gap.direction))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Thresholds, Value, diagnose_capture};
    use crate::script::{Script, frame};
    use crate::session::Capture;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn bytes_that_were_acknowledged_but_not_captured_are_loss() {
        let lost = frame(0x81, b"lost", false);
        let told = Script::new()
            .upgrade()
            .uncaptured(ServerToClient, &lost)
            .text(ServerToClient, "seen")
            .clean_close(ServerToClient)
            .told();
        let finding = told.only("cap-packet-loss");
        assert!(finding.data.contains(&("bytes", Value::Count(6))));
        assert_eq!(finding.evidence.len(), 1);
    }

    #[test]
    fn behind_an_answer_that_is_missing_frames_may_be_missing_too() {
        let asked = || Script::new().handshake().request("");
        let lost = asked().uncaptured(ServerToClient, b"HTTP/1.1 101 Switching Protocols");
        let told = lost.fin(ServerToClient).fin(ClientToServer).told();
        let finding = told.only("cap-packet-loss");
        assert!(!finding.summary.contains("no WebSocket frame is missing"));
        assert!(
            finding
                .data
                .contains(&("sessions", Value::List(vec!["s1".to_owned()])))
        );
        // An answer that was captured has none behind it.
        let refused = asked().answer("404 Not Found", "", "");
        let told = refused
            .uncaptured(ServerToClient, b"body")
            .fin(ServerToClient)
            .told();
        let finding = told.only("cap-packet-loss");
        assert!(finding.summary.contains("no WebSocket frame is missing"));
    }

    #[test]
    fn a_retransmission_after_loss_on_the_network_is_none() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "a")
            .again(ClientToServer, &frame(0x81, b"a", true))
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("cap-packet-loss").is_empty());
    }

    #[test]
    fn what_nobody_acknowledged_is_no_fault_of_the_capture() {
        let lost = frame(0x81, b"lost", false);
        let told = Script::new()
            .upgrade()
            .silent(ClientToServer, true)
            .uncaptured(ServerToClient, &lost)
            .text(ServerToClient, "seen")
            .told();
        assert!(told.of("cap-packet-loss").is_empty());
        assert_eq!(told.capture.unresolved_gaps, (1, 6));
    }

    #[test]
    fn a_drop_counter_is_told_without_a_gap_too() {
        let capture = Capture {
            dropped: 3,
            ..Capture::default()
        };
        let findings = diagnose_capture(&[], &[], &capture, &Thresholds::default());
        let summary = findings
            .iter()
            .find(|finding| finding.rule.id == "cap-packet-loss")
            .map(|finding| finding.summary.as_str());
        assert_eq!(
            summary,
            Some("the capturing machine dropped 3 packets; no connection shows a gap")
        );
    }

    #[test]
    fn frames_behind_a_lost_header_are_said_to_be_unread() {
        let lost = crate::script::frame(0x81, b"lost", true);
        let told = Script::new()
            .upgrade()
            .uncaptured(ClientToServer, &lost)
            .bytes(ClientToServer, &[0x7f; 64])
            .told();
        let finding = told.only("cap-packet-loss");
        assert!(finding.data.contains(&("unread_sessions", Value::Count(1))));
        assert!(
            finding
                .summary
                .ends_with("the frames of 1 session were not decoded any more")
        );
    }

    #[test]
    fn frames_that_are_found_again_are_not_unread() {
        let lost = crate::script::frame(0x81, b"lost", true);
        let told = (0..40).fold(
            Script::new().upgrade().uncaptured(ClientToServer, &lost),
            |script, _| script.wait_s(0.1).text(ClientToServer, "later"),
        );
        let told = told.told();
        let finding = told.only("cap-packet-loss");
        assert!(finding.data.contains(&("unread_sessions", Value::Count(0))));
        assert_eq!(told.sessions[0].resyncs.client.count, 1);
    }
}
