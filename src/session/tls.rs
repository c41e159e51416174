//! What TLS showed of one connection.

use std::time::Duration;

use crate::stream::{PacketRef, Sides};
use crate::tls::{Certificate, ClientHello, Event, ServerHello, Undecrypted};

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

/// An alert that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertSeen {
    /// Whose.
    pub direction: crate::stream::Direction,
    /// What it says.
    pub alert: crate::tls::Alert,
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
            Event::Closed { .. } => {}
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

    /// Bytes inside were read.
    pub fn is_decrypted(&self) -> bool {
        self.opened.client.is_some() || self.opened.server.is_some()
    }

    /// Why nothing was read, where that is so.
    pub fn undecrypted(&self) -> Option<Undecrypted> {
        let sides = [self.undecrypted.client, self.undecrypted.server];
        let reason = sides.into_iter().flatten().map(|(reason, _)| reason).next();
        reason.filter(|_| !self.is_decrypted())
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
