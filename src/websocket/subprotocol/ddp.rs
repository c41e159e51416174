//! DDP of Meteor: objects that say in `msg` what they are.

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::json::{Picked, Value, elements, pick};
use super::speaker::{Out, judge};
use super::words::{Id, Space, Word};

/// Calls and subscriptions are numbered apart, or might be.
const SUBSCRIPTION: Space = Space::Kind(1);

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let names = [
        "msg",
        "id",
        "method",
        "name",
        "error",
        "subs",
        "collection",
        "reason",
    ];
    let Picked { values, stop } = pick(bytes, names);
    let [msg, id, method, name, error, subs, collection, reason] = values;
    let text = |value: Option<Value<'_>>| Word::of(value.and_then(Value::text).unwrap_or_default());
    let fault = error.map(Fault::of_json);
    let subscription = id
        .and_then(Value::text)
        .map(|id| Id::of(SUBSCRIPTION, &[id]));
    match (msg.and_then(Value::text), Id::of_json(id)) {
        (Some(b"connect"), _) => out(Fact::OpeningBegun),
        (Some(b"connected"), _) => out(Fact::OpeningAccepted),
        (Some(b"failed"), _) => out(Fact::OpeningRefused(Fault::new(
            b"",
            "version not supported",
        ))),
        (Some(b"method"), Some(id)) => out(Fact::Request {
            id,
            method: text(method),
        }),
        (Some(b"result"), Some(id)) => out(Fact::Reply { id, fault }),
        (Some(b"sub"), Some(_)) => {
            let mut method = Word::of(b"sub ");
            method.push(text(name).bytes());
            subscription
                .into_iter()
                .for_each(|id| out(Fact::Request { id, method }));
            out(Fact::Subscribe { name: text(id) });
        }
        (Some(b"ready"), _) => {
            let subs = subs.and_then(Value::array).unwrap_or_default();
            for name in elements(subs).filter_map(Value::text) {
                let id = Id::of(SUBSCRIPTION, &[name]);
                out(Fact::Reply { id, fault: None });
                let name = Word::of(name);
                out(Fact::Subscribed { name });
            }
        }
        (Some(b"nosub"), Some(_)) => {
            subscription.into_iter().for_each(|id| {
                out(Fact::Reply {
                    id,
                    fault: fault.clone(),
                });
            });
            out(Fact::Unsubscribed { name: text(id) });
        }
        (Some(b"unsub"), Some(_)) => {}
        (Some(b"ping"), id) => out(Fact::Ping { id }),
        (Some(b"pong"), id) => out(Fact::Pong { id }),
        (Some(b"added" | b"changed" | b"removed"), _) => out(Fact::Push {
            name: text(collection),
        }),
        (Some(b"error"), _) => out(Fact::Error(Fault::of_json(reason.unwrap_or(Value::Null)))),
        (None, _) if !heard.whole => out(Fact::Unread),
        _ => {}
    }
    judge(heard, bytes, stop, out);
}

pub(super) fn sniff(bytes: &[u8]) -> Hit {
    let [msg, version, session] = pick(bytes, ["msg", "version", "session"]).values;
    let is = |name| msg.is_some_and(|msg| msg.is(name));
    match (is("connect"), is("connected")) {
        (true, _) if version.is_some() => Hit::Unique,
        (_, true) if session.is_some() => Hit::Unique,
        _ if ["method", "sub", "ready"].into_iter().any(is) => Hit::Hint,
        _ => Hit::No,
    }
}
