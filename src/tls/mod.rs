//! TLS as a bystander reads it (RFC 8446, 5246, 4346, 2246): records, the
//! handshake, alerts, and with the secrets of a key log the bytes inside.
//!
//! A bystander can miss records that both sides saw. A record that doesn't
//! open is tried with later sequence numbers and keys, so that one lost record
//! doesn't cost all that follow.

mod alert;
mod certificate;
mod cipher;
mod closed;
mod connection;
mod content;
mod half;
mod handshake;
mod headless;
mod hello;
mod keys;
mod negotiation;
mod open;
mod parameters;
mod private_key;
mod protection;
mod reader;
mod record;
mod schedule;
mod suite;
#[cfg(test)]
mod tests;
mod waiting;
mod wire;

pub use alert::Alert;
pub use certificate::Certificate;
pub use connection::Connection;
pub use hello::{ClientHello, ServerHello};
pub use keys::Keys;
pub use private_key::{PrivateKey, PrivateKeyError, is_pem};
pub use record::ContentType;

use crate::stream::{Direction, PacketRef, StreamEvent};

/// What the layer hands up.
#[derive(Debug)]
pub enum Output<'a> {
    /// Something that it noticed.
    Fact(Event),
    /// The bytes inside, decrypted; offsets count the plaintext.
    Stream(StreamEvent<'a>),
}

/// Why records of a connection stayed closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Undecrypted {
    /// No secret is known for its client random.
    NoKey,
    /// The ClientHello, which names the connection, wasn't captured.
    NoClientHello,
    /// Records of the handshake that decide on the keys weren't captured.
    Gap,
    /// There are secrets for its client random, but they open nothing.
    WrongKey,
    /// A cipher suite or version that isn't read.
    UnsupportedSuite,
}

impl Undecrypted {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoKey => "no-key",
            Self::NoClientHello => "no-client-hello",
            Self::Gap => "gap",
            Self::WrongKey => "wrong-key",
            Self::UnsupportedSuite => "unsupported-suite",
        }
    }
}

/// What the TLS layer noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client's offer.
    ClientHello {
        /// What it holds.
        hello: Box<ClientHello>,
        /// Its packet.
        at: PacketRef,
    },
    /// The server asks for another ClientHello (RFC 8446, section 4.1.4).
    HelloRetryRequest {
        /// Its packet.
        at: PacketRef,
    },
    /// The server's choice.
    ServerHello {
        /// What it holds.
        hello: Box<ServerHello>,
        /// The suite's name, or its number where it has none here.
        suite: String,
        /// An older session goes on, so no certificate is shown.
        resumed: bool,
        /// Its packet.
        at: PacketRef,
    },
    /// The protocol that the two agreed on.
    Protocol {
        /// Such as `http/1.1`.
        alpn: String,
        /// The packet that says so.
        at: PacketRef,
    },
    /// A certificate chain was shown.
    Certificate {
        /// By whom.
        direction: Direction,
        /// The sender's own first, those that can be read; empty where a client has none.
        chain: Vec<Certificate>,
        /// Its packet.
        at: PacketRef,
    },
    /// The server asks for a certificate of the client.
    CertificateRequest {
        /// The packet.
        at: PacketRef,
    },
    /// There are private keys, and none of them is that of the certificate for
    /// which the client encrypted its secret.
    ForeignPrivateKey {
        /// The packet of what the client encrypted.
        at: PacketRef,
    },
    /// An older session goes on after all: the server's answer ended without a
    /// certificate (RFC 5077, section 3.4).
    Resumed {
        /// The packet that shows it.
        at: PacketRef,
    },
    /// One side's half of the handshake is complete.
    Finished {
        /// Whose.
        direction: Direction,
        /// The packet.
        at: PacketRef,
    },
    /// One side goes on with new keys (RFC 8446, section 4.6.3).
    KeyUpdate {
        /// Which.
        direction: Direction,
        /// The packet.
        at: PacketRef,
    },
    /// An alert that could be read.
    Alert {
        /// Whose.
        direction: Direction,
        /// What it says.
        alert: Alert,
        /// It was protected.
        protected: bool,
        /// The packet.
        at: PacketRef,
    },
    /// A record that stayed closed.
    Closed {
        /// Whose.
        direction: Direction,
        /// What its header says; TLS 1.3 says application data of everything.
        content: ContentType,
        /// Length of its fragment in bytes.
        len: u16,
        /// The packet.
        at: PacketRef,
    },
    /// The first record of this side was opened.
    Opened {
        /// Which side.
        direction: Direction,
        /// The packet.
        at: PacketRef,
    },
    /// Records of this side stay closed. Said once for each side, when the first
    /// one passes.
    Undecrypted {
        /// Which side.
        direction: Direction,
        /// Why.
        reason: Undecrypted,
        /// The packet.
        at: PacketRef,
    },
    /// Records were lost, or were there and could not be opened.
    RecordsLost {
        /// Whose.
        direction: Direction,
        /// How many, where that is known.
        count: Option<u64>,
        /// The packet that showed it.
        at: PacketRef,
    },
    /// What comes is no TLS.
    Foreign {
        /// Whose bytes.
        direction: Direction,
        /// Their packet.
        at: PacketRef,
    },
}

/// Whether a connection's first bytes begin a TLS handshake: a handshake or
/// alert record of version 3.x, as far as they go. No text begins so.
pub fn begins_like_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [21 | 22] | [21 | 22, 3] | [21 | 22, 3, 0..=4, ..])
}
