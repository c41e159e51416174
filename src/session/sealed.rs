//! Records of TLS that stayed closed: what their sizes, order and times tell without a key.

use std::collections::VecDeque;

use crate::stream::{Direction, PacketRef};
use crate::tls::ContentType;

/// How many of the first records are kept.
///
/// Rationale: the rest of the handshake, session tickets, a request and its
/// answer have fewer, a client's certificate included.
const FIRST: usize = 24;
/// How many of the newest records are kept.
///
/// Rationale: an end shows in the last four; a heartbeat in eight, and more
/// where messages pass between. At 48 bytes each this is 6 KB a connection at most.
const NEWEST: usize = 128;

/// A protected record that nobody could open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedRecord {
    /// Whose.
    pub direction: Direction,
    /// What its header says; TLS 1.3 says application data of everything.
    pub content: ContentType,
    /// Length of its fragment in bytes, with what encryption adds.
    pub len: u16,
    /// Its packet.
    pub at: PacketRef,
}

/// Such records of one connection, from the ServerHello on: the first 24 and the newest 128.
#[derive(Clone, Debug, Default)]
pub struct SealedRecords {
    first: Vec<SealedRecord>,
    newest: VecDeque<SealedRecord>,
    left_out: u64,
}

impl SealedRecords {
    /// Takes the next record.
    pub fn push(&mut self, record: SealedRecord) {
        if self.first.len() < FIRST {
            self.first.push(record);
            return;
        }
        if self.newest.len() == NEWEST {
            self.newest.pop_front();
            self.left_out = self.left_out.saturating_add(1);
        }
        self.newest.push_back(record);
    }

    /// Those that are kept, in the order in which they were told.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &SealedRecord> {
        self.first.iter().chain(&self.newest)
    }

    /// How many between the first and the newest are not kept.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// How many bytes encryption adds to what a record holds; `None` where that
/// isn't fixed, as with CBC, or not known.
pub(super) fn added(version: u16, suite: &str) -> Option<u16> {
    // RFC 6655, section 4: the tags of CCM_8 have 8 bytes, all others 16.
    let tag = if suite.contains("_CCM_8") { 8 } else { 16 };
    match version {
        // RFC 8446, section 5.2: the content type and the tag.
        super::tls::TLS13 => Some(1 + tag),
        // RFC 7905, section 2: the nonce isn't sent.
        _ if suite.contains("CHACHA20") => Some(tag),
        // RFC 5288, section 3, and RFC 6655, section 3: 8 bytes of nonce are sent.
        _ if suite.contains("_GCM") || suite.contains("_CCM") => Some(8 + tag),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> SealedRecord {
        SealedRecord {
            direction: Direction::ClientToServer,
            content: ContentType::ApplicationData,
            len: 23,
            at: PacketRef {
                number,
                ..PacketRef::default()
            },
        }
    }

    #[test]
    fn the_first_and_the_newest_are_kept() {
        let mut records = SealedRecords::default();
        for number in 1..=1_000 {
            records.push(record(number));
        }
        let numbers: Vec<u64> = records.iter().map(|record| record.at.number).collect();
        assert_eq!(numbers.len(), FIRST + NEWEST);
        assert_eq!((numbers[FIRST - 1], numbers[FIRST]), (24, 873));
        assert_eq!(records.left_out(), 848);
    }

    #[test]
    fn what_encryption_adds_depends_on_the_suite() {
        let of = |suite| added(0x0303, suite);
        assert_eq!(of("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), Some(24));
        assert_eq!(of("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"), Some(16));
        assert_eq!(of("TLS_RSA_WITH_AES_128_CCM_8"), Some(16));
        assert_eq!(of("TLS_RSA_WITH_AES_128_CBC_SHA"), None);
        assert_eq!(added(0x0304, "TLS_AES_256_GCM_SHA384"), Some(17));
        assert_eq!(added(0x0304, "TLS_AES_128_CCM_8_SHA256"), Some(9));
    }
}
