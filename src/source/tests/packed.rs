//! Compressed captures, made by the encoders of the crates that unpack them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use lzma_rust2::{XzOptions, XzWriter};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let info = FrameInfo::new()
        .block_mode(BlockMode::Linked)
        .block_size(BlockSize::Max64KB)
        .content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The format without checksums and without an end: blocks of 8 MiB before compression,
/// each behind its length.
fn lz4_legacy(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x02, 0x21, 0x4c, 0x18];
    for block in bytes.chunks(8 << 20) {
        let block = lz4_flex::block::compress(block);
        packed.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        packed.extend(block);
    }
    packed
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

type Pack = fn(&[u8]) -> Vec<u8>;
const MODERN: [(&str, Pack); 4] = [("gzip", gzip), ("zstd", zstd), ("lz4", lz4), ("xz", xz)];

/// A frame of user data, as pzstd and lz4 allow it before any other.
const USER_DATA: [u8; 11] = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 7, 7, 7];

/// Some megabytes that compress moderately.
fn large() -> Vec<u8> {
    let mut file = pcap();
    for number in 0..20_000u32 {
        let noise = number.wrapping_mul(2_654_435_761);
        file = file.record(number, noise % 1_000_000, &format!("{noise:064b}"));
    }
    file.bytes
}

#[test]
fn each_method_is_unpacked() {
    let file = large();
    let expected = read(&file);
    for (method, pack) in MODERN {
        assert!(read(&pack(&file)) == expected, "{method}");
    }
    assert!(read(&lz4_legacy(&file)) == expected);
}

#[test]
fn members_frames_and_streams_follow_each_other() {
    let file = pcap().record(1, 0, "one").record(2, 0, "two").bytes;
    let (front, back) = file.split_at(30);
    for (method, pack) in MODERN {
        let (seen, summary) = read(&[pack(front), pack(back)].concat());
        assert_eq!(seen, read(&file).0, "{method}");
        assert_eq!(
            (summary.bytes, summary.damage),
            (file.len() as u64, None),
            "{method}"
        );
    }
}

#[test]
fn frames_of_user_data_are_stepped_over() {
    let file = pcap().record(1, 0, "one").bytes;
    let between = [lz4(&file[..30]), USER_DATA.to_vec(), lz4(&file[30..])].concat();
    let before = [USER_DATA.to_vec(), zstd(&file), USER_DATA.to_vec()].concat();
    for packed in [before, between] {
        let (seen, summary) = read(&packed);
        assert_eq!(
            (seen, summary.damage),
            (vec![packet(1, 1_000_000_000, "one")], None)
        );
    }
}

#[test]
fn a_cut_off_file_gives_what_could_be_unpacked() {
    let file = large();
    let whole = read(&file).0;
    for (method, pack) in MODERN {
        let packed = pack(&file);
        for part in [3, 2] {
            let cut = packed.len() - packed.len() / part;
            let mut source = open(&packed[..cut]).unwrap();
            let seen = all(&mut source);
            assert!(
                seen.len() > 8_000 && seen.len() < 20_000,
                "{method}: {} packets",
                seen.len()
            );
            assert!(seen == whole[..seen.len()], "{method}");
            let what = source.summary().damage.unwrap().what;
            assert_eq!(
                what,
                format!("reading stopped: the {method} data ends early")
            );
        }
    }
}

#[test]
fn a_file_cut_off_between_two_blocks_is_damaged_too() {
    let packed = lz4(&large());
    // Magic number, descriptor, then blocks behind their lengths.
    let first = u32::from_le_bytes(*packed[7..].first_chunk().unwrap());
    let cut = 7 + 4 + usize::try_from(first & 0x7fff_ffff).unwrap();
    assert!(damage(&packed[..cut]).ends_with("the lz4 data ends early"));
}

#[test]
fn a_changed_byte_is_damage_and_what_came_before_it_counts() {
    let file = large();
    let whole = read(&file).0;
    for (method, pack) in MODERN {
        let mut packed = pack(&file);
        let at = packed.len() * 9 / 10;
        packed[at] ^= 0xff;
        let mut source = open(&packed).unwrap();
        let seen = all(&mut source);
        let same = seen.iter().zip(&whole).filter(|(a, b)| a == b).count();
        assert!(same > 8_000, "{method}: {same} packets");
        assert!(source.summary().damage.is_some(), "{method}");
    }
}

#[test]
fn what_is_compressed_twice_is_refused() {
    let packed = zstd(&gzip(&pcap().bytes));
    let error = open(&packed).err().unwrap().to_string();
    assert!(error.contains("compressed twice"), "{error}");
}

#[test]
fn a_window_that_asks_for_gigabytes_is_refused() {
    // A frame header (RFC 8878, section 3.1.1.1) whose window descriptor says 2 GiB.
    let bomb = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 1, 0, 0];
    let error = open(&bomb).err().unwrap().to_string();
    assert!(
        error.starts_with("a.pcap: offset 0: the zstd data can't be unpacked on"),
        "{error}"
    );
}

#[test]
fn a_reader_that_is_dropped_ends_its_thread() {
    struct Endless(std::sync::mpsc::Sender<()>);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(0);
            Ok(buffer.len())
        }
    }
    impl Drop for Endless {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (gone, told) = std::sync::mpsc::channel();
    // A stored block of deflate, then nonsense: what matters is who reads on.
    let head = Cursor::new(gzip(&large()));
    let file = from(Box::new(head.chain(Endless(gone)))).unwrap();
    drop(file);
    told.recv_timeout(std::time::Duration::from_secs(10))
        .unwrap();
}

/// How many bytes come out, in this thread, so that a panic is one of the test.
fn unpacked(bytes: &[u8]) -> usize {
    let magic::Kind::Packed(method) = magic::recognise(bytes) else {
        return 0;
    };
    let mut reader = method.reader(block::Block::new(Box::new(Cursor::new(bytes.to_vec()))));
    let mut piece = [0; 5_000];
    let mut total = 0;
    while let Ok(read @ 1..) = reader.read(&mut piece) {
        total += read;
    }
    total
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]

    #[test]
    fn no_bytes_make_a_decompressor_panic(
        changes in proptest::collection::vec((0..10_000_usize, 0..=u8::MAX), 1..6),
        cut in 0..10_000_usize,
    ) {
        let mut file = pcap();
        for number in 0..40u32 {
            file = file.record(number, number, &format!("{:032b}", number.wrapping_mul(2_654_435_761)));
        }
        for (_, pack) in MODERN.into_iter().chain([("lz4", lz4_legacy as Pack)]) {
            let mut packed = pack(&file.bytes);
            for (at, byte) in &changes {
                let at = at % packed.len();
                // The magic number stays: it says who is asked.
                if at >= 4 {
                    packed[at] = *byte;
                }
            }
            let len = packed.len();
            packed.truncate(len - (cut % len) / 4);
            // Bounded by what each format can announce for so few bytes.
            proptest::prop_assert!(unpacked(&packed) < 256 << 20);
        }
    }
}
