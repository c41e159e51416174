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

mod pipeline;

use std::collections::VecDeque;
use std::hint::black_box;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};

use pipeline::{CONNECTIONS, FIRST_PORT, Pipeline, RECORD_HEADER};

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// Packets of one run; all of the file is read from memory.
const PACKETS: usize = 50_000;

/// Ethernet, IPv4, and TCP with its timestamps option.
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
