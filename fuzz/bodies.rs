//! What each fuzz target does with its input. The targets run these under
//! libFuzzer, `tests/fuzz_corpus.rs` runs them on the kept corpus.
//!
//! Each checks more than the absence of panics: what a layer hands on is in
//! order and within the bounds that it promises.
#![allow(dead_code)] // A target uses one of these.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use wscope::packet::{Decoded, Decoder, Endpoint, Flags, Segment, Seq};
use wscope::pipeline::{Analyzer, Finished, Limits, Options};
use wscope::source::{CaptureFile, Input, LinkType, Packet, Source as _, read_key_log};
use wscope::stream::{Chunk, Direction, Gap, GapCause, PacketRef, StreamEvent};
use wscope::tcp::Patience;
use wscope::time::Timestamp;
use wscope::websocket::{Deflate, Parameters, Recognised, Recognition, Wants};
use wscope::{diagnosis, http, tcp, tls, websocket};

/// A capture file: all of its packets, none longer than the input.
pub(crate) fn source(input: &[u8]) {
    let reader = Box::new(Cursor::new(input.to_vec()));
    let Ok(mut file) = CaptureFile::from_reader(PathBuf::from("-"), 0, reader) else {
        return;
    };
    let mut packets = 0;
    while let Ok(Some(next)) = file.next() {
        if let Input::Packet(packet) = next {
            packets += 1;
            // Unpacked, a gzip file is longer than it was.
            assert!(input.starts_with(&[0x1f, 0x8b]) || packet.bytes.len() <= input.len());
        }
    }
    let summary = file.summary();
    assert_eq!(summary.packets, packets);
    if let Some(damage) = summary.damage {
        assert!(damage.offset <= summary.bytes);
    }
}

/// Packets of one link type, which share a decoder: type, then packets with a length before each.
pub(crate) fn packet(input: &[u8]) {
    let mut rest = Bytes(input);
    let link = LinkType(rest.u16());
    let mut decoder = Decoder::new();
    let (mut number, mut held) = (0, 0_u64);
    while !rest.0.is_empty() {
        number += 1;
        let (len, more) = (rest.u8(), rest.u8());
        let bytes = rest.take(usize::from(len));
        let packet = Packet {
            at: at(number),
            link,
            // Sometimes the snap length cut it.
            wire_len: u32::from(len) + u32::from(more >> 4),
            bytes,
        };
        held += pending(&decoder.decode(&packet));
        let mut parts = 0;
        while decoder.has_more() {
            held += pending(&decoder.decode_more(&packet));
            parts += 1;
        }
        assert!(parts <= 64);
    }
    let lost = decoder.finish();
    assert!(lost.into_iter().map(|(_, packets)| packets).sum::<u64>() <= held);
}

/// 1 for a packet of which nothing is told yet.
fn pending(decoded: &Decoded<'_>) -> u64 {
    match decoded {
        Decoded::Tcp(segment) => assert!(segment.payload.len() <= segment.wire_len as usize),
        Decoded::Pending => return 1,
        _ => {}
    }
    0
}

/// Segments of one connection. What the layer hands on is contiguous in each direction.
pub(crate) fn tcp(input: &[u8]) {
    let mut rest = Bytes(input);
    let patience = Patience {
        bytes: 1 << 10,
        acked_segments: u32::from(rest.u8() & 15),
        ..Patience::default()
    };
    let mut connection = tcp::Connection::new(patience);
    let mut order = Order::default();
    let payload = [b'x'; 255];
    let (mut number, mut time) = (0, 0);
    while !rest.0.is_empty() {
        number += 1;
        let (control, len, wait) = (rest.u8(), rest.u8(), rest.u8());
        time += i64::from(wait) << 24;
        let direction = direction(control & 0x80 == 0);
        let [from, to] = endpoints(direction);
        let segment = Segment {
            at: PacketRef {
                time: Timestamp::from_nanos(time),
                ..at(number)
            },
            from,
            to,
            // Near zero, so that numbers meet and wrap.
            seq: Seq(u32::from(rest.u16()).wrapping_sub(0x2000)),
            ack: Seq(u32::from(rest.u16()).wrapping_sub(0x2000)),
            flags: Flags(control & 0x1f),
            window: u16::from(wait),
            options: wscope::packet::Options::default(),
            ttl: 64,
            ip_id: Some(0),
            payload: payload.get(..usize::from(len)).unwrap_or_default(),
            wire_len: u32::from(len) + u32::from(control >> 5 & 1),
        };
        connection.on_segment(direction, &segment, &mut |output| order.tcp(&output));
        // Each held range costs a little more than its bytes.
        assert!(connection.buffered() <= 1 << 20);
    }
    connection.finish(at(number), &mut |output| order.tcp(&output));
}

/// The bytes of both directions, with keys before, behind or without. What comes out is in order.
pub(crate) fn tls(input: &[u8]) {
    let mut rest = Bytes(input);
    let (flags, len) = (rest.u8(), rest.u16());
    let (late, none) = (flags & 1 != 0, flags & 2 != 0);
    let mut secrets = Vec::new();
    read_key_log(rest.take(usize::from(len)), |secret| secrets.push(secret));
    let mut keys = tls::Keys::new(late);
    let mut later = tls::Keys::new(late);
    for secret in secrets.into_iter().filter(|_| !none) {
        if !late {
            keys.add(secret.clone());
        }
        later.add(secret);
    }
    let mut connection = tls::Connection::new(8 << 10);
    let mut order = Order::default();
    let mut take = |output: tls::Output<'_>| {
        if let tls::Output::Stream(event) = output {
            order.stream(&event);
        }
    };
    events(rest.0, |event| {
        connection.on_stream(&event, &keys, &mut take);
        // A message of the handshake is at most 256 KiB; the rest is less.
        assert!(connection.buffered() <= 2 << 20);
    });
    connection.on_keys(&later, &mut take);
    connection.finish(&mut take);
}

/// The bytes of both directions, in turns, with gaps between them.
pub(crate) fn http(input: &[u8]) {
    let mut connection = http::Connection::new();
    let mut order = Order::default();
    events(input, |event| {
        connection.on_stream(event, &mut |output| {
            if let http::Output::Stream(event) = output {
                order.stream(&event);
            }
        });
        // A head is at most 64 KiB, and so is what is kept of a body.
        assert!(connection.buffered() <= 1 << 20);
    });
    connection.finish(&mut |_| ());
}

/// What comes after the opening handshake, with and without compression.
pub(crate) fn websocket(input: &[u8]) {
    let mut rest = Bytes(input);
    let flags = rest.u8();
    let deflate = Deflate {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        server_max_window_bits: (flags & 4 != 0).then_some(8 + (flags >> 5)),
        client_max_window_bits: (flags & 8 != 0).then_some(9),
    };
    let wants = Wants {
        payload: Some(64),
        sha256: true,
    };
    let mut connection = websocket::Connection::new(Parameters {
        deflate: (flags & 16 != 0).then_some(deflate),
        wants,
        hint: (flags & 32 != 0).then(Default::default),
    });
    let mut check = |event| {
        if let websocket::Event::Message(message) = event {
            assert!(message.payload.is_none_or(|kept| kept.len() <= 64));
        }
    };
    events(rest.0, |event| {
        connection.on_stream(&event, &mut check);
        assert!(connection.buffered() <= 1 << 20);
    });
    connection.finish(&mut check);
    mid_stream(rest.0, wants);
}

/// The same bytes as a later part of who knows what.
fn mid_stream(input: &[u8], wants: Wants) {
    let mut frames = 0;
    let mut count = |event| frames += u64::from(matches!(event, websocket::Event::Frame(_)));
    let (mut searching, mut found) = (Some(Recognition::new()), None);
    events(input, |event| {
        if let Some(recognition) = &mut searching {
            let answer = recognition.on_stream(&event);
            assert!(recognition.buffered() <= 1 << 20);
            if matches!(answer, Recognised::Frames { .. }) {
                found = searching
                    .take()
                    .map(|it| it.into_connection(wants, &mut count));
            }
        } else if let Some(connection) = &mut found {
            connection.on_stream(&event, &mut count);
            assert!(connection.buffered() <= 1 << 20);
        }
    });
    if let Some(mut recognition) = searching {
        if matches!(recognition.finish(), Recognised::Frames { .. }) {
            let mut connection = recognition.into_connection(wants, &mut count);
            connection.finish(&mut count);
            assert!(frames > 0, "recognised by frames that aren't there");
        }
    } else if let Some(mut connection) = found {
        connection.finish(&mut count);
        assert!(frames > 0, "recognised by frames that aren't there");
    }
}

/// A whole capture file, to the last finding.
pub(crate) fn analyzer(input: &[u8]) {
    let reader = Box::new(Cursor::new(input.to_vec()));
    let Ok(mut file) = CaptureFile::from_reader(PathBuf::from("-"), 0, reader) else {
        return;
    };
    let mut analyzer = Analyzer::new(Options {
        limits: Limits {
            connections: 8,
            bytes: 64 << 10,
            records: 16,
            ..Limits::default()
        },
        records: true,
        wants: Wants {
            payload: Some(64),
            sha256: false,
        },
        ..Options::default()
    });
    if input.len() % 2 == 1 {
        analyzer.keys_may_come();
    }
    let mut finished = Vec::new();
    while let Ok(Some(next)) = file.next() {
        analyzer.push(&next, &mut finished);
        while analyzer.next_record().is_some() {}
    }
    let capture = analyzer.finish(&mut finished, |_| ());
    // A panic of one connection is caught there and counted.
    assert_eq!(capture.failures, 0);
    assert_eq!(capture.packets, file.summary().packets);
    let (mut sessions, mut attempts) = (Vec::new(), Vec::new());
    for finished in finished {
        match finished {
            Finished::Session(session) => sessions.push(*session),
            Finished::Attempt(attempt) => attempts.push(*attempt),
        }
    }
    let thresholds = diagnosis::Thresholds::default();
    sessions.sort_by_key(|session: &wscope::session::Session| session.id);
    let mut findings = Vec::new();
    for session in &sessions {
        findings.extend(diagnosis::diagnose(session, &capture, &thresholds));
    }
    let all = diagnosis::diagnose_capture(&sessions, &attempts, &capture, &thresholds);
    findings.extend(all);
    diagnosis::merge_legs(&mut findings, &sessions);
}

/// Hands out the front of the input; zeros when it is used up.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }
}

/// Input as stream events: a control byte, a length, that many bytes.
fn events(input: &[u8], mut each: impl FnMut(StreamEvent<'_>)) {
    let mut rest = Bytes(input);
    let mut offsets = [0_u64; 2];
    let mut ended = [false; 2];
    let mut number = 0;
    while !rest.0.is_empty() {
        number += 1;
        let (control, len) = (rest.u8(), u64::from(rest.u8()));
        let direction = direction(control & 1 == 0);
        let side = usize::from(control & 1);
        let (Some(offset), Some(ended)) = (offsets.get_mut(side), ended.get_mut(side)) else {
            return;
        };
        if *ended {
            continue;
        }
        match control >> 1 & 7 {
            0 => {
                *ended = true;
                each(StreamEvent::End(direction, at(number)));
            }
            1 => {
                // A vast one now and then; then where it ends may be unknown.
                let len = len << (control >> 4 & 15);
                each(StreamEvent::Gap(Gap {
                    direction,
                    offset: *offset,
                    len: (control < 0xf0).then_some(len),
                    cause: GapCause::NotCaptured,
                    at: at(number),
                }));
                *offset += len;
            }
            _ => {
                let bytes = rest.take(usize::try_from(len).unwrap_or(0));
                if bytes.is_empty() {
                    continue; // Chunks never are.
                }
                each(StreamEvent::Chunk(Chunk {
                    direction,
                    offset: *offset,
                    bytes,
                    seen: at(number),
                    released: at(number),
                }));
                *offset += bytes.len() as u64;
            }
        }
    }
}

/// Where each direction of a stream stands.
#[derive(Default)]
struct Order {
    next: BTreeMap<bool, u64>,
    ended: BTreeMap<bool, bool>,
}

impl Order {
    fn tcp(&mut self, output: &tcp::Output<'_>) {
        if let tcp::Output::Stream(event) = output {
            self.stream(event);
        }
    }

    /// Every byte at most once and in order. Data that follows a FIN is kept, so it may come after the end.
    fn stream(&mut self, event: &StreamEvent<'_>) {
        let is_client = |direction| direction == Direction::ClientToServer;
        match event {
            StreamEvent::Chunk(chunk) => {
                assert!(!chunk.bytes.is_empty());
                self.advance(
                    is_client(chunk.direction),
                    chunk.offset,
                    chunk.bytes.len() as u64,
                );
            }
            StreamEvent::Gap(gap) => {
                self.advance(is_client(gap.direction), gap.offset, gap.len.unwrap_or(0));
            }
            StreamEvent::End(direction, _) => {
                let before = self.ended.insert(is_client(*direction), true);
                assert!(before.is_none(), "a direction ended twice");
            }
        }
    }

    fn advance(&mut self, client: bool, offset: u64, len: u64) {
        let next = self.next.entry(client).or_insert(offset);
        assert!(offset >= *next, "offset {offset} where {next} was due");
        *next = offset.saturating_add(len);
    }
}

fn at(number: u64) -> PacketRef {
    PacketRef {
        time: Timestamp::from_nanos(i64::try_from(number).unwrap_or(0) * 1_000_000),
        number,
        source: 0,
        epoch: Default::default(),
    }
}

fn direction(client: bool) -> Direction {
    match client {
        true => Direction::ClientToServer,
        false => Direction::ServerToClient,
    }
}

/// Sender and receiver.
fn endpoints(direction: Direction) -> [Endpoint; 2] {
    let endpoint = |host, port| Endpoint {
        ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)),
        port,
    };
    let (client, server) = (endpoint(1, 40_001), endpoint(2, 80));
    match direction {
        Direction::ClientToServer => [client, server],
        Direction::ServerToClient => [server, client],
    }
}
