//! What stands between the packet's first byte and its TCP header: one header
//! after another, each of which says what comes next.

use std::net::IpAddr;

use etherparse::{IpFragOffset, Ipv4HeaderSlice, Ipv6HeaderSlice};

/// Why a packet is nothing for us, as [`Decoded::Ignored`](super::Decoded::Ignored) tells it.
pub(super) type Why = &'static str;

/// Fewer bytes were captured than the header has.
pub(super) const CUT_SHORT: Why = "cut-short";
/// A header below TCP contradicts itself or its packet.
pub(super) const MALFORMED: Why = "malformed";

/// How to read the next byte.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer<'a> {
    /// An Ethernet header.
    Ethernet,
    /// What this `EtherType` announces.
    EtherType(u16),
    /// An LLC header (IEEE 802.2), whose length nothing before it told.
    Llc,
    /// Several datagrams, each behind a small header of its own (A-MSDU of IEEE 802.11).
    Aggregate,
    /// IPv4 or IPv6; the version nibble tells.
    Ip,
    /// What this IP protocol number announces, in the datagram with this header.
    Protocol(Carrier<'a>, u8),
}

/// The header that follows, and the bytes from it on.
pub(super) type Next<'a> = Result<(Layer<'a>, Rest<'a>), Why>;

/// What reading one header led to.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// Another header.
    Next(Layer<'a>, Rest<'a>),
    /// What we were looking for.
    Inside(Inside<'a>),
}

impl<'a> Step<'a> {
    /// Of a reader that always leads to another header.
    pub(super) fn from(next: Next<'a>) -> Result<Self, Why> {
        next.map(|(layer, rest)| Self::Next(layer, rest))
    }
}

/// What is inside all headers. Not read yet: a segment is large, and is best
/// built where the caller wants it.
#[derive(Debug)]
pub(super) enum Inside<'a> {
    /// A TCP segment.
    Tcp(Carrier<'a>, Rest<'a>),
    /// An ICMP or ICMPv6 message.
    Icmp(Carrier<'a>, Rest<'a>),
    /// A fragment of a datagram.
    Fragment(Fragment<'a>),
    /// Several datagrams in one packet.
    Aggregate(Rest<'a>),
    /// An ARP reply of this host.
    Neighbour(IpAddr),
}

/// The IP header that carries a segment. Kept as it is until somebody wants a
/// field: passing addresses from header to header cost more than all the rest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Carrier<'a> {
    /// Version 4.
    V4(Ipv4HeaderSlice<'a>),
    /// Version 6.
    V6(Ipv6HeaderSlice<'a>),
}

impl<'a> Carrier<'a> {
    /// The header that these bytes are.
    pub(super) fn of(header: &'a [u8]) -> Option<Self> {
        match header.first()? >> 4 {
            4 => Ipv4HeaderSlice::from_slice(header).ok().map(Self::V4),
            _ => Ipv6HeaderSlice::from_slice(header).ok().map(Self::V6),
        }
    }

    /// Its bytes, without extension headers.
    pub(super) fn slice(&self) -> &'a [u8] {
        match self {
            Self::V4(header) => header.slice(),
            Self::V6(header) => header.slice(),
        }
    }

    /// Source address.
    #[inline(always)]
    pub(super) fn from(&self) -> IpAddr {
        match self {
            Self::V4(header) => IpAddr::V4(header.source_addr()),
            Self::V6(header) => IpAddr::V6(header.source_addr()),
        }
    }

    /// Destination address.
    #[inline(always)]
    pub(super) fn to(&self) -> IpAddr {
        match self {
            Self::V4(header) => IpAddr::V4(header.destination_addr()),
            Self::V6(header) => IpAddr::V6(header.destination_addr()),
        }
    }

    /// TTL or hop limit.
    #[inline(always)]
    pub(super) fn ttl(&self) -> u8 {
        match self {
            Self::V4(header) => header.ttl(),
            Self::V6(header) => header.hop_limit(),
        }
    }

    /// Identification; IPv4 only.
    #[inline(always)]
    pub(super) fn id(&self) -> Option<u16> {
        match self {
            Self::V4(header) => Some(header.identification()),
            Self::V6(_) => None,
        }
    }

    /// True for IPv6.
    #[inline(always)]
    pub(super) fn is_v6(&self) -> bool {
        matches!(self, Self::V6(_))
    }
}

/// A part of a datagram (RFC 791, section 3.2; RFC 8200, section 4.5).
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    /// The header in front of it.
    pub(super) carrier: Carrier<'a>,
    /// What the whole datagram carries.
    pub(super) protocol: u8,
    /// Which datagram of these two hosts.
    pub(super) id: u32,
    /// Where in the datagram it belongs.
    pub(super) offset: IpFragOffset,
    /// It isn't the last one.
    pub(super) more: bool,
    /// Its bytes.
    pub(super) rest: Rest<'a>,
}

/// The bytes not read yet, and how many there were on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'a> {
    /// As captured.
    pub(super) bytes: &'a [u8],
    /// Length on the wire; never less than `bytes.len()`.
    pub(super) wire: usize,
}

impl<'a> Rest<'a> {
    /// All of `bytes`, which were `wire` bytes before the snap length cut them.
    #[inline(always)]
    pub(super) fn new(bytes: &'a [u8], wire: usize) -> Self {
        Self {
            bytes,
            wire: wire.max(bytes.len()),
        }
    }

    /// What to call it when bytes are missing.
    #[inline(always)]
    pub(super) fn too_short(&self) -> Why {
        if self.bytes.len() < self.wire {
            CUT_SHORT
        } else {
            MALFORMED
        }
    }

    /// The first `N` bytes, and what follows them.
    #[inline(always)]
    pub(super) fn take<const N: usize>(self) -> Result<(&'a [u8; N], Self), Why> {
        let (head, bytes) = self.bytes.split_first_chunk().ok_or(self.too_short())?;
        Ok((
            head,
            Self {
                bytes,
                wire: self.wire.saturating_sub(N),
            },
        ))
    }

    /// What follows the first `n` bytes.
    #[inline(always)]
    pub(super) fn skip(self, n: usize) -> Result<Self, Why> {
        let bytes = self.bytes.get(n..).ok_or(self.too_short())?;
        Ok(Self {
            bytes,
            wire: self.wire.saturating_sub(n),
        })
    }

    /// The first `len` bytes, as a length field tells: what lies behind them is
    /// padding or a checksum. The field is believed over the length that the
    /// capture gives, since some tools lose that one when they cut packets.
    #[inline(always)]
    pub(super) fn limit(self, len: usize) -> Self {
        Self {
            bytes: self.bytes.get(..len).unwrap_or(self.bytes),
            wire: len,
        }
    }

    /// All but the last `len` bytes of what was on the wire: a frame check
    /// sequence, where IP doesn't tell its length.
    pub(super) fn without_tail(self, len: usize) -> Self {
        let wire = self.wire.saturating_sub(len);
        Self {
            bytes: self.bytes.get(..wire).unwrap_or(self.bytes),
            wire,
        }
    }
}
