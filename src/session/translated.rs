//! One TCP connection that was captured on both sides of an address translation.

use super::Leg;
use crate::stream::PacketRef;

/// Which connection this one is, as seen on the other side of a translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SameAs {
    /// Wireshark's `tcp.stream` of the side that was seen first.
    pub tcp_stream: u32,
    /// The packet on that side.
    pub there: PacketRef,
    /// The same packet on this side.
    pub here: PacketRef,
}

/// The connection on the other side: what its packets showed there.
#[derive(Clone, Debug)]
pub struct FarSide {
    /// Its TCP facts, under the addresses of that side.
    pub leg: Leg,
    /// The packets that show that the two are one.
    pub same_as: SameAs,
}

impl FarSide {
    /// The capture still heard that side at this time: what isn't there didn't pass there.
    pub fn was_watched(&self, at: PacketRef, horizon: PacketRef) -> bool {
        let last = self.leg.last_packet_any();
        // One file that goes on watches both; of another file only its own packets tell.
        last.time >= at.time || (last.source == at.source && horizon.time >= at.time)
    }
}
