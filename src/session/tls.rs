//! What TLS showed of one connection.

use std::time::Duration;

use super::sealed::{self, SealedRecord, SealedRecords};
use crate::stream::{Direction, PacketRef, Sides};
use crate::tls::{Alert, Certificate, ClientHello, ContentType, Event, ServerHello, Undecrypted};

pub(super) const TLS13: u16 = 0x0304;

/// How many alerts are kept.
///
/// Rationale: one ends a connection; a few more tell that somebody plays.
const ALERTS: usize = 8;

/// TLS on one connection.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The client's offer.
    pub client_hello: Option<(Box<ClientHello>, PacketRef)>,
    /// The server asked for another one.
    pub retry: Option<PacketRef>,
    /// The server's choice.
    pub server_hello: Option<Chosen>,
    /// The protocol agreed on.
    pub alpn: Option<(String, PacketRef)>,
    /// Certificate chains, the sender's own first.
    pub certificates: Sides<Option<(Vec<Certificate>, PacketRef)>>,
    /// The server asked for a certificate of the client.
    pub certificate_request: Option<PacketRef>,
    /// What the client encrypted for the server, where none of the private keys is the server's.
    pub foreign_private_key: Option<PacketRef>,
    /// The end of each side's handshake, where it could be read.
    pub finished: Sides<Option<PacketRef>>,
    /// How often each side changed its keys.
    pub key_updates: Sides<u64>,
    /// Alerts that could be read, but for close_notify: the first 8.
    pub alerts: Vec<AlertSeen>,
    /// This side said that it sends nothing more.
    pub close_notify: Sides<Option<PacketRef>>,
    /// The first record that was decrypted.
    pub opened: Sides<Option<PacketRef>>,
    /// Protected records that stayed closed, from the ServerHello on.
    pub sealed: Sides<Sealed>,
    /// Such records one by one, as far as they are kept.
    pub sealed_records: SealedRecords,
    /// Records stayed closed.
    pub undecrypted: Sides<Option<(Undecrypted, PacketRef)>>,
    /// Records that were lost, or could not be opened, between others that were.
    pub records_lost: Sides<u64>,
    /// What came was no TLS.
    pub foreign: Sides<Option<PacketRef>>,
}

/// The server's choice.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// What its hello holds.
    pub hello: Box<ServerHello>,
    /// The suite's name.
    pub suite: String,
    /// An older session goes on.
    pub resumed: bool,
    /// The packet.
    pub at: PacketRef,
}

/// Protected records of one side that stayed closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// The newest that has the size, or the type, of an alert.
    pub alert: Option<PacketRef>,
    /// The first that is none.
    pub first: Option<PacketRef>,
}

/// An alert that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertSeen {
    /// Whose.
    pub direction: Direction,
    /// What it says.
    pub alert: Alert,
    /// It was protected.
    pub protected: bool,
    /// The packet.
    pub at: PacketRef,
}

impl Tls {
    /// Takes a fact of TLS.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::ClientHello { hello, at } => {
                if self.client_hello.is_none() {
                    self.client_hello = Some((hello.clone(), *at));
                }
            }
            Event::HelloRetryRequest { at } => self.retry = Some(*at),
            Event::ServerHello {
                hello,
                suite,
                resumed,
                at,
            } => {
                self.server_hello = Some(Chosen {
                    hello: hello.clone(),
                    suite: suite.clone(),
                    resumed: *resumed,
                    at: *at,
                });
            }
            Event::Protocol { alpn, at } => self.alpn = Some((alpn.clone(), *at)),
            Event::Certificate {
                direction,
                chain,
                at,
            } => self.certificates[*direction] = Some((chain.clone(), *at)),
            Event::CertificateRequest { at } => self.certificate_request = Some(*at),
            Event::ForeignPrivateKey { at } => {
                self.foreign_private_key.get_or_insert(*at);
            }
            Event::Resumed { .. } => {
                if let Some(chosen) = &mut self.server_hello {
                    chosen.resumed = true;
                }
            }
            Event::Finished { direction, at } => {
                self.finished[*direction].get_or_insert(*at);
            }
            Event::KeyUpdate { direction, .. } => self.key_updates[*direction] += 1,
            Event::Alert {
                direction,
                alert,
                protected,
                at,
            } => {
                if alert.is_close_notify() {
                    self.close_notify[*direction].get_or_insert(*at);
                } else if self.alerts.len() < ALERTS {
                    self.alerts.push(AlertSeen {
                        direction: *direction,
                        alert: *alert,
                        protected: *protected,
                        at: *at,
                    });
                }
            }
            Event::Closed {
                direction,
                content,
                len,
                at,
            } => self.on_closed(*direction, *content, *len, *at),
            Event::Opened { direction, at } => self.opened[*direction] = Some(*at),
            Event::Undecrypted {
                direction,
                reason,
                at,
            } => self.undecrypted[*direction] = Some((*reason, *at)),
            Event::RecordsLost {
                direction, count, ..
            } => {
                self.records_lost[*direction] += count.unwrap_or(1);
            }
            Event::Foreign { direction, at } => {
                self.foreign[*direction].get_or_insert(*at);
            }
        }
    }

    fn on_closed(&mut self, direction: Direction, content: ContentType, len: u16, at: PacketRef) {
        let Some(chosen) = &self.server_hello else {
            return;
        };
        // Early data of a client.
        if at < chosen.at {
            return;
        }
        // RFC 8446, section 5.2: two bytes, the content type and a tag of 16 bytes or 8.
        let alert = match chosen.hello.version {
            TLS13 => len <= 2 + 1 + 16,
            _ => content == ContentType::Alert,
        };
        self.sealed_records.push(SealedRecord {
            direction,
            content,
            len,
            at,
        });
        let sealed = &mut self.sealed[direction];
        if alert {
            sealed.alert = Some(at);
        } else {
            sealed.first.get_or_insert(at);
        }
    }

    /// How many bytes encryption adds to what a record holds, where that is fixed.
    pub fn added(&self) -> Option<u16> {
        let chosen = self.server_hello.as_ref()?;
        sealed::added(chosen.hello.version, &chosen.suite)
    }

    /// This side's half of the handshake is complete, as far as can be told:
    /// nothing but an alert is protected before its Finished.
    pub fn has_finished(&self, direction: Direction) -> bool {
        self.finished[direction].is_some()
            || match direction {
                Direction::ClientToServer => self.sealed.client.first.is_some(),
                // In TLS 1.3 the server's certificate is protected too.
                Direction::ServerToClient => {
                    self.sealed.server.first.is_some() && self.has_finished(direction.reverse())
                }
            }
    }

    /// The server chose, and showed its certificate or what can only be that.
    pub fn shown_certificate(&self) -> Option<PacketRef> {
        let chosen = self.server_hello.as_ref()?;
        if chosen.resumed {
            return None;
        }
        let shown = self.certificates.server.as_ref().map(|(_, at)| *at);
        let sealed = self.sealed.server.first;
        shown.or(sealed.filter(|_| chosen.hello.version == TLS13))
    }

    /// The first alert that ends a connection.
    pub fn fatal(&self) -> Option<&AlertSeen> {
        let tls13 = self
            .server_hello
            .as_ref()
            .is_some_and(|chosen| chosen.hello.version == TLS13);
        self.alerts
            .iter()
            .find(|seen| seen.alert.is_fatal() || tls13 && !seen.alert.is_of_closing())
    }

    /// A version that nobody should use any more (RFC 8996).
    pub fn legacy_version(&self) -> Option<(&'static str, PacketRef)> {
        let chosen = self.server_hello.as_ref()?;
        (chosen.hello.version < 0x0303).then_some((version_name(chosen.hello.version), chosen.at))
    }

    /// The client made up the secret and encrypted it for the server's RSA key
    /// (RFC 5246, section 7.4.7.1), so that this key opens all.
    pub fn uses_rsa_key_exchange(&self) -> bool {
        let chosen = self.server_hello.as_ref();
        chosen.is_some_and(|chosen| chosen.suite.starts_with("TLS_RSA_WITH_"))
    }

    /// The highest version that the client offers.
    pub fn offered_version(&self) -> Option<&'static str> {
        let (hello, _) = self.client_hello.as_ref()?;
        Some(version_name(hello.version))
    }

    /// The certificate that names the server, and its packet.
    pub fn certificate(&self) -> Option<(&Certificate, PacketRef)> {
        let (chain, at) = self.certificates.server.as_ref()?;
        chain.first().map(|leaf| (leaf, *at))
    }

    /// The name that the client asked for.
    pub fn server_name(&self) -> Option<&str> {
        let (hello, _) = self.client_hello.as_ref()?;
        hello.server_name.as_deref()
    }

    /// Bytes inside were read.
    pub fn is_decrypted(&self) -> bool {
        self.opened.client.is_some() || self.opened.server.is_some()
    }

    /// Why nothing was read, where that is so, and the packet that shows it.
    pub fn undecrypted(&self) -> Option<(Undecrypted, PacketRef)> {
        let sides = [self.undecrypted.client, self.undecrypted.server];
        let first = sides.into_iter().flatten().next();
        first.filter(|_| !self.is_decrypted())
    }

    /// The version's name: the one chosen.
    pub fn version(&self) -> Option<&'static str> {
        Some(version_name(self.server_hello.as_ref()?.hello.version))
    }

    /// From the ClientHello to the server's last handshake record that could be told, or its hello.
    pub fn handshake_time(&self) -> Option<Duration> {
        let (_, began) = self.client_hello.as_ref()?;
        let ended = self.finished.client.max(self.finished.server)?;
        ended.time.since(began.time)
    }
}

/// The name of a protocol version.
pub fn version_name(version: u16) -> &'static str {
    match version {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        _ => "unknown",
    }
}
