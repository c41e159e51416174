//! The pcapng format: sections of blocks.
//!
//! ```text
//! type 4 | total length 4 | body, padded to 4 bytes | total length 4
//! ```
//! A section begins with a Section Header Block, which sets its byte order and
//! forgets the interfaces of the section before. Source: draft-ietf-opsawg-pcapng.

use super::block::{Block, MAX_RECORD};
use super::error::Breach;
use super::item::Step;
use super::order::{ByteOrder, Fields};
use super::pcap::{cut_off, end};
use super::section::{HEAD, Section, name};
use super::summary::FileSummary;

/// Type of the Section Header Block: the same read in either byte order.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// All of a block but its body.
const FRAME: usize = 12;

/// A pcapng file that is being read.
#[derive(Clone, Debug)]
pub(super) struct Pcapng {
    section: Section,
}

/// A block's type and length.
#[derive(Clone, Copy)]
struct Head {
    kind: u32,
    total: u32,
    len: usize,
}

impl Pcapng {
    /// A reader that stands before the first section.
    pub(super) const fn new() -> Self {
        Self {
            section: Section::new(ByteOrder::Little),
        }
    }

    /// Reads the next block, which begins at the block's next byte.
    pub(super) fn step(
        &mut self,
        block: &mut Block,
        summary: &mut FileSummary,
    ) -> Result<Option<Step>, Breach> {
        let Some(bytes) = block.want(FRAME) else {
            return end(block, "a block's header", FRAME);
        };
        let head = self.head(bytes)?;
        let offset = block.offset();
        let Some(bytes) = block.want(head.len) else {
            return Err(cut_off(block, name(head.kind), head.len));
        };
        let whole = bytes.get(..head.len).unwrap_or_default();
        let body = self.body(head, whole)?;
        let item = self.section.read(head.kind, body, offset, summary)?;
        Ok(Some(Step {
            taken: head.len,
            item,
        }))
    }

    /// Reads type and length; a section header begins with its byte order, which its length needs.
    fn head(&mut self, bytes: &[u8]) -> Result<Head, Breach> {
        if let Some((&SECTION_HEADER, rest)) = bytes.split_first_chunk() {
            self.section = Section::new(byte_order(rest.get(4..).unwrap_or_default())?);
        }
        let Some([kind, total]) = Fields::new(self.section.order(), bytes).words() else {
            return Err(Breach::Short("a block's header"));
        };
        match usize::try_from(total) {
            Ok(len) if (FRAME..=MAX_RECORD).contains(&len) && len % 4 == 0 => {
                Ok(Head { kind, total, len })
            }
            _ => Err(Breach::BlockLength {
                kind,
                claimed: total,
            }),
        }
    }

    /// The body of a whole block.
    fn body<'a>(&self, head: Head, whole: &'a [u8]) -> Result<&'a [u8], Breach> {
        let short = || Breach::Short(name(head.kind));
        let (front, last) = whole.split_last_chunk().ok_or_else(short)?;
        match self.section.order().u32(*last) {
            after if after == head.total => front.get(HEAD..).ok_or_else(short),
            after => Err(Breach::Lengths {
                kind: head.kind,
                before: head.total,
                after,
            }),
        }
    }
}

/// The byte order that a section header's magic tells.
fn byte_order(magic: &[u8]) -> Result<ByteOrder, Breach> {
    let magic = magic.first_chunk().copied().unwrap_or_default();
    [ByteOrder::Little, ByteOrder::Big]
        .into_iter()
        .find(|order| order.u32(magic) == 0x1a2b_3c4d)
        .ok_or(Breach::ByteOrder(u32::from_be_bytes(magic)))
}
