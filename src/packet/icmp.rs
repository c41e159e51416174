//! ICMP (RFC 792) and ICMPv6 (RFC 4443): errors about TCP, and neighbours.

use super::layer::{Carrier, Rest, Why};
use super::{Decoded, Endpoint, IcmpError, Seq, ip};
use crate::stream::PacketRef;

/// ICMPv6 neighbour advertisement (RFC 4861, section 4.4).
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// Reads a message. Destination unreachable, source quench or packet too big,
/// time exceeded and parameter problem quote the datagram that they are about.
pub(super) fn read<'a>(
    at: PacketRef,
    carrier: &Carrier<'_>,
    rest: Rest<'a>,
) -> Result<Decoded<'a>, Why> {
    let v6 = carrier.is_v6();
    let other = if v6 { "icmpv6" } else { "icmp" };
    let (head, quote) = rest.take::<8>()?;
    match (v6, head[0]) {
        (false, 3 | 4 | 11 | 12) | (true, 1..=4) => error(at, carrier, head, quote).ok_or(other),
        (true, NEIGHBOUR_ADVERTISEMENT) => Ok(Decoded::Neighbour(carrier.from())),
        _ => Err(other),
    }
}

/// RFC 792: a quote has at least 8 bytes behind the IP header: ports and sequence number.
fn error<'a>(
    at: PacketRef,
    carrier: &Carrier<'_>,
    head: &[u8; 8],
    quote: Rest<'a>,
) -> Option<Decoded<'a>> {
    let (quoted, tcp) = ip::quoted(quote)?;
    let ([s0, s1, d0, d1, q0, q1, q2, q3], _) = tcp.take::<8>().ok()?;
    Some(Decoded::Icmp(IcmpError {
        at,
        reporter: carrier.from(),
        kind: head[0],
        code: head[1],
        v6: carrier.is_v6(),
        from: Endpoint {
            ip: quoted.from(),
            port: u16::from_be_bytes([*s0, *s1]),
        },
        to: Endpoint {
            ip: quoted.to(),
            port: u16::from_be_bytes([*d0, *d1]),
        },
        seq: Seq(u32::from_be_bytes([*q0, *q1, *q2, *q3])),
    }))
}
