//! The fuzz targets without a fuzzer: the kept corpus, and every fixture
//! mutated a bounded number of times by a seeded generator.
//!
//! `FUZZ_CASES=1000 cargo test --release --test fuzz_corpus` tries more;
//! `WRITE_SEEDS=1` writes what is mutated to `fuzz/corpus/`, where cargo-fuzz
//! looks for it.

// An index or a length that is wrong is a test that is wrong.
#![allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use wscope::packet::{Decoded, Decoder, Segment};
use wscope::source::{CaptureFile, Input, Source as _};

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 7] = [
    ("source", bodies::source),
    ("packet", bodies::packet),
    ("tcp", bodies::tcp),
    ("tls", bodies::tls),
    ("http", bodies::http),
    ("websocket", bodies::websocket),
    ("analyzer", bodies::analyzer),
];

/// Mutations of each seed. Rationale: all targets together take a few seconds unoptimised.
const CASES: u64 = 60;
/// Rationale: mutations of longer inputs mostly repeat what shorter ones show.
const LONGEST: usize = 20_000;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files of a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| {
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .collect()
        })
        .unwrap_or_default();
    files.sort();
    files
}

/// Runs a target's body; where it panics, the input is kept and named.
fn run(name: &str, body: Body, input: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| body(input))).is_err() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{name}"));
        fs::write(&path, input).expect("a file below target/");
        panic!(
            "{name}: {what} panics; the input is in {} (move it to fuzz/corpus-kept/{name}/)",
            path.display()
        );
    }
}

/// A generator of numbers that is the same everywhere (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).expect("64 bits");
        usize::try_from(self.next() % limit).expect("below a length")
    }
}

/// Changes up to eight things: bytes, lengths, order; often the end is cut off.
fn mutate(seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    const NASTY: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, b'\r', b'\n'];
    let mut input = seed.to_vec();
    for _ in 0..=numbers.below(8) {
        let at = numbers.below(input.len());
        let len = numbers.below(64).min(input.len().saturating_sub(at));
        match numbers.below(7) {
            0 => input.truncate(at.max(1)),
            1 => {
                input.drain(at..at + len);
            }
            2 => {
                let again = input[at..at + len].to_vec();
                let to = numbers.below(input.len());
                input.splice(to..to, again);
            }
            3 => {
                let nasty = NASTY[numbers.below(NASTY.len())];
                input[at..at + len.min(8)].fill(nasty);
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
        }
        if input.is_empty() {
            input.push(0);
        }
    }
    input
}

/// What a fixture is to each of [`TARGETS`].
fn seeds(capture: &[u8]) -> [Vec<u8>; 7] {
    let [mut packets, mut segments, mut stream] = [vec![0, 1], vec![8], Vec::new()];
    let mut client = None;
    let mut bases = [None; 2];
    let reader = Box::new(std::io::Cursor::new(capture.to_vec()));
    let mut file = CaptureFile::from_reader("-".into(), 0, reader).expect("a fixture");
    let mut decoder = Decoder::new();
    while let Ok(Some(input)) = file.next() {
        let Input::Packet(packet) = input else {
            continue;
        };
        if let Ok(len) = u8::try_from(packet.bytes.len()) {
            packets.extend([len, 0]);
            packets.extend(packet.bytes);
        }
        if let Decoded::Tcp(segment) = decoder.decode(&packet) {
            let is_client = *client.get_or_insert(segment.from) == segment.from;
            segments.extend(segment_seed(&segment, is_client, &mut bases));
            for part in segment.payload.chunks(255) {
                let len = u8::try_from(part.len()).expect("at most 255");
                stream.extend([4 | u8::from(!is_client), len]);
                stream.extend(part);
            }
        }
    }
    let mut frames = vec![16];
    frames.extend(after_handshake(&stream));
    let without_keys = [&[0, 0, 0], stream.as_slice()].concat();
    [
        capture.to_vec(),
        packets,
        segments,
        without_keys,
        stream,
        frames,
        capture.to_vec(),
    ]
}

/// A segment as the target reads it, with numbers that begin near its wrap.
fn segment_seed(segment: &Segment<'_>, is_client: bool, bases: &mut [Option<u32>; 2]) -> Vec<u8> {
    let (own, other) = (usize::from(!is_client), usize::from(is_client));
    let base = *bases[own].get_or_insert(segment.seq.0);
    let acked = bases[other].map_or(0, |base| segment.ack.0.wrapping_sub(base));
    let short = |number: u32| (number & 0xffff) as u16;
    let control = (segment.flags.0 & 0x1f) | if is_client { 0 } else { 0x80 };
    let len = u8::try_from(segment.payload.len()).unwrap_or(u8::MAX);
    let mut seed = vec![control, len, 1];
    seed.extend((short(segment.seq.0.wrapping_sub(base)) | 0x1000).to_be_bytes());
    seed.extend((short(acked) | 0x1000).to_be_bytes());
    seed
}

/// The events from the one on that holds the 101's end; all, where there is none.
fn after_handshake(stream: &[u8]) -> &[u8] {
    let mut rest = stream;
    while let [_, len, after @ ..] = rest {
        let len = usize::from(*len).min(after.len());
        let (bytes, next) = after.split_at(len);
        rest = next;
        if bytes.starts_with(b"HTTP/1.1 101") {
            return rest;
        }
    }
    stream
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    files(&root)
        .into_iter()
        .filter_map(|folder| {
            let names = ["capture.pcap", "capture.pcapng"];
            let bytes = names
                .iter()
                .find_map(|name| fs::read(folder.join(name)).ok())?;
            Some((folder.file_name()?.to_string_lossy().into_owned(), bytes))
        })
        .collect()
}

#[test]
fn the_kept_corpus_passes() {
    for (name, body) in TARGETS {
        let kept = files(&fuzz().join("corpus-kept").join(name));
        assert!(!kept.is_empty(), "{name} has no kept corpus");
        for path in kept {
            let input = fs::read(&path).expect("a kept input");
            run(name, body, &input, &path.display().to_string());
        }
    }
}

#[test]
fn mutated_fixtures_pass() {
    let number = |name| env::var(name).ok().and_then(|value| value.parse().ok());
    let cases: u64 = number("FUZZ_CASES").unwrap_or(CASES);
    let mut kept: Vec<Vec<Vec<u8>>> = Vec::new();
    for (name, _) in TARGETS {
        let paths = files(&fuzz().join("corpus-kept").join(name));
        kept.push(
            paths
                .iter()
                .filter_map(|path| fs::read(path).ok())
                .collect(),
        );
    }
    for (fixture, capture) in fixtures() {
        for ((seed, (name, _)), kept) in seeds(&capture).into_iter().zip(TARGETS).zip(&mut kept) {
            if env::var_os("WRITE_SEEDS").is_some() {
                let folder = fuzz().join("corpus").join(name);
                fs::create_dir_all(&folder).expect("fuzz/ can be written");
                fs::write(folder.join(&fixture), &seed).expect("fuzz/ can be written");
            }
            kept.push(seed);
        }
    }
    std::thread::scope(|scope| {
        for ((name, body), seeds) in TARGETS.into_iter().zip(&kept) {
            scope.spawn(move || {
                for (seed, which) in seeds.iter().zip(0_u64..) {
                    let seed = seed.get(..LONGEST).unwrap_or(seed);
                    run(name, body, seed, "a seed as it is");
                    for case in 0..cases {
                        let mut numbers = Numbers(which << 32 | case);
                        let input = mutate(seed, &mut numbers);
                        run(name, body, &input, &format!("case {case} of seed {which}"));
                    }
                }
            });
        }
    });
}

/// A pcap file with some of its packets missing, twice, swapped or cut.
fn lossy(capture: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let (header, mut rest) = capture.split_at(24);
    let mut records = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<16>() {
        let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let len = usize::try_from(len).expect("a length").min(after.len());
        let (packet, next) = after.split_at(len);
        records.push((*head, packet));
        rest = next;
    }
    for _ in 0..=numbers.below(6) {
        let (at, to) = (numbers.below(records.len()), numbers.below(records.len()));
        match numbers.below(5) {
            0 if records.len() > 1 => drop(records.remove(at)),
            1 => records.insert(to, records[at]),
            2 => records.truncate(at.max(1)),
            3 => {
                let (head, packet) = &mut records[at];
                *packet = &packet[..numbers.below(packet.len())];
                head[8..12].copy_from_slice(&(packet.len() as u32).to_le_bytes());
            }
            _ => records.swap(at, to),
        }
    }
    let records = records
        .iter()
        .flat_map(|(head, packet)| [&head[..], packet]);
    std::iter::once(header)
        .chain(records)
        .flatten()
        .copied()
        .collect()
}

#[test]
fn lost_doubled_swapped_and_cut_packets_pass() {
    for ((fixture, capture), which) in fixtures().iter().zip(0_u64..) {
        if !capture.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) {
            continue; // The record heads are read as little-endian pcap.
        }
        for case in 0..20 {
            let input = lossy(capture, &mut Numbers(which << 32 | case));
            let what = format!("{fixture}, lossy in way {case},");
            run("analyzer", bodies::analyzer, &input, &what);
        }
    }
}

#[test]
fn mutation_changes_its_seed_and_repeats_itself() {
    let seed = [7; 100];
    let once = mutate(&seed, &mut Numbers(3));
    assert_ne!(once, seed);
    assert_eq!(once, mutate(&seed, &mut Numbers(3)));
    assert_ne!(once, mutate(&seed, &mut Numbers(4)));
}
