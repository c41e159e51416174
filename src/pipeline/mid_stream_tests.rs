//! Sessions whose opening handshake is not in the capture.

use crate::diagnosis::{Confidence, Severity};
use crate::script::{Script, Told};
use crate::session::{FoundBy, Orientation, Session};
use crate::stream::Direction::{self, ClientToServer, ServerToClient};
use crate::stream::GapCause;

/// A talk of some messages both ways.
fn talk(mut script: Script) -> Script {
    for number in 0..8 {
        script = script
            .text(
                ClientToServer,
                &format!("{{\"id\": {number}, \"method\": \"ask\"}}"),
            )
            .text(
                ServerToClient,
                &format!("{{\"id\": {number}, \"result\": \"answer\"}}"),
            );
    }
    script
}

/// Whatever is told, it is no alarm.
fn only_session(told: &Told) -> &Session {
    let loud: Vec<_> = told
        .findings
        .iter()
        .filter(|f| f.severity > Severity::Info && !f.rule.id.starts_with("cap-"))
        .map(|f| (f.rule.id, &f.summary))
        .collect();
    assert!(loud.is_empty(), "{loud:?}");
    match told.sessions.as_slice() {
        [session] => session,
        sessions => panic!("{} sessions", sessions.len()),
    }
}

fn counts(session: &Session) -> (u64, u64) {
    (session.messages.client.count, session.messages.server.count)
}

#[test]
fn a_session_that_was_open_already_is_read_and_closes_cleanly() {
    let told = talk(Script::new().unseen(Script::upgrade))
        .clean_close(ClientToServer)
        .told();
    let session = only_session(&told);
    assert_eq!(counts(session), (8, 8));
    assert_eq!(
        session.handshake.mid_stream.map(|found| found.by),
        Some(FoundBy::Frames)
    );
    assert_eq!(session.handshake.seen_request(), None);
    let close = Direction::BOTH.map(|side| session.close[side].as_ref().and_then(|c| c.code));
    assert_eq!(close, [Some(1000), Some(1000)]);
    assert!(session.leg.has_loss(GapCause::BeganMidStream));
    assert_eq!(told.of("cap-mid-session").len(), 1);
    assert_eq!(told.capture.mid_stream.count, 0);
}

#[test]
fn the_masks_tell_who_is_the_client() {
    let told = talk(
        Script::new()
            .unseen(|script| script.upgrade().text(ServerToClient, "greeting"))
            .text(ServerToClient, r#"{"method":"greeting"}"#),
    )
    .clean_close(ServerToClient)
    .told();
    let session = only_session(&told);
    assert_eq!(session.leg.client.port(), 40_001);
    assert_eq!(session.leg.orientation, Orientation::Payload);
    assert_eq!(counts(session), (8, 9));
    let first_close = session
        .close
        .server
        .as_ref()
        .map(|close| close.control.frame.at);
    assert!(
        first_close
            < session
                .close
                .client
                .as_ref()
                .map(|close| close.control.frame.at)
    );
}

#[test]
fn what_stands_before_the_first_whole_frame_is_passed_over_and_counted() {
    let told = talk(
        Script::new()
            .unseen(Script::upgrade)
            .bytes(ServerToClient, b"the end of a long message"),
    )
    .clean_close(ClientToServer)
    .told();
    let session = only_session(&told);
    assert_eq!(counts(session), (8, 8));
    let skipped = session.handshake.mid_stream.unwrap().skipped;
    assert_eq!((skipped.client, skipped.server), (0, 25));
}

#[test]
fn the_clients_direction_alone_is_enough() {
    let told = talk(Script::new().unseen(Script::upgrade).only(ClientToServer)).told();
    let session = only_session(&told);
    assert_eq!(counts(session), (8, 0));
    assert_eq!(session.leg.client.port(), 40_001);
    assert_eq!(told.only("cap-one-way").data[0].0, "missing");
    assert!(session.may_hide_frames(ServerToClient));
}

#[test]
fn the_servers_direction_alone_is_enough() {
    let mut script = Script::new().unseen(Script::upgrade).only(ServerToClient);
    for number in 0..40 {
        script = script.text(ClientToServer, "and now?").text(
            ServerToClient,
            &format!("{{\"price\": {number}, \"of\": \"an apple\"}}"),
        );
    }
    let told = script.told();
    let session = only_session(&told);
    assert_eq!(counts(session), (0, 40));
    assert_eq!(session.leg.client.port(), 40_001);
    // The client's packets are the missing ones, although the server was taken for it at first.
    let tally = told.capture.unheard;
    assert_eq!((tally.client.count, tally.server.count), (1, 0));
}

#[test]
fn a_handshake_that_the_capture_lost_is_no_beginning_mid_stream() {
    let told = talk(
        Script::new()
            .handshake()
            .unseen(|script| script.request("").accept("")),
    )
    .clean_close(ClientToServer)
    .told();
    let session = only_session(&told);
    assert_eq!(counts(session), (8, 8));
    assert!(session.handshake.mid_stream.unwrap().lost);
    let summary = &told.only("cap-mid-session").summary;
    assert!(summary.contains("lacks the opening handshake"), "{summary}");
}

#[test]
fn a_lost_101_costs_no_frame() {
    let told = talk(
        Script::new()
            .handshake()
            .request("")
            .unseen(|script| script.accept("")),
    )
    .clean_close(ClientToServer)
    .told();
    let session = only_session(&told);
    assert_eq!(counts(session), (8, 8));
    assert!(session.handshake.answer_lost.is_some());
    assert!(session.handshake.seen_request().is_some());
}

#[test]
fn a_lost_request_costs_no_frame() {
    let told = talk(
        Script::new()
            .handshake()
            .unseen(|script| script.request(""))
            .accept(""),
    )
    .clean_close(ClientToServer)
    .told();
    let session = only_session(&told);
    assert_eq!(counts(session), (8, 8));
    assert_eq!(session.handshake.status(), Some(101));
    assert_eq!(session.handshake.seen_request(), None);
    let summary = &told.only("cap-mid-session").summary;
    assert!(summary.contains("has the 101"), "{summary}");
}

#[test]
fn a_101_cut_by_the_snap_length_costs_no_frame() {
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let told = talk(
        Script::new()
            .handshake()
            .request("")
            .cut(ServerToClient, answer, 54),
    )
    .clean_close(ClientToServer)
    .told();
    let session = only_session(&told);
    assert_eq!(counts(session), (8, 8));
}

#[test]
fn heads_cut_by_the_snap_length_cost_no_binary_frame() {
    let request = b"GET /socket HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\r\n";
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    let mut script = Script::new()
        .handshake()
        .cut(ClientToServer, request, 30)
        .cut(ServerToClient, answer, 30);
    for n in 0..12 {
        let payload = vec![n; 40 + usize::from(n)];
        script = script
            .frame(ServerToClient, 0x82, &payload)
            .frame(ClientToServer, 0x82, &payload);
    }
    let told = script.clean_close(ClientToServer).told();
    assert_eq!(counts(only_session(&told)), (12, 12));
}

#[test]
fn ordinary_requests_before_the_upgrade_change_nothing() {
    let told = talk(
        Script::new()
            .unseen(Script::handshake)
            .bytes(ServerToClient, b"the rest of a page\r\n")
            .bytes(ClientToServer, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            .answer("200 OK", "", "hello")
            .request("")
            .accept(""),
    )
    .clean_close(ClientToServer)
    .told();
    let session = only_session(&told);
    assert_eq!(counts(session), (8, 8));
    assert!(session.handshake.is_known());
    assert_eq!(session.leg.client.port(), 40_001);
}

#[test]
fn pings_whose_pongs_are_read_later_are_answered() {
    let mut script = Script::new().unseen(Script::upgrade);
    for number in 0..12_u8 {
        let payload = [b'p', number, 0, number];
        script = script
            .ping(ServerToClient, &payload)
            .pong(ClientToServer, &payload)
            .wait_s(20.0);
    }
    let told = script.clean_close(ServerToClient).told();
    let session = only_session(&told);
    let pings = &session.pings.server;
    assert_eq!((pings.sent, pings.answered, pings.unsolicited), (12, 12, 0));
}

#[test]
fn a_pong_whose_ping_came_before_the_capture_is_no_anomaly() {
    let told = talk(
        Script::new()
            .unseen(|script| script.upgrade().ping(ServerToClient, b"earlier"))
            .pong(ClientToServer, b"earlier"),
    )
    .clean_close(ClientToServer)
    .told();
    only_session(&told);
    assert!(told.of("hb-pong-anomaly").is_empty());
}

#[test]
fn an_end_without_close_is_1006_here_too_and_says_nothing_of_its_age() {
    let mut script = Script::new().unseen(Script::upgrade);
    for number in 0..10 {
        script = script
            .text(ClientToServer, &format!("message number {number}"))
            .text(ServerToClient, &format!("answer number {number}"))
            .wait_s(360.0);
    }
    let told = script.fin(ServerToClient).fin(ClientToServer).told();
    assert_eq!(told.sessions.len(), 1);
    assert!(told.of("close-1006-lifetime-limit").is_empty());
    assert!(
        told.ids().iter().any(|id| id.starts_with("close-1006")),
        "{:?}",
        told.ids()
    );
}

#[test]
fn compression_is_no_breach_where_the_handshake_is_unknown() {
    let deflated: [&[u8]; 4] = [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
    ];
    let mut script = Script::new().unseen(Script::upgrade);
    for payload in deflated.iter().cycle().take(24) {
        script = script
            .frame(ClientToServer, 0xc1, payload)
            .text(ServerToClient, "a plain answer");
    }
    let told = script.clean_close(ClientToServer).told();
    let session = only_session(&told);
    assert_eq!(session.messages.client.count, 24);
    assert!(told.of("cmp-not-negotiated").is_empty());
    assert!(told.of("cmp-inflate-error").is_empty());
}

/// What must never be taken for a WebSocket: a few packets each way.
fn nothing_of_ours(name: &str, up: &[&[u8]], down: &[&[u8]]) {
    for from_the_start in [false, true] {
        let mut script = Script::new();
        if from_the_start {
            // The first packets were lost.
            script = script.handshake().unseen(|script| {
                script
                    .bytes(ClientToServer, up[0])
                    .bytes(ServerToClient, down[0])
            });
        }
        for _ in 0..40 {
            for (ask, answer) in up.iter().zip(down) {
                script = script
                    .bytes(ClientToServer, ask)
                    .bytes(ServerToClient, answer);
            }
        }
        let told = script.told();
        if let Some(session) = told.sessions.first() {
            panic!(
                "{name}, from the start {from_the_start}: {:?} {:?} {:?}",
                session.frames, session.found, session.resyncs
            );
        }
        let certain = told
            .findings
            .iter()
            .filter(|f| f.confidence == Confidence::Certain && f.severity == Severity::Error);
        assert_eq!(certain.count(), 0, "{name}");
    }
}

#[test]
fn other_protocols_are_no_sessions() {
    nothing_of_ours(
        "redis",
        &[
            b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n",
            b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n",
        ],
        &[b"+OK\r\n", b"$5\r\nvalue\r\n"],
    );
    nothing_of_ours(
        "mysql",
        &[b"\x21\0\0\0\x03select @@version_comment limit 1", b"\x09\0\0\0\x03select 1"],
        &[
            b"\x01\0\0\x01\x01\x27\0\0\x02\x03def\0\0\0\x11@@version_comment\0\x0c\x21\0\x18\0\0\0\xfd\0\0\x1f\0\0\x05\0\0\x03\xfe\0\0\x02\0",
            b"\x01\0\0\x01\x01\x17\0\0\x02\x03def\0\0\0\x011\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0\x05\0\0\x03\xfe\0\0\x02\0",
        ],
    );
    nothing_of_ours(
        "postgresql",
        &[b"Q\0\0\0\x0eSELECT 1;\0", b"P\0\0\0\x10\0SELECT $1\0\0\0B\0\0\0\x0c\0\0\0\0\0\0\0\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04"],
        &[
            b"T\0\0\0\x21\0\x01?column?\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0D\0\0\0\x0b\0\x01\0\0\0\x011C\0\0\0\rSELECT 1\0Z\0\0\0\x05I",
            b"1\0\0\0\x042\0\0\0\x04n\0\0\0\x04C\0\0\0\rSELECT 0\0Z\0\0\0\x05I",
        ],
    );
    nothing_of_ours(
        "kafka",
        &[b"\0\0\0\x1e\0\x03\0\x01\0\0\0\x02\0\x08producer\0\0\0\x01\0\x06events"],
        &[b"\0\0\0\x2a\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\x06kafka1\0\0\x23\x84\0\0\0\x01\0\0\0\x06events"],
    );
    nothing_of_ours(
        "bittorrent",
        &[b"\0\0\0\x0d\x06\0\0\0\x07\0\0\x40\0\0\0\x40\0", b"\0\0\0\x05\x04\0\0\0\x09"],
        &[b"\0\0\0\x19\x07\0\0\0\x07\0\0\x40\0\x8a\x91\x22\x81\x05\xf3\x82\x7e\x10\x9c\x33\xaa\xbb\xcc\xdd\xee\xff", b"\0\0\0\x01\x01"],
    );
    nothing_of_ours(
        "http/2",
        &[
            b"\0\0\x08\x06\0\0\0\0\0\0\0\0\0\0\0\0\x01",
            b"\0\0\x04\x08\0\0\0\0\x03\0\0\x40\0",
        ],
        &[
            b"\0\0\x08\x06\x01\0\0\0\0\0\0\0\0\0\0\0\x01",
            b"\0\0\x0a\0\x01\0\0\0\x03\0\0\0\0\x05hello",
        ],
    );
    nothing_of_ours(
        "dns",
        &[b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01"],
        &[b"\0\x2d\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc0\0\x02\x01"],
    );
    nothing_of_ours(
        "ldap",
        &[b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0"],
        &[b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"],
    );
    nothing_of_ours(
        "mqtt",
        &[
            b"\xc0\0",
            b"\x30\x0e\0\x05a/b/c\x31\x32\x33\x34\x35\x36\x37",
        ],
        &[b"\xd0\0", b"\x40\x02\0\x01"],
    );
    nothing_of_ours(
        "silence",
        &[b"\0", b"\0\0\0\0"],
        &[b"\0\0", b"\0\0\0\0\0\0\0\0"],
    );
}
