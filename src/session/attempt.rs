//! A TCP connection on which nothing said WebSocket: worth a word only if it failed.

use super::tls::TLS13;
use super::{Keyless, Leg, SameAs, SealedRecord, Tls, TunnelRequests, version_name};
use crate::http::Lookalike;
use crate::stream::{Direction, PacketRef, Sides};
use crate::tls::ContentType;

/// A connection without an opening handshake.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its TCP facts.
    pub leg: Leg,
    /// What the first bytes of each side look like, where they are no HTTP/1.
    pub looks_like: Sides<Option<(Lookalike, PacketRef)>>,
    /// The client began with TLS, and the server's first bytes are HTTP/1's.
    pub plain_answer: Option<PacketRef>,
    /// CONNECTs that opened no tunnel.
    pub connects: TunnelRequests,
    /// Ordinary HTTP requests that were answered.
    pub exchanges: u64,
    /// The capture's last packet when this was let go.
    pub horizon: PacketRef,
    /// Its transport ended, rather than the capture.
    pub settled: bool,
    /// Nobody could read it, and its records suggest a WebSocket if others to this server are.
    pub unproven: Option<Box<Keyless>>,
    /// Nobody could read it: a record of a request's size, after which the server sent none.
    pub unanswered: Option<PacketRef>,
    /// It is another connection's, seen behind an address translation.
    pub same_as: Option<SameAs>,
}

impl Attempt {
    /// A connection with these TCP facts and nothing else yet.
    pub fn new(leg: Leg) -> Self {
        let horizon = leg.first;
        Self {
            leg,
            looks_like: Sides::default(),
            plain_answer: None,
            connects: TunnelRequests::default(),
            exchanges: 0,
            horizon,
            settled: false,
            unproven: None,
            unanswered: None,
            same_as: None,
        }
    }

    /// Nobody took the connection: a SYN, but no SYN-ACK.
    pub fn never_opened(&self) -> bool {
        self.leg.syn_count.client > 0 && self.leg.syn_count.server == 0 && !self.leg.has_payload()
    }

    /// Somebody answered, if only to refuse it.
    pub fn is_answered(&self) -> bool {
        self.leg.last_packet.server.is_some() || !self.leg.unreachable.is_empty()
    }

    /// Bytes of the server to a client that speaks TLS; only the first ones count.
    pub fn on_answer_to_tls(&mut self, bytes: &[u8], at: PacketRef) {
        let asked = matches!(self.looks_like.client, Some((Lookalike::TlsHandshake, _)));
        if !asked || self.plain_answer.is_some() || self.looks_like.server.is_some() {
            return;
        }
        let looks_like = match *bytes {
            // RFC 8446, section 5.1.
            [0x16, 0x03, ..] => Lookalike::TlsHandshake,
            [0x15, 0x03, _, _, _, level, description, ..] => {
                Lookalike::TlsAlert(level, description)
            }
            _ if bytes.starts_with(b"HTTP/") => {
                self.plain_answer = Some(at);
                return;
            }
            _ => Lookalike::Unknown,
        };
        self.looks_like.server = Some((looks_like, at));
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
        let no_tunnel = self.connects.last().is_some();
        self.never_opened()
            || no_tunnel
            || alerts
            || (client_speaks_tls && !server_answers_tls)
            || self.leg.tls.as_deref().is_some_and(is_tls_worth_telling)
            || self.is_left_at_once()
            || self.leg.client_refused().is_some()
    }

    /// TLS up to 1.2 was complete, the client ended TCP without another word,
    /// and the certificate shows why it may have.
    ///
    /// Node looks at the certificate when the handshake is complete. Who only
    /// tries a port says as little, but most of those send close_notify.
    pub fn is_left_at_once(&self) -> bool {
        let leg = &self.leg;
        let Some(tls) = leg.tls.as_deref() else {
            return false;
        };
        let finished = tls.finished.client.or(tls.sealed.client.first);
        let data = |record: &SealedRecord| record.content == ContentType::ApplicationData;
        leg.fin.client.is_some()
            && tls.version() != Some(version_name(TLS13))
            && tls.shows_reason_to_refuse()
            && leg.last_payload.client <= finished
            && !tls.sealed_records.in_order().iter().any(data)
    }
}

/// The handshake failed, or settled on what it should not have.
fn is_tls_worth_telling(tls: &Tls) -> bool {
    let complete = Direction::BOTH
        .into_iter()
        .all(|side| tls.has_finished(side));
    !complete
        || tls.fatal().is_some()
        || tls.legacy_version().is_some()
        || !tls.certificate_problems().is_empty()
}

impl Leg {
    /// Payload of either side was seen.
    pub fn has_payload(&self) -> bool {
        self.first_payload.client.is_some() || self.first_payload.server.is_some()
    }
}
