//! Fragments that come to nothing, in tunnels, or against each other.

use super::*;

/// What a decoder says to packets that come `(seconds, bytes)`, and at the end.
fn read_to_the_end<'a>(
    packets: impl IntoIterator<Item = (i64, &'a [u8])>,
) -> (Vec<String>, Vec<(&'static str, u64)>) {
    let mut decoder = Decoder::new();
    let mut told = Vec::new();
    for (seconds, bytes) in packets {
        let at = PacketRef {
            time: Timestamp::from_nanos(seconds * 1_000_000_000),
            ..PacketRef::default()
        };
        told.push(tell(&decoder.decode(&Packet {
            at,
            ..packet(RAW, bytes, bytes.len())
        })));
    }
    (told, decoder.finish())
}

/// Each a second after the one before.
fn read_in_turn(packets: &[&Vec<u8>]) -> (Vec<String>, Vec<(&'static str, u64)>) {
    let times = (0..).zip(packets.iter().map(|bytes| &bytes[..]));
    read_to_the_end(times)
}

/// A datagram cut into fragments of `size` bytes.
fn cut(datagram: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let (header, payload) = datagram.split_at(20);
    let count = payload.chunks(size).count();
    let piece = |(index, piece): (usize, &[u8])| {
        let mut header = header.to_vec();
        let more = if index + 1 < count { 0x2000 } else { 0 };
        let field = more | u16::try_from(index * size / 8).unwrap();
        header[2..4].copy_from_slice(&u16::try_from(20 + piece.len()).unwrap().to_be_bytes());
        header[4..6].copy_from_slice(&id.to_be_bytes());
        header[6..8].copy_from_slice(&field.to_be_bytes());
        [&header[..], piece].concat()
    };
    payload.chunks(size).enumerate().map(piece).collect()
}

#[test]
fn a_datagram_that_never_completes_is_counted() {
    let parts = fragments(1);
    let (told, lost) = read_in_turn(&[&parts[0], &parts[1], &parts[3]]);
    assert_eq!(told, ["pending"; 3]);
    assert_eq!(lost, [("fragment-incomplete", 3)]);
}

#[test]
fn one_that_comes_too_late_is_counted_too() {
    let parts = fragments(1);
    let late = [
        (0, &parts[0][..]),
        (1, &parts[1]),
        (2, &parts[2]),
        (31, &parts[3]),
    ];
    let (_, lost) = read_to_the_end(late);
    assert_eq!(lost, [("fragment-incomplete", 4)]);
    let (_, lost) = read_in_turn(&[&parts[0], &parts[1], &parts[2], &parts[3]]);
    assert_eq!(lost, []);
}

#[test]
fn one_that_has_to_make_room_is_counted() {
    let first: Vec<_> = (0..300).map(|id| fragments(id).swap_remove(0)).collect();
    let (_, lost) = read_to_the_end(first.iter().map(|bytes| (0, &bytes[..])));
    assert_eq!(lost, [("fragment-limit", 44), ("fragment-incomplete", 256)]);
}

#[test]
fn fragments_captured_twice_make_the_segment_and_are_no_loss() {
    let parts = fragments(1);
    let twice: Vec<_> = parts.iter().flat_map(|part| [part, part]).collect();
    let (told, lost) = read_in_turn(&twice);
    assert_eq!(told.iter().filter(|told| *told == HELLO).count(), 1);
    assert_eq!(lost, [("fragment-duplicate", 1)]);
}

#[test]
fn fragments_that_contradict_each_other_are_not_believed() {
    let parts = fragments(1);
    let mut forged = parts[1].clone();
    forged[20] ^= 1;
    let (told, lost) = read_in_turn(&[&parts[0], &parts[1], &forged, &parts[2], &parts[3]]);
    let conflict = "fragment-conflict";
    assert_eq!(told, ["pending", "pending", conflict, conflict, conflict]);
    assert_eq!(lost, [(conflict, 2)]);
}

#[test]
fn a_last_fragment_before_the_end_is_a_contradiction() {
    let parts = fragments(1);
    let mut short = parts[1].clone();
    short[6] &= !0x20;
    let (told, _) = read_in_turn(&[&parts[0], &parts[2], &short]);
    assert_eq!(told[2], "fragment-conflict");
}

#[test]
fn overlaps_of_equal_bytes_are_no_contradiction() {
    let whole = hello();
    let (small, large) = (cut(&whole, 1, 8), cut(&whole, 1, 16));
    let (told, lost) = read_in_turn(&[&small[0], &large[0], &small[1], &large[1]]);
    assert_eq!(told[3], HELLO);
    assert_eq!(lost, []);
}

#[test]
fn the_first_fragment_gives_the_header() {
    let mut parts = fragments(1);
    parts[0][8] = 11;
    parts[3][8] = 99;
    let mut decoder = Decoder::new();
    for index in [3, 1, 2] {
        decoder.decode(&packet(RAW, &parts[index], parts[index].len()));
    }
    let Decoded::Tcp(segment) = decoder.decode(&packet(RAW, &parts[0], parts[0].len())) else {
        panic!("not TCP")
    };
    assert_eq!((segment.ttl, segment.ip_id), (11, Some(1)));
}

#[test]
fn fragments_of_what_is_no_tcp_all_have_its_reason() {
    let whole = ipv4(17, &udp(53, &[7; 40]));
    let parts = cut(&whole, 5, 16);
    let (told, lost) = read_in_turn(&[&parts[0], &parts[1], &parts[2]]);
    assert_eq!(told, ["pending", "pending", "udp"]);
    assert_eq!(lost, [("udp", 2)]);
}

#[test]
fn fragments_of_a_tunnel_with_fragments_inside_make_the_segment() {
    let inner = cut(&hello(), 7, 16);
    let outer = cut(&ipv4(4, &inner[0]), 8, 24);
    let second = ipv4(4, &inner[1]);
    let (told, lost) = read_in_turn(&[&outer[0], &outer[1], &second]);
    assert_eq!(told, ["pending", "pending", HELLO]);
    assert_eq!(lost, []);
    let (told, lost) = read_in_turn(&[&second, &outer[1], &outer[0]]);
    assert_eq!(
        told,
        ["pending", "pending", HELLO],
        "the last one from both pools"
    );
    assert_eq!(lost, []);
    let (_, lost) = read_in_turn(&[&outer[0], &outer[1]]);
    assert_eq!(lost, [("fragment-incomplete", 2)]);
}

#[test]
fn ipv6_fragments_may_differ_in_what_follows() {
    let tcp = hello_6()[40..].to_vec();
    let piece = |next: u8, field: u16, piece: &[u8]| {
        let head = [&[next, 0][..], &field.to_be_bytes(), &[0, 0, 0, 9]].concat();
        ipv6(44, &[&head[..], piece].concat())
    };
    let (first, second) = (piece(6, 1, &tcp[..16]), piece(59, 16, &tcp[16..]));
    assert_eq!(read_in_turn(&[&second, &first]).0, ["pending", HELLO_6]);
}

proptest! {
    #[test]
    fn every_packet_is_told_of_or_counted(
        size in 1usize..4,
        order in prop::collection::vec((0usize..12, 0usize..3), 0..60),
    ) {
        let datagrams = [hello(), ipv4(4, &hello()), ipv4(17, &udp(53, &[1; 64]))];
        let cuts: Vec<_> = datagrams.iter().map(|whole| cut(whole, 3, size * 8)).collect();
        let packets: Vec<&Vec<u8>> = order
            .iter()
            .filter_map(|(piece, datagram)| cuts[*datagram].get(*piece))
            .collect();
        let (told, lost) = read_in_turn(&packets);
        let pending = u64::try_from(told.iter().filter(|told| *told == "pending").count()).unwrap();
        let lost: u64 = lost.iter().map(|(_, packets)| packets).sum();
        prop_assert!(lost <= pending);
        // What was held and not lost is in a segment, of which the last packet is told.
        if !told.iter().any(|told| told == HELLO) {
            prop_assert_eq!(lost, pending);
        }
    }
}
