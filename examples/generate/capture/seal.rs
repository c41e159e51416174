//! Sealed TLS records, from secrets that were made up (RFC 8446, section 5.2; RFC 5246, section 6.2.3.3).

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use clap::ValueEnum;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384};
use wscope::stream::Sides;

/// What the bytes of a TLS session are encrypted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    Aes128Gcm,
    Aes256Gcm,
    Chacha20Poly1305,
}

/// Which TLS a session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

/// RFC 8446, section 5.1: the longest content of a record.
pub(crate) const CONTENT: usize = 16 << 10;

/// Content types (RFC 8446, section 5.1).
pub(crate) mod content {
    pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(crate) const ALERT: u8 = 21;
    pub(crate) const HANDSHAKE: u8 = 22;
    pub(crate) const APPLICATION_DATA: u8 = 23;
}

impl Suite {
    /// Its number: of TLS 1.3, or with ECDHE and an ECDSA certificate of TLS 1.2.
    pub(crate) fn id(self, version: Version) -> u16 {
        match (version, self) {
            (Version::Tls13, Self::Aes128Gcm) => 0x1301,
            (Version::Tls13, Self::Aes256Gcm) => 0x1302,
            (Version::Tls13, Self::Chacha20Poly1305) => 0x1303,
            (Version::Tls12, Self::Aes128Gcm) => 0xc02b,
            (Version::Tls12, Self::Aes256Gcm) => 0xc02c,
            (Version::Tls12, Self::Chacha20Poly1305) => 0xcca9,
        }
    }

    /// Length of its hash, and so of its traffic secrets, in bytes.
    pub(crate) fn hash_len(self) -> usize {
        match self {
            Self::Aes256Gcm => 48,
            Self::Aes128Gcm | Self::Chacha20Poly1305 => 32,
        }
    }

    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::Chacha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }
}

/// Seals the records of one direction under one key.
pub(crate) struct Sealer {
    key: LessSafeKey,
    /// The part of the nonce that the key fixes: 12 bytes, or 4 with GCM in TLS 1.2.
    iv: Vec<u8>,
    version: Version,
    number: u64,
}

impl Sealer {
    /// With the keys of a traffic secret (RFC 8446, section 7.3); `None` if its length isn't the hash's.
    pub(crate) fn of_secret(suite: Suite, secret: &[u8]) -> Option<Self> {
        let key = expand_label(suite, secret, "key", suite.algorithm().key_len())?;
        let iv = expand_label(suite, secret, "iv", 12)?;
        Self::new(Version::Tls13, suite, &key, &iv)
    }

    /// Those of both sides, from a master secret (RFC 5246, section 6.3).
    pub(crate) fn of_master(
        suite: Suite,
        master: &[u8],
        randoms: &Sides<[u8; 32]>,
    ) -> Option<Sides<Self>> {
        let key_len = suite.algorithm().key_len();
        // RFC 5288, section 3; RFC 7905, section 2.
        let iv_len = if suite == Suite::Chacha20Poly1305 {
            12
        } else {
            4
        };
        let seed = [b"key expansion", &randoms.server[..], &randoms.client[..]].concat();
        let block = match suite.hash_len() {
            48 => p_hash::<Hmac<Sha384>>(master, &seed, 2 * (key_len + iv_len))?,
            _ => p_hash::<Hmac<Sha256>>(master, &seed, 2 * (key_len + iv_len))?,
        };
        let (keys, ivs) = block.split_at_checked(2 * key_len)?;
        let (client_key, server_key) = keys.split_at_checked(key_len)?;
        let (client_iv, server_iv) = ivs.split_at_checked(iv_len)?;
        Some(Sides {
            client: Self::new(Version::Tls12, suite, client_key, client_iv)?,
            server: Self::new(Version::Tls12, suite, server_key, server_iv)?,
        })
    }

    fn new(version: Version, suite: Suite, key: &[u8], iv: &[u8]) -> Option<Self> {
        let key = UnboundKey::new(suite.algorithm(), key).ok()?;
        Some(Self {
            key: LessSafeKey::new(key),
            iv: iv.to_vec(),
            version,
            number: 0,
        })
    }

    /// Appends one record with at most [`CONTENT`] bytes to `out`.
    pub(crate) fn seal(&mut self, kind: u8, content: &[u8], out: &mut Vec<u8>) {
        let number = self.number.to_be_bytes();
        self.number += 1;
        let mut nonce = [0; 12];
        for (to, from) in nonce.iter_mut().zip(&self.iv) {
            *to = *from;
        }
        let explicit = self.version == Version::Tls12 && self.iv.len() == 4;
        for (to, from) in nonce.iter_mut().skip(4).zip(number) {
            *to ^= from;
        }
        let start;
        let tag = {
            let nonce = Nonce::assume_unique_for_key(nonce);
            match self.version {
                Version::Tls13 => {
                    let header = header(content::APPLICATION_DATA, content.len() + 1 + 16);
                    out.extend_from_slice(&header);
                    start = out.len();
                    out.extend_from_slice(content);
                    out.push(kind);
                    let inner = out.get_mut(start..).unwrap_or_default();
                    self.key
                        .seal_in_place_separate_tag(nonce, Aad::from(header), inner)
                }
                Version::Tls12 => {
                    let before = if explicit { number.as_slice() } else { &[] };
                    out.extend_from_slice(&header(kind, before.len() + content.len() + 16));
                    out.extend_from_slice(before);
                    start = out.len();
                    out.extend_from_slice(content);
                    let associated = [&number[..], &header(kind, content.len())].concat();
                    let inner = out.get_mut(start..).unwrap_or_default();
                    self.key
                        .seal_in_place_separate_tag(nonce, Aad::from(associated), inner)
                }
            }
        };
        // It fails for more bytes than a record holds only.
        out.extend_from_slice(tag.as_ref().map_or(&[], AsRef::as_ref));
    }
}

/// A record header with the version that all but a first ClientHello have.
pub(crate) fn header(kind: u8, len: usize) -> [u8; 5] {
    let [high, low] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    [kind, 3, 3, high, low]
}

/// RFC 8446, section 7.1, with an empty context.
fn expand_label(suite: Suite, secret: &[u8], label: &str, len: usize) -> Option<Vec<u8>> {
    let label = [b"tls13 ", label.as_bytes()].concat();
    let mut info = u16::try_from(len).ok()?.to_be_bytes().to_vec();
    info.push(u8::try_from(label.len()).ok()?);
    info.extend(label);
    info.push(0);
    let mut out = vec![0; len];
    let done = match suite.hash_len() {
        48 => Hkdf::<Sha384>::from_prk(secret)
            .ok()?
            .expand(&info, &mut out),
        _ => Hkdf::<Sha256>::from_prk(secret)
            .ok()?
            .expand(&info, &mut out),
    };
    done.ok().map(|()| out)
}

/// RFC 5246, section 5; `seed` begins with the label.
fn p_hash<M: Mac + KeyInit>(secret: &[u8], seed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mac = |parts: [&[u8]; 2]| -> Option<Vec<u8>> {
        let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
        parts.iter().for_each(|part| mac.update(part));
        Some(mac.finalize().into_bytes().to_vec())
    };
    let mut a = mac([seed, &[]])?;
    let mut out = Vec::new();
    while out.len() < len {
        out.extend(mac([&a, seed])?);
        a = mac([&a, &[]])?;
    }
    out.truncate(len);
    Some(out)
}
