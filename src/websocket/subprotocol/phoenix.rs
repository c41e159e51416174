//! Phoenix channels: `[join_ref, ref, topic, event, payload]` in version 2 of the
//! serializer, an object with these members in version 1.

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::json::{Stop, Value, elements, first, member, pick};
use super::speaker::{Out, judge};
use super::words::{Id, Space, Word};
use crate::stream::Direction;
use crate::websocket::Opcode;

/// A message of either version.
struct Push<'a> {
    reference: Option<Value<'a>>,
    topic: &'a [u8],
    event: &'a [u8],
    payload: Option<Value<'a>>,
}

impl<'a> Push<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (reference, topic, event, payload) = match bytes.trim_ascii_start().first()? {
            b'[' => {
                let [_, reference, topic, event, payload] = first::<5>(bytes);
                (reference, topic, event, payload)
            }
            _ => {
                let names = ["ref", "topic", "event", "payload"];
                let [reference, topic, event, payload] = pick(bytes, names).values;
                (reference, topic, event, payload)
            }
        };
        Some(Self {
            reference,
            topic: topic?.text()?,
            event: event?.text()?,
            payload,
        })
    }

    /// References are numbered for the whole socket; the topic comes back with them.
    fn id(&self) -> Option<Id> {
        let reference = self.reference?.plain()?;
        Some(Id::of(Space::Kind(0), &[reference.as_bytes(), self.topic]))
    }
}

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    if heard.opcode != Opcode::Text {
        return;
    }
    match Push::read(bytes) {
        Some(push) => say(heard, &push, out),
        None if !heard.whole => out(Fact::Unread),
        None => {}
    }
    let stop = match bytes.trim_ascii_start().first() {
        Some(b'[') => {
            let mut rest = elements(bytes);
            rest.by_ref().for_each(drop);
            rest.0.stop()
        }
        _ => Some(pick(bytes, [""]).stop),
    };
    judge(heard, bytes, stop.unwrap_or(Stop::End), out);
}

fn say(heard: &Heard, push: &Push<'_>, out: &mut Out<'_>) {
    let topic = Word::of(push.topic);
    match (heard.direction, push.event, push.id()) {
        (Direction::ClientToServer, b"heartbeat", id) if push.topic == b"phoenix" => {
            out(Fact::Ping { id });
        }
        (Direction::ServerToClient, b"phx_reply", id) if push.topic == b"phoenix" => {
            out(Fact::Pong { id });
        }
        (Direction::ClientToServer, event, Some(id)) => {
            if event == b"phx_join" {
                out(Fact::Subscribe { name: topic });
            }
            let mut method = Word::of(event);
            method.push(b" ");
            method.push(push.topic);
            out(Fact::Request { id, method });
        }
        (Direction::ServerToClient, b"phx_reply", Some(id)) => out(Fact::Reply {
            id,
            fault: failure(push),
        }),
        (Direction::ServerToClient, b"phx_error", _) => {
            out(Fact::Error(Fault::new(b"phx_error", "")));
        }
        (Direction::ServerToClient, b"phx_close", _) => out(Fact::Unsubscribed { name: topic }),
        (Direction::ServerToClient, ..) => out(Fact::Push { name: topic }),
        (Direction::ClientToServer, event, None) => out(Fact::Notification {
            method: Word::of(event),
        }),
    }
}

fn failure(push: &Push<'_>) -> Option<Box<Fault>> {
    let payload = push.payload.and_then(Value::object)?;
    let [status, response] = pick(payload, ["status", "response"]).values;
    status.filter(|status| status.is("error"))?;
    Some(Fault::of_json(response.unwrap_or(Value::Null)))
}

pub(super) fn sniff(bytes: &[u8]) -> Hit {
    let Some(push) = Push::read(bytes) else {
        return Hit::No;
    };
    let joins = matches!(push.event, b"phx_join" | b"phx_reply");
    let beats = push.event == b"heartbeat" && push.topic == b"phoenix";
    let status = push
        .payload
        .and_then(Value::object)
        .and_then(|object| member(object, "status"));
    match joins || beats {
        true if push.event != b"phx_reply" || status.is_some() => Hit::Unique,
        _ => Hit::No,
    }
}
