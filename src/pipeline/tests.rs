//! Whole connections, told as segments.

use super::{Analyzer, Finished, Limits, Options};
use crate::packet::{Endpoint, Flags, Options as TcpOptions, Segment, Seq};
use crate::script::{Script, frame};
use crate::session::{Ended, Orientation, RecordKind, Session};
use crate::stream::Direction::{ClientToServer, ServerToClient};
use crate::stream::{Direction, PacketRef};
use crate::time::Timestamp;

const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: ws.test\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
const ACCEPT: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Segments of any connection, a millisecond apart.
struct Feed {
    analyzer: Analyzer,
    finished: Vec<Finished>,
    number: u64,
    now: i64,
}

impl Feed {
    fn new(options: Options) -> Self {
        Self {
            analyzer: Analyzer::new(options),
            finished: Vec::new(),
            number: 0,
            now: 0,
        }
    }

    fn wait_s(mut self, seconds: i64) -> Self {
        self.now += seconds * 1_000_000_000;
        self
    }

    /// A segment on the connection of this client port; numbers as on the wire.
    fn send(
        mut self,
        port: u16,
        from: Direction,
        seq_ack: (u32, u32),
        flags: u8,
        payload: &[u8],
    ) -> Self {
        self.number += 1;
        self.now += 1_000_000;
        let end = |last, port| Endpoint {
            ip: std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, last)),
            port,
        };
        let (client, server) = (end(1, port), end(2, 80));
        let (from, to) = match from {
            ClientToServer => (client, server),
            ServerToClient => (server, client),
        };
        let segment = Segment {
            at: PacketRef {
                time: Timestamp::from_nanos(self.now),
                number: self.number,
                source: 0,
                epoch: Default::default(),
            },
            from,
            to,
            seq: Seq(seq_ack.0),
            ack: Seq(seq_ack.1),
            flags: Flags(flags),
            window: 500,
            options: TcpOptions::default(),
            ttl: 64,
            ip_id: None,
            payload,
            wire_len: u32::try_from(payload.len()).unwrap(),
        };
        self.analyzer.push_segment(&segment, &mut self.finished);
        self
    }

    fn client(self, seq_ack: (u32, u32), payload: &[u8]) -> Self {
        self.send(40_001, ClientToServer, seq_ack, Flags::ACK, payload)
    }

    fn server(self, seq_ack: (u32, u32), payload: &[u8]) -> Self {
        self.send(40_001, ServerToClient, seq_ack, Flags::ACK, payload)
    }

    fn sessions(mut self) -> (Vec<Session>, crate::session::Capture) {
        let capture = self.analyzer.finish(&mut self.finished, |_| {});
        let mut sessions: Vec<_> = self
            .finished
            .into_iter()
            .filter_map(|finished| match finished {
                Finished::Session(session) => Some(*session),
                Finished::Attempt(_) => None,
            })
            .collect();
        sessions.sort_by_key(|session| session.id);
        (sessions, capture)
    }
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

/// A capture that begins with a packet of the server, without a SYN.
#[test]
fn the_request_tells_who_is_the_client_whoever_came_first() {
    let (after_request, after_answer) = (100 + len(REQUEST), 900 + len(ACCEPT));
    let hi = frame(0x81, b"hi", true);
    let (sessions, _) = Feed::new(Options::default())
        .server((900, 100), b"")
        .client((100, 900), REQUEST)
        .server((900, after_request), ACCEPT)
        .client((after_request, after_answer), &hi)
        .sessions();
    let [session] = sessions.as_slice() else {
        panic!("{} sessions", sessions.len());
    };
    assert_eq!(session.leg.client.port(), 40_001);
    assert_eq!(session.leg.orientation, Orientation::Payload);
    assert_eq!(session.messages.client.count, 1);
    assert!(session.leg.last_packet.server.is_some());
}

#[test]
fn the_answer_tells_who_is_the_server() {
    let (sessions, _) = Feed::new(Options::default())
        .server((900, 100), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .client((100, 938), REQUEST)
        .server((938, 100 + len(REQUEST)), ACCEPT)
        .sessions();
    let [session] = sessions.as_slice() else {
        panic!("{} sessions", sessions.len());
    };
    assert_eq!(session.leg.client.port(), 40_001);
    assert!(session.handshake.is_upgraded());
}

#[test]
fn a_port_used_again_is_another_session() {
    let told = Script::new()
        .upgrade()
        .text(ClientToServer, "one")
        .wait_s(1.0)
        .handshake()
        .request("")
        .accept("")
        .text(ClientToServer, "two")
        .told();
    let messages: Vec<_> = told
        .sessions
        .iter()
        .map(|s| s.messages.client.count)
        .collect();
    assert_eq!(messages, [1, 1]);
    assert_eq!(told.capture.tcp_connections, 2);
}

#[test]
fn a_port_used_again_is_another_session_even_without_its_syn() {
    let again = |first: Script| {
        first
            .wait_s(1.0)
            .at_port(40_001)
            .flags(ServerToClient, Flags::SYN | Flags::ACK)
            .flags(ClientToServer, Flags::ACK)
            .request("")
            .accept("")
            .text(ClientToServer, "two")
            .told()
    };
    let first = || Script::new().upgrade().text(ClientToServer, "one");
    for told in [
        again(first()),
        again(first().rst(ServerToClient).wait_s(60.0)),
    ] {
        let messages = told.sessions.iter().map(|s| s.messages.client.count);
        assert_eq!(messages.collect::<Vec<_>>(), [1, 1]);
        assert_eq!(told.capture.tcp_connections, 2);
    }
}

#[test]
fn a_session_that_ended_while_memory_was_shed_is_told() {
    let refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    let limits = Limits {
        bytes: 2_000,
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    let again = 100 + len(REQUEST);
    let after = 900 + len(refusal);
    // The first byte of the second request is missing on the wire until the end.
    let filler = [b'x'; 2_000];
    let (sessions, _) = Feed::new(options)
        .send(40_001, ClientToServer, (99, 0), Flags::SYN, b"")
        .send(
            40_001,
            ServerToClient,
            (899, 100),
            Flags::SYN | Flags::ACK,
            b"",
        )
        .client((100, 900), REQUEST)
        .server((900, again), refusal)
        .client((again + 1, after), REQUEST)
        .client((again + 1 + len(REQUEST), after), &filler)
        .sessions();
    let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
    assert_eq!(ids, [1, 2]);
}

fn small_table() -> Options {
    Options {
        limits: Limits {
            connections: 2,
            ..Limits::default()
        },
        ..Options::default()
    }
}

#[test]
fn an_open_connection_let_go_for_room_is_counted() {
    let feed = Feed::new(small_table())
        .send(1, ClientToServer, (9, 0), Flags::SYN, b"")
        .send(2, ClientToServer, (9, 0), Flags::SYN, b"")
        .send(3, ClientToServer, (9, 0), Flags::SYN, b"");
    let (_, capture) = feed.sessions();
    assert_eq!((capture.evicted, capture.tcp_connections), (1, 3));
}

#[test]
fn a_closed_connection_that_makes_room_costs_nothing() {
    let feed = Feed::new(small_table())
        .send(1, ClientToServer, (9, 0), Flags::SYN, b"")
        .send(1, ServerToClient, (0, 10), Flags::RST | Flags::ACK, b"")
        .send(2, ClientToServer, (9, 0), Flags::SYN, b"")
        .wait_s(20)
        .send(3, ClientToServer, (9, 0), Flags::SYN, b"");
    assert_eq!(feed.sessions().1.evicted, 0);
}

#[test]
fn a_closed_session_is_told_after_it_has_lingered() {
    let mut feed = Feed::new(Options::default())
        .send(40_001, ClientToServer, (99, 0), Flags::SYN, b"")
        .send(
            40_001,
            ServerToClient,
            (899, 100),
            Flags::SYN | Flags::ACK,
            b"",
        )
        .client((100, 900), REQUEST)
        .send(
            40_001,
            ServerToClient,
            (900, 100),
            Flags::RST | Flags::ACK,
            b"",
        )
        .wait_s(9)
        .send(2, ClientToServer, (9, 0), Flags::SYN, b"");
    assert!(feed.finished.is_empty());
    assert_eq!(feed.analyzer.open().count(), 1);
    feed = feed
        .wait_s(1)
        .send(2, ClientToServer, (9, 0), Flags::SYN, b"");
    assert!(
        matches!(feed.finished.as_slice(), [Finished::Session(session)] if session.ended == Some(Ended::Settled))
    );
    assert_eq!(feed.analyzer.open().count(), 0);
}

/// Both sides ping; each answer belongs to the other side's Ping.
#[test]
fn the_pings_of_both_sides_keep_their_own_answers() {
    let options = Options {
        records: true,
        ..Options::default()
    };
    let (up, down) = (100 + len(REQUEST), 900 + len(ACCEPT));
    let from_client = |first, payload: &[u8]| frame(first, payload, true);
    let from_server = |first, payload: &[u8]| frame(first, payload, false);
    let mut feed = Feed::new(options)
        .send(40_001, ClientToServer, (99, 0), Flags::SYN, b"")
        .send(
            40_001,
            ServerToClient,
            (899, 100),
            Flags::SYN | Flags::ACK,
            b"",
        )
        .client((100, 900), REQUEST)
        .server((900, up), ACCEPT)
        // Two Pings of the client in one segment (packet 5), then one of the server.
        .client(
            (up, down),
            &[from_client(0x89, b"a"), from_client(0x89, b"b")].concat(),
        )
        .server((down, up), &from_server(0x89, b"c"))
        .client((up + 14, down + 3), &from_client(0x8a, b"c"))
        .server((down + 3, up + 14), &from_server(0x8a, b"a"))
        .server((down + 6, up + 14), &from_server(0x8a, b"b"));
    let mut pings = Vec::new();
    feed.analyzer.finish(&mut feed.finished, |record| {
        if let RecordKind::Ping { control, rtt, .. } = record.kind {
            pings.push((control.payload, rtt.map(|rtt| rtt.as_millis())));
        }
    });
    let expected = [("a", Some(3)), ("b", Some(4)), ("c", Some(1))];
    let expected = expected.map(|(payload, rtt)| (payload.as_bytes().to_vec(), rtt));
    assert_eq!(pings, expected);
}

/// The segment before the Ping comes late, so the Pong is read first.
#[test]
fn a_ping_that_is_read_after_its_pong_has_its_answer() {
    let (up, down) = (100 + len(REQUEST), 900 + len(ACCEPT));
    let (text, ping) = (frame(0x81, b"late", false), frame(0x89, b"p", false));
    let mut feed = Feed::new(Options {
        records: true,
        ..Options::default()
    })
    .client((100, 900), REQUEST)
    .server((900, up), ACCEPT)
    .server((down + len(&text), up), &ping)
    .client((up, down), &frame(0x8a, b"p", true))
    .server((down, up), &text);
    let mut answers = Vec::new();
    feed.analyzer.finish(&mut feed.finished, |record| {
        if let RecordKind::Ping { rtt, .. } = record.kind {
            answers.push(rtt.map(|rtt| rtt.as_millis()));
        }
    });
    assert_eq!(answers, [Some(1)]);
}

/// RFC 9110, section 9.3.1: a GET may have a body; the frames begin behind it.
#[test]
fn a_body_that_follows_the_101_is_no_frame() {
    let request =
        String::from_utf8_lossy(REQUEST).replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n");
    let request = request.as_bytes();
    let (up, down) = (100 + len(request), 900 + len(ACCEPT));
    let (sessions, _) = Feed::new(Options::default())
        .send(40_001, ClientToServer, (99, 0), Flags::SYN, b"")
        .send(
            40_001,
            ServerToClient,
            (899, 100),
            Flags::SYN | Flags::ACK,
            b"",
        )
        .client((100, 900), request)
        .server((900, up), ACCEPT)
        .client((up, down), b"hello")
        .client((up + 5, down), &frame(0x81, b"hi", true))
        .sessions();
    assert_eq!(sessions[0].messages.client.count, 1);
    assert!(
        sessions[0].breaches.is_empty(),
        "{:?}",
        sessions[0].breaches
    );
}

#[test]
fn records_of_a_session_found_mid_stream_are_in_the_order_of_the_capture() {
    let mut feed = Feed::new(Options {
        records: true,
        ..Options::default()
    });
    let (mut up, mut down) = (1_000, 9_000);
    for number in 0..8 {
        let ask = frame(0x81, "which?".repeat(1 + number).as_bytes(), true);
        let answer = frame(0x81, b"that one", false);
        feed = feed.client((up, down), &ask);
        up += len(&ask);
        feed = feed.server((down, up), &answer);
        down += len(&answer);
    }
    let mut packets = Vec::new();
    let Feed {
        analyzer,
        mut finished,
        ..
    } = feed;
    analyzer.finish(&mut finished, |record| packets.push(record.first().number));
    assert_eq!(packets, (1..=16).collect::<Vec<u64>>());
}
