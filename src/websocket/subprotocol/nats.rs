//! NATS: lines of text, some with a payload behind them; a stream of bytes that
//! messages cut anywhere.

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::speaker::Out;
use super::words::{Id, Space, Word};
use crate::stream::Direction;

/// Rationale: the server's limit for a control line, which INFO may pass; of that only the first word counts.
const LINE: usize = 4096;
/// Subjects that replies are sent to.
const INBOX: &[u8] = b"_INBOX.";

/// One direction of it.
#[derive(Debug, Default)]
pub(super) struct Nats {
    line: Vec<u8>,
    /// Bytes of payload, and the line end behind it, to pass over.
    payload: usize,
    lost: bool,
}

impl Nats {
    pub(super) fn lose(&mut self) {
        *self = Self {
            lost: true,
            ..Self::default()
        };
    }

    pub(super) fn read(&mut self, heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
        if self.lost {
            return out(Fact::Unread);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let skipped = self.payload.min(rest.len());
            self.payload -= skipped;
            rest = rest.get(skipped..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest);
            let (piece, after) = match end {
                Some(end) => (rest.get(..end), rest.get(end + 1..)),
                None => (Some(rest), None),
            };
            let room = LINE.saturating_sub(self.line.len());
            self.line
                .extend(piece.unwrap_or_default().iter().take(room));
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.payload = say(heard, line.trim_ascii(), out);
                self.line = line;
                self.line.clear();
            }
            rest = after.unwrap_or_default();
        }
        if !heard.whole {
            self.lose();
        }
    }
}

/// Reads a line; returns how many bytes of payload follow.
fn say(heard: &Heard, line: &[u8], out: &mut Out<'_>) -> usize {
    let mut words = line
        .split(|byte| *byte == b' ' || *byte == b'\t')
        .filter(|word| !word.is_empty());
    let verb = words.next().unwrap_or_default().to_ascii_uppercase();
    let arguments: Vec<&[u8]> = words.take(6).collect();
    let subject = arguments.first().copied().unwrap_or_default();
    match verb.as_slice() {
        b"CONNECT" => out(Fact::OpeningBegun),
        b"INFO" => out(Fact::OpeningAccepted),
        b"PING" => out(Fact::Ping { id: None }),
        b"PONG" => out(Fact::Pong { id: None }),
        b"-ERR" => {
            let text = line.get(4..).unwrap_or_default().trim_ascii();
            let text = String::from_utf8_lossy(text);
            let mut fault = Fault::new(b"", text.trim_matches('\''));
            fault.auth |= text.to_ascii_lowercase().contains("authorization");
            out(Fact::Error(fault));
        }
        b"SUB" => out(Fact::Subscribe {
            name: Word::of(subject),
        }),
        b"PUB" | b"HPUB" | b"MSG" | b"HMSG" => {
            return message(heard, &verb, &arguments, out);
        }
        _ => {}
    }
    0
}

/// `PUB subject [reply] size`, `MSG subject sid [reply] size`; with an H before, also the size of the headers.
fn message(heard: &Heard, verb: &[u8], arguments: &[&[u8]], out: &mut Out<'_>) -> usize {
    let headers = usize::from(verb.first() == Some(&b'H'));
    let before = 1 + usize::from(verb.ends_with(b"MSG"));
    let reply = match arguments.len() {
        count if count == before + 2 + headers => arguments.get(before).copied(),
        _ => None,
    };
    let subject = arguments.first().copied().unwrap_or_default();
    let id = |inbox: &[u8]| Id::of(Space::Text, &[inbox]);
    if subject.starts_with(INBOX) {
        out(Fact::Reply {
            id: id(subject),
            fault: None,
        });
    } else if let Some(inbox) = reply.filter(|reply| reply.starts_with(INBOX)) {
        out(Fact::Request {
            id: id(inbox),
            method: Word::of(subject),
        });
    } else if heard.direction == Direction::ServerToClient {
        out(Fact::Push {
            name: Word::of(subject),
        });
    } else {
        out(Fact::Notification {
            method: Word::of(subject),
        });
    }
    let size = arguments
        .last()
        .and_then(|size| std::str::from_utf8(size).ok());
    let size: Option<usize> = size.and_then(|size| size.parse().ok());
    size.unwrap_or(0).saturating_add(2)
}

pub(super) fn sniff(bytes: &[u8]) -> Hit {
    let named = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    match bytes {
        [b'I', b'N', b'F', b'O', b' ', b'{', ..] if named(b"\"server_id\"") => Hit::Unique,
        [b'C', b'O', b'N', b'N', b'E', b'C', b'T', b' ', b'{', ..] if named(b"\"verbose\"") => {
            Hit::Unique
        }
        _ => Hit::No,
    }
}
