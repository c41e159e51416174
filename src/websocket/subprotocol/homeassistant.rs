//! Home Assistant's WebSocket API.

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::json::{Picked, Value, elements, pick};
use super::speaker::{Out, judge};
use super::words::{Id, Word};
use crate::stream::Direction;

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    // Several messages may be put into an array.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        for message in elements(bytes).filter_map(Value::object) {
            one(heard, message, out);
        }
        return;
    }
    one(heard, bytes, out);
}

fn one(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let Picked { values, stop } = pick(bytes, ["type", "id", "success", "error", "message"]);
    let [kind, id, success, error, message] = values;
    let id = Id::of_json(id);
    let from_client = heard.direction == Direction::ClientToServer;
    match (kind.and_then(Value::text), id) {
        (Some(b"auth"), _) => out(Fact::OpeningBegun),
        (Some(b"auth_ok"), _) => out(Fact::OpeningAccepted),
        (Some(b"auth_invalid"), _) => {
            let text = message.and_then(Value::plain).unwrap_or_default();
            let mut fault = Fault::new(b"auth_invalid", &text);
            fault.auth = true;
            out(Fact::OpeningRefused(fault));
        }
        (Some(b"ping"), id) if from_client => out(Fact::Ping { id }),
        (Some(b"pong"), id) if !from_client => out(Fact::Pong { id }),
        (Some(kind), Some(id)) if from_client => {
            let method = Word::of(kind);
            if kind.starts_with(b"subscribe_") {
                let name = Word::of(id.text().as_bytes());
                out(Fact::Subscribe { name });
            }
            out(Fact::Request { id, method });
        }
        (Some(b"result"), Some(id)) => {
            let failed = success == Some(Value::False);
            let fault = failed.then(|| Fault::of_json(error.unwrap_or(Value::Null)));
            out(Fact::Reply { id, fault });
        }
        (Some(b"event"), Some(id)) => out(Fact::Push {
            name: Word::of(id.text().as_bytes()),
        }),
        _ if !heard.whole => out(Fact::Unread),
        _ => {}
    }
    judge(heard, bytes, stop, out);
}

pub(super) fn sniff(direction: Direction, bytes: &[u8]) -> Hit {
    let [kind, version] = pick(bytes, ["type", "ha_version"]).values;
    let is = |name| kind.is_some_and(|kind| kind.is(name));
    match direction {
        Direction::ServerToClient
            if version.is_some() && (is("auth_required") || is("auth_ok")) =>
        {
            Hit::Unique
        }
        _ => Hit::No,
    }
}
