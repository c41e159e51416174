//! The reader whole: file bytes in, packets out. Files are built here, field by field.

mod merge;
mod packed;
mod pcap;
mod pcapng;
mod properties;
mod refusals;

use std::io::{Cursor, Read};
use std::path::PathBuf;

use super::order::ByteOrder::{self, Big, Little};
use super::*;

/// An [`Input`] that can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    /// `frame.number`, time in ns, link type, length on the wire, bytes.
    Packet(u64, i64, u16, u32, Vec<u8>),
    KeyLog(String),
    Dropped(u64),
}

fn packet(number: u64, nanos: i64, text: &str) -> Seen {
    let len = u32::try_from(text.len()).unwrap();
    Seen::Packet(number, nanos, 1, len, text.as_bytes().to_vec())
}

fn all(source: &mut impl Source) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(input) = source.next().unwrap() {
        seen.push(match input {
            Input::Packet(packet) => Seen::Packet(
                packet.at.number,
                packet.at.time.as_nanos(),
                packet.link.0,
                packet.wire_len,
                packet.bytes.to_vec(),
            ),
            Input::KeyLog(text) => Seen::KeyLog(String::from_utf8(text.to_vec()).unwrap()),
            Input::Dropped(count) => Seen::Dropped(count),
            Input::Tick(time) => panic!("a file has no clock: {time:?}"),
        });
    }
    seen
}

fn open(bytes: &[u8]) -> Result<CaptureFile, SourceError> {
    from(Box::new(Cursor::new(bytes.to_vec())))
}

fn from(input: Box<dyn Read + Send>) -> Result<CaptureFile, SourceError> {
    CaptureFile::from_reader(PathBuf::from("a.pcap"), 3, input)
}

fn read(bytes: &[u8]) -> (Vec<Seen>, FileSummary) {
    let mut file = open(bytes).unwrap();
    (all(&mut file), file.summary())
}

fn damage(bytes: &[u8]) -> String {
    read(bytes)
        .1
        .damage
        .map_or_else(String::new, |damage| damage.to_string())
}

/// A capture file that is being written, in one byte order.
#[derive(Clone)]
struct Writer {
    order: ByteOrder,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(order: ByteOrder) -> Self {
        Self {
            order,
            bytes: Vec::new(),
        }
    }

    fn u16(mut self, value: u16) -> Self {
        self.bytes.extend(match self.order {
            Little => value.to_le_bytes(),
            Big => value.to_be_bytes(),
        });
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.bytes.extend(match self.order {
            Little => value.to_le_bytes(),
            Big => value.to_be_bytes(),
        });
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.bytes.extend(match self.order {
            Little => value.to_le_bytes(),
            Big => value.to_be_bytes(),
        });
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn pad(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    // pcap

    fn pcap_header(self, magic: u32, link: u32) -> Self {
        self.u32(magic)
            .u16(2)
            .u16(4)
            .u32(0)
            .u32(0)
            .u32(65_535)
            .u32(link)
    }

    fn record(self, seconds: u32, fraction: u32, text: &str) -> Self {
        let len = u32::try_from(text.len()).unwrap();
        self.u32(seconds)
            .u32(fraction)
            .u32(len)
            .u32(len)
            .raw(text.as_bytes())
    }

    // pcapng

    /// A block whose body `write` fills.
    fn block(self, kind: u32, write: impl FnOnce(Self) -> Self) -> Self {
        let body = write(Self::new(self.order)).pad().bytes;
        let total = u32::try_from(body.len() + 12).unwrap();
        self.u32(kind).u32(total).raw(&body).u32(total)
    }

    fn option(self, code: u16, value: &[u8]) -> Self {
        self.u16(code)
            .u16(u16::try_from(value.len()).unwrap())
            .raw(value)
            .pad()
    }

    fn section(self) -> Self {
        self.block(0x0a0d_0d0a, |body| {
            body.u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX)
        })
    }

    fn interface(self, link: u16, options: impl FnOnce(Self) -> Self) -> Self {
        self.block(1, |body| options(body.u16(link).u16(0).u32(0)))
    }

    fn enhanced(self, id: u32, time: u64, text: &str, options: impl FnOnce(Self) -> Self) -> Self {
        let len = u32::try_from(text.len()).unwrap();
        let [high, low] = [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
        self.block(6, |body| {
            options(
                body.u32(id)
                    .u32(high)
                    .u32(low)
                    .u32(len)
                    .u32(len)
                    .raw(text.as_bytes())
                    .pad(),
            )
        })
    }

    fn packet(self, time: u64, text: &str) -> Self {
        self.enhanced(0, time, text, none)
    }
}

/// No options.
fn none(body: Writer) -> Writer {
    body
}

/// A pcapng file up to its first packet: one section, one Ethernet interface, microseconds.
fn pcapng() -> Writer {
    Writer::new(Little).section().interface(1, none)
}

/// A pcap file of microseconds up to its first packet.
fn pcap() -> Writer {
    Writer::new(Little).pcap_header(0xa1b2_c3d4, 1)
}
