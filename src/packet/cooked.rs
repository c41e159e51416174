//! Headers that the capturing system writes in place of, or before, the link's own.

use super::layer::{Layer, MALFORMED, Next, Rest};
use super::link;
use super::wlan;
use crate::source::LinkType;

/// `ARPHRD_*` of Linux: interfaces on which the protocol field means something else.
mod hardware {
    pub(super) const IEEE80211: u16 = 801;
    pub(super) const IEEE80211_PRISM: u16 = 802;
    pub(super) const IEEE80211_RADIOTAP: u16 = 803;
    pub(super) const NETLINK: u16 = 824;
}

/// LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length, 8 bytes of address, protocol.
pub(super) fn linux(rest: Rest<'_>) -> Next<'_> {
    let (head, rest) = rest.take::<16>()?;
    let [_, _, h0, h1, .., p0, p1] = *head;
    linux_payload(
        u16::from_be_bytes([h0, h1]),
        u16::from_be_bytes([p0, p1]),
        rest,
    )
}

/// LINKTYPE_LINUX_SLL2: the protocol comes first, then interface, ARPHRD and address.
pub(super) fn linux_v2(rest: Rest<'_>) -> Next<'_> {
    let (head, rest) = rest.take::<20>()?;
    let [p0, p1, _, _, _, _, _, _, h0, h1, ..] = *head;
    linux_payload(
        u16::from_be_bytes([h0, h1]),
        u16::from_be_bytes([p0, p1]),
        rest,
    )
}

fn linux_payload(hardware: u16, protocol: u16, rest: Rest<'_>) -> Next<'_> {
    /// `ETH_P_802_2`: an LLC header follows, and its length isn't told.
    const LLC: u16 = 4;
    match (hardware, protocol) {
        (hardware::NETLINK, _) => Err("no-ip-on-netlink"),
        (hardware::IEEE80211, _) => wlan::frame(rest, wlan::Told::default()),
        (hardware::IEEE80211_PRISM, _) => wlan::prism(rest),
        (hardware::IEEE80211_RADIOTAP, _) => wlan::radiotap(rest),
        (_, LLC) => Ok((Layer::Llc, rest)),
        (_, protocol) => Ok((Layer::EtherType(protocol), rest)),
    }
}

/// LINKTYPE_NULL and LINKTYPE_LOOP: an address family, for NULL in the byte
/// order of whichever machine captured. Families are small, so one order fits.
pub(super) fn loopback(rest: Rest<'_>) -> Next<'_> {
    let (head, rest) = rest.take::<4>()?;
    family(
        u32::from_be_bytes(*head).min(u32::from_le_bytes(*head)),
        rest,
    )
}

fn family(family: u32, rest: Rest<'_>) -> Next<'_> {
    match family {
        // AF_INET; AF_INET6 of Linux, Windows, NetBSD and OpenBSD, Solaris, FreeBSD, Darwin.
        2 | 10 | 23 | 24 | 26 | 28 | 30 => Ok((Layer::Ip, rest)),
        _ => Err("not-ip"),
    }
}

/// LINKTYPE_PFLOG: its own length without padding, the address family, and the
/// rule of OpenBSD's filter that logged the packet.
pub(super) fn pflog(rest: Rest<'_>) -> Next<'_> {
    let ([len, kind], _) = rest.take::<2>()?;
    family(
        u32::from(*kind),
        rest.skip(usize::from(*len).next_multiple_of(4))?,
    )
}

/// LINKTYPE_IPNET of Solaris: version, family, and 22 bytes about zones and interfaces.
pub(super) fn ipnet(rest: Rest<'_>) -> Next<'_> {
    let (head, rest) = rest.take::<24>()?;
    family(u32::from(head[1]), rest)
}

/// LINKTYPE_APPLE_IP_OVER_IEEE1394: two addresses of 8 bytes, then an `EtherType`.
pub(super) fn firewire(rest: Rest<'_>) -> Next<'_> {
    let (head, rest) = rest.take::<18>()?;
    let [.., high, low] = *head;
    Ok((Layer::EtherType(u16::from_be_bytes([high, low])), rest))
}

/// LINKTYPE_NFLOG: family, version, resource, then attributes (length, type,
/// value, padding to 4 bytes), of which one is the packet. Lengths and types
/// are in the byte order of the machine that captured; types are small.
pub(super) fn nflog(rest: Rest<'_>) -> Next<'_> {
    const PAYLOAD: u16 = 9;
    let ([_, version, ..], mut rest) = rest.take::<4>()?;
    if *version != 0 {
        return Err(MALFORMED);
    }
    // Rationale: netfilter knows about 20 attributes.
    for _ in 0..64 {
        let (&[l0, l1, t0, t1], value) = rest.take::<4>()?;
        let read = match t0 < t1 {
            true => u16::from_be_bytes,
            false => u16::from_le_bytes,
        };
        let (len, kind) = (usize::from(read([l0, l1])), read([t0, t1]));
        let value_len = len.checked_sub(4).ok_or(MALFORMED)?;
        if kind == PAYLOAD {
            return Ok((Layer::Ip, value.limit(value_len)));
        }
        rest = rest.skip(len.next_multiple_of(4))?;
    }
    Err(MALFORMED)
}

/// LINKTYPE_PKTAP of Darwin: its own length, whether a packet follows, and of
/// which link type it is; then interface and process.
pub(super) fn pktap(rest: Rest<'_>) -> Next<'_> {
    const PACKET: u32 = 1;
    let (head, _) = rest.take::<12>()?;
    let [l0, l1, l2, l3, k0, k1, k2, k3, d0, d1, d2, d3] = *head;
    let len = u32::from_le_bytes([l0, l1, l2, l3]);
    if u32::from_le_bytes([k0, k1, k2, k3]) != PACKET || len < 12 {
        return Err(MALFORMED);
    }
    let rest = rest.skip(usize::try_from(len).map_err(|_| MALFORMED)?)?;
    inner(u32::from_le_bytes([d0, d1, d2, d3]), rest)
}

/// A packet of a link type that a header inside the packet names.
pub(super) fn inner(link: u32, rest: Rest<'_>) -> Next<'_> {
    let link = u16::try_from(link).map_err(|_| MALFORMED)?;
    link::open_plain(LinkType(link), rest)
}

/// Ethernet with something of a switch's or a tap's before it, or in it.
pub(super) fn switch(link: u16, rest: Rest<'_>) -> Next<'_> {
    let rest = match link {
        // LINKTYPE_NETANALYZER: 4 bytes of its own; the transparent kind keeps the preamble.
        240 => rest.skip(4)?.without_tail(4),
        241 => rest.skip(12)?.without_tail(4),
        // LINKTYPE_EPON: the preamble that names the logical link.
        259 => rest.skip(8)?,
        // LINKTYPE_DSA_TAG_BRCM_PREPEND
        282 => rest.skip(4)?,
        274 => return express(rest),
        // LINKTYPE_DSA_TAG_DSA, LINKTYPE_DSA_TAG_BRCM and LINKTYPE_DSA_TAG_EDSA
        // have their tag between the addresses and the EtherType.
        tagged => {
            let tag = if tagged == 285 { 8 } else { 4 };
            let ([high, low], rest) = rest.skip(12 + tag)?.take::<2>()?;
            return Ok((Layer::EtherType(u16::from_be_bytes([*high, *low])), rest));
        }
    };
    Ok((Layer::Ethernet, rest))
}

/// LINKTYPE_ETHERNET_MPACKET: the preamble, the delimiter, a frame and its
/// FCS. Frames that others may interrupt (IEEE 802.3br) come in pieces.
fn express(rest: Rest<'_>) -> Next<'_> {
    const EXPRESS: u8 = 0xd5;
    let preamble = rest.bytes.iter().take_while(|byte| **byte == 0x55).count();
    let ([delimiter], rest) = rest.skip(preamble.min(7))?.take::<1>()?;
    match *delimiter {
        EXPRESS => Ok((Layer::Ethernet, rest.without_tail(4))),
        _ => Err("preempted-frame"),
    }
}
