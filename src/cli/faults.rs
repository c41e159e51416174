//! What kept packets from being read: damage, and link types that are unknown here.

use crate::packet::known_link_type;
use crate::source::{FileSummary, LinkType, Packet};

/// Packets that begin in a way that is unknown here, by file and link type.
#[derive(Default)]
pub(super) struct Foreign {
    seen: Vec<(u16, LinkType, u64)>,
    /// The latest that was known.
    known: Option<LinkType>,
}

impl Foreign {
    /// Costs a comparison for all packets that begin as usual.
    #[inline]
    pub(super) fn note(&mut self, packet: &Packet<'_>) {
        if self.known != Some(packet.link) {
            self.look_up(packet);
        }
    }

    fn look_up(&mut self, packet: &Packet<'_>) {
        if known_link_type(packet.link) {
            self.known = Some(packet.link);
        } else {
            self.count(packet.at.source, packet.link);
        }
    }

    fn count(&mut self, source: u16, link: LinkType) {
        let mut seen = self.seen.iter_mut();
        if let Some((_, _, packets)) = seen.find(|seen| (seen.0, seen.1) == (source, link)) {
            *packets = packets.saturating_add(1);
        } else if self.seen.len() < 512 {
            // Rationale: more link types than are registered; a file of nonsense must not grow this.
            self.seen.push((source, link, 1));
        }
    }

    /// Of one file, by its place among the files that were opened.
    fn of(&self, source: usize) -> impl Iterator<Item = (LinkType, u64)> {
        let own = self
            .seen
            .iter()
            .filter(move |seen| usize::from(seen.0) == source);
        own.map(|(_, link, packets)| (*link, *packets))
    }
}

/// False for a file that gave nothing because it is damaged or begins in an
/// unknown way. One that is whole and has no packets was read.
pub(super) fn readable(source: usize, file: &FileSummary, foreign: &Foreign) -> bool {
    let unknown = foreign.of(source).map(|(_, packets)| packets).sum();
    file.packets > unknown || (file.packets == 0 && file.damage.is_none())
}

/// A line for each thing that kept packets from being read: file, offset, way out.
pub(super) fn faults(files: &[FileSummary], foreign: &Foreign) -> Vec<String> {
    let mut lines = Vec::new();
    for (source, file) in files.iter().enumerate() {
        let path = file.path.display();
        for (link, packets) in foreign.of(source) {
            let offset = link_type_offset(file, link);
            let (number, all) = (link.0, file.packets);
            lines.push(format!(
                "{path}: offset {offset}: link type {number} is unknown to this version, {packets} of {all} packets have it \
                 (tcpdump.org/linktypes.html tells what it is); capture on the host itself: tcpdump -i any -w FILE"
            ));
        }
        if let Some(damage) = &file.damage {
            let read = match file.packets {
                0 => "no packet could be read".to_owned(),
                1 => "the packet before it was read".to_owned(),
                packets => format!("the {packets} packets before it were read"),
            };
            lines.push(format!(
                "{path}: {damage}; {read}; take a fresh copy of the file, or capture again"
            ));
        }
    }
    lines
}

/// Where the file says that packets begin so.
fn link_type_offset(file: &FileSummary, link: LinkType) -> u64 {
    let interface = file
        .interfaces
        .iter()
        .find(|interface| interface.link == link);
    interface.map_or(0, |interface| interface.offset)
}
