//! A TCP segment as its packet showed it (RFC 9293, section 3.1).

use std::net::IpAddr;

use super::Seq;
use super::layer::{CUT_SHORT, Carrier, Rest, Why};
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

/// What an impossible TCP header is called.
const MALFORMED_TCP: Why = "malformed-tcp";

/// Reads the segment that `carrier` carries. Where the snap length cut the
/// options, those that were captured count.
#[inline(always)]
pub(super) fn parse<'a>(
    at: PacketRef,
    carrier: &Carrier<'_>,
    rest: Rest<'a>,
) -> Result<Segment<'a>, Why> {
    let Some(head) = rest.bytes.first_chunk::<20>() else {
        return Err(if rest.wire < 20 {
            MALFORMED_TCP
        } else {
            CUT_SHORT
        });
    };
    let header_len = usize::from(head[12] >> 4) * 4;
    let payload_len = rest.wire.checked_sub(header_len).ok_or(MALFORMED_TCP)?;
    if header_len < head.len() {
        return Err(MALFORMED_TCP);
    }
    let (header, payload) = rest
        .bytes
        .split_at_checked(header_len)
        .unwrap_or((rest.bytes, &[]));
    Ok(Segment {
        at,
        from: Endpoint {
            ip: carrier.from(),
            port: u16::from_be_bytes([head[0], head[1]]),
        },
        to: Endpoint {
            ip: carrier.to(),
            port: u16::from_be_bytes([head[2], head[3]]),
        },
        seq: Seq(u32::from_be_bytes([head[4], head[5], head[6], head[7]])),
        ack: Seq(u32::from_be_bytes([head[8], head[9], head[10], head[11]])),
        flags: Flags(head[13]),
        window: u16::from_be_bytes([head[14], head[15]]),
        options: header
            .get(head.len()..)
            .map(Options::parse)
            .unwrap_or_default(),
        ttl: carrier.ttl(),
        ip_id: carrier.id(),
        payload,
        wire_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
    })
}

impl Options {
    /// Reads options up to the end of the list or the first one that can't be
    /// right (RFC 9293, section 3.1): what came before it still counts.
    fn parse(mut bytes: &[u8]) -> Self {
        const END: u8 = 0;
        const NO_OPERATION: u8 = 1;
        let mut options = Self::default();
        // The usual options of an established connection (RFC 7323, appendix A).
        if let &[
            NO_OPERATION,
            NO_OPERATION,
            8,
            10,
            v0,
            v1,
            v2,
            v3,
            e0,
            e1,
            e2,
            e3,
        ] = bytes
        {
            let value = u32::from_be_bytes([v0, v1, v2, v3]);
            let echo = u32::from_be_bytes([e0, e1, e2, e3]);
            options.timestamps = Some((value, echo));
            return options;
        }
        while let Some((&kind, after)) = bytes.split_first() {
            match kind {
                END => break,
                NO_OPERATION => bytes = after,
                _ => {
                    let Some(len) = after.first().map(|&len| usize::from(len)) else {
                        break;
                    };
                    let Some((option, next)) = bytes.split_at_checked(len) else {
                        break;
                    };
                    let Some(value) = option.get(2..) else { break };
                    options.set(kind, value);
                    bytes = next;
                }
            }
        }
        options
    }

    /// Notes one option, if it is one of ours and as long as it must be.
    fn set(&mut self, kind: u8, value: &[u8]) {
        match (kind, value) {
            (2, &[high, low]) => self.mss = Some(u16::from_be_bytes([high, low])),
            // RFC 7323, section 2.3: a shift above 14 is read as 14.
            (3, &[shift]) => self.window_scale = Some(shift.min(14)),
            (5, &[l0, l1, l2, l3, r0, r1, r2, r3, ..]) => {
                let left = Seq(u32::from_be_bytes([l0, l1, l2, l3]));
                let right = Seq(u32::from_be_bytes([r0, r1, r2, r3]));
                self.sack = Some((left, right));
            }
            (8, &[v0, v1, v2, v3, e0, e1, e2, e3]) => {
                let value = u32::from_be_bytes([v0, v1, v2, v3]);
                let echo = u32::from_be_bytes([e0, e1, e2, e3]);
                self.timestamps = Some((value, echo));
            }
            _ => {}
        }
    }
}
