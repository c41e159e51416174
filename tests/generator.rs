//! The generator of captures can be trusted: benchmarks and other tests stand on it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[path = "../examples/generate/capture/mod.rs"]
mod capture;

use std::io::Cursor;

use clap::Parser;
use etherparse::{Ipv4HeaderSlice, TcpSlice};

use capture::options::Options;
use capture::truth::Truth;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn generate(line: &str) -> (Vec<u8>, Truth) {
    let options = Line::parse_from(format!("generate {line}").split(' ')).options;
    let mut file = Cursor::new(Vec::new());
    let truth = capture::generate(&options, &mut file).unwrap();
    (file.into_inner(), truth)
}

/// The packets of a pcap, its headers taken off.
fn packets(file: &[u8]) -> Vec<&[u8]> {
    let mut rest = &file[24..];
    let mut packets = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap());
        let (packet, after) = after.split_at(usize::try_from(len).unwrap());
        packets.push(packet);
        rest = after;
    }
    packets
}

#[test]
fn same_options_give_the_same_bytes() {
    let line = "--messages 500 --deflate 50 --http 20 --loss 1 --reorder 1";
    assert!(generate(line).0 == generate(line).0);
    assert!(generate(line).0 != generate(&format!("{line} --seed 2")).0);
}

#[test]
fn size_is_met_and_told() {
    let (file, truth) = generate("--size 3M --sessions 20 --deflate 20 --http 10");
    assert_eq!(u64::try_from(file.len()).unwrap(), truth.bytes);
    assert!(
        (2_900_000..3_100_000).contains(&truth.bytes),
        "{} bytes",
        truth.bytes
    );
    assert_eq!(u64::try_from(packets(&file).len()).unwrap(), truth.packets);
}

#[test]
fn truth_counts_every_message() {
    let (_, truth) = generate("--messages 777 --sessions 7 --sizes small");
    let counted: u64 = truth
        .sessions
        .iter()
        .map(|s| s.messages.client.count + s.messages.server.count)
        .sum();
    assert_eq!(
        (truth.messages, counted, truth.sessions.len()),
        (777, 777, 7)
    );
}

#[test]
fn every_checksum_holds() {
    let (file, _) = generate("--messages 300 --sizes small --deflate 50 --loss 2 --abnormal 50");
    for packet in packets(&file) {
        let ip = Ipv4HeaderSlice::from_slice(&packet[14..])
            .unwrap()
            .to_header();
        let tcp = TcpSlice::from_slice(&packet[34..]).unwrap();
        assert_eq!(ip.header_checksum, ip.calc_header_checksum());
        let checksum = tcp.calc_checksum_ipv4(ip.source, ip.destination).unwrap();
        assert_eq!(tcp.checksum(), checksum);
    }
}
