//! Any cutting, order and repetition of a stream gives the same bytes, and
//! every byte is in exactly one chunk or gap.

use proptest::prelude::*;

use crate::packet::{Endpoint, Flags, Options, Segment, Seq};
use crate::stream::{Direction, GapCause, PacketRef, StreamEvent};
use crate::tcp::{Connection, Output, Patience};
use crate::time::Timestamp;

/// What a byte at this offset is.
fn byte(offset: usize) -> u8 {
    (offset * 7 + offset / 256) as u8
}

/// A piece of the stream: where, how long, and how much of it the snap length left.
#[derive(Clone, Debug)]
struct Part {
    start: usize,
    len: usize,
    cut: usize,
}

const LEN: usize = 600;

fn parts(cut: bool) -> impl Strategy<Value = Vec<Part>> {
    let part = (0..LEN, 1..80_usize, 0..8_usize).prop_map(move |(start, len, most)| {
        let len = len.min(LEN - start);
        let cut = if cut { most.min(len) } else { 0 };
        Part { start, len, cut }
    });
    prop::collection::vec(part, 1..60)
}

struct Fed {
    /// The byte at each offset, or the cause of its gap.
    stream: Vec<Result<u8, GapCause>>,
    most_held: usize,
}

fn feed(isn: u32, parts: &[Part], patience: Patience) -> Fed {
    let end = |port| Endpoint {
        ip: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        port,
    };
    let mut tcp = Connection::new(patience);
    let mut stream = Vec::new();
    let mut most_held = 0;
    let mut out = |output: Output<'_>| match output {
        Output::Stream(StreamEvent::Chunk(chunk)) => {
            assert_eq!(chunk.offset as usize, stream.len(), "in order, each once");
            assert!(!chunk.bytes.is_empty() && chunk.seen <= chunk.released);
            stream.extend(chunk.bytes.iter().map(|byte| Ok(*byte)));
        }
        Output::Stream(StreamEvent::Gap(gap)) => {
            assert_eq!(gap.offset as usize, stream.len(), "in order, each once");
            let len = gap.len.expect("no gap of unknown length after a SYN") as usize;
            assert!(len > 0);
            stream.extend((0..len).map(|_| Err(gap.cause)));
        }
        Output::Stream(StreamEvent::End(..)) | Output::Fact(_) => {}
    };
    let whole: Vec<u8> = (0..LEN).map(byte).collect();
    let mut at = PacketRef::default();
    let mut send = |tcp: &mut Connection, seq, flags, payload: &[u8], wire_len: usize| {
        at.number += 1;
        at.time = Timestamp::from_nanos(at.number as i64 * 1_000_000);
        let segment = Segment {
            at,
            from: end(1),
            to: end(2),
            seq: Seq(seq),
            ack: Seq(0),
            flags: Flags(flags),
            window: 1,
            options: Options::default(),
            ttl: 64,
            ip_id: Some(at.number as u16),
            payload,
            wire_len: wire_len as u32,
        };
        tcp.on_segment(Direction::ClientToServer, &segment, &mut out);
        most_held = most_held.max(tcp.buffered());
        at
    };
    let mut last = send(&mut tcp, isn, Flags::SYN, &[], 0);
    for part in parts {
        let seq = isn.wrapping_add(1).wrapping_add(part.start as u32);
        let seen = &whole[part.start..part.start + part.len - part.cut];
        last = send(&mut tcp, seq, 0, seen, part.len);
    }
    tcp.finish(last, &mut out);
    assert_eq!(tcp.buffered(), 0);
    Fed { stream, most_held }
}

proptest! {
    #[test]
    fn every_byte_that_was_captured_goes_up_once(isn: u32, parts in parts(false)) {
        let fed = feed(isn, &parts, Patience::default());
        let mut captured = [false; LEN];
        for part in &parts {
            captured[part.start..part.start + part.len].fill(true);
        }
        let end = captured.iter().rposition(|seen| *seen).map_or(0, |last| last + 1);
        let expected: Vec<_> = (0..end)
            .map(|offset| if captured[offset] { Ok(byte(offset)) } else { Err(GapCause::NotCaptured) })
            .collect();
        prop_assert_eq!(fed.stream, expected);
    }

    #[test]
    fn cut_packets_never_shift_bytes(isn: u32, parts in parts(true)) {
        let fed = feed(isn, &parts, Patience::default());
        for (offset, told) in fed.stream.iter().enumerate() {
            if let Ok(told) = told {
                prop_assert_eq!(*told, byte(offset));
            }
        }
        let end = parts.iter().map(|part| part.start + part.len).max();
        prop_assert_eq!(Some(fed.stream.len()), end);
    }

    #[test]
    fn held_bytes_stay_under_the_limit_and_are_accounted_for(isn: u32, parts in parts(true)) {
        let patience = Patience { bytes: 1_000, ..Patience::default() };
        let fed = feed(isn, &parts, patience);
        prop_assert!(fed.most_held <= 1_000);
        for (offset, told) in fed.stream.iter().enumerate() {
            if let Ok(told) = told {
                prop_assert_eq!(*told, byte(offset));
            }
        }
    }
}
