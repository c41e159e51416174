use proptest::prelude::*;

use super::*;

/// Hands out at most `most` bytes a read.
struct Trickle {
    bytes: Cursor<Vec<u8>>,
    most: usize,
}

impl Read for Trickle {
    fn read(&mut self, free: &mut [u8]) -> std::io::Result<usize> {
        let len = free.len().min(self.most);
        self.bytes.read(&mut free[..len])
    }
}

/// Files with a little of everything.
fn capture() -> impl Strategy<Value = Vec<u8>> {
    let order = prop_oneof![Just(Little), Just(Big)];
    let packets = prop::collection::vec((0..4u8, any::<u32>(), "[a-z]{0,40}"), 0..12);
    (order, any::<bool>(), packets).prop_map(|(order, old, packets)| {
        if old {
            write_pcap(order, packets)
        } else {
            write_pcapng(order, packets)
        }
    })
}

fn write_pcap(order: ByteOrder, packets: Vec<(u8, u32, String)>) -> Vec<u8> {
    let mut file = Writer::new(order).pcap_header(0xa1b2_3c4d, 1);
    for (kind, time, text) in packets {
        file = match kind {
            0 => file.pcap_header(0xa1b2_c3d4, 101),
            _ => file.record(time, time, &text),
        };
    }
    file.bytes
}

fn write_pcapng(order: ByteOrder, packets: Vec<(u8, u32, String)>) -> Vec<u8> {
    let mut file = Writer::new(order).section().interface(1, none);
    for (kind, time, text) in packets {
        file = match kind {
            0 => file.section().interface(113, |body| body.option(9, &[9])),
            1 => {
                let len = u32::try_from(text.len()).unwrap();
                file.block(0x0a, |body| {
                    body.u32(0x544c_534b).u32(len).raw(text.as_bytes())
                })
            }
            2 => file.enhanced(0, u64::from(time), &text, |body| {
                body.option(1, b"comment")
                    .option(4, &[0, 0, 0, 1, 1, 0, 0, 0])
            }),
            _ => file.packet(u64::from(time), &text),
        };
    }
    file.bytes
}

proptest! {
    #[test]
    fn how_the_bytes_come_does_not_matter(file in capture(), most in 1..50usize) {
        let bytes = Cursor::new(file.clone());
        let mut trickled = from(Box::new(Trickle { bytes, most })).unwrap();
        let (seen, summary) = read(&file);
        prop_assert_eq!(all(&mut trickled), seen);
        prop_assert_eq!(trickled.summary(), summary);
    }

    #[test]
    fn a_truncated_file_gives_the_beginning(file in capture(), cut in any::<prop::sample::Index>()) {
        let whole = read(&file).0;
        let cut = &file[..cut.index(file.len() + 1)];
        if let Ok(mut reader) = open(cut) {
            let seen = all(&mut reader);
            prop_assert!(whole.starts_with(&seen), "{seen:?} of {whole:?}");
            // Either the cut fell between two records, or it is told.
            let end = reader.summary().damage.map_or(cut.len() as u64, |damage| damage.offset);
            prop_assert_eq!(read(&cut[..usize::try_from(end).unwrap()]).0, seen);
        }
    }

    #[test]
    fn flipped_bytes_never_panic(
        file in capture(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
    ) {
        let mut file = file;
        for (at, value) in flips {
            let at = at.index(file.len());
            file[at] = value;
        }
        if let Ok(mut reader) = open(&file) {
            while let Some(input) = reader.next().unwrap() {
                if let Input::Packet(packet) = input {
                    prop_assert!(packet.bytes.len() <= file.len());
                }
            }
            prop_assert!(reader.next().unwrap().is_none());
        }
    }

    #[test]
    fn a_merge_loses_nothing(files in prop::collection::vec(capture(), 0..4)) {
        let mut apart: Vec<Seen> = files.iter().flat_map(|file| read(file).0).collect();
        let mut merged = all(&mut Merged::new(files.iter().map(|file| open(file).unwrap())));
        let key = |seen: &Seen| format!("{seen:?}");
        apart.sort_by_key(key);
        merged.sort_by_key(key);
        prop_assert_eq!(merged, apart);
    }

    /// Against another reader, on what both understand.
    #[test]
    fn pcap_parser_sees_the_same_packets(
        packets in prop::collection::vec((any::<u32>(), 0..1_000_000u32, "[a-z]{1,40}"), 0..20),
    ) {
        let mut file = pcap();
        for (seconds, micros, text) in &packets {
            file = file.record(*seconds, *micros, text);
        }
        prop_assert_eq!(read(&file.bytes).0, by_pcap_parser(&file.bytes));
    }
}

fn by_pcap_parser(bytes: &[u8]) -> Vec<Seen> {
    let capture = pcap_parser::parse_pcap(bytes).unwrap().1;
    let numbered = (1..).zip(capture.blocks);
    let seen = numbered.map(|(number, block)| {
        let nanos = i64::from(block.ts_sec) * 1_000_000_000 + i64::from(block.ts_usec) * 1000;
        Seen::Packet(number, nanos, 1, block.origlen, block.data.to_vec())
    });
    seen.collect()
}
