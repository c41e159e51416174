//! SockJS, and what is inside it: `o`, `h`, `a[...]` and `c[...]` of the server,
//! arrays of strings of the client.

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::json::{Stop, Value, elements, first, unescaped};
use super::speaker::{Out, Speaker, judge};
use super::{Protocol, Source, ddp, stomp};
use crate::stream::Direction;

/// One direction of it.
#[derive(Debug, Default)]
pub(super) struct SockJs {
    inner: Option<Box<Speaker>>,
}

impl SockJs {
    pub(super) fn read(&mut self, heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
        let Some((kind, rest)) = bytes.split_first() else {
            return;
        };
        let from_server = heard.direction == Direction::ServerToClient;
        match kind {
            b'o' if from_server => out(Fact::OpeningAccepted),
            b'h' if from_server => out(Fact::Beat),
            b'c' if from_server => {
                let [code, reason] = first::<2>(rest);
                let code = code.and_then(Value::plain).unwrap_or_default();
                let reason = reason.and_then(Value::plain).unwrap_or_default();
                // 3000 is how a server says goodbye.
                if code != "3000" {
                    out(Fact::Error(Fault::new(code.as_bytes(), &reason)));
                }
            }
            b'a' if from_server => self.messages(heard, rest, out),
            b'[' if !from_server => self.messages(heard, bytes, out),
            b'"' if !from_server => self.messages(heard, bytes, out),
            _ => {}
        }
    }

    fn messages(&mut self, heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
        let mut items = elements(bytes);
        for text in items.by_ref().filter_map(Value::text) {
            let text = unescaped(text);
            self.message(heard, text.as_bytes(), out);
        }
        match items.0.stop() {
            Some(Stop::Cut) if !heard.whole => out(Fact::Unread),
            Some(stop) => judge(heard, bytes, stop, out),
            None => {}
        }
    }

    fn message(&mut self, heard: &Heard, text: &[u8], out: &mut Out<'_>) {
        if self.inner.is_none()
            && let Some(protocol) = inside(text)
        {
            self.inner = Some(Box::new(Speaker::of(protocol)));
            out(Fact::Recognised {
                protocol,
                source: Source::Sniffed,
            });
        }
        if let Some(inner) = &mut self.inner {
            let heard = Heard {
                whole: true,
                ..*heard
            };
            inner.read(&heard, text, out);
        }
    }
}

fn inside(text: &[u8]) -> Option<Protocol> {
    if stomp::sniff(text) != Hit::No {
        return Some(Protocol::Stomp);
    }
    (ddp::sniff(text) != Hit::No).then_some(Protocol::Ddp)
}

pub(super) fn sniff(direction: Direction, bytes: &[u8]) -> Hit {
    match (direction, bytes) {
        (Direction::ServerToClient, b"o") => Hit::Hint,
        (Direction::ServerToClient, [b'a', b'[', b'"', .., b']']) => Hit::Hint,
        (Direction::ClientToServer, [b'[', b'"', .., b'"', b']']) if inside_first(bytes) => {
            Hit::Hint
        }
        _ => Hit::No,
    }
}

fn inside_first(bytes: &[u8]) -> bool {
    let [text] = first::<1>(bytes);
    let text = text.and_then(Value::text).map(unescaped);
    text.is_some_and(|text| inside(text.as_bytes()).is_some())
}
