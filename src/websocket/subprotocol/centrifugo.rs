//! Centrifugo's client protocol in JSON: commands and replies, one a line, many
//! a message. In Protobuf it is recognised and not read.

use std::time::Duration;

use super::detect::Hit;
use super::fact::{Contract, Fact, Fault, Heard};
use super::json::{Picked, Value, member, pick};
use super::speaker::{Out, judge};
use super::words::{Id, Word};
use crate::stream::Direction;
use crate::websocket::Opcode;

const COMMANDS: [&str; 10] = [
    "connect",
    "subscribe",
    "unsubscribe",
    "publish",
    "presence",
    "presence_stats",
    "history",
    "rpc",
    "refresh",
    "sub_refresh",
];

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    if heard.opcode != Opcode::Text {
        return out(Fact::Unread);
    }
    for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        match (line, heard.direction) {
            (b"", _) => {}
            (b"{}", Direction::ServerToClient) => out(Fact::Ping { id: None }),
            (b"{}", Direction::ClientToServer) => out(Fact::Pong { id: None }),
            (line, Direction::ClientToServer) => command(heard, line, out),
            (line, Direction::ServerToClient) => reply(heard, line, out),
        }
    }
}

fn command(heard: &Heard, line: &[u8], out: &mut Out<'_>) {
    let Picked { values, stop } = pick(line, COMMANDS);
    let named = COMMANDS
        .iter()
        .zip(values)
        .find(|(_, value)| value.is_some());
    let Some(id) = id(line) else {
        let send = member(line, "send").is_some();
        if send || !heard.whole {
            out(if send {
                Fact::Notification {
                    method: Word::of(b"send"),
                }
            } else {
                Fact::Unread
            });
        }
        return;
    };
    let (name, value) = named.map_or(("", None), |(name, value)| (*name, value));
    let object = value.and_then(Value::object).unwrap_or_default();
    let [channel, method] = pick(object, ["channel", "method"]).values;
    let target = channel.or(method).and_then(Value::text).unwrap_or_default();
    match name {
        "connect" => out(Fact::OpeningBegun),
        "subscribe" => out(Fact::Subscribe {
            name: Word::of(target),
        }),
        "unsubscribe" => out(Fact::Unsubscribed {
            name: Word::of(target),
        }),
        _ => {}
    }
    let mut method = Word::of(name.as_bytes());
    if !target.is_empty() {
        method.push(b" ");
        method.push(target);
    }
    out(Fact::Request { id, method });
    judge(heard, line, stop, out);
}

/// Commands are numbered from 1.
fn id(line: &[u8]) -> Option<Id> {
    let id = member(line, "id").filter(|id| id.count() != Some(0));
    Id::of_json(id)
}

fn reply(heard: &Heard, line: &[u8], out: &mut Out<'_>) {
    let Picked { values, stop } = pick(line, ["error", "connect", "push"]);
    let [error, connect, push] = values;
    match id(line) {
        Some(id) => {
            let fault = error.map(fault);
            match (&fault, connect.and_then(Value::object)) {
                (_, Some(connect)) => connected(connect, out),
                // The first command is to connect.
                (Some(fault), None) if fault.auth => out(Fact::Error(fault.clone())),
                _ => {}
            }
            out(Fact::Reply { id, fault });
        }
        None => pushed(push, out),
    }
    judge(heard, line, stop, out);
}

fn fault(error: Value<'_>) -> Box<Fault> {
    let mut fault = Fault::of_json(error);
    // 101 unauthorized, 103 permission denied, 109 token expired.
    fault.auth |= matches!(fault.code.bytes(), b"101" | b"103" | b"109");
    fault
}

fn connected(connect: &[u8], out: &mut Out<'_>) {
    out(Fact::OpeningAccepted);
    let ping = member(connect, "ping")
        .and_then(Value::count)
        .filter(|seconds| *seconds > 0);
    if let Some(every) = ping.map(Duration::from_secs) {
        out(Fact::Contract(Contract {
            sender: Direction::ServerToClient,
            every,
            // Rationale: clients grant 10 s more.
            deadline: every.saturating_add(Duration::from_secs(10)),
            any_message: true,
        }));
    }
}

fn pushed(push: Option<Value<'_>>, out: &mut Out<'_>) {
    let Some(push) = push.and_then(Value::object) else {
        return;
    };
    let [channel, disconnect] = pick(push, ["channel", "disconnect"]).values;
    match (disconnect, channel.and_then(Value::text)) {
        (Some(disconnect), _) => out(Fact::Error(fault(disconnect))),
        (None, channel) => out(Fact::Push {
            name: Word::of(channel.unwrap_or_default()),
        }),
    }
}

pub(super) fn sniff(direction: Direction, bytes: &[u8]) -> Hit {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let [id, connect] = pick(line, ["id", "connect"]).values;
    match (id.and_then(Value::count), connect.and_then(Value::object)) {
        (Some(1..), Some(connect)) => match (direction, member(connect, "client")) {
            (Direction::ServerToClient, Some(_)) => Hit::Unique,
            _ => Hit::Hint,
        },
        _ => Hit::No,
    }
}
