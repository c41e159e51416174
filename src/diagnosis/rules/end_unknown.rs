//! `end-unknown`: the capture ended while the session was open, or lacks how it ended.

use crate::diagnosis::path::dead_path;
use crate::diagnosis::wording::span;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Terminator, Value,
};
use crate::session::{Ended, Session};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "end-unknown",
    severity: Severity::Info,
    summary: "how the session ended is not in the capture",
    explain: "\
## What it means
No Close frame, FIN or reset was captured: the session was open at its last packet. Or the connection's end was captured, and what came right
before it was not: a Close frame may be among the missing bytes. How it ended, and with which code, can't be told from this file. It isn't called 1006.

## What usually causes it
- The capture was stopped, or rotated to the next file.
- A capture filter or the capturing host lost the end. `data.kind` is `not-captured` where another connection between the same
  addresses and ports proves that there was one, and `close-not-captured` where only the FIN or reset is there (`data.bytes` are missing before it).

## How to tell them apart
The next file of a rotated ring, if there is one, has the rest: give all of them to wscope.

## What to do
Capture longer, or give the following files too.

## References
RFC 6455, section 7.1.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let pending = case.closing.terminator.is_none() && case.session.ended != Some(Ended::Settled);
    let waiting = matches!(case.closing.kind, Kind::Half | Kind::Unknown) && pending;
    if case.closing.kind != Kind::Open && !waiting {
        return;
    }
    if let Some(end) = case.closing.terminator.filter(|_| !waiting) {
        findings.push(without_its_close(session, &end));
        return;
    }
    // A dead path is the better word for it.
    if dead_path(session).is_some() {
        return;
    }
    // The end may be in what the capture lacks.
    let lacks = |side| session.may_hide_frames(side);
    let confidence = match case.capture.dropped > 0 || Direction::BOTH.into_iter().any(lacks) {
        true => Confidence::Likely,
        false => Confidence::Certain,
    };
    let last = session.leg.last_packet_any();
    let quiet = session.horizon.time.saturating_since(last.time);
    let (kind, summary) = match session.ended {
        Some(Ended::LimitReached) => (
            "limit-reached",
            "the session was open when its record was let go to stay within the limits".to_owned(),
        ),
        Some(Ended::Settled) => (
            "not-captured",
            "the end of the session was not captured: another connection follows between the same addresses and ports".to_owned(),
        ),
        _ if waiting => (
            "closing",
            "the capture ends in the middle of the closing handshake".to_owned(),
        ),
        _ => (
            "open",
            format!(
                "the session was open when the capture ended, {} after its last packet",
                span(quiet)
            ),
        ),
    };
    findings.push(
        Finding::new(
            &RULE,
            session,
            confidence,
            Evidence::new(last, "last packet of the session"),
            summary,
        )
        .data("kind", Value::Text(kind.to_owned()))
        .data("quiet_ms", Value::Ms(quiet))
        .advice("capture longer, or give the files that follow, if the end matters"),
    );
}

/// The transport's end was captured, and what was said right before it was not.
fn without_its_close(session: &Session, end: &Terminator) -> Finding {
    let word = if end.reset.is_some() { "reset" } else { "FIN" };
    let side = match session.may_hide_close_at_end(end.direction) {
        true => end.direction,
        false => end.direction.reverse(),
    };
    let gaps = session.leg.gaps.iter();
    let bytes = gaps
        .filter(|gap| gap.direction == side)
        .max_by_key(|gap| gap.offset)
        .and_then(|gap| gap.len)
        // Behind the last gap that was kept there may be others, and bytes in which no frame was told.
        .filter(|_| session.resyncs[side].unread == 0 && !session.leg.gaps_left_out());
    let among = match bytes {
        Some(bytes) => format!("the {bytes} bytes missing before the {word}"),
        None => format!("what is missing before the {word}"),
    };
    let summary = format!(
        "the {} ended TCP with a {word}, and how the session ended is not in the capture: a Close frame of the {} may be among {among}",
        end.direction.sender(),
        side.sender(),
    );
    let evidence = Evidence::new(end.at, format!("{word}, behind missing bytes"));
    let finding = Finding::new(&RULE, session, Confidence::Likely, evidence, summary)
        .data("kind", Value::Text("close-not-captured".to_owned()));
    match bytes {
        Some(bytes) => finding.data("bytes", Value::Count(bytes)),
        None => finding,
    }
    .advice("look at cap-packet-loss; the code stands in the log of either endpoint")
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Kind;
    use crate::diagnosis::closing::close_of;
    use crate::script::{Script, frame};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn an_open_session_at_the_end_is_no_1006() {
        let told = Script::new().upgrade().text(ClientToServer, "hi").told();
        assert_eq!(told.of("end-unknown").len(), 1);
        assert!(!told.ids().iter().any(|id| id.starts_with("close-1006")));
    }

    #[test]
    fn a_session_whose_end_was_not_captured_is_no_1006_either() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .wait_s(60.0)
            .at_port(40_001)
            .upgrade()
            .clean_close(ClientToServer)
            .told();
        assert_eq!(told.sessions.len(), 2);
        let finding = told.only("end-unknown");
        assert!(finding.summary.contains("not captured"));
        assert!(!told.ids().iter().any(|id| id.starts_with("close-1006")));
    }

    #[test]
    fn a_fin_behind_missing_bytes_may_follow_a_close_frame() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .uncaptured(ServerToClient, &frame(0x88, b"\x03\xe8", false))
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        assert!(told.only("end-unknown").summary.contains("the 4 bytes"));
        assert!(!told.ids().iter().any(|id| id.starts_with("close-1006")));
        let closing = close_of(&told.sessions[0]);
        assert_eq!((closing.kind, closing.sees.client), (Kind::Open, None));
    }

    #[test]
    fn a_fin_behind_frames_that_follow_the_missing_ones_does_not() {
        let lost = frame(0x81, b"lost", false);
        let told = (0..40)
            .fold(
                Script::new().upgrade().uncaptured(ServerToClient, &lost),
                |script, _| script.wait_s(0.1).text(ServerToClient, "later"),
            )
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        assert!(told.of("end-unknown").is_empty());
        let finding = told.only("close-1006-peer-fin");
        assert_eq!(finding.confidence.name(), "possible");
    }

    #[test]
    fn a_session_that_was_closed_has_a_known_end() {
        let told = Script::new().upgrade().clean_close(ServerToClient).told();
        assert!(told.of("end-unknown").is_empty());
    }
}
