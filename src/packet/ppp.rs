//! PPP (RFC 1661) on its own, in HDLC-like framing (RFC 1662), and over Ethernet (RFC 2516).

use super::ethernet::ether_type;
use super::layer::{Layer, MALFORMED, Next, Rest};

/// A PPPoE session (RFC 2516, section 4): version and type, code, session,
/// length; then the PPP protocol.
pub(super) fn pppoe(rest: Rest<'_>) -> Next<'_> {
    let (head, rest) = rest.take::<6>()?;
    let len = usize::from(u16::from_be_bytes([head[4], head[5]]));
    if head[0] != 0x11 || head[1] != 0 {
        return Err(MALFORMED);
    }
    protocol(rest.limit(len))
}

/// A frame with or without address and control field, which the peers may
/// agree to leave out; Cisco's addresses are others.
pub(super) fn framed(rest: Rest<'_>) -> Next<'_> {
    match rest.bytes {
        [0xff, 3, ..] => protocol(rest.skip(2)?),
        [0x0f | 0x8f, 0, ..] => cisco_hdlc(rest),
        _ => protocol(rest),
    }
}

/// Cisco's HDLC: address, control, then an `EtherType`.
pub(super) fn cisco_hdlc(rest: Rest<'_>) -> Next<'_> {
    let ([_, _, high, low], rest) = rest.take::<4>()?;
    Ok((Layer::EtherType(u16::from_be_bytes([*high, *low])), rest))
}

/// A PPP protocol number. Odd first bytes end it: then the peers agreed to leave
/// out a leading zero (RFC 1661, section 6.5).
fn protocol(rest: Rest<'_>) -> Next<'_> {
    const IPV4: u8 = 0x21;
    const IPV6: u8 = 0x57;
    const BRIDGED: u8 = 0x31;
    match rest.bytes {
        [0, IPV4 | IPV6, ..] => Ok((Layer::Ip, rest.skip(2)?)),
        [IPV4 | IPV6, ..] => Ok((Layer::Ip, rest.skip(1)?)),
        // RFC 3032, section 4.3.
        [2, 0x81 | 0x83, ..] => Ok((Layer::EtherType(ether_type::MPLS), rest.skip(2)?)),
        // RFC 3518, section 4.2: flags, then the type of MAC; 1 is Ethernet.
        [0, BRIDGED, _, 1, ..] => Ok((Layer::Ethernet, rest.skip(4)?)),
        [BRIDGED, _, 1, ..] => Ok((Layer::Ethernet, rest.skip(3)?)),
        _ => Err("ppp"),
    }
}
