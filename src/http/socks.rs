//! SOCKS 4, 4a and 5 (RFC 1928) before a stream: what both sides say until the tunnel stands.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::connect::{Tunnel, TunnelKind};
use super::connection::Connection;
use super::gather::Gather;
use super::half::Phase;
use super::start::Start;
use super::{Event, Lookalike, Output};
use crate::stream::{Chunk, Direction, PacketRef};
use Direction::{ClientToServer, ServerToClient};

/// The longest user id or name of SOCKS 4 that is read.
///
/// Rationale: SOCKS 5 has 255 for both by its length byte.
const TEXT_MAX: usize = 255;

/// A reply that opens no tunnel (RFC 1928, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocksRefusal {
    /// Whose reply: of SOCKS 4 or 5.
    pub kind: TunnelKind,
    /// The code.
    pub reply: u8,
    /// Its packet.
    pub at: PacketRef,
}

/// A conversation with a SOCKS server, a message at a time.
#[derive(Debug)]
pub(super) struct Dialogue {
    kind: TunnelKind,
    next: Message,
    /// The methods that the client offered.
    methods: Vec<u8>,
    target: String,
    asked: PacketRef,
    /// The reply that refuses the tunnel.
    refused: Option<u8>,
}

/// The message that comes next, and thereby who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Greeting,
    Choice,
    /// RFC 1929.
    Password,
    PasswordReply,
    Request,
    Reply,
}

/// The start of a message.
enum Read {
    /// Too little is there.
    Short,
    /// It has so many bytes.
    Whole(usize),
    /// It is none.
    Wrong,
}

impl Dialogue {
    /// Whose bytes come next.
    pub(super) const fn turn(&self) -> Direction {
        match self.next {
            Message::Greeting | Message::Password | Message::Request => ClientToServer,
            Message::Choice | Message::PasswordReply | Message::Reply => ServerToClient,
        }
    }

    /// Takes the bytes of a whole message. `Some(true)` once the tunnel stands,
    /// `None` where the message ends the conversation.
    fn take(&mut self, bytes: &[u8]) -> Option<bool> {
        self.next = match (self.kind, self.next, bytes) {
            (_, Message::Greeting, [_, _, methods @ ..]) => {
                self.methods = methods.to_vec();
                Message::Choice
            }
            (_, Message::Choice, [_, method]) if self.methods.contains(method) => match method {
                0 => Message::Request,
                2 => Message::Password,
                // GSSAPI and others wrap what follows.
                _ => return None,
            },
            (_, Message::Password, _) => Message::PasswordReply,
            (_, Message::PasswordReply, [_, 0]) => Message::Request,
            (TunnelKind::Socks5, Message::Request, [_, 1, _, rest @ ..]) => {
                self.target = target_of(rest)?;
                Message::Reply
            }
            (TunnelKind::Socks4, Message::Request, _) => {
                self.target = target_of_4(bytes)?;
                Message::Reply
            }
            // RFC 1928, section 6; other replies are none.
            (TunnelKind::Socks5, Message::Reply, [_, reply @ 1..=8, ..])
            | (TunnelKind::Socks4, Message::Reply, [_, reply @ 0x5b..=0x5d, ..]) => {
                self.refused = Some(*reply);
                return None;
            }
            (TunnelKind::Socks5, Message::Reply, [_, 0, ..])
            | (TunnelKind::Socks4, Message::Reply, [_, 0x5a, ..]) => return Some(true),
            _ => return None,
        };
        Some(false)
    }

    fn read(&self, bytes: &[u8]) -> Read {
        let five = |len: usize| match bytes.first() {
            Some(5) => whole(bytes, len),
            _ => Read::Wrong,
        };
        match (self.next, self.kind) {
            (Message::Greeting, _) => five(2 + bytes.get(1).map_or(0, |n| usize::from(*n))),
            (Message::Choice, _) => five(2),
            (Message::Password, _) => {
                let name = bytes.get(1).map_or(0, |n| usize::from(*n));
                let word = bytes.get(2 + name).map_or(0, |n| usize::from(*n));
                whole(bytes, 3 + name + word)
            }
            (Message::PasswordReply, _) => whole(bytes, 2),
            (Message::Request | Message::Reply, TunnelKind::Socks5) => match address_len(bytes) {
                Some(len) => five(4 + len + 2),
                None => Read::Wrong,
            },
            (Message::Request, _) => request_of_4(bytes),
            (Message::Reply, _) => match bytes.first() {
                Some(0) | None => whole(bytes, 8),
                Some(_) => Read::Wrong,
            },
        }
    }
}

fn whole(bytes: &[u8], len: usize) -> Read {
    if bytes.len() < len {
        Read::Short
    } else {
        Read::Whole(len)
    }
}

/// RFC 1928, section 5: how long the address behind its type is.
fn address_len(bytes: &[u8]) -> Option<usize> {
    match bytes.get(3) {
        None => Some(1),
        Some(1) => Some(4),
        Some(3) => Some(1 + bytes.get(4).map_or(0, |n| usize::from(*n))),
        Some(4) => Some(16),
        Some(_) => None,
    }
}

/// Address type, address and port as `host:port`.
fn target_of(bytes: &[u8]) -> Option<String> {
    let (address, port) = bytes.split_last_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    Some(match address {
        [1, four @ ..] => format!("{}:{port}", Ipv4Addr::from(*four.first_chunk::<4>()?)),
        [4, six @ ..] => format!("[{}]:{port}", Ipv6Addr::from(*six.first_chunk::<16>()?)),
        [3, _, name @ ..] => format!("{}:{port}", String::from_utf8_lossy(name)),
        _ => return None,
    })
}

/// Version, command, port, address, user id, and for 4a a name; the last two end with a zero.
fn request_of_4(bytes: &[u8]) -> Read {
    let text_end = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        match rest.iter().position(|byte| *byte == 0) {
            Some(len) if len <= TEXT_MAX => Ok(Some(from + len + 1)),
            None if rest.len() <= TEXT_MAX => Ok(None),
            _ => Err(()),
        }
    };
    let user_end = match text_end(8) {
        Ok(Some(end)) => end,
        Ok(None) => return Read::Short,
        Err(()) => return Read::Wrong,
    };
    if !has_name(bytes) {
        return Read::Whole(user_end);
    }
    match text_end(user_end) {
        Ok(Some(end)) => Read::Whole(end),
        Ok(None) => Read::Short,
        Err(()) => Read::Wrong,
    }
}

/// SOCKS 4a: 0.0.0.x stands for a name that comes last.
fn has_name(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, _, _, 0, 0, 0, 1..=255, ..])
}

fn target_of_4(bytes: &[u8]) -> Option<String> {
    let [_, _, high, low, a, b, c, d, texts @ ..] = bytes else {
        return None;
    };
    let port = u16::from_be_bytes([*high, *low]);
    if has_name(bytes) {
        let name = texts.split(|byte| *byte == 0).nth(1)?;
        return Some(format!("{}:{port}", String::from_utf8_lossy(name)));
    }
    Some(format!("{}:{port}", Ipv4Addr::new(*a, *b, *c, *d)))
}

/// Whether a client's first bytes are a greeting of SOCKS 5, or a request of SOCKS 4.
pub(super) fn start(bytes: &[u8]) -> Option<Start> {
    // RFC 1928, section 3: registered methods, then private ones.
    let methods = |methods: &[u8]| {
        methods
            .iter()
            .all(|method| matches!(method, 0..=9 | 0x80..=0xfe))
    };
    match bytes {
        [5] | [4] | [4, 1] => Some(Start::Undecided),
        [5, count @ 1..=255, rest @ ..] => {
            let offered = rest.get(..usize::from(*count));
            let plausible = methods(offered.unwrap_or(rest));
            plausible.then_some(match offered {
                Some(_) => Start::Socks(TunnelKind::Socks5),
                None => Start::Undecided,
            })
        }
        [4, 1, rest @ ..] => {
            let user = rest.get(6..).unwrap_or_default();
            let user = user.split(|byte| *byte == 0).next().unwrap_or_default();
            if !user.iter().all(u8::is_ascii_graphic) {
                return None;
            }
            match request_of_4(bytes) {
                Read::Short => Some(Start::Undecided),
                Read::Whole(_) => Some(Start::Socks(TunnelKind::Socks4)),
                Read::Wrong => None,
            }
        }
        _ => None,
    }
}

impl Connection {
    /// The client began as one of SOCKS does. Whether it is one, the answer tells.
    pub(super) fn begin_socks(
        &mut self,
        kind: TunnelKind,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let server = &mut self.halves.server;
        if server.phase != Phase::Start || !server.gather.is_empty() {
            return self.not_http(ClientToServer, at, Lookalike::Unknown, out);
        }
        server.phase = Phase::Socks;
        self.halves.client.phase = Phase::Socks;
        let next = match kind {
            TunnelKind::Socks4 => Message::Request,
            TunnelKind::Socks5 | TunnelKind::Connect => Message::Greeting,
        };
        self.socks = Some(Box::new(Dialogue {
            kind,
            next,
            methods: Vec::new(),
            target: String::new(),
            asked: at,
            refused: None,
        }));
    }

    /// Reads the next message of the conversation; how many bytes it took.
    pub(super) fn on_socks(
        &mut self,
        chunk: &Chunk<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) -> usize {
        let Some(mut dialogue) = self.socks.take() else {
            return chunk.bytes.len();
        };
        let gather = &mut self.halves[chunk.direction].gather;
        let mut joined = Vec::new();
        let bytes = gather.with(chunk.bytes, &mut joined);
        let taken = match dialogue.read(bytes) {
            Read::Short => {
                gather.keep(chunk.bytes, chunk.seen);
                self.socks = Some(dialogue);
                return chunk.bytes.len();
            }
            Read::Whole(len) => bytes
                .get(..len)
                .map(|message| (len, dialogue.take(message))),
            Read::Wrong => None,
        };
        let kept = gather.buffered();
        *gather = Gather::default();
        match taken {
            Some((len, Some(stands))) => {
                if stands {
                    let tunnel = Tunnel {
                        kind: dialogue.kind,
                        target: Some(dialogue.target),
                        asked: Some(dialogue.asked),
                        opened: Some(chunk.seen),
                    };
                    self.enter(tunnel, chunk.seen, out);
                } else {
                    self.socks = Some(dialogue);
                }
                len.saturating_sub(kept)
            }
            _ => {
                if let Some(reply) = dialogue.refused {
                    let refusal = SocksRefusal {
                        kind: dialogue.kind,
                        reply,
                        at: chunk.seen,
                    };
                    out(Output::Fact(Event::SocksRefused {
                        target: dialogue.target,
                        asked: dialogue.asked,
                        refusal,
                    }));
                }
                self.not_http(ClientToServer, dialogue.asked, Lookalike::Unknown, out);
                chunk.bytes.len()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_told_by_its_methods() {
        let socks5 = Some(Start::Socks(TunnelKind::Socks5));
        assert_eq!(start(&[5, 1, 0]), socks5);
        assert_eq!(start(&[5, 2, 0, 2]), socks5);
        for cut in 1..4 {
            assert_eq!(start(&[5, 2, 0, 2][..cut]), Some(Start::Undecided));
        }
        assert_eq!(start(&[5, 0]), None);
        assert_eq!(start(&[5, 2, 0x40, 0]), None);
    }

    #[test]
    fn a_request_of_socks_4_is_told_by_its_texts() {
        let plain = b"\x04\x01\x01\xbb\xc0\0\x02\x07me\0";
        let named = b"\x04\x01\x01\xbb\0\0\0\x01\0ws.test\0";
        for whole in [&plain[..], named] {
            for cut in 1..whole.len() {
                assert_eq!(start(&whole[..cut]), Some(Start::Undecided), "{cut}");
            }
            assert_eq!(start(whole), Some(Start::Socks(TunnelKind::Socks4)));
        }
        assert_eq!(target_of_4(plain).as_deref(), Some("192.0.2.7:443"));
        assert_eq!(target_of_4(named).as_deref(), Some("ws.test:443"));
        assert_eq!(start(b"\x04\x01\x01\xbb\xc0\0\x02\x07\x80\x81\0"), None);
        assert_eq!(start(&[[4, 1].as_slice(), &[b'x'; 300]].concat()), None);
    }

    #[test]
    fn addresses_have_three_forms() {
        let four = [1, 192, 0, 2, 7, 1, 187];
        assert_eq!(target_of(&four).as_deref(), Some("192.0.2.7:443"));
        let name = b"\x03\x07ws.test\x01\xbb";
        assert_eq!(target_of(name).as_deref(), Some("ws.test:443"));
        let mut six = [0; 19];
        (six[0], six[16], six[18]) = (4, 1, 80);
        assert_eq!(target_of(&six).as_deref(), Some("[::1]:80"));
    }
}
