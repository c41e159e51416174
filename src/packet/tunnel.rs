//! Tunnels: packets inside packets.

use etherparse::UdpHeaderSlice;

use super::layer::{Layer, MALFORMED, Rest, Step, Why};
use super::link::ether_type;

const VXLAN: u16 = 4789;
const GENEVE: u16 = 6081;

/// A label stack down to the label with the S bit (RFC 3032, section 2.1).
/// What follows has no type field: a 4 or 6 in the first nibble is IP, a 0 is
/// the control word of an Ethernet pseudowire (RFC 4385, section 3; RFC 4448).
pub(super) fn mpls(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let (label, rest) = rest.take::<4>()?;
    let is_bottom = label[2] & 1 == 1;
    if !is_bottom {
        return Ok(Step::Next(Layer::EtherType(ether_type::MPLS), rest));
    }
    match rest.bytes.first().map(|byte| byte >> 4) {
        Some(4 | 6) => Ok(Step::Next(Layer::Ip, rest)),
        Some(0) => Ok(Step::Next(Layer::Ethernet, rest.skip(4)?)),
        _ => Err("mpls"),
    }
}

/// A PPPoE session (RFC 2516, section 4): version and type, code, session,
/// length; then the PPP protocol.
pub(super) fn pppoe(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let (head, rest) = rest.take::<6>()?;
    let len = usize::from(u16::from_be_bytes([head[4], head[5]]));
    if head[0] != 0x11 || head[1] != 0 {
        return Err(MALFORMED);
    }
    ppp(rest.limit(len))
}

/// A PPP protocol number. Odd first bytes end it: then the peers agreed to leave
/// out a leading zero (RFC 1661, section 6.5).
fn ppp(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    const IPV4: u8 = 0x21;
    const IPV6: u8 = 0x57;
    match rest.bytes {
        [0, IPV4 | IPV6, ..] => Ok(Step::Next(Layer::Ip, rest.skip(2)?)),
        [IPV4 | IPV6, ..] => Ok(Step::Next(Layer::Ip, rest.skip(1)?)),
        _ => Err("ppp"),
    }
}

/// GRE version 0 with optional checksum, key and sequence number (RFC 2784, RFC 2890).
pub(super) fn gre(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    const CHECKSUM: u8 = 0x80;
    const ROUTING: u8 = 0x40;
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    let (&[flags, version, high, low], rest) = rest.take::<4>()?;
    if flags & ROUTING != 0 || version & 7 != 0 {
        return Err("gre");
    }
    let options = (flags & (CHECKSUM | KEY | SEQUENCE)).count_ones();
    let rest = rest.skip(usize::try_from(options).unwrap_or(0) * 4)?;
    match u16::from_be_bytes([high, low]) {
        // ERSPAN without a sequence number is type I, which has no header of its own.
        ether_type::ERSPAN if flags & SEQUENCE == 0 => Ok(Step::Next(Layer::Ethernet, rest)),
        ether_type::ERSPAN => Ok(Step::Next(Layer::Ethernet, rest.skip(8)?)),
        kind => Ok(Step::Next(Layer::EtherType(kind), rest)),
    }
}

/// UDP, where its port says that a packet is inside.
pub(super) fn udp(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let header = UdpHeaderSlice::from_slice(rest.bytes).map_err(|_| "udp")?;
    let rest = match usize::from(header.length()) {
        0 => rest,
        length => rest.limit(length),
    };
    let inner = rest.skip(header.slice().len());
    let step = match header.destination_port() {
        VXLAN => inner.and_then(vxlan),
        GENEVE => inner.and_then(geneve),
        _ => Err("udp"),
    };
    step.map_err(|_| "udp")
}

/// VXLAN (RFC 7348, section 5): the I flag, then a network identifier.
fn vxlan(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let (head, rest) = rest.take::<8>()?;
    if head[0] & 0x08 == 0 {
        Err("udp")
    } else {
        Ok(Step::Next(Layer::Ethernet, rest))
    }
}

/// Geneve (RFC 8926, section 3.4): version and options length, flags, type, identifier.
fn geneve(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let (head, rest) = rest.take::<8>()?;
    if head[0] >> 6 != 0 {
        return Err("udp");
    }
    let rest = rest.skip(usize::from(head[0] & 0x3f) * 4)?;
    Ok(Step::Next(
        Layer::EtherType(u16::from_be_bytes([head[2], head[3]])),
        rest,
    ))
}
