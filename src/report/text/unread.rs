//! Packets that could have held TCP and gave nothing.

use std::fmt::Write as _;

use super::{Report, count};

/// What has no TCP inside, or not for a bystander's eyes. The rest of what was
/// not decoded may hide a part of what the report is about.
const ORDINARY: &[&str] = &[
    "802.15.4",
    "arp",
    "eapol",
    "icmp",
    "icmpv6",
    "igmp",
    "lldp",
    "no-ip-on-bluetooth",
    "no-ip-on-can",
    "no-ip-on-dbus",
    "no-ip-on-netlink",
    "no-ip-on-usb",
    "no-ip-on-vsock",
    "not-ip",
    "other-ethertype",
    "other-ip-protocol",
    "ppp",
    "pppoe-discovery",
    "sctp",
    "stp",
    "udp",
    "wlan-control",
    "wlan-management",
    "wlan-no-data",
];

/// One sentence on them; `None` where there are none.
pub(super) fn unread(report: &Report) -> Option<String> {
    let hidden = report.capture.not_decoded.iter();
    let mut sentence = String::new();
    for (why, packets) in hidden.filter(|(why, _)| !ORDINARY.contains(why)) {
        let lead = if sentence.is_empty() {
            "Not read: "
        } else {
            ", "
        };
        // Writing to a string can't fail.
        let _ = write!(sentence, "{lead}{} ({why})", count(*packets, "packet"));
    }
    (!sentence.is_empty()).then_some(sentence)
}
