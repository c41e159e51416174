//! JSON-RPC 2.0 (jsonrpc.org/specification), and its relatives without a
//! version member: JSON-RPC 1.0, the Chrome DevTools Protocol, many exchanges.

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::json::{Picked, Stop, Value, elements, pick};
use super::speaker::{Out, judge};
use super::words::{Id, Word};

const MEMBERS: [&str; 6] = ["id", "method", "result", "error", "jsonrpc", "params"];

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    if heard.opcode != crate::websocket::Opcode::Text {
        return;
    }
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return one(heard, bytes, out);
    }
    // A batch; some put heartbeats and other arrays between.
    let mut batch = elements(bytes);
    for call in batch.by_ref() {
        if let Value::Object(call) = call {
            one(heard, call, out);
        }
    }
    match batch.0.stop() {
        Some(Stop::Cut) if !heard.whole => out(Fact::Unread),
        Some(stop) => judge(heard, bytes, stop, out),
        None => {}
    }
}

fn one(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let Picked { values, stop } = pick(bytes, MEMBERS);
    let [id, method, result, error, _, params] = values;
    let id = Id::of_json(id);
    let fault = error.filter(|error| !matches!(error, Value::Null));
    match (id, method.and_then(Value::text)) {
        (Some(id), Some(method)) => {
            let method = Word::of(method);
            out(Fact::Request { id, method });
        }
        (None, Some(method)) => notification(method, params, out),
        (Some(id), None) if result.is_some() || error.is_some() => out(Fact::Reply {
            id,
            fault: fault.map(Fault::of_json),
        }),
        (None, None) if fault.is_some() => {
            fault
                .into_iter()
                .for_each(|fault| out(Fact::Error(Fault::of_json(fault))));
        }
        _ if stop == Stop::Cut && !heard.whole => out(Fact::Unread),
        _ => {}
    }
    judge(heard, bytes, stop, out);
}

/// Nothing answers it. What comes for a subscription names it in its params.
fn notification(method: &[u8], params: Option<Value<'_>>, out: &mut Out<'_>) {
    let params = params.and_then(Value::object);
    let subscription = params.and_then(|params| super::json::member(params, "subscription"));
    out(match subscription.and_then(Value::plain) {
        Some(name) => Fact::Push {
            name: Word::of(name.as_bytes()),
        },
        None => Fact::Notification {
            method: Word::of(method),
        },
    });
}

/// With its version member it can be nothing else. Without, requests and replies
/// have to show, one from each side.
pub(super) fn sniff(bytes: &[u8]) -> Hit {
    let object = match elements(bytes).next() {
        Some(Value::Object(first)) => first,
        _ => bytes,
    };
    let Picked { values, stop } = pick(object, MEMBERS);
    let [id, method, result, error, version, _] = values;
    if version.is_some_and(|version| version.is("2.0")) {
        return Hit::Unique;
    }
    let request = method.is_some_and(|method| method.text().is_some()) && result.is_none();
    let reply = method.is_none() && (result.is_some() || error.is_some());
    let foreign = pick(object, ["type", "msg", "op", "event", "command"]).values;
    match Id::of_json(id) {
        Some(_)
            if stop == Stop::End && (request || reply) && foreign.iter().all(Option::is_none) =>
        {
            Hit::OneOfAPair
        }
        _ => Hit::No,
    }
}
