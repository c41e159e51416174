//! HTTP/1.1 as far as WebSocket needs it: heads, bodies to skip, and the
//! opening handshake (RFC 6455, section 4) on any port.

mod body;
mod breach;
mod connect;
mod connection;
mod cut;
mod excerpt;
mod exchange;
mod extension;
mod gather;
mod half;
mod head;
mod hold;
mod lenient;
mod line;
mod loss;
mod parse;
mod proxied;
mod reading;
mod socks;
mod start;
mod upgrade;

pub use breach::HandshakeBreach;
pub use connect::{Tunnel, TunnelKind};
pub use connection::Connection;
pub use extension::{DeflateParameters, Extension};
pub use head::{Headers, Request, Response};
pub use proxied::{Proxied, ProxyFault};
pub use socks::SocksRefusal;
pub use upgrade::{
    Agreement, check_request, check_response, offered_extensions, offered_subprotocols,
};

#[cfg(test)]
mod tests;

use crate::stream::{Direction, PacketRef, Sides, StreamEvent};

/// What the HTTP layer noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An opening handshake began: a request that asks for a WebSocket.
    UpgradeRequested {
        /// The request.
        request: Box<Request>,
        /// Everything in which it breaks RFC 6455, section 4.1 and 4.2.1.
        breaches: Vec<HandshakeBreach>,
    },
    /// A 1xx answer other than 101 came first.
    Interim {
        /// 100, 102 or 103.
        status: u16,
        /// Its packet.
        at: PacketRef,
    },
    /// The final answer to the opening handshake, other than 101, or a 101 to
    /// another protocol. Comes when its head is complete; what is known of its
    /// body follows as [`Event::RefusalBody`].
    Refused {
        /// The response.
        response: Box<Response>,
    },
    /// The first part of the body of the last refusal, decoded (chunked, gzip,
    /// deflate); not told where it is empty. Comes after the next
    /// [`Event::UpgradeRequested`] where the client did not wait for it.
    RefusalBody {
        /// At most 2,048 bytes.
        excerpt: Vec<u8>,
    },
    /// 101: the connection speaks WebSocket from here on, or pretends to.
    Upgraded {
        /// The response.
        response: Box<Response>,
        /// Everything in which it breaks RFC 6455, section 4.2.2, RFC 7692 section 7.1.
        breaches: Vec<HandshakeBreach>,
        /// What the two agreed on.
        agreement: Agreement,
    },
    /// The client sent bytes after its request and before the 101.
    EarlyData {
        /// The first such packet.
        at: PacketRef,
        /// How many bytes came before the answer.
        len: u64,
    },
    /// The answer to the opening handshake is missing from the capture, and what
    /// follows is no HTTP: both directions go on as [`Output::Stream`], the
    /// missing bytes as a gap first. In place of [`Event::Upgraded`].
    AnswerLost {
        /// The packet that showed that it is missing.
        at: PacketRef,
    },
    /// The snap length cut the request and the 101 to it, and what follows may
    /// be frames: both directions go on as [`Output::Stream`]. Comes behind an
    /// [`Event::UpgradeRequested`] with as much as is known of the request.
    AnswerCut {
        /// The packet with the 101.
        at: PacketRef,
        /// Where the streams go on behind both heads.
        behind: Sides<Option<u64>>,
    },
    /// A PROXY protocol header came before the first request.
    Proxied {
        /// What it says.
        header: Box<Proxied>,
        /// Its first packet.
        at: PacketRef,
    },
    /// The client asks a proxy for a tunnel: CONNECT (RFC 9110, section 9.3.6).
    ConnectRequested {
        /// The request. Its target is the tunnel's other end.
        request: Box<Request>,
    },
    /// The final answer to CONNECT, other than 2xx. What is known of its body
    /// follows as [`Event::RefusalBody`].
    ConnectRefused {
        /// The response.
        response: Box<Response>,
    },
    /// A SOCKS server refused a tunnel.
    SocksRefused {
        /// Whom the client wants: `host:port`.
        target: String,
        /// The first packet of the conversation.
        asked: PacketRef,
        /// What the server said.
        refusal: SocksRefusal,
    },
    /// From here on the connection is a tunnel: both directions go on as
    /// [`Output::Stream`], which a layer that knows nothing of it yet has to read.
    Tunnelled(Box<Tunnel>),
    /// The same, told by what came behind it: this layer goes on reading.
    TunnelSeen(Box<Tunnel>),
    /// An ordinary request (not for a WebSocket) was answered; counted, not kept.
    Exchange,
    /// The bytes of this direction are no HTTP. Said once per direction; the
    /// connection's later bytes are not looked at, unless an Upgrade request
    /// of the client is still unanswered.
    NotHttp {
        /// Whose bytes.
        direction: Direction,
        /// Where they begin.
        at: PacketRef,
        /// What they look like.
        looks_like: Lookalike,
    },
    /// A head could not be read: bytes of it are missing, it is longer than the
    /// limit, or what stands in its place is none.
    HeadLost {
        /// Whose head.
        direction: Direction,
        /// Where that became clear.
        at: PacketRef,
    },
}

/// What bytes that are no HTTP/1 look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookalike {
    /// A TLS handshake record: a ClientHello or a ServerHello (RFC 8446, section 5.1).
    TlsHandshake,
    /// A TLS alert record, with its level and description.
    TlsAlert(u8, u8),
    /// The HTTP/2 connection preface (RFC 9113, section 3.4).
    Http2Preface,
    /// The PROXY protocol, version 1 or 2.
    ProxyProtocol,
    /// HTTP/1 of the other role: a response from the client, a request from the
    /// server. Where no SYN was seen, the sides are the other way round.
    OtherRole,
    /// The greeting of another service, by its protocol's name.
    Service(&'static str),
    /// Nothing that we know.
    Unknown,
}

/// What goes out of the layer.
#[derive(Debug)]
pub enum Output<'a> {
    /// Something for the session.
    Fact(Event),
    /// Bytes of the WebSocket connection or of the tunnel, both directions,
    /// offsets unchanged. Only after [`Event::Upgraded`], [`Event::AnswerLost`]
    /// or [`Event::Tunnelled`].
    Stream(StreamEvent<'a>),
}
