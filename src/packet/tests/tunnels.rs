//! Packets in packets, and what only looks like one.

use super::*;

#[test]
fn the_innermost_header_gives_addresses_ttl_and_identification() {
    let mut inner = Vec::new();
    let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 33).tcp(1000, 80, 7, 512);
    builder.write(&mut inner, b"x").unwrap();
    inner[4..6].copy_from_slice(&[0xab, 0xcd]);
    let bytes = ipv6(47, &[&[0, 0, 8, 0][..], &inner].concat());
    let packet = packet(RAW, &bytes, bytes.len());
    let mut decoder = Decoder::new();
    let Decoded::Tcp(segment) = decoder.decode(&packet) else {
        panic!("not TCP")
    };
    assert_eq!(segment.from.to_string(), "10.0.0.1:1000");
    assert_eq!((segment.ttl, segment.ip_id), (33, Some(0xabcd)));
}

#[test]
fn gre_with_every_option_is_seen_through() {
    let inner = ethernet(0x0800, &hello());
    let gre = |head: &[u8], inner: &[u8]| read(RAW, &ipv4(47, &[head, inner].concat()));
    let all = [&[0xb0, 0, 8, 0][..], &[9; 12]].concat();
    assert_eq!(gre(&all, &hello()), HELLO, "checksum, key, sequence");
    assert_eq!(gre(&[0, 0, 0x88, 0xbe], &inner), HELLO, "ERSPAN I");
    let second = [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1][..], &[0x10; 8]].concat();
    assert_eq!(gre(&second, &inner), HELLO, "ERSPAN II");
    let third = |last: u8, more: &[u8]| {
        let head = [
            0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ];
        [&head[..], more].concat()
    };
    assert_eq!(gre(&third(0, &[]), &inner), HELLO, "ERSPAN III");
    assert_eq!(gre(&third(1, &[7; 8]), &inner), HELLO, "with a subheader");
    assert_eq!(
        gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1], &inner),
        "gre",
        "no version"
    );
    assert_eq!(gre(&[0, 0, 0x88, 0x3e], &hello()), HELLO, "WCCP 1");
    assert_eq!(
        gre(&[0, 0, 0x88, 0x3e, 0, 1, 2, 3], &hello()),
        HELLO,
        "WCCP 2"
    );
    let pptp = [
        0x30, 0x81, 0x88, 0x0b, 0, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 3, 0, 0x21,
    ];
    assert_eq!(gre(&pptp, &hello()), HELLO, "PPTP");
    assert_eq!(gre(&[0x40, 0, 8, 0], &hello()), "gre", "routing");
}

#[test]
fn labels_lead_to_ip_or_to_a_pseudowire() {
    let label = [0, 0, 0x11, 64];
    let mpls = |inner: &[u8]| read(ETHERNET, &ethernet(0x8847, &[&label[..], inner].concat()));
    assert_eq!(mpls(&hello()), HELLO);
    assert_eq!(mpls(&hello_6()), HELLO_6);
    let frame = ethernet(0x0800, &hello());
    assert_eq!(mpls(&[&[0; 4][..], &frame].concat()), HELLO, "control word");
    assert_eq!(mpls(&frame), HELLO, "an address that begins with 0");
    let mut other = frame.clone();
    other[..6].copy_from_slice(&[0x45, 0, 0, 40, 0, 0]);
    assert_eq!(mpls(&other), HELLO, "an address that looks like IPv4");
    other[0] = 0xee;
    assert_eq!(mpls(&other), HELLO, "an address like no other");
    assert_eq!(mpls(&[0x10; 40]), "mpls", "an associated channel");
    let mut offloaded = hello();
    offloaded[10..12].fill(0x11);
    assert_eq!(mpls(&offloaded), HELLO, "a capture made anonymous");
    offloaded[3] += 9;
    assert_eq!(mpls(&offloaded), "mpls", "an address, or a broken header");
    offloaded[3] -= 9;
    offloaded[10..12].fill(0);
    assert_eq!(mpls(&offloaded), HELLO, "a checksum left to the card");
    assert_eq!(
        read(RAW, &ipv4(137, &[&label[..], &hello()].concat())),
        HELLO
    );
}

#[test]
fn frames_in_ip_are_seen_through() {
    let frame = ethernet(0x0800, &hello());
    assert_eq!(
        read(RAW, &ipv4(97, &[&[0x30, 0][..], &frame].concat())),
        HELLO
    );
    assert_eq!(read(RAW, &ipv6(143, &frame)), HELLO);
    assert_eq!(
        read(RAW, &ipv4(97, &[&[0x20, 0][..], &frame].concat())),
        "other-ip-protocol"
    );
}

#[test]
fn all_extension_headers_are_skipped() {
    let tcp = &hello_6()[40..];
    for next in [0, 43, 60, 135, 139, 140] {
        let bytes = [&[6, 0, 1, 4, 0, 0, 0, 0][..], tcp].concat();
        assert_eq!(read(RAW, &ipv6(next, &bytes)), HELLO_6, "{next}");
    }
    assert_eq!(
        read(RAW, &ipv6(59, tcp)),
        "other-ip-protocol",
        "no next header"
    );
}

#[test]
fn a_jumbogram_ends_where_its_option_says() {
    let tcp = &hello_6()[40..];
    let len = u32::try_from(8 + tcp.len()).unwrap().to_be_bytes();
    let mut bytes = ipv6(0, &[&[6, 0, 0xc2, 4][..], &len, tcp].concat());
    bytes[4..6].fill(0);
    bytes.extend([0xee; 4]);
    assert_eq!(read(ETHERNET, &ethernet(0x86dd, &bytes)), HELLO_6);
}

/// Every tunnel over UDP: name, port, what UDP carries.
fn over_udp() -> Vec<(&'static str, u16, Vec<u8>, &'static str)> {
    let (v4, v6) = (hello(), hello_6());
    let frame = ethernet(0x0800, &v4);
    let tagged = ethernet(0x8100, &[&[0, 5, 8, 0][..], &v4].concat());
    let gtp = |flags: u8, more: &[u8], inner: &[u8]| {
        let len = u16::try_from(more.len() + inner.len()).unwrap();
        [
            &[flags, 255][..],
            &len.to_be_bytes(),
            &[0, 0, 0, 7],
            more,
            inner,
        ]
        .concat()
    };
    let mut teredo = v6.clone();
    teredo[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
    let teredo_hello = "[2001::1]:1000 > [2001:db8::2]:80 7 hello of 5";
    let auth = [0, 1, 2, 3, 9, 9, 8, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let origin = [0, 0, 1, 2, 3, 4, 5, 6];
    vec![
        (
            "VXLAN",
            4789,
            [&[8, 0, 0, 0, 0, 0, 1, 0][..], &frame].concat(),
            HELLO,
        ),
        (
            "VXLAN of Linux, tagged",
            8472,
            [&[8, 0, 0, 0, 0, 0, 1, 0][..], &tagged].concat(),
            HELLO,
        ),
        (
            "VXLAN with a group",
            4789,
            [&[0x88, 0, 0, 9, 0, 0, 1, 0][..], &frame].concat(),
            HELLO,
        ),
        (
            "VXLAN-GPE, IPv4",
            4790,
            [&[12, 0, 0, 1, 0, 0, 1, 0][..], &v4].concat(),
            HELLO,
        ),
        (
            "VXLAN-GPE, IPv6",
            4790,
            [&[12, 0, 0, 2, 0, 0, 1, 0][..], &v6].concat(),
            HELLO_6,
        ),
        (
            "VXLAN-GPE, Ethernet",
            4790,
            [&[12, 0, 0, 3, 0, 0, 1, 0][..], &frame].concat(),
            HELLO,
        ),
        (
            "VXLAN-GPE, NSH",
            4790,
            [
                &[12, 0, 0, 4, 0, 0, 1, 0, 0, 2, 1, 3, 0, 0, 0, 1][..],
                &frame,
            ]
            .concat(),
            HELLO,
        ),
        (
            "VXLAN-GPE, MPLS",
            4790,
            [&[12, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0x11, 64][..], &v4].concat(),
            HELLO,
        ),
        (
            "Geneve",
            6081,
            [&[0, 0, 0x65, 0x58, 0, 0, 1, 0][..], &frame].concat(),
            HELLO,
        ),
        (
            "Geneve with options",
            6081,
            [
                &[
                    3, 0x40, 8, 0, 0, 0, 1, 0, 1, 2, 3, 0, 1, 2, 4, 1, 9, 9, 9, 9,
                ][..],
                &v4,
            ]
            .concat(),
            HELLO,
        ),
        ("GTP-U", 2152, gtp(0x30, &[], &v4), HELLO),
        (
            "GTP-U with a number",
            2152,
            gtp(0x32, &[0, 9, 0, 0], &v6),
            HELLO_6,
        ),
        (
            "GTP-U with extensions",
            2152,
            gtp(
                0x34,
                &[0, 0, 0, 0x85, 1, 0, 9, 0x20, 2, 0, 0, 0, 0, 0, 0, 0],
                &v4,
            ),
            HELLO,
        ),
        ("GTP-U with Ethernet", 2152, gtp(0x30, &[], &frame), HELLO),
        ("Teredo", 3544, teredo.clone(), teredo_hello),
        (
            "Teredo, authenticated",
            3544,
            [&auth[..], &teredo].concat(),
            teredo_hello,
        ),
        (
            "Teredo with origin",
            3544,
            [&origin[..], &teredo].concat(),
            teredo_hello,
        ),
        (
            "Teredo with both",
            3544,
            [&auth[..], &origin, &teredo].concat(),
            teredo_hello,
        ),
        ("IPv4 alone", 5555, v4.clone(), HELLO),
        ("IPv6 alone", 5555, v6.clone(), HELLO_6),
        (
            "L2TP",
            1701,
            [&[0x40, 2, 0, 57, 0, 1, 0, 2, 0xff, 3, 0, 0x21][..], &v4].concat(),
            HELLO,
        ),
        (
            "L2TP with an offset",
            1701,
            [
                &[0x0a, 2, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 7, 7, 0, 0x21][..],
                &v4,
            ]
            .concat(),
            HELLO,
        ),
        (
            "GRE",
            4754,
            [&[0x20, 0, 8, 0, 0, 0, 0, 1][..], &v4].concat(),
            HELLO,
        ),
        ("MPLS", 6635, [&[0, 0, 0x11, 64][..], &v4].concat(), HELLO),
        (
            "LISP",
            4341,
            [&[0x80, 0, 0, 0, 0, 0, 0, 1][..], &v4].concat(),
            HELLO,
        ),
        (
            "TZSP",
            37008,
            [&[1, 0, 0, 1, 10, 1, 200, 0, 1][..], &frame].concat(),
            HELLO,
        ),
    ]
}

#[test]
fn tunnels_over_udp_are_seen_through() {
    for (name, port, payload, expected) in over_udp() {
        assert_eq!(
            read(RAW, &ipv4(17, &udp(port, &payload))),
            expected,
            "{name}"
        );
        assert_eq!(
            read(RAW, &ipv6(17, &udp(port, &payload))),
            expected,
            "{name}"
        );
    }
}

#[test]
fn what_tells_itself_apart_needs_no_port() {
    let by_port = ["L2TP", "L2TP with an offset", "GRE", "MPLS", "LISP", "TZSP"];
    for (name, _, payload, expected) in over_udp() {
        let told = read(RAW, &ipv4(17, &udp(53, &payload)));
        let expected = if by_port.contains(&name) {
            "udp"
        } else {
            expected
        };
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn a_tunnel_is_believed_only_with_a_sound_packet_inside() {
    for (name, port, payload, _) in over_udp() {
        let told = |payload: &[u8]| read(RAW, &ipv4(17, &udp(port, payload)));
        assert_eq!(told(&payload[1..]), "udp", "{name} without its first byte");
        let addresses = payload.windows(4).position(|four| four == ALICE);
        if let Some(at) = addresses {
            let mut wrong = payload.clone();
            wrong[at] ^= 1;
            assert_eq!(told(&wrong), "udp", "{name} with a wrong checksum");
            let mut short = payload.clone();
            short[at - 10] += 1;
            assert_eq!(told(&short), "udp", "{name} with a wrong length");
        }
    }
    let alone = |bytes: Vec<u8>| read(RAW, &ipv4(17, &udp(5555, &bytes)));
    assert_eq!(alone([&hello()[..], &[0]].concat()), "udp", "a byte more");
    let mut wrong = hello_6();
    wrong[50] ^= 1;
    assert_eq!(alone(wrong), "udp", "IPv6 whose payload fails its checksum");
    let mut offloaded = hello();
    offloaded[10..12].fill(0);
    assert_eq!(alone(offloaded), "udp", "no checksum speaks for it");
}

#[test]
fn a_tunnel_that_the_snap_length_cut_is_no_ordinary_udp() {
    let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &ethernet(0x0800, &hello())].concat();
    let told = |port, snap| read_cut(RAW, &ipv4(17, &udp(port, &vxlan)), snap);
    assert_eq!(told(4789, 60), "cut-short");
    assert_eq!(told(53, 60), "udp");
    assert_eq!(
        told(4789, 28 + 22 + 40),
        "192.0.2.1:1000 > 198.51.100.2:80 7  of 5"
    );
}

#[test]
fn offloaded_segments_without_a_length_are_seen_in_a_tunnel() {
    let mut inner = hello();
    inner[2..4].fill(0);
    inner[10..12].fill(0);
    let told = |inner: &[u8]| {
        let frame = ethernet(0x0800, inner);
        let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &frame].concat();
        read(RAW, &ipv4(17, &udp(4789, &vxlan)))
    };
    assert_eq!(told(&inner), "udp", "neither length nor checksum");
    let sum: u32 = inner[..20]
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    inner[10..12].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(told(&inner), HELLO);
    assert_eq!(
        read(RAW, &ipv4(17, &udp(5555, &inner))),
        "udp",
        "no tunnel speaks for it"
    );
}

#[test]
fn control_messages_of_tunnels_are_udp() {
    let told = |port, payload: &[u8]| read(RAW, &ipv4(17, &udp(port, payload)));
    assert_eq!(
        told(2152, &[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0]),
        "udp",
        "GTP echo"
    );
    let quoted = [&[0x30, 26, 0, 45, 0, 0, 0, 0][..], &hello()].concat();
    assert_eq!(told(2152, &quoted), "udp", "GTP error indication");
    assert_eq!(
        told(1701, &[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0]),
        "udp",
        "L2TP hello"
    );
}

proptest! {
    #[test]
    fn ordinary_udp_is_never_a_packet(
        port: u16,
        first in prop::sample::select(vec![0u8, 8, 0x0c, 0x30, 0x34, 0x45, 0x60, 0x88]),
        mut payload in prop::collection::vec(any::<u8>(), 1..300),
    ) {
        payload[0] = first;
        prop_assert_eq!(read(RAW, &ipv4(17, &udp(port, &payload))), "udp");
    }
}
