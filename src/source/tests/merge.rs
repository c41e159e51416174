use super::*;

fn merge<const N: usize>(files: [Writer; N]) -> Vec<Seen> {
    all(&mut Merged::new(
        files.map(|file| open(&file.bytes).unwrap()),
    ))
}

/// The texts of packets, in order.
fn texts(seen: &[Seen]) -> String {
    let text = |seen: &Seen| match seen {
        Seen::Packet(.., bytes) => String::from_utf8(bytes.clone()).unwrap(),
        Seen::KeyLog(_) => "keys".to_owned(),
        Seen::Dropped(_) => "dropped".to_owned(),
    };
    seen.iter().map(text).collect::<Vec<_>>().join(" ")
}

#[test]
fn packets_come_in_time_order_and_ties_in_file_order() {
    let a = pcap()
        .record(1, 0, "a1")
        .record(3, 0, "a3")
        .record(5, 0, "a5");
    let b = pcapng()
        .packet(2_000_000, "b2")
        .packet(3_000_000, "b3")
        .packet(4_000_000, "b4");
    let c = pcap().record(3, 0, "c3");
    assert_eq!(texts(&merge([a, b, c])), "a1 b2 a3 b3 c3 b4 a5");
}

#[test]
fn times_that_run_back_keep_the_order_of_their_file() {
    let a = pcap()
        .record(1, 0, "a1")
        .record(9, 0, "a9")
        .record(2, 0, "a2");
    let b = pcap().record(5, 0, "b5");
    assert_eq!(texts(&merge([a, b])), "a1 b5 a9 a2");
}

#[test]
fn keys_and_drops_keep_their_place() {
    let keys = |file: Writer| file.block(0x0a, |body| body.u32(0x544c_534b).u32(1).raw(b"k"));
    let a = keys(pcapng().packet(1, "a1")).packet(3, "a3");
    let b = pcapng().enhanced(0, 2, "b2", |body| body.option(4, &1u64.to_le_bytes()));
    assert_eq!(
        texts(&merge([a, b, keys(pcapng())])),
        "keys a1 keys dropped b2 a3"
    );
}

#[test]
fn files_without_packets_and_no_files_at_all_end_at_once() {
    assert_eq!(merge([]), []);
    assert_eq!(merge([pcap(), pcapng()]), []);
}
