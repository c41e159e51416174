//! GraphQL over WebSocket in its two dialects: `graphql-transport-ws`, and the
//! older `graphql-ws` of subscriptions-transport-ws, which AppSync and Hasura extend.

use std::time::Duration;

use super::detect::Hit;
use super::fact::{Contract, Fact, Fault, Heard};
use super::json::{Picked, Stop, Value, member, pick};
use super::speaker::{Out, judge};
use super::words::{Id, Word};
use crate::stream::Direction;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `graphql-transport-ws`.
    Transport,
    /// `graphql-ws`.
    Legacy,
}

pub(super) fn read(dialect: Dialect, heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let Picked { values, stop } = pick(bytes, ["type", "id", "payload"]);
    let [kind, id, payload] = values;
    let (id, kind) = (
        Id::of_json(id),
        kind.and_then(Value::text).unwrap_or_default(),
    );
    let from_client = heard.direction == Direction::ClientToServer;
    let fault = || Fault::of_json(payload.unwrap_or(Value::Null));
    match (kind, id, dialect) {
        (b"connection_init", ..) => out(Fact::OpeningBegun),
        (b"connection_ack", ..) => {
            out(Fact::OpeningAccepted);
            contract(payload, out);
        }
        (b"connection_error", ..) => out(Fact::OpeningRefused(fault())),
        (b"subscribe" | b"start", Some(id), _) if from_client => out(Fact::Request {
            id,
            method: operation(payload),
        }),
        (b"next" | b"data", Some(id), _) if !from_client => {
            let errors = payload
                .and_then(Value::object)
                .and_then(|p| member(p, "errors"));
            let fault = errors.filter(|errors| !matches!(errors, Value::Null));
            let fault = fault.map(Fault::of_json);
            out(Fact::Reply { id, fault });
        }
        (b"error", Some(id), _) => out(Fact::Reply {
            id,
            fault: Some(fault()),
        }),
        (b"error", None, _) => out(Fact::Error(fault())),
        (b"start_ack", Some(id), _) => out(Fact::Reply { id, fault: None }),
        (b"complete", Some(id), _) if !from_client => out(Fact::Reply { id, fault: None }),
        (b"complete" | b"stop", Some(id), _) => out(Fact::Cancelled { id }),
        (b"ping", _, Dialect::Transport) => out(Fact::Ping { id: None }),
        (b"pong", _, Dialect::Transport) => out(Fact::Pong { id: None }),
        (b"ka", ..) => out(Fact::Beat),
        _ if stop == Stop::Cut && !heard.whole => out(Fact::Unread),
        _ => {}
    }
    judge(heard, bytes, stop, out);
}

/// AppSync says how long the client may wait for the next `ka`.
fn contract(payload: Option<Value<'_>>, out: &mut Out<'_>) {
    let timeout = payload
        .and_then(Value::object)
        .and_then(|payload| member(payload, "connectionTimeoutMs"))
        .and_then(Value::count);
    if let Some(timeout) = timeout.map(Duration::from_millis) {
        out(Fact::Contract(Contract {
            sender: Direction::ServerToClient,
            every: timeout,
            deadline: timeout,
            any_message: true,
        }));
    }
}

/// The operation's name, or its kind and name as the query begins with them.
fn operation(payload: Option<Value<'_>>) -> Word {
    let Some(payload) = payload.and_then(Value::object) else {
        return Word::default();
    };
    let [name, query] = pick(payload, ["operationName", "query"]).values;
    if let Some(name) = name.and_then(Value::text) {
        return Word::of(name);
    }
    let query = query.and_then(Value::text).unwrap_or_default();
    let end = query.iter().position(|byte| b"({@\\".contains(byte));
    let head = query.get(..end.unwrap_or(query.len())).unwrap_or_default();
    match head.trim_ascii() {
        b"" => Word::of(b"query"),
        head => Word::of(head),
    }
}

/// Which of the dialects a message is of, where it can be only one.
pub(super) fn sniff(bytes: &[u8]) -> (Dialect, Hit) {
    let [kind, id, payload] = pick(bytes, ["type", "id", "payload"]).values;
    let kind = kind.and_then(Value::text).unwrap_or_default();
    let query = payload
        .and_then(Value::object)
        .is_some_and(|payload| member(payload, "query").is_some());
    match kind {
        b"subscribe" if id.is_some() && query => (Dialect::Transport, Hit::Unique),
        b"start" if id.is_some() && query => (Dialect::Legacy, Hit::Unique),
        b"ka" | b"start_ack" => (Dialect::Legacy, Hit::Hint),
        b"connection_init" | b"connection_ack" => (Dialect::Transport, Hit::Hint),
        _ => (Dialect::Transport, Hit::No),
    }
}
