//! Sessions that nobody could read, from their records to what is said of them.

use std::time::Duration;

use super::closing::close_of;
use super::{EndedBy, How, Kind};
use crate::script::{Script, Told};
use crate::session::Session;
use crate::stream::Direction::{self, ClientToServer, ServerToClient};

/// The only session, which nobody could read.
fn only(told: &Told) -> &Session {
    let [session] = told.sessions.as_slice() else {
        panic!("{} sessions", told.sessions.len());
    };
    assert!(session.is_inferred());
    session
}

fn beating(mut script: Script, from: Direction, beats: usize) -> Script {
    for _ in 0..beats {
        script = script.wait_s(2.0).sealed_beat(from);
    }
    script
}

#[test]
fn a_heartbeat_shows_through_tls() {
    for pinger in Direction::BOTH {
        let told = beating(Script::new().sealed_upgrade(), pinger, 5)
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        let session = only(&told);
        let ledger = &session.pings[pinger];
        assert_eq!((ledger.sent, ledger.answered), (5, 5));
        assert_eq!(session.pings[pinger.reverse()].sent, 0);
        let period = ledger.intervals.median().unwrap_or_default();
        assert!(period.abs_diff(Duration::from_secs(2)) < Duration::from_millis(50));
    }
}

#[test]
fn an_end_after_a_heartbeat_is_one_without_close() {
    let told = beating(Script::new().sealed_upgrade(), ClientToServer, 5)
        .sealed_end(ServerToClient)
        .told();
    let closing = close_of(only(&told));
    assert_eq!(
        (closing.kind, closing.ended_by, closing.how),
        (Kind::Abnormal, EndedBy::Server, Some(How::TlsCloseNotify))
    );
    assert_eq!(
        (closing.sees.client, closing.sees.server),
        (Some(1006), Some(1006))
    );
    assert_eq!(closing.sees.client_error_event, None);
}

#[test]
fn close_frames_show_by_their_sizes_and_their_place() {
    let told = Script::new()
        .sealed_upgrade()
        .sealed_beat(ServerToClient)
        .sealed_frame(ClientToServer, 0x88, b"\x03\xe8bye")
        .sealed_frame(ServerToClient, 0x88, b"\x03\xe8bye")
        .sealed_end(ServerToClient)
        .told();
    let closing = close_of(only(&told));
    assert_eq!(
        (closing.kind, closing.ended_by, closing.how),
        (Kind::Clean, EndedBy::Client, Some(How::Close))
    );
    // The code is encrypted.
    assert_eq!((closing.sees.client, closing.sees.server), (None, None));
}

#[test]
fn a_last_short_record_may_be_a_close_frame_so_nothing_is_said_of_it() {
    let told = beating(Script::new().sealed_upgrade(), ClientToServer, 5)
        .sealed_frame(ServerToClient, 0x88, b"\x03\xf3keepalive ping timeout")
        .fin(ServerToClient)
        .fin(ClientToServer)
        .told();
    let closing = close_of(only(&told));
    assert_eq!(closing.kind, Kind::Open);
    assert_eq!((closing.sees.client, closing.sees.server), (None, None));
    let loud = told
        .findings
        .iter()
        .filter(|f| f.rule.id.starts_with("close-1006"));
    assert_eq!(loud.count(), 0, "{:?}", told.ids());
}

#[test]
fn a_heartbeat_right_before_the_end_is_no_closing_handshake() {
    let told = beating(Script::new().sealed_upgrade(), ClientToServer, 5)
        .rst(ServerToClient)
        .told();
    assert_eq!(close_of(only(&told)).kind, Kind::Abnormal);
}

#[test]
fn requests_and_answers_are_no_session() {
    let mut script = Script::new().sealed_upgrade();
    for number in 0..8 {
        script = script
            .wait_s(1.0)
            .sealed(ClientToServer, 195 + number)
            .sealed(ServerToClient, 203 + number);
    }
    assert!(script.sealed_end(ClientToServer).told().sessions.is_empty());
}

#[test]
fn polling_with_answers_four_bytes_shorter_is_no_session() {
    let mut script = Script::new().sealed_upgrade();
    for _ in 0..8 {
        script = script
            .wait_s(1.0)
            .sealed(ClientToServer, 80)
            .sealed(ServerToClient, 76);
    }
    assert!(script.sealed_end(ClientToServer).told().sessions.is_empty());
}

#[test]
fn events_that_only_the_server_sends_are_no_session() {
    let mut script = Script::new().sealed_upgrade();
    for _ in 0..8 {
        script = script.wait_s(15.0).sealed(ServerToClient, 8);
    }
    assert!(script.fin(ServerToClient).told().sessions.is_empty());
}

#[test]
fn pings_of_http2_are_no_session() {
    let mut script = Script::new()
        .tls13()
        .sealed(ClientToServer, 64)
        .sealed(ServerToClient, 40)
        .sealed(ServerToClient, 9)
        .sealed(ClientToServer, 9)
        .sealed(ClientToServer, 195)
        .sealed(ServerToClient, 203);
    for _ in 0..8 {
        script = script
            .wait_s(1.0)
            .sealed(ClientToServer, 17)
            .sealed(ServerToClient, 17);
    }
    assert!(script.sealed_end(ClientToServer).told().sessions.is_empty());
}

#[test]
fn short_commands_of_another_protocol_are_no_session() {
    let mut script = Script::new().tls13();
    // A login, then commands whose answers are four bytes shorter.
    script = script.sealed(ClientToServer, 60).sealed(ServerToClient, 5);
    for _ in 0..8 {
        script = script
            .wait_s(1.0)
            .sealed(ClientToServer, 14)
            .sealed(ServerToClient, 10);
    }
    assert!(script.sealed_end(ClientToServer).told().sessions.is_empty());
}

#[test]
fn what_a_client_alone_says_counts_where_the_server_is_known() {
    let brief = |mut script: Script| {
        script = script.sealed_upgrade();
        for number in 0..4 {
            let text = format!("{number}");
            script = script
                .wait_s(0.5)
                .sealed_frame(ClientToServer, 0x81, text.as_bytes());
        }
        script.fin(ServerToClient).fin(ClientToServer)
    };
    assert!(brief(Script::new()).told().sessions.is_empty());
    let told = beating(Script::new().sealed_upgrade(), ClientToServer, 5)
        .fin(ServerToClient)
        .fin(ClientToServer)
        .elsewhere(40_002, brief)
        .told();
    assert_eq!(told.sessions.len(), 2);
    assert!(told.sessions.iter().all(Session::is_inferred));
}

#[test]
fn nothing_said_of_an_inferred_session_is_more_than_possible() {
    let told = beating(Script::new().sealed_upgrade(), ClientToServer, 5)
        .fin(ServerToClient)
        .fin(ClientToServer)
        .told();
    let finding = told.only("close-1006-peer-fin");
    assert_eq!(finding.confidence.name(), "possible");
    assert!(finding.summary.contains("inferred"), "{}", finding.summary);
}

#[test]
fn a_beat_without_answer_before_the_end_is_a_timeout() {
    let script = beating(Script::new().sealed_upgrade(), ServerToClient, 6)
        .wait_s(2.0)
        .sealed_frame(ServerToClient, 0x89, b"beat")
        .wait_s(2.0);
    let told = script.fin(ServerToClient).fin(ClientToServer).told();
    let finding = told.only("hb-pong-timeout");
    assert_eq!(finding.confidence.name(), "possible");
    let told = beating(Script::new().sealed_upgrade(), ServerToClient, 7)
        .wait_s(2.0)
        .fin(ServerToClient)
        .fin(ClientToServer)
        .told();
    assert!(told.of("hb-pong-timeout").is_empty());
}

#[test]
fn where_records_are_missing_no_close_frame_is_called_missing() {
    let script = beating(Script::new().sealed_upgrade(), ClientToServer, 5)
        .uncaptured(ServerToClient, &[0x17; 90])
        .sealed(ServerToClient, 40)
        .wait_s(1.0);
    let told = beating(script, ClientToServer, 5)
        .fin(ServerToClient)
        .fin(ClientToServer)
        .told();
    assert_eq!(told.sessions.len(), 1);
    for session in &told.sessions {
        assert_ne!(close_of(session).kind, Kind::Abnormal);
    }
}

/// A request after TLS's handshake and tickets, and no answer in so many seconds.
fn asked(script: Script, seconds: f64) -> Script {
    script
        .tls13()
        .sealed(ServerToClient, 233)
        .sealed(ClientToServer, 195)
        .wait_s(seconds)
}

#[test]
fn a_server_that_speaks_websocket_and_answers_nothing_is_told() {
    let silent = |script: Script| asked(script, 10.0).fin(ClientToServer).fin(ServerToClient);
    let known = || {
        beating(Script::new().sealed_upgrade(), ClientToServer, 5)
            .fin(ServerToClient)
            .fin(ClientToServer)
    };
    let told = known().elsewhere(40_002, silent).told();
    let finding = told.only("hs-no-response");
    assert_eq!(finding.confidence.name(), "possible");
    // Of a server of which nothing is known nothing is said.
    assert!(silent(Script::new()).told().of("hs-no-response").is_empty());
    // A client that leaves at once had no patience.
    let hasty = |script: Script| asked(script, 0.1).fin(ClientToServer).fin(ServerToClient);
    let told = known().elsewhere(40_002, hasty).told();
    assert!(told.of("hs-no-response").is_empty());
}

#[test]
fn long_silences_without_a_beat_are_told_and_with_one_they_are_not() {
    let echoes = |mut script: Script| {
        for word in ["a", "bcd", "ef"] {
            script = script
                .sealed_frame(ClientToServer, 0x81, word.as_bytes())
                .sealed_frame(ServerToClient, 0x81, word.as_bytes());
        }
        script
    };
    let mut script = Script::new().sealed_upgrade();
    for _ in 0..3 {
        script = echoes(script.wait_s(40.0));
    }
    let told = script.fin(ServerToClient).fin(ClientToServer).told();
    assert_eq!(told.only("hb-none").confidence.name(), "possible");
    let mut script = echoes(Script::new().sealed_upgrade());
    for _ in 0..5 {
        script = script.wait_s(40.0).sealed_beat(ServerToClient);
    }
    let told = script.fin(ServerToClient).fin(ClientToServer).told();
    assert!(told.of("hb-none").is_empty(), "{:?}", told.ids());
}

#[test]
fn an_end_without_close_notify_is_told_where_sizes_show_none() {
    let ended = |told: Told| told.of("tls-close-without-notify").len();
    let alive = || beating(Script::new().sealed_upgrade(), ClientToServer, 5).wait_s(1.0);
    let without = alive().fin(ServerToClient).fin(ClientToServer);
    assert_eq!(ended(without.told()), 1);
    assert_eq!(ended(alive().sealed_end(ServerToClient).told()), 0);
}
