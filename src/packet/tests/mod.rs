//! Whole packets through the decoder.

mod links;
mod pieces;
mod tunnels;

use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header, PacketBuilder,
};
use proptest::prelude::*;

use super::*;
use crate::source::LinkType;
use crate::time::Timestamp;

const ETHERNET: LinkType = LinkType(1);
const RAW: LinkType = LinkType(101);
const ALICE: [u8; 4] = [192, 0, 2, 1];
const BOB: [u8; 4] = [198, 51, 100, 2];
const ALICE_6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const BOB_6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// What the decoder makes of `bytes`, all of which were captured, in short.
fn read(link: LinkType, bytes: &[u8]) -> String {
    read_cut(link, bytes, bytes.len())
}

/// The same, of the first `snap` bytes.
fn read_cut(link: LinkType, bytes: &[u8], snap: usize) -> String {
    let packet = packet(link, bytes, snap);
    tell(&Decoder::new().decode(&packet))
}

fn packet(link: LinkType, bytes: &[u8], snap: usize) -> Packet<'_> {
    let wire_len = u32::try_from(bytes.len()).unwrap();
    Packet {
        at: PacketRef::default(),
        link,
        wire_len,
        bytes: &bytes[..snap],
    }
}

/// What is told of each datagram in a packet.
fn all_of(link: LinkType, bytes: &[u8]) -> Vec<String> {
    let packet = packet(link, bytes, bytes.len());
    let mut decoder = Decoder::new();
    let mut told = vec![tell(&decoder.decode(&packet))];
    while decoder.has_more() {
        told.push(tell(&decoder.decode_more(&packet)));
    }
    told
}

fn tell(decoded: &Decoded<'_>) -> String {
    match decoded {
        Decoded::Tcp(s) => {
            let text = String::from_utf8_lossy(s.payload);
            format!("{} > {} {} {text} of {}", s.from, s.to, s.seq.0, s.wire_len)
        }
        Decoded::Icmp(e) => {
            let IcmpError {
                reporter,
                kind,
                code,
                from,
                to,
                seq,
                ..
            } = e;
            format!("{reporter} {kind}/{code} about {from} > {to} {}", seq.0)
        }
        Decoded::Neighbour(ip) => format!("neighbour {ip}"),
        Decoded::Pending => "pending".into(),
        Decoded::Ignored(why) => (*why).into(),
    }
}

const HELLO: &str = "192.0.2.1:1000 > 198.51.100.2:80 7 hello of 5";
const HELLO_6: &str = "[2001:db8::1]:1000 > [2001:db8::2]:80 7 hello of 5";

/// An IPv4 datagram with the segment that reads as [`HELLO`].
fn hello() -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4(ALICE, BOB, 64).tcp(1000, 80, 7, 512);
    builder.write(&mut bytes, b"hello").unwrap();
    bytes
}

/// The same over IPv6.
fn hello_6() -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv6(ALICE_6, BOB_6, 64).tcp(1000, 80, 7, 512);
    builder.write(&mut bytes, b"hello").unwrap();
    bytes
}

/// A TCP header with payload, as it stands in [`hello`].
fn hello_tcp() -> Vec<u8> {
    hello()[20..].to_vec()
}

/// The segment of [`hello`] with these bytes of options.
fn hello_with_options(options: &[u8]) -> Vec<u8> {
    let mut tcp = hello_tcp();
    tcp[12] = u8::try_from(5 + options.len() / 4).unwrap() << 4;
    tcp.splice(20..20, options.iter().copied());
    ipv4(6, &tcp)
}

/// `payload` in an IPv4 datagram.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap();
    let header = Ipv4Header::new(len, 64, IpNumber(protocol), ALICE, BOB).unwrap();
    [&header.to_bytes()[..], payload].concat()
}

/// `payload` in an IPv6 datagram.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: u16::try_from(payload.len()).unwrap(),
        next_header: IpNumber(next),
        hop_limit: 64,
        source: ALICE_6,
        destination: BOB_6,
        ..Ipv6Header::default()
    };
    [&header.to_bytes()[..], payload].concat()
}

/// `payload` behind an Ethernet header.
fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ether_type.to_be_bytes(), payload].concat()
}

/// `payload` behind a UDP header.
fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 8).unwrap();
    [
        &[1, 2][..],
        &port.to_be_bytes(),
        &len.to_be_bytes(),
        &[0, 0],
        payload,
    ]
    .concat()
}

#[test]
fn every_link_type_leads_to_the_segment() {
    let (v4, v6) = (hello(), hello_6());
    let sll = |kind: [u8; 2]| [&[0; 14][..], &kind].concat();
    let sll2 = |kind: [u8; 2]| [&kind[..], &[0; 18]].concat();
    let cases: [(u16, Vec<u8>, &[u8], &str); 14] = [
        (1, ethernet(0x0800, &[]), &v4, HELLO),
        (1, ethernet(0x86dd, &[]), &v6, HELLO_6),
        (113, sll([8, 0]), &v4, HELLO),
        (113, sll([0x86, 0xdd]), &v6, HELLO_6),
        (276, sll2([8, 0]), &v4, HELLO),
        (0, vec![2, 0, 0, 0], &v4, HELLO),
        (0, vec![0, 0, 0, 2], &v4, HELLO),
        (0, vec![30, 0, 0, 0], &v6, HELLO_6),
        (0, vec![0, 0, 0, 24], &v6, HELLO_6),
        (108, vec![0, 0, 0, 28], &v6, HELLO_6),
        (101, vec![], &v4, HELLO),
        (12, vec![], &v6, HELLO_6),
        (228, vec![], &v4, HELLO),
        (229, vec![], &v6, HELLO_6),
    ];
    for (link, header, ip, expected) in cases {
        assert!(known_link_type(LinkType(link)));
        assert_eq!(
            read(LinkType(link), &[&header, ip].concat()),
            expected,
            "{link} {header:?}"
        );
    }
    assert!(!known_link_type(LinkType(147)));
    assert_eq!(read(LinkType(147), &v4), "unknown-link-type");
}

#[test]
fn vlan_tags_nest() {
    let tagged = [&[0, 5, 0x81, 0, 0, 6, 0x91, 0, 0, 7, 8, 0][..], &hello()].concat();
    assert_eq!(read(ETHERNET, &ethernet(0x88a8, &tagged)), HELLO);
}

#[test]
fn a_tag_without_end_is_given_up() {
    let tags = [0, 5, 0x81, 0].repeat(100);
    assert_eq!(read(ETHERNET, &ethernet(0x8100, &tags)), "too-many-headers");
}

#[test]
fn tunnels_are_seen_through() {
    let (v4, v6) = (hello(), hello_6());
    let inner = ethernet(0x0800, &v4);
    let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &inner].concat();
    let geneve = [&[1, 0, 0x65, 0x58, 0, 0, 1, 0, 1, 2, 3, 0][..], &inner].concat();
    let cases: [(&str, Vec<u8>, &str); 11] = [
        ("4 in 4", ipv4(4, &v4), HELLO),
        ("6 in 4", ipv4(41, &v6), HELLO_6),
        ("4 in 6", ipv6(4, &v4), HELLO),
        ("6 in 6", ipv6(41, &v6), HELLO_6),
        ("GRE", ipv4(47, &[&[0, 0, 8, 0][..], &v4].concat()), HELLO),
        (
            "GRE with key",
            ipv4(47, &[&[0x20, 0, 0x86, 0xdd, 1, 2, 3, 4][..], &v6].concat()),
            HELLO_6,
        ),
        (
            "GRE with Ethernet",
            ipv4(47, &[&[0, 0, 0x65, 0x58][..], &inner].concat()),
            HELLO,
        ),
        (
            "GRE of an unknown version",
            ipv4(47, &[&[0x20, 2, 0x88, 0x0b][..], &v4].concat()),
            "gre",
        ),
        ("VXLAN", ipv4(17, &udp(4789, &vxlan)), HELLO),
        ("Geneve", ipv4(17, &udp(6081, &geneve)), HELLO),
        ("not VXLAN", ipv4(17, &udp(4789, &v4[1..])), "udp"),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(read(RAW, &bytes), expected, "{name}");
    }
    let mpls = [&[0, 0, 0x10, 64, 0, 0, 0x21, 64][..], &v4].concat();
    assert_eq!(read(ETHERNET, &ethernet(0x8847, &mpls)), HELLO);
    let pppoe = |protocol: &[u8]| {
        let len = u16::try_from(v6.len() + protocol.len())
            .unwrap()
            .to_be_bytes();
        ethernet(
            0x8864,
            &[&[0x11, 0, 0, 9][..], &len, protocol, &v6].concat(),
        )
    };
    assert_eq!(read(ETHERNET, &pppoe(&[0, 0x57])), HELLO_6);
    assert_eq!(
        read(ETHERNET, &pppoe(&[0x57])),
        HELLO_6,
        "compressed protocol field"
    );
    assert_eq!(read(ETHERNET, &pppoe(&[0xc0, 0x21])), "ppp", "LCP");
}

#[test]
fn extension_headers_are_skipped() {
    let tcp = &hello_6()[40..];
    let hop_by_hop = [60, 0, 1, 4, 0, 0, 0, 0];
    let destination = [51, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let authentication = [6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    let bytes = [&hop_by_hop[..], &destination, &authentication, tcp].concat();
    assert_eq!(read(RAW, &ipv6(0, &bytes)), HELLO_6);
    assert_eq!(
        read(
            RAW,
            &ipv6(44, &[&[6, 0, 0, 0, 0, 0, 0, 1][..], tcp].concat())
        ),
        HELLO_6
    );
    assert_eq!(
        read(
            RAW,
            &ipv4(51, &[&authentication[..], &hello_tcp()].concat())
        ),
        HELLO
    );
}

#[test]
fn padding_is_not_payload() {
    let padded = [&hello()[..], &[0xee; 6]].concat();
    assert_eq!(read(ETHERNET, &ethernet(0x0800, &padded)), HELLO);
}

#[test]
fn offloaded_segments_without_a_length_reach_to_the_end() {
    let mut v4 = hello();
    v4[2..4].fill(0);
    assert_eq!(read(ETHERNET, &ethernet(0x0800, &v4)), HELLO);
    let mut v6 = hello_6();
    v6[4..6].fill(0);
    assert_eq!(read(ETHERNET, &ethernet(0x86dd, &v6)), HELLO_6);
}

#[test]
fn the_snap_length_shortens_the_payload_only() {
    let whole = ethernet(0x0800, &hello());
    let expected = "192.0.2.1:1000 > 198.51.100.2:80 7 he of 5";
    assert_eq!(read_cut(ETHERNET, &whole, whole.len() - 3), expected);
}

#[test]
fn a_length_on_the_wire_that_the_capture_lost_comes_from_ip() {
    let whole = hello();
    assert_eq!(
        read(RAW, &whole[..whole.len() - 3]),
        "192.0.2.1:1000 > 198.51.100.2:80 7 he of 5"
    );
}

#[test]
fn a_cut_inside_the_options_keeps_the_header() {
    let whole = hello_with_options(&[2, 4, 5, 0xb4, 1, 3, 3, 7]);
    let cut = packet(RAW, &whole, 45);
    let mut decoder = Decoder::new();
    let Decoded::Tcp(segment) = decoder.decode(&cut) else {
        panic!("not TCP")
    };
    assert_eq!(
        segment.options,
        Options {
            mss: Some(1460),
            ..Options::default()
        }
    );
    assert_eq!((segment.payload, segment.wire_len), (&[][..], 5));
}

#[test]
fn header_fields_are_told() {
    let at = PacketRef {
        time: Timestamp::from_nanos(5),
        number: 9,
        source: 1,
        epoch: Default::default(),
    };
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4(ALICE, BOB, 61)
        .tcp(1000, 80, 7, 512)
        .ack(99)
        .psh();
    builder.write(&mut bytes, b"x").unwrap();
    bytes[4..6].copy_from_slice(&[0x12, 0x34]);
    let expected = Segment {
        at,
        from: Endpoint {
            ip: ALICE.into(),
            port: 1000,
        },
        to: Endpoint {
            ip: BOB.into(),
            port: 80,
        },
        seq: Seq(7),
        ack: Seq(99),
        flags: Flags(Flags::PSH | Flags::ACK),
        window: 512,
        options: Options::default(),
        ttl: 61,
        ip_id: Some(0x1234),
        payload: b"x",
        wire_len: 1,
    };
    let packet = Packet {
        at,
        ..packet(RAW, &bytes, bytes.len())
    };
    assert_eq!(Decoder::new().decode(&packet), Decoded::Tcp(expected));
}

#[test]
fn options_are_read_up_to_the_first_impossible_one() {
    let options = |list: &[u8]| {
        let bytes = hello_with_options(list);
        match Decoder::new().decode(&packet(RAW, &bytes, bytes.len())) {
            Decoded::Tcp(segment) => segment.options,
            other => panic!("{other:?}"),
        }
    };
    let all = [
        1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4, 30, 3, 0, 3, 3, 15, 2,
        4, 5, 0,
    ];
    let expected = Options {
        mss: Some(1280),
        window_scale: Some(14),
        timestamps: Some((1, 2)),
        sack: Some((Seq(3), Seq(4))),
    };
    assert_eq!(options(&all), expected);
    assert_eq!(options(&[0, 3, 3, 7]), Options::default(), "after the end");
    assert_eq!(
        options(&[8, 0, 3, 3, 7, 1, 1, 1]),
        Options::default(),
        "length 0"
    );
    let scale = Options {
        window_scale: Some(7),
        ..Options::default()
    };
    assert_eq!(
        options(&[3, 3, 7, 2, 9, 5, 0, 1]),
        scale,
        "beyond the header"
    );
}

#[test]
fn an_impossible_data_offset_is_malformed() {
    for (offset, expected) in [(4, "malformed-tcp"), (7, "malformed-tcp")] {
        let mut bytes = hello();
        bytes[32] = offset << 4;
        assert_eq!(read(RAW, &bytes), expected, "{offset}");
    }
    assert_eq!(read(RAW, &ipv4(6, &hello_tcp()[..19])), "malformed-tcp");
}

#[test]
fn an_icmp_error_names_the_segment_it_quotes() {
    let quote = &hello()[..28];
    let unreachable = [&[3, 3, 0, 0, 0, 0, 0, 0][..], quote].concat();
    let expected = "192.0.2.1 3/3 about 192.0.2.1:1000 > 198.51.100.2:80 7";
    assert_eq!(read(RAW, &ipv4(1, &unreachable)), expected);
    assert_eq!(
        read(RAW, &ipv4(1, &unreachable[..35])),
        "icmp",
        "half a sequence number"
    );
    assert_eq!(
        read(RAW, &ipv4(1, &[&[8; 8][..], quote].concat())),
        "icmp",
        "echo"
    );

    let too_big = [&[2, 0, 0, 0, 0, 0, 5, 0][..], &hello_6()].concat();
    let expected = "2001:db8::1 2/0 about [2001:db8::1]:1000 > [2001:db8::2]:80 7";
    assert_eq!(read(RAW, &ipv6(58, &too_big)), expected);
}

#[test]
fn replies_prove_a_neighbour() {
    let arp = |operation| {
        let fixed = [0, 1, 8, 0, 6, 4, 0, operation];
        ethernet(
            0x0806,
            &[&fixed[..], &[2; 6], &BOB, &[3; 6], &ALICE].concat(),
        )
    };
    assert_eq!(read(ETHERNET, &arp(2)), "neighbour 198.51.100.2");
    assert_eq!(read(ETHERNET, &arp(1)), "arp");
    assert_eq!(
        read(RAW, &ipv6(58, &[&[136, 0][..], &[0; 22]].concat())),
        "neighbour 2001:db8::1"
    );
}

/// The IPv4 fragments of [`hello`], cut every 8 bytes.
fn fragments(id: u16) -> Vec<Vec<u8>> {
    let tcp = hello_tcp();
    let last = tcp.chunks(8).count() - 1;
    let fragment = |(index, part): (usize, &[u8])| {
        let mut header = Ipv4Header::new(
            u16::try_from(part.len()).unwrap(),
            64,
            IpNumber::TCP,
            ALICE,
            BOB,
        )
        .unwrap();
        header.identification = id;
        header.more_fragments = index != last;
        header.fragment_offset = IpFragOffset::try_new(u16::try_from(index).unwrap()).unwrap();
        [&header.to_bytes()[..], part].concat()
    };
    tcp.chunks(8).enumerate().map(fragment).collect()
}

/// What a decoder says to packets that come `(seconds, bytes)`.
fn read_all<'a>(packets: impl IntoIterator<Item = (i64, &'a Vec<u8>)>) -> Vec<String> {
    let mut decoder = Decoder::new();
    let mut told = Vec::new();
    for (seconds, bytes) in packets {
        let time = Timestamp::from_nanos(seconds * 1_000_000_000);
        let at = PacketRef {
            time,
            ..PacketRef::default()
        };
        told.push(tell(&decoder.decode(&Packet {
            at,
            ..packet(RAW, bytes, bytes.len())
        })));
    }
    told
}

#[test]
fn fragments_in_any_order_make_the_segment() {
    let parts = fragments(1);
    let last = |order: [usize; 4]| {
        let told = read_all(order.map(|index| (0, &parts[index])));
        assert_eq!(told[..3], ["pending", "pending", "pending"]);
        told[3].clone()
    };
    assert_eq!(last([0, 1, 2, 3]), HELLO);
    assert_eq!(last([3, 2, 1, 0]), HELLO);
    assert_eq!(last([2, 0, 3, 1]), HELLO);
}

#[test]
fn ipv6_fragments_make_the_segment() {
    let tcp = hello_6()[40..].to_vec();
    let fragment = |offset: u16, more, part: &[u8]| {
        let offset = IpFragOffset::try_new(offset).unwrap();
        let header = Ipv6FragmentHeader::new(IpNumber::TCP, offset, more, 77);
        ipv6(44, &[&header.to_bytes()[..], part].concat())
    };
    let (first, second) = (
        fragment(0, true, &tcp[..16]),
        fragment(2, false, &tcp[16..]),
    );
    assert_eq!(read_all([(0, &second), (1, &first)]), ["pending", HELLO_6]);
}

#[test]
fn fragments_of_two_datagrams_do_not_mix() {
    let (one, two) = (fragments(1), fragments(2));
    let told = read_all([
        (0, &one[0]),
        (0, &one[1]),
        (0, &two[2]),
        (0, &two[3]),
        (0, &one[2]),
        (0, &one[3]),
    ]);
    assert_eq!(told.last().unwrap(), HELLO);
    assert_eq!(told.iter().filter(|word| *word == "pending").count(), 5);
}

#[test]
fn fragments_are_forgotten_after_half_a_minute() {
    let parts = fragments(1);
    let late = [
        (0, &parts[0]),
        (1, &parts[1]),
        (2, &parts[2]),
        (31, &parts[3]),
    ];
    assert_eq!(read_all(late)[3], "pending");
    let in_time = [
        (0, &parts[0]),
        (1, &parts[1]),
        (2, &parts[2]),
        (30, &parts[3]),
    ];
    assert_eq!(read_all(in_time)[3], HELLO);
}

#[test]
fn unfinished_datagrams_push_out_the_oldest() {
    let first = fragments(0);
    let flood: Vec<_> = (1..=256).map(|id| fragments(id).swap_remove(0)).collect();
    let rest = first[1..].iter().chain(&flood[..255]);
    let told = read_all(first[..1].iter().chain(rest).map(|bytes| (0, bytes)));
    assert_eq!(told[3], HELLO, "room for all");
    let order = first[..1].iter().chain(&flood).chain(&first[1..]);
    let told = read_all(order.map(|bytes| (0, bytes)));
    assert_eq!(told.last().unwrap(), "pending", "the first had to go");
}

#[test]
fn a_cut_fragment_is_no_use() {
    let parts = fragments(1);
    assert_eq!(read_cut(RAW, &parts[0], 27), "fragment-cut");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        link in prop_oneof![prop::sample::select(vec![0u16, 1, 101, 108, 113, 276]), 0u16..300],
        wire_len: u32,
        kind in prop_oneof![
            prop::sample::select(vec![0u16, 0x0800, 0x86dd, 0x8100, 0x8847, 0x8864, 0x6558]),
            prop::sample::select(vec![0x22f3u16, 0x88e5, 0x88e7, 0x8903, 0x894f, 0xdada]),
            0u16..0x600,
        ],
        version in 0u8..16,
        protocol: u8,
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        // Plausible first bytes, so that the noise gets far.
        let at = match link { 1 => 12, 113 => 14, _ => 0 };
        if let Some(field) = bytes.get_mut(at..at + 2) {
            field.copy_from_slice(&kind.to_be_bytes());
        }
        if let Some(byte) = bytes.get_mut(at + 2) {
            *byte = version << 4 | 5;
        }
        if let Some(byte) = bytes.get_mut(at + 2 + 9) {
            *byte = protocol;
        }
        let packet = Packet { wire_len, ..packet(LinkType(link), &bytes, bytes.len()) };
        let mut decoder = Decoder::new();
        for _ in 0..2 {
            decoder.decode(&packet);
            let mut parts = 0;
            while decoder.has_more() {
                decoder.decode_more(&packet);
                parts += 1;
            }
            prop_assert!(parts <= 64);
        }
        decoder.finish();
    }

    #[test]
    fn noise_on_the_air_never_panics(
        link in prop::sample::select(vec![105u16, 119, 127, 163, 192]),
        control in prop::sample::select(vec![0x08u8, 0x88, 0x48, 0x80]),
        flags: u8,
        len in 0u8..40,
        mut bytes in prop::collection::vec(any::<u8>(), 41..200),
    ) {
        let header: &[u8] = match link {
            105 => &[],
            163 => &[0x80, 0x21, 0x10, 1, 0, 0, 0, len],
            119 => &[0x44, 0, 0, 0, len, 0, 0, 0],
            127 => &[0, 0, len, 0],
            _ => &[0, 0, len, 0, 105, 0, 0, 0],
        };
        bytes[..header.len()].copy_from_slice(header);
        let start = if link == 105 { 0 } else { usize::from(len) };
        bytes[start] = control;
        bytes[start + 1] = flags;
        all_of(LinkType(link), &bytes);
    }

    #[test]
    fn a_cut_never_changes_what_is_told(
        payload in prop::collection::vec(any::<u8>(), 0..40),
        tunnel in 0u8..9,
        cut in 0.0f64..1.0,
    ) {
        let tcp = [&hello_tcp()[..20], &payload].concat();
        let inner = ethernet(0x0800, &ipv4(6, &tcp));
        let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &inner].concat();
        let whole = match tunnel {
            0 => inner,
            1 => ethernet(0x86dd, &ipv6(6, &tcp)),
            2 => ethernet(0x8100, &[&[0, 7][..], &inner[12..]].concat()),
            3 => ethernet(0x0800, &ipv4(17, &udp(4789, &vxlan))),
            4 => ethernet(0x8847, &[&[0, 0, 0x11, 64, 0x45, 0, 0, 40, 0, 0][..], &inner[6..]].concat()),
            5 => ethernet(0x8847, &[&[0, 0, 0x11, 64, 0, 0, 0, 0][..], &inner].concat()),
            6 => ethernet(0x0800, &ipv4(17, &udp(6081, &[&[0, 0, 0x65, 0x58, 0, 0, 1, 0][..], &inner].concat()))),
            7 => ethernet(0x0800, &ipv4(47, &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1][..], &[0x10; 8], &inner].concat())),
            _ => ethernet(0x86dd, &ipv6(4, &ipv4(6, &tcp))),
        };
        let mut decoder = Decoder::new();
        let Decoded::Tcp(expected) = decoder.decode(&packet(ETHERNET, &whole, whole.len())) else {
            panic!("not TCP");
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let snap = (whole.len() as f64 * cut) as usize;
        match Decoder::new().decode(&packet(ETHERNET, &whole, snap)) {
            Decoded::Tcp(segment) => {
                prop_assert!(expected.payload.starts_with(segment.payload));
                prop_assert_eq!(segment, Segment { payload: segment.payload, ..expected });
            }
            Decoded::Ignored(why) => prop_assert!(snap < whole.len() - payload.len(), "{}", why),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
