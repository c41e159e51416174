//! What shows without any protocol: ids that the other side repeats, and
//! words that are pings. Never "the next message is the answer".

use std::time::Duration;

use super::auth;
use super::fact::{Fact, Fault, Heard};
use super::json::{Value, members, pick};
use super::speaker::Out;
use super::words::{Id, Word};
use crate::stream::{Direction, Sides};

/// Members that are ids wherever people invent protocols.
const NAMES: [&str; 27] = [
    "id",
    "_id",
    "requestId",
    "request_id",
    "reqId",
    "req_id",
    "msgId",
    "msg_id",
    "messageId",
    "message_id",
    "correlationId",
    "correlation_id",
    "cid",
    "ref",
    "seq",
    "nonce",
    "token",
    "callId",
    "transactionId",
    "uuid",
    "replyTo",
    "reply_to",
    "inReplyTo",
    "in_reply_to",
    "ack",
    "parentId",
    "parent_id",
];
/// The longest of these.
const LONGEST_NAME: usize = 14;
/// Members that name what a message is.
const KINDS: [&str; 8] = [
    "type", "op", "event", "action", "msg", "cmd", "method", "command",
];
const PINGS: [&str; 6] = [
    "ping",
    "heartbeat",
    "hb",
    "keepalive",
    "keep-alive",
    "keep_alive",
];
const PONGS: [&str; 1] = ["pong"];
const ANSWERED: [&str; 8] = [
    "_ack",
    "-ack",
    "ack",
    ".ack",
    "_response",
    "-response",
    "_reply",
    "-reply",
];

/// Rationale: with fewer a repeated number is chance.
const REQUESTS: usize = 20;
/// Shares in percent: of the requests' ids that differ, and that come back.
const DISTINCT: usize = 90;
const ANSWERS: usize = 60;
/// Rationale: longer than callers wait.
const WITHIN: Duration = Duration::from_secs(30);

/// A member by its name and how deep it is: 0 in the message, 1 in a member of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Field {
    name: u8,
    depth: u8,
}

/// What one direction is read for.
#[derive(Debug, Default)]
pub(super) struct Generic {
    /// Its ids, if they are requests'.
    requests: Option<Field>,
    /// Its ids, if they are replies'.
    replies: Option<Field>,
}

/// A heartbeat by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Ping,
    Pong,
}

impl Generic {
    pub(super) fn read(&mut self, heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
        if let Some(beat) = beat(bytes) {
            let mut id = None;
            ids(bytes, &mut |_, found| id = id.or(Some(found)));
            return out(match beat {
                Beat::Ping => Fact::Ping { id },
                Beat::Pong => Fact::Pong { id },
            });
        }
        if self.requests.is_none() && self.replies.is_none() {
            return refusal(heard, bytes, out);
        }
        let mut request = None;
        let mut reply = None;
        ids(bytes, &mut |field, id| {
            request = request.or((self.requests == Some(field)).then_some(id));
            reply = reply.or((self.replies == Some(field)).then_some(id));
        });
        if let Some(id) = reply {
            let fault = pick(bytes, ["error"]).values;
            let [fault] = fault
                .map(|fault| fault.filter(|fault| !matches!(fault, Value::Null | Value::False)));
            let fault = fault.map(Fault::of_json);
            out(Fact::Reply { id, fault });
        }
        if let Some(id) = request {
            let method = kind(bytes).map(Word::of).unwrap_or_default();
            out(Fact::Request { id, method });
        }
        match reply {
            None if self.replies.is_some() && !heard.whole => out(Fact::Unread),
            None => refusal(heard, bytes, out),
            Some(_) => {}
        }
    }
}

/// Of errors that answer nothing only those are told that are about who the client is.
fn refusal(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    if heard.direction == Direction::ServerToClient
        && let Some(fault) = auth::in_object(bytes)
    {
        out(Fact::Error(fault));
    }
}

/// Hands the ids that the message's members may be to `found`.
fn ids(bytes: &[u8], found: &mut dyn FnMut(Field, Id)) {
    let mut one = |key: &[u8], value, depth| {
        if key.len() > LONGEST_NAME || !matches!(value, Value::Text(_) | Value::Number(_)) {
            return;
        }
        // The name first: most values are no ids, and long.
        if let Some(name) = NAMES.iter().position(|name| name.as_bytes() == key)
            && let Some(id) = Id::of_json(Some(value))
        {
            let name = u8::try_from(name).unwrap_or(u8::MAX);
            found(Field { name, depth }, id);
        }
    };
    for (key, value) in members(bytes) {
        one(key, value, 0);
        if let Value::Object(inner) = value {
            members(inner).for_each(|(key, value)| one(key, value, 1));
        }
    }
}

/// What the message calls itself.
fn kind(bytes: &[u8]) -> Option<&[u8]> {
    let named = pick(bytes, KINDS).values;
    named.into_iter().flatten().find_map(Value::text)
}

/// Rationale: a heartbeat says little; what is longer isn't looked at for one.
const LONGEST_BEAT: usize = 256;

/// Whether the message is a heartbeat, as a bare word or by what it calls itself.
pub(super) fn beat(bytes: &[u8]) -> Option<Beat> {
    let text = bytes
        .get(..LONGEST_BEAT)
        .map_or(bytes, |_| &[])
        .trim_ascii();
    match text.first()? {
        b'{' => beat_word(kind(text)?),
        b'"' => beat_word(text.strip_prefix(b"\"")?.strip_suffix(b"\"")?),
        _ => beat_word(text),
    }
}

fn beat_word(word: &[u8]) -> Option<Beat> {
    let is = |names: &[&str], word: &[u8]| {
        names
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    if is(&PONGS, word) {
        return Some(Beat::Pong);
    }
    if is(&PINGS, word) {
        return Some(Beat::Ping);
    }
    let stems = ANSWERED.iter().filter_map(|tail| {
        let (stem, end) = word.split_at_checked(word.len().checked_sub(tail.len())?)?;
        end.eq_ignore_ascii_case(tail.as_bytes()).then_some(stem)
    });
    stems
        .into_iter()
        .any(|stem| is(&PINGS, stem))
        .then_some(Beat::Pong)
}

/// A message that may be something, while that is being found out.
pub(super) type Glimpse<'a> = (&'a Heard, &'a [u8]);

/// What there is to be read in each direction, if anything.
pub(super) fn find(said: &Sides<Vec<Glimpse<'_>>>) -> Option<Sides<Generic>> {
    let mut found: Sides<Generic> = Sides::default();
    let mut any = beats(said) || refuses(&said.server);
    let listed = Sides {
        client: listed(&said.client),
        server: listed(&said.server),
    };
    for asker in Direction::BOTH {
        if let Some((request, reply)) = echoed(&listed[asker], &listed[asker.reverse()]) {
            found[asker].requests = Some(request);
            found[asker.reverse()].replies = Some(reply);
            any = true;
            break;
        }
    }
    any.then_some(found)
}

/// Rationale: who isn't let in hears so at once; later the word stands in what people say.
const FIRST: usize = 5;

/// The server begins by not letting the client in.
fn refuses(said: &[Glimpse<'_>]) -> bool {
    let mut first = said.iter().take(FIRST);
    first.any(|(_, bytes)| auth::in_object(bytes).is_some())
}

/// At least two heartbeats, and one of them is no answer.
fn beats(said: &Sides<Vec<Glimpse<'_>>>) -> bool {
    let all = said.client.iter().chain(&said.server);
    let words: Vec<Beat> = all.filter_map(|(_, bytes)| beat(bytes)).collect();
    words.len() >= 2 && words.contains(&Beat::Ping)
}

/// A member that may be an id, where it was seen.
type Listed<'a> = (Field, Id, &'a Heard);

/// The members by which one side's messages are repeated by the other's.
fn echoed(asked: &[Listed<'_>], said: &[Listed<'_>]) -> Option<(Field, Field)> {
    let fields = |listed: &[Listed<'_>]| {
        let mut fields: Vec<Field> = listed.iter().map(|(field, ..)| *field).collect();
        fields.dedup();
        fields
    };
    let replies = fields(said);
    fields(asked).into_iter().find_map(|field| {
        let requests = of_field(asked, field);
        let distinct = requests.chunk_by(|(_, one, _), (_, other, _)| one == other);
        if requests.len() < REQUESTS || distinct.count() * 100 < requests.len() * DISTINCT {
            return None;
        }
        let answers = |reply: &Field| {
            let replies = of_field(said, *reply);
            let answered = requests
                .iter()
                .filter(|request| is_answered(request, replies));
            answered.count() * 100 >= requests.len() * ANSWERS
        };
        let reply = replies.iter().copied().find(answers)?;
        Some((field, reply))
    })
}

/// Those of one member, which stand together.
fn of_field<'l, 'a>(listed: &'l [Listed<'a>], field: Field) -> &'l [Listed<'a>] {
    let start = listed.partition_point(|(other, ..)| *other < field);
    let end = listed.partition_point(|(other, ..)| *other <= field);
    listed.get(start..end).unwrap_or_default()
}

/// Exactly one of these repeats the request's id, soon after it.
fn is_answered((_, id, heard): &Listed<'_>, replies: &[Listed<'_>]) -> bool {
    let start = replies.partition_point(|(_, other, _)| other < id);
    let same = replies.get(start..).unwrap_or_default();
    let same = same.iter().take_while(|(_, other, _)| other == id);
    let soon = same.filter(|(.., other)| {
        let waited = other.first.time.saturating_since(heard.first.time);
        other.first >= heard.first && waited <= WITHIN
    });
    soon.count() == 1
}

/// What may be an id, by member and value.
fn listed<'a>(said: &[Glimpse<'a>]) -> Vec<Listed<'a>> {
    let mut all = Vec::new();
    for (heard, bytes) in said {
        if beat(bytes).is_none() {
            ids(bytes, &mut |field, id| all.push((field, id, *heard)));
        }
    }
    all.sort_by_key(|(field, id, _)| (*field, *id));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_heartbeats_are_told() {
        for ping in [
            "ping",
            "PING",
            "\"ping\"",
            r#"{"type":"heartbeat","seq":3}"#,
            r#"{"op":"hb"}"#,
        ] {
            assert_eq!(beat(ping.as_bytes()), Some(Beat::Ping), "{ping}");
        }
        for pong in [
            "pong",
            r#"{"type":"heartbeat_ack"}"#,
            r#"{"event":"PONG"}"#,
            r#"{"cmd":"ping-reply"}"#,
        ] {
            assert_eq!(beat(pong.as_bytes()), Some(Beat::Pong), "{pong}");
        }
        for other in [
            "shipping",
            r#"{"text":"ping"}"#,
            r#"{"type":"back"}"#,
            "",
            "{",
        ] {
            assert_eq!(beat(other.as_bytes()), None, "{other}");
        }
    }
}
