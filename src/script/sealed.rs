//! TLS that nobody can read: records of given lengths.

use super::hello::{client_hello, record, server_hello};
use super::{Script, frame};
use crate::stream::Direction::{self, ClientToServer, ServerToClient};

/// RFC 8446, section 5.2: the content type and a tag of 16 bytes.
const ADDED: usize = 17;

impl Script {
    /// A record of TLS 1.3 that holds as many bytes.
    pub(crate) fn sealed(self, from: Direction, len: usize) -> Self {
        self.bytes(from, &record(23, &vec![0x5c; len + ADDED]))
    }

    /// A record of TLS 1.3 that holds a frame with this first byte and payload.
    pub(crate) fn sealed_frame(self, from: Direction, first: u8, payload: &[u8]) -> Self {
        let len = frame(first, payload, from == ClientToServer).len();
        self.sealed(from, len)
    }

    /// TCP's handshake, and that of TLS 1.3.
    pub(crate) fn tls13(self) -> Self {
        self.handshake()
            .bytes(ClientToServer, &client_hello())
            .bytes(ServerToClient, &server_hello(0x0304))
            .sealed(ServerToClient, 6)
            .sealed(ServerToClient, 822)
            .sealed(ServerToClient, 264)
            .sealed(ServerToClient, 36)
            .sealed(ClientToServer, 36)
    }

    /// The same, and records of the sizes of session tickets, a request and its answer.
    pub(crate) fn sealed_upgrade(self) -> Self {
        self.tls13()
            .sealed(ServerToClient, 233)
            .sealed(ServerToClient, 233)
            .sealed(ClientToServer, 195)
            .sealed(ServerToClient, 203)
    }

    /// A Ping of one side and its Pong.
    pub(crate) fn sealed_beat(self, from: Direction) -> Self {
        self.sealed_frame(from, 0x89, b"beat")
            .sealed_frame(from.reverse(), 0x8a, b"beat")
    }

    /// Both sides' close_notify, as the sizes show it, and FIN.
    pub(crate) fn sealed_end(self, first: Direction) -> Self {
        self.sealed(first, 2)
            .sealed(first.reverse(), 2)
            .fin(first)
            .fin(first.reverse())
    }
}
