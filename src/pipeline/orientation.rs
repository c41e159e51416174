//! Which side is the client, where no SYN was captured: the first bytes tell.

use crate::packet::Segment;

/// What the first payload says about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
    Unknown,
}

/// The same of a later payload, which may be anything: only whole start lines
/// of HTTP tell.
pub(super) fn sender_of_head(segment: &Segment<'_>) -> Sender {
    // RFC 9112, section 3: the version ends the request line.
    let line = segment.payload.split(|byte| *byte == b'\r').next();
    let versioned = line.is_some_and(|line| line.ends_with(b" HTTP/1.1"));
    match sender_of(segment) {
        Sender::Client if versioned => Sender::Client,
        Sender::Server if segment.payload.starts_with(b"HTTP/1.") => Sender::Server,
        _ => Sender::Unknown,
    }
}

/// A request or a ClientHello comes from a client, a status line or a
/// ServerHello from a server. Never the port.
pub(super) fn sender_of(segment: &Segment<'_>) -> Sender {
    let payload = segment.payload;
    if payload.starts_with(b"HTTP/1.") {
        return Sender::Server;
    }
    // RFC 8446, section 5.1: type 22, version 3.x, length, then the handshake type.
    if let [0x16, 0x03, _, _, _, handshake, ..] = payload {
        return match handshake {
            1 => Sender::Client,
            2 => Sender::Server,
            _ => Sender::Unknown,
        };
    }
    let method = payload
        .iter()
        .take_while(|b| b.is_ascii_uppercase())
        .count();
    let space = payload.get(method) == Some(&b' ');
    let target = payload
        .get(method + 1)
        .is_some_and(|b| b"/*".contains(b) || b.is_ascii_alphabetic());
    if (3..=10).contains(&method) && space && target {
        Sender::Client
    } else {
        Sender::Unknown
    }
}
