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
            certain: true,
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
    let bare = |talk: &Talk| -> Vec<String> {
        let told = talk.told();
        told.iter()
            .map(|told| told.split_once(' ').map_or("", |(_, fact)| fact).to_owned())
            .collect()
    };
    assert_eq!(bare(&talk), expected);
    let mut bytewise = Talk::new(Some("mqtt"), None).binary();
    for byte in MQTT_CLIENT {
        bytewise = bytewise.client([*byte]);
    }
    for byte in MQTT_SERVER {
        bytewise = bytewise.server([*byte]);
    }
    assert_eq!(bare(&bytewise), expected);
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
fn mqtt_behind_a_loss_before_it_was_recognised_is_not_guessed_at() {
    let mut talk = Talk::unknown().binary();
    talk.listeners.server.on_lost();
    // What looks like a refusal may be the middle of another packet.
    let talk = talk.server(b"\x20\x02\x00\x05");
    let talk = talk.client(b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0");
    let told = talk.told();
    assert!(told.iter().any(|fact| fact == "1 unread"), "{told:?}");
    assert!(
        !told.iter().any(|fact| fact.contains("refused")),
        "{told:?}"
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

const NEGOTIATED: [Option<&str>; 11] = [
    Some("wamp.2.json"),
    Some("ocpp1.6"),
    Some("centrifuge-json"),
    Some("actioncable-v1-json"),
    Some("v1.kernel.websocket.jupyter.org"),
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

/// What is told, without what each listener says when it begins.
fn facts(talk: &Talk) -> Vec<String> {
    let begins = |told: &String| told.split(' ').nth(1) == Some("is");
    let told = talk.told().into_iter();
    told.filter(|told| !begins(told)).collect()
}

#[test]
fn signalr_completions_answer_their_invocations() {
    let talk = Talk::unknown()
        .client("{\"protocol\":\"json\",\"version\":1}\u{1e}")
        .server("{}\u{1e}{\"type\":6}\u{1e}")
        .client("{\"type\":1,\"invocationId\":\"3\",\"target\":\"Send\",\"arguments\":[1]}\u{1e}")
        .server("{\"type\":1,\"target\":\"News\",\"arguments\":[]}\u{1e}")
        .server("{\"type\":3,\"invocationId\":\"3\",\"error\":\"No such hub\"}\u{1e}")
        .server("{\"type\":7,\"error\":\"Connection closed with an error.\"}\u{1e}");
    assert_eq!(talk.protocol(), Some((Protocol::SignalR, Source::Sniffed)));
    let expected = [
        "1 begins",
        "2 accepted",
        "2 beat",
        "3 request 3 Send",
        "4 notification News",
        "5 reply 3 failed:  \"No such hub\"",
        "6 error:  \"Connection closed with an error.\"",
    ];
    assert_eq!(facts(&talk), expected);
}

#[test]
fn signalr_in_messagepack_is_read_too() {
    let talk = Talk::unknown()
        .client("{\"protocol\":\"messagepack\",\"version\":1}\u{1e}")
        .binary()
        .client(b"\x0b\x95\x01\x80\xa13\xa4Send\x90\x02\x91\x06")
        .server(b"\x0a\x95\x03\x80\xa13\x01\xa3bad");
    let expected = [
        "1 begins",
        "2 request 3 Send",
        "2 beat",
        "3 reply 3 failed:  \"bad\"",
    ];
    assert_eq!(facts(&talk), expected);
}

#[test]
fn wamp_errors_name_the_type_of_their_request() {
    let talk = Talk::new(Some("wamp.2.json"), None)
        .client(r#"[1,"realm1",{"roles":{}}]"#)
        .server(r#"[2,9129137332,{"roles":{}}]"#)
        .client(r#"[48,7814135,{},"com.app.add",[2,3]]"#)
        .client(r#"[32,7814135,{},"com.app.topic"]"#)
        .client(r#"[16,239714735,{},"com.app.topic"]"#)
        .server(r#"[33,7814135,5512315355]"#)
        .server(r#"[8,48,7814135,{},"wamp.error.not_authorized",["no right"]]"#)
        .server(r#"[36,5512315355,4429313566,{}]"#)
        .server(r#"[3,{},"wamp.error.no_such_realm"]"#);
    let expected = [
        "1 begins",
        "2 accepted",
        "3 request 7814135 CALL com.app.add",
        "4 request 7814135 SUBSCRIBE com.app.topic",
        "4 subscribe com.app.topic",
        "5 notification com.app.topic",
        "6 reply 7814135",
        "7 reply 7814135 failed: wamp.error.not_authorized \"no right\" (auth)",
        "8 push 5512315355",
        "9 refused: wamp.error.no_such_realm \"\"",
    ];
    assert_eq!(facts(&talk), expected);
}

#[test]
fn ocpp_calls_of_both_sides_are_answered() {
    let talk = Talk::new(Some("ocpp1.6"), None)
        .client(r#"[2,"19223201","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]"#)
        .server(r#"[3,"19223201",{"status":"Accepted","interval":300,"currentTime":"2026-01-01T00:00:00Z"}]"#)
        .server(r#"[2,"a1","Reset",{"type":"Soft"}]"#)
        .client(r#"[4,"a1","NotSupported","no reset",{}]"#)
        .client(r#"[2,"19223202","Heartbeat",{}]"#)
        .server(r#"[3,"19223202",{"currentTime":"2026-01-01T00:05:00Z"}]"#);
    let expected = [
        "1 begins",
        "1 request 19223201 BootNotification",
        "2 reply 19223201",
        "2 accepted",
        "2 client every 300s, at most 300s",
        "3 request a1 Reset",
        "4 reply a1 failed: NotSupported \"no reset\"",
        "5 ping 19223202",
        "6 pong 19223202",
    ];
    assert_eq!(facts(&talk), expected);
}

#[test]
fn a_charge_point_that_is_not_accepted_is_refused() {
    let talk = Talk::new(Some("ocpp2.0.1"), None)
        .client(r#"[2,"1","BootNotification",{"chargingStation":{}}]"#)
        .server(
            r#"[3,"1",{"status":"Pending","interval":30,"currentTime":"2026-01-01T00:00:00Z"}]"#,
        );
    assert_eq!(
        facts(&talk).last().map(String::as_str),
        Some("2 refused: Pending \"\"")
    );
}

#[test]
fn phoenix_replies_name_reference_and_topic() {
    let talk = Talk::new(None, Some("/socket/websocket?vsn=2.0.0"))
        .client(r#"["1","2","room:a","phx_join",{}]"#)
        .server(r#"["1","2","room:a","phx_reply",{"status":"ok","response":{}}]"#)
        .client(r#"[null,"3","phoenix","heartbeat",{}]"#)
        .server(r#"[null,"3","phoenix","phx_reply",{"status":"ok","response":{}}]"#)
        .client(r#"["1","4","room:a","shout",{}]"#)
        .server(r#"["1","4","room:a","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]"#)
        .server(r#"["1",null,"room:a","news",{}]"#);
    let expected = [
        "1 subscribe room:a",
        "1 request 2 room:a phx_join room:a",
        "2 reply 2 room:a",
        "3 ping 3 phoenix",
        "4 pong 3 phoenix",
        "5 request 4 room:a shout room:a",
        "6 reply 4 room:a failed:  \"unauthorized\" (auth)",
        "7 push room:a",
    ];
    assert_eq!(facts(&talk), expected);
}

#[test]
fn phoenix_objects_of_version_1_are_told_by_their_events() {
    let talk = Talk::unknown()
        .client(r#"{"topic":"room:a","event":"phx_join","payload":{},"ref":"1"}"#)
        .server(r#"{"topic":"room:a","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}"#);
    assert_eq!(
        facts(&talk).last().map(String::as_str),
        Some("2 reply 1 room:a")
    );
}

#[test]
fn centrifugo_has_many_commands_in_a_message() {
    let talk = Talk::new(None, Some("/connection/websocket"))
        .client("{\"id\":1,\"connect\":{\"token\":\"t\"}}\n{\"id\":2,\"subscribe\":{\"channel\":\"news\"}}")
        .server("{\"id\":1,\"connect\":{\"client\":\"c\",\"version\":\"5\",\"ping\":25,\"pong\":true}}")
        .server("{\"id\":2,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n{}")
        .client("{}")
        .server("{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":{}}}}");
    let expected = [
        "1 begins",
        "1 request 1 connect",
        "1 subscribe news",
        "1 request 2 subscribe news",
        "2 accepted",
        "2 server every 25s, at most 35s",
        "2 reply 1",
        "3 error: 103 \"permission denied\" (auth)",
        "3 reply 2 failed: 103 \"permission denied\" (auth)",
        "3 ping",
        "4 pong",
        "5 push news",
    ];
    assert_eq!(facts(&talk), expected);
}

#[test]
fn action_cable_confirms_by_identifier() {
    let talk = Talk::new(Some("actioncable-v1-json"), None)
        .server(r#"{"type":"welcome"}"#)
        .client(r#"{"command":"subscribe","identifier":"{\"channel\":\"Chat\"}"}"#)
        .server(r#"{"type":"ping","message":1700000000}"#)
        .server(r#"{"identifier":"{\"channel\":\"Chat\"}","type":"confirm_subscription"}"#)
        .server(r#"{"identifier":"{\"channel\":\"Chat\"}","message":{"a":1}}"#)
        .server(r#"{"type":"disconnect","reason":"unauthorized","reconnect":false}"#);
    let identifier = r#"{\"channel\":\"Chat\"}"#;
    let expected = [
        "1 accepted".to_owned(),
        format!("2 request {identifier} subscribe"),
        format!("2 subscribe {identifier}"),
        "3 beat".to_owned(),
        format!("4 reply {identifier}"),
        format!("4 subscribed {identifier}"),
        format!("5 push {identifier}"),
        "6 error: unauthorized \"\" (auth)".to_owned(),
    ];
    assert_eq!(facts(&talk), expected);
}

#[test]
fn pusher_data_may_be_an_object_in_a_string() {
    let talk = Talk::new(None, Some("/app/key?protocol=7&client=js&version=8"))
        .server(r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":120}"}"#)
        .client(r#"{"event":"pusher:subscribe","data":{"auth":"","channel":"c"}}"#)
        .server(r#"{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"c"}"#)
        .client(r#"{"event":"pusher:ping","data":{}}"#)
        .server(r#"{"event":"pusher:pong","data":"{}"}"#)
        .server(r#"{"event":"pusher:error","data":{"code":4009,"message":"Connection not authorized"}}"#);
    let expected = [
        "1 accepted",
        "1 server every 120s, at most 150s",
        "2 request c pusher:subscribe",
        "2 subscribe c",
        "3 reply c",
        "3 subscribed c",
        "4 ping",
        "5 pong",
        "6 error: 4009 \"Connection not authorized\" (auth)",
    ];
    assert_eq!(facts(&talk), expected);
}

#[test]
fn sockjs_is_unwrapped() {
    let talk = Talk::new(None, Some("/stomp/042/abcdefgh/websocket"))
        .server("o")
        .client(r#"["CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\u0000"]"#)
        .server(r#"a["CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\u0000"]"#)
        .client(r#"["SEND\nreceipt:7\ndestination:/q\n\nx\u0000"]"#)
        .server(r#"a["RECEIPT\nreceipt-id:7\n\n\u0000"]"#)
        .server("h")
        .server(r#"c[2010,"Another connection still open"]"#);
    assert_eq!(
        talk.protocol().map(|(protocol, _)| protocol),
        Some(Protocol::Stomp)
    );
    let told = facts(&talk);
    for expected in [
        "1 accepted",
        "2 begins",
        "3 accepted",
        "4 request 7 SEND /q",
        "5 reply 7",
        "6 beat",
        "7 error: 2010 \"Another connection still open\"",
    ] {
        assert!(
            told.iter().any(|told| told == expected),
            "{expected}: {told:?}"
        );
    }
}

#[test]
fn ddp_methods_and_subscriptions_are_numbered_apart() {
    let talk = Talk::unknown()
        .client(r#"{"msg":"connect","version":"1","support":["1"]}"#)
        .server(r#"{"msg":"connected","session":"s"}"#)
        .client(r#"{"msg":"sub","id":"1","name":"tasks","params":[]}"#)
        .client(r#"{"msg":"method","id":"1","method":"add","params":[]}"#)
        .server(r#"{"msg":"added","collection":"tasks","id":"x","fields":{}}"#)
        .server(r#"{"msg":"ready","subs":["1"]}"#)
        .server(r#"{"msg":"result","id":"1","error":{"error":403,"reason":"Access denied"}}"#)
        .server(r#"{"msg":"ping"}"#)
        .client(r#"{"msg":"pong"}"#);
    let expected = [
        "1 begins",
        "2 accepted",
        "3 request 1 sub tasks",
        "3 subscribe 1",
        "4 request 1 add",
        "5 push tasks",
        "6 reply 1",
        "6 subscribed 1",
        "7 reply 1 failed:  \"Access denied\" (auth)",
        "8 ping",
        "9 pong",
    ];
    assert_eq!(facts(&talk), expected);
}

#[test]
fn home_assistant_commands_have_results_and_events() {
    let talk = Talk::unknown()
        .server(r#"{"type":"auth_required","ha_version":"2026.1.0"}"#)
        .client(r#"{"type":"auth","access_token":"x"}"#)
        .server(r#"{"type":"auth_ok","ha_version":"2026.1.0"}"#)
        .client(r#"{"id":18,"type":"subscribe_events","event_type":"state_changed"}"#)
        .server(r#"[{"id":18,"type":"result","success":true,"result":null},{"id":18,"type":"event","event":{}}]"#)
        .client(r#"{"id":19,"type":"ping"}"#)
        .server(r#"{"id":19,"type":"pong"}"#)
        .client(r#"{"id":20,"type":"call_service"}"#)
        .server(r#"{"id":20,"type":"result","success":false,"error":{"code":"not_found","message":"Service not found"}}"#);
    let expected = [
        "2 begins",
        "3 accepted",
        "4 subscribe 18",
        "4 request 18 subscribe_events",
        "5 reply 18",
        "5 push 18",
        "6 ping 19",
        "7 pong 19",
        "8 request 20 call_service",
        "9 reply 20 failed: not_found \"Service not found\"",
    ];
    assert_eq!(facts(&talk), expected);
}

/// A message in the binary form of Jupyter's first protocol version.
fn jupyter(parts: [&str; 5]) -> Vec<u8> {
    let mut offset = 8 * (parts.len() as u64 + 2);
    let mut words = vec![parts.len() as u64 + 1, offset];
    for part in parts {
        offset += part.len() as u64;
        words.push(offset);
    }
    let mut message: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    message.extend(parts.concat().bytes());
    message
}

#[test]
fn jupyter_replies_name_their_parents() {
    let talk = Talk::unknown()
        .client(r#"{"header":{"msg_id":"m1","msg_type":"execute_request"},"parent_header":{},"metadata":{},"content":{},"channel":"shell"}"#)
        .server(r#"{"header":{"msg_id":"k1","msg_type":"status"},"parent_header":{"msg_id":"m1"},"content":{},"channel":"iopub"}"#)
        .server(r#"{"header":{"msg_id":"k2","msg_type":"execute_reply"},"parent_header":{"msg_id":"m1"},"content":{"status":"error","ename":"NameError","evalue":"name 'x' is not defined"},"channel":"shell"}"#);
    let expected = [
        "1 request m1 execute_request",
        "2 push status",
        "3 reply m1 failed: NameError \"name 'x' is not defined\"",
    ];
    assert_eq!(facts(&talk), expected);
    let packed = Talk::new(Some("v1.kernel.websocket.jupyter.org"), None)
        .binary()
        .client(jupyter([
            "shell",
            r#"{"msg_id":"m1","msg_type":"execute_request"}"#,
            "{}",
            "{}",
            "{}",
        ]))
        .server(jupyter([
            "shell",
            r#"{"msg_id":"k2","msg_type":"execute_reply"}"#,
            r#"{"msg_id":"m1"}"#,
            "{}",
            r#"{"status":"ok"}"#,
        ]));
    assert_eq!(
        facts(&packed),
        ["1 request m1 execute_request", "2 reply m1"]
    );
}

#[test]
fn nats_requests_are_answered_at_their_inbox() {
    let talk = Talk::unknown()
        .server("INFO {\"server_id\":\"N\",\"max_payload\":1048576}\r\n")
        .client("CONNECT {\"verbose\":false}\r\nPING\r\n")
        .server("PONG\r\n")
        .client("SUB _INBOX.a.* 1\r\nPUB time.now _INBOX.a.1 6\r\nPING\r\n")
        .client("\r\nPUB log 0\r\n\r\n")
        .server(
            "MSG _INBOX.a.1 1 2\r\nhi\r\nMSG news 2 0\r\n\r\n-ERR 'Authorization Violation'\r\n",
        );
    let expected = [
        "1 accepted",
        "2 begins",
        "2 ping",
        "3 pong",
        "4 subscribe _INBOX.a.*",
        "4 request _INBOX.a.1 time.now",
        "5 notification log",
        "6 reply _INBOX.a.1",
        "6 push news",
        "6 error:  \"Authorization Violation\" (auth)",
    ];
    assert_eq!(facts(&talk), expected);
}
