//! Action Cable of Rails.

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::json::{Picked, Stop, Value, pick};
use super::speaker::{Out, judge};
use super::words::{Id, Space, Word};
use crate::stream::Direction;

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let Picked { values, stop } = pick(bytes, ["type", "command", "identifier", "reason"]);
    let [kind, command, identifier, reason] = values;
    let (kind, command) = (kind.and_then(Value::text), command.and_then(Value::text));
    let identifier = identifier.and_then(Value::text);
    let name = Word::of(identifier.unwrap_or_default());
    let id = identifier.map(|text| Id::of(Space::Text, &[text]));
    if heard.direction == Direction::ClientToServer {
        match (command, id) {
            (Some(b"subscribe"), Some(id)) => {
                let method = Word::of(b"subscribe");
                out(Fact::Request { id, method });
                out(Fact::Subscribe { name });
            }
            (Some(b"unsubscribe"), _) => out(Fact::Unsubscribed { name }),
            (Some(command), _) => out(Fact::Notification {
                method: Word::of(command),
            }),
            (None, _) if stop == Stop::Cut => out(Fact::Unread),
            (None, _) => {}
        }
        return judge(heard, bytes, stop, out);
    }
    match (kind, id) {
        (Some(b"welcome"), _) => out(Fact::OpeningAccepted),
        (Some(b"ping"), _) => out(Fact::Beat),
        (Some(b"confirm_subscription"), Some(id)) => {
            out(Fact::Reply { id, fault: None });
            out(Fact::Subscribed { name });
        }
        (Some(b"reject_subscription"), Some(id)) => {
            let fault = Some(Fault::new(b"reject_subscription", ""));
            out(Fact::Reply { id, fault });
        }
        (Some(b"disconnect"), _) => {
            let reason = reason.and_then(Value::text).unwrap_or_default();
            out(Fact::Error(Fault::new(reason, "")));
        }
        (None, Some(_)) => out(Fact::Push { name }),
        _ if stop == Stop::Cut => out(Fact::Unread),
        _ => {}
    }
    judge(heard, bytes, stop, out);
}

pub(super) fn sniff(direction: Direction, bytes: &[u8]) -> Hit {
    let [kind, command, identifier, message] =
        pick(bytes, ["type", "command", "identifier", "message"]).values;
    let is = |value: Option<Value<'_>>, name| value.is_some_and(|value| value.is(name));
    match direction {
        Direction::ClientToServer if is(command, "subscribe") && identifier.is_some() => Hit::Hint,
        Direction::ServerToClient if is(kind, "confirm_subscription") && identifier.is_some() => {
            Hit::Unique
        }
        Direction::ServerToClient
            if is(kind, "ping") && message.is_some_and(|m| m.count().is_some()) =>
        {
            Hit::Hint
        }
        Direction::ServerToClient if is(kind, "welcome") => Hit::Hint,
        _ => Hit::No,
    }
}
