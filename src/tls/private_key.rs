//! A server's RSA private key: it opens what clients encrypted for that server
//! (RFC 5246, section 7.4.7.1). The library needs not hide how long it takes:
//! whoever could measure that here has the key.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use thiserror::Error;
use x509_parser::pem::Pem;

/// Length of a premaster secret in bytes.
const PREMASTER: usize = 48;

/// An RSA private key. It is never printed.
#[derive(Clone)]
pub struct PrivateKey {
    key: Arc<Pkcs1PrivateDecryptingKey>,
    /// The SubjectPublicKeyInfo that a certificate for it holds.
    public: Arc<[u8]>,
}

/// What is wrong with a file that should hold a private key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PrivateKeyError {
    /// PKCS#8 or the older form, with a passphrase.
    #[error(
        "this private key is encrypted; take the passphrase off: openssl pkey -in FILE -out PLAIN.pem"
    )]
    Encrypted,
    /// For signatures only.
    #[error(
        "this private key isn't an RSA key; only RSA key exchange (TLS_RSA_ suites) can be read with a private key, other TLS needs a key log (SSLKEYLOGFILE)"
    )]
    NotRsa,
    /// Certificates, public keys, parameters.
    #[error("this PEM file holds no private key; give the one that the server was configured with")]
    NoPrivateKey,
    /// The library takes no shorter and no longer ones.
    #[error(
        "this RSA key can't be used: only sound ones of 2048 to 8192 bits are; take a key log (SSLKEYLOGFILE) instead"
    )]
    Unusable,
    /// The text between the lines of dashes is damaged.
    #[error("this PEM file is damaged; check that it was copied whole")]
    Damaged,
}

/// Whether a file is PEM (RFC 7468) rather than a key log.
pub fn is_pem(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"-----BEGIN ").is_some()
}

impl PrivateKey {
    /// The first RSA private key in a PEM file: PKCS#8 (RFC 5958) or PKCS#1
    /// (RFC 8017). Certificates beside it are passed over.
    ///
    /// # Errors
    /// There is none, or it can't be used.
    pub fn from_pem(text: &[u8]) -> Result<Self, PrivateKeyError> {
        // RFC 1421, section 4.6.1.1: how the older form says that it has a passphrase.
        if memchr::memmem::find(text, b"Proc-Type: 4,ENCRYPTED").is_some() {
            return Err(PrivateKeyError::Encrypted);
        }
        let mut seen = Err(PrivateKeyError::NoPrivateKey);
        for pem in Pem::iter_from_buffer(text) {
            let pem = pem.map_err(|_| PrivateKeyError::Damaged)?;
            let key = match pem.label.as_str() {
                "RSA PRIVATE KEY" => Self::from_pkcs8(&pkcs8_of(&pem.contents)),
                "PRIVATE KEY" => Self::from_pkcs8(&pem.contents),
                "ENCRYPTED PRIVATE KEY" => Err(PrivateKeyError::Encrypted),
                label if label.ends_with("PRIVATE KEY") => Err(PrivateKeyError::NotRsa),
                _ => continue,
            };
            if key.is_ok() {
                return key;
            }
            seen = key;
        }
        seen
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, PrivateKeyError> {
        if memchr::memmem::find(der, &RSA_ENCRYPTION).is_none() {
            return Err(PrivateKeyError::NotRsa);
        }
        let key = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| PrivateKeyError::Unusable)?;
        let public: PublicKeyX509Der<'_> = key
            .public_key()
            .as_der()
            .map_err(|_| PrivateKeyError::Unusable)?;
        let public = Arc::from(public.as_ref());
        let key = Pkcs1PrivateDecryptingKey::new(key).map_err(|_| PrivateKeyError::Unusable)?;
        Ok(Self {
            key: Arc::new(key),
            public,
        })
    }

    /// Whether a certificate with this SubjectPublicKeyInfo belongs to it.
    pub(super) fn belongs_to(&self, public: &[u8]) -> bool {
        *self.public == *public
    }

    /// The premaster secret that a client encrypted; `None` where it was for another key.
    pub(super) fn premaster(&self, encrypted: &[u8]) -> Option<Premaster> {
        let mut plain = vec![0; self.key.min_output_size()];
        let plain = self.key.decrypt(encrypted, &mut plain).ok()?;
        let sound = plain.len() == PREMASTER && plain.first() == Some(&3);
        sound.then(|| Premaster(plain.to_vec()))
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey")
    }
}

/// A premaster secret, which is never printed.
pub(super) struct Premaster(pub(super) Vec<u8>);

impl std::fmt::Debug for Premaster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Premaster")
    }
}

/// RFC 8017, appendix A.1: the object identifier of RSA keys, 1.2.840.113549.1.1.1, in DER.
const RSA_ENCRYPTION: [u8; 11] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
];

/// RFC 5958, section 2: PKCS#8 is PKCS#1 behind a version and the name of the algorithm.
fn pkcs8_of(pkcs1: &[u8]) -> Vec<u8> {
    let algorithm = element(0x30, &[&RSA_ENCRYPTION[..], &[0x05, 0x00]].concat());
    let version = element(0x02, &[0]);
    let key = element(0x04, pkcs1);
    element(0x30, &[version, algorithm, key].concat())
}

/// An element of DER (X.690, section 8.1): its tag, its length, its content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len().to_be_bytes();
    let zeros = len.iter().take_while(|byte| **byte == 0).count();
    let len = len.get(zeros..).unwrap_or_default();
    let mut out = vec![tag];
    match len {
        [] => out.push(0),
        [short @ ..0x80] => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::Pkcs8V1Der;
    use aws_lc_rs::rsa::{KeySize, Pkcs1PublicEncryptingKey};
    use base64::Engine as _;

    fn pem(label: &str, der: &[u8]) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let lines = lines.join("\n");
        format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
    }

    #[test]
    fn both_forms_of_a_key_are_read_and_open_the_same() {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public = Pkcs1PublicEncryptingKey::new(key.public_key()).unwrap();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let der = der.as_ref();
        // The key is the last element, and as long as it says.
        let start = memchr::memmem::find(der, &[0x05, 0x00, 0x04, 0x82]).unwrap() + 6;
        assert_eq!(pkcs8_of(&der[start..]), der);
        let premaster = [&[3, 3][..], &[7; 46]].concat();
        let mut encrypted = vec![0; public.ciphertext_size()];
        let encrypted = public.encrypt(&premaster, &mut encrypted).unwrap();
        let certificate = pem("CERTIFICATE", b"whatever");
        for text in [
            pem("PRIVATE KEY", der),
            certificate + &pem("RSA PRIVATE KEY", &der[start..]),
        ] {
            assert!(is_pem(text.as_bytes()));
            let read = PrivateKey::from_pem(text.as_bytes()).unwrap();
            assert_eq!(read.premaster(encrypted).unwrap().0, premaster);
            assert!(read.premaster(&encrypted[1..]).is_none());
            assert_eq!(format!("{read:?}"), "PrivateKey");
        }
    }

    #[test]
    fn a_key_that_can_not_be_used_is_refused_with_its_reason() {
        let refused = |text: &str| PrivateKey::from_pem(text.as_bytes()).unwrap_err();
        let encrypted = pem("ENCRYPTED PRIVATE KEY", b"whatever");
        assert_eq!(refused(&encrypted), PrivateKeyError::Encrypted);
        let older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(refused(older), PrivateKeyError::Encrypted);
        let elliptic = rcgen::KeyPair::generate().unwrap().serialize_der();
        let elliptic = pem("PRIVATE KEY", &elliptic);
        assert_eq!(refused(&elliptic), PrivateKeyError::NotRsa);
        let older = pem("EC PRIVATE KEY", b"whatever");
        assert_eq!(refused(&older), PrivateKeyError::NotRsa);
        let other = pem("CERTIFICATE", b"whatever");
        assert_eq!(refused(&other), PrivateKeyError::NoPrivateKey);
        let broken = pem("RSA PRIVATE KEY", b"whatever");
        assert_eq!(refused(&broken), PrivateKeyError::Unusable);
        assert_eq!(
            refused("-----BEGIN PRIVATE KEY-----\n!\n"),
            PrivateKeyError::Damaged
        );
    }
}
