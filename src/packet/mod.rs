//! From a captured packet to the TCP segment inside it.
//!
//! Decoding never fails: what isn't TCP, or can't be read, is
//! [`Decoded::Ignored`] with the reason.

mod cooked;
mod ethernet;
mod fragments;
mod icmp;
mod ip;
mod layer;
mod link;
mod ppp;
mod proof;
mod segment;
mod seq;
mod tunnel;
mod udp;
mod wlan;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

pub use link::{carries_ip, known_link_type};
pub use segment::{Endpoint, Flags, IcmpError, Options, Segment};
pub use seq::Seq;

use crate::source::Packet;
use crate::stream::PacketRef;
use ethernet::ether_type;
use fragments::{Added, Fragments, Incomplete};
use ip::protocol;
use layer::{Carrier, Fragment, Inside, Layer, Rest, Step, Why};

/// What a packet turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// An ICMP error about a TCP segment that it quotes.
    Icmp(IcmpError),
    /// An ARP or IPv6 neighbour reply: this host exists and answers.
    Neighbour(IpAddr),
    /// Part of a datagram that is not complete yet. If it never is, [`Decoder::finish`] tells.
    Pending,
    /// Nothing for us, and why, as a short word for the report. The words are stable:
    ///
    /// - by protocol: `udp`, `arp`, `icmp`, `icmpv6`, `igmp`, `sctp`, `esp`, `ppp`, `mpls`, `gre`, `macsec`, `lldp`,
    ///   `stp`, `eapol`, `pppoe-discovery`, `other-ethertype`, `other-ip-protocol`, `not-ip`
    /// - by link: `unknown-link-type`, `no-ip-on-netlink` and its like, `802.15.4`, `preempted-frame`
    /// - on the air: `wlan-management`, `wlan-control`, `wlan-no-data`, `wlan-protected`, `wlan-fragment`, `wlan-damaged`
    /// - pieces: `fragment-incomplete`, `fragment-duplicate`, `fragment-conflict`, `fragment-cut`, `fragment-limit`
    /// - faults: `cut-short` by the snap length, `malformed`, `malformed-tcp`, `too-many-headers`
    Ignored(&'static str),
}

/// Rationale: the deepest stacks met in data centres (two VLAN tags, an overlay,
/// two more tags, IPv6 with extension headers) have about a dozen headers.
const MAX_HEADERS: usize = 24;

/// A packet of nothing but headers.
const TOO_MANY_HEADERS: Why = "too-many-headers";

/// Rationale: a datagram is cut into fragments by a tunnel's entry, and those
/// perhaps again on the way; each level of it costs a copy.
const MAX_FRAGMENTED: usize = 4;

/// Rationale: 11 KB (IEEE 802.11) hold a dozen full datagrams, or a few dozen
/// acknowledgments; each is looked for from the first on.
const MAX_AGGREGATED: u16 = 64;

/// Reads packets one by one. Between them it remembers fragments only.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
    /// Which of a packet's datagrams comes next; 0 if it has no more.
    next_part: u16,
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
        self.next_part = 0;
        let (layer, rest) = match link::open(packet.link, whole(packet)) {
            Ok(next) => next,
            Err(why) => return Decoded::Ignored(why),
        };
        match usual(layer, rest) {
            Some((carrier, rest)) => read_tcp(packet.at, &carrier, rest),
            None => self.decode_unusual(packet.at, layer, rest),
        }
    }

    #[inline(never)]
    fn decode_unusual<'a>(
        &'a mut self,
        at: PacketRef,
        layer: Layer<'a>,
        rest: Rest<'a>,
    ) -> Decoded<'a> {
        match unwrap(layer, rest) {
            Ok(inside) => self.settle(at, inside, 0),
            Err(why) => Decoded::Ignored(why),
        }
    }

    /// True if the packet that was read last holds another datagram.
    #[inline]
    pub fn has_more(&self) -> bool {
        self.next_part > 0
    }

    /// Reads the next datagram of the same packet: IEEE 802.11 sends several in
    /// one frame. Worth asking only if [`has_more`](Self::has_more).
    pub fn decode_more<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        let part = std::mem::take(&mut self.next_part);
        let rest = whole(packet);
        match link::open(packet.link, rest).and_then(|(layer, rest)| unwrap_rarely(layer, rest)) {
            Ok(inside) => self.settle(packet.at, inside, part),
            Err(why) => Decoded::Ignored(why),
        }
    }

    /// The input is at its end. Returns how many packets came to nothing after
    /// they were [`Pending`](Decoded::Pending), by reason.
    pub fn finish(&mut self) -> Vec<(&'static str, u64)> {
        self.fragments.finish()
    }

    /// What is no segment, or takes more than its own packet, or less.
    #[inline(never)]
    fn settle<'a>(&'a mut self, at: PacketRef, inside: Inside<'a>, part: u16) -> Decoded<'a> {
        match inside {
            Inside::Fragment(fragment) => self.reassemble(at, &fragment),
            Inside::Aggregate(rest) => self.disaggregate(at, rest, part),
            inside => read(at, inside),
        }
    }

    fn disaggregate<'a>(&'a mut self, at: PacketRef, rest: Rest<'a>, part: u16) -> Decoded<'a> {
        if part >= MAX_AGGREGATED {
            return Decoded::Ignored(TOO_MANY_HEADERS);
        }
        let inside = wlan::subframe(rest, part).and_then(|(datagram, more)| {
            self.next_part = if more { part + 1 } else { 0 };
            unwrap_rarely(Layer::Llc, datagram)
        });
        match inside {
            Ok(Inside::Fragment(fragment)) => self.reassemble(at, &fragment),
            Ok(inside) => read(at, inside),
            Err(why) => Decoded::Ignored(why),
        }
    }

    /// A datagram that is whole may be a tunnel's, with a fragment inside.
    fn reassemble(&mut self, at: PacketRef, fragment: &Fragment<'_>) -> Decoded<'_> {
        let mut added = self.fragments.add(fragment, 1, at.time);
        for _ in 0..MAX_FRAGMENTED {
            match added {
                Added::Pending => return Decoded::Pending,
                Added::Unusable(why) => return Decoded::Ignored(why),
                Added::Whole => {}
            }
            let Some(whole) = self.fragments.take_whole() else {
                break;
            };
            let inside = whole
                .layer()
                .and_then(|(layer, rest)| unwrap_rarely(layer, rest));
            let other = match inside {
                Ok(Inside::Fragment(inner)) => {
                    added = self.fragments.add(&inner, whole.packets(), at.time);
                    continue;
                }
                Ok(Inside::Tcp(..)) => return tcp(at, self.fragments.keep_whole(whole)),
                Ok(inside) => without_payload(read(at, inside)),
                Err(why) => Decoded::Ignored(why),
            };
            self.fragments.in_vain(why(&other), &whole);
            return other;
        }
        Decoded::Ignored(TOO_MANY_HEADERS)
    }
}

fn whole<'a>(packet: &Packet<'a>) -> Rest<'a> {
    let wire_len = usize::try_from(packet.wire_len).unwrap_or(usize::MAX);
    Rest::new(packet.bytes, wire_len)
}

/// The usual packet, TCP in IP at once: the steps that [`unwrap`] takes for it,
/// one after another, which saves a third of its instructions. `None` for all others.
#[inline(always)]
fn usual<'a>(layer: Layer<'a>, rest: Rest<'a>) -> Option<(Carrier<'a>, Rest<'a>)> {
    let (layer, rest) = match layer {
        Layer::Ethernet => match ethernet::ethernet(rest) {
            Ok(Step::Next(next, inner)) => (next, inner),
            Ok(Step::Inside(_)) | Err(_) => return None,
        },
        layer => (layer, rest),
    };
    let (Layer::Ip | Layer::EtherType(ether_type::IPV4 | ether_type::IPV6)) = layer else {
        return None;
    };
    match ip::ip(rest) {
        Ok(Step::Next(Layer::Protocol(carrier, protocol::TCP), rest)) => Some((carrier, rest)),
        Ok(_) | Err(_) => None,
    }
}

/// The segment of a datagram that came in fragments.
fn tcp(at: PacketRef, datagram: &Incomplete) -> Decoded<'_> {
    let inside = datagram
        .layer()
        .and_then(|(layer, rest)| unwrap_rarely(layer, rest));
    inside.map_or_else(Decoded::Ignored, |inside| read(at, inside))
}

/// The same, where nothing is lent.
fn without_payload(decoded: Decoded<'_>) -> Decoded<'static> {
    match decoded {
        Decoded::Icmp(error) => Decoded::Icmp(error),
        Decoded::Neighbour(ip) => Decoded::Neighbour(ip),
        Decoded::Pending => Decoded::Pending,
        Decoded::Ignored(why) => Decoded::Ignored(why),
        Decoded::Tcp(_) => Decoded::Ignored(layer::MALFORMED),
    }
}

/// The word for what gave no segment.
fn why(decoded: &Decoded<'_>) -> Why {
    match decoded {
        Decoded::Icmp(error) if error.v6 => "icmpv6",
        Decoded::Icmp(_) => "icmp",
        Decoded::Neighbour(_) => "arp",
        Decoded::Ignored(why) => why,
        Decoded::Tcp(_) | Decoded::Pending => layer::MALFORMED,
    }
}

/// The same as [`unwrap`], for those who are in no hurry.
#[inline(never)]
fn unwrap_rarely<'a>(layer: Layer<'a>, rest: Rest<'a>) -> Result<Inside<'a>, Why> {
    unwrap(layer, rest)
}

/// Reads header after header.
///
/// Inlined with every step that is often taken: then the steps stay in registers,
/// 17 ns a packet instead of 60.
#[inline(always)]
fn unwrap<'a>(mut layer: Layer<'a>, mut rest: Rest<'a>) -> Result<Inside<'a>, Why> {
    for _ in 0..MAX_HEADERS {
        let step = match layer {
            Layer::Ethernet => ethernet::ethernet(rest),
            Layer::EtherType(kind) => ethernet::payload(kind, rest),
            Layer::Ip => ip::ip(rest),
            Layer::Protocol(carrier, protocol) => ip::payload(carrier, protocol, rest),
            Layer::Llc => ethernet::logical_link_control(rest),
            Layer::Aggregate => return Ok(Inside::Aggregate(rest)),
        };
        match step? {
            Step::Next(next, inner) => (layer, rest) = (next, inner),
            Step::Inside(inside) => return Ok(inside),
        }
    }
    Err(TOO_MANY_HEADERS)
}

#[inline(always)]
fn read_tcp<'a>(at: PacketRef, carrier: &Carrier<'_>, rest: Rest<'a>) -> Decoded<'a> {
    match segment::parse(at, carrier, rest) {
        Ok(segment) => Decoded::Tcp(segment),
        Err(why) => Decoded::Ignored(why),
    }
}

/// Reads what the headers led to.
fn read(at: PacketRef, inside: Inside<'_>) -> Decoded<'_> {
    match inside {
        Inside::Tcp(carrier, rest) => read_tcp(at, &carrier, rest),
        Inside::Icmp(carrier, rest) => {
            icmp::read(at, &carrier, rest).unwrap_or_else(Decoded::Ignored)
        }
        Inside::Neighbour(ip) => Decoded::Neighbour(ip),
        // An aggregate in an aggregate; fragments never come here.
        Inside::Fragment(_) | Inside::Aggregate(_) => Decoded::Ignored(layer::MALFORMED),
    }
}
