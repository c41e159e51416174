//! A TCP segment as its packet showed it (RFC 9293, section 3.1).

use std::net::IpAddr;

use super::Seq;
use crate::stream::PacketRef;

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The IP address. IPv4 stays IPv4.
    pub ip: IpAddr,
    /// The TCP port.
    pub port: u16,
}

impl From<Endpoint> for std::net::SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.ip, endpoint.port)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::net::SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

/// The control bits, as they stand in byte 13 of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The sender has no more data.
    pub const FIN: u8 = 0x01;
    /// First segment of a direction.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment number counts.
    pub const ACK: u8 = 0x10;

    /// FIN is set.
    pub const fn fin(self) -> bool {
        self.0 & Self::FIN != 0
    }
    /// SYN is set.
    pub const fn syn(self) -> bool {
        self.0 & Self::SYN != 0
    }
    /// RST is set.
    pub const fn rst(self) -> bool {
        self.0 & Self::RST != 0
    }
    /// ACK is set.
    pub const fn ack(self) -> bool {
        self.0 & Self::ACK != 0
    }
}

/// The TCP options that matter to a bystander.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Maximum segment size (on a SYN).
    pub mss: Option<u16>,
    /// Window scale shift count, at most 14 (on a SYN; RFC 7323, section 2.3).
    pub window_scale: Option<u8>,
    /// TSval and TSecr (RFC 7323, section 3).
    pub timestamps: Option<(u32, u32)>,
    /// First SACK block, left and right edge (RFC 2018); a block below the
    /// acknowledgment number is a D-SACK (RFC 2883).
    pub sack: Option<(Seq, Seq)>,
}

/// A TCP segment. The payload is lent from the reader's block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The packet that carried it.
    pub at: PacketRef,
    /// Who sent it.
    pub from: Endpoint,
    /// To whom.
    pub to: Endpoint,
    /// Sequence number of the first payload byte, or of the SYN.
    pub seq: Seq,
    /// Acknowledgment number; means something only with [`Flags::ack`].
    pub ack: Seq,
    /// The control bits.
    pub flags: Flags,
    /// The window field, not scaled.
    pub window: u16,
    /// The options.
    pub options: Options,
    /// TTL (IPv4) or hop limit (IPv6).
    pub ttl: u8,
    /// The IPv4 identification; IPv6 has none outside fragments.
    pub ip_id: Option<u16>,
    /// Payload bytes as captured. Ethernet padding is not among them.
    pub payload: &'a [u8],
    /// Payload bytes on the wire, as the IP header tells; more than
    /// `payload.len()` where the snap length cut the packet.
    pub wire_len: u32,
}

/// An ICMP or ICMPv6 error that quotes the head of a TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// The packet.
    pub at: PacketRef,
    /// Who sent the ICMP message.
    pub reporter: IpAddr,
    /// The ICMP type.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// True for ICMPv6.
    pub v6: bool,
    /// Sender of the quoted segment.
    pub from: Endpoint,
    /// Receiver of the quoted segment.
    pub to: Endpoint,
    /// Its sequence number, where enough was quoted.
    pub seq: Seq,
}
