//! What the handshake messages settle.

use sha2::Digest as _;

use super::connection::{Connection, EarlyData, Exchange, Parameters};
use super::half::Protection;
use super::handshake::kind;
use super::hello::{self, ClientHello, ServerHello};
use super::keys::Keys;
use super::reader::Arrival;
use super::schedule::Prf;
use super::suite::{self, KeyExchange};
use super::{Event, Output};
use crate::stream::{Direction, PacketRef};

/// How much of a handshake is kept for a hash over it.
///
/// Rationale: certificate chains of a few kB, with room.
const TRANSCRIPT: usize = 64 * 1024;

impl Connection {
    /// The content of a handshake record.
    pub(super) fn on_handshake(
        &mut self,
        direction: Direction,
        content: &[u8],
        arrival: Arrival,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let half = &mut self.halves[direction];
        half.messages.push(content);
        while let Some((kind, message)) = self.halves[direction].messages.next() {
            self.on_message(direction, kind, &message, arrival.seen, keys, out);
        }
    }

    fn on_message(
        &mut self,
        direction: Direction,
        kind: u8,
        message: &[u8],
        at: PacketRef,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let body = message.get(4..).unwrap_or_default();
        let tls13 = self.parameters.version == Some(0x0304);
        if kind == kind::CLIENT_HELLO {
            self.parameters.transcript.clear();
        }
        if !tls13 && kind != kind::HELLO_REQUEST {
            self.parameters.record(message);
        }
        match kind {
            kind::CLIENT_HELLO => {
                if let Some(hello) = ClientHello::parse(body) {
                    self.on_client_hello(hello, at, out);
                }
            }
            kind::SERVER_HELLO => {
                if let Some(hello) = ServerHello::parse(body) {
                    self.on_server_hello(hello, at, keys, out);
                    // Records of the client that the capture has before it; early data waits on.
                    if self.parameters.early_data != EarlyData::Offered {
                        self.replay(Direction::ClientToServer, keys, out);
                    }
                }
            }
            kind::ENCRYPTED_EXTENSIONS if tls13 => {
                let (alpn, early) = hello::encrypted_extensions(body);
                if let Some(alpn) = alpn {
                    out(Output::Fact(Event::Protocol { alpn, at }));
                }
                if self.parameters.early_data == EarlyData::Offered {
                    self.parameters.early_data = if early {
                        EarlyData::Accepted
                    } else {
                        EarlyData::Refused
                    };
                    self.replay(Direction::ClientToServer, keys, out);
                }
            }
            kind::CERTIFICATE => {
                let chain = hello::certificates(body, tls13);
                out(Output::Fact(Event::Certificate {
                    direction,
                    chain,
                    at,
                }));
            }
            kind::CERTIFICATE_REQUEST => out(Output::Fact(Event::CertificateRequest { at })),
            kind::CLIENT_KEY_EXCHANGE if !tls13 => self.parameters.on_key_exchange(body),
            kind::FINISHED => out(Output::Fact(Event::Finished { direction, at })),
            kind::KEY_UPDATE if tls13 => {
                self.halves[direction].update_keys();
                out(Output::Fact(Event::KeyUpdate { direction, at }));
            }
            _ => {}
        }
    }

    fn on_client_hello(
        &mut self,
        hello: ClientHello,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let parameters = &mut self.parameters;
        // After a HelloRetryRequest the same random comes again; in a renegotiation a new one.
        if parameters.client_random != Some(hello.random) {
            let transcript = std::mem::take(&mut parameters.transcript);
            *parameters = Parameters {
                transcript,
                ..Parameters::default()
            };
        }
        parameters.client_random = Some(hello.random);
        parameters.offered_session.clone_from(&hello.session_id);
        parameters.early_data = match (hello.early_data, parameters.early_data) {
            (true, _) => EarlyData::Offered,
            (false, EarlyData::Refused) => EarlyData::Refused,
            (false, _) => EarlyData::NotOffered,
        };
        out(Output::Fact(Event::ClientHello {
            hello: Box::new(hello),
            at,
        }));
    }

    fn on_server_hello(
        &mut self,
        hello: ServerHello,
        at: PacketRef,
        keys: &Keys,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if hello.is_retry() {
            out(Output::Fact(Event::HelloRetryRequest { at }));
            // RFC 8446, section 4.1.2: early data is refused with it; the next ClientHello waits behind.
            if self.parameters.early_data == EarlyData::Offered {
                self.parameters.early_data = EarlyData::Refused;
                self.replay(Direction::ClientToServer, keys, out);
            }
            return;
        }
        let parameters = &mut self.parameters;
        let tls13 = hello.version == 0x0304;
        parameters.server_random = Some(hello.random);
        parameters.version = Some(hello.version);
        parameters.suite = suite::by_id(hello.suite).filter(|suite| {
            let of_tls13 = (0x1301..=0x1305).contains(&suite.id);
            of_tls13 == tls13 && hello.version >= 0x0301
        });
        parameters.encrypt_then_mac = hello.encrypt_then_mac;
        parameters.extended_master_secret = hello.extended_master_secret;
        parameters.session.clone_from(&hello.session_id);
        let same_session =
            !hello.session_id.is_empty() && hello.session_id == parameters.offered_session;
        let resumed = if tls13 {
            hello.pre_shared_key
        } else {
            same_session
        };
        if tls13 {
            parameters.transcript = Vec::new();
            for direction in Direction::BOTH {
                let half = &mut self.halves[direction];
                let missed = half.missed;
                if matches!(half.protection, Protection::None) {
                    half.protect(Protection::Epochs(None));
                    half.missed = missed;
                }
            }
        }
        let (suite, alpn) = (suite::name_of(hello.suite), hello.alpn.clone());
        out(Output::Fact(Event::ServerHello {
            hello: Box::new(hello),
            suite,
            resumed,
            at,
        }));
        if let Some(alpn) = alpn {
            out(Output::Fact(Event::Protocol { alpn, at }));
        }
    }
}

impl Parameters {
    fn record(&mut self, message: &[u8]) {
        if self.transcript.len().saturating_add(message.len()) <= TRANSCRIPT {
            self.transcript.extend_from_slice(message);
        }
    }

    /// RFC 5246, section 7.4.7.1: the premaster secret, encrypted for the server.
    fn on_key_exchange(&mut self, body: &[u8]) {
        let transcript = std::mem::take(&mut self.transcript);
        let (Some(version), Some(suite)) = (self.version, self.suite) else {
            return;
        };
        let encrypted = body.get(2..).and_then(|encrypted| encrypted.first_chunk());
        if let (KeyExchange::Rsa, Some(encrypted)) = (suite.exchange, encrypted) {
            self.exchange = Some(Exchange {
                encrypted: *encrypted,
                session_hash: session_hash(Prf::of(version, suite), &transcript),
            });
        }
    }

    /// The master secret, where the keys at hand tell it.
    pub(super) fn master(&self, keys: &Keys) -> Option<Vec<u8>> {
        let client = self.client_random?;
        let computed = self.exchange.as_ref().and_then(|exchange| {
            let premaster = keys.premaster(&exchange.encrypted)?;
            let prf = Prf::of(self.version?, self.suite?);
            Some(if self.extended_master_secret {
                prf.extended_master_secret(premaster, &exchange.session_hash)
            } else {
                prf.master_secret(premaster, &client, &self.server_random?)
            })
        });
        computed.or_else(|| keys.master(&client, &self.session).map(<[u8]>::to_vec))
    }
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
        parameters.on_key_exchange(&body);
        let mut keys = Keys::new(true);
        assert_eq!(parameters.master(&keys), None);
        keys.add(Secret::Premaster {
            encrypted: [7; 8],
            bytes: vec![3; 48],
        });
        let plain = Prf::Sha256.master_secret(&[3; 48], &[1; 32], &[2; 32]);
        assert_eq!(parameters.master(&keys), Some(plain));

        parameters.extended_master_secret = true;
        parameters.record(b"messages");
        parameters.on_key_exchange(&body);
        let hash = sha2::Sha256::digest(b"messages");
        let extended = Prf::Sha256.extended_master_secret(&[3; 48], &hash);
        assert_eq!(parameters.master(&keys), Some(extended));
    }
}
