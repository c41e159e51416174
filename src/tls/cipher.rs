//! Opening protected records: AEAD (RFC 5116) and CBC with a MAC.

use aes::{Aes128, Aes256};
use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::NoPadding};
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U8, U12, U16};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384};

use super::record::Header;
use super::schedule::Keys;
use super::suite::{Cipher, Hash, Suite};

/// Length of an AES block.
const BLOCK: usize = 16;

/// Opens the records of one direction under one set of keys.
pub(super) struct Opener {
    kind: Kind,
    /// The part of the nonce that the keys fix.
    iv: Vec<u8>,
    framing: Framing,
}

/// How records are laid out: what stands before and after the ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// RFC 8446, section 5.2.
    Tls13,
    /// RFC 5246, section 6.2.3.3: a nonce of which 8 bytes stand in the record.
    ExplicitNonce,
    /// RFC 7905, section 2: a nonce made from the sequence number.
    NumberNonce,
    /// RFC 5246, section 6.2.3.2; an IV in the record.
    ExplicitIv,
    /// RFC 2246, section 6.2.3.2: the IV is the last block of the record before.
    ChainedIv,
}

enum Kind {
    Aead(LessSafeKey),
    Ccm128(Box<ccm::Ccm<Aes128, U16, U12>>),
    Ccm256(Box<ccm::Ccm<Aes256, U16, U12>>),
    Ccm128Short(Box<ccm::Ccm<Aes128, U8, U12>>),
    Ccm256Short(Box<ccm::Ccm<Aes256, U8, U12>>),
    Cbc {
        key: Vec<u8>,
        mac: Vec<u8>,
        hash: Hash,
        /// RFC 7366: the MAC is over the ciphertext.
        encrypt_then_mac: bool,
        /// The last block of the record before, where that is known.
        chain: Option<[u8; BLOCK]>,
    },
}

/// Never the keys.
impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opener({:?})", self.framing)
    }
}

impl Opener {
    /// For `version` (`0x0301` to `0x0304`); `None` where the keys don't fit the suite.
    pub(super) fn new(
        version: u16,
        suite: &Suite,
        keys: &Keys,
        encrypt_then_mac: bool,
    ) -> Option<Self> {
        let key = keys.key.as_slice();
        let aead = |algorithm| {
            let key = UnboundKey::new(algorithm, key).ok()?;
            Some(Kind::Aead(LessSafeKey::new(key)))
        };
        let kind = match suite.cipher {
            Cipher::Gcm128 => aead(&aead::AES_128_GCM)?,
            Cipher::Gcm256 => aead(&aead::AES_256_GCM)?,
            Cipher::ChaCha20 => aead(&aead::CHACHA20_POLY1305)?,
            Cipher::Ccm128 => Kind::Ccm128(Box::new(KeyInit::new_from_slice(key).ok()?)),
            Cipher::Ccm256 => Kind::Ccm256(Box::new(KeyInit::new_from_slice(key).ok()?)),
            Cipher::Ccm128Short => Kind::Ccm128Short(Box::new(KeyInit::new_from_slice(key).ok()?)),
            Cipher::Ccm256Short => Kind::Ccm256Short(Box::new(KeyInit::new_from_slice(key).ok()?)),
            Cipher::Cbc128 | Cipher::Cbc256 => Kind::Cbc {
                key: key.to_vec(),
                mac: keys.mac.clone(),
                hash: suite.hash,
                encrypt_then_mac,
                chain: keys.iv.first_chunk().copied(),
            },
        };
        let framing = match (version, suite.cipher) {
            (0x0304, _) => Framing::Tls13,
            (..0x0302, Cipher::Cbc128 | Cipher::Cbc256) => Framing::ChainedIv,
            (_, Cipher::Cbc128 | Cipher::Cbc256) => Framing::ExplicitIv,
            (_, Cipher::ChaCha20) => Framing::NumberNonce,
            _ => Framing::ExplicitNonce,
        };
        Some(Self {
            kind,
            iv: keys.iv.clone(),
            framing,
        })
    }

    /// The sequence number that the record itself seems to tell: many
    /// implementations use it as the explicit nonce.
    pub(super) fn told_number(&self, fragment: &[u8]) -> Option<u64> {
        let told = fragment.first_chunk::<8>()?;
        (self.framing == Framing::ExplicitNonce).then(|| u64::from_be_bytes(*told))
    }

    /// A record passed that was not opened, such as one of which bytes are missing.
    pub(super) fn pass(&mut self, fragment: Option<&[u8]>) {
        if let Kind::Cbc {
            chain,
            hash,
            encrypt_then_mac,
            ..
        } = &mut self.kind
        {
            let behind = if *encrypt_then_mac { hash.len() } else { 0 };
            let blocks = |bytes: &[u8]| -> Option<[u8; BLOCK]> {
                let end = bytes.len().checked_sub(behind)?;
                bytes.get(..end)?.last_chunk().copied()
            };
            *chain = fragment.and_then(blocks);
        }
    }

    /// Opens a record as the `number`th of its direction: its plaintext takes
    /// the place of what `out` held; false, and no matter what `out` holds, if the
    /// record isn't what the keys and the number say. After the last try, [`pass`](Self::pass) has
    /// to be told of the record.
    pub(super) fn open(
        &self,
        number: u64,
        header: Header,
        fragment: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let opened = match &self.kind {
            Kind::Cbc { .. } => self.open_cbc(number, header, fragment, out),
            _ => self.open_aead(number, header, fragment, out),
        };
        opened.is_some()
    }

    fn open_aead(
        &self,
        number: u64,
        header: Header,
        fragment: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let (nonce, sealed) = match self.framing {
            Framing::ExplicitNonce => {
                let (explicit, sealed) = fragment.split_first_chunk::<8>()?;
                let mut nonce = [0; 12];
                let (fixed, own) = nonce.split_first_chunk_mut::<4>()?;
                fixed.copy_from_slice(self.iv.get(..4)?);
                own.copy_from_slice(explicit);
                (nonce, sealed)
            }
            _ => (self.numbered_nonce(number)?, fragment),
        };
        let tag = match self.kind {
            Kind::Ccm128Short(_) | Kind::Ccm256Short(_) => 8,
            _ => 16,
        };
        let plain_len = sealed.len().checked_sub(tag)?;
        let own;
        let older;
        let aad: &[u8] = match self.framing {
            Framing::Tls13 => {
                own = header.bytes();
                &own
            }
            _ => {
                older = associated(number, header, plain_len)?;
                &older
            }
        };
        let (ciphertext, tag) = sealed.split_at_checked(plain_len)?;
        if let Kind::Aead(key) = &self.kind {
            // Every byte will be written: only those that weren't there before are set first.
            out.resize(plain_len, 0);
            let nonce = Nonce::assume_unique_for_key(nonce);
            return key
                .open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, out)
                .ok();
        }
        out.clear();
        out.extend_from_slice(sealed);
        let nonce = nonce.into();
        match &self.kind {
            Kind::Ccm128(key) => key.decrypt_in_place(&nonce, aad, out).ok(),
            Kind::Ccm256(key) => key.decrypt_in_place(&nonce, aad, out).ok(),
            Kind::Ccm128Short(key) => key.decrypt_in_place(&nonce, aad, out).ok(),
            Kind::Ccm256Short(key) => key.decrypt_in_place(&nonce, aad, out).ok(),
            Kind::Aead(_) | Kind::Cbc { .. } => None,
        }
    }

    /// RFC 8446, section 5.3.
    fn numbered_nonce(&self, number: u64) -> Option<[u8; 12]> {
        let mut nonce: [u8; 12] = *self.iv.first_chunk()?;
        let low = nonce.last_chunk_mut::<8>()?;
        *low = (u64::from_be_bytes(*low) ^ number).to_be_bytes();
        Some(nonce)
    }

    fn open_cbc(
        &self,
        number: u64,
        header: Header,
        fragment: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let Kind::Cbc {
            key,
            mac,
            hash,
            encrypt_then_mac,
            chain,
        } = &self.kind
        else {
            return None;
        };
        let sealed = if *encrypt_then_mac {
            let (sealed, tag) =
                fragment.split_at_checked(fragment.len().checked_sub(hash.len())?)?;
            verify(*hash, mac, number, header, sealed, tag)?;
            sealed
        } else {
            fragment
        };
        let (iv, blocks) = match self.framing {
            Framing::ExplicitIv => {
                let (iv, blocks) = sealed.split_first_chunk::<BLOCK>()?;
                (*iv, blocks)
            }
            _ => ((*chain)?, sealed),
        };
        if blocks.is_empty() || blocks.len() % BLOCK != 0 {
            return None;
        }
        out.clear();
        out.extend_from_slice(blocks);
        decrypt_cbc(key, &iv, out)?;
        let padding = *out.last()?;
        let kept = out.len().checked_sub(usize::from(padding) + 1)?;
        if out.get(kept..)?.iter().any(|byte| *byte != padding) {
            return None;
        }
        out.truncate(kept);
        if *encrypt_then_mac {
            return Some(());
        }
        let plain_len = out.len().checked_sub(hash.len())?;
        let (plain, tag) = out.split_at_checked(plain_len)?;
        verify(*hash, mac, number, header, plain, tag)?;
        out.truncate(plain_len);
        Some(())
    }
}

fn decrypt_cbc(key: &[u8], iv: &[u8; BLOCK], blocks: &mut [u8]) -> Option<()> {
    if key.len() == 16 {
        let decryptor = cbc::Decryptor::<Aes128>::new_from_slices(key, iv).ok()?;
        decryptor.decrypt_padded::<NoPadding>(blocks).ok()?;
    } else {
        let decryptor = cbc::Decryptor::<Aes256>::new_from_slices(key, iv).ok()?;
        decryptor.decrypt_padded::<NoPadding>(blocks).ok()?;
    }
    Some(())
}

/// What authenticates a record of TLS 1.2 and older beside its content
/// (RFC 5246, sections 6.2.3.1 and 6.2.3.3).
fn associated(number: u64, header: Header, len: usize) -> Option<[u8; 13]> {
    let mut out = [0; 13];
    let (first, rest) = out.split_first_chunk_mut::<8>()?;
    *first = number.to_be_bytes();
    let len = u16::try_from(len).ok()?;
    let header = Header { len, ..header };
    rest.copy_from_slice(&header.bytes());
    Some(out)
}

fn verify(
    hash: Hash,
    key: &[u8],
    number: u64,
    header: Header,
    content: &[u8],
    tag: &[u8],
) -> Option<()> {
    let associated = associated(number, header, content.len())?;
    match hash {
        Hash::Sha1 => checked::<Hmac<Sha1>>(key, &associated, content, tag),
        Hash::Sha256 => checked::<Hmac<Sha256>>(key, &associated, content, tag),
        Hash::Sha384 => checked::<Hmac<Sha384>>(key, &associated, content, tag),
    }
}

fn checked<M: Mac + hmac::digest::KeyInit>(
    key: &[u8],
    associated: &[u8],
    content: &[u8],
    tag: &[u8],
) -> Option<()> {
    let mut mac = <M as hmac::digest::KeyInit>::new_from_slice(key).ok()?;
    mac.update(associated);
    mac.update(content);
    mac.verify_slice(tag).ok()
}
