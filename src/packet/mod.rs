//! From a captured packet to the TCP segment inside it.
//!
//! Decoding never fails: what isn't TCP, or can't be read, is
//! [`Decoded::Ignored`] with the reason.

mod ip;
mod link;
mod segment;
mod seq;

use std::net::IpAddr;

pub use segment::{Endpoint, Flags, IcmpError, Options, Segment};
pub use seq::Seq;

use crate::source::Packet;

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
