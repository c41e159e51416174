//! A TCP connection on which nothing said WebSocket: worth a word only if it failed.

use super::Leg;
use crate::http::Lookalike;
use crate::stream::{PacketRef, Sides};

/// A connection without an opening handshake.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its TCP facts.
    pub leg: Leg,
    /// What the first bytes of each side look like, where they are no HTTP/1.
    pub looks_like: Sides<Option<(Lookalike, PacketRef)>>,
    /// Ordinary HTTP requests that were answered.
    pub exchanges: u64,
    /// The capture's last packet when this was let go.
    pub horizon: PacketRef,
    /// Its transport ended, rather than the capture.
    pub settled: bool,
}

impl Attempt {
    /// A connection with these TCP facts and nothing else yet.
    pub fn new(leg: Leg) -> Self {
        let horizon = leg.first;
        Self {
            leg,
            looks_like: Sides::default(),
            exchanges: 0,
            horizon,
            settled: false,
        }
    }

    /// Nobody took the connection: a SYN, but no SYN-ACK.
    pub fn never_opened(&self) -> bool {
        self.leg.syn_count.client > 0 && self.leg.syn_count.server == 0 && !self.leg.has_payload()
    }

    /// Something went wrong that a report may have to tell.
    pub fn is_worth_telling(&self) -> bool {
        let alerts = self
            .looks_like
            .iter()
            .any(|(_, l)| matches!(l, Some((Lookalike::TlsAlert(..), _))));
        let client_speaks_tls =
            matches!(self.looks_like.client, Some((Lookalike::TlsHandshake, _)));
        let server_answers_tls = matches!(
            self.looks_like.server,
            Some((Lookalike::TlsHandshake | Lookalike::TlsAlert(..), _))
        );
        self.never_opened() || alerts || (client_speaks_tls && !server_answers_tls)
    }
}

impl Leg {
    /// Payload of either side was seen.
    pub fn has_payload(&self) -> bool {
        self.first_payload.client.is_some() || self.first_payload.server.is_some()
    }
}
