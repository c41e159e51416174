//! Tunnels over UDP. Ports prove nothing, so a packet is seen inside only if
//! its tunnel's header is sound and an IP header inside it is.

use etherparse::UdpHeaderSlice;

use super::ethernet::ether_type;
use super::layer::{CUT_SHORT, Layer, Rest, Step, Why};
use super::{ppp, proof, tunnel};

/// What is inside, and how to read it.
type Inner<'a> = Option<(Layer<'a>, Rest<'a>)>;

/// A UDP datagram (RFC 768).
#[inline(never)]
pub(super) fn udp(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let header = UdpHeaderSlice::from_slice(rest.bytes).map_err(|_| "udp")?;
    let rest = match usize::from(header.length()) {
        0 => rest,
        length => rest.limit(length),
    };
    let inner = rest.skip(header.slice().len()).map_err(|_| "udp")?;
    let ports = [header.source_port(), header.destination_port()];
    let cut = inner.bytes.len() < inner.wire.min(tunnel::BEFORE_IP);
    let otherwise = match header.destination_port() {
        // Nothing is decided by this but the word.
        VXLAN | VXLAN_OF_LINUX | GENEVE | GTP if cut => CUT_SHORT,
        _ => "udp",
    };
    Step::from(encapsulated(ports, inner).ok_or(otherwise))
}

fn encapsulated(ports: [u16; 2], rest: Rest<'_>) -> Inner<'_> {
    // Most datagrams end here: each tunnel has its own first byte.
    let named = match rest.bytes.first()? {
        0x08 | 0x88 => vxlan(rest),
        0x0c | 0x0d => vxlan_generic(rest),
        0x30..=0x37 => gtp(rest),
        0x40..=0x4f => Some((Layer::Ip, rest)).filter(|(_, inner)| proof::bare(*inner)),
        0x60..=0x6f => teredo(rest),
        _ => None,
    };
    named
        .or_else(|| teredo_indications(rest))
        .or_else(|| geneve(rest))
        .or_else(|| by_port(ports, rest))
}

/// Headers too plain to be known without their port.
fn by_port(ports: [u16; 2], rest: Rest<'_>) -> Inner<'_> {
    match ports {
        [_, L2TP] => layer_two(rest),
        [_, GRE] => gre(rest),
        // A label stack (RFC 7510).
        [_, MPLS] => Some((Layer::EtherType(ether_type::MPLS), rest)).filter(|_| labelled(rest)),
        [_, LISP] => {
            Some((Layer::Ip, rest.skip(8).ok()?)).filter(|(_, inner)| proof::filled(*inner))
        }
        [_, TZSP] => tazmen(rest),
        _ => None,
    }
}

const L2TP: u16 = 1701;
const GTP: u16 = 2152;
const LISP: u16 = 4341;
const GRE: u16 = 4754;
const VXLAN: u16 = 4789;
const GENEVE: u16 = 6081;
const MPLS: u16 = 6635;
const VXLAN_OF_LINUX: u16 = 8472;
const TZSP: u16 = 37008;

/// VXLAN (RFC 7348, section 5): the I flag, a network identifier, reserved
/// bytes; with the G flag the second and third of these are a policy group's.
fn vxlan(rest: Rest<'_>) -> Inner<'_> {
    let (head, frame) = rest.take::<8>().ok()?;
    let reserved = match head[0] {
        0x08 => [head[1], head[2], head[3], head[7]],
        _ => [head[1] & 0xb7, 0, 0, head[7]],
    };
    (reserved == [0; 4] && proof::ethernet(frame)).then_some((Layer::Ethernet, frame))
}

/// VXLAN-GPE: like VXLAN, and the fourth byte says what follows.
fn vxlan_generic(rest: Rest<'_>) -> Inner<'_> {
    let (head, inner) = rest.take::<8>().ok()?;
    if [head[1], head[2], head[7]] != [0; 3] {
        return None;
    }
    let sound = match head[3] {
        1 | 2 => proof::ip(inner),
        3 => proof::ethernet(inner),
        4 => serviced(inner),
        5 => labelled(inner),
        _ => false,
    };
    tunnel::generic(head[3], inner).filter(|_| sound)
}

/// A service header with a sound packet behind it.
fn serviced(rest: Rest<'_>) -> bool {
    let Ok(([_, len, _, next], _)) = rest.take::<4>() else {
        return false;
    };
    let inner = rest.skip(usize::from(len & 0x3f).max(2) * 4);
    match next {
        1 | 2 => inner.is_ok_and(proof::ip),
        3 => inner.is_ok_and(proof::ethernet),
        _ => false,
    }
}

/// Labels with a sound packet behind them.
fn labelled(mut rest: Rest<'_>) -> bool {
    // Rationale: half a dozen labels are deep.
    for _ in 0..8 {
        let Ok((label, after)) = rest.take::<4>() else {
            return false;
        };
        if label[2] & 1 == 1 {
            return proof::ip(after)
                || proof::ethernet(after)
                || after.skip(4).is_ok_and(proof::ethernet);
        }
        rest = after;
    }
    false
}

/// Geneve (RFC 8926, section 3.4): version and options length, flags, type,
/// identifier, a reserved byte. The options have lengths of their own.
fn geneve(rest: Rest<'_>) -> Inner<'_> {
    let (head, after) = rest.take::<8>().ok()?;
    if head[0] >> 6 != 0 || head[1] & 0x3f != 0 || head[7] != 0 {
        return None;
    }
    let options_len = usize::from(head[0] & 0x3f) * 4;
    let inner = after.skip(options_len).ok()?;
    let mut options = after.bytes.get(..options_len)?;
    while let Some([_, _, _, words, ..]) = options.first_chunk::<4>() {
        options = options.get(4 + usize::from(words & 0x1f) * 4..)?;
    }
    let kind = u16::from_be_bytes([head[2], head[3]]);
    let sound = match kind {
        ether_type::TRANSPARENT_ETHERNET => proof::ethernet(inner),
        ether_type::IPV4 | ether_type::IPV6 => proof::ip(inner),
        _ => false,
    };
    sound.then_some((Layer::EtherType(kind), inner))
}

/// GTP-U (3GPP TS 29.281, section 5): version 1, a message type of which only
/// one carries packets, the length of what follows, the tunnel; then optional
/// fields, and extension headers that count in units of 4 bytes.
fn gtp(rest: Rest<'_>) -> Inner<'_> {
    const PACKET: u8 = 255;
    const EXTENSIONS: u8 = 0x04;
    const OPTIONAL: u8 = 0x07;
    let (&[flags, message, l0, l1, ..], mut inner) = rest.take::<8>().ok()?;
    if message != PACKET || usize::from(u16::from_be_bytes([l0, l1])) != inner.wire {
        return None;
    }
    if flags & OPTIONAL != 0 {
        let (&[_, _, _, mut next], mut after) = inner.take::<4>().ok()?;
        // Rationale: seven kinds of extension are defined.
        let mut room = 16;
        while flags & EXTENSIONS != 0 && next != 0 && room > 0 {
            let len = usize::from(*after.bytes.first()?) * 4;
            next = *after.bytes.get(len.checked_sub(1)?)?;
            after = after.skip(len).ok()?;
            room -= 1;
        }
        inner = after;
    }
    if proof::filled(inner) {
        return Some((Layer::Ip, inner));
    }
    proof::ethernet(inner).then_some((Layer::Ethernet, inner))
}

/// IPv6 right behind UDP. Teredo's addresses (RFC 4380, section 4) speak for
/// it, or else the checksum of what it carries.
fn teredo(rest: Rest<'_>) -> Inner<'_> {
    const PREFIX: [u8; 4] = [0x20, 1, 0, 0];
    let addresses = rest.bytes.get(8..40)?;
    let (from, to) = addresses.split_at_checked(16)?;
    let ours = from.starts_with(&PREFIX) || to.starts_with(&PREFIX);
    let is_v6 = rest.bytes.first().is_some_and(|byte| byte >> 4 == 6);
    let sound = ours && proof::filled(rest) || proof::bare(rest);
    (is_v6 && sound).then_some((Layer::Ip, rest))
}

/// Teredo's indications (RFC 4380, section 5.1.1) before the datagram: who
/// authenticates with lengths of its two parts, a nonce of 8 bytes and a
/// confirmation; then where the packet came from.
fn teredo_indications(mut rest: Rest<'_>) -> Inner<'_> {
    let [0, first, ..] = *rest.bytes else {
        return None;
    };
    if first == 1 {
        let ([_, _, client, value], after) = rest.take::<4>().ok()?;
        let len = usize::from(*client) + usize::from(*value) + 9;
        rest = after.skip(len).ok()?;
    }
    if rest.bytes.starts_with(&[0, 0]) {
        rest = rest.skip(8).ok()?;
    }
    teredo(rest)
}

/// L2TP version 2 (RFC 2661, section 3.1), a data message: length, tunnel,
/// session, sequence numbers and an offset, all but two of them optional. PPP follows.
fn layer_two(rest: Rest<'_>) -> Inner<'_> {
    const CONTROL: u8 = 0x80;
    const LENGTH: u8 = 0x40;
    const SEQUENCE: u8 = 0x08;
    const OFFSET: u8 = 0x02;
    let (&[flags, version], mut after) = rest.take::<2>().ok()?;
    if flags & CONTROL != 0 || version & 0x0f != 2 {
        return None;
    }
    let has = |flag| usize::from(flags & flag != 0);
    after = after.skip(has(LENGTH) * 2 + 4 + has(SEQUENCE) * 4).ok()?;
    if flags & OFFSET != 0 {
        let (len, behind) = after.take::<2>().ok()?;
        after = behind.skip(usize::from(u16::from_be_bytes(*len))).ok()?;
    }
    let (layer, inner) = ppp::framed(after).ok()?;
    (matches!(layer, Layer::Ip) && proof::ip(inner)).then_some((layer, inner))
}

/// GRE in UDP (RFC 8086) with a sound packet behind its plain header.
fn gre(rest: Rest<'_>) -> Inner<'_> {
    let (&[flags, version, k0, k1], after) = rest.take::<4>().ok()?;
    let options = usize::try_from((flags & 0xb0).count_ones()).ok()?;
    let inner = after.skip(options * 4).ok()?;
    let kind = u16::from_be_bytes([k0, k1]);
    let sound = match kind {
        ether_type::TRANSPARENT_ETHERNET => proof::ethernet(inner),
        ether_type::IPV4 | ether_type::IPV6 => proof::ip(inner),
        _ => false,
    };
    (flags & 0x4f == 0 && version == 0 && sound).then_some((Layer::EtherType(kind), inner))
}

/// TZSP, in which access points and routers mirror: version 1, received or
/// sent, what is inside (1: Ethernet), then tagged fields.
fn tazmen(rest: Rest<'_>) -> Inner<'_> {
    const PADDING: u8 = 0;
    const END: u8 = 1;
    let ([1, 0 | 1, 0, 1], mut fields) = rest.take::<4>().ok()? else {
        return None;
    };
    // Rationale: a dozen fields are defined.
    for _ in 0..32 {
        let ([tag], after) = fields.take::<1>().ok()?;
        match *tag {
            END => return proof::ethernet(after).then_some((Layer::Ethernet, after)),
            PADDING => fields = after,
            _ => {
                let ([len], value) = after.take::<1>().ok()?;
                fields = value.skip(usize::from(*len)).ok()?;
            }
        }
    }
    None
}
