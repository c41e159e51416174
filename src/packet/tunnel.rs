//! Tunnels that IP or Ethernet names: packets inside packets.

use super::ethernet::ether_type;
use super::layer::{CUT_SHORT, Layer, Rest, Step, Why};
use super::proof;

/// Rationale: a tunnel's header of 16 bytes, Ethernet with two tags, IPv6. With
/// less than that, what is inside a tunnel may be there and can't be proven.
pub(super) const BEFORE_IP: usize = 16 + 22 + 40;

/// A label stack down to the label with the S bit (RFC 3032, section 2.1).
///
/// What follows has no type field: a 4 or 6 in the first nibble is IP, a 0 the
/// control word of an Ethernet pseudowire (RFC 4385, section 3), and without a
/// control word the first nibble is an address's. So IP is believed with a
/// sound header only.
pub(super) fn mpls(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let (label, rest) = rest.take::<4>()?;
    let is_bottom = label[2] & 1 == 1;
    if !is_bottom {
        return Ok(Step::Next(Layer::EtherType(ether_type::MPLS), rest));
    }
    if proof::ip(rest) {
        return Ok(Step::Next(Layer::Ip, rest));
    }
    if rest.bytes.first().is_some_and(|byte| byte >> 4 == 0)
        && let Ok(behind) = rest.skip(4)
        && proof::ethernet(behind)
    {
        return Ok(Step::Next(Layer::Ethernet, behind));
    }
    if proof::ethernet(rest) {
        return Ok(Step::Next(Layer::Ethernet, rest));
    }
    match rest.bytes {
        _ if proof::anonymous(rest) => Ok(Step::Next(Layer::Ip, rest)),
        // RFC 4448, section 4.6: the control word's 12 bits after the nibble are zero.
        [0, 0, ..] => Ok(Step::Next(Layer::Ethernet, rest.skip(4)?)),
        _ if rest.bytes.len() < rest.wire.min(BEFORE_IP) => Err(CUT_SHORT),
        _ => Err("mpls"),
    }
}

/// GRE version 0 with optional checksum, key and sequence number (RFC 2784,
/// RFC 2890), and version 1, which carries PPP (RFC 2637, section 4.1).
pub(super) fn gre(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    const CHECKSUM: u8 = 0x80;
    const ROUTING: u8 = 0x40;
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    const ACKNOWLEDGMENT: u8 = 0x80;
    let (&[flags, version, high, low], rest) = rest.take::<4>()?;
    let kind = u16::from_be_bytes([high, low]);
    let present = match version & 7 {
        0 if flags & ROUTING == 0 => (flags & (CHECKSUM | KEY | SEQUENCE)).count_ones(),
        1 if kind == ether_type::PPP => {
            (flags & (KEY | SEQUENCE)).count_ones() + u32::from(version & ACKNOWLEDGMENT != 0)
        }
        _ => return Err("gre"),
    };
    let rest = rest.skip(usize::try_from(present).unwrap_or(0) * 4)?;
    match kind {
        // Without a sequence number it is type I, which has no header of its own.
        ether_type::ERSPAN if flags & SEQUENCE == 0 => Ok(Step::Next(Layer::Ethernet, rest)),
        ether_type::ERSPAN | ether_type::ERSPAN_III => erspan(rest),
        ether_type::WCCP => wccp(rest),
        kind => Ok(Step::Next(Layer::EtherType(kind), rest)),
    }
}

/// A mirrored frame. Type II has a header of 8 bytes; type III one of 12, and
/// 8 more where its last bit says so. The first nibble is the version.
fn erspan(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    match rest.bytes.first().map(|byte| byte >> 4) {
        Some(1) => Ok(Step::Next(Layer::Ethernet, rest.skip(8)?)),
        Some(2) => {
            let (head, rest) = rest.take::<12>()?;
            let more = if head[11] & 1 != 0 { 8 } else { 0 };
            // Frame type: 0 is Ethernet, 2 IP.
            match (head[10] >> 2) & 0x1f {
                2 => Ok(Step::Next(Layer::Ip, rest.skip(more)?)),
                _ => Ok(Step::Next(Layer::Ethernet, rest.skip(more)?)),
            }
        }
        None => Err(rest.too_short()),
        Some(_) => Err("gre"),
    }
}

/// What a router redirects to a web cache; version 2 has 4 bytes before the datagram.
fn wccp(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    if proof::ip(rest) {
        return Ok(Step::Next(Layer::Ip, rest));
    }
    Ok(Step::Next(Layer::Ip, rest.skip(4)?))
}

/// `EtherIP` (RFC 3378, section 3): version 3 and 12 zero bits.
pub(super) fn ether_ip(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    match rest.take::<2>()? {
        ([0x30, 0], frame) => Ok(Step::Next(Layer::Ethernet, frame)),
        _ => Err("other-ip-protocol"),
    }
}

/// The Network Service Header (RFC 8300, section 2.2): length in words of 4
/// bytes, then which protocol follows.
pub(super) fn service_header(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let ([_, len, _, next], _) = rest.take::<4>()?;
    let words = usize::from(len & 0x3f).max(2);
    Step::from(generic(*next, rest.skip(words * 4)?).ok_or("other-ethertype"))
}

/// The protocol numbers that VXLAN-GPE and NSH share.
pub(super) fn generic(next: u8, rest: Rest<'_>) -> Option<(Layer<'_>, Rest<'_>)> {
    let layer = match next {
        1 | 2 => Layer::Ip,
        3 => Layer::Ethernet,
        4 => Layer::EtherType(ether_type::NSH),
        5 => Layer::EtherType(ether_type::MPLS),
        _ => return None,
    };
    Some((layer, rest))
}
