//! SignalR of ASP.NET Core: JSON records that end with 0x1E, or MessagePack
//! arrays with their length before them (the Hub Protocol).

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::json::{Picked, Value, member, pick, unescaped};
use super::speaker::{Out, judge};
use super::words::{Id, Space, Word};
use crate::websocket::Opcode;

const END: u8 = 0x1e;

/// A message of either encoding.
struct Hub<'a> {
    kind: u64,
    invocation: Option<&'a [u8]>,
    target: &'a [u8],
    error: Option<&'a [u8]>,
}

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    match heard.opcode {
        Opcode::Text => json(heard, bytes, out),
        _ => packed(heard, bytes, out),
    }
}

fn json(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    for record in bytes
        .split(|byte| *byte == END)
        .filter(|record| !record.is_empty())
    {
        let names = ["type", "invocationId", "target", "error", "protocol"];
        let Picked { values, stop } = pick(record, names);
        let [kind, invocation, target, error, protocol] = values;
        let error = error.and_then(Value::text);
        match (kind.and_then(Value::count), protocol) {
            (None, Some(_)) => out(Fact::OpeningBegun),
            // The answer to the handshake is empty, or names an error.
            (None, None) => opened(record, error, out),
            (Some(kind), _) => {
                let hub = Hub {
                    kind,
                    invocation: invocation.and_then(Value::text),
                    target: target.and_then(Value::text).unwrap_or_default(),
                    error,
                };
                say(&hub, out);
            }
        }
        judge(heard, record, stop, out);
    }
}

fn opened(record: &[u8], error: Option<&[u8]>, out: &mut Out<'_>) {
    match (record, error) {
        (b"{}", _) => out(Fact::OpeningAccepted),
        (_, Some(error)) => out(Fact::OpeningRefused(Fault::new(b"", &unescaped(error)))),
        _ => out(Fact::Unread),
    }
}

fn say(hub: &Hub<'_>, out: &mut Out<'_>) {
    let id = hub.invocation.map(|id| Id::of(Space::Text, &[id]));
    let method = Word::of(hub.target);
    let fault = hub.error.map(|error| Fault::new(b"", &unescaped(error)));
    match (hub.kind, id) {
        (1 | 4, Some(id)) => out(Fact::Request { id, method }),
        (1, None) => out(Fact::Notification { method }),
        // The first item of a stream answers it as its completion does.
        (2, Some(id)) => out(Fact::Reply { id, fault: None }),
        (3, Some(id)) => out(Fact::Reply { id, fault }),
        (5, Some(id)) => out(Fact::Cancelled { id }),
        (6, _) => out(Fact::Beat),
        (7, _) => fault.into_iter().for_each(|fault| out(Fact::Error(fault))),
        _ => {}
    }
}

/// MessagePack: `[type, headers, invocation id, ...]`.
fn packed(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    let mut rest = bytes;
    while let Some((len, after)) = varint(rest) {
        let whole = after.len() >= len;
        let (record, next) = after.split_at_checked(len).unwrap_or((after, &[]));
        match hub(record) {
            Some(hub) => say(&hub, out),
            None if !whole => out(Fact::Unread),
            None => {}
        }
        rest = next;
    }
    if !heard.whole {
        out(Fact::Unread);
    }
}

fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * place).min(28);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

fn hub(record: &[u8]) -> Option<Hub<'_>> {
    let mut items = Packed(record);
    let len = items.array()?;
    let kind = items.small()?;
    let mut hub = Hub {
        kind,
        invocation: None,
        target: &[],
        error: None,
    };
    match kind {
        6 => return Some(hub),
        7 => {
            hub.error = items.text()?;
            return Some(hub);
        }
        _ => {}
    }
    // Headers are nearly always none; where there are some, nothing more is read.
    if items.take()? != 0x80 {
        return None;
    }
    hub.invocation = items.text()?;
    match kind {
        1 | 4 => hub.target = items.text()?.unwrap_or_default(),
        // 1 says that an error follows, 2 no result, 3 a result.
        3 if len > 3 && items.small()? == 1 => hub.error = items.text()?,
        _ => {}
    }
    Some(hub)
}

/// MessagePack that is yet to be read.
struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    fn take(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn array(&mut self) -> Option<u8> {
        self.take()
            .filter(|first| first & 0xf0 == 0x90)
            .map(|first| first & 0x0f)
    }

    fn small(&mut self) -> Option<u64> {
        self.take().filter(|first| *first < 0x80).map(u64::from)
    }

    /// A string, or nil.
    fn text(&mut self) -> Option<Option<&'a [u8]>> {
        let first = self.take()?;
        let len = match first {
            0xc0 => return Some(None),
            0xa0..=0xbf => usize::from(first & 0x1f),
            0xd9 => usize::from(self.take()?),
            0xda => usize::from(u16::from_be_bytes([self.take()?, self.take()?])),
            _ => return None,
        };
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(Some(text))
    }
}

pub(super) fn sniff(bytes: &[u8]) -> Hit {
    let Some((&END, record)) = bytes.split_last() else {
        return Hit::No;
    };
    let record = record.split(|byte| *byte == END).next().unwrap_or_default();
    let [protocol, version] = pick(record, ["protocol", "version"]).values;
    match (protocol, version) {
        (Some(_), Some(_)) => Hit::Unique,
        _ if member(record, "type").and_then(Value::count).is_some() => Hit::Hint,
        _ => Hit::No,
    }
}
