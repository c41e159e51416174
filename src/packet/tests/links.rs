//! Link types and what stands in a frame before IP.

use super::*;

fn hello_behind(link: u16, header: &[u8]) -> String {
    assert!(carries_ip(LinkType(link)), "{link}");
    read(LinkType(link), &[header, &hello()].concat())
}

#[test]
fn ppp_and_hdlc_lead_to_the_segment() {
    let cases: [(u16, &[u8]); 14] = [
        (9, &[0xff, 3, 0, 0x21]),
        (9, &[0, 0x21]),
        (9, &[0x21]),
        (9, &[0x0f, 0, 8, 0]),
        (9, &[0xff, 3, 2, 0x81, 0, 0, 0x11, 64]),
        (
            9,
            &[
                0xff, 3, 0, 0x31, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 8, 0,
            ],
        ),
        (50, &[0xff, 3, 0, 0x21]),
        (50, &[0x8f, 0, 8, 0]),
        (51, &[0x11, 0, 0, 9, 0, 47, 0, 0x21]),
        (104, &[0x0f, 0, 8, 0]),
        (166, &[1, 0xff, 3, 0, 0x21]),
        (204, &[0, 0xff, 3, 0, 0x21]),
        (204, &[1, 0, 0x21]),
        (205, &[1, 0x0f, 0, 8, 0]),
    ];
    for (link, header) in cases {
        assert_eq!(hello_behind(link, header), HELLO, "{link} {header:x?}");
    }
    assert_eq!(read(LinkType(9), &[0xff, 3, 0xc0, 0x21, 1]), "ppp", "LCP");
    assert_eq!(
        read(LinkType(104), &[0x8f, 0, 0x80, 0x35, 0]),
        "arp",
        "SLARP"
    );
}

#[test]
fn headers_of_the_capturing_system_lead_to_the_segment() {
    let pktap = |link: u8| {
        let mut header = [0; 108];
        header[..12].copy_from_slice(&[108, 0, 0, 0, 1, 0, 0, 0, link, 0, 0, 0]);
        header
    };
    let cases: [(u16, &[u8]); 11] = [
        (0, &[0, 0, 0, 23]),
        (100, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
        (117, &[[61, 2].as_slice(), &[0; 62]].concat()),
        (
            122,
            &[[0; 16].as_slice(), &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat(),
        ),
        (138, &[[0; 16].as_slice(), &[8, 0]].concat()),
        (226, &[[1, 2].as_slice(), &[0; 22]].concat()),
        (
            239,
            &[
                2, 0, 0, 0, 8, 0, 1, 0, 8, 0, 0, 0, 6, 0, 10, 0, 7, 7, 0, 0, 49, 0, 9, 0,
            ],
        ),
        (
            239,
            &[
                2, 0, 0, 0, 0, 8, 0, 1, 8, 0, 0, 0, 0, 6, 0, 10, 7, 7, 0, 0, 0, 49, 0, 9,
            ],
        ),
        (258, &pktap(101)),
        (192, &[0, 0, 8, 0, 101, 0, 0, 0]),
        (
            192,
            &[
                0, 1, 15, 0, 1, 0, 0, 0, 9, 0, 1, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
                8, 0,
            ],
        ),
    ];
    for (link, header) in cases {
        assert_eq!(hello_behind(link, header), HELLO, "{link} {header:x?}");
    }
    let nested = [&pktap(2)[..], &pktap(101), &hello()].concat();
    assert_eq!(read(LinkType(258), &nested), "unknown-link-type");
    assert_eq!(read(LinkType(239), &[2, 0, 0, 0, 3, 0, 1, 0]), "malformed");
}

#[test]
fn cooked_captures_of_odd_interfaces_lead_to_the_segment() {
    let sll = |hardware: u16, protocol: u16, rest: &[u8]| {
        let [h0, h1] = hardware.to_be_bytes();
        let [p0, p1] = protocol.to_be_bytes();
        let one = [&[0, 0, h0, h1][..], &[0; 10], &[p0, p1], rest].concat();
        let two = [&[p0, p1, 0, 0, 0, 0, 0, 1, h0, h1][..], &[0; 10], rest].concat();
        (read(LinkType(113), &one), read(LinkType(276), &two))
    };
    let both = |told: &str| (told.to_owned(), told.to_owned());
    let llc = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &hello()].concat();
    assert_eq!(sll(1, 4, &llc), both(HELLO), "802.2");
    let radio = [&[0, 0, 8, 0, 0, 0, 0, 0][..], &wlan(0x08, 2, &[], &hello())].concat();
    assert_eq!(sll(803, 4, &radio), both(HELLO), "radiotap");
    assert_eq!(sll(824, 0, &[0; 40]), both("no-ip-on-netlink"));
}

#[test]
fn ethernet_of_taps_and_switches_leads_to_the_segment() {
    let frame = ethernet(0x0800, &hello());
    let around = |link: u16, before: &[u8], after: &[u8]| {
        read(LinkType(link), &[before, &frame, after].concat())
    };
    assert_eq!(around(240, &[0; 4], &[1; 4]), HELLO);
    assert_eq!(around(241, &[0; 12], &[1; 4]), HELLO);
    assert_eq!(around(259, &[0x55; 8], &[]), HELLO);
    assert_eq!(around(282, &[0; 4], &[]), HELLO);
    let preamble = [0x55; 7];
    assert_eq!(
        around(274, &[&preamble[..], &[0xd5]].concat(), &[1; 4]),
        HELLO
    );
    let smd = [&preamble[..], &[0xe6]].concat();
    assert_eq!(around(274, &smd, &[1; 4]), "preempted-frame");
    for (link, tag) in [(281, 4), (284, 4), (285, 8)] {
        let tagged = [&frame[..12], &vec![0; tag], &frame[12..]].concat();
        assert_eq!(read(LinkType(link), &tagged), HELLO, "{link}");
    }
}

#[test]
fn link_types_without_a_place_for_ip_are_known_by_name() {
    let cases = [
        (253, "no-ip-on-netlink"),
        (271, "no-ip-on-vsock"),
        (220, "no-ip-on-usb"),
        (201, "no-ip-on-bluetooth"),
        (227, "no-ip-on-can"),
        (195, "802.15.4"),
    ];
    for (link, why) in cases {
        assert!(known_link_type(LinkType(link)) && !carries_ip(LinkType(link)));
        assert_eq!(read(LinkType(link), &hello()), why);
    }
}

#[test]
fn tags_and_bridges_headers_are_seen_through() {
    let inner = ethernet(0x0800, &hello());
    let tagged =
        |kind: u16, header: &[u8]| read(ETHERNET, &ethernet(kind, &[header, &hello()].concat()));
    let bridged =
        |kind: u16, header: &[u8]| read(ETHERNET, &ethernet(kind, &[header, &inner].concat()));
    assert_eq!(tagged(0x9200, &[0, 5, 8, 0]), HELLO, "QinQ");
    assert_eq!(bridged(0x88e7, &[0, 0, 0, 9]), HELLO, "802.1ah");
    assert_eq!(bridged(0x8903, &[0, 0x60]), HELLO, "FabricPath");
    assert_eq!(bridged(0x22f3, &[0, 0x3f, 0, 1, 0, 2]), HELLO, "TRILL");
    assert_eq!(
        bridged(0x22f3, &[0, 0x7f, 0, 1, 0, 2, 9, 9, 9, 9]),
        HELLO,
        "TRILL with options"
    );
    assert_eq!(tagged(0x8909, &[1, 1, 0, 1, 0, 9, 8, 0]), HELLO, "metadata");
    assert_eq!(tagged(0x8926, &[0, 0, 0, 1, 8, 0]), HELLO, "VN-Tag");
    assert_eq!(tagged(0x892f, &[0, 50, 0, 1, 8, 0]), HELLO, "HSR");
    assert_eq!(tagged(0xdada, &[0, 0, 0xc0, 1, 0, 0, 8, 0]), HELLO, "EDSA");
    assert_eq!(tagged(0x894f, &[0, 2, 1, 1, 0, 0, 1, 255]), HELLO, "NSH");
    let sealed = |control: u8, channel: &[u8]| {
        let head = [&[control, 0, 0, 0, 0, 1][..], channel, &[8, 0]].concat();
        read(
            ETHERNET,
            &ethernet(0x88e5, &[&head[..], &hello(), &[9; 16]].concat()),
        )
    };
    assert_eq!(sealed(0, &[]), HELLO, "MACsec, authenticated only");
    assert_eq!(sealed(0x20, &[1; 8]), HELLO, "MACsec with channel");
    assert_eq!(sealed(0x2c, &[1; 8]), "macsec");
}

#[test]
fn frames_with_a_length_lead_through_llc() {
    let framed = |llc: &[u8], padding: usize| {
        let body = [llc, &hello()].concat();
        let len = u16::try_from(body.len()).unwrap();
        read(
            ETHERNET,
            &ethernet(len, &[&body[..], &vec![0; padding]].concat()),
        )
    };
    assert_eq!(framed(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], 6), HELLO, "SNAP");
    assert_eq!(
        framed(&[0xaa, 0xaa, 3, 0, 0, 0xf8, 8, 0], 0),
        HELLO,
        "bridge"
    );
    assert_eq!(framed(&[6, 6, 3], 0), HELLO, "without SNAP");
    assert_eq!(framed(&[0xe0, 0xe0, 3], 0), "other-ethertype", "IPX");
    assert_eq!(
        framed(&[0xaa, 0xaa, 3, 0, 0, 12, 8, 0], 0),
        "other-ethertype"
    );
}

#[test]
fn a_trailer_or_a_frame_check_sequence_is_not_payload() {
    let trailed = [&ethernet(0x0800, &hello())[..], b"trailer and FCS"].concat();
    assert_eq!(read(ETHERNET, &trailed), HELLO);
    let trailed = [&ethernet(0x86dd, &hello_6())[..], &[0xee; 4]].concat();
    assert_eq!(read(ETHERNET, &trailed), HELLO_6);
}

/// A data frame: first control byte, flags, what follows the sequence control, the datagram.
fn wlan(control: u8, flags: u8, more: &[u8], ip: &[u8]) -> Vec<u8> {
    let header = [&[control, flags][..], &[1; 20], &[0x50, 0x03]].concat();
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, ip.first().map_or(0, |_| 8), 0];
    [&header, more, &snap, ip].concat()
}

#[test]
fn data_frames_of_80211_lead_to_the_segment() {
    let (ip, link) = (hello(), LinkType(105));
    let cases: [(&str, u8, u8, &[u8]); 8] = [
        ("to the access point", 0x08, 1, &[]),
        ("from it", 0x08, 2, &[]),
        ("between stations, sent again", 0x08, 8, &[]),
        ("four addresses", 0x08, 3, &[1; 6]),
        ("strict order, no HT control without QoS", 0x08, 0x81, &[]),
        ("QoS", 0x88, 1, &[6, 0]),
        ("QoS and four addresses", 0x88, 3, &[1, 1, 1, 1, 1, 1, 6, 0]),
        ("QoS and HT control", 0x88, 0x81, &[6, 0, 9, 9, 9, 9]),
    ];
    for (name, control, flags, more) in cases {
        assert_eq!(
            read(link, &wlan(control, flags, more, &ip)),
            HELLO,
            "{name}"
        );
    }
}

#[test]
fn frames_of_80211_without_a_packet_are_named() {
    let ip = hello();
    let told = |frame: &[u8]| read(LinkType(105), frame);
    assert_eq!(told(&wlan(0x80, 0, &[], &ip)), "wlan-management");
    assert_eq!(told(&[0xd4, 0, 0, 0, 1, 1, 1, 1, 1, 1]), "wlan-control");
    assert_eq!(told(&wlan(0x48, 1, &[], &ip)), "wlan-no-data");
    assert_eq!(told(&wlan(0xc8, 1, &[0, 0], &ip)), "wlan-no-data");
    assert_eq!(told(&wlan(0x08, 0x05, &[], &ip)), "wlan-fragment");
    assert_eq!(told(&wlan(0x09, 1, &[], &ip)), "malformed", "version 1");
    let mut second = wlan(0x08, 1, &[], &ip);
    second[22] |= 1;
    assert_eq!(told(&second), "wlan-fragment");
}

#[test]
fn a_protected_frame_is_read_only_where_it_was_decrypted() {
    let ip = hello();
    let told = |frame: &[u8]| read(LinkType(105), frame);
    assert_eq!(told(&wlan(0x08, 0x41, &[], &ip)), HELLO, "without vector");
    let with_vector = wlan(0x88, 0x41, &[0, 0, 1, 0, 0, 0x20, 0, 0, 0, 0], &ip);
    assert_eq!(told(&[&with_vector[..], &[9; 8]].concat()), HELLO);
    let sealed = wlan(0x88, 0x41, &[0, 0, 1, 0, 0, 0x20, 0, 0, 0, 0, 1], &ip);
    assert_eq!(told(&sealed), "wlan-protected");
}

#[test]
fn the_headers_of_monitors_lead_to_the_frame() {
    let frame = wlan(0x88, 1, &[6, 0], &hello());
    let mut without_length = hello();
    without_length[2..4].fill(0);
    let sealed = [&wlan(0x08, 1, &[], &without_length)[..], &[0xfc; 4]].concat();
    let read = |link, header: &[u8], frame: &[u8]| {
        assert!(carries_ip(LinkType(link)));
        read(LinkType(link), &[header, frame].concat())
    };
    let told = |header: &[u8]| read(127, header, &frame);
    assert_eq!(told(&[0, 0, 8, 0, 0, 0, 0, 0]), HELLO, "nothing told");
    let fcs = [0, 0, 9, 0, 2, 0, 0, 0, 0x10];
    assert_eq!(read(127, &fcs, &sealed), HELLO, "FCS");
    let timed = [0, 0, 17, 0, 3, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0x10];
    assert_eq!(read(127, &timed, &sealed), HELLO, "time before the flags");
    let two_words = [
        0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0x10,
    ];
    assert_eq!(read(127, &two_words, &sealed), HELLO, "two words of fields");
    assert_eq!(told(&[0, 0, 9, 0, 2, 0, 0, 0, 0x40]), "wlan-damaged");
    let padded = wlan(0x88, 1, &[6, 0, 0, 0], &hello());
    assert_eq!(read(127, &[0, 0, 9, 0, 2, 0, 0, 0, 0x20], &padded), HELLO);
    assert_eq!(told(&[1, 0, 8, 0, 0, 0, 0, 0]), "malformed");

    let avs = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56]].concat();
    assert_eq!(read(163, &avs, &frame), HELLO);
    assert_eq!(read(119, &avs, &frame), HELLO, "AVS in place of Prism");
    let prism = [&[0x44, 0, 0, 0, 144, 0, 0, 0][..], &[0; 136]].concat();
    assert_eq!(read(119, &prism, &frame), HELLO);
    let ppi = |flags: u8| {
        let common = [2, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, flags, 0];
        [&[0, 0, 32, 0, 105, 0, 0, 0][..], &common, &[0; 10]].concat()
    };
    assert_eq!(read(192, &ppi(0), &frame), HELLO);
    assert_eq!(read(192, &ppi(1), &sealed), HELLO, "FCS");
    assert_eq!(read(192, &ppi(4), &frame), "wlan-damaged");
}

/// One part of an aggregate, padded unless it is the last.
fn part(ip: &[u8], last: bool) -> Vec<u8> {
    let body = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], ip].concat();
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    let mut part = [&[2; 12][..], &len, &body].concat();
    if !last {
        part.resize(part.len().next_multiple_of(4), 0);
    }
    part
}

fn aggregate(parts: &[Vec<u8>]) -> Vec<u8> {
    let header = [&[0x88, 1][..], &[1; 20], &[0, 0, 0x80, 0]].concat();
    [&header[..], &parts.concat()].concat()
}

#[test]
fn an_aggregate_gives_each_of_its_datagrams() {
    let ping = ipv4(1, &[8, 0, 0, 0, 0, 0, 0, 0]);
    let parts = [
        part(&hello(), false),
        part(&ping, false),
        part(&hello(), true),
    ];
    assert_eq!(
        all_of(LinkType(105), &aggregate(&parts)),
        [HELLO, "icmp", HELLO]
    );
    assert_eq!(all_of(LinkType(105), &aggregate(&parts[..1])), [HELLO]);
}

#[test]
fn an_aggregate_of_nothing_ends() {
    let told = all_of(LinkType(105), &aggregate(&vec![vec![0; 16]; 1_000]));
    assert_eq!(told.len(), 65);
    assert_eq!(told.last().unwrap(), "too-many-headers");
    assert_eq!(all_of(LinkType(105), &aggregate(&[])), ["malformed"]);
}
