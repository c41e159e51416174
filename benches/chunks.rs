//! Borrowed slices or refcounted ones between reader and frame decoder?
//!
//! One miniature pipeline, generic over how it holds bytes: 1 MiB blocks filled by
//! `read`, pcap records parsed in place, Ethernet, IPv4 and TCP headers, a check of
//! the next sequence number, a chunk handed by value through two layers' sinks, and
//! a consumer that parses frame headers and carries those that straddle segments.
//!
//! - `borrowed`: the chunk lends `&[u8]` out of the block
//! - `counted`: the chunk is a `Bytes` slice of the block
//! - `counted_shared`: as `counted`, while a second thread clones and drops the same block
//!
//! Median ns a packet (time of a run / `PACKETS`), the middle one of five runs and their
//! range; 2 cores, Sapphire Rapids, Rust 1.95, `bytes` 1.12:
//!
//! | packet | `borrowed` | `counted` | `counted_shared` |
//! |---|---|---|---|
//! | 100 bytes | 11.5 (11.0-11.7) | 21.9 (20.7-22.8) | 139 (25-151) |
//! | 1,400 bytes | 157 (134-198) | 177 (141-210) | 293 (258-380) |
//!
//! A count costs 10 ns a packet, as much as all the rest of this pipeline does for a
//! small packet; 1,400 bytes cost mostly their way through memory, which is the same
//! for both. Shared with a second thread that is busy on the same block, it costs 130 ns
//! a packet (the 25 are runs in which the second thread was not on a core). So chunks are
//! lent, and what must be kept is copied.

use std::collections::VecDeque;
use std::hint::black_box;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};
use wscope::stream::{Direction, PacketRef};
use wscope::time::Timestamp;

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// Packets of one run; all of the file is read from memory.
const PACKETS: usize = 50_000;

/// Connections, their packets one after the other.
const CONNECTIONS: u16 = 64;

const FIRST_PORT: u16 = 40_000;
const RECORD_HEADER: usize = 16;
const HEADERS: usize = 14 + 20 + 32;

/// Whole packets, in bytes: keystrokes and prices, and full segments.
const SIZES: [usize; 2] = [100, 1_400];

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn borrowed(bencher: Bencher<'_, '_>, size: usize) {
    let capture = capture(size);
    let mut block = vec![0; BLOCK];
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        let mut pipeline = Pipeline::new();
        let mut input = capture.as_slice();
        let mut held = 0;
        while let Some(filled) = fill(&mut input, &mut block, held) {
            let bytes = block.get(..filled).unwrap_or_default();
            let used = pipeline.on_block(&bytes);
            held = filled - used;
            block.copy_within(used..filled, 0);
        }
        pipeline.frames()
    });
}

#[divan::bench(args = SIZES)]
fn counted(bencher: Bencher<'_, '_>, size: usize) {
    let capture = capture(size);
    let mut spare = Spare::default();
    bencher
        .counter(ItemsCount::new(PACKETS))
        .bench_local(|| run_counted(&capture, &mut spare, |_| ()));
}

#[divan::bench(args = SIZES)]
fn counted_shared(bencher: Bencher<'_, '_>, size: usize) {
    let capture = capture(size);
    let shared = Arc::new(Shared::default());
    let other = std::thread::spawn({
        let shared = Arc::clone(&shared);
        move || shared.contend()
    });
    let mut spare = Spare::default();
    bencher
        .counter(ItemsCount::new(PACKETS))
        .bench_local(|| run_counted(&capture, &mut spare, |block| shared.offer(block)));
    shared.turn.store(Shared::OVER, Ordering::Release);
    assert!(other.join().is_ok(), "the second thread panicked");
}

fn run_counted(capture: &[u8], spare: &mut Spare, on_block: impl Fn(&Bytes)) -> u64 {
    let mut pipeline = Pipeline::new();
    let mut input = capture;
    let mut tail = Vec::new();
    loop {
        let mut block = spare.take();
        if let Some(start) = block.get_mut(..tail.len()) {
            start.copy_from_slice(&tail);
        }
        let Some(filled) = fill(&mut input, &mut block, tail.len()) else {
            spare.give(Bytes::from(block));
            break;
        };
        let whole = Bytes::from(block);
        on_block(&whole);
        let used = pipeline.on_block(&whole.slice(..filled));
        // The cut-off record is copied, as in `borrowed`: its block is free again.
        tail.clear();
        tail.extend_from_slice(whole.get(used..filled).unwrap_or_default());
        spare.give(whole);
    }
    pipeline.frames()
}

/// Blocks to be used again, so that neither form pays for fresh memory.
#[derive(Default)]
struct Spare(VecDeque<Bytes>);

impl Spare {
    /// The first block that nobody else holds any more, else a new one.
    fn take(&mut self) -> Vec<u8> {
        for _ in 0..self.0.len() {
            match self.0.pop_front().map(Bytes::try_into_mut) {
                Some(Ok(block)) => return Vec::from(block),
                Some(Err(held)) => self.0.push_back(held),
                None => break,
            }
        }
        vec![0; BLOCK]
    }

    fn give(&mut self, block: Bytes) {
        self.0.push_back(block);
    }
}

/// The block that both threads hold.
#[derive(Default)]
struct Shared {
    turn: AtomicU64,
    block: Mutex<Bytes>,
}

impl Shared {
    const OVER: u64 = u64::MAX;

    fn offer(&self, block: &Bytes) {
        *self.block.lock().unwrap_or_else(PoisonError::into_inner) = block.clone();
        self.turn.fetch_add(1, Ordering::Release);
    }

    /// Clones and drops the current block until it is over.
    fn contend(&self) {
        let mut turn = 0;
        let mut mine = Bytes::new();
        while turn != Self::OVER {
            let now = self.turn.load(Ordering::Acquire);
            if now != turn {
                mine = self
                    .block
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                turn = now;
            }
            for _ in 0..16 {
                drop(black_box(mine.clone()));
            }
        }
    }
}

/// Fills `block` behind the first `held` bytes; the bytes in it, `None` at the end.
fn fill(input: &mut &[u8], block: &mut [u8], held: usize) -> Option<usize> {
    let read = input.read(block.get_mut(held..)?).ok()?;
    (read > 0).then_some(held + read)
}

/// Bytes that can be cut without a copy.
trait Slice: Clone {
    fn bytes(&self) -> &[u8];
    fn cut(&self, from: usize, to: usize) -> Self;
}

impl Slice for &[u8] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn cut(&self, from: usize, to: usize) -> Self {
        self.get(from..to).unwrap_or_default()
    }
}

impl Slice for Bytes {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn cut(&self, from: usize, to: usize) -> Self {
        self.slice(from..to)
    }
}

/// As `wscope::stream::Chunk`, for both forms.
struct Chunk<S> {
    direction: Direction,
    offset: u64,
    bytes: S,
    seen: PacketRef,
    released: PacketRef,
}

struct Pipeline {
    connections: Vec<(Tcp, Upgraded, WebSocket)>,
    packets: u64,
}

impl Pipeline {
    fn new() -> Self {
        let connections = (0..CONNECTIONS).map(|_| Default::default()).collect();
        Self {
            connections,
            packets: 0,
        }
    }

    fn frames(&self) -> u64 {
        self.connections
            .iter()
            .map(|(_, _, websocket)| websocket.frames)
            .sum()
    }

    /// Works off the whole records of a block; the bytes that they took.
    fn on_block<S: Slice>(&mut self, block: &S) -> usize {
        let mut at = 0;
        while let Some(header) = block.bytes().get(at..at + RECORD_HEADER) {
            let (Some(seconds), Some(micros), Some(len)) =
                (u32_le(header, 0), u32_le(header, 4), u32_le(header, 8))
            else {
                break;
            };
            let (start, len) = (
                at + RECORD_HEADER,
                usize::try_from(len).unwrap_or(usize::MAX),
            );
            let Some(packet) = block.bytes().get(start..start.saturating_add(len)) else {
                break;
            };
            self.packets += 1;
            let nanos = i64::from(seconds) * 1_000_000_000 + i64::from(micros) * 1_000;
            let time = Timestamp::from_nanos(nanos);
            let seen = PacketRef {
                time,
                number: self.packets,
                source: 0,
            };
            if let Some(segment) = Segment::parse(packet) {
                let bytes = block.cut(start + segment.data, start + len);
                self.on_segment(&segment, bytes, seen);
            }
            at = start + len;
        }
        at
    }

    fn on_segment<S: Slice>(&mut self, segment: &Segment, bytes: S, seen: PacketRef) {
        let index = usize::from(segment.port.wrapping_sub(FIRST_PORT));
        let Some((tcp, upgraded, websocket)) = self.connections.get_mut(index) else {
            return;
        };
        tcp.on_segment(segment, bytes, seen, |chunk| {
            upgraded.on_stream(chunk, |chunk| websocket.on_stream(&chunk));
        });
    }
}

/// The fields of a packet that the layers here need.
struct Segment {
    port: u16,
    seq: u32,
    /// Where the payload starts in the packet.
    data: usize,
}

impl Segment {
    fn parse(packet: &[u8]) -> Option<Self> {
        let (ethernet, rest) = packet.split_at_checked(14)?;
        if ethernet.get(12..)? != [0x08, 0x00] {
            return None;
        }
        let ip_len = usize::from(rest.first()? & 0x0f) * 4;
        let (ip, tcp) = rest.split_at_checked(ip_len)?;
        if ip.get(9) != Some(&6) {
            return None;
        }
        let port = u16::from_be_bytes(*tcp.first_chunk()?);
        let seq = u32::from_be_bytes(*tcp.get(4..)?.first_chunk()?);
        let tcp_len = usize::from(tcp.get(12)? >> 4) * 4;
        (tcp_len <= tcp.len()).then_some(Self {
            port,
            seq,
            data: 14 + ip_len + tcp_len,
        })
    }
}

/// One direction whose segments come in order; out of order ends it.
#[derive(Default)]
struct Tcp {
    next: Option<u32>,
    offset: u64,
    disordered: u64,
}

impl Tcp {
    fn on_segment<S: Slice>(
        &mut self,
        segment: &Segment,
        bytes: S,
        seen: PacketRef,
        mut out: impl FnMut(Chunk<S>),
    ) {
        if self.next.is_some_and(|next| next != segment.seq) {
            self.disordered += 1;
            return;
        }
        let len = bytes.bytes().len();
        self.next = Some(segment.seq.wrapping_add(u32::try_from(len).unwrap_or(0)));
        let direction = Direction::ClientToServer;
        out(Chunk {
            direction,
            offset: self.offset,
            bytes,
            seen,
            released: seen,
        });
        self.offset += u64::try_from(len).unwrap_or(0);
    }
}

/// HTTP after its 101: counts, and hands on.
#[derive(Default)]
struct Upgraded {
    chunks: u64,
    starts_at: u64,
}

impl Upgraded {
    fn on_stream<S: Slice>(&mut self, chunk: Chunk<S>, mut out: impl FnMut(Chunk<S>)) {
        self.chunks += 1;
        let offset = chunk.offset.saturating_sub(self.starts_at);
        out(Chunk { offset, ..chunk });
    }
}

/// Frame headers, straddling ones included.
#[derive(Default)]
struct WebSocket {
    /// The beginning of a header that goes on in the next chunk.
    carry: Vec<u8>,
    payload_left: u64,
    frames: u64,
    waited: i64,
}

impl WebSocket {
    fn on_stream<S: Slice>(&mut self, chunk: &Chunk<S>) {
        black_box(chunk.direction);
        self.waited += chunk.released.time.as_nanos() - chunk.seen.time.as_nanos();
        let mut rest = chunk.bytes.bytes();
        while !rest.is_empty() {
            let payload = rest
                .len()
                .min(usize::try_from(self.payload_left).unwrap_or(usize::MAX));
            self.payload_left -= u64::try_from(payload).unwrap_or(0);
            rest = rest.get(payload..).unwrap_or_default();
            if self.payload_left > 0 || rest.is_empty() {
                return;
            }
            rest = self.header(rest);
        }
    }

    /// Takes a header, or what there is of one; what follows it.
    fn header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.carry.is_empty() {
            let Some((header, payload)) = header(bytes) else {
                self.carry.extend_from_slice(bytes);
                return &[];
            };
            self.frames += 1;
            self.payload_left = payload;
            return bytes.get(header..).unwrap_or_default();
        }
        let carried = self.carry.len();
        self.carry.extend(bytes.iter().take(14));
        let Some((header, payload)) = header(&self.carry) else {
            return &[];
        };
        self.carry.clear();
        self.frames += 1;
        self.payload_left = payload;
        bytes
            .get(header.saturating_sub(carried)..)
            .unwrap_or_default()
    }
}

/// Length of the frame header at the start of `bytes`, and of its payload.
fn header(bytes: &[u8]) -> Option<(usize, u64)> {
    let [_, second, rest @ ..] = bytes else {
        return None;
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (len, payload) = match second & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
        short => (2, u64::from(short)),
    };
    (bytes.len() >= len + mask).then_some((len + mask, payload))
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|word| u32::from_le_bytes(*word))
}

/// A pcap's records: packets of `size` bytes, masked frames of a length that
/// doesn't divide a segment's, so that headers straddle.
fn capture(size: usize) -> Vec<u8> {
    let payload = size - HEADERS;
    let mut streams: Vec<Vec<u8>> = vec![Vec::new(); usize::from(CONNECTIONS)];
    let mut sequence = vec![1u32; streams.len()];
    let mut file = Vec::with_capacity(PACKETS * (size + RECORD_HEADER));
    for number in 0..PACKETS {
        let port = FIRST_PORT + u16::try_from(number).unwrap_or(u16::MAX) % CONNECTIONS;
        let index = usize::from(port - FIRST_PORT);
        let (Some(stream), Some(seq)) = (streams.get_mut(index), sequence.get_mut(index)) else {
            continue;
        };
        while stream.len() < payload {
            stream.extend_from_slice(&[0x81, 0xfe, 0x00, 0x95, 1, 2, 3, 4]);
            stream.extend(std::iter::repeat_n(b'x', 0x95));
        }
        for word in [number / 1_000, number % 1_000, size, size] {
            file.extend_from_slice(&u32::try_from(word).unwrap_or(0).to_le_bytes());
        }
        file.extend_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00]);
        file.extend_from_slice(&[
            0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ]);
        file.extend_from_slice(&port.to_be_bytes());
        file.extend_from_slice(&8080u16.to_be_bytes());
        file.extend_from_slice(&seq.to_be_bytes());
        file.extend_from_slice(&[0, 0, 0, 1, 0x80, 0x18, 0, 0, 0, 0, 0, 0]);
        file.extend_from_slice(&[1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
        file.extend(stream.drain(..payload));
        *seq += u32::try_from(payload).unwrap_or(0);
    }
    file
}
