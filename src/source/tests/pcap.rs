use super::*;

#[test]
fn both_byte_orders_and_both_units_give_nanoseconds() {
    for order in [Little, Big] {
        for (magic, nanos) in [(0xa1b2_c3d4, 5_000_007_000), (0xa1b2_3c4d, 5_000_000_007)] {
            let file = Writer::new(order).pcap_header(magic, 1).record(5, 7, "one");
            assert_eq!(
                read(&file.bytes).0,
                [packet(1, nanos, "one")],
                "{order:?} {magic:#x}"
            );
        }
    }
}

#[test]
fn packets_carry_their_file_and_the_header_its_interface() {
    let file = pcap().record(1, 0, "one").bytes;
    let mut reader = open(&file).unwrap();
    let Some(Input::Packet(first)) = reader.next().unwrap() else {
        panic!("no packet")
    };
    assert_eq!(first.at.source, 3);
    let summary = reader.summary();
    let link = LinkType(1);
    let interface = Interface {
        link,
        offset: 20,
        snap_length: Some(65_535),
        name: None,
    };
    assert_eq!(summary.interfaces, [interface]);
    assert_eq!((summary.format.name(), summary.packets), ("pcap", 1));
}

#[test]
fn the_summary_knows_the_earliest_and_the_latest_time() {
    let (_, summary) = read(
        &pcap()
            .record(5, 0, "a")
            .record(2, 0, "b")
            .record(4, 0, "c")
            .bytes,
    );
    let seconds = |time: Option<Timestamp>| time.map(|time| time.as_nanos() / 1_000_000_000);
    assert_eq!(
        (seconds(summary.first), seconds(summary.last)),
        (Some(2), Some(5))
    );
    assert_eq!((summary.packets, summary.bytes), (3, 24 + 3 * 17));
}

#[test]
fn the_link_type_is_in_the_lower_half_of_its_field() {
    let file = Writer::new(Little)
        .pcap_header(0xa1b2_c3d4, 0x2400_0071)
        .record(0, 0, "sll");
    assert_eq!(
        read(&file.bytes).0,
        [Seen::Packet(1, 0, 113, 3, b"sll".to_vec())]
    );
}

#[test]
fn the_patched_flavour_has_eight_bytes_more_per_record() {
    let record = |file: Writer, text: &str| {
        file.u32(1)
            .u32(0)
            .u32(3)
            .u32(9)
            .raw(b"ifidx123")
            .raw(text.as_bytes())
    };
    let file = record(
        record(Writer::new(Big).pcap_header(0xa1b2_cd34, 1), "one"),
        "two",
    );
    let cut =
        |number, text: &str| Seen::Packet(number, 1_000_000_000, 1, 9, text.as_bytes().to_vec());
    assert_eq!(read(&file.bytes).0, [cut(1, "one"), cut(2, "two")]);
}

#[test]
fn before_version_2_3_the_lengths_stood_the_other_way_round() {
    let header = |minor| {
        let file = Writer::new(Big).u32(0xa1b2_c3d4).u16(2).u16(minor);
        file.u32(0).u32(0).u32(65_535).u32(1)
    };
    for minor in [2, 3] {
        let file = header(minor).u32(0).u32(0).u32(9).u32(3).raw(b"one");
        assert_eq!(
            read(&file.bytes).0,
            [Seen::Packet(1, 0, 1, 9, b"one".to_vec())]
        );
    }
}

#[test]
fn a_fraction_of_more_than_a_second_is_added() {
    let file = pcap().record(u32::MAX, u32::MAX, "late");
    let nanos = i64::from(u32::MAX) * 1_000_001_000;
    assert_eq!(read(&file.bytes).0, [packet(1, nanos, "late")]);
}

#[test]
fn an_appended_file_goes_on_with_its_own_header() {
    let second = Writer::new(Big)
        .pcap_header(0xa1b2_3c4d, 1)
        .record(1, 5, "third")
        .bytes;
    let file = pcap().record(2, 0, "one").record(3, 0, "two").raw(&second);
    let (seen, summary) = read(&file.bytes);
    let expected = [
        packet(1, 2_000_000_000, "one"),
        packet(2, 3_000_000_000, "two"),
        packet(3, 1_000_000_005, "third"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(summary.damage, None);
    let offsets: Vec<u64> = summary
        .interfaces
        .iter()
        .map(|interface| interface.offset)
        .collect();
    assert_eq!(offsets, [20, 24 + 2 * 19 + 20]);
}

#[test]
fn a_packet_of_no_bytes_is_not_taken_for_a_header() {
    let file = pcap().record(1, 0, "").record(2, 0, "two");
    let expected = [
        packet(1, 1_000_000_000, ""),
        packet(2, 2_000_000_000, "two"),
    ];
    assert_eq!(read(&file.bytes).0, expected);
}

#[test]
fn a_packet_of_the_second_that_looks_like_a_magic_number_is_a_packet() {
    let (seconds, fraction) = (0xa1b2_c3d4, 0x0004_0002);
    let nanos = i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * 1000;
    let file = pcap().record(seconds, fraction, "in the year 2055");
    assert_eq!(read(&file.bytes).0, [packet(1, nanos, "in the year 2055")]);
}

#[test]
fn a_cut_off_file_keeps_what_was_whole() {
    let file = pcap().record(1, 0, "one").record(2, 0, "two").bytes;
    let (seen, summary) = read(&file[..file.len() - 1]);
    assert_eq!(seen, [packet(1, 1_000_000_000, "one")]);
    let what = "the file ends inside a packet record (18 of its 19 bytes are there)".to_owned();
    assert_eq!(summary.damage, Some(Damage { offset: 43, what }));
    let damage = damage(&file[..50]);
    let header = "the file ends inside a packet record's header (7 of its 16 bytes are there)";
    assert_eq!(damage, format!("offset 43: {header}"));
}

#[test]
fn an_impossible_length_is_damage_and_no_allocation() {
    let file = pcap()
        .record(1, 0, "one")
        .u32(1)
        .u32(0)
        .u32(0x7fff_ffff)
        .u32(60)
        .raw(&[0; 99]);
    let (seen, summary) = read(&file.bytes);
    assert_eq!(seen.len(), 1);
    let line = "offset 43: a packet record claims 2147483647 bytes, \
                and no packet of this file can have more than 262144";
    assert_eq!(summary.damage.unwrap().to_string(), line);
}

#[test]
fn records_longer_than_the_snap_length_are_read() {
    let text = "x".repeat(200_000);
    assert_eq!(
        read(&pcap().record(0, 0, &text).bytes).0,
        [packet(1, 0, &text)]
    );
}
