//! Link types: from a packet's first byte to a header that says what comes next.

use super::layer::{Layer, Rest, Why};
use super::{cooked, ppp, wlan};
use crate::source::LinkType;

/// What the capture said when nobody knows how its packets begin.
const UNKNOWN: Why = "unknown-link-type";

/// True for the link types whose packets [`Decoder`](super::Decoder) can read,
/// or of which it knows that they carry no IP.
pub const fn known_link_type(link: LinkType) -> bool {
    carries_ip(link) || without_ip(link).is_some()
}

/// True for the link types whose packets [`Decoder`](super::Decoder) can read.
pub const fn carries_ip(link: LinkType) -> bool {
    matches!(
        link.0,
        0 | 1
            | 9
            | 12
            | 14
            | 50
            | 51
            | 100
            | 101
            | 104
            | 105
            | 108
            | 113
            | 117
            | 119
            | 122
            | 127
            | 138
            | 163
            | 166
            | 192
            | 204
            | 205
            | 226
            | 228
            | 229
            | 239
            | 240
            | 241
            | 258
            | 259
            | 274
            | 276
            | 281
            | 282
            | 284
            | 285
    )
}

/// Reads the link header, or says with which header the packet begins.
#[inline(always)]
pub(super) fn open(link: LinkType, rest: Rest<'_>) -> Result<(Layer<'_>, Rest<'_>), Why> {
    match link.0 {
        1 => Ok((Layer::Ethernet, rest)),
        113 => cooked::linux(rest),
        276 => cooked::linux_v2(rest),
        0 | 108 => cooked::loopback(rest),
        // 12 and 14 are the numbers that some systems' DLT_RAW leaked into files.
        12 | 14 | 101 | 228 | 229 => Ok((Layer::Ip, rest)),
        _ => open_rare(link, rest),
    }
}

/// The link types that one meets less often.
#[inline(never)]
fn open_rare(link: LinkType, rest: Rest<'_>) -> Result<(Layer<'_>, Rest<'_>), Why> {
    match link.0 {
        258 => cooked::pktap(rest),
        192 => wlan::ppi(rest),
        _ => open_plain(link, rest),
    }
}

/// All but those that hold a packet of another link type.
pub(super) fn open_plain(link: LinkType, rest: Rest<'_>) -> Result<(Layer<'_>, Rest<'_>), Why> {
    match link.0 {
        1 => Ok((Layer::Ethernet, rest)),
        0 | 108 => cooked::loopback(rest),
        12 | 14 | 101 | 228 | 229 => Ok((Layer::Ip, rest)),
        113 => cooked::linux(rest),
        276 => cooked::linux_v2(rest),
        9 | 50 => ppp::framed(rest),
        51 => ppp::pppoe(rest),
        104 => ppp::cisco_hdlc(rest),
        // A byte that tells who sent it comes first.
        166 | 204 => ppp::framed(rest.skip(1)?),
        205 => ppp::cisco_hdlc(rest.skip(1)?),
        105 => wlan::frame(rest, wlan::Told::default()),
        119 => wlan::prism(rest),
        127 => wlan::radiotap(rest),
        163 => wlan::avs(rest),
        100 => Ok((Layer::Llc, rest)),
        // Two Fibre Channel addresses of 8 bytes (RFC 2625).
        122 => Ok((Layer::Llc, rest.skip(16)?)),
        117 => cooked::pflog(rest),
        138 => cooked::firewire(rest),
        226 => cooked::ipnet(rest),
        239 => cooked::nflog(rest),
        240 | 241 | 259 | 274 | 281 | 282 | 284 | 285 => cooked::switch(link.0, rest),
        _ => Err(without_ip(link).unwrap_or(UNKNOWN)),
    }
}

/// Why nothing of a link type is read that has no place for IP.
const fn without_ip(link: LinkType) -> Option<Why> {
    match link.0 {
        // Of a kernel that talks with its programs.
        253 => Some("no-ip-on-netlink"),
        271 => Some("no-ip-on-vsock"),
        231 => Some("no-ip-on-dbus"),
        186 | 189 | 220 | 249 | 266 | 288 | 293..=295 => Some("no-ip-on-usb"),
        187 | 201 | 251 | 254..=256 | 272 => Some("no-ip-on-bluetooth"),
        190 | 227 => Some("no-ip-on-can"),
        // 6LoWPAN leaves too much of IP's header out to be followed.
        191 | 195 | 215 | 230 | 283 => Some("802.15.4"),
        _ => None,
    }
}
