//! OCPP-J 1.6, 2.0.1 and 2.1: arrays that begin with the message type (OCPP-J, section 4).

use std::time::Duration;

use super::detect::Hit;
use super::fact::{Contract, Fact, Fault, Heard};
use super::json::{Stop, Value, elements, first, member, pick, unescaped};
use super::speaker::{Out, judge};
use super::words::{Id, Word};
use crate::stream::Direction;

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let [kind, id, third, fourth] = first::<4>(bytes);
    let id = Id::of_json(id);
    match (kind.and_then(Value::count), id, third) {
        (Some(2), Some(id), Some(Value::Text(action))) => {
            let method = Word::of(action);
            if action == b"BootNotification" {
                out(Fact::OpeningBegun);
            }
            out(match action {
                b"Heartbeat" => Fact::Ping { id: Some(id) },
                _ => Fact::Request { id, method },
            });
        }
        (Some(3), Some(id), payload) => result(heard, id, payload, out),
        // 5 answers a result that couldn't be handled; nobody waits for it.
        (Some(kind @ (4 | 5)), Some(id), code) => {
            let code = code.and_then(Value::text).unwrap_or_default();
            let text = fourth
                .and_then(Value::text)
                .map(unescaped)
                .unwrap_or_default();
            let mut fault = Fault::new(code, &text);
            fault.auth |= code == b"SecurityError";
            out(match kind {
                4 => Fact::Reply {
                    id,
                    fault: Some(fault),
                },
                _ => Fact::Error(fault),
            });
        }
        (Some(6), _, Some(Value::Text(action))) => out(Fact::Notification {
            method: Word::of(action),
        }),
        _ if !heard.whole => out(Fact::Unread),
        _ => {}
    }
    let mut rest = elements(bytes);
    rest.by_ref().for_each(drop);
    judge(heard, bytes, rest.0.stop().unwrap_or(Stop::End), out);
}

/// Which action a result is of shows in its members: only BootNotification's has
/// an interval beside its status, only Heartbeat's has nothing but the time.
fn result(heard: &Heard, id: Id, payload: Option<Value<'_>>, out: &mut Out<'_>) {
    let payload = payload.and_then(Value::object).unwrap_or_default();
    let [status, interval, time] = pick(payload, ["status", "interval", "currentTime"]).values;
    let timed = heard.direction == Direction::ServerToClient && time.is_some();
    let status = match (timed, status.and_then(Value::text)) {
        (true, None) => return out(Fact::Pong { id: Some(id) }),
        (true, Some(status)) => {
            out(Fact::Reply { id, fault: None });
            status
        }
        (false, _) => return out(Fact::Reply { id, fault: None }),
    };
    if status != b"Accepted" {
        return out(Fact::OpeningRefused(Fault::new(status, "")));
    }
    out(Fact::OpeningAccepted);
    let interval = interval
        .and_then(Value::count)
        .filter(|seconds| *seconds > 0);
    if let Some(every) = interval.map(Duration::from_secs) {
        out(Fact::Contract(Contract {
            sender: Direction::ClientToServer,
            every,
            deadline: every,
            any_message: true,
        }));
    }
}

pub(super) fn sniff(bytes: &[u8]) -> Hit {
    let [kind, id, action, payload] = first::<4>(bytes);
    match (kind.and_then(Value::count), id, action, payload) {
        (
            Some(2),
            Some(Value::Text(_)),
            Some(Value::Text(b"BootNotification")),
            Some(Value::Object(boot)),
        ) => {
            let [one, other] =
                ["chargePointVendor", "chargingStation"].map(|name| member(boot, name));
            match one.or(other) {
                Some(_) => Hit::Unique,
                None => Hit::Hint,
            }
        }
        (Some(2), Some(Value::Text(_)), Some(Value::Text(_)), Some(Value::Object(_))) => {
            Hit::OneOfAPair
        }
        (Some(3), Some(Value::Text(_)), Some(Value::Object(_)), None) => Hit::OneOfAPair,
        _ => Hit::No,
    }
}
