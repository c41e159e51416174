//! Ethernet, and what stands between its addresses and IP: tags, bridges' headers, LLC.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::Ethernet2HeaderSlice;

use super::layer::{Inside, Layer, MALFORMED, Rest, Step, Why};
use super::{ppp, tunnel};

/// `EtherType` values (IEEE 802 numbers).
pub(super) mod ether_type {
    pub(in crate::packet) const IPV4: u16 = 0x0800;
    pub(in crate::packet) const ARP: u16 = 0x0806;
    pub(in crate::packet) const TRILL: u16 = 0x22f3;
    pub(in crate::packet) const ERSPAN_III: u16 = 0x22eb;
    pub(in crate::packet) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    pub(in crate::packet) const RARP: u16 = 0x8035;
    pub(in crate::packet) const VLAN: u16 = 0x8100;
    pub(in crate::packet) const IPV6: u16 = 0x86dd;
    pub(in crate::packet) const PPP: u16 = 0x880b;
    pub(in crate::packet) const WCCP: u16 = 0x883e;
    pub(in crate::packet) const MPLS: u16 = 0x8847;
    pub(in crate::packet) const MPLS_UPSTREAM: u16 = 0x8848;
    pub(in crate::packet) const PPPOE_DISCOVERY: u16 = 0x8863;
    pub(in crate::packet) const PPPOE_SESSION: u16 = 0x8864;
    pub(in crate::packet) const JUMBO_LLC: u16 = 0x8870;
    pub(in crate::packet) const EAPOL: u16 = 0x888e;
    pub(in crate::packet) const QINQ: u16 = 0x88a8;
    pub(in crate::packet) const ERSPAN: u16 = 0x88be;
    pub(in crate::packet) const LLDP: u16 = 0x88cc;
    pub(in crate::packet) const MACSEC: u16 = 0x88e5;
    pub(in crate::packet) const BACKBONE: u16 = 0x88e7;
    pub(in crate::packet) const FABRIC_PATH: u16 = 0x8903;
    pub(in crate::packet) const CISCO_METADATA: u16 = 0x8909;
    pub(in crate::packet) const VN_TAG: u16 = 0x8926;
    pub(in crate::packet) const HSR: u16 = 0x892f;
    pub(in crate::packet) const NSH: u16 = 0x894f;
    pub(in crate::packet) const QINQ_OLD: u16 = 0x9100;
    pub(in crate::packet) const QINQ_OLDER: u16 = 0x9200;
    pub(in crate::packet) const EDSA: u16 = 0xdada;
    pub(in crate::packet) const REDUNDANCY: u16 = 0xf1c1;
    /// Smaller values are the length of an IEEE 802.3 frame.
    pub(in crate::packet) const LEAST: u16 = 0x0600;
}

/// An Ethernet II or IEEE 802.3 header.
#[inline(always)]
pub(super) fn ethernet(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let header = Ethernet2HeaderSlice::from_slice(rest.bytes).map_err(|_| rest.too_short())?;
    Ok(Step::Next(
        Layer::EtherType(header.ether_type().0),
        rest.skip(header.slice().len())?,
    ))
}

/// What stands behind an `EtherType`.
#[inline(always)]
pub(super) fn payload(kind: u16, rest: Rest<'_>) -> Result<Step<'_>, Why> {
    match kind {
        ether_type::IPV4 | ether_type::IPV6 => Ok(Step::Next(Layer::Ip, rest)),
        ether_type::VLAN | ether_type::QINQ => tag::<4>(rest),
        _ => rare_payload(kind, rest),
    }
}

/// What one meets less often.
#[inline(never)]
fn rare_payload(kind: u16, rest: Rest<'_>) -> Result<Step<'_>, Why> {
    match kind {
        ether_type::QINQ_OLD | ether_type::QINQ_OLDER => tag::<4>(rest),
        ether_type::TRANSPARENT_ETHERNET => Ok(Step::Next(Layer::Ethernet, rest)),
        ether_type::MPLS | ether_type::MPLS_UPSTREAM => tunnel::mpls(rest),
        ether_type::PPPOE_SESSION => Step::from(ppp::pppoe(rest)),
        ether_type::PPP => Step::from(ppp::framed(rest)),
        ether_type::ARP => arp(rest),
        ether_type::RARP => Err("arp"),
        ether_type::PPPOE_DISCOVERY => Err("pppoe-discovery"),
        ether_type::EAPOL => Err("eapol"),
        ether_type::LLDP => Err("lldp"),
        ether_type::JUMBO_LLC => logical_link_control(rest),
        // IEEE 802.1ah: priority and service identifier, then the customer's frame.
        ether_type::BACKBONE => Ok(Step::Next(Layer::Ethernet, rest.skip(4)?)),
        // Of Cisco: tree and time to live, then the frame.
        ether_type::FABRIC_PATH => Ok(Step::Next(Layer::Ethernet, rest.skip(2)?)),
        ether_type::TRILL => trill(rest),
        // Of Cisco: version, length, option, group; IEEE 802.1CB: a sequence
        // number; IEC 62439-3: path, size, sequence number.
        ether_type::CISCO_METADATA => tag::<8>(rest),
        ether_type::VN_TAG | ether_type::REDUNDANCY | ether_type::HSR => tag::<6>(rest),
        // Of Marvell: two reserved bytes, then 4 of tag.
        ether_type::EDSA => tag::<8>(rest),
        ether_type::MACSEC => macsec(rest),
        ether_type::NSH => tunnel::service_header(rest),
        // What lies behind the length is padding. Some cards give 0.
        1..ether_type::LEAST => logical_link_control(rest.limit(rest.wire.min(usize::from(kind)))),
        0 => logical_link_control(rest),
        _ => Err("other-ethertype"),
    }
}

/// A tag of `N` bytes, of which the last two are the next `EtherType`; a VLAN
/// tag has 4, two of them for priority and number.
#[inline(always)]
fn tag<const N: usize>(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let (head, rest) = rest.take::<N>()?;
    let kind = head.last_chunk().ok_or(MALFORMED)?;
    Ok(Step::Next(
        Layer::EtherType(u16::from_be_bytes(*kind)),
        rest,
    ))
}

/// TRILL (RFC 6325, section 3): version, length of the options and hop count;
/// egress and ingress; then the frame.
fn trill(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let (head, rest) = rest.take::<6>()?;
    let words = (u16::from_be_bytes([head[0], head[1]]) >> 6) & 0x1f;
    Ok(Step::Next(
        Layer::Ethernet,
        rest.skip(usize::from(words) * 4)?,
    ))
}

/// MACsec (IEEE 802.1AE): control, length, packet number, often a channel.
/// Where it only protects, what follows can be read; the last 16 bytes are its seal.
fn macsec(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    const CHANNEL: u8 = 0x20;
    const ENCRYPTED_OR_CHANGED: u8 = 0x0c;
    let (head, rest) = rest.take::<6>()?;
    if head[0] & ENCRYPTED_OR_CHANGED != 0 {
        return Err("macsec");
    }
    let channel = if head[0] & CHANNEL != 0 { 8 } else { 0 };
    tag::<2>(rest.skip(channel)?.without_tail(16))
}

/// IEEE 802.2: service access points, of which SNAP leads back to an `EtherType` (RFC 1042).
pub(super) fn logical_link_control(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let (sap, after) = rest.take::<2>()?;
    match sap {
        [0xaa, 0xaa] => {
            let (snap, after) = after.take::<6>()?;
            match *snap {
                // The second code is a bridge's (IEEE 802.1H).
                [3, 0, 0, 0 | 0xf8, high, low] if high >= 6 => Ok(Step::Next(
                    Layer::EtherType(u16::from_be_bytes([high, low])),
                    after,
                )),
                // RFC 2684, section 5.3: bridged, with and without FCS.
                [3, 0, 0x80, 0xc2, 0, 1 | 7] => Ok(Step::Next(Layer::Ethernet, after.skip(2)?)),
                _ => Err("other-ethertype"),
            }
        }
        // RFC 948: IP without SNAP.
        [6, 6] => Ok(Step::Next(Layer::Ip, after.skip(1)?)),
        [0x42, 0x42] => Err("stp"),
        _ => Err("other-ethertype"),
    }
}

/// An ARP reply for IPv4 over Ethernet proves that its sender exists (RFC 826).
fn arp(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    const REPLY: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 2];
    let (head, rest) = rest.take::<8>()?;
    if *head != REPLY {
        return Err("arp");
    }
    let (address, _) = rest.skip(6)?.take::<4>()?;
    let sender = IpAddr::V4(Ipv4Addr::from(*address));
    Ok(Step::Inside(Inside::Neighbour(sender)))
}
