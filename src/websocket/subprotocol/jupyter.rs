//! Jupyter's kernel messages: each reply names the request in its parent header.
//! As JSON, or in the binary form of `v1.kernel.websocket.jupyter.org`.

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::json::{Picked, Value, pick};
use super::speaker::Out;
use super::words::{Id, Space, Word};
use crate::stream::Direction;
use crate::websocket::Opcode;

/// The parts of a message that are read.
struct Parts<'a> {
    header: &'a [u8],
    parent: &'a [u8],
    content: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(heard: &Heard, bytes: &'a [u8]) -> Option<Self> {
        if heard.opcode == Opcode::Binary {
            return Self::packed(bytes);
        }
        let Picked { values, .. } = pick(bytes, ["header", "parent_header", "content"]);
        let [header, parent, content] = values.map(|value| value.and_then(Value::object));
        Some(Self {
            header: header?,
            parent: parent.unwrap_or_default(),
            content: content.unwrap_or_default(),
        })
    }

    /// A count of offsets, the offsets, all in 64 bits, little-endian; then the
    /// channel, header, parent header, metadata, content.
    fn packed(bytes: &'a [u8]) -> Option<Self> {
        let word = |place: usize| {
            let start = place.checked_mul(8)?;
            let word = bytes.get(start..)?.first_chunk::<8>()?;
            usize::try_from(u64::from_le_bytes(*word)).ok()
        };
        let part = |place: usize| {
            let (start, end) = (word(place.checked_add(1)?)?, word(place.checked_add(2)?)?);
            bytes.get(start..end.min(bytes.len()))
        };
        word(0).filter(|count| *count >= 5)?;
        Some(Self {
            header: part(1)?,
            parent: part(2)?,
            content: part(4).unwrap_or_default(),
        })
    }
}

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let Some(parts) = Parts::of(heard, bytes) else {
        return out(Fact::Unread);
    };
    let id = |header| {
        let [id] = pick(header, ["msg_id"]).values;
        id.and_then(Value::text)
            .map(|id| Id::of(Space::Text, &[id]))
    };
    let [kind] = pick(parts.header, ["msg_type"]).values;
    let kind = kind.and_then(Value::text).unwrap_or_default();
    let from_client = heard.direction == Direction::ClientToServer;
    if kind.ends_with(b"_request") && from_client {
        let method = Word::of(kind);
        id(parts.header)
            .into_iter()
            .for_each(|id| out(Fact::Request { id, method }));
    } else if kind.ends_with(b"_reply") {
        let fault = failure(parts.content);
        let parent = id(parts.parent);
        parent.into_iter().for_each(|id| {
            out(Fact::Reply {
                id,
                fault: fault.clone(),
            });
        });
    } else if !from_client {
        out(Fact::Push {
            name: Word::of(kind),
        });
    }
}

fn failure(content: &[u8]) -> Option<Box<Fault>> {
    let [status, name, value] = pick(content, ["status", "ename", "evalue"]).values;
    status.filter(|status| status.is("error"))?;
    let name = name.and_then(Value::text).unwrap_or_default();
    Some(Fault::new(
        name,
        &value.and_then(Value::plain).unwrap_or_default(),
    ))
}

pub(super) fn sniff(bytes: &[u8]) -> Hit {
    let [header, parent, channel] = pick(bytes, ["header", "parent_header", "channel"]).values;
    match (header.and_then(Value::object), parent, channel) {
        (Some(header), Some(_), Some(_)) if pick(header, ["msg_id"]).values != [None] => {
            Hit::Unique
        }
        _ => Hit::No,
    }
}
