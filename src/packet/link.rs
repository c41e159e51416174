//! Link layers: from the first byte to IP or ARP.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::Ethernet2HeaderSlice;

use super::layer::{Inside, Layer, Rest, Step, Why};
use super::tunnel;
use crate::source::LinkType;

/// `EtherType` values (IEEE 802 numbers).
pub(super) mod ether_type {
    pub(in crate::packet) const IPV4: u16 = 0x0800;
    pub(in crate::packet) const ARP: u16 = 0x0806;
    pub(in crate::packet) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    pub(in crate::packet) const RARP: u16 = 0x8035;
    pub(in crate::packet) const VLAN: u16 = 0x8100;
    pub(in crate::packet) const IPV6: u16 = 0x86dd;
    pub(in crate::packet) const MPLS: u16 = 0x8847;
    pub(in crate::packet) const MPLS_UPSTREAM: u16 = 0x8848;
    pub(in crate::packet) const PPPOE_DISCOVERY: u16 = 0x8863;
    pub(in crate::packet) const PPPOE_SESSION: u16 = 0x8864;
    pub(in crate::packet) const EAPOL: u16 = 0x888e;
    pub(in crate::packet) const ERSPAN: u16 = 0x88be;
    pub(in crate::packet) const QINQ: u16 = 0x88a8;
    pub(in crate::packet) const LLDP: u16 = 0x88cc;
    pub(in crate::packet) const QINQ_OLD: u16 = 0x9100;
    /// Smaller values are the length of an IEEE 802.3 frame.
    pub(in crate::packet) const LEAST: u16 = 0x0600;
}

/// True for the link types that [`Decoder`](super::Decoder) can read.
pub const fn known_link_type(link: LinkType) -> bool {
    matches!(link.0, 0 | 1 | 12 | 14 | 101 | 108 | 113 | 228 | 229 | 276)
}

/// Reads the link header, or says with which header the packet begins.
#[inline(always)]
pub(super) fn open(link: LinkType, rest: Rest<'_>) -> Result<(Layer<'_>, Rest<'_>), Why> {
    match link.0 {
        1 => Ok((Layer::Ethernet, rest)),
        113 => linux_cooked(rest),
        276 => linux_cooked_v2(rest),
        0 | 108 => loopback(rest),
        // 12 and 14 are the numbers that some systems' DLT_RAW leaked into files.
        12 | 14 | 101 | 228 | 229 => Ok((Layer::Ip, rest)),
        _ => Err("unknown-link-type"),
    }
}

/// LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length, 8 bytes of address, protocol.
fn linux_cooked(rest: Rest<'_>) -> Result<(Layer<'_>, Rest<'_>), Why> {
    let (head, rest) = rest.take::<16>()?;
    Ok((
        Layer::EtherType(u16::from_be_bytes([head[14], head[15]])),
        rest,
    ))
}

/// LINKTYPE_LINUX_SLL2: the protocol comes first, then interface, ARPHRD and address.
fn linux_cooked_v2(rest: Rest<'_>) -> Result<(Layer<'_>, Rest<'_>), Why> {
    let (head, rest) = rest.take::<20>()?;
    Ok((
        Layer::EtherType(u16::from_be_bytes([head[0], head[1]])),
        rest,
    ))
}

/// LINKTYPE_NULL and LINKTYPE_LOOP: an address family, for NULL in the byte
/// order of whichever machine captured. Families are small, so one order fits.
fn loopback(rest: Rest<'_>) -> Result<(Layer<'_>, Rest<'_>), Why> {
    let (head, rest) = rest.take::<4>()?;
    let family = u32::from_be_bytes(*head).min(u32::from_le_bytes(*head));
    match family {
        2 => Ok((Layer::EtherType(ether_type::IPV4), rest)),
        // AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, Darwin.
        10 | 24 | 28 | 30 => Ok((Layer::EtherType(ether_type::IPV6), rest)),
        _ => Err("not-ip"),
    }
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
pub(super) fn ether_payload(kind: u16, rest: Rest<'_>) -> Result<Step<'_>, Why> {
    match kind {
        ether_type::IPV4 | ether_type::IPV6 => Ok(Step::Next(Layer::Ip, rest)),
        ether_type::VLAN | ether_type::QINQ | ether_type::QINQ_OLD => vlan(rest),
        ether_type::TRANSPARENT_ETHERNET => Ok(Step::Next(Layer::Ethernet, rest)),
        ether_type::MPLS | ether_type::MPLS_UPSTREAM => tunnel::mpls(rest),
        ether_type::PPPOE_SESSION => tunnel::pppoe(rest),
        ether_type::ARP => arp(rest),
        ether_type::RARP => Err("arp"),
        ether_type::PPPOE_DISCOVERY => Err("pppoe-discovery"),
        ether_type::EAPOL => Err("eapol"),
        ether_type::LLDP => Err("lldp"),
        ..ether_type::LEAST => logical_link_control(rest),
        _ => Err("other-ethertype"),
    }
}

/// A VLAN tag: two bytes of priority and number, then the next `EtherType`.
fn vlan(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let (head, rest) = rest.take::<4>()?;
    Ok(Step::Next(
        Layer::EtherType(u16::from_be_bytes([head[2], head[3]])),
        rest,
    ))
}

/// IEEE 802.2: service access points, of which SNAP leads back to an `EtherType` (RFC 1042).
fn logical_link_control(rest: Rest<'_>) -> Result<Step<'_>, Why> {
    let (sap, after) = rest.take::<2>()?;
    match sap {
        [0xaa, 0xaa] => {
            let (snap, after) = after.take::<6>()?;
            match *snap {
                [3, 0, 0, 0, high, low] if high >= 6 => Ok(Step::Next(
                    Layer::EtherType(u16::from_be_bytes([high, low])),
                    after,
                )),
                _ => Err("other-ethertype"),
            }
        }
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
