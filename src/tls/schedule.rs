//! From secrets to keys: HKDF-Expand-Label of TLS 1.3, the PRFs of the older versions.

use hkdf::Hkdf;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384};

use super::suite::{Hash, Suite};

/// A key and its nonce or IV.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    /// Of the MAC; only with CBC.
    pub(super) mac: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) iv: Vec<u8>,
}

/// RFC 8446, section 7.3: the keys that a traffic secret stands for.
pub(super) fn traffic_keys(suite: &Suite, secret: &[u8]) -> Option<Keys> {
    let key = expand_label(suite.hash, secret, "key", suite.cipher.key_len())?;
    let iv = expand_label(suite.hash, secret, "iv", 12)?;
    Some(Keys {
        mac: Vec::new(),
        key,
        iv,
    })
}

/// RFC 8446, section 7.2: the traffic secret after a KeyUpdate.
pub(super) fn next_traffic_secret(suite: &Suite, secret: &[u8]) -> Option<Vec<u8>> {
    expand_label(suite.hash, secret, "traffic upd", suite.hash.len())
}

/// RFC 8446, section 7.1: HKDF-Expand-Label with an empty context.
fn expand_label(hash: Hash, secret: &[u8], label: &str, len: usize) -> Option<Vec<u8>> {
    let label_len = u8::try_from(label.len().saturating_add(6)).ok()?;
    let mut info = u16::try_from(len).ok()?.to_be_bytes().to_vec();
    info.push(label_len);
    info.extend_from_slice(b"tls13 ");
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    let mut out = vec![0; len];
    let done = match hash {
        Hash::Sha1 => return None,
        Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret)
            .ok()?
            .expand(&info, &mut out),
        Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret)
            .ok()?
            .expand(&info, &mut out),
    };
    done.ok().map(|()| out)
}

/// Which pseudorandom function a connection of TLS 1.2 or older uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prf {
    /// RFC 2246, section 5: MD5 and SHA-1, XORed; TLS 1.0 and 1.1.
    Legacy,
    /// RFC 5246, section 5.
    Sha256,
    /// With the suites that say so.
    Sha384,
}

impl Prf {
    /// That of a version (`0x0301` and so on) and suite.
    pub(super) const fn of(version: u16, suite: &Suite) -> Self {
        match (version, suite.hash) {
            (..0x0303, _) => Self::Legacy,
            // Suites with a MAC of SHA-384 use it for the PRF as well (RFC 5289, section 3.1).
            (_, Hash::Sha384) => Self::Sha384,
            (_, Hash::Sha1 | Hash::Sha256) => Self::Sha256,
        }
    }

    fn expand(self, secret: &[u8], label: &[u8], seed: &[&[u8]], len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        match self {
            Self::Sha256 => p_hash::<Hmac<Sha256>>(secret, label, seed, &mut out),
            Self::Sha384 => p_hash::<Hmac<Sha384>>(secret, label, seed, &mut out),
            Self::Legacy => {
                let half = secret.len().div_ceil(2);
                let first = secret.get(..half).unwrap_or_default();
                let second = secret
                    .get(secret.len().saturating_sub(half)..)
                    .unwrap_or_default();
                p_hash::<Hmac<Md5>>(first, label, seed, &mut out);
                p_hash::<Hmac<Sha1>>(second, label, seed, &mut out);
            }
        }
        out
    }

    /// RFC 5246, section 8.1: the master secret of a premaster secret.
    pub(super) fn master_secret(
        self,
        premaster: &[u8],
        client_random: &[u8; 32],
        server_random: &[u8; 32],
    ) -> Vec<u8> {
        let seed: [&[u8]; 2] = [client_random, server_random];
        self.expand(premaster, b"master secret", &seed, 48)
    }

    /// RFC 7627, section 4: the same with a hash over the handshake.
    pub(super) fn extended_master_secret(self, premaster: &[u8], session_hash: &[u8]) -> Vec<u8> {
        self.expand(premaster, b"extended master secret", &[session_hash], 48)
    }

    /// RFC 5246, section 6.3: the client's keys and the server's.
    pub(super) fn key_block(
        self,
        suite: &Suite,
        master: &[u8],
        client_random: &[u8; 32],
        server_random: &[u8; 32],
    ) -> Option<[Keys; 2]> {
        let cipher = suite.cipher;
        let mac = if cipher.is_aead() {
            0
        } else {
            suite.hash.len()
        };
        let (key, iv) = (cipher.key_len(), cipher.fixed_iv_len());
        let seed: [&[u8]; 2] = [server_random, client_random];
        let len = (mac + key + iv) * 2;
        let block = self.expand(master, b"key expansion", &seed, len);
        let mut rest = block.as_slice();
        let mut take = |len: usize| {
            let (piece, behind) = rest.split_at_checked(len)?;
            rest = behind;
            Some(piece.to_vec())
        };
        let (client_mac, server_mac) = (take(mac)?, take(mac)?);
        let (client_key, server_key) = (take(key)?, take(key)?);
        let (client_iv, server_iv) = (take(iv)?, take(iv)?);
        let keys = |mac, key, iv| Keys { mac, key, iv };
        Some([
            keys(client_mac, client_key, client_iv),
            keys(server_mac, server_key, server_iv),
        ])
    }
}

/// RFC 5246, section 5: P_hash, XORed onto `out`.
fn p_hash<M: Mac + KeyInit>(secret: &[u8], label: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    // HMAC takes keys of any length.
    let mac = |parts: &[&[u8]]| -> Vec<u8> {
        let Ok(mut mac) = <M as KeyInit>::new_from_slice(secret) else {
            return Vec::new();
        };
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    };
    let mut first = vec![label];
    first.extend_from_slice(seed);
    let mut a = mac(&first);
    let mut rest = out;
    while !rest.is_empty() && !a.is_empty() {
        let mut parts: Vec<&[u8]> = vec![&a];
        parts.extend_from_slice(&first);
        let block = mac(&parts);
        let len = block.len().min(rest.len());
        let Some((now, later)) = std::mem::take(&mut rest).split_at_mut_checked(len) else {
            return;
        };
        for (byte, pad) in now.iter_mut().zip(&block) {
            *byte ^= pad;
        }
        rest = later;
        a = mac(&[&a]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::suite;

    fn hex(digits: &str) -> Vec<u8> {
        digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn traffic_keys_are_those_of_the_published_trace() {
        // RFC 8448, section 3: server handshake traffic keys.
        let secret = hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
        let keys = traffic_keys(suite::by_id(0x1301).unwrap(), &secret).unwrap();
        assert_eq!(keys.key, hex("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(keys.iv, hex("5d313eb2671276ee13000b30"));
    }

    #[test]
    fn the_prf_fills_what_it_is_asked_for() {
        for prf in [Prf::Legacy, Prf::Sha256, Prf::Sha384] {
            let long = prf.expand(b"secret", b"label", &[b"seed"], 100);
            let short = prf.expand(b"secret", b"label", &[b"seed"], 10);
            assert_eq!(long[..10], short);
            assert_ne!(long[90..], [0; 10]);
        }
    }
}
