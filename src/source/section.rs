//! What the blocks of one pcapng section say.

use super::LinkType;
use super::error::Breach;
use super::item::{Found, Item};
use super::options::{COMMENT, Options, padding};
use super::order::{ByteOrder, Fields, join};
use super::resolution::Clock;
use super::summary::{self, FileSummary, text};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const SECRETS: u32 = 0x0a;

/// The secrets type of a TLS key log: `TLSK`.
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// Length of the type and length in front of a block's body.
pub(super) const HEAD: usize = 8;

/// The most interfaces of one section. Rationale: each costs memory for as long
/// as the section lasts; hosts with a thousand virtual interfaces exist, with 65,536 not.
const MAX_INTERFACES: usize = 1 << 16;

/// What a section has said so far.
#[derive(Clone, Debug)]
pub(super) struct Section {
    order: ByteOrder,
    interfaces: Vec<Interface>,
}

/// What packets need to know of their interface.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snap_length: u32,
    clock: Clock,
    /// Drops told so far.
    dropped: u64,
}

impl Section {
    /// A section of which nothing is known but its byte order.
    pub(super) const fn new(order: ByteOrder) -> Self {
        Self {
            order,
            interfaces: Vec::new(),
        }
    }

    pub(super) const fn order(&self) -> ByteOrder {
        self.order
    }

    /// Takes the body of a block that stands at `offset` in the file.
    pub(super) fn read(
        &mut self,
        kind: u32,
        body: &[u8],
        offset: u64,
        summary: &mut FileSummary,
    ) -> Result<Item, Breach> {
        let fields = Fields::new(self.order, body);
        match kind {
            ENHANCED_PACKET => self.enhanced_packet(fields, summary),
            SIMPLE_PACKET => self.simple_packet(fields),
            PACKET => self.packet(fields, summary),
            INTERFACE => self.interface(fields, offset, summary),
            STATISTICS => self.statistics(fields),
            SECRETS => secrets(fields),
            SECTION => self.header(fields, summary),
            // Those that Wireshark numbers though they hold no packet: a systemd journal entry,
            // system calls of Sysdig in three layouts, and custom blocks in two.
            9 | 0x204 | 0x216 | 0x221 | 0x0bad | 0x4000_0bad => Ok(Item::Frame),
            // Name resolution, and whatever comes later.
            _ => Ok(Item::Nothing),
        }
    }

    /// The Section Header Block itself.
    fn header(&self, mut fields: Fields<'_>, summary: &mut FileSummary) -> Result<Item, Breach> {
        let [_magic] = need(fields.words(), SECTION)?;
        let (major, minor) = (need(fields.u16(), SECTION)?, need(fields.u16(), SECTION)?);
        // Some wrote minor version 2, which means the same as 0.
        if major != 1 {
            return Err(Breach::Version { major, minor });
        }
        // The section's length: its blocks tell the same.
        need(fields.u64(), SECTION)?;
        for (code, value) in Options::new(self.order, fields.rest()) {
            match code {
                COMMENT => summary.add_comment(value),
                // shb_userappl
                4 => summary.application = Some(text(value)),
                _ => {}
            }
        }
        Ok(Item::Nothing)
    }

    fn interface(
        &mut self,
        mut fields: Fields<'_>,
        offset: u64,
        summary: &mut FileSummary,
    ) -> Result<Item, Breach> {
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(Breach::Interfaces(MAX_INTERFACES));
        }
        let (link, _reserved) = (
            need(fields.u16(), INTERFACE)?,
            need(fields.u16(), INTERFACE)?,
        );
        let (link, snap_length) = (LinkType(link), need(fields.u32(), INTERFACE)?);
        let (mut clock, mut name) = (Clock::default(), None);
        for (code, value) in Options::new(self.order, fields.rest()) {
            match (code, value) {
                (COMMENT, _) => summary.add_comment(value),
                // if_name
                (2, _) => name = Some(text(value)),
                // if_tsresol
                (9, [resolution, ..]) => clock.set_resolution(*resolution),
                // if_tsoffset, a signed number
                (14, _) => {
                    if let Some(seconds) = value.first_chunk() {
                        clock.set_offset(self.order.u64(*seconds).cast_signed());
                    }
                }
                _ => {}
            }
        }
        self.interfaces.push(Interface {
            link,
            snap_length,
            clock,
            dropped: 0,
        });
        let snap_length = (snap_length != 0).then_some(snap_length);
        summary.add_interface(summary::Interface {
            link,
            offset,
            snap_length,
            name,
        });
        Ok(Item::Nothing)
    }

    fn enhanced_packet(
        &mut self,
        mut fields: Fields<'_>,
        summary: &mut FileSummary,
    ) -> Result<Item, Breach> {
        let [id, high, low, captured, wire_len] = need(fields.words(), ENHANCED_PACKET)?;
        let len = need(take_packet(&mut fields, captured), ENHANCED_PACKET)?;
        let order = self.order;
        let interface = self.interface_of(id)?;
        let time = Some(interface.clock.time(join(high, low)));
        let mut lost = 0;
        for (code, value) in Options::new(order, fields.rest()) {
            match (code, value.first_chunk()) {
                (COMMENT, _) => summary.add_packet_comment(value),
                // epb_dropcount
                (4, Some(count)) => lost = order.u64(*count),
                _ => {}
            }
        }
        interface.dropped = interface.dropped.saturating_add(lost);
        let start = HEAD + 20;
        Ok(Item::Packet(Found {
            time,
            link: interface.link,
            wire_len,
            start,
            len,
            lost,
        }))
    }

    /// The obsolete Packet Block: a 16-bit interface and a count of drops beside it.
    fn packet(
        &mut self,
        mut fields: Fields<'_>,
        summary: &mut FileSummary,
    ) -> Result<Item, Breach> {
        let (id, drops) = (need(fields.u16(), PACKET)?, need(fields.u16(), PACKET)?);
        let [high, low, captured, wire_len] = need(fields.words(), PACKET)?;
        let len = need(take_packet(&mut fields, captured), PACKET)?;
        for (code, value) in Options::new(self.order, fields.rest()) {
            if code == COMMENT {
                summary.add_packet_comment(value);
            }
        }
        let interface = self.interface_of(u32::from(id))?;
        let time = Some(interface.clock.time(join(high, low)));
        // The largest value stands for "not counted".
        let lost = if drops == u16::MAX {
            0
        } else {
            u64::from(drops)
        };
        interface.dropped = interface.dropped.saturating_add(lost);
        let start = HEAD + 20;
        Ok(Item::Packet(Found {
            time,
            link: interface.link,
            wire_len,
            start,
            len,
            lost,
        }))
    }

    /// A packet of the first interface, without time; its captured length follows from the snap length.
    fn simple_packet(&mut self, mut fields: Fields<'_>) -> Result<Item, Breach> {
        let wire_len = need(fields.u32(), SIMPLE_PACKET)?;
        let interface = self.interface_of(0)?;
        let captured = match interface.snap_length {
            0 => wire_len,
            snap_length => wire_len.min(snap_length),
        };
        let len = need(take_packet(&mut fields, captured), SIMPLE_PACKET)?;
        let (link, start) = (interface.link, HEAD + 4);
        Ok(Item::Packet(Found {
            time: None,
            link,
            wire_len,
            start,
            len,
            lost: 0,
        }))
    }

    /// Totals of an interface; what they add to the drops told before is new.
    fn statistics(&mut self, mut fields: Fields<'_>) -> Result<Item, Breach> {
        let [id, _high, _low] = need(fields.words(), STATISTICS)?;
        let order = self.order;
        let mut total = 0u64;
        for (code, value) in Options::new(order, fields.rest()) {
            // isb_ifdrop and isb_osdrop: lost in the interface, and between it and the capturing program.
            // All ones say that it isn't known, as they do for other counters of the format.
            let count = value.first_chunk().map(|count| order.u64(*count));
            if let (5 | 7, Some(count)) = (code, count.filter(|count| *count != u64::MAX)) {
                total = total.saturating_add(count);
            }
        }
        // Statistics of an interface that isn't described harm nobody.
        let Ok(interface) = self.interface_of(id) else {
            return Ok(Item::Nothing);
        };
        match total.saturating_sub(interface.dropped) {
            0 => Ok(Item::Nothing),
            more => {
                interface.dropped = total;
                Ok(Item::Dropped(more))
            }
        }
    }

    fn interface_of(&mut self, id: u32) -> Result<&mut Interface, Breach> {
        let known = self.interfaces.len();
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        self.interfaces
            .get_mut(index)
            .ok_or(Breach::Interface { id, known })
    }
}

/// Steps over a packet's bytes and their padding; the length that it has.
fn take_packet(fields: &mut Fields<'_>, captured: u32) -> Option<usize> {
    let len = fields.bytes(usize::try_from(captured).ok()?)?.len();
    // Where the padding is missing there are no options either.
    let _padding = fields.bytes(padding(len));
    Some(len)
}

fn secrets(mut fields: Fields<'_>) -> Result<Item, Breach> {
    let [kind, claimed] = need(fields.words(), SECRETS)?;
    let len = need(
        usize::try_from(claimed)
            .ok()
            .and_then(|len| fields.bytes(len)),
        SECRETS,
    )?
    .len();
    match kind {
        TLS_KEY_LOG => Ok(Item::Secrets {
            start: HEAD + 8,
            len,
        }),
        // Keys of WireGuard, ZigBee, SSH: none for us.
        _ => Ok(Item::Nothing),
    }
}

/// A field that a block must have.
fn need<T>(field: Option<T>, kind: u32) -> Result<T, Breach> {
    field.ok_or(Breach::Short(name(kind)))
}

/// A block's name in sentences.
pub(super) const fn name(kind: u32) -> &'static str {
    match kind {
        SECTION => "a section header block",
        INTERFACE => "an interface description block",
        PACKET => "a packet block",
        SIMPLE_PACKET => "a simple packet block",
        STATISTICS => "an interface statistics block",
        ENHANCED_PACKET => "an enhanced packet block",
        SECRETS => "a decryption secrets block",
        _ => "a block",
    }
}
