//! Pusher's channels protocol, which Reverb and Soketi speak too.

use std::time::Duration;

use super::detect::Hit;
use super::fact::{Contract, Fact, Fault, Heard};
use super::json::{Picked, Value, pick, unescaped};
use super::speaker::{Out, judge};
use super::words::{Id, Space, Word};
use crate::stream::Direction;

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let Picked { values, stop } = pick(bytes, ["event", "channel", "data"]);
    let [event, channel, data] = values;
    // An object, or an object in a string.
    let data = match data {
        Some(Value::Object(object)) => String::from_utf8_lossy(object),
        Some(Value::Text(text)) => unescaped(text),
        _ => "".into(),
    };
    let data = data.as_bytes();
    let inner = || pick(data, ["channel"]).values.into_iter().flatten().next();
    let channel = channel
        .or_else(inner)
        .and_then(Value::text)
        .unwrap_or_default();
    let (name, id) = (Word::of(channel), Id::of(Space::Text, &[channel]));
    match event.and_then(Value::text) {
        Some(b"pusher:connection_established") => {
            out(Fact::OpeningAccepted);
            contract(data, out);
        }
        Some(b"pusher:subscribe") => {
            let method = Word::of(b"pusher:subscribe");
            out(Fact::Request { id, method });
            out(Fact::Subscribe { name });
        }
        Some(b"pusher_internal:subscription_succeeded") => {
            out(Fact::Reply { id, fault: None });
            out(Fact::Subscribed { name });
        }
        Some(b"pusher:subscription_error") => out(Fact::Reply {
            id,
            fault: Some(error(data)),
        }),
        Some(b"pusher:unsubscribe") => out(Fact::Unsubscribed { name }),
        Some(b"pusher:ping") => out(Fact::Ping { id: None }),
        Some(b"pusher:pong") => out(Fact::Pong { id: None }),
        Some(b"pusher:error") => out(Fact::Error(error(data))),
        Some(event) if heard.direction == Direction::ClientToServer => out(Fact::Notification {
            method: Word::of(event),
        }),
        Some(_) => out(Fact::Push { name }),
        None if !heard.whole => out(Fact::Unread),
        None => {}
    }
    judge(heard, bytes, stop, out);
}

fn error(data: &[u8]) -> Box<Fault> {
    let mut fault = Fault::of_json(Value::Object(data));
    // 4001: no such application; 4009: not authorized for the connection.
    fault.auth |= matches!(fault.code.bytes(), b"4001" | b"4009");
    fault
}

/// The client sends a ping where it heard nothing for so long; the server answers.
fn contract(data: &[u8], out: &mut Out<'_>) {
    let [timeout] = pick(data, ["activity_timeout"]).values;
    let timeout = timeout
        .and_then(Value::count)
        .filter(|seconds| *seconds > 0);
    if let Some(every) = timeout.map(Duration::from_secs) {
        out(Fact::Contract(Contract {
            sender: Direction::ServerToClient,
            every,
            // Rationale: clients wait 30 s for the answer.
            deadline: every.saturating_add(Duration::from_secs(30)),
            any_message: true,
        }));
    }
}

pub(super) fn sniff(bytes: &[u8]) -> Hit {
    let [event] = pick(bytes, ["event"]).values;
    match event.and_then(Value::text) {
        Some(event) if event.starts_with(b"pusher:") || event.starts_with(b"pusher_internal:") => {
            Hit::Unique
        }
        _ => Hit::No,
    }
}
