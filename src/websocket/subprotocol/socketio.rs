//! Socket.IO, protocols 4 and 5: `<type>[<attachments>-][<namespace>,][<ack id>][json]`.

use super::fact::{Fact, Fault, Heard};
use super::json::{Stop, Value, elements};
use super::speaker::Out;
use super::words::{Id, Space, Word};
use crate::stream::Direction;

/// The parts of a packet.
struct Packet<'a> {
    kind: u8,
    namespace: &'a [u8],
    ack: &'a [u8],
    json: &'a [u8],
}

impl<'a> Packet<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&kind, mut rest) = bytes.split_first()?;
        if let b'5' | b'6' = kind {
            let dash = rest.iter().position(|byte| *byte == b'-')?;
            rest = rest.get(dash + 1..)?;
        }
        let mut namespace: &[u8] = b"/";
        if rest.first() == Some(&b'/') {
            let comma = rest.iter().position(|byte| *byte == b',');
            namespace = rest.get(..comma.unwrap_or(rest.len()))?;
            rest = comma.map_or(&[][..], |comma| rest.get(comma + 1..).unwrap_or_default());
            // Protocol 4 puts a query behind the namespace.
            namespace = namespace.split(|byte| *byte == b'?').next()?;
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (ack, json) = rest.split_at_checked(digits)?;
        Some(Self {
            kind,
            namespace,
            ack,
            json,
        })
    }

    fn id(&self) -> Option<Id> {
        (!self.ack.is_empty()).then(|| Id::of(Space::Kind(0), &[self.namespace, self.ack]))
    }

    /// The first of its array.
    fn event(&self, heard: &Heard, out: &mut Out<'_>) -> Word {
        let mut items = elements(self.json);
        let name = items.next().and_then(Value::text).map(Word::of);
        if name.is_none()
            && heard.whole
            && let Some(Stop::Malformed(at)) = items.0.stop()
        {
            out(Fact::Malformed { offset: at as u64 });
        }
        name.unwrap_or_default()
    }
}

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let Some(packet) = Packet::read(bytes) else {
        return;
    };
    let from_client = heard.direction == Direction::ClientToServer;
    match packet.kind {
        b'0' if from_client => out(Fact::OpeningBegun),
        b'0' => out(Fact::OpeningAccepted),
        b'2' | b'5' => {
            let name = packet.event(heard, out);
            out(match packet.id() {
                Some(id) => Fact::Request { id, method: name },
                None if from_client => Fact::Notification { method: name },
                None => Fact::Push { name },
            });
        }
        b'3' | b'6' => {
            if let Some(id) = packet.id() {
                out(Fact::Reply { id, fault: None });
            }
        }
        b'4' => {
            let value = match packet.json.first() {
                Some(b'{') => Value::Object(packet.json),
                Some(b'"') => Value::Text(packet.json.trim_ascii().trim_quotes()),
                _ => Value::Null,
            };
            out(Fact::OpeningRefused(Fault::of_json(value)));
        }
        _ => {}
    }
}

trait TrimQuotes {
    fn trim_quotes(&self) -> &[u8];
}

impl TrimQuotes for [u8] {
    fn trim_quotes(&self) -> &[u8] {
        let inner = self.strip_prefix(b"\"").unwrap_or(self);
        inner.strip_suffix(b"\"").unwrap_or(inner)
    }
}

/// It looks like a packet: a connection to a namespace, its refusal, or an event.
pub(super) fn is_packet(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [b'0'] | [b'0', b'{' | b'/', ..] | [b'2', b'[', b'"', ..] | [b'4', b'{' | b'/', ..]
    )
}
