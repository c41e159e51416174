//! Which side is the client, where no SYN was captured: the first bytes tell.

use crate::packet::Segment;

/// What the first payload says about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
    Unknown,
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
