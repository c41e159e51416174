//! Is this an IP datagram? Asked where nothing in front of it says so for
//! certain: an answer of yes can't be chance.

use super::ethernet::ether_type;
use super::ip::protocol;
use super::layer::Rest;

/// A datagram that fits into `rest`, perhaps with padding behind it. The
/// checksum of an IPv4 header is right, or left to the network card.
pub(super) fn ip(rest: Rest<'_>) -> bool {
    match rest.bytes.first().map(|byte| byte >> 4) {
        Some(4) => ipv4_len(rest).is_some_and(|len| len <= rest.wire),
        Some(6) => ipv6_len(rest).is_some_and(|len| len <= rest.wire),
        _ => false,
    }
}

/// A datagram that fills `rest`, as it does where nothing lies between UDP and IP.
pub(super) fn filled(rest: Rest<'_>) -> bool {
    match rest.bytes.first().map(|byte| byte >> 4) {
        Some(4) => ipv4_len(rest) == Some(rest.wire),
        Some(6) => ipv6_len(rest) == Some(rest.wire),
        _ => false,
    }
}

/// An IPv4 header whose checksum is wrong, as those who make captures anonymous
/// leave it, and which fills `rest` but for the padding of a short frame.
pub(super) fn anonymous(rest: Rest<'_>) -> bool {
    /// IEEE 802.3, section 3.2.7: what is shorter is padded.
    const SHORTEST: usize = 46;
    let Some([first, _, l0, l1, _, _, flags, _, ttl, ..]) = rest.bytes.first_chunk::<20>() else {
        return false;
    };
    let total_len = usize::from(u16::from_be_bytes([*l0, *l1]));
    let fits =
        total_len == rest.wire || (20..rest.wire).contains(&total_len) && rest.wire <= SHORTEST;
    matches!(first, 0x45..=0x4f) && flags & 0x80 == 0 && *ttl > 0 && fits
}

/// As [`filled`], without any header of a tunnel to speak for it: then the checksum
/// has to. IPv6 has none of its own, so that of its payload counts.
pub(super) fn bare(rest: Rest<'_>) -> bool {
    if !filled(rest) {
        return false;
    }
    match rest.bytes {
        [first, _, l0, l1, ..] if first >> 4 == 4 => {
            let len = usize::from(first & 0x0f) * 4;
            let header = rest.bytes.get(..len);
            [*l0, *l1] != [0, 0] && header.is_some_and(|header| sum(header, 0) == 0xffff)
        }
        _ => ipv6_payload_checks(rest.bytes),
    }
}

/// A frame that holds IP or ARP behind VLAN tags.
pub(super) fn ethernet(rest: Rest<'_>) -> bool {
    const ARP_OF_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
    let Ok(mut rest) = rest.skip(12) else {
        return false;
    };
    // Rationale: carriers stack two tags, sometimes three.
    for _ in 0..4 {
        let Ok((kind, after)) = rest.take::<2>() else {
            return false;
        };
        match u16::from_be_bytes(*kind) {
            ether_type::VLAN | ether_type::QINQ | ether_type::QINQ_OLD => {
                let Ok(next) = after.skip(2) else {
                    return false;
                };
                rest = next;
            }
            ether_type::IPV4 => return ipv4_len(after).is_some_and(|len| len <= after.wire),
            ether_type::IPV6 => return ipv6_len(after).is_some_and(|len| len <= after.wire),
            ether_type::ARP => return after.bytes.starts_with(&ARP_OF_IPV4),
            _ => return false,
        }
    }
    false
}

/// Total length, if this is a sound IPv4 header. Segmentation offload leaves 0
/// where the datagram is longer than the field can tell; then the checksum has to be right.
fn ipv4_len(rest: Rest<'_>) -> Option<usize> {
    let [first, _, l0, l1, _, _, _, _, _, _, c0, c1, ..] = rest.bytes.first_chunk::<20>()?;
    let header_len = usize::from(first & 0x0f) * 4;
    let header = rest.bytes.get(..header_len.max(20))?;
    let total_len = usize::from(u16::from_be_bytes([*l0, *l1]));
    let checked = sum(header, 0) == 0xffff;
    let sound = first >> 4 == 4 && header_len >= 20 && (checked || [*c0, *c1] == [0, 0]);
    match total_len {
        0 => (sound && checked).then_some(rest.wire),
        _ => (sound && total_len >= header_len).then_some(total_len),
    }
}

/// Length with the header, if this looks like an IPv6 header.
fn ipv6_len(rest: Rest<'_>) -> Option<usize> {
    let [first, _, _, _, l0, l1, _, _, source, ..] = rest.bytes.first_chunk::<40>()?;
    let payload_len = usize::from(u16::from_be_bytes([*l0, *l1]));
    // RFC 4291, section 2.7: a multicast address never sends.
    (first >> 4 == 6 && *source != 0xff).then_some(40 + payload_len)
}

/// TCP, UDP or ICMPv6 right behind the IPv6 header, all of it captured, and its checksum right.
fn ipv6_payload_checks(datagram: &[u8]) -> bool {
    let Some((header, payload)) = datagram.split_first_chunk::<40>() else {
        return false;
    };
    let [.., l0, l1, next, _] = *header.first_chunk::<8>().unwrap_or(&[0; 8]);
    if !matches!(next, protocol::TCP | protocol::UDP | protocol::ICMPV6)
        || payload.len() != usize::from(u16::from_be_bytes([l0, l1]))
        || payload.len() < 8
    {
        return false;
    }
    // RFC 8200, section 8.1: both addresses, the length and the protocol count too.
    let pseudo = u32::from(u16::from_be_bytes([l0, l1])) + u32::from(next);
    let addresses = header.get(8..).unwrap_or_default();
    sum(payload, u32::from(sum(addresses, pseudo))) == 0xffff
}

/// The ones' complement sum of 16-bit words (RFC 1071).
fn sum(bytes: &[u8], start: u32) -> u16 {
    let words = bytes.chunks(2).map(|word| match word {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    // A datagram has at most 32,768 words, so this can't overflow.
    let mut sum = words.fold(start, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}
