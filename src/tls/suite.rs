//! Cipher suites: what protects the records under each that can be read.

use Cipher::{Cbc128, Cbc256, Ccm128, Ccm128Short, Ccm256, Ccm256Short, ChaCha20, Gcm128, Gcm256};
use Hash::{Sha1, Sha256, Sha384};
use KeyExchange::{Other, Rsa};

/// A cipher suite whose records can be decrypted with the keys at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    /// Its number in IANA's registry.
    pub(super) id: u16,
    /// Its name there.
    pub(super) name: &'static str,
    pub(super) exchange: KeyExchange,
    pub(super) cipher: Cipher,
    /// In TLS 1.3 that of the key schedule, with AEADs of TLS 1.2 that of the PRF, with CBC that of the MAC.
    pub(super) hash: Hash,
}

/// How the premaster secret was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyExchange {
    /// The client encrypted it for the server's RSA key: whoever has that key can read it.
    Rsa,
    /// In a way that only a key log tells.
    Other,
}

/// What encrypts the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cipher {
    Gcm128,
    Gcm256,
    ChaCha20,
    Ccm128,
    Ccm256,
    /// CCM with a tag of 8 bytes.
    Ccm128Short,
    Ccm256Short,
    Cbc128,
    Cbc256,
}

impl Cipher {
    /// Length of the key in bytes.
    pub(super) const fn key_len(self) -> usize {
        match self {
            Gcm128 | Ccm128 | Ccm128Short | Cbc128 => 16,
            Gcm256 | ChaCha20 | Ccm256 | Ccm256Short | Cbc256 => 32,
        }
    }

    /// Length of the part of the nonce that the key block of TLS 1.2 holds:
    /// RFC 5288, section 3; RFC 7905, section 2.
    pub(super) const fn fixed_iv_len(self) -> usize {
        match self {
            Gcm128 | Gcm256 | Ccm128 | Ccm256 | Ccm128Short | Ccm256Short => 4,
            ChaCha20 => 12,
            Cbc128 | Cbc256 => 16,
        }
    }

    /// Encryption and authentication in one (RFC 5116).
    pub(super) const fn is_aead(self) -> bool {
        !matches!(self, Cbc128 | Cbc256)
    }
}

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
}

impl Hash {
    /// Length of a digest in bytes.
    pub(super) const fn len(self) -> usize {
        match self {
            Sha1 => 20,
            Sha256 => 32,
            Sha384 => 48,
        }
    }
}

/// The suite with this number, if it is one of those.
pub(super) fn by_id(id: u16) -> Option<&'static Suite> {
    let index = SUITES.binary_search_by_key(&id, |suite| suite.id).ok()?;
    SUITES.get(index)
}

/// The name of a suite, or its number where it has none here.
pub(super) fn name_of(id: u16) -> String {
    by_id(id).map_or_else(|| format!("0x{id:04x}"), |suite| suite.name.to_owned())
}

const fn suite(
    id: u16,
    name: &'static str,
    exchange: KeyExchange,
    cipher: Cipher,
    hash: Hash,
) -> Suite {
    Suite {
        id,
        name,
        exchange,
        cipher,
        hash,
    }
}

/// In the order of their numbers.
#[rustfmt::skip]
static SUITES: &[Suite] = &[
    suite(0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA", Rsa, Cbc128, Sha1),
    suite(0x0032, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA", Other, Cbc128, Sha1),
    suite(0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", Other, Cbc128, Sha1),
    suite(0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA", Other, Cbc128, Sha1),
    suite(0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", Rsa, Cbc256, Sha1),
    suite(0x0038, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA", Other, Cbc256, Sha1),
    suite(0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA", Other, Cbc256, Sha1),
    suite(0x003a, "TLS_DH_anon_WITH_AES_256_CBC_SHA", Other, Cbc256, Sha1),
    suite(0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256", Rsa, Cbc128, Sha256),
    suite(0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256", Rsa, Cbc256, Sha256),
    suite(0x0040, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA256", Other, Cbc128, Sha256),
    suite(0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", Other, Cbc128, Sha256),
    suite(0x006a, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA256", Other, Cbc256, Sha256),
    suite(0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", Other, Cbc256, Sha256),
    suite(0x006c, "TLS_DH_anon_WITH_AES_128_CBC_SHA256", Other, Cbc128, Sha256),
    suite(0x006d, "TLS_DH_anon_WITH_AES_256_CBC_SHA256", Other, Cbc256, Sha256),
    suite(0x008c, "TLS_PSK_WITH_AES_128_CBC_SHA", Other, Cbc128, Sha1),
    suite(0x008d, "TLS_PSK_WITH_AES_256_CBC_SHA", Other, Cbc256, Sha1),
    suite(0x0090, "TLS_DHE_PSK_WITH_AES_128_CBC_SHA", Other, Cbc128, Sha1),
    suite(0x0091, "TLS_DHE_PSK_WITH_AES_256_CBC_SHA", Other, Cbc256, Sha1),
    suite(0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256", Rsa, Gcm128, Sha256),
    suite(0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384", Rsa, Gcm256, Sha384),
    suite(0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
    suite(0x00a2, "TLS_DHE_DSS_WITH_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0x00a3, "TLS_DHE_DSS_WITH_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
    suite(0x00a6, "TLS_DH_anon_WITH_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0x00a7, "TLS_DH_anon_WITH_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
    suite(0x00a8, "TLS_PSK_WITH_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0x00a9, "TLS_PSK_WITH_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
    suite(0x00aa, "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0x00ab, "TLS_DHE_PSK_WITH_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
    suite(0x00ae, "TLS_PSK_WITH_AES_128_CBC_SHA256", Other, Cbc128, Sha256),
    suite(0x00af, "TLS_PSK_WITH_AES_256_CBC_SHA384", Other, Cbc256, Sha384),
    suite(0x1301, "TLS_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0x1302, "TLS_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
    suite(0x1303, "TLS_CHACHA20_POLY1305_SHA256", Other, ChaCha20, Sha256),
    suite(0x1304, "TLS_AES_128_CCM_SHA256", Other, Ccm128, Sha256),
    suite(0x1305, "TLS_AES_128_CCM_8_SHA256", Other, Ccm128Short, Sha256),
    suite(0xc004, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", Other, Cbc128, Sha1),
    suite(0xc005, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA", Other, Cbc256, Sha1),
    suite(0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", Other, Cbc128, Sha1),
    suite(0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", Other, Cbc256, Sha1),
    suite(0xc00e, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", Other, Cbc128, Sha1),
    suite(0xc00f, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA", Other, Cbc256, Sha1),
    suite(0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Other, Cbc128, Sha1),
    suite(0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", Other, Cbc256, Sha1),
    suite(0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", Other, Cbc128, Sha256),
    suite(0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", Other, Cbc256, Sha384),
    suite(0xc025, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256", Other, Cbc128, Sha256),
    suite(0xc026, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA384", Other, Cbc256, Sha384),
    suite(0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", Other, Cbc128, Sha256),
    suite(0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", Other, Cbc256, Sha384),
    suite(0xc029, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA256", Other, Cbc128, Sha256),
    suite(0xc02a, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA384", Other, Cbc256, Sha384),
    suite(0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
    suite(0xc02d, "TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0xc02e, "TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
    suite(0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
    suite(0xc031, "TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0xc032, "TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
    suite(0xc035, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA", Other, Cbc128, Sha1),
    suite(0xc036, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA", Other, Cbc256, Sha1),
    suite(0xc037, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256", Other, Cbc128, Sha256),
    suite(0xc038, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA384", Other, Cbc256, Sha384),
    suite(0xc09c, "TLS_RSA_WITH_AES_128_CCM", Rsa, Ccm128, Sha256),
    suite(0xc09d, "TLS_RSA_WITH_AES_256_CCM", Rsa, Ccm256, Sha256),
    suite(0xc09e, "TLS_DHE_RSA_WITH_AES_128_CCM", Other, Ccm128, Sha256),
    suite(0xc09f, "TLS_DHE_RSA_WITH_AES_256_CCM", Other, Ccm256, Sha256),
    suite(0xc0a0, "TLS_RSA_WITH_AES_128_CCM_8", Rsa, Ccm128Short, Sha256),
    suite(0xc0a1, "TLS_RSA_WITH_AES_256_CCM_8", Rsa, Ccm256Short, Sha256),
    suite(0xc0a2, "TLS_DHE_RSA_WITH_AES_128_CCM_8", Other, Ccm128Short, Sha256),
    suite(0xc0a3, "TLS_DHE_RSA_WITH_AES_256_CCM_8", Other, Ccm256Short, Sha256),
    suite(0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", Other, Ccm128, Sha256),
    suite(0xc0ad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM", Other, Ccm256, Sha256),
    suite(0xc0ae, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", Other, Ccm128Short, Sha256),
    suite(0xc0af, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", Other, Ccm256Short, Sha256),
    suite(0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Other, ChaCha20, Sha256),
    suite(0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Other, ChaCha20, Sha256),
    suite(0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Other, ChaCha20, Sha256),
    suite(0xccab, "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256", Other, ChaCha20, Sha256),
    suite(0xccac, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256", Other, ChaCha20, Sha256),
    suite(0xccad, "TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256", Other, ChaCha20, Sha256),
    suite(0xd001, "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256", Other, Gcm128, Sha256),
    suite(0xd002, "TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384", Other, Gcm256, Sha384),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_stand_in_order() {
        assert!(SUITES.is_sorted_by(|a, b| a.id < b.id));
    }

    #[test]
    fn a_suite_is_found_by_its_number() {
        let suite = by_id(0xc02f).unwrap();
        assert_eq!(suite.name, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!((suite.cipher, suite.hash), (Gcm128, Sha256));
        assert_eq!(name_of(0x0005), "0x0005");
    }
}
