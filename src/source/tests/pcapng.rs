use super::*;

#[test]
fn sections_have_their_own_byte_order_and_interfaces() {
    let first = pcapng()
        .interface(113, none)
        .enhanced(1, 5, "cooked", none)
        .packet(6, "one");
    let second = Writer::new(Big)
        .section()
        .interface(101, none)
        .packet(7, "raw");
    let (seen, summary) = read(&first.raw(&second.bytes).bytes);
    let expected = [
        Seen::Packet(1, 5000, 113, 6, b"cooked".to_vec()),
        packet(2, 6000, "one"),
        Seen::Packet(3, 7000, 101, 3, b"raw".to_vec()),
    ];
    assert_eq!(seen, expected);
    assert_eq!((summary.damage, summary.interfaces.len()), (None, 3));
}

#[test]
fn each_interface_counts_time_in_its_own_unit() {
    let offset = 100u64.to_le_bytes();
    let file = Writer::new(Little)
        .section()
        .interface(1, |body| body.option(9, &[9]))
        .interface(1, |body| body.option(9, &[0x80 | 8]).option(14, &offset))
        .enhanced(0, 1_700_000_000_123_456_789, "ns", none)
        .enhanced(1, 256 + 128, "1/256 s", none);
    let expected = [
        packet(1, 1_700_000_000_123_456_789, "ns"),
        packet(2, 101_500_000_000, "1/256 s"),
    ];
    assert_eq!(read(&file.bytes).0, expected);
}

#[test]
fn a_simple_packet_has_the_time_of_the_one_before_it() {
    let simple = |file: Writer, text: &str| {
        let len = u32::try_from(text.len()).unwrap();
        file.block(3, |body| body.u32(len).raw(text.as_bytes()))
    };
    let file = simple(simple(pcapng(), "none").packet(9, "two"), "three");
    let (seen, summary) = read(&file.bytes);
    assert_eq!(
        seen,
        [
            packet(1, 0, "none"),
            packet(2, 9000, "two"),
            packet(3, 9000, "three")
        ]
    );
    assert_eq!(summary.first, Some(Timestamp::from_nanos(9000)));
}

#[test]
fn a_simple_packet_is_as_long_as_the_snap_length_lets_it_be() {
    let file = Writer::new(Little)
        .section()
        .block(1, |body| body.u16(1).u16(0).u32(4))
        .block(3, |body| body.u32(1500).raw(b"head"));
    assert_eq!(
        read(&file.bytes).0,
        [Seen::Packet(1, 0, 1, 1500, b"head".to_vec())]
    );
}

#[test]
fn the_obsolete_packet_block_is_read_with_its_drops() {
    let block = |file: Writer, drops| {
        file.block(2, |body| {
            body.u16(0)
                .u16(drops)
                .u32(0)
                .u32(8)
                .u32(3)
                .u32(3)
                .raw(b"old")
        })
    };
    let (seen, summary) = read(&block(block(pcapng(), u16::MAX), 2).bytes);
    assert_eq!(
        seen,
        [
            packet(1, 8000, "old"),
            Seen::Dropped(2),
            packet(2, 8000, "old")
        ]
    );
    assert_eq!(summary.dropped, 2);
}

#[test]
fn drops_are_told_once_whoever_counts_them() {
    let statistics = |file: Writer, interface: u64, system: u64| {
        file.block(5, |body| {
            body.u32(0)
                .u64(0)
                .option(5, &interface.to_le_bytes())
                .option(7, &system.to_le_bytes())
        })
    };
    let file = pcapng().enhanced(0, 1, "one", |body| body.option(4, &3u64.to_le_bytes()));
    // All ones: unknown.
    let file = statistics(statistics(statistics(file, 2, 1), 4, 1), 4, 1);
    let file = statistics(file, u64::MAX, 5);
    let (seen, summary) = read(&file.bytes);
    assert_eq!(
        seen,
        [Seen::Dropped(3), packet(1, 1000, "one"), Seen::Dropped(2)]
    );
    assert_eq!(summary.dropped, 5);
}

#[test]
fn a_key_log_is_handed_over_and_other_secrets_are_not() {
    let secrets = |file: Writer, kind: u32, text: &str| {
        let len = u32::try_from(text.len()).unwrap();
        file.block(0x0a, |body| body.u32(kind).u32(len).raw(text.as_bytes()))
    };
    let file = secrets(
        secrets(pcapng(), 0x5747_4b4c, "wireguard"),
        0x544c_534b,
        "CLIENT_RANDOM 1 2",
    );
    let seen = read(&file.packet(1, "one").bytes).0;
    assert_eq!(
        seen,
        [
            Seen::KeyLog("CLIENT_RANDOM 1 2".to_owned()),
            packet(1, 1000, "one")
        ]
    );
}

#[test]
fn records_that_wireshark_numbers_move_the_numbers_on() {
    let file = pcapng()
        .block(9, |body| body.raw(b"MESSAGE=journal"))
        .block(0x0bad, |body| body.u32(32_473))
        .block(4, |body| body.u32(0))
        .block(0x7777, |body| body.raw(b"unknown"))
        .packet(1, "third");
    let (seen, summary) = read(&file.bytes);
    assert_eq!(seen, [packet(3, 1000, "third")]);
    assert_eq!((summary.packets, summary.last_number), (1, 3));
}

#[test]
fn comments_and_the_writer_are_kept() {
    let file = Writer::new(Little)
        .block(0x0a0d_0d0a, |body| {
            let body = body.u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX);
            body.option(1, b"taken at the proxy").option(4, b"dumpcap")
        })
        .interface(1, |body| body.option(2, b"eth0"))
        .packet(1, "one")
        .enhanced(0, 2, "two", |body| body.option(1, b"here it broke"));
    let (_, summary) = read(&file.bytes);
    let comment = |packet, text: &str| Comment {
        packet,
        text: text.to_owned(),
    };
    let expected = [
        comment(None, "taken at the proxy"),
        comment(Some(2), "here it broke"),
    ];
    assert_eq!(summary.comments, expected);
    assert_eq!(summary.application.as_deref(), Some("dumpcap"));
    assert_eq!(summary.interfaces[0].name.as_deref(), Some("eth0"));
}

#[test]
fn malformed_options_are_ignored() {
    let file = Writer::new(Little)
        .section()
        .interface(1, |body| {
            body.option(9, &[])
                .option(14, b"abc")
                .u16(2)
                .u16(999)
                .raw(b"eth0")
        })
        .enhanced(0, 1, "one", |body| body.u16(1).u16(60_000));
    let (seen, summary) = read(&file.bytes);
    assert_eq!((seen, summary.damage), (vec![packet(1, 1000, "one")], None));
}

#[test]
fn an_impossible_block_length_ends_the_file() {
    let good = pcapng().packet(1, "one");
    let at = good.bytes.len();
    for length in [0, 8, 30, u32::MAX] {
        let file = good.clone().u32(6).u32(length).raw(&[0; 40]);
        let (seen, summary) = read(&file.bytes);
        assert_eq!(seen.len(), 1);
        let line = format!(
            "offset {at}: a block of type 0x00000006 claims an impossible length of {length} bytes"
        );
        assert_eq!(summary.damage.unwrap().to_string(), line);
    }
}

#[test]
fn damage_names_what_does_not_fit() {
    let lengths = pcapng().u32(6).u32(16).u32(0).u32(20);
    let short = pcapng().block(6, |body| body.u32(0).u32(0).u32(0).u32(99).u32(99));
    let interface = pcapng().enhanced(7, 0, "one", none);
    let order = pcapng()
        .u32(0x0a0d_0d0a)
        .u32(28)
        .u32(0xdead_beef)
        .raw(&[0; 16]);
    let version = Writer::new(Little).section().block(0x0a0d_0d0a, |body| {
        body.u32(0x1a2b_3c4d).u16(2).u16(0).u64(0)
    });
    let lines = [lengths, short, interface, order, version].map(|file| damage(&file.bytes));
    let expected = [
        "offset 48: a block of type 0x00000006 begins with length 16 and ends with length 20",
        "offset 48: an enhanced packet block is shorter than what it announces",
        "offset 48: a packet belongs to interface 7, and the section describes only 1",
        "offset 48: a section header has no byte-order magic (0xefbeadde stands there)",
        "offset 28: version 2.0 of the format is unknown",
    ];
    assert_eq!(lines, expected);
}
