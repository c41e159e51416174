//! The pcap format: one header, then records.
//!
//! ```text
//! magic 4 | major 2 | minor 2 | zone 4 | accuracy 4 | snap length 4 | link type 4
//! seconds 4 | fraction 4 | captured 4 | on the wire 4 | the captured bytes        (repeated)
//! ```
//! Source: draft-ietf-opsawg-pcap; the flavours are those that libpcap reads.

use super::LinkType;
use super::block::{Block, MAX_RECORD};
use super::error::Breach;
use super::item::{Found, Item, Step};
use super::order::{ByteOrder, Fields};
use super::summary::{FileSummary, Interface};
use crate::time::Timestamp;

/// Length of the file header.
pub(super) const HEADER: usize = 24;

/// The length that a record may have whatever the header's snap length says.
/// Rationale: the most that libpcap captures from any network interface; some
/// writers store packets longer than the snap length they declare.
const USUAL_MOST: u32 = 262_144;

/// Where the link type stands in the header.
const LINK_TYPE_AT: u64 = 20;

/// How to read the records of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pcap {
    order: ByteOrder,
    /// Nanoseconds in one unit of the fraction.
    unit: u32,
    /// Length of a record's header: 16, or 24 in the flavour of Kuznetzov's patched libpcap.
    record_header: usize,
    minor: u16,
    snap_length: u32,
    link: LinkType,
}

/// What the first four bytes of a file say, if it is a pcap file.
fn flavour(magic: [u8; 4]) -> Option<(ByteOrder, u32, usize)> {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        match order.u32(magic) {
            0xa1b2_c3d4 => return Some((order, 1000, 16)),
            0xa1b2_3c4d => return Some((order, 1, 16)),
            0xa1b2_cd34 => return Some((order, 1000, 24)),
            _ => {}
        }
    }
    None
}

/// Whether a pcap file begins here.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes
        .first_chunk()
        .is_some_and(|magic| flavour(*magic).is_some())
}

impl Pcap {
    /// Reads the file header; `None` if it isn't one.
    pub(super) fn parse(header: &[u8; HEADER]) -> Option<Self> {
        let (order, unit, record_header) = flavour(*header.first_chunk()?)?;
        let mut fields = Fields::new(order, header.get(4..)?);
        let (_major, minor) = (fields.u16()?, fields.u16()?);
        let [_zone, _accuracy, snap_length, link] = fields.words()?;
        // The upper half tells the length of a frame check sequence.
        let link = LinkType(u16::try_from(link & 0xffff).ok()?);
        Some(Self {
            order,
            unit,
            record_header,
            minor,
            snap_length,
            link,
        })
    }

    /// Takes the header that stands at the block's next byte.
    pub(super) fn open(block: &mut Block, summary: &mut FileSummary) -> Result<Self, Breach> {
        let offset = block.offset();
        let Some(header) = block.want(HEADER).and_then(|bytes| bytes.first_chunk()) else {
            return Err(cut_off(block, "the file header", HEADER));
        };
        let Some(pcap) = Self::parse(header) else {
            return Err(Breach::Short("the file header"));
        };
        block.consume(HEADER);
        summary.add_interface(Interface {
            link: pcap.link,
            offset: offset.saturating_add(LINK_TYPE_AT),
            snap_length: (pcap.snap_length != 0).then_some(pcap.snap_length),
            name: None,
        });
        Ok(pcap)
    }

    /// Reads the next record, which begins at the block's next byte.
    pub(super) fn step(
        &mut self,
        block: &mut Block,
        summary: &mut FileSummary,
    ) -> Result<Option<Step>, Breach> {
        let Some(bytes) = block.want(self.record_header) else {
            return end(block, "a packet record's header", self.record_header);
        };
        let mut fields = Fields::new(self.order, bytes);
        let Some([seconds, fraction, captured, wire_len]) = fields.words() else {
            return Err(Breach::Short("a packet record"));
        };
        let empty = captured == 0 && wire_len == 0;
        if empty && begins(bytes) && is_appended(block)? {
            *self = Self::open(block, summary)?;
            return Ok(Some(Step {
                taken: 0,
                item: Item::Nothing,
            }));
        }
        let (captured, wire_len) = self.lengths(captured, wire_len);
        let most = self.longest();
        let len = usize::try_from(captured).unwrap_or(usize::MAX);
        if captured > most {
            return Err(Breach::RecordLength {
                claimed: captured,
                most,
            });
        }
        let taken = self.record_header.saturating_add(len);
        if block.want(taken).is_none() {
            return Err(cut_off(block, "a packet record", taken));
        }
        let found = Found {
            time: Some(self.time(seconds, fraction)),
            link: self.link,
            wire_len,
            start: self.record_header,
            len,
            lost: 0,
        };
        Ok(Some(Step {
            taken,
            item: Item::Packet(found),
        }))
    }

    /// Both lengths, the captured one first. Before version 2.3 they stood the other
    /// way round, and writers of 2.3 disagreed.
    const fn lengths(&self, captured: u32, wire_len: u32) -> (u32, u32) {
        match self.minor {
            0..3 => (wire_len, captured),
            3 if captured > wire_len => (wire_len, captured),
            _ => (captured, wire_len),
        }
    }

    /// The longest record that this file can hold.
    fn longest(&self) -> u32 {
        let most = u32::try_from(MAX_RECORD).unwrap_or(u32::MAX);
        self.snap_length.clamp(USUAL_MOST, most)
    }

    /// A fraction of a second or more is no reason to refuse: it is added.
    fn time(&self, seconds: u32, fraction: u32) -> Timestamp {
        let nanos = i64::from(fraction) * i64::from(self.unit);
        Timestamp::from_nanos(i64::from(seconds) * 1_000_000_000 + nanos)
    }
}

/// Whether the header of another file stands where a record should: two files
/// were written one behind the other (`cat a.pcap b.pcap`).
///
/// As a record it would be a packet of no bytes, neither captured nor sent, in the year 2055.
fn is_appended(block: &mut Block) -> Result<bool, Breach> {
    let Some(header) = block.want(HEADER).and_then(|bytes| bytes.first_chunk()) else {
        return Err(cut_off(block, "the header of an appended file", HEADER));
    };
    Ok(Pcap::parse(header).is_some_and(|pcap| pcap.minor == 4 && pcap.snap_length > 0))
}

/// The breach of a file that has less than `whole` bytes left.
pub(super) fn cut_off(block: &mut Block, part: &'static str, whole: usize) -> Breach {
    match block.take_failure() {
        Some(error) => Breach::Failed(error),
        None => Breach::CutOff {
            part,
            there: block.available().len(),
            whole,
        },
    }
}

/// The end of a file: a good one if it comes between two records.
pub(super) fn end(
    block: &mut Block,
    part: &'static str,
    whole: usize,
) -> Result<Option<Step>, Breach> {
    match cut_off(block, part, whole) {
        Breach::CutOff { there: 0, .. } => Ok(None),
        breach => Err(breach),
    }
}
