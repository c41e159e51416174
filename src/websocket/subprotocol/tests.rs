//! Protocols as they are on the wire: messages in, what they say out.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::stream::Direction::{self, ClientToServer, ServerToClient};
use crate::stream::{PacketRef, Sides};
use crate::time::Timestamp;
use crate::websocket::{Event, Opcode};

/// Both sides of a session, and all that was understood of it.
pub(super) struct Talk {
    listeners: Sides<Listener>,
    detection: Option<Detection>,
    now: i64,
    opcode: Opcode,
    pub(super) said: Vec<Said>,
}

impl Talk {
    /// A session with this subprotocol and target.
    pub(super) fn new(subprotocol: Option<&str>, target: Option<&str>) -> Self {
        let hint = Hint::of(subprotocol, target);
        Self {
            listeners: Sides::from_fn(|_| hint.listener()),
            detection: (hint == Hint::None).then(Detection::default),
            now: 0,
            opcode: Opcode::Text,
            said: Vec::new(),
        }
    }

    /// A session of which the handshake tells nothing.
    pub(super) fn unknown() -> Self {
        Self::new(None, Some("/ws"))
    }

    pub(super) fn binary(mut self) -> Self {
        self.opcode = Opcode::Binary;
        self
    }

    pub(super) fn client(self, message: impl AsRef<[u8]>) -> Self {
        self.message(ClientToServer, message.as_ref())
    }

    pub(super) fn server(self, message: impl AsRef<[u8]>) -> Self {
        self.message(ServerToClient, message.as_ref())
    }

    /// One packet each 10 ms.
    fn message(mut self, direction: Direction, message: &[u8]) -> Self {
        self.now += 10;
        let at = PacketRef {
            time: Timestamp::from_nanos(self.now * 1_000_000),
            number: u64::try_from(self.now / 10).unwrap_or(0),
            ..PacketRef::default()
        };
        let listener = &mut self.listeners[direction];
        let kept = message.get(..listener.room()).unwrap_or(message);
        let heard = Heard {
            direction,
            opcode: self.opcode,
            first: at,
            last: at,
            begun: at,
            available: at,
            end: 0,
            whole: kept.len() == message.len(),
        };
        let said = &mut self.said;
        listener.on_message(&heard, kept, &mut |event| keep(said, event));
        self.detect(false)
    }

    fn detect(mut self, ended: bool) -> Self {
        let said = &mut self.said;
        let Sides { client, server } = &mut self.listeners;
        if let Some(detection) = &mut self.detection
            && !detection.judge(Sides { client, server }, ended, &mut |event| {
                keep(said, event)
            })
        {
            self.detection = None;
        }
        self
    }

    /// Nothing more comes.
    pub(super) fn end(self) -> Self {
        self.detect(true)
    }

    /// What was understood: the packet, and the fact in short.
    pub(super) fn told(&self) -> Vec<String> {
        self.said
            .iter()
            .map(|said| format!("{} {}", said.heard.first.number, short(&said.fact)))
            .collect()
    }

    pub(super) fn protocol(&self) -> Option<(Protocol, Source)> {
        self.said.iter().rev().find_map(|said| match said.fact {
            Fact::Recognised { protocol, source } => Some((protocol, source)),
            _ => None,
        })
    }
}

fn keep(said: &mut Vec<Said>, event: Event) {
    if let Event::Said(one) = event {
        said.push(one);
    }
}

fn short(fact: &Fact) -> String {
    let failed = |fault: &Fault| {
        let auth = if fault.auth { " (auth)" } else { "" };
        format!("{} {:?}{auth}", fault.code.text(), fault.text)
    };
    let id_of = |id: &Option<Id>| id.map_or(String::new(), |id| format!(" {}", id.text()));
    match fact {
        Fact::Recognised { protocol, source } => {
            format!("is {} ({})", protocol.name(), source.name())
        }
        Fact::OpeningBegun => "begins".to_owned(),
        Fact::OpeningAccepted => "accepted".to_owned(),
        Fact::OpeningRefused(fault) => format!("refused: {}", failed(fault)),
        Fact::Request { id, method } => format!("request {} {}", id.text(), method.text()),
        Fact::Reply { id, fault: None } => format!("reply {}", id.text()),
        Fact::Reply {
            id,
            fault: Some(fault),
        } => format!("reply {} failed: {}", id.text(), failed(fault)),
        Fact::Cancelled { id } => format!("cancelled {}", id.text()),
        Fact::Notification { method } => format!("notification {}", method.text()),
        Fact::Error(fault) => format!("error: {}", failed(fault)),
        Fact::Ping { id } => format!("ping{}", id_of(id)),
        Fact::Pong { id } => format!("pong{}", id_of(id)),
        Fact::Beat => "beat".to_owned(),
        Fact::Contract(contract) => format!(
            "{} every {:?}, at most {:?}",
            contract.sender.sender(),
            contract.every,
            contract.deadline
        ),
        Fact::HeartbeatOffer { sends, wants } => format!("sends {sends:?}, wants {wants:?}"),
        Fact::Subscribe { name } => format!("subscribe {}", name.text()),
        Fact::Subscribed { name } => format!("subscribed {}", name.text()),
        Fact::Unsubscribed { name } => format!("unsubscribed {}", name.text()),
        Fact::Push { name } => format!("push {}", name.text()),
        Fact::Unread => "unread".to_owned(),
        Fact::Malformed { offset } => format!("no JSON from {offset}"),
    }
}

#[test]
fn json_rpc_is_told_by_its_version_member() {
    let talk = Talk::unknown()
        .client(r#"{"jsonrpc":"2.0","id":7,"method":"eth_call","params":[]}"#)
        .client(r#"[{"jsonrpc":"2.0","id":"a","method":"x"},{"jsonrpc":"2.0","method":"note"}]"#)
        .server(r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"Method not found"}}"#)
        .server(r#"[{"jsonrpc":"2.0","id":"a","result":null}]"#)
        .server(r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{}}}"#);
    let expected = [
        "1 is jsonrpc (sniffed)",
        "1 request 7 eth_call",
        "2 request a x",
        "2 notification note",
        "3 is jsonrpc (sniffed)",
        "3 reply 7 failed: -32601 \"Method not found\"",
        "4 reply a",
        "5 push 0x1",
    ];
    assert_eq!(talk.told(), expected);
}

#[test]
fn requests_alone_make_no_json_rpc_without_a_version() {
    let asked = |talk: Talk, id| talk.client(format!(r#"{{"id":{id},"method":"GET"}}"#));
    let talk = (0..19).fold(Talk::unknown(), asked);
    assert_eq!(talk.protocol(), None);
    let talk = talk.server(r#"{"id":0,"result":{}}"#);
    assert_eq!(talk.protocol(), Some((Protocol::JsonRpc, Source::Sniffed)));
    // What was said before is told too.
    assert_eq!(
        talk.told()
            .iter()
            .filter(|told| told.contains("request"))
            .count(),
        19
    );
}

#[test]
fn a_reply_whose_id_is_out_of_sight_is_not_guessed() {
    let long = "x".repeat(20_000);
    let talk = Talk::new(Some("jsonrpc"), None)
        .client(r#"{"id":1,"method":"m"}"#)
        .server(format!(r#"{{"result":"{long}","id":1}}"#));
    assert_eq!(talk.told().last().map(String::as_str), Some("2 unread"));
}

#[test]
fn graphql_operations_are_answered_by_their_first_result() {
    let talk = Talk::new(Some("graphql-transport-ws"), None)
        .client(r#"{"type":"connection_init","payload":{"token":"t"}}"#)
        .server(r#"{"type":"connection_ack"}"#)
        .client(r#"{"id":"u1","type":"subscribe","payload":{"query":"subscription OnTick($n: Int) { tick }"}}"#)
        .server(r#"{"id":"u1","type":"next","payload":{"data":{"tick":1}}}"#)
        .server(r#"{"id":"u1","type":"next","payload":{"errors":[{"message":"Not authorized"}]}}"#)
        .client(r#"{"type":"ping"}"#)
        .server(r#"{"type":"pong"}"#)
        .client(r#"{"id":"u1","type":"complete"}"#);
    let expected = [
        "1 is graphql-transport-ws (negotiated)",
        "1 begins",
        "2 is graphql-transport-ws (negotiated)",
        "2 accepted",
        "3 request u1 subscription OnTick",
        "4 reply u1",
        "5 reply u1 failed:  \"Not authorized\" (auth)",
        "6 ping",
        "7 pong",
        "8 cancelled u1",
    ];
    assert_eq!(talk.told(), expected);
}

#[test]
fn the_older_graphql_protocol_is_told_apart_by_its_words() {
    let talk = Talk::unknown()
        .client(r#"{"type":"connection_init","payload":{}}"#)
        .server(r#"{"type":"connection_ack","payload":{"connectionTimeoutMs":300000}}"#)
        .server(r#"{"type":"ka"}"#);
    // Both protocols have the first two.
    assert_eq!(
        talk.protocol().map(|(protocol, _)| protocol),
        Some(Protocol::GraphqlTransportWs)
    );
    let talk = Talk::new(Some("graphql-ws"), None)
        .client(r#"{"id":"1","type":"start","payload":{"query":"{ a }"}}"#)
        .server(r#"{"type":"connection_ack","payload":{"connectionTimeoutMs":300000}}"#)
        .server(r#"{"type":"ka"}"#)
        .server(r#"{"id":"1","type":"data","payload":{"data":{}}}"#);
    let told = talk.told();
    assert!(told.contains(&"1 request 1 query".to_owned()), "{told:?}");
    assert!(
        told.contains(&"2 server every 300s, at most 300s".to_owned()),
        "{told:?}"
    );
    assert!(told.contains(&"3 beat".to_owned()) && told.contains(&"4 reply 1".to_owned()));
}

#[test]
fn socket_io_acknowledgments_answer_their_events() {
    let talk = Talk::new(None, Some("/socket.io/?EIO=4&transport=websocket"))
        .server(r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#)
        .client(r#"40/chat,{"token":"123"}"#)
        .server(r#"40/chat,{"sid":"y"}"#)
        .client(r#"42/chat,13["save",{"a":1}]"#)
        .server("2")
        .client("3")
        .server(r#"43/chat,13["ok"]"#)
        .server(r#"42/chat,["news",1]"#)
        .server(r#"44/admin,{"message":"Not authorized"}"#);
    let expected = [
        "1 is socket.io (url)",
        "1 server every 25s, at most 45s",
        "2 is socket.io (url)",
        "2 begins",
        "3 accepted",
        "4 request /chat 13 save",
        "5 ping",
        "6 pong",
        "7 reply /chat 13",
        "8 push news",
        "9 refused:  \"Not authorized\" (auth)",
    ];
    assert_eq!(talk.told(), expected);
}

#[test]
fn in_engine_io_3_the_client_pings() {
    let talk = Talk::new(None, Some("/engine.io/?EIO=3&transport=websocket"))
        .server(r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":5000}"#)
        .client("2")
        .server("3")
        .server("40");
    let expected = [
        "1 is engine.io (url)",
        "1 accepted",
        "1 client every 25s, at most 30s",
        "2 is engine.io (url)",
        "2 ping",
        "3 pong",
        "4 is socket.io (sniffed)",
        "4 accepted",
    ];
    assert_eq!(talk.told(), expected);
}

#[test]
fn stomp_receipts_answer_what_asked_for_them() {
    let talk = Talk::unknown()
        .client("CONNECT\naccept-version:1.2\nheart-beat:10000,20000\n\n\0")
        .server("CONNECTED\nversion:1.2\nheart-beat:5000,30000\n\n\0")
        .client("SUBSCRIBE\nid:0\ndestination:/topic/a\n\n\0")
        .client("SEND\r\nreceipt:77\r\ndestination:/queue/q\r\n\r\nbody\0\n")
        .server("\n")
        .server("RECEIPT\nreceipt-id:77\n\n\0")
        .server("MESSAGE\nsubscription:0\nmessage-id:1\n\nreceipt-id:77\0")
        .server("ERROR\nmessage:Access denied\n\n\0");
    let expected = [
        "1 is stomp (sniffed)",
        "1 begins",
        "1 sends 10s, wants 20s",
        "2 is stomp (sniffed)",
        "2 accepted",
        "2 sends 5s, wants 30s",
        "3 subscribe 0",
        "4 request 77 SEND /queue/q",
        "5 beat",
        "6 reply 77",
        "7 push 0",
        "8 error:  \"Access denied\" (auth)",
    ];
    assert_eq!(talk.told(), expected);
}

/// What an MQTT client and its broker say, each as one stream of bytes.
const MQTT_CLIENT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a\
    \x82\x06\x00\x01\x00\x01t\x01\
    \x32\x06\x00\x01t\x00\x02x\
    \xc0\x00";
const MQTT_SERVER: &[u8] = b"\x20\x02\x00\x00\x90\x03\x00\x01\x80\x40\x02\x00\x02\xd0\x00";

const MQTT_TOLD: [&str; 13] = [
    "is mqtt (negotiated)",
    "begins",
    "client every 60s, at most 90s",
    "request 1 SUBSCRIBE",
    "subscribe t",
    "request 2 PUBLISH t",
    "ping",
    "is mqtt (negotiated)",
    "accepted",
    "reply 1 failed: 0x80 \"\"",
    "reply 2",
    "pong",
    "",
];

#[test]
fn mqtt_packets_are_a_stream_whatever_messages_carry_them() {
    let talk = Talk::new(Some("mqtt"), None)
        .binary()
        .client(MQTT_CLIENT)
        .server(MQTT_SERVER);
    let expected = &MQTT_TOLD[..12];
    let facts = |talk: &Talk| -> Vec<String> {
        let told = talk.told();
        told.iter()
            .map(|told| told.split_once(' ').map_or("", |(_, fact)| fact).to_owned())
            .collect()
    };
    assert_eq!(facts(&talk), expected);
    let mut bytewise = Talk::new(Some("mqtt"), None).binary();
    for byte in MQTT_CLIENT {
        bytewise = bytewise.client([*byte]);
    }
    for byte in MQTT_SERVER {
        bytewise = bytewise.server([*byte]);
    }
    assert_eq!(facts(&bytewise), expected);
}

#[test]
fn mqtt_after_a_lost_message_is_not_guessed_at() {
    let mut talk = Talk::new(Some("mqtt"), None).binary().client(b"\xc0\x00");
    talk.listeners.client.on_lost();
    let talk = talk.client(b"\xc0\x00");
    assert_eq!(
        talk.told(),
        ["1 is mqtt (negotiated)", "1 ping", "2 unread"]
    );
}

#[test]
fn an_id_that_comes_back_twenty_times_is_a_request_id() {
    let asked = |talk: Talk, id| {
        talk.client(format!(r#"{{"action":"get","req_id":{id}}}"#))
            .server(format!(r#"{{"ok":true,"meta":{{"ref":{id}}}}}"#))
            .server(r#"{"push":1}"#)
    };
    let talk = (0..21).fold(Talk::unknown(), asked).end();
    assert_eq!(talk.protocol(), Some((Protocol::Generic, Source::Sniffed)));
    let told = talk.told();
    let count = |word: &str| told.iter().filter(|told| told.contains(word)).count();
    assert_eq!((count("request"), count("reply")), (21, 21));
}

#[test]
fn numbers_that_both_sides_happen_to_use_are_no_request_ids() {
    // Each side counts for itself, so the server's numbers come before the client's.
    let counted = |talk: Talk, id| {
        talk.server(format!(r#"{{"seq":{id},"price":1}}"#))
            .server(format!(r#"{{"seq":{},"price":1}}"#, id + 100))
            .client(format!(r#"{{"seq":{id},"key":"up"}}"#))
    };
    let talk = (0..30).fold(Talk::unknown(), counted).end();
    assert_eq!(talk.protocol(), None);
}

#[test]
fn words_that_are_pings_are_a_heartbeat() {
    let talk = Talk::unknown()
        .client(r#"{"type":"heartbeat","seq":1}"#)
        .server(r#"{"type":"heartbeat_ack","seq":1}"#)
        .end();
    let expected = [
        "1 is generic (sniffed)",
        "1 ping 1",
        "2 is generic (sniffed)",
        "2 pong 1",
    ];
    assert_eq!(talk.told(), expected);
}

#[test]
fn what_says_nothing_known_is_not_listened_to_for_long() {
    let talk = (0..64).fold(Talk::unknown(), |talk, _| talk.server(r#"{"price":1}"#));
    assert!(talk.detection.is_none());
    assert_eq!(
        (talk.listeners.client.room(), talk.listeners.server.room()),
        (0, 0)
    );
    assert_eq!(talk.listeners.server.buffered(), 0);
}

const NEGOTIATED: [Option<&str>; 6] = [
    None,
    Some("jsonrpc"),
    Some("graphql-ws"),
    Some("graphql-transport-ws"),
    Some("v12.stomp"),
    Some("mqtt"),
];

proptest! {
    #[test]
    fn no_message_panics(
        which in 0..NEGOTIATED.len(),
        messages in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..30),
        text in r#"[\[\]{}",:0-9a-z.\\\n -]{0,60}"#,
    ) {
        let talk = Talk::new(NEGOTIATED[which], Some("/socket.io/?EIO=4"));
        let talk = messages.iter().fold(talk.binary(), |talk, (client, message)| match client {
            true => talk.client(message),
            false => talk.server(message),
        });
        let mut talk = talk;
        talk.opcode = Opcode::Text;
        talk.client(&text).server(&text).end();
    }
}

#[test]
fn durations_of_contracts_do_not_overflow() {
    let talk = Talk::new(None, Some("/socket.io/?EIO=4&transport=websocket")).server(format!(
        r#"0{{"sid":"x","pingInterval":{0},"pingTimeout":{0}}}"#,
        u64::MAX
    ));
    assert!(talk.said.iter().any(|said| matches!(
        &said.fact,
        Fact::Contract(contract) if contract.deadline > Duration::from_secs(1)
    )));
}
