//! What the handshake settled, and the master secret that follows from it.

use sha2::Digest as _;

use super::keys::Keys;
use super::private_key::Premaster;
use super::schedule::Prf;
use super::suite::{KeyExchange, Suite};

/// How much of a handshake is kept for a hash over it.
///
/// Rationale: certificate chains of a few kB, with room.
const TRANSCRIPT: usize = 64 * 1024;

/// What the handshake settled.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) client_random: Option<[u8; 32]>,
    pub(super) server_random: Option<[u8; 32]>,
    pub(super) version: Option<u16>,
    /// The suite chosen, where it is one that can be read.
    pub(super) suite: Option<&'static Suite>,
    pub(super) offered_session: Vec<u8>,
    pub(super) session: Vec<u8>,
    /// The ticket that the client showed, as [`ticket_id`] names it.
    pub(super) ticket: Vec<u8>,
    /// The public key of the server's certificate, where there are private keys.
    pub(super) public_key: Option<Vec<u8>>,
    pub(super) answer: Answer,
    pub(super) early_data: EarlyData,
    pub(super) encrypt_then_mac: bool,
    pub(super) extended_master_secret: bool,
    /// The premaster secret that the client encrypted for the server.
    pub(super) exchange: Option<Exchange>,
    /// The handshake of TLS 1.2 and older up to ClientKeyExchange.
    pub(super) transcript: Vec<u8>,
}

/// What the master secret is computed from, beside the premaster secret and the randoms.
#[derive(Debug)]
pub(super) struct Exchange {
    /// How the encrypted premaster secret begins, by which a key log names it.
    pub(super) encrypted: [u8; 8],
    /// The premaster secret, where a private key opened it.
    pub(super) premaster: Option<Premaster>,
    /// RFC 7627, section 3.
    pub(super) session_hash: Vec<u8>,
}

/// What the server's ServerHello of TLS 1.2 or older was followed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Answer {
    /// Other messages, or it isn't known.
    #[default]
    More,
    /// Nothing yet, or only a new ticket: an older session goes on if it stays so.
    Nothing,
}

/// Data of the client before the handshake is complete (RFC 8446, section 4.2.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum EarlyData {
    #[default]
    NotOffered,
    Offered,
    Accepted,
    Refused,
    /// The server's answer was lost.
    Unanswered,
}

impl Parameters {
    pub(super) fn record(&mut self, message: &[u8]) {
        if self.transcript.len().saturating_add(message.len()) <= TRANSCRIPT {
            self.transcript.extend_from_slice(message);
        }
    }

    /// RFC 5246, section 7.4.7.1: the premaster secret, encrypted for the server.
    pub(super) fn on_key_exchange(&mut self, body: &[u8], keys: &Keys) {
        let transcript = std::mem::take(&mut self.transcript);
        let (Some(version), Some(suite)) = (self.version, self.suite) else {
            return;
        };
        let whole = body.get(2..).unwrap_or_default();
        let encrypted = whole.first_chunk();
        if let (KeyExchange::Rsa, Some(encrypted)) = (suite.exchange, encrypted) {
            self.exchange = Some(Exchange {
                encrypted: *encrypted,
                premaster: keys.decrypt(self.public_key.as_deref(), whole),
                session_hash: session_hash(Prf::of(version, suite), &transcript),
            });
        }
    }

    /// None of the private keys is that of the certificate for which the client encrypted its secret.
    pub(super) fn is_for_another(&self, keys: &Keys) -> bool {
        let public = self.public_key.as_deref();
        self.exchange.is_some() && public.is_some_and(|public| !keys.is_private_key_of(public))
    }

    /// The master secret, where the keys at hand tell it.
    pub(super) fn master(&self, keys: &Keys) -> Option<Vec<u8>> {
        let client = self.client_random?;
        let computed = self.exchange.as_ref().and_then(|exchange| {
            let opened = exchange.premaster.as_ref();
            let premaster = opened.map(|premaster| premaster.0.as_slice());
            let premaster = premaster.or_else(|| keys.premaster(&exchange.encrypted))?;
            let prf = Prf::of(self.version?, self.suite?);
            Some(if self.extended_master_secret {
                prf.extended_master_secret(premaster, &exchange.session_hash)
            } else {
                prf.master_secret(premaster, &client, &self.server_random?)
            })
        });
        computed.or_else(|| {
            let sessions = [self.session.as_slice(), &self.ticket];
            keys.master(&client, sessions).map(<[u8]>::to_vec)
        })
    }
}

/// By which the session of a ticket is known: tickets are long and many.
pub(super) fn ticket_id(ticket: &[u8]) -> Vec<u8> {
    sha2::Sha256::digest(ticket).to_vec()
}

/// RFC 7627, section 3.
fn session_hash(prf: Prf, transcript: &[u8]) -> Vec<u8> {
    match prf {
        Prf::Sha256 => sha2::Sha256::digest(transcript).to_vec(),
        Prf::Sha384 => sha2::Sha384::digest(transcript).to_vec(),
        Prf::Legacy => {
            let mut hash = md5::Md5::digest(transcript).to_vec();
            hash.extend_from_slice(&sha1::Sha1::digest(transcript));
            hash
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Secret;
    use crate::tls::suite;

    #[test]
    fn a_premaster_secret_may_come_after_its_handshake() {
        let mut parameters = Parameters {
            client_random: Some([1; 32]),
            server_random: Some([2; 32]),
            version: Some(0x0303),
            suite: suite::by_id(0x002f),
            ..Parameters::default()
        };
        let body = [&[0, 16], &[7; 16][..]].concat();
        let mut keys = Keys::new(true);
        parameters.on_key_exchange(&body, &keys);
        assert_eq!(parameters.master(&keys), None);
        keys.add(Secret::Premaster {
            encrypted: [7; 8],
            bytes: vec![3; 48],
        });
        let plain = Prf::Sha256.master_secret(&[3; 48], &[1; 32], &[2; 32]);
        assert_eq!(parameters.master(&keys), Some(plain));

        parameters.extended_master_secret = true;
        parameters.record(b"messages");
        parameters.on_key_exchange(&body, &keys);
        let hash = sha2::Sha256::digest(b"messages");
        let extended = Prf::Sha256.extended_master_secret(&[3; 48], &hash);
        assert_eq!(parameters.master(&keys), Some(extended));
    }
}
