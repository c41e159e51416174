//! TLS around a session: a handshake that looks right and agrees on nothing
//! (a bystander can't check the key exchange), and the records behind it.

use std::fmt::Write as _;

use wscope::stream::{Direction, SecretLabel, Sides};

use super::hello;
use super::options::Options;
use super::rng::Rng;
use super::seal::{CONTENT, Sealer, Suite, Version, content, header};

use Direction::{ClientToServer, ServerToClient};

/// One flight of the handshake: who sends it, and its bytes.
pub(crate) type Flight = (Direction, Vec<u8>);

/// TLS on one connection.
pub(crate) struct Tls {
    version: Version,
    suite: Suite,
    /// Those of application data; `None` before the handshake.
    sealers: Option<Sides<Sealer>>,
}

impl Version {
    /// What the next session speaks; `None` is no TLS.
    pub(crate) fn draw(options: &Options, rng: &mut Rng) -> Option<Self> {
        let both = options.tls + options.tls12;
        if !rng.percent(both) {
            return None;
        }
        let old = rng.percent(100.0 * options.tls12 / both);
        Some(if old { Self::Tls12 } else { Self::Tls13 })
    }
}

impl Tls {
    pub(crate) fn new(version: Version, suite: Suite) -> Self {
        Self {
            version,
            suite,
            sealers: None,
        }
    }

    /// The whole handshake; the secrets go to `key_log`.
    pub(crate) fn handshake(&mut self, rng: &mut Rng, key_log: &mut String) -> Vec<Flight> {
        let randoms = Sides::from_fn(|_| rng.bytes());
        let flights = match self.version {
            Version::Tls13 => self.handshake13(&randoms, rng, key_log),
            Version::Tls12 => self.handshake12(&randoms, rng, key_log),
        };
        // It fails for keys of a wrong length only, and these are cut to measure.
        flights.unwrap_or_default()
    }

    /// RFC 8446, section 2, with middlebox compatibility (appendix D.4).
    fn handshake13(
        &mut self,
        randoms: &Sides<[u8; 32]>,
        rng: &mut Rng,
        key_log: &mut String,
    ) -> Option<Vec<Flight>> {
        let session: [u8; 32] = rng.bytes();
        let id = self.suite.id(self.version);
        let change = [&header(content::CHANGE_CIPHER_SPEC, 1)[..], &[1]].concat();
        let mut secret = |label: SecretLabel, rng: &mut Rng| {
            let bytes: Vec<u8> = rng
                .bytes::<48>()
                .into_iter()
                .take(self.suite.hash_len())
                .collect();
            log(key_log, label, &randoms.client, &bytes);
            Sealer::of_secret(self.suite, &bytes)
        };
        let mut early = Sides {
            client: secret(SecretLabel::ClientHandshakeTraffic, rng)?,
            server: secret(SecretLabel::ServerHandshakeTraffic, rng)?,
        };
        let mut late = Sides {
            client: secret(SecretLabel::ClientTraffic, rng)?,
            server: secret(SecretLabel::ServerTraffic, rng)?,
        };

        let offer = plain(0x0301, &hello::client(&randoms.client, &session, true, rng));
        let mut answer = plain(0x0303, &hello::server13(&randoms.server, &session, id, rng));
        answer.extend_from_slice(&change);
        for message in [
            hello::encrypted_extensions(),
            hello::certificate(true),
            hello::certificate_verify(rng),
            hello::finished(self.suite.hash_len(), rng),
        ] {
            early.server.seal(content::HANDSHAKE, &message, &mut answer);
        }
        let mut finish = change;
        let message = hello::finished(self.suite.hash_len(), rng);
        early.client.seal(content::HANDSHAKE, &message, &mut finish);
        let mut tickets = Vec::new();
        for number in 0..2 {
            let message = hello::ticket(number, rng);
            late.server.seal(content::HANDSHAKE, &message, &mut tickets);
        }
        self.sealers = Some(late);
        Some(vec![
            (ClientToServer, offer),
            (ServerToClient, answer),
            (ClientToServer, finish),
            (ServerToClient, tickets),
        ])
    }

    /// RFC 5246, section 7.3, with ECDHE (RFC 8422).
    fn handshake12(
        &mut self,
        randoms: &Sides<[u8; 32]>,
        rng: &mut Rng,
        key_log: &mut String,
    ) -> Option<Vec<Flight>> {
        let session: [u8; 32] = rng.bytes();
        let master: [u8; 48] = rng.bytes();
        log(key_log, SecretLabel::Master, &randoms.client, &master);
        let mut sealers = Sealer::of_master(self.suite, &master, randoms)?;
        let change = [&header(content::CHANGE_CIPHER_SPEC, 1)[..], &[1]].concat();

        let id = self.suite.id(self.version);
        let offer = plain(0x0301, &hello::client(&randoms.client, &[], false, rng));
        let mut answer = Vec::new();
        for message in [
            hello::server12(&randoms.server, &session, id),
            hello::certificate(false),
            hello::server_key_exchange(rng),
            hello::server_hello_done(),
        ] {
            answer.extend(plain(0x0303, &message));
        }
        let mut finish = plain(0x0303, &hello::client_key_exchange(rng));
        finish.extend_from_slice(&change);
        let message = hello::finished(12, rng);
        sealers
            .client
            .seal(content::HANDSHAKE, &message, &mut finish);
        let mut last = change;
        let message = hello::finished(12, rng);
        sealers.server.seal(content::HANDSHAKE, &message, &mut last);
        self.sealers = Some(sealers);
        Some(vec![
            (ClientToServer, offer),
            (ServerToClient, answer),
            (ClientToServer, finish),
            (ServerToClient, last),
        ])
    }

    /// Puts what stands in `out` from `start` on into records, as few as hold it.
    pub(crate) fn seal(&mut self, from: Direction, start: usize, out: &mut Vec<u8>) {
        let Some(sealers) = &mut self.sealers else {
            return;
        };
        let plain = out.split_off(start);
        for content in plain.chunks(CONTENT) {
            sealers[from].seal(content::APPLICATION_DATA, content, out);
        }
    }

    /// The alert that ends `from`'s half (RFC 8446, section 6.1).
    pub(crate) fn close_notify(&mut self, from: Direction) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(sealers) = &mut self.sealers {
            sealers[from].seal(content::ALERT, &[1, 0], &mut out);
        }
        out
    }
}

/// A handshake message in a record of its own, in the clear.
fn plain(version: u16, message: &[u8]) -> Vec<u8> {
    let mut record = header(content::HANDSHAKE, message.len()).to_vec();
    record.splice(1..3, version.to_be_bytes());
    record.extend_from_slice(message);
    record
}

/// RFC 9850: one line of a key log.
fn log(key_log: &mut String, label: SecretLabel, client_random: &[u8; 32], secret: &[u8]) {
    key_log.push_str(label.name());
    for bytes in [client_random.as_slice(), secret] {
        key_log.push(' ');
        for byte in bytes {
            // A String takes all that it is given.
            let _ = write!(key_log, "{byte:02x}");
        }
    }
    key_log.push('\n');
}
