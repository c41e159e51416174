//! A server of TLS 1.3 that doesn't take the client's certificate, told from
//! sizes and places alone: nobody can read its alert.

use super::tls::TLS13;
use super::{Leg, SealedRecord};
use crate::stream::{Direction, PacketRef};

/// What the client showed when it was asked for its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientCertificate {
    /// An empty list.
    Missing,
    /// A certificate.
    Shown,
}

/// The server ended TLS over it.
#[derive(Clone, Copy, Debug)]
pub struct ClientRefused {
    /// What the client had shown.
    pub shown: ClientCertificate,
    /// The client's half of the handshake.
    pub flight: PacketRef,
    /// The server's record of the size of an alert.
    pub at: PacketRef,
}

impl Leg {
    /// The server answered the client's certificate, or the lack of one, with
    /// nothing but a record of the size of an alert.
    ///
    /// A server that takes it sends session tickets or data first; a client
    /// that had left before would have said so in a record of that size too.
    pub fn client_refused(&self) -> Option<ClientRefused> {
        let tls = self.tls.as_deref()?;
        let chosen = tls.server_hello.as_ref()?;
        if chosen.hello.version != TLS13 || chosen.resumed || tls.is_decrypted() {
            return None;
        }
        if !self.gaps.is_empty() || tls.fatal().is_some() {
            return None;
        }
        let at = tls.sealed.server.alert?;
        let records = tls.sealed_records.in_order();
        let client: Vec<&SealedRecord> = of(&records, Direction::ClientToServer);
        let flight = client.first()?.at;
        let added = tls.added()?;
        let (shown, len) = shown(&client, finished_len(&chosen.suite), added)?;
        let last = client.get(len.checked_sub(1)?)?.at;
        let server = of(&records, Direction::ServerToClient);
        // Nothing else of the server from the client's flight on.
        let alone = server.iter().filter(|record| record.at > flight).count() == 1;
        let left = tls.sealed.client.alert.is_some_and(|alert| alert < at)
            || self.fin.client.is_some_and(|fin| fin < at);
        let ended = self.fin.server.or(self.fin.client).is_some() || !self.resets.is_empty();
        (alone && at > last && !left && ended).then_some(ClientRefused { shown, flight, at })
    }
}

fn of(records: &[SealedRecord], side: Direction) -> Vec<&SealedRecord> {
    let own = records.iter().filter(|record| record.direction == side);
    own.collect()
}

/// RFC 8446, section 4.4.4: a header of 4 bytes and as many as the suite's hash has.
fn finished_len(suite: &str) -> u16 {
    if suite.ends_with("_SHA384") { 52 } else { 36 }
}

/// What the client's first records hold, and how many they are: its half of
/// the handshake where the server asked for a certificate.
fn shown(
    client: &[&SealedRecord],
    finished: u16,
    added: u16,
) -> Option<(ClientCertificate, usize)> {
    /// RFC 8446, section 4.4.2: a header of 4 bytes, no context and an empty list.
    const EMPTY: u16 = 4 + 1 + 3;
    /// Rationale: no certificate is shorter, nor a request that is as long as the flight's first.
    const SMALLEST: u16 = 200;
    /// Rationale: a header, the algorithm, and an Ed25519 signature; the others are longer.
    const SIGNATURE: u16 = 4 + 2 + 2 + 64;
    let lens: Vec<u16> = client
        .iter()
        .map(|record| record.len.saturating_sub(added))
        .collect();
    let missing = |len| Some((ClientCertificate::Missing, len));
    match *lens.as_slice() {
        [EMPTY, end, ..] if end == finished => missing(2),
        [both, ..] if both == EMPTY + finished => missing(1),
        [certificate, signature, end, ..]
            if certificate >= SMALLEST && signature >= SIGNATURE && end == finished =>
        {
            Some((ClientCertificate::Shown, 3))
        }
        _ => None,
    }
}
