//! STOMP 1.0 to 1.2: a command, headers, an empty line, a body, a NUL.

use std::time::Duration;

use super::detect::Hit;
use super::fact::{Fact, Fault, Heard};
use super::speaker::Out;
use super::words::{Id, Space, Word};

/// The head of a frame.
struct Frame<'a> {
    command: &'a [u8],
    headers: &'a [u8],
    /// The empty line was seen.
    whole: bool,
}

impl<'a> Frame<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let (command, mut rest) = line(bytes);
        let headers = rest;
        let mut whole = false;
        while !rest.is_empty() && !whole {
            let (header, after) = line(rest);
            whole = header.is_empty();
            rest = after;
        }
        let len = headers.len().saturating_sub(rest.len());
        Self {
            command,
            headers: headers.get(..len).unwrap_or_default(),
            whole,
        }
    }

    /// The first of a name counts (STOMP 1.2, "Repeated Header Entries").
    fn header(&self, name: &str) -> Option<&'a [u8]> {
        let mut rest = self.headers;
        while !rest.is_empty() {
            let (header, after) = line(rest);
            let value = header.strip_prefix(name.as_bytes());
            if let Some(value) = value.and_then(|value| value.strip_prefix(b":")) {
                return Some(value);
            }
            rest = after;
        }
        None
    }

    fn word(&self, name: &str) -> Word {
        Word::of(self.header(name).unwrap_or_default())
    }

    fn receipt(&self, name: &str) -> Option<Id> {
        Some(Id::of(Space::Text, &[self.header(name)?]))
    }

    fn heartbeats(&self) -> Option<Fact> {
        let value = std::str::from_utf8(self.header("heart-beat")?).ok()?;
        let (sends, wants) = value.split_once(',')?;
        let ms = |text: &str| text.trim().parse().ok().map(Duration::from_millis);
        Some(Fact::HeartbeatOffer {
            sends: ms(sends)?,
            wants: ms(wants)?,
        })
    }

    fn fault(&self) -> Box<Fault> {
        let text = self.header("message").unwrap_or_default();
        Fault::new(b"", &String::from_utf8_lossy(text))
    }
}

/// The bytes before the next line end, and those after it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', bytes);
    let (line, rest) = match end {
        Some(end) => (bytes.get(..end), bytes.get(end + 1..)),
        None => (Some(bytes), None),
    };
    let line = line.unwrap_or_default();
    (
        line.strip_suffix(b"\r").unwrap_or(line),
        rest.unwrap_or_default(),
    )
}

pub(super) fn read(heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
    if matches!(bytes, b"\n" | b"\r\n") {
        return out(Fact::Beat);
    }
    let mut rest = bytes;
    loop {
        // Line ends between frames are allowed.
        let start = rest.iter().position(|byte| !b"\r\n\0".contains(byte));
        let Some(frame) = start.and_then(|start| rest.get(start..)) else {
            return;
        };
        let head = Frame::read(frame);
        // A body is rarely followed by another frame; where a NUL can't be told
        // from the body's, nothing more is read.
        let next = match head.header("content-length") {
            None => memchr::memchr(0, frame),
            Some(_) => None,
        };
        say(heard, &head, out);
        let Some(after) = next.and_then(|next| frame.get(next + 1..)) else {
            return;
        };
        rest = after;
    }
}

fn say(heard: &Heard, frame: &Frame<'_>, out: &mut Out<'_>) {
    if !frame.whole {
        // Of a frame that is split over messages, the rest; of a long one, the beginning.
        return out(Fact::Unread);
    }
    match frame.command {
        b"CONNECT" | b"STOMP" => {
            out(Fact::OpeningBegun);
            frame.heartbeats().into_iter().for_each(&mut *out);
            return;
        }
        b"CONNECTED" => {
            out(Fact::OpeningAccepted);
            frame.heartbeats().into_iter().for_each(&mut *out);
        }
        b"MESSAGE" => out(Fact::Push {
            name: frame.word("subscription"),
        }),
        b"RECEIPT" => {
            if let Some(id) = frame.receipt("receipt-id") {
                out(Fact::Reply { id, fault: None });
            }
        }
        b"ERROR" => match frame.receipt("receipt-id") {
            Some(id) => out(Fact::Reply {
                id,
                fault: Some(frame.fault()),
            }),
            None => out(Fact::Error(frame.fault())),
        },
        b"SUBSCRIBE" => out(Fact::Subscribe {
            name: frame.word("id"),
        }),
        b"UNSUBSCRIBE" => out(Fact::Unsubscribed {
            name: frame.word("id"),
        }),
        b"SEND" | b"ACK" | b"NACK" | b"BEGIN" | b"COMMIT" | b"ABORT" | b"DISCONNECT" => {}
        _ => return,
    }
    if heard.direction == crate::stream::Direction::ClientToServer {
        request(frame, out);
    }
}

/// Any frame of the client can ask for a receipt.
fn request(frame: &Frame<'_>, out: &mut Out<'_>) {
    let mut method = Word::of(frame.command);
    if let Some(destination) = frame.header("destination") {
        method.push(b" ");
        method.push(destination);
    }
    match frame.receipt("receipt") {
        Some(id) => out(Fact::Request { id, method }),
        None if frame.command == b"SEND" => out(Fact::Notification { method }),
        None => {}
    }
}

pub(super) fn sniff(bytes: &[u8]) -> Hit {
    let ends = bytes.trim_ascii_end().last() == Some(&0);
    if !ends {
        return Hit::No;
    }
    let (command, rest) = line(bytes);
    let connects = rest.starts_with(b"accept-version:")
        || Frame::read(bytes).header("accept-version").is_some();
    match command {
        b"CONNECT" | b"STOMP" if connects => Hit::Unique,
        b"CONNECTED" if Frame::read(bytes).header("version").is_some() => Hit::Unique,
        b"CONNECT" | b"CONNECTED" | b"SEND" | b"SUBSCRIBE" | b"MESSAGE" | b"RECEIPT" if ends => {
            Hit::Hint
        }
        _ => Hit::No,
    }
}
