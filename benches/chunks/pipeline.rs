//! The miniature pipeline: pcap records, headers, order, two layers, frame headers.
//! Each layer hands its chunks by value to a sink of the layer above.

use std::hint::black_box;

use bytes::Bytes;
use wscope::stream::{Direction, PacketRef};
use wscope::time::Timestamp;

/// Connections, their packets one after the other; the client's port tells which.
pub(crate) const CONNECTIONS: u16 = 64;
pub(crate) const FIRST_PORT: u16 = 40_000;

/// Bytes of a pcap record header.
pub(crate) const RECORD_HEADER: usize = 16;

/// Bytes that can be cut without a copy.
pub(crate) trait Slice: Clone {
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

/// All connections, and the packets so far.
pub(crate) struct Pipeline {
    connections: Vec<(Tcp, Upgraded, WebSocket)>,
    packets: u64,
}

impl Pipeline {
    pub(crate) fn new() -> Self {
        let connections = (0..CONNECTIONS).map(|_| Default::default()).collect();
        Self {
            connections,
            packets: 0,
        }
    }

    /// Frames seen: what the run yields.
    pub(crate) fn frames(&self) -> u64 {
        self.connections
            .iter()
            .map(|(_, _, websocket)| websocket.frames)
            .sum()
    }

    /// Works off the whole records of a block; the bytes that they took.
    pub(crate) fn on_block<S: Slice>(&mut self, block: &S) -> usize {
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
                epoch: Default::default(),
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
