//! What was sent, for tests to hold wscope's report against. Names are those of
//! wscope's JSON where it has one for the same thing.

use serde::Serialize;
use sha2::{Digest, Sha256};
use wscope::stream::{Direction, Sides};

use super::websocket::Opcode;

/// The whole capture.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Truth {
    pub(crate) seed: u64,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) tcp_connections: usize,
    pub(crate) messages: u64,
    pub(crate) http: HttpTruth,
    pub(crate) sessions: Vec<SessionTruth>,
    /// The secrets of the sessions with TLS, in the form of SSLKEYLOGFILE.
    #[serde(skip)]
    #[allow(dead_code, reason = "a benchmark of plain traffic needs none")]
    pub(crate) key_log: String,
}

/// The background.
#[derive(Debug, Default, Serialize)]
pub(crate) struct HttpTruth {
    pub(crate) connections: u64,
    pub(crate) requests: u64,
}

/// One session.
#[derive(Debug, Serialize)]
pub(crate) struct SessionTruth {
    pub(crate) tcp_stream: usize,
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) deflate: bool,
    pub(crate) frames: Pair<Frames>,
    pub(crate) messages: Pair<Messages>,
    pub(crate) closing: Closing,
    pub(crate) client_close: Option<u16>,
    pub(crate) server_close: Option<u16>,
    #[serde(skip)]
    pub(crate) digests: Option<Sides<Sha256>>,
}

/// The client's value and the server's.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Pair<T> {
    pub(crate) client: T,
    pub(crate) server: T,
}

/// Frames by opcode.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Frames {
    pub(crate) text: u64,
    pub(crate) binary: u64,
    pub(crate) continuation: u64,
    pub(crate) close: u64,
    pub(crate) ping: u64,
    pub(crate) pong: u64,
}

/// Data messages.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Messages {
    pub(crate) count: u64,
    /// Bytes that the application sent.
    pub(crate) bytes: u64,
    /// Bytes of their frames, headers included.
    pub(crate) wire_bytes: u64,
    /// SHA-256 over the SHA-256 (32 bytes) of each message, in order, as hexadecimal.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) sha256: String,
}

/// How the session ended.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Closing {
    /// `clean` or `abnormal`.
    pub(crate) kind: &'static str,
    /// `close`, `fin` or `rst`.
    pub(crate) how: &'static str,
    /// Who sent the first Close, FIN or RST: `client` or `server`.
    pub(crate) ended_by: &'static str,
}

impl<T> Pair<T> {
    /// The value of what goes in `direction`.
    pub(crate) fn sender(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::ClientToServer => &mut self.client,
            Direction::ServerToClient => &mut self.server,
        }
    }
}

impl Frames {
    /// One more of them.
    pub(crate) fn count(&mut self, opcode: Opcode) {
        let counter = match opcode {
            Opcode::Continuation => &mut self.continuation,
            Opcode::Text => &mut self.text,
            Opcode::Binary => &mut self.binary,
            Opcode::Close => &mut self.close,
            Opcode::Ping => &mut self.ping,
            Opcode::Pong => &mut self.pong,
        };
        *counter += 1;
    }
}

impl SessionTruth {
    /// A data message was sent, in frames of `wire_bytes` in all.
    pub(crate) fn message(&mut self, from: Direction, payload: &[u8], wire_bytes: usize) {
        let messages = self.messages.sender(from);
        messages.count += 1;
        messages.bytes += u64::try_from(payload.len()).unwrap_or(0);
        messages.wire_bytes += u64::try_from(wire_bytes).unwrap_or(0);
        if let Some(digests) = &mut self.digests {
            digests[from].update(Sha256::digest(payload));
        }
    }

    /// The session is over: its digests become text.
    pub(crate) fn finish(mut self) -> Self {
        for (from, digest) in self.digests.take().iter().flat_map(Sides::iter) {
            let digest = digest.clone().finalize();
            self.messages.sender(from).sha256 =
                digest.iter().map(|byte| format!("{byte:02x}")).collect();
        }
        self
    }
}
