//! A real client and server talk in memory; the bystander reads along.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::*;
use crate::stream::{Chunk, Gap, GapCause, Secret, SecretLabel};
use crate::time::Timestamp;
use Direction::{ClientToServer, ServerToClient};

/// What crossed the wire, and what opens it.
struct Talk {
    wire: Vec<(Direction, Vec<u8>)>,
    secrets: Vec<Secret>,
    client_said: Vec<u8>,
    server_said: Vec<u8>,
}

#[derive(Debug, Default)]
struct Log(Mutex<Vec<Secret>>);

impl rustls::KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        self.0.lock().unwrap().push(Secret::OfRandom {
            label: SecretLabel::of(label).unwrap(),
            client_random: client_random.try_into().unwrap(),
            bytes: secret.to_vec(),
        });
    }
}

/// Who talk, and where their secrets go.
struct Ends {
    client: ClientConfig,
    server: ServerConfig,
    log: Arc<Log>,
    /// The client changes its keys once in a while.
    updates: bool,
}

fn ends(version: &'static rustls::SupportedProtocolVersion) -> Ends {
    let key = rcgen::generate_simple_self_signed(["ws.test".to_owned()]).unwrap();
    let certificate = key.cert.der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let log = Arc::new(Log::default());
    let mut client = ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.key_log = log.clone();
    client.enable_early_data = true;
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut server = ServerConfig::builder_with_protocol_versions(&[version])
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate],
            PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ends {
        client,
        server,
        log,
        updates: true,
    }
}

/// A handshake, `rounds` of questions and answers, key updates in between, and the end.
fn talk(version: &'static rustls::SupportedProtocolVersion, rounds: usize) -> Talk {
    ends(version).talk(b"", rounds)
}

impl Ends {
    /// As [`talk`], after `early` data if the client may send some.
    fn talk(&self, early: &[u8], rounds: usize) -> Talk {
        self.log.0.lock().unwrap().clear();
        let name = ServerName::try_from("ws.test").unwrap();
        let mut client = ClientConnection::new(Arc::new(self.client.clone()), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(self.server.clone())).unwrap();
        let (mut wire, mut client_said, mut server_said) = (Vec::new(), Vec::new(), Vec::new());
        if !early.is_empty() {
            client.early_data().unwrap().write_all(early).unwrap();
        }
        carry(&mut client, &mut server, &mut wire);
        if !early.is_empty() && client.is_early_data_accepted() {
            client_said.extend_from_slice(early);
        }
        let tls13 = client.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        for round in 0..rounds {
            let question = format!("question {round} ").repeat(1 + round % 7 * 300);
            let answer = format!("answer {round} ").repeat(1 + round % 3);
            client.writer().write_all(question.as_bytes()).unwrap();
            server.writer().write_all(answer.as_bytes()).unwrap();
            client_said.extend_from_slice(question.as_bytes());
            server_said.extend_from_slice(answer.as_bytes());
            carry(&mut client, &mut server, &mut wire);
            if self.updates && tls13 && round % 4 == 3 {
                client.refresh_traffic_keys().unwrap();
            }
        }
        client.send_close_notify();
        server.send_close_notify();
        carry(&mut client, &mut server, &mut wire);
        let secrets = self.log.0.lock().unwrap().clone();
        Talk {
            wire,
            secrets,
            client_said,
            server_said,
        }
    }
}

fn carry(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
    wire: &mut Vec<(Direction, Vec<u8>)>,
) {
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        if !bytes.is_empty() {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() && server.read_tls(&mut rest).unwrap() > 0 {
                server.process_new_packets().unwrap();
                let _ = server.reader().read_to_end(&mut Vec::new());
            }
            wire.push((ClientToServer, bytes));
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        if !bytes.is_empty() {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() && client.read_tls(&mut rest).unwrap() > 0 {
                client.process_new_packets().unwrap();
                let _ = client.reader().read_to_end(&mut Vec::new());
            }
            wire.push((ServerToClient, bytes));
        }
    }
}

/// What the bystander makes of it.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    client: Vec<Vec<u8>>,
    server: Vec<Vec<u8>>,
    facts: Vec<Event>,
    gaps: usize,
}

impl Heard {
    fn take(&mut self, output: Output<'_>) {
        match output {
            Output::Fact(event) => self.facts.push(event),
            Output::Stream(StreamEvent::Chunk(chunk)) => match chunk.direction {
                ClientToServer => self.client.push(chunk.bytes.to_vec()),
                ServerToClient => self.server.push(chunk.bytes.to_vec()),
            },
            Output::Stream(StreamEvent::Gap(_)) => self.gaps += 1,
            Output::Stream(StreamEvent::End(..)) => {}
        }
    }

    fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.facts.iter().any(wanted)
    }

    fn reasons(&self) -> Vec<Undecrypted> {
        let reason = |event: &Event| match event {
            Event::Undecrypted { reason, .. } => Some(*reason),
            _ => None,
        };
        self.facts.iter().filter_map(reason).collect()
    }
}

fn at(number: usize) -> PacketRef {
    PacketRef {
        time: Timestamp::from_nanos(i64::try_from(number).unwrap()),
        number: number as u64 + 1,
        ..PacketRef::default()
    }
}

fn keys_of(secrets: &[Secret], more_may_come: bool) -> Keys {
    let mut keys = Keys::new(more_may_come);
    for secret in secrets {
        keys.add(secret.clone());
    }
    keys
}

/// Reads the wire in pieces of at most `piece` bytes; `lost` are not captured.
/// `secrets` are known from the piece `from` on.
fn listen(talk: &Talk, piece: usize, lost: &[usize], secrets: &[Secret], from: usize) -> Heard {
    let mut heard = Heard::default();
    let mut keys = keys_of(if from == 0 { secrets } else { &[] }, from > 0);
    let mut connection = Connection::new(1 << 20);
    let mut offsets = crate::stream::Sides::<u64>::default();
    let mut number = 0;
    for (direction, bytes) in &talk.wire {
        for piece in bytes.chunks(piece) {
            let (direction, offset, at) = (*direction, offsets[*direction], at(number));
            offsets[direction] += piece.len() as u64;
            let event = if lost.contains(&number) {
                StreamEvent::Gap(Gap {
                    direction,
                    offset,
                    len: Some(piece.len() as u64),
                    cause: GapCause::NotCaptured,
                    at,
                })
            } else {
                StreamEvent::Chunk(Chunk {
                    direction,
                    offset,
                    bytes: piece,
                    seen: at,
                    released: at,
                })
            };
            number += 1;
            if from > 0 && number == from {
                keys = keys_of(secrets, true);
                connection.on_keys(&keys, &mut |output| heard.take(output));
            }
            connection.on_stream(&event, &keys, &mut |output| heard.take(output));
        }
    }
    if from > number {
        let keys = keys_of(secrets, true);
        connection.on_keys(&keys, &mut |output| heard.take(output));
    }
    connection.finish(&mut |output| heard.take(output));
    heard
}

#[test]
fn what_was_said_is_read_with_the_keys() {
    for version in [&TLS12, &TLS13] {
        let talk = talk(version, 12);
        let heard = listen(&talk, usize::MAX, &[], &talk.secrets, 0);
        assert!(heard.client.concat() == talk.client_said);
        assert!(heard.server.concat() == talk.server_said);
        assert_eq!(heard.reasons(), []);
        let closed =
            |event: &Event| matches!(event, Event::Alert { alert, .. } if alert.is_close_notify());
        assert_eq!(heard.facts.iter().filter(|event| closed(event)).count(), 2);
        let asked = heard.facts.iter().find_map(|event| match event {
            Event::ClientHello { hello, .. } => hello.server_name.as_deref(),
            _ => None,
        });
        assert_eq!(asked, Some("ws.test"));
        let chain = heard.facts.iter().find_map(|event| match event {
            Event::Certificate { chain, .. } => chain.first(),
            _ => None,
        });
        assert!(chain.is_some_and(|certificate| certificate.is_for("ws.test")));
    }
}

#[test]
fn without_keys_the_reason_is_told_once_a_side() {
    for version in [&TLS12, &TLS13] {
        let talk = talk(version, 3);
        let heard = listen(&talk, usize::MAX, &[], &[], 0);
        assert_eq!(heard.reasons(), [Undecrypted::NoKey; 2]);
        assert!(heard.client.is_empty() && heard.server.is_empty());
    }
}

#[test]
fn the_keys_of_another_connection_open_nothing() {
    let (ours, other) = (talk(&TLS13, 3), talk(&TLS13, 3));
    let random = |secret: &Secret| match secret {
        Secret::OfRandom { client_random, .. } => *client_random,
        _ => unreachable!("a browser's key log"),
    };
    let ours_random = random(&ours.secrets[0]);
    let wrong: Vec<Secret> = other
        .secrets
        .into_iter()
        .map(|secret| match secret {
            Secret::OfRandom { label, bytes, .. } => Secret::OfRandom {
                label,
                client_random: ours_random,
                bytes,
            },
            other => other,
        })
        .collect();
    let heard = listen(&ours, usize::MAX, &[], &wrong, 0);
    assert_eq!(heard.reasons(), [Undecrypted::WrongKey; 2]);
}

#[test]
fn a_lost_client_hello_is_the_reason_where_no_secret_opens_what_follows() {
    for version in [&TLS12, &TLS13] {
        let (ours, other) = (talk(version, 3), talk(version, 3));
        let heard = listen(&ours, usize::MAX, &[0], &other.secrets, 0);
        assert_eq!(heard.reasons(), [Undecrypted::NoClientHello; 2]);
        assert!(heard.client.is_empty() && heard.server.is_empty());
    }
}

#[test]
fn a_lost_client_hello_costs_nothing_where_a_secret_opens_what_follows() {
    for version in [&TLS12, &TLS13] {
        let (ours, other) = (talk(version, 3), talk(version, 3));
        let secrets = [other.secrets, ours.secrets.clone()].concat();
        for from in [0, 20] {
            let heard = listen(&ours, 900, &[0], &secrets, from);
            assert!(heard.client.concat() == ours.client_said, "{from}");
            assert!(heard.server.concat() == ours.server_said, "{from}");
            assert_eq!(heard.reasons(), []);
        }
    }
}

#[test]
fn without_the_secrets_of_its_handshake_a_lost_client_hello_costs_nothing_either() {
    let talk = talk(&TLS13, 3);
    let of_data = |secret: &&Secret| {
        use SecretLabel::{ClientTraffic, ServerTraffic};
        matches!(
            secret,
            Secret::OfRandom {
                label: ClientTraffic | ServerTraffic,
                ..
            }
        )
    };
    let some: Vec<Secret> = talk.secrets.iter().filter(of_data).cloned().collect();
    let heard = listen(&talk, 700, &[0], &some, 0);
    assert!(heard.client.concat() == talk.client_said);
    assert!(heard.server.concat() == talk.server_said);
}

/// What is heard from piece `first` on of a connection that is old by then.
fn listen_late(talk: &Talk, first: usize, secrets: &[Secret]) -> Heard {
    let pieces: usize = talk
        .wire
        .iter()
        .map(|(_, bytes)| bytes.len().div_ceil(500))
        .sum();
    let lost: Vec<usize> = (0..first.min(pieces)).collect();
    listen(talk, 500, &lost, secrets, 0)
}

#[test]
fn the_middle_of_a_connection_of_tls_1_3_is_read() {
    let mut ends = ends(&TLS13);
    ends.updates = false;
    let (talk, other) = (ends.talk(b"", 80), talk(&TLS13, 3));
    let secrets = [other.secrets.clone(), talk.secrets.clone()].concat();
    let heard = listen_late(&talk, 100, &secrets);
    assert!(heard.client.len() > 20 && heard.server.len() > 20);
    assert!(talk.client_said.ends_with(&heard.client.concat()));
    assert!(talk.server_said.ends_with(&heard.server.concat()));
    let heard = listen_late(&talk, 100, &other.secrets);
    assert_eq!(heard.reasons(), [Undecrypted::NoClientHello; 2]);
    assert!(heard.client.is_empty() && heard.server.is_empty());
}

#[test]
fn the_middle_of_a_connection_of_tls_1_2_needs_its_server_hello() {
    let talk = talk(&TLS12, 60);
    let heard = listen_late(&talk, 80, &talk.secrets);
    assert_eq!(heard.reasons(), [Undecrypted::NoClientHello; 2]);
}

#[test]
fn a_lost_server_hello_of_tls_1_3_costs_nothing_that_was_said() {
    let talk = talk(&TLS13, 6);
    let heard = listen(&talk, usize::MAX, &[1], &talk.secrets, 0);
    assert!(heard.client.concat() == talk.client_said);
    assert!(heard.server.concat() == talk.server_said);
}

#[test]
fn a_resumed_session_is_read_with_its_own_keys() {
    for version in [&TLS12, &TLS13] {
        let ends = ends(version);
        ends.talk(b"", 2);
        let talk = ends.talk(b"", 3);
        let heard = listen(&talk, 500, &[], &talk.secrets, 0);
        assert!(heard.has(|event| matches!(event, Event::ServerHello { resumed: true, .. })));
        assert!(heard.client.concat() == talk.client_said);
        assert!(heard.server.concat() == talk.server_said);
        assert_eq!((heard.reasons(), heard.gaps), (vec![], 0));
    }
}

/// A resumption with early data, which the server takes.
fn early_talk(early: &[u8]) -> Talk {
    let mut ends = ends(&TLS13);
    ends.server.max_early_data_size = 100_000;
    ends.talk(b"", 2);
    ends.talk(early, 3)
}

#[test]
fn early_data_is_read() {
    let talk = early_talk(b"early question");
    assert!(talk.client_said.starts_with(b"early question"));
    let heard = listen(&talk, 300, &[], &talk.secrets, 0);
    assert!(heard.client.concat() == talk.client_said);
    assert!(heard.server.concat() == talk.server_said);
    assert_eq!((heard.reasons(), heard.gaps), (vec![], 0));
}

#[test]
fn a_lost_server_hello_behind_early_data_costs_nothing_the_server_said() {
    let talk = early_talk(b"early question");
    // The first 127 bytes of the server's flight are its ServerHello, or most of it.
    let first = talk
        .wire
        .iter()
        .position(|(from, _)| *from == ServerToClient);
    let before: usize = talk.wire[..first.unwrap()]
        .iter()
        .map(|(_, bytes)| bytes.len().div_ceil(120))
        .sum();
    let heard = listen(&talk, 120, &[before], &talk.secrets, 0);
    assert!(heard.client.concat() == talk.client_said);
    assert!(heard.server.concat() == talk.server_said);
}

#[test]
fn data_behind_an_unanswered_offer_of_early_data_is_read() {
    let talk = early_talk(b"early question");
    let first = talk
        .wire
        .iter()
        .position(|(from, _)| *from == ServerToClient);
    let heard = listen(&talk, usize::MAX, &[first.unwrap()], &talk.secrets, 0);
    let later = talk.client_said.strip_prefix(b"early question").unwrap();
    assert!(heard.client.concat() == later);
    assert!(heard.server.concat() == talk.server_said);
    assert!(heard.gaps > 0);
}

#[test]
fn refused_early_data_is_no_gap() {
    let mut ends = ends(&TLS13);
    ends.server.max_early_data_size = 100_000;
    ends.talk(b"", 2);
    // Another process with the same tickets, which takes no early data.
    ends.server.max_early_data_size = 0;
    let talk = ends.talk(b"early question", 3);
    assert!(!talk.client_said.starts_with(b"early question"));
    let heard = listen(&talk, 300, &[], &talk.secrets, 0);
    assert!(heard.client.concat() == talk.client_said);
    assert!(heard.server.concat() == talk.server_said);
    assert_eq!((heard.reasons(), heard.gaps), (vec![], 0));
}

/// A server that takes another group than the client bets on, and for the rest is `server`.
fn with_another_group(server: &mut ServerConfig, key: &ServerConfig) {
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: vec![rustls::crypto::aws_lc_rs::kx_group::SECP384R1],
        ..rustls::crypto::aws_lc_rs::default_provider()
    };
    let mut other = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(key.cert_resolver.clone());
    other.alpn_protocols.clone_from(&key.alpn_protocols);
    other.session_storage = key.session_storage.clone();
    other.max_early_data_size = key.max_early_data_size;
    *server = other;
}

#[test]
fn a_hello_retry_request_is_followed() {
    for early in [&b""[..], b"early question"] {
        let mut ends = ends(&TLS13);
        ends.server.max_early_data_size = 100_000;
        ends.talk(b"", 2);
        let before = ends.server.clone();
        with_another_group(&mut ends.server, &before);
        let talk = ends.talk(early, 3);
        for more_may_come in [false, true] {
            let from = if more_may_come { 1 } else { 0 };
            let heard = listen(&talk, 300, &[], &talk.secrets, from);
            assert!(heard.has(|event| matches!(event, Event::HelloRetryRequest { .. })));
            assert!(heard.client.concat() == talk.client_said);
            assert!(heard.server.concat() == talk.server_said);
            assert_eq!((heard.reasons(), heard.gaps), (vec![], 0));
        }
    }
}

#[test]
fn keys_of_the_handshake_alone_wait_for_the_others() {
    let talk = talk(&TLS13, 3);
    let mut heard = Heard::default();
    let of_handshake = |secret: &&Secret| {
        use SecretLabel::{ClientHandshakeTraffic, ServerHandshakeTraffic};
        let Secret::OfRandom { label, .. } = secret else {
            return false;
        };
        matches!(label, ClientHandshakeTraffic | ServerHandshakeTraffic)
    };
    let some: Vec<Secret> = talk.secrets.iter().filter(of_handshake).cloned().collect();
    let keys = keys_of(&some, true);
    let mut connection = Connection::new(1 << 20);
    for (number, (direction, bytes)) in talk.wire.iter().enumerate() {
        let chunk = Chunk {
            direction: *direction,
            offset: 0,
            bytes,
            seen: at(number),
            released: at(number),
        };
        let event = StreamEvent::Chunk(chunk);
        connection.on_stream(&event, &keys, &mut |output| heard.take(output));
    }
    let keys = keys_of(&talk.secrets, true);
    connection.on_keys(&keys, &mut |output| heard.take(output));
    assert!(heard.client.concat() == talk.client_said);
    assert!(heard.server.concat() == talk.server_said);
}

#[test]
fn keys_without_those_of_the_handshake_miss_no_data() {
    let talk = talk(&TLS13, 3);
    let of_data = |secret: &&Secret| {
        use SecretLabel::{ClientTraffic, ServerTraffic};
        let Secret::OfRandom { label, .. } = secret else {
            return false;
        };
        matches!(label, ClientTraffic | ServerTraffic)
    };
    let some: Vec<Secret> = talk.secrets.iter().filter(of_data).cloned().collect();
    let heard = listen(&talk, 700, &[], &some, 0);
    assert!(heard.client.concat() == talk.client_said);
    assert!(heard.server.concat() == talk.server_said);
    assert_eq!((heard.reasons(), heard.gaps), (vec![], 0));
}

#[test]
fn two_key_updates_in_one_gap_are_followed() {
    let talk = talk(&TLS13, 30);
    let client: Vec<usize> = (0..talk.wire.len())
        .filter(|number| talk.wire[*number].0 == ClientToServer)
        .collect();
    let until = client.len() - 6;
    let heard = listen(
        &talk,
        usize::MAX,
        &client[until - 9..until],
        &talk.secrets,
        0,
    );
    let updates = |heard: &Heard| {
        let update = |event: &&Event| matches!(event, Event::KeyUpdate { .. });
        heard.facts.iter().filter(update).count()
    };
    let whole = listen(&talk, usize::MAX, &[], &talk.secrets, 0);
    assert!(updates(&heard) + 2 <= updates(&whole));
    let last = heard.client.last().unwrap();
    assert!(talk.client_said.ends_with(last));
    assert_eq!(heard.gaps, 1);
}

#[test]
fn many_messages_in_one_record_and_one_in_many_are_read() {
    let mut messages = super::handshake::Messages::default();
    let many = [20, 0, 0, 1, 7].repeat(3_000);
    for piece in many.chunks(7) {
        messages.push(piece);
    }
    let mut count = 0;
    while let Some((kind, message)) = messages.next() {
        assert_eq!((kind, message.as_slice()), (20, &[20, 0, 0, 1, 7][..]));
        count += 1;
    }
    assert_eq!((count, messages.held()), (3_000, 0));
}

/// Whether the pieces stand in `whole` one behind the other.
fn are_parts_in_order(pieces: &[Vec<u8>], whole: &[u8]) -> bool {
    let mut rest = whole;
    pieces.iter().all(|piece| {
        let place = rest.windows(piece.len()).position(|window| window == piece);
        place.is_some_and(|place| {
            rest = &rest[place + piece.len()..];
            true
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn how_it_was_cut_changes_nothing(old: bool, piece in 1_usize..3_000) {
        let talk = talk(if old { &TLS12 } else { &TLS13 }, 6);
        let heard = listen(&talk, piece, &[], &talk.secrets, 0);
        prop_assert!(heard.client.concat() == talk.client_said);
        prop_assert!(heard.server.concat() == talk.server_said);
    }

    #[test]
    fn when_keys_came_changes_nothing(old: bool, piece in 100_usize..3_000, from in 1_usize..60) {
        let talk = talk(if old { &TLS12 } else { &TLS13 }, 6);
        let early = listen(&talk, piece, &[], &talk.secrets, 0);
        let late = listen(&talk, piece, &[], &talk.secrets, from);
        prop_assert!(early.client == late.client);
        prop_assert!(early.server == late.server);
    }

    #[test]
    fn any_bytes_do_no_harm(
        secrets: bool,
        late: bool,
        events in proptest::collection::vec(
            (any::<bool>(), 0..8_u8, prop_oneof![
                proptest::collection::vec(any::<u8>(), 1..400),
                (20..25_u8, proptest::collection::vec(any::<u8>(), 0..300)).prop_map(|(kind, bytes)| {
                    let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                    [&[kind, 3, 3], &len[..], &bytes].concat()
                }),
            ]),
            1..60,
        ),
    ) {
        let talk = talk(&TLS13, 1);
        let keys = keys_of(if secrets { &talk.secrets } else { &[] }, late);
        let mut connection = Connection::new(4_096);
        let mut heard = Heard::default();
        let hellos = talk.wire.iter().take(2).map(|(from, bytes)| (*from, 7, bytes.clone()));
        let direction = |client| if client { ClientToServer } else { ServerToClient };
        let others = events.into_iter().map(|(client, kind, bytes)| (direction(client), kind, bytes));
        for (number, (direction, kind, bytes)) in hellos.chain(others).enumerate() {
            let at = at(number);
            let event = match kind {
                0 => StreamEvent::End(direction, at),
                1 => {
                    let len = (bytes.len() % 3 > 0).then_some(bytes.len() as u64);
                    let cause = GapCause::NotCaptured;
                    StreamEvent::Gap(Gap { direction, offset: 0, len, cause, at })
                }
                _ => StreamEvent::Chunk(Chunk {
                    direction,
                    offset: 0,
                    bytes: &bytes,
                    seen: at,
                    released: at,
                }),
            };
            connection.on_stream(&event, &keys, &mut |output| heard.take(output));
            prop_assert!(connection.buffered() < 1 << 20);
        }
        connection.finish(&mut |output| heard.take(output));
        // Nothing that nobody sealed is ever handed up.
        prop_assert!(heard.client.is_empty() && heard.server.is_empty());
    }

    #[test]
    fn a_lost_packet_costs_its_own_records(
        old: bool,
        piece in 200_usize..3_000,
        lost in proptest::collection::vec(8_usize..60, 1..4),
    ) {
        let talk = talk(if old { &TLS12 } else { &TLS13 }, 20);
        let heard = listen(&talk, piece, &lost, &talk.secrets, 0);
        prop_assert!(are_parts_in_order(&heard.client, &talk.client_said));
        prop_assert!(are_parts_in_order(&heard.server, &talk.server_said));
        // What comes last is read again, unless it was lost itself.
        let last = |pieces: &[Vec<u8>]| pieces.last().cloned().unwrap_or_default();
        let count = talk.wire.iter().map(|(_, bytes)| bytes.len().div_ceil(piece)).sum::<usize>();
        if lost.iter().all(|lost| lost + 20 < count) {
            prop_assert!(talk.client_said.ends_with(&last(&heard.client)));
            prop_assert!(talk.server_said.ends_with(&last(&heard.server)));
        }
    }
}
