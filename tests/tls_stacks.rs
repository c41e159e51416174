//! Real TLS endpoints talk; what was said is read from what crossed between them.
#![allow(clippy::indexing_slicing)]

mod capture;
mod stacks;

use std::fs;
use std::ops::Range;
use std::path::Path;

use capture::{Directory, Sender};
use stacks::{Program, Relay, Sent, Wire, certificate, free_port, has, openssl};
use wscope::source::read_key_log;
use wscope::stream::{Chunk, Direction, Gap, GapCause, PacketRef, Secret, StreamEvent};
use wscope::time::Timestamp;
use wscope::tls::{Connection, Event, Keys, Output, PrivateKey, Undecrypted};

// --- the endpoints ------------------------------------------------------

/// Who is told what: a line of text that is sent, or a letter that is a command.
type Line = (Sender, &'static str);
use Sender::{Client, Server};

/// `openssl s_server` for some connections.
struct Endpoint {
    directory: Directory,
    port: u16,
    server: Program,
}

impl Endpoint {
    /// `flags` are one line; the server has a key log.
    fn new(name: &str, flags: &str) -> Self {
        let directory = Directory::new(name);
        certificate(directory.path(), "server");
        certificate(directory.path(), "client");
        let port = free_port();
        let line = format!(
            "openssl s_server -accept 127.0.0.1:{port} -key server.pem -cert server.crt -CAfile client.crt -keylogfile keys.log {flags}"
        );
        let line: Vec<&str> = line.split_whitespace().collect();
        let server = Program::start(directory.path(), &line);
        Self {
            directory,
            port,
            server,
        }
    }

    /// A client connects, both say what they have to, and the client leaves.
    fn talk(&mut self, flags: &str, lines: &[Line]) -> Wire {
        let relay = Relay::to(self.port);
        let line = format!(
            "openssl s_client -connect 127.0.0.1:{} -servername ws.test {flags}",
            relay.port
        );
        let line: Vec<&str> = line.split_whitespace().collect();
        let mut client = Program::start(self.directory.path(), &line);
        relay.settle();
        for (sender, text) in lines {
            match sender {
                Client => client.type_in(text),
                Server => self.server.type_in(text),
            }
            relay.settle();
        }
        client.type_in("Q");
        relay.settle();
        client.end();
        relay.wire()
    }

    fn key_log(&self) -> Vec<u8> {
        fs::read(self.directory.path().join("keys.log")).unwrap_or_default()
    }

    fn private_key(&self, name: &str) -> PrivateKey {
        let text = fs::read(self.directory.path().join(name)).expect("the key");
        PrivateKey::from_pem(&text).expect("an RSA key")
    }
}

/// A command is a letter; the server's needs a line of its own.
const COMMAND: usize = 2;

/// The lines that are text, by their sender.
fn said(lines: &[Line], by: Sender) -> String {
    let text = lines
        .iter()
        .filter(|(sender, text)| *sender == by && text.len() > COMMAND);
    text.map(|(_, text)| *text).collect()
}

// --- the bystander ------------------------------------------------------

#[derive(Debug, Default)]
struct Heard {
    client: Vec<u8>,
    server: Vec<u8>,
    facts: Vec<Event>,
    learned: Vec<Secret>,
    gaps: usize,
}

impl Heard {
    fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.count(wanted) > 0
    }

    fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.facts.iter().filter(|event| wanted(event)).count()
    }

    fn reasons(&self) -> Vec<Undecrypted> {
        let reason = |event: &Event| match event {
            Event::Undecrypted { reason, .. } => Some(*reason),
            _ => None,
        };
        self.facts.iter().filter_map(reason).collect()
    }

    fn text(&self, of: Sender) -> String {
        let bytes = match of {
            Client => &self.client,
            Server => &self.server,
        };
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// All that was said was read, and nothing stayed closed.
    fn is_all_of(&self, lines: &[Line], what: &str) {
        assert_eq!(
            self.text(Client),
            said(lines, Client),
            "{what}: {:#?}",
            self.facts
        );
        assert_eq!(
            self.text(Server),
            said(lines, Server),
            "{what}: {:#?}",
            self.facts
        );
        let closed = self.count(|event| matches!(event, Event::Closed { .. }));
        assert_eq!(
            (self.reasons(), closed, self.gaps),
            (vec![], 0, 0),
            "{what}"
        );
    }
}

/// What is missing of one piece of the wire: of its bytes, these.
type Lost = (usize, Range<usize>);

fn listen(wire: &Wire, keys: &Keys) -> Heard {
    listen_without(wire, &[], keys)
}

/// `lost` pieces weren't captured.
fn listen_without(wire: &Wire, lost: &[Lost], keys: &Keys) -> Heard {
    let mut heard = Heard::default();
    let mut tls = Connection::new(1 << 20);
    let mut learned = Vec::new();
    let mut take = |output: Output<'_>| match output {
        Output::Fact(event) => heard.facts.push(event),
        Output::Stream(StreamEvent::Chunk(chunk)) => match chunk.direction {
            Direction::ClientToServer => heard.client.extend_from_slice(chunk.bytes),
            Direction::ServerToClient => heard.server.extend_from_slice(chunk.bytes),
        },
        Output::Stream(StreamEvent::Gap(_)) => heard.gaps += 1,
        Output::Stream(StreamEvent::End(..)) => {}
    };
    for (number, (sender, sent)) in wire.iter().enumerate() {
        let direction = match sender {
            Client => Direction::ClientToServer,
            Server => Direction::ServerToClient,
        };
        let at = PacketRef {
            time: Timestamp::from_nanos(i64::try_from(number).expect("a small number")),
            number: number as u64 + 1,
            ..PacketRef::default()
        };
        let chunk = |bytes| {
            StreamEvent::Chunk(Chunk {
                direction,
                offset: 0,
                bytes,
                seen: at,
                released: at,
            })
        };
        let missing = |len: usize| {
            StreamEvent::Gap(Gap {
                direction,
                offset: 0,
                len: Some(len as u64),
                cause: GapCause::NotCaptured,
                at,
            })
        };
        let hole = lost.iter().find(|(piece, _)| *piece == number);
        let events = match (sent, hole) {
            (Sent::Bytes(bytes), None) => vec![chunk(&bytes[..])],
            (Sent::Bytes(bytes), Some((_, hole))) => {
                let (before, after) = (&bytes[..hole.start], &bytes[hole.end..]);
                let mut events = vec![chunk(before), missing(hole.len()), chunk(after)];
                events.retain(
                    |event| !matches!(event, StreamEvent::Chunk(chunk) if chunk.bytes.is_empty()),
                );
                events
            }
            (Sent::Fin | Sent::Reset, _) => vec![StreamEvent::End(direction, at)],
        };
        for event in events {
            tls.on_stream(&event, keys, &mut take);
            learned.extend(tls.take_learned());
        }
    }
    tls.finish(&mut take);
    heard.learned = learned;
    heard
}

fn keys_of(key_log: &[u8]) -> Keys {
    let mut keys = Keys::new(false);
    read_key_log(key_log, |secret| keys.add(secret));
    keys
}

fn has_openssl() -> bool {
    has("openssl", "version")
}

const LINES: &[Line] = &[
    (Client, "a question\n"),
    (Server, "an answer\n"),
    (Client, "another question\n"),
    (Server, "another answer\n"),
];

/// Lines, and commands among them that change something about the connection.
fn with(commands: &[Line]) -> Vec<Line> {
    let mut lines = LINES.to_vec();
    for command in commands {
        lines.push(*command);
        lines.extend_from_slice(LINES);
    }
    lines
}

// --- suites -------------------------------------------------------------

#[test]
fn every_version_and_kind_of_suite_is_read_with_a_key_log() {
    if !has_openssl() {
        return;
    }
    let old = [
        ("-tls1", "AES128-SHA"),
        ("-tls1", "ECDHE-RSA-AES256-SHA"),
        ("-tls1_1", "AES256-SHA"),
        ("-tls1_2", "ECDHE-RSA-AES128-SHA256"),
        ("-tls1_2", "ECDHE-RSA-AES256-SHA384"),
        ("-tls1_2", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("-tls1_2", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("-tls1_2", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("-tls1_2", "AES128-CCM"),
        ("-tls1_2", "AES256-CCM8"),
        ("-tls1_2", "DHE-RSA-AES128-GCM-SHA256"),
    ];
    let mut endpoint = Endpoint::new("stacks-old", "-cipher ALL:@SECLEVEL=0");
    for (version, suite) in old {
        let wire = endpoint.talk(&format!("{version} -cipher {suite}:@SECLEVEL=0"), LINES);
        let heard = listen(&wire, &keys_of(&endpoint.key_log()));
        heard.is_all_of(LINES, suite);
    }
    let new = [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    ];
    let flags = format!(
        "-ciphersuites {} -cipher DEFAULT:@SECLEVEL=0",
        new.join(":")
    );
    let mut endpoint = Endpoint::new("stacks-new", &flags);
    for suite in new {
        let flags = format!("-tls1_3 -ciphersuites {suite} -cipher DEFAULT:@SECLEVEL=0");
        let wire = endpoint.talk(&flags, LINES);
        listen(&wire, &keys_of(&endpoint.key_log())).is_all_of(LINES, suite);
    }
}

// --- what is lost -------------------------------------------------------

/// Each line a record, and each record a piece of the wire.
const MANY: &[Line] = &[
    (Client, "one of the client\n"),
    (Server, "one of the server\n"),
    (Client, "two of the client\n"),
    (Server, "two of the server\n"),
    (Client, "three of the client\n"),
    (Server, "three of the server\n"),
    (Client, "four of the client\n"),
    (Server, "four of the server\n"),
];

/// The places on the wire of the records of this side's lines.
fn places(wire: &Wire, by: Sender, lines: usize) -> Vec<usize> {
    // Behind them are only alerts, which TLS 1.3 wraps: two bytes, a type and a tag.
    let of_data = |bytes: &[u8]| bytes[0] == 23 && bytes.len() > 5 + 2 + 1 + 16;
    let records = wire.iter().enumerate().filter(|(_, (sender, sent))| {
        *sender == by && matches!(sent, Sent::Bytes(bytes) if of_data(bytes))
    });
    let mut places: Vec<usize> = records.map(|(place, _)| place).collect();
    places.split_off(places.len() - lines)
}

#[test]
fn records_after_lost_ones_are_read_with_every_kind_of_cipher() {
    if !has_openssl() {
        return;
    }
    let kinds = [
        "-tls1 -cipher AES128-SHA:@SECLEVEL=0",
        "-tls1_1 -cipher AES128-SHA:@SECLEVEL=0",
        "-tls1_2 -cipher ECDHE-RSA-AES128-SHA256",
        "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256",
        "-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305",
        "-tls1_2 -cipher AES128-CCM",
        "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256",
        "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
    ];
    let mut endpoint = Endpoint::new("stacks-lost", "-cipher ALL:@SECLEVEL=0 -num_tickets 0");
    for kind in kinds {
        let wire = endpoint.talk(kind, MANY);
        let keys = keys_of(&endpoint.key_log());
        listen(&wire, &keys).is_all_of(MANY, kind);
        for by in [Client, Server] {
            let lines: Vec<&str> = MANY
                .iter()
                .filter(|(of, _)| *of == by)
                .map(|(_, line)| *line)
                .collect();
            let places = places(&wire, by, lines.len());
            let len = |place: usize| match &wire[place].1 {
                Sent::Bytes(bytes) => bytes.len(),
                _ => 0,
            };
            let [_, two, three, _] = places[..] else {
                panic!("{kind}: {places:?}");
            };
            for lost in [
                vec![(two, 0..len(two))],
                vec![(two, 0..len(two)), (three, 0..len(three))],
                // The end of a record, its beginning, and something of its middle.
                vec![(two, 9..len(two))],
                vec![(two, 0..9)],
                vec![(two, 9..12)],
                vec![(two, 9..len(two)), (three, 0..9)],
            ] {
                let heard = listen_without(&wire, &lost, &keys);
                let what = format!("{kind} without {lost:?}: {:#?}", heard.facts);
                let gone = |place: &usize| lost.iter().any(|(piece, _)| piece == place);
                let kept = places.iter().zip(&lines).filter(|(place, _)| !gone(place));
                let kept: String = kept.map(|(_, line)| *line).collect();
                assert_eq!(heard.text(by), kept, "{what}");
                let other = if matches!(by, Client) { Server } else { Client };
                assert_eq!(heard.text(other), said(MANY, other), "{what}");
                assert!(heard.gaps > 0, "{what}");
            }
        }
    }
}

// --- private keys -------------------------------------------------------

#[test]
fn the_servers_private_key_opens_rsa_key_exchange() {
    if !has_openssl() {
        return;
    }
    let mut endpoint = Endpoint::new("stacks-rsa", "-cipher ALL:@SECLEVEL=0");
    for (version, suite) in [
        ("-tls1", "AES128-SHA"),
        ("-tls1_1", "AES256-SHA"),
        ("-tls1_2", "AES128-GCM-SHA256"),
        ("-tls1_2", "AES256-GCM-SHA384"),
        ("-tls1_2", "AES256-SHA256"),
    ] {
        let wire = endpoint.talk(&format!("{version} -cipher {suite}:@SECLEVEL=0"), LINES);
        for file in ["server.pem", "server.pkcs1.pem"] {
            let mut keys = Keys::new(false);
            keys.add_private_key(endpoint.private_key("client.pem"));
            keys.add_private_key(endpoint.private_key(file));
            listen(&wire, &keys).is_all_of(LINES, suite);
        }
        let mut keys = Keys::new(false);
        keys.add_private_key(endpoint.private_key("client.pem"));
        let heard = listen(&wire, &keys);
        assert_eq!(heard.reasons(), [Undecrypted::NoKey; 2]);
        assert!(heard.has(|event| matches!(event, Event::ForeignPrivateKey { .. })));
    }
    let wire = endpoint.talk("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", LINES);
    let mut keys = Keys::new(false);
    keys.add_private_key(endpoint.private_key("server.pem"));
    let heard = listen(&wire, &keys);
    assert_eq!(heard.reasons(), [Undecrypted::NoKey; 2]);
    assert!(!heard.has(|event| matches!(event, Event::ForeignPrivateKey { .. })));
}

#[test]
fn a_private_key_opens_sessions_that_resume_one_it_opened() {
    if !has_openssl() {
        return;
    }
    for (name, ticket) in [
        ("stacks-resumed-id", "-no_ticket"),
        ("stacks-resumed-ticket", ""),
    ] {
        let mut endpoint = Endpoint::new(name, ticket);
        let flags = format!("-tls1_2 -cipher AES128-GCM-SHA256 {ticket}");
        let first = endpoint.talk(&format!("{flags} -sess_out session"), LINES);
        let second = endpoint.talk(&format!("{flags} -sess_in session"), LINES);
        let mut keys = Keys::new(false);
        keys.add_private_key(endpoint.private_key("server.pem"));
        let heard = listen(&first, &keys);
        heard.is_all_of(LINES, name);
        let before = listen(&second, &keys);
        assert_eq!(before.reasons(), [Undecrypted::NoKey; 2], "{name}");
        for session in heard.learned {
            keys.learn(session);
        }
        let heard = listen(&second, &keys);
        assert!(heard.has(|event| matches!(event, Event::ServerHello { resumed: true, .. })));
        heard.is_all_of(LINES, name);
    }
}

/// A session of `openssl` without its id: only its ticket names it.
fn without_session_id(directory: &Path) {
    openssl(
        directory,
        "sess_id -in session -outform DER -out session.der",
    );
    let der = fs::read(directory.join("session.der")).expect("a session");
    // SEQUENCE, with a length of two bytes: version, TLS version, suite, id, ...
    let (head, session) = der.split_at(4);
    assert_eq!(head[..2], [0x30, 0x82]);
    let (before, rest) = session.split_at(3 + 4 + 4);
    assert_eq!(rest[..2], [0x04, 0x20], "an id of 32 bytes");
    let edited = [before, &[0x04, 0x00], &rest[34..]].concat();
    let len = u16::try_from(edited.len()).expect("a short session");
    let edited = [&[0x30, 0x82], &len.to_be_bytes()[..], &edited].concat();
    fs::write(directory.join("session.der"), edited).expect("a file");
    openssl(
        directory,
        "sess_id -inform DER -in session.der -out session",
    );
}

/// OpenSSL's server goes on with it; its client would only with an id, and says so in an alert.
#[test]
fn a_ticket_without_a_session_id_shows_in_the_servers_answer_that_it_resumes() {
    if !has_openssl() {
        return;
    }
    let mut endpoint = Endpoint::new("stacks-resumed-no-id", "");
    let flags = "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256";
    let first = endpoint.talk(&format!("{flags} -sess_out session"), LINES);
    without_session_id(endpoint.directory.path());
    let second = endpoint.talk(&format!("{flags} -sess_in session"), &[]);
    let keys = keys_of(&endpoint.key_log());
    let resumed = |event: &Event| matches!(event, Event::Resumed { .. });
    let heard = listen(&first, &keys);
    heard.is_all_of(LINES, "the first");
    assert!(!heard.has(resumed));
    let heard = listen(&second, &keys);
    assert!(heard.has(resumed), "{:#?}", heard.facts);
    // Neither hello tells.
    assert!(heard.has(|event| matches!(event, Event::ServerHello { resumed: false, .. })));
    assert!(!heard.has(|event| matches!(event, Event::Certificate { .. })));
    let finished = |event: &Event| {
        let server = Direction::ServerToClient;
        matches!(event, Event::Finished { direction, .. } if *direction == server)
    };
    assert!(heard.has(finished), "{:#?}", heard.facts);
    assert_eq!(heard.reasons(), []);
}

// --- what may happen in a connection ------------------------------------

/// One connection under these flags, read with the server's key log.
fn one(name: &str, server: &str, client: &str, lines: &[Line]) -> Heard {
    let mut endpoint = Endpoint::new(name, server);
    let wire = endpoint.talk(client, lines);
    let heard = listen(&wire, &keys_of(&endpoint.key_log()));
    heard.is_all_of(lines, name);
    heard
}

#[test]
fn a_renegotiation_goes_on_with_new_keys() {
    if !has_openssl() {
        return;
    }
    for (name, suite) in [
        ("stacks-renegotiation-gcm", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("stacks-renegotiation-cbc", "ECDHE-RSA-AES128-SHA256"),
        ("stacks-renegotiation-rsa", "AES128-GCM-SHA256"),
    ] {
        let lines = with(&[(Client, "R"), (Server, "r\n")]);
        let client = format!("-tls1_2 -cipher {suite}");
        let heard = one(name, "-client_renegotiation", &client, &lines);
        let hellos = heard.count(|event| matches!(event, Event::ServerHello { .. }));
        assert_eq!(hellos, 3, "{name}");
    }
}

#[test]
fn a_client_certificate_is_told_in_each_version() {
    if !has_openssl() {
        return;
    }
    for (name, version) in [
        ("stacks-mutual-12", "-tls1_2"),
        ("stacks-mutual-13", "-tls1_3"),
    ] {
        let client = format!("{version} -cert client.crt -key client.pem");
        let heard = one(name, "-Verify 1", &client, LINES);
        assert!(heard.has(|event| matches!(event, Event::CertificateRequest { .. })));
        let chain = heard.facts.iter().find_map(|event| match event {
            Event::Certificate {
                direction: Direction::ClientToServer,
                chain,
                ..
            } => Some(chain),
            _ => None,
        });
        assert!(
            chain.is_some_and(|chain| chain[0].is_for("ws.test")),
            "{name}"
        );
    }
}

#[test]
fn a_client_may_be_asked_for_its_certificate_after_the_handshake() {
    if !has_openssl() {
        return;
    }
    let client = "-tls1_3 -enable_pha -cert client.crt -key client.pem";
    let lines = with(&[(Server, "c\n")]);
    let heard = one("stacks-pha", "-verify 1", client, &lines);
    let asked = |event: &Event| matches!(event, Event::CertificateRequest { .. });
    let shown = |event: &Event| matches!(event, Event::Certificate { direction: Direction::ClientToServer, chain, .. } if chain.len() == 1);
    assert!(heard.has(asked) && heard.has(shown), "{:#?}", heard.facts);
}

#[test]
fn another_hello_is_asked_for_and_read() {
    if !has_openssl() {
        return;
    }
    let heard = one(
        "stacks-retry",
        "-groups P-384",
        "-tls1_3 -groups X25519:P-384",
        LINES,
    );
    assert!(heard.has(|event| matches!(event, Event::HelloRetryRequest { .. })));
}

#[test]
fn keys_change_on_either_side_as_often_as_it_likes() {
    if !has_openssl() {
        return;
    }
    // Capital letters ask the other side for new keys as well.
    let commands = [
        (Client, "k"),
        (Server, "k\n"),
        (Client, "K"),
        (Server, "K\n"),
        (Client, "k"),
    ];
    let heard = one("stacks-update", "", "-tls1_3", &with(&commands));
    for direction in Direction::BOTH {
        let updates = heard.count(
            |event| matches!(event, Event::KeyUpdate { direction: of, .. } if *of == direction),
        );
        assert!(updates >= 3, "{direction:?}: {updates}");
    }
}

#[test]
fn padded_and_short_records_say_the_same() {
    if !has_openssl() {
        return;
    }
    one(
        "stacks-padding",
        "-record_padding 512",
        "-tls1_3 -record_padding 300",
        LINES,
    );
    one(
        "stacks-short-13",
        "-max_send_frag 512",
        "-tls1_3 -maxfraglen 512",
        LINES,
    );
    one(
        "stacks-short-12",
        "-max_send_frag 512",
        "-tls1_2 -maxfraglen 512",
        LINES,
    );
}

/// GnuTLS is the one that speaks RFC 8449.
#[test]
fn a_limit_on_records_changes_nothing_that_is_said() {
    if !has_openssl() || !has("gnutls-cli", "--version") || !has("gnutls-serv", "--version") {
        return;
    }
    let directory = Directory::new("stacks-record-size-limit");
    certificate(directory.path(), "server");
    let port = free_port();
    let serve = format!(
        "gnutls-serv --echo --port {port} --x509keyfile server.pem --x509certfile server.crt --recordsize 600 --quiet"
    );
    let serve: Vec<&str> = serve.split(' ').collect();
    let _server = Program::start(directory.path(), &serve);
    let relay = Relay::to(port);
    let dial = format!(
        "env SSLKEYLOGFILE=keys.log gnutls-cli --insecure --recordsize 512 --sni-hostname ws.test -p {} 127.0.0.1",
        relay.port
    );
    let dial: Vec<&str> = dial.split(' ').collect();
    let mut client = Program::start(directory.path(), &dial);
    relay.settle();
    // gnutls-cli puts what it reads at once into one record, and drops what goes beyond.
    let line = format!("{}\n", "question ".repeat(56));
    for _ in 0..3 {
        client.type_in(&line);
        relay.settle();
    }
    let line = line.repeat(3);
    client.end();
    relay.settle();
    let key_log = fs::read(directory.path().join("keys.log")).expect("a key log");
    let heard = listen(&relay.wire(), &keys_of(&key_log));
    // RFC 8449, section 4: the extension's number.
    let hello = &relay.wire()[0];
    assert!(
        matches!(hello, (Client, Sent::Bytes(bytes)) if bytes.windows(4).any(|four| four == [0, 28, 0, 2]))
    );
    assert_eq!(heard.text(Client), line);
    assert_eq!(heard.text(Server), line);
    assert_eq!(heard.reasons(), []);
}

#[test]
fn early_data_of_a_resumed_session_is_read() {
    if !has_openssl() {
        return;
    }
    let mut endpoint = Endpoint::new("stacks-early", "-early_data -no_anti_replay");
    let early: &Path = &endpoint.directory.file("early.txt", b"an early question\n");
    assert!(early.exists());
    endpoint.talk("-tls1_3 -sess_out session", LINES);
    let wire = endpoint.talk("-tls1_3 -sess_in session -early_data early.txt", LINES);
    let heard = listen(&wire, &keys_of(&endpoint.key_log()));
    assert_eq!(
        heard.text(Client),
        format!("an early question\n{}", said(LINES, Client))
    );
    assert_eq!(heard.text(Server), said(LINES, Server));
    assert_eq!((heard.reasons(), heard.gaps), (vec![], 0));
}
