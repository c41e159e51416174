//! IPv4 (RFC 791), IPv6 (RFC 8200), and what their protocol numbers announce.

use etherparse::err::{ipv4, ipv6};
use etherparse::{Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice};

use super::ethernet::ether_type;
use super::layer::{Carrier, Fragment, Inside, Layer, MALFORMED, Rest, Step, Why};
use super::{tunnel, udp};

/// IP protocol numbers (IANA).
pub(super) mod protocol {
    pub(in crate::packet) const HOP_BY_HOP: u8 = 0;
    pub(in crate::packet) const ICMP: u8 = 1;
    pub(in crate::packet) const IGMP: u8 = 2;
    pub(in crate::packet) const IPV4: u8 = 4;
    pub(in crate::packet) const TCP: u8 = 6;
    pub(in crate::packet) const UDP: u8 = 17;
    pub(in crate::packet) const IPV6: u8 = 41;
    pub(in crate::packet) const ROUTING: u8 = 43;
    pub(in crate::packet) const FRAGMENT: u8 = 44;
    pub(in crate::packet) const GRE: u8 = 47;
    pub(in crate::packet) const ESP: u8 = 50;
    pub(in crate::packet) const AUTHENTICATION: u8 = 51;
    pub(in crate::packet) const ICMPV6: u8 = 58;
    pub(in crate::packet) const DESTINATION_OPTIONS: u8 = 60;
    pub(in crate::packet) const IPV4_OLD: u8 = 94;
    pub(in crate::packet) const ETHER_IP: u8 = 97;
    pub(in crate::packet) const SCTP: u8 = 132;
    pub(in crate::packet) const MOBILITY: u8 = 135;
    pub(in crate::packet) const MPLS: u8 = 137;
    pub(in crate::packet) const HOST_IDENTITY: u8 = 139;
    pub(in crate::packet) const SHIM6: u8 = 140;
    pub(in crate::packet) const ETHERNET: u8 = 143;
}

/// An IP header of either version.
#[inline(always)]
pub(super) fn ip(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    match rest.bytes.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(rest),
        Some(6) => ipv6(rest),
        Some(_) => Err("not-ip"),
        None => Err(rest.too_short()),
    }
}

#[inline(always)]
fn ipv4(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let header = Ipv4HeaderSlice::from_slice(rest.bytes).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(_) => rest.too_short(),
        ipv4::HeaderSliceError::Content(_) => MALFORMED,
    })?;
    let header_len = header.slice().len();
    // Segmentation offload hands datagrams above 64 KB to the capture, and
    // smaller ones before it fills the field: total length 0.
    let total_len = match usize::from(header.total_len()) {
        0 => rest.wire,
        total_len if total_len < header_len => return Err(MALFORMED),
        total_len => total_len,
    };
    let rest = rest.limit(total_len).skip(header_len)?;
    let carrier = Carrier::V4(header);
    let protocol = header.protocol().0;
    if header.is_fragmenting_payload() {
        return Ok(Step::Inside(Inside::Fragment(Fragment {
            carrier,
            protocol,
            id: u32::from(header.identification()),
            offset: header.fragments_offset(),
            more: header.more_fragments(),
            rest,
        })));
    }
    Ok(Step::Next(Layer::Protocol(carrier, protocol), rest))
}

fn ipv6(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let header = Ipv6HeaderSlice::from_slice(rest.bytes).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(_) => rest.too_short(),
        ipv6::HeaderSliceError::Content(_) => MALFORMED,
    })?;
    let rest = rest.skip(header.slice().len())?;
    // 0 as with IPv4, or a jumbogram (RFC 2675).
    let rest = match usize::from(header.payload_length()) {
        0 => rest,
        payload_len => rest.limit(payload_len),
    };
    let carrier = Carrier::V6(header);
    Ok(Step::Next(
        Layer::Protocol(carrier, header.next_header().0),
        rest,
    ))
}

/// What stands behind an IP protocol number.
#[inline(always)]
pub(super) fn payload<'a>(
    carrier: Carrier<'a>,
    protocol: u8,
    rest: Rest<'a>,
) -> Result<Step<'a>, Why> {
    let v6 = carrier.is_v6();
    match protocol {
        protocol::TCP => Ok(Step::Inside(Inside::Tcp(carrier, rest))),
        protocol::UDP => udp::udp(rest),
        protocol::ICMP if !v6 => Ok(Step::Inside(Inside::Icmp(carrier, rest))),
        protocol::ICMPV6 if v6 => Ok(Step::Inside(Inside::Icmp(carrier, rest))),
        _ => rare_payload(carrier, protocol, rest),
    }
}

/// What one meets less often.
#[inline(never)]
fn rare_payload<'a>(carrier: Carrier<'a>, protocol: u8, rest: Rest<'a>) -> Result<Step<'a>, Why> {
    let v6 = carrier.is_v6();
    match protocol {
        protocol::HOP_BY_HOP if v6 => {
            let len = match &carrier {
                Carrier::V6(header) => jumbo(header, rest),
                Carrier::V4(_) => None,
            };
            extension(carrier, len.map_or(rest, |len| rest.limit(len)))
        }
        protocol::ROUTING
        | protocol::DESTINATION_OPTIONS
        | protocol::MOBILITY
        | protocol::HOST_IDENTITY
        | protocol::SHIM6
            if v6 =>
        {
            extension(carrier, rest)
        }
        protocol::FRAGMENT if v6 => fragment(carrier, rest),
        protocol::AUTHENTICATION => authentication(carrier, rest),
        protocol::IPV4 | protocol::IPV6 | protocol::IPV4_OLD => Ok(Step::Next(Layer::Ip, rest)),
        protocol::GRE => tunnel::gre(rest),
        protocol::ETHER_IP => tunnel::ether_ip(rest),
        protocol::MPLS => Ok(Step::Next(Layer::EtherType(ether_type::MPLS), rest)),
        // RFC 8986, section 4.9: the frame itself.
        protocol::ETHERNET => Ok(Step::Next(Layer::Ethernet, rest)),
        protocol::IGMP => Err("igmp"),
        protocol::ESP => Err("esp"),
        protocol::SCTP => Err("sctp"),
        _ => Err("other-ip-protocol"),
    }
}

/// The length that a jumbo payload option gives (RFC 2675, section 2), from the
/// hop-by-hop options on. Senders put it first.
fn jumbo(header: &Ipv6HeaderSlice<'_>, rest: Rest<'_>) -> Option<usize> {
    match rest.bytes {
        [_, _, 0xc2, 4, l0, l1, l2, l3, ..] if header.payload_length() == 0 => {
            usize::try_from(u32::from_be_bytes([*l0, *l1, *l2, *l3])).ok()
        }
        _ => None,
    }
}

/// Hop-by-hop options, routing and destination options share one shape, as do
/// mobility (RFC 6275), HIP (RFC 7401) and Shim6 (RFC 5533): next header, length
/// in units of 8 bytes beyond the first 8 (RFC 8200, section 4).
fn extension<'a>(carrier: Carrier<'a>, rest: Rest<'a>) -> Result<Step<'a>, Why> {
    let ([next, units], _) = rest.take::<2>()?;
    let len = (usize::from(*units) + 1) * 8;
    Ok(Step::Next(Layer::Protocol(carrier, *next), rest.skip(len)?))
}

/// The Authentication Header counts in units of 4 bytes, minus 2 (RFC 4302, section 2.2).
fn authentication<'a>(carrier: Carrier<'a>, rest: Rest<'a>) -> Result<Step<'a>, Why> {
    let ([next, units], _) = rest.take::<2>()?;
    let len = (usize::from(*units) + 2) * 4;
    Ok(Step::Next(Layer::Protocol(carrier, *next), rest.skip(len)?))
}

/// The Fragment header. An atomic fragment is a whole datagram (RFC 6946).
fn fragment<'a>(carrier: Carrier<'a>, rest: Rest<'a>) -> Result<Step<'a>, Why> {
    let header = Ipv6FragmentHeaderSlice::from_slice(rest.bytes).map_err(|_| rest.too_short())?;
    let rest = rest.skip(header.slice().len())?;
    let protocol = header.next_header().0;
    if !header.is_fragmenting_payload() {
        return Ok(Step::Next(Layer::Protocol(carrier, protocol), rest));
    }
    Ok(Step::Inside(Inside::Fragment(Fragment {
        carrier,
        protocol,
        id: header.identification(),
        offset: header.fragment_offset(),
        more: header.more_fragments(),
        rest,
    })))
}

/// Follows a datagram quoted by an ICMP error to its TCP header. The quote is
/// the head of the datagram, so its bytes end early.
pub(super) fn quoted(quote: Rest<'_>) -> Option<(Carrier<'_>, Rest<'_>)> {
    let mut step = ip(quote).ok()?;
    // Rationale: RFC 8200 knows five extension headers before the payload.
    for _ in 0..6 {
        step = match step {
            Step::Next(Layer::Protocol(carrier, protocol::TCP), rest) => {
                return Some((carrier, rest));
            }
            Step::Next(
                Layer::Protocol(
                    carrier,
                    protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS,
                ),
                rest,
            ) => extension(carrier, rest).ok()?,
            Step::Next(Layer::Protocol(carrier, protocol::AUTHENTICATION), rest) => {
                authentication(carrier, rest).ok()?
            }
            Step::Next(Layer::Protocol(carrier, protocol::FRAGMENT), rest) => {
                fragment(carrier, rest).ok()?
            }
            // The first fragment has the TCP header.
            Step::Inside(Inside::Fragment(first)) if first.offset.value() == 0 => {
                Step::Next(Layer::Protocol(first.carrier, first.protocol), first.rest)
            }
            _ => return None,
        };
    }
    None
}
