//! Stories of whole connections.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::stream::Direction::{ClientToServer, ServerToClient};
use crate::stream::{Chunk, Gap, GapCause, Sides};
use crate::time::Timestamp;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ASK: &str = "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const ACCEPT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const REFUSE: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\n\r\nexpired";
const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One step of a conversation.
#[derive(Clone, Debug)]
enum Line {
    Says(Direction, Vec<u8>),
    Loses(Direction, Option<u64>, GapCause),
    Ends(Direction),
}
use Line::{Ends, Loses, Says};

fn client(bytes: impl AsRef<[u8]>) -> Line {
    Says(ClientToServer, bytes.as_ref().to_vec())
}

fn server(bytes: impl AsRef<[u8]>) -> Line {
    Says(ServerToClient, bytes.as_ref().to_vec())
}

fn lost(direction: Direction, len: u64) -> Line {
    Loses(direction, Some(len), GapCause::NotCaptured)
}

/// What came out: the facts as short words, and the bytes of the WebSocket.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    words: Vec<String>,
    /// What the breaches say.
    sentences: Vec<String>,
    frames: Sides<Vec<u8>>,
    offsets: Sides<Option<u64>>,
    streamed: Vec<(Direction, PacketRef, PacketRef)>,
    opaque: bool,
    most_held: usize,
}

impl Seen {
    fn take(&mut self, output: Output<'_>) {
        match output {
            Output::Fact(event) => {
                self.words.push(word(&event));
                if let Event::UpgradeRequested { breaches, .. } | Event::Upgraded { breaches, .. } =
                    event
                {
                    self.sentences.extend(breaches.into_iter().map(|b| b.what));
                }
            }
            Output::Stream(StreamEvent::Chunk(chunk)) => {
                self.offsets[chunk.direction].get_or_insert(chunk.offset);
                self.frames[chunk.direction].extend_from_slice(chunk.bytes);
                self.streamed
                    .push((chunk.direction, chunk.seen, chunk.released));
            }
            Output::Stream(StreamEvent::Gap(gap)) => {
                self.words
                    .push(format!("gap {} {:?}", gap.cause.name(), gap.len));
            }
            Output::Stream(StreamEvent::End(direction, _)) => {
                self.words.push(format!("end {}", direction.sender()));
            }
        }
    }
}

fn word(event: &Event) -> String {
    let kinds = |breaches: &[HandshakeBreach]| {
        breaches
            .iter()
            .map(|b| format!(" {}", b.kind))
            .collect::<String>()
    };
    match event {
        Event::UpgradeRequested { request, breaches } => {
            format!("ask {}{}", request.target, kinds(breaches))
        }
        Event::Interim { status, .. } => format!("interim {status}"),
        Event::Refused { response } => format!("refused {}", response.status),
        Event::RefusalBody { excerpt } => format!("body {}", String::from_utf8_lossy(excerpt)),
        Event::Upgraded { breaches, .. } => format!("upgraded{}", kinds(breaches)),
        Event::EarlyData { len, .. } => format!("early {len}"),
        Event::AnswerLost { .. } => "answer lost".to_owned(),
        Event::AnswerCut { .. } => "answer cut".to_owned(),
        Event::Proxied { header, .. } => format!("proxied {:?}", header.source),
        Event::ConnectRequested { request } => format!("connect {}", request.target),
        Event::ConnectRefused { response } => format!("no tunnel {}", response.status),
        Event::Tunnelled(tunnel) | Event::TunnelSeen(tunnel) => format!(
            "{} {} {:?}",
            tunnel.kind.name(),
            tunnel.target.as_deref().unwrap_or("?"),
            tunnel.opened.map(|at| at.number)
        ),
        Event::SocksRefused {
            target, refusal, ..
        } => format!("no tunnel to {target} {}", refusal.reply),
        Event::Exchange => "exchange".to_owned(),
        Event::NotHttp {
            direction,
            looks_like,
            ..
        } => format!("{} {looks_like:?}", direction.sender()),
        Event::HeadLost { direction, .. } => format!("{} head lost", direction.sender()),
    }
}

fn packet(number: u64) -> PacketRef {
    PacketRef {
        time: Timestamp::default(),
        number,
        source: 0,
        epoch: Default::default(),
    }
}

/// Plays a conversation; each line is a packet.
fn play(lines: &[Line]) -> Seen {
    let mut connection = Connection::new();
    let mut seen = Seen::default();
    let mut at = Sides {
        client: 0,
        server: 0,
    };
    for (number, line) in (1..).zip(lines) {
        let at_packet = packet(number);
        let event = match line {
            Says(direction, bytes) => {
                let offset = at[*direction];
                at[*direction] += bytes.len() as u64;
                let (direction, seen, released) = (*direction, at_packet, at_packet);
                StreamEvent::Chunk(Chunk {
                    direction,
                    offset,
                    bytes,
                    seen,
                    released,
                })
            }
            Loses(direction, len, cause) => {
                let offset = at[*direction];
                at[*direction] += len.unwrap_or(1);
                StreamEvent::Gap(Gap {
                    direction: *direction,
                    offset,
                    len: *len,
                    cause: *cause,
                    at: at_packet,
                })
            }
            Ends(direction) => StreamEvent::End(*direction, at_packet),
        };
        connection.on_stream(event, &mut |output| seen.take(output));
        seen.most_held = seen.most_held.max(connection.buffered());
    }
    connection.finish(&mut |output| seen.take(output));
    seen.opaque = connection.is_opaque();
    seen
}

fn words(lines: &[Line]) -> Vec<String> {
    play(lines).words
}

#[test]
fn a_handshake_opens_the_stream_behind_it() {
    let seen = play(&[
        client(ASK),
        server([ACCEPT.as_bytes(), b"\x81\x02hi"].concat()),
        client(b"\x88\x80"),
    ]);
    assert_eq!(seen.words, ["ask /ws", "upgraded"]);
    assert_eq!(
        seen.frames,
        Sides {
            client: b"\x88\x80".to_vec(),
            server: b"\x81\x02hi".to_vec()
        }
    );
    let heads = Sides {
        client: Some(ASK.len() as u64),
        server: Some(ACCEPT.len() as u64),
    };
    assert_eq!(seen.offsets, heads);
}

#[test]
fn ordinary_exchanges_come_before_it() {
    let head = "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n";
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nHTTP\r\n0\r\nX: y\r\n\r\n";
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let pipelined = [head, get, get, ASK].concat();
    let answers = [long, chunked, "HTTP/1.1 304 Not Modified\r\n\r\n", ACCEPT].concat();
    let seen = words(&[client(pipelined), server(answers)]);
    assert_eq!(
        seen,
        ["ask /ws", "exchange", "exchange", "exchange", "upgraded"]
    );
}

#[test]
fn a_refused_upgrade_is_tried_again() {
    let seen = words(&[client(ASK), server(REFUSE), client(ASK), server(ACCEPT)]);
    assert_eq!(
        seen,
        [
            "ask /ws",
            "refused 401",
            "body expired",
            "ask /ws",
            "upgraded"
        ]
    );
}

#[test]
fn a_pipelined_retry_waits_for_the_refusal() {
    let seen = words(&[client([ASK, ASK].concat()), server(REFUSE), server(ACCEPT)]);
    assert_eq!(
        seen,
        [
            "ask /ws",
            "refused 401",
            "body expired",
            "ask /ws",
            "upgraded"
        ]
    );
}

#[test]
fn a_refusal_is_decoded_and_cut() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&b"no ".repeat(1_000_000)).unwrap();
    let page = gzip.finish().unwrap();
    let head = "HTTP/1.1 403 No\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = [
        format!("{:x}\r\n", page.len()).as_bytes(),
        &page,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let seen = words(&[client(ASK), server(head), server(body)]);
    assert_eq!(
        seen,
        [
            "ask /ws".to_owned(),
            "refused 403".to_owned(),
            format!("body {}", &"no ".repeat(683)[..2048])
        ]
    );
}

#[test]
fn a_refusal_without_length_ends_with_the_connection() {
    let seen = words(&[
        client(ASK),
        server("HTTP/1.0 400 Bad\r\n\r\nno "),
        server("way"),
        Ends(ServerToClient),
    ]);
    assert_eq!(seen, ["ask /ws", "refused 400", "body no way"]);
}

#[test]
fn what_came_of_a_refusal_is_told_at_the_end_of_the_capture() {
    let seen = words(&[
        client(ASK),
        server("HTTP/1.1 502 Bad\r\nContent-Length: 99\r\n\r\nbad gate"),
    ]);
    assert_eq!(seen, ["ask /ws", "refused 502", "body bad gate"]);
}

#[test]
fn frames_sent_too_early_are_released_by_the_101() {
    let seen = play(&[
        client([ASK.as_bytes(), b"\x81\x80"].concat()),
        client(b"abcd"),
        server(ACCEPT),
        client("e"),
    ]);
    assert_eq!(seen.words, ["ask /ws", "upgraded", "early 6"]);
    assert_eq!(seen.frames.client, b"\x81\x80abcde");
    let released: Vec<_> = seen
        .streamed
        .iter()
        .map(|(_, _, released)| released.number)
        .collect();
    assert_eq!(released, [3, 3, 4]);
    let first_seen: Vec<_> = seen
        .streamed
        .iter()
        .map(|(_, seen, _)| seen.number)
        .collect();
    assert_eq!(first_seen, [1, 2, 4]);
}

#[test]
fn early_data_over_the_limit_becomes_a_gap() {
    let flood = vec![client(vec![0x55; 40_000]); 5];
    let seen = play(&[vec![client(ASK)], flood, vec![server(ACCEPT)]].concat());
    assert_eq!(
        seen.words,
        [
            "ask /ws",
            "upgraded",
            "early 200000",
            "gap limit-reached Some(160000)"
        ]
    );
    assert_eq!(seen.frames.client.len(), 40_000);
    assert!(seen.most_held <= 2 * 64 * 1024, "{}", seen.most_held);
}

#[test]
fn an_endless_head_is_given_up() {
    let seen = play(&[vec![client("GET /?")], vec![client(vec![b'a'; 60_000]); 3]].concat());
    assert_eq!(seen.words, ["client head lost"]);
    assert!(seen.most_held <= 64 * 1024, "{}", seen.most_held);
}

#[test]
fn interim_answers_come_first() {
    let seen = words(&[
        client(ASK),
        server("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        server(ACCEPT),
    ]);
    assert_eq!(seen, ["ask /ws", "interim 103", "upgraded"]);
}

#[test]
fn a_101_to_another_protocol_is_no_websocket() {
    let h2c =
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n";
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n";
    let seen = play(&[client(h2c), server(switch), client("PRI")]);
    assert_eq!(
        (seen.words, seen.opaque),
        (vec!["exchange".to_owned()], true)
    );
    let seen = play(&[client(ASK), server(switch), client("PRI")]);
    assert_eq!(
        (seen.words, seen.opaque),
        (vec!["ask /ws".to_owned(), "refused 101".to_owned()], true)
    );
}

#[test]
fn a_101_without_upgrade_opens_with_a_breach() {
    let seen = play(&[
        client(ASK),
        server(ACCEPT.replace("Upgrade: websocket\r\n", "")),
        server("x"),
    ]);
    assert_eq!(seen.words, ["ask /ws", "upgraded upgrade-missing"]);
    assert_eq!(seen.frames.server, b"x");
}

#[test]
fn damaged_requests_are_still_attempts() {
    let stripped = ASK.replace("Upgrade: websocket\r\nConnection: Upgrade\r\n", "");
    assert_eq!(
        words(&[client(stripped)]),
        ["ask /ws upgrade-missing connection-missing"]
    );
    let folded = ASK.replace("Host: h", "Host : h\r\nX: a\r\n b");
    assert_eq!(
        words(&[client(folded)]),
        ["ask /ws space-before-colon folded-field"]
    );
    let bare = ASK.replace("\r\n", "\n");
    assert_eq!(words(&[client(bare)]), ["ask /ws bare-line-feed"]);
    let line = ASK.replace("GET /ws HTTP/1.1", "GET /ws");
    assert_eq!(
        words(&[client(line)]),
        ["ask /ws start-line-malformed http-version-too-old"]
    );
}

#[test]
fn what_is_no_http_is_said_once() {
    let seen = play(&[client("SSH-2.0-x\r\n"), client("GET / HTTP/1.1\r\n\r\n")]);
    assert_eq!(
        (seen.words, seen.opaque),
        (vec!["client Unknown".to_owned()], true)
    );
    let seen = play(&[client(ASK), server([0x15, 3, 1, 0, 2, 2, 70])]);
    assert_eq!(
        (seen.words, seen.opaque),
        (
            vec!["ask /ws".to_owned(), "server TlsAlert(2, 70)".to_owned()],
            true
        )
    );
    let seen = play(&[server("SSH-2.0-x\r\n"), client(ASK)]);
    assert_eq!(
        (seen.words, seen.opaque),
        (
            vec!["server Service(\"SSH\")".to_owned(), "ask /ws".to_owned()],
            true
        )
    );
}

#[test]
fn a_proxy_header_is_stepped_over() {
    let seen = words(&[
        client(format!("PROXY TCP4 192.0.2.7 192.0.2.2 40001 80\r\n{ASK}")),
        server(ACCEPT),
    ]);
    assert_eq!(
        seen,
        ["proxied Some(192.0.2.7:40001)", "ask /ws", "upgraded"]
    );
}

#[test]
fn an_answer_captured_before_its_request_waits_for_it() {
    let seen = play(&[
        server([ACCEPT.as_bytes(), b"frames"].concat()),
        client(ASK),
        Ends(ServerToClient),
    ]);
    assert_eq!(seen.words, ["ask /ws", "upgraded", "end server"]);
    assert_eq!(seen.frames.server, b"frames");
}

#[test]
fn a_101_without_its_request_opens_the_stream() {
    let unseen = Loses(ClientToServer, None, GapCause::NotCaptured);
    assert_eq!(
        words(&[server(ACCEPT), unseen]),
        ["client head lost", "upgraded", "gap not-captured None"]
    );
    assert_eq!(words(&[server(ACCEPT)]), ["upgraded"]);
}

#[test]
fn a_gap_in_a_body_of_known_length_loses_no_step() {
    let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nab";
    let lines = [
        client(post),
        lost(ClientToServer, 5),
        client(["cde", ASK].concat()),
        server(PAGE),
        server(ACCEPT),
    ];
    assert_eq!(words(&lines), ["ask /ws", "exchange", "upgraded"]);
}

#[test]
fn after_a_lost_head_the_next_one_is_found() {
    let lines = [
        client("GET / HT"),
        lost(ClientToServer, 30),
        client("nonsense"),
        client(ASK),
        server(ACCEPT),
    ];
    assert_eq!(words(&lines), ["client head lost", "ask /ws", "upgraded"]);
    let began = |direction| Loses(direction, None, GapCause::BeganMidStream);
    let lines = [
        began(ClientToServer),
        began(ServerToClient),
        server("tail"),
        client(ASK),
        server(ACCEPT),
    ];
    assert_eq!(words(&lines), ["ask /ws", "upgraded"]);
}

#[test]
fn a_lost_101_is_told_by_what_follows() {
    let gone = lost(ServerToClient, 129);
    let seen = play(&[client(ASK), gone.clone(), server(b"\x81\x02hi")]);
    assert_eq!(
        seen.words,
        [
            "ask /ws",
            "server head lost",
            "answer lost",
            "gap not-captured Some(129)"
        ]
    );
    assert_eq!(seen.frames.server, b"\x81\x02hi");
    let seen = play(&[client(ASK), gone.clone(), client(b"\x81\x82abcdef")]);
    assert_eq!(
        seen.words,
        [
            "ask /ws",
            "server head lost",
            "answer lost",
            "gap not-captured Some(129)"
        ]
    );
    assert_eq!(seen.frames.client, b"\x81\x82abcdef");
    let seen = words(&[client(ASK), gone, client(ASK), server(ACCEPT)]);
    assert_eq!(seen, ["ask /ws", "server head lost", "ask /ws", "upgraded"]);
}

#[test]
fn what_is_no_later_head_is_not_gathered() {
    let seen = play(&[
        client(ASK),
        server(REFUSE),
        server(vec![0; 50_000]),
        client(ASK),
        server(ACCEPT),
    ]);
    assert_eq!(
        seen.words,
        [
            "ask /ws",
            "refused 401",
            "body expired",
            "ask /ws",
            "server head lost",
            "upgraded"
        ]
    );
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let seen = play(&[
        client([get.as_bytes(), &[0; 50_000]].concat()),
        server(PAGE),
        client(ASK),
        server(ACCEPT),
    ]);
    assert_eq!(
        seen.words,
        ["client head lost", "exchange", "ask /ws", "upgraded"]
    );
    assert!(seen.most_held < 1000);
}

#[test]
fn the_body_of_a_request_is_no_part_of_the_stream() {
    let ask = ASK.replace("Host: h", "Host: h\r\nContent-Length: 4");
    let seen = play(&[
        client([&ask, "ab"].concat()),
        server(ACCEPT),
        client("cdframe"),
    ]);
    assert_eq!(seen.words, ["ask /ws request-body", "upgraded"]);
    assert_eq!(seen.frames.client, b"frame");
}

#[test]
fn an_answer_without_length_ends_where_the_next_one_begins() {
    let seen = words(&[
        client(ASK),
        server("HTTP/1.1 401 No\r\n\r\nno"),
        client(ASK),
        server(ACCEPT),
    ]);
    assert_eq!(
        seen,
        ["ask /ws", "refused 401", "ask /ws", "body no", "upgraded"]
    );
}

const CONNECT: &str = "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n";
const TUNNEL: &str = "HTTP/1.1 200 Connection established\r\n\r\n";
const AUTH: &str = "HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno";

#[test]
fn connect_turns_the_connection_into_a_tunnel() {
    let seen = play(&[
        client(CONNECT),
        server(TUNNEL),
        client(ASK),
        server([ACCEPT.as_bytes(), b"\x81\x00"].concat()),
    ]);
    // What is in it is for a layer that knows nothing of it yet.
    assert_eq!(seen.words, ["connect h:443", "connect h:443 Some(2)"]);
    assert_eq!(seen.frames.client, ASK.as_bytes());
    assert_eq!(
        seen.frames.server,
        [ACCEPT.as_bytes(), b"\x81\x00"].concat()
    );
    assert_eq!(seen.offsets.client, Some(CONNECT.len() as u64));
    assert_eq!((seen.opaque, seen.most_held), (false, 5));
}

#[test]
fn a_tunnel_has_no_body_whatever_its_answer_says() {
    for head in [
        "HTTP/1.0 200 Connection established\r\nProxy-Agent: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let seen = play(&[
            client(CONNECT),
            server([head, "early"].concat()),
            client("x"),
        ]);
        assert_eq!(seen.words, ["connect h:443", "connect h:443 Some(2)"]);
        let inside = (seen.frames.client, seen.frames.server);
        assert_eq!(inside, (b"x".to_vec(), b"early".to_vec()), "{head}");
    }
}

#[test]
fn what_the_client_sends_early_waits_for_the_tunnel() {
    let seen = play(&[
        client([CONNECT, ASK].concat()),
        Ends(ClientToServer),
        server(TUNNEL),
    ]);
    assert_eq!(
        seen.words,
        ["connect h:443", "connect h:443 Some(3)", "end client"]
    );
    assert_eq!(seen.frames.client, ASK.as_bytes());
    let released = seen
        .streamed
        .first()
        .map(|(_, at, released)| (at.number, released.number));
    assert_eq!(released, Some((1, 3)));
}

#[test]
fn a_refused_tunnel_is_asked_for_again() {
    let seen = words(&[
        client(CONNECT),
        server(AUTH),
        client(CONNECT),
        server("HTTP/1.1 407 Auth\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        client(CONNECT),
        server(TUNNEL),
    ]);
    assert_eq!(
        seen,
        [
            "connect h:443",
            "no tunnel 407",
            "body no",
            "connect h:443",
            "no tunnel 407",
            "connect h:443",
            "connect h:443 Some(6)"
        ]
    );
    let other = words(&[client(CONNECT), server(AUTH), client(ASK), server(ACCEPT)]);
    assert_eq!(
        other,
        [
            "connect h:443",
            "no tunnel 407",
            "body no",
            "ask /ws",
            "upgraded"
        ]
    );
}

#[test]
fn connect_comes_behind_ordinary_requests() {
    let get = "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n";
    let seen = words(&[
        client([get, CONNECT].concat()),
        server([PAGE, TUNNEL].concat()),
    ]);
    assert_eq!(seen, ["connect h:443", "exchange", "connect h:443 Some(2)"]);
}

#[test]
fn a_lost_answer_to_connect_is_told_by_what_the_client_sends() {
    let missing = TUNNEL.len() as u64;
    let opened = [
        "connect h:443",
        "server head lost",
        "connect h:443 None",
        "gap not-captured Some(39)",
    ];
    let hello = [0x16, 3, 1, 2, 0, 1];
    for inside in [ASK.as_bytes(), &hello] {
        let gap = lost(ServerToClient, missing);
        let before = play(&[client(CONNECT), gap.clone(), client(inside)]);
        let behind = play(&[client(CONNECT), client(inside), gap]);
        for seen in [before, behind] {
            assert_eq!(seen.words, opened);
            assert_eq!(seen.frames.client, inside);
        }
    }
    let absolute = "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n";
    for again in [CONNECT, absolute] {
        let lines = [
            client(CONNECT),
            lost(ServerToClient, missing),
            client(again),
            server(PAGE),
        ];
        assert!(!words(&lines).contains(&opened[2].to_owned()), "{again}");
    }
}

#[test]
fn a_gap_behind_the_status_line_lies_in_the_tunnel() {
    let seen = play(&[
        client(CONNECT),
        server("HTTP/1.1 200 OK\r\nVia"),
        lost(ServerToClient, 20),
        client(ASK),
        server(ACCEPT),
    ]);
    assert_eq!(
        seen.words,
        [
            "connect h:443",
            "connect h:443 Some(2)",
            "gap not-captured Some(20)"
        ]
    );
    assert_eq!(seen.frames.server, ACCEPT.as_bytes());
}

#[test]
fn however_a_tunnel_is_cut_into_packets_its_bytes_are_the_same() {
    let whole = [AUTH, TUNNEL, "inside"].concat();
    for size in 1..whole.len() {
        let mut lines = vec![client([CONNECT, CONNECT, ASK].concat())];
        lines.extend(whole.as_bytes().chunks(size).map(server));
        let seen = play(&lines);
        let inside = (seen.frames.client, seen.frames.server);
        assert_eq!(
            inside,
            (ASK.as_bytes().to_vec(), b"inside".to_vec()),
            "{size}"
        );
    }
}

#[test]
fn the_end_behind_early_data_is_handed_on() {
    let seen = words(&[
        client(ASK),
        client("x"),
        Ends(ClientToServer),
        server(ACCEPT),
        Ends(ServerToClient),
    ]);
    assert_eq!(
        seen,
        ["ask /ws", "upgraded", "early 1", "end client", "end server"]
    );
}

#[test]
fn the_key_of_these_stories_is_that_of_the_standard() {
    assert_eq!(
        tungstenite::handshake::derive_accept_key(KEY.as_bytes()),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
}

/// A conversation that touches all states, with a frame at the end of each side.
fn conversation() -> Vec<Line> {
    let chunked =
        "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno \r\n3\r\nway\r\n0\r\n\r\n";
    vec![
        client(
            "\r\nPOST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
        ),
        server("HTTP/1.1 100 Continue\r\n\r\n"),
        server(PAGE),
        client(ASK.replace("\r\n", "\n")),
        server(chunked),
        client(ASK),
        server("HTTP/1.1 103 Early Hints\r\n\r\n"),
        server([ACCEPT.as_bytes(), b"\x81\x02hi"].concat()),
        client(b"\x81\x82abcdef"),
        Ends(ClientToServer),
        Ends(ServerToClient),
    ]
}

/// The same lines, each cut where `cuts` says.
fn cut(lines: &[Line], cuts: &[usize]) -> Vec<Line> {
    let mut cuts = cuts.iter().cycle();
    let mut pieces = Vec::new();
    for line in lines {
        let Says(direction, bytes) = line else {
            pieces.push(line.clone());
            continue;
        };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            pieces.push(Says(*direction, piece.to_vec()));
            rest = after;
        }
    }
    pieces
}

fn any_line() -> impl Strategy<Value = Line> {
    let direction = prop::sample::select(Direction::BOTH.to_vec());
    let text = prop::sample::select(vec![
        ASK,
        ACCEPT,
        REFUSE,
        PAGE,
        CONNECT,
        TUNNEL,
        AUTH,
        "PROXY TCP4 192.0.2.7 192.0.2.2 40001 80\r\n",
        "\x05\x01\0",
        "\x05\0",
        "\x05\0\0\x01\0\0\0\0\0\0",
        "GET / HTTP/1.1\r\n",
        "\r\n",
        "HTTP/1.1 ",
        "101",
        "\n",
    ]);
    let bytes = prop_oneof![
        4 => text.prop_map(|t| t.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>(), 1..40),
        1 => Just(vec![b'a'; 50_000]),
    ];
    let causes = vec![GapCause::NotCaptured, GapCause::BeganMidStream];
    let gap = (prop::option::of(1..100u64), prop::sample::select(causes));
    prop_oneof![
        8 => (direction.clone(), bytes).prop_map(|(d, b)| Says(d, b)),
        2 => (direction.clone(), gap).prop_map(|(d, (len, cause))| Loses(d, len, cause)),
        1 => direction.prop_map(Ends),
    ]
}

proptest! {
    #[test]
    fn where_a_conversation_is_cut_changes_nothing(cuts in prop::collection::vec(1..60usize, 1..12)) {
        let (whole, pieces) = (play(&conversation()), play(&cut(&conversation(), &cuts)));
        prop_assert_eq!(whole.words, pieces.words);
        prop_assert_eq!(whole.frames, pieces.frames);
        prop_assert_eq!(whole.offsets, pieces.offsets);
    }

    #[test]
    fn damaged_heads_tell_no_key(damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
        let mut lines = conversation();
        for (at, byte) in damage {
            let line = at % lines.len();
            if let Some(Says(_, bytes)) = lines.get_mut(line) {
                let at = at / 16 % bytes.len();
                bytes[at] = byte;
            }
        }
        let (mut seen, pieces) = (play(&lines), play(&cut(&lines, &[1])));
        seen.sentences.extend(pieces.sentences);
        let told = seen.sentences.iter().find(|what| what.contains(&KEY[..8]) || what.contains(&KEY[16..]));
        prop_assert_eq!(told, None);
    }

    #[test]
    fn any_events_are_taken_within_the_limits(lines in prop::collection::vec(any_line(), 0..40)) {
        let seen = play(&lines);
        // A head gathered and bytes that wait on each side, and a request unanswered.
        prop_assert!(seen.most_held <= 5 * 64 * 1024, "{}", seen.most_held);
        let opened = |w: &&String| w.starts_with("upgraded") || *w == "answer lost" || w.ends_with(')') && w.starts_with("connect h:443 ");
        let upgrades = seen.words.iter().filter(opened).count();
        prop_assert!(upgrades <= 1, "{:?}", seen.words);
    }
}

#[test]
fn one_byte_segments_tell_the_same() {
    let whole = play(&conversation());
    let expected = [
        "exchange",
        "ask /ws bare-line-feed",
        "refused 403",
        "body no way",
        "ask /ws",
        "interim 103",
        "upgraded",
        "end client",
        "end server",
    ];
    assert_eq!(whole.words, expected);
    assert_eq!(play(&cut(&conversation(), &[1])).words, expected);
}

#[test]
fn a_lost_proxy_header_costs_no_request() {
    let lines = [lost(ClientToServer, 41), client(ASK), server(ACCEPT)];
    assert_eq!(words(&lines), ["client head lost", "ask /ws", "upgraded"]);
}

#[test]
fn socks_5_is_a_tunnel_once_the_server_says_so() {
    let request = [&[5, 1, 0, 3, 7][..], b"ws.test", &[1, 187]].concat();
    let reply = [5, 0, 0, 1, 192, 0, 2, 7, 1, 187];
    let password = [1, 2, b'm', b'e', 3, b's', b'3', b'c'];
    let plain = vec![
        client([5, 2, 0, 2]),
        server([5, 0]),
        client(&request),
        server(reply),
        client(ASK),
        server(ACCEPT),
    ];
    let mut known = plain.clone();
    known.splice(1..2, [server([5, 2]), client(password), server([1, 0])]);
    for (lines, opened) in [(plain, 4), (known, 6)] {
        let seen = play(&lines);
        assert_eq!(seen.words, [format!("socks5 ws.test:443 Some({opened})")]);
        assert_eq!(seen.frames.client, ASK.as_bytes());
        assert_eq!(seen.frames.server, ACCEPT.as_bytes());
    }
}

#[test]
fn however_socks_is_cut_into_packets_its_tunnel_is_the_same() {
    let asked = [&[5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 7, 0, 80][..], b"early"].concat();
    let said = [&[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"inside"].concat();
    for size in 1..asked.len() {
        let mut lines: Vec<Line> = asked.chunks(size).map(client).collect();
        lines.extend(said.chunks(size).map(server));
        let seen = play(&lines);
        assert_eq!(seen.words.len(), 1, "{size}");
        let inside = (seen.frames.client, seen.frames.server);
        assert_eq!(inside, (b"early".to_vec(), b"inside".to_vec()), "{size}");
    }
}

#[test]
fn socks_4_is_a_tunnel_too() {
    let seen = play(&[
        client(b"\x04\x01\x01\xbb\0\0\0\x01\0ws.test\0"),
        server([0, 0x5a, 0, 0, 0, 0, 0, 0]),
        client(ASK),
    ]);
    assert_eq!(seen.words, ["socks4 ws.test:443 Some(2)"]);
    assert_eq!(seen.frames.client, ASK.as_bytes());
}

#[test]
fn what_only_begins_like_socks_is_no_tunnel() {
    let greeting = || client([5, 1, 0]);
    for answer in [
        &[5, 0xff][..],
        &[5, 2],
        &[7, 0],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        let seen = play(&[greeting(), server(answer), client(ASK)]);
        assert_eq!(seen.words, ["client Unknown"], "{answer:?}");
        assert!(seen.opaque);
    }
    let refused = [server([5, 0]), client([5, 1, 0, 1, 192, 0, 2, 7, 0, 80])];
    let [choice, request] = refused;
    let reply = server([5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert!(play(&[greeting(), choice.clone(), request, reply]).opaque);
    let gap = lost(ServerToClient, 10);
    assert!(play(&[greeting(), choice, gap]).opaque);
}

#[test]
fn an_answer_from_before_a_request_behind_a_gap_is_another_ones() {
    let seen = words(&[
        server(TUNNEL),
        lost(ClientToServer, 40),
        client(ASK),
        server(ACCEPT),
    ]);
    assert_eq!(
        seen,
        [
            "client head lost",
            "ask /ws",
            "connect ? Some(1)",
            "upgraded"
        ]
    );
}

/// An opening handshake of which the snap length left `left` bytes a head, and what came behind it.
fn cut_handshake(left: usize, behind: &[u8]) -> Seen {
    let cut = |sender: Direction, head: &str| {
        let rest = u64::try_from(head.len() - left).unwrap();
        [
            Says(sender, head.as_bytes()[..left].to_vec()),
            Loses(sender, Some(rest), GapCause::SnapLength),
        ]
    };
    let mut lines = Vec::from(cut(ClientToServer, ASK));
    lines.extend(cut(ServerToClient, ACCEPT));
    lines.push(server(behind));
    play(&lines)
}

#[test]
fn a_handshake_that_the_snap_length_cut_is_one_where_frames_follow() {
    let seen = cut_handshake(30, &[0x81, 2, b'h', b'i']);
    assert!(seen.words.contains(&"answer cut".to_owned()), "{seen:?}");
    assert_eq!(seen.frames.server, [0x81, 2, b'h', b'i']);
    // HTTP/2's SETTINGS, and a request of which the target isn't whole.
    let other = cut_handshake(30, &[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let short = cut_handshake(8, &[0x81, 2, b'h', b'i']);
    for seen in [other, short] {
        assert!(!seen.words.contains(&"answer cut".to_owned()), "{seen:?}");
    }
}

#[test]
fn frames_of_a_server_that_was_not_seen_before_follow_a_lost_answer() {
    let seen = play(&[
        client(ASK),
        Loses(ServerToClient, None, GapCause::BeganMidStream),
        server([0x81, 2, b'h', b'i']),
    ]);
    assert!(seen.words.contains(&"answer lost".to_owned()), "{seen:?}");
    assert_eq!(seen.frames.server, [0x81, 2, b'h', b'i']);
}
