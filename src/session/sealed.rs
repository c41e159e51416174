//! Records of TLS that stayed closed: what their sizes, order and times tell without a key.

use std::collections::VecDeque;

use crate::stream::{Direction, PacketRef, Sides};
use crate::tls::ContentType;

/// How many of a side's first records are kept.
///
/// Rationale: the rest of the handshake, session tickets, a request and its
/// answer have fewer, a client's certificate included.
const FIRST: usize = 16;
/// How many of a side's newest records are kept.
///
/// Rationale: an end shows in the last two; a heartbeat in four, and more
/// where messages pass between. At 48 bytes each this is 8 KB a connection at most.
const NEWEST: usize = 64;

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

/// Such records of one connection, from the ServerHello on: of each side the first 16 and the newest 64.
#[derive(Clone, Debug, Default)]
pub struct SealedRecords(Sides<Kept>);

/// Those of one side.
#[derive(Clone, Debug, Default)]
struct Kept {
    first: Vec<SealedRecord>,
    newest: VecDeque<SealedRecord>,
    left_out: u64,
}

impl SealedRecords {
    /// Takes the next record. Those of one side may come before those of the
    /// other, where they waited for keys.
    pub fn push(&mut self, record: SealedRecord) {
        let kept = &mut self.0[record.direction];
        if kept.first.len() < FIRST {
            kept.first.push(record);
            return;
        }
        if kept.newest.len() == NEWEST {
            kept.newest.pop_front();
            kept.left_out = kept.left_out.saturating_add(1);
        }
        kept.newest.push_back(record);
    }

    /// Those that are kept, in the order of the capture. Where records of one
    /// side are left out, those of the other from the same time are too.
    pub fn in_order(&self) -> Vec<SealedRecord> {
        let cut = || {
            let kept = self.0.iter().map(|(_, kept)| kept);
            kept.filter(|kept| kept.left_out > 0)
        };
        let from = cut().filter_map(|kept| kept.first.last()).map(|r| r.at);
        let to = cut().filter_map(|kept| kept.newest.front()).map(|r| r.at);
        let (from, to) = (from.min(), to.max());
        let whole = |record: &&SealedRecord| match (from, to) {
            (Some(from), Some(to)) => record.at <= from || record.at >= to,
            _ => true,
        };
        let mut records: Vec<(PacketRef, SealedRecord)> = Vec::new();
        for (_, kept) in self.0.iter() {
            let own = kept.first.iter().chain(&kept.newest).filter(whole);
            // Those of one side keep their order, whatever was overtaken on its way.
            records.extend(own.scan(PacketRef::default(), |before, record| {
                *before = record.at.max(*before);
                Some((*before, *record))
            }));
        }
        records.sort_by_key(|(released, _)| *released);
        records.into_iter().map(|(_, record)| record).collect()
    }

    /// Some are not kept.
    pub fn is_partial(&self) -> bool {
        self.0.iter().any(|(_, kept)| kept.left_out > 0)
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
    use crate::time::Timestamp;

    fn record(direction: Direction, number: u64) -> SealedRecord {
        SealedRecord {
            direction,
            content: ContentType::ApplicationData,
            len: 23,
            at: PacketRef {
                number,
                time: Timestamp::from_nanos(i64::try_from(number).unwrap()),
                ..PacketRef::default()
            },
        }
    }

    fn numbers(records: &SealedRecords) -> Vec<u64> {
        let records = records.in_order();
        records.iter().map(|record| record.at.number).collect()
    }

    #[test]
    fn records_are_in_the_order_of_the_capture_whenever_they_were_told() {
        let mut records = SealedRecords::default();
        for number in [1, 4, 5] {
            records.push(record(Direction::ServerToClient, number));
        }
        for number in [2, 3, 6] {
            records.push(record(Direction::ClientToServer, number));
        }
        assert_eq!(numbers(&records), [1, 2, 3, 4, 5, 6]);
        assert!(!records.is_partial());
    }

    #[test]
    fn what_is_left_out_of_one_side_is_left_out_of_both() {
        let mut records = SealedRecords::default();
        for number in 1..=1_000 {
            records.push(record(Direction::ServerToClient, number));
        }
        // Records of the client from the beginning, the middle and the end.
        for number in [10, 500, 990] {
            records.push(record(Direction::ClientToServer, number));
        }
        let numbers = numbers(&records);
        assert_eq!(numbers.len(), FIRST + NEWEST + 2);
        assert_eq!((numbers[FIRST], numbers[FIRST + 1]), (16, 937));
        assert!(records.is_partial());
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
