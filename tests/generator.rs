//! The generator of captures can be trusted: benchmarks and other tests stand on it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[path = "../examples/generate/capture/mod.rs"]
mod capture;

use std::collections::BTreeMap;
use std::io::Cursor;

use clap::Parser;
use etherparse::{Ipv4HeaderSlice, TcpSlice};

use capture::options::Options;
use capture::truth::Truth;
use wscope::packet::{Decoded, Decoder};
use wscope::source::{CaptureFile, Input, Source as _, read_key_log};
use wscope::stream::{Direction, StreamEvent};
use wscope::{tcp, tls};

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
    let line = "--messages 500 --deflate 50 --http 20 --loss 1 --reorder 1 --tls 40 --tls12 20";
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

/// What was said in TLS, by client port and direction; nothing may stay closed.
fn decrypted(file: Vec<u8>, key_log: &str) -> BTreeMap<(u16, Direction), Vec<u8>> {
    let mut keys = tls::Keys::new(false);
    let read = read_key_log(key_log.as_bytes(), |secret| keys.add(secret));
    assert_eq!(read.unreadable, 0);
    let mut file = CaptureFile::from_reader("-".into(), 0, Box::new(Cursor::new(file))).unwrap();
    let (mut decoder, mut connections) = (Decoder::new(), BTreeMap::new());
    let mut said = BTreeMap::new();
    while let Some(input) = file.next().unwrap() {
        let Input::Packet(packet) = input else {
            continue;
        };
        let Decoded::Tcp(segment) = decoder.decode(&packet) else {
            continue;
        };
        let (direction, port) = match segment.to.port {
            443 => (Direction::ClientToServer, segment.from.port),
            _ => (Direction::ServerToClient, segment.to.port),
        };
        let (tcp, tls) = connections.entry(port).or_insert_with(|| {
            let tcp = tcp::Connection::new(tcp::Patience::default());
            (tcp, tls::Connection::new(0))
        });
        tcp.on_segment(direction, &segment, &mut |output| {
            let tcp::Output::Stream(event) = output else {
                return;
            };
            tls.on_stream(&event, &keys, &mut |output| match output {
                tls::Output::Stream(StreamEvent::Chunk(chunk)) => {
                    let said: &mut Vec<u8> = said.entry((port, chunk.direction)).or_default();
                    said.extend_from_slice(chunk.bytes);
                }
                tls::Output::Stream(StreamEvent::Gap(gap)) => panic!("{gap:?}"),
                tls::Output::Stream(StreamEvent::End(..)) => {}
                tls::Output::Fact(event) => {
                    assert!(!matches!(event, tls::Event::Closed { .. }), "{event:?}");
                }
            });
        });
    }
    said
}

#[test]
fn the_key_log_opens_what_was_said_in_tls() {
    for suite in ["aes128-gcm", "aes256-gcm", "chacha20-poly1305"] {
        let line = "--messages 200 --sessions 6 --pings 0 --loss 1 --reorder 2";
        let line = format!("{line} --tls 50 --tls12 50 --suite {suite}");
        let (file, truth) = generate(&line);
        assert!(truth.key_log.contains("CLIENT_RANDOM "));
        assert!(truth.key_log.contains("CLIENT_TRAFFIC_SECRET_0 "));
        let said = decrypted(file, &truth.key_log);
        for session in &truth.sessions {
            let port = session.client.rsplit(':').next().unwrap().parse().unwrap();
            let frames = |direction, start: &[u8]| {
                let bytes = &said[&(port, direction)];
                assert!(bytes.starts_with(start));
                let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
                u64::try_from(bytes.len() - head - 4).unwrap()
            };
            // A Close frame with its code takes 4 bytes, masked 8.
            let messages = &session.messages;
            let client = frames(Direction::ClientToServer, b"GET /feed");
            assert_eq!(client, messages.client.wire_bytes + 8);
            let server = frames(Direction::ServerToClient, b"HTTP/1.1 101");
            assert_eq!(server, messages.server.wire_bytes + 4);
        }
    }
}
