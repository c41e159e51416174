//! From a captured packet to the TCP segment inside it.
//!
//! Decoding never fails: what isn't TCP, or can't be read, is
//! [`Decoded::Ignored`] with the reason.

mod fragments;
mod icmp;
mod ip;
mod layer;
mod link;
mod segment;
mod seq;
mod tunnel;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

pub use link::known_link_type;
pub use segment::{Endpoint, Flags, IcmpError, Options, Segment};
pub use seq::Seq;

use crate::source::Packet;
use crate::stream::PacketRef;
use fragments::{Added, Fragments};
use layer::{Fragment, Layer, Rest, Step};

/// What a packet turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// An ICMP error about a TCP segment that it quotes.
    Icmp(IcmpError),
    /// An ARP or IPv6 neighbour reply: this host exists and answers.
    Neighbour(IpAddr),
    /// Part of a datagram that is not complete yet.
    Pending,
    /// Nothing for us, and why, as a short word for the report: `udp`, `arp`, `ip-fragment`.
    Ignored(&'static str),
}

/// Rationale: the deepest stacks met in data centres (two VLAN tags, an overlay,
/// two more tags, IPv6 with extension headers) have about a dozen headers.
const MAX_HEADERS: usize = 24;

/// Reads packets one by one. Between them it remembers fragments only.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one packet. The payload of a segment is lent from `packet`, or
    /// from the decoder where the segment came in fragments: then its packet
    /// is the one that made it whole.
    pub fn decode<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        let wire_len = usize::try_from(packet.wire_len).unwrap_or(usize::MAX);
        let fragment = match link::open(packet.link, Rest::new(packet.bytes, wire_len)) {
            Ok((layer, rest)) => match unwrap(packet.at, layer, rest) {
                Unwrapped::Decoded(decoded) => return decoded,
                Unwrapped::Fragment(fragment) => fragment,
            },
            Err(why) => return Decoded::Ignored(why),
        };
        match self.fragments.add(&fragment, packet.at.time) {
            Added::Pending => Decoded::Pending,
            Added::Unusable => Decoded::Ignored("ip-fragment"),
            Added::Whole(rest) => {
                let layer = Layer::Protocol(fragment.carrier, fragment.protocol);
                match unwrap(packet.at, layer, rest) {
                    Unwrapped::Decoded(decoded) => decoded,
                    // Fragments of fragments: a tunnel that was itself cut up twice.
                    Unwrapped::Fragment(_) => Decoded::Ignored("ip-fragment"),
                }
            }
        }
    }
}

/// What is inside all headers.
enum Unwrapped<'a> {
    Decoded(Decoded<'a>),
    Fragment(Fragment<'a>),
}

/// Reads header after header.
fn unwrap<'a>(at: PacketRef, mut layer: Layer, mut rest: Rest<'a>) -> Unwrapped<'a> {
    for _ in 0..MAX_HEADERS {
        let step = match layer {
            Layer::Ethernet => link::ethernet(rest),
            Layer::EtherType(kind) => link::ether_payload(kind, rest),
            Layer::Ip => ip::ip(rest),
            Layer::Protocol(carrier, protocol) => ip::payload(at, carrier, protocol, rest),
        };
        match step {
            Ok(Step::Next(next, inner)) => (layer, rest) = (next, inner),
            Ok(Step::Fragment(fragment)) => return Unwrapped::Fragment(fragment),
            Ok(Step::Done(decoded)) => return Unwrapped::Decoded(decoded),
            Err(why) => return Unwrapped::Decoded(Decoded::Ignored(why)),
        }
    }
    Unwrapped::Decoded(Decoded::Ignored("too-many-headers"))
}
