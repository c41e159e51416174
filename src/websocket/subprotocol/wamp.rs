//! WAMP v2 in JSON: arrays that begin with the message type (WAMP, section 6).
//! In MessagePack or CBOR it is recognised and not read.

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::json::{Stop, Value, elements, first};
use super::speaker::{Out, judge};
use super::words::{Id, Space, Word};
use crate::stream::Direction;
use crate::websocket::Opcode;

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    if heard.opcode != Opcode::Text {
        return out(Fact::Unread);
    }
    // Batched: the messages are separated by this byte.
    for message in bytes
        .split(|byte| *byte == 0x18)
        .filter(|message| !message.is_empty())
    {
        one(heard, message, out);
    }
}

fn one(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let [kind, a, b, c, d] = first::<5>(bytes);
    let Some(kind) = kind.and_then(Value::count) else {
        return out(Fact::Unread);
    };
    let from_client = heard.direction == Direction::ClientToServer;
    let name = |value: Option<Value<'_>>| value.and_then(Value::text).map(Word::of);
    match kind {
        1 => out(Fact::OpeningBegun),
        2 => out(Fact::OpeningAccepted),
        3 => out(Fact::OpeningRefused(reason(b))),
        6 => goodbye(b, out),
        8 => reply(a.and_then(Value::count), b, Some(error(d, bytes)), out),
        16 => {
            // Only where it wants to be told.
            let options = b.and_then(Value::object).unwrap_or_default();
            let [wanted] = super::json::pick(options, ["acknowledge"]).values;
            match (wanted, id(16, a)) {
                (Some(Value::True), Some(id)) => request(id, "PUBLISH", c, out),
                _ => out(Fact::Notification {
                    method: name(c).unwrap_or_default(),
                }),
            }
        }
        32 => {
            ask(32, a, "SUBSCRIBE", c, out);
            name(c)
                .into_iter()
                .for_each(|name| out(Fact::Subscribe { name }));
        }
        34 => ask(34, a, "UNSUBSCRIBE", None, out),
        48 => ask(48, a, "CALL", c, out),
        64 => ask(64, a, "REGISTER", c, out),
        66 => ask(66, a, "UNREGISTER", None, out),
        68 => ask(68, a, "INVOCATION", None, out),
        17 | 33 | 35 | 50 | 65 | 67 | 70 => reply(request_of(kind), a, None, out),
        36 if !from_client => out(Fact::Push {
            name: a
                .and_then(Value::plain)
                .map(|id| Word::of(id.as_bytes()))
                .unwrap_or_default(),
        }),
        _ => {}
    }
    let mut rest = elements(bytes);
    rest.by_ref().for_each(drop);
    judge(heard, bytes, rest.0.stop().unwrap_or(Stop::End), out);
}

/// The type of the request that is answered by a message of this type.
const fn request_of(reply: u64) -> Option<u64> {
    Some(match reply {
        50 => 48,
        70 => 68,
        17 | 33 | 35 | 65 | 67 => reply - 1,
        _ => return None,
    })
}

/// Requests of each type are numbered for themselves.
fn id(kind: u64, number: Option<Value<'_>>) -> Option<Id> {
    let kind = u8::try_from(kind).ok()?;
    match number? {
        Value::Number(digits) => Some(Id::of(Space::Kind(kind), &[digits])),
        _ => None,
    }
}

fn ask(
    kind: u64,
    number: Option<Value<'_>>,
    verb: &str,
    uri: Option<Value<'_>>,
    out: &mut Out<'_>,
) {
    if let Some(id) = id(kind, number) {
        request(id, verb, uri, out);
    }
}

fn request(id: Id, verb: &str, uri: Option<Value<'_>>, out: &mut Out<'_>) {
    let mut method = Word::of(verb.as_bytes());
    if let Some(uri) = uri.and_then(Value::text) {
        method.push(b" ");
        method.push(uri);
    }
    out(Fact::Request { id, method });
}

fn reply(
    kind: Option<u64>,
    number: Option<Value<'_>>,
    fault: Option<Box<Fault>>,
    out: &mut Out<'_>,
) {
    if let Some(id) = kind.and_then(|kind| id(kind, number)) {
        out(Fact::Reply { id, fault });
    }
}

/// `[8, type, request, details, error, arguments]`
fn error(_: Option<Value<'_>>, bytes: &[u8]) -> Box<Fault> {
    let [.., uri, arguments] = first::<6>(bytes);
    let text = arguments
        .and_then(Value::array)
        .and_then(|array| elements(array).next());
    let text = text.and_then(Value::plain).unwrap_or_default();
    reason_of(uri, &text)
}

fn reason(uri: Option<Value<'_>>) -> Box<Fault> {
    reason_of(uri, "")
}

fn reason_of(uri: Option<Value<'_>>, text: &str) -> Box<Fault> {
    let uri = uri.and_then(Value::text).unwrap_or_default();
    let mut fault = Fault::new(uri, text);
    let refused: [&[u8]; 4] = [
        b"wamp.error.not_authorized",
        b"wamp.error.authentication_failed",
        b"wamp.error.authorization_failed",
        b"wamp.error.no_auth_method",
    ];
    fault.auth |= refused.contains(&uri);
    fault
}

/// The regular end of a session is no error.
fn goodbye(uri: Option<Value<'_>>, out: &mut Out<'_>) {
    let regular = [
        "wamp.close.normal",
        "wamp.close.goodbye_and_out",
        "wamp.close.close_realm",
        "wamp.close.system_shutdown",
    ];
    if !uri.is_some_and(|uri| regular.iter().any(|name| uri.is(name))) {
        out(Fact::Error(reason(uri)));
    }
}

pub(super) fn sniff(direction: Direction, bytes: &[u8]) -> Hit {
    let [kind, realm, details] = first::<3>(bytes);
    let roles = |value: Option<Value<'_>>| {
        let object = value.and_then(Value::object).unwrap_or_default();
        super::json::member(object, "roles").is_some()
    };
    match (kind.and_then(Value::count), realm) {
        (Some(1), Some(Value::Text(_)))
            if direction == Direction::ClientToServer && roles(details) =>
        {
            Hit::Unique
        }
        (Some(2), Some(Value::Number(_)))
            if direction == Direction::ServerToClient && roles(details) =>
        {
            Hit::Unique
        }
        _ => Hit::No,
    }
}
