//! The capture point: packets come in any order of time and leave for the pcap
//! file sorted.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io::{self, BufWriter, Write};

use super::packet::Packet;

/// Nanoseconds since the capture began.
pub(crate) type Time = u64;

/// One millisecond.
pub(crate) const MS: Time = 1_000_000;
/// One second.
pub(crate) const SECOND: Time = 1_000 * MS;

/// When the capture began: 2026-01-05 09:00:00 UTC, in seconds since the epoch.
const EPOCH: u64 = 1_767_603_600;

/// Bytes of a pcap file header, and of a record header.
const FILE_HEADER: u64 = 24;
const RECORD_HEADER: u64 = 16;

/// Packets on their way into the file.
pub(crate) struct Wire<'a> {
    out: BufWriter<Box<dyn Write + 'a>>,
    /// The earliest on top.
    queue: BinaryHeap<Queued>,
    /// Buffers of written packets, to be used again.
    spare: Vec<Vec<u8>>,
    nanos: bool,
    sent: u64,
    size: u64,
}

struct Queued {
    time: Time,
    /// Keeps packets of the same time in the order in which they were sent.
    order: u64,
    bytes: Vec<u8>,
}

impl<'a> Wire<'a> {
    /// A capture that goes to `out`, its file header written.
    pub(crate) fn new(out: Box<dyn Write + 'a>, nanos: bool) -> io::Result<Self> {
        // Rationale: 1 MiB makes the cost of the write call vanish.
        let mut out = BufWriter::with_capacity(1 << 20, out);
        let magic: u32 = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        out.write_all(&magic.to_le_bytes())?;
        out.write_all(&[2, 0, 4, 0])?; // version 2.4
        out.write_all(&[0; 8])?;
        out.write_all(&262_144u32.to_le_bytes())?; // snap length
        out.write_all(&1u32.to_le_bytes())?; // link type: Ethernet
        let (queue, spare) = (BinaryHeap::new(), Vec::new());
        Ok(Self {
            out,
            queue,
            spare,
            nanos,
            sent: 0,
            size: FILE_HEADER,
        })
    }

    /// Has the capture see `packet` at `time`.
    pub(crate) fn send(&mut self, time: Time, packet: &Packet<'_>) {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        packet.write(&mut bytes);
        self.size += RECORD_HEADER + u64::try_from(bytes.len()).unwrap_or(0);
        self.queue.push(Queued {
            time,
            order: self.sent,
            bytes,
        });
        self.sent += 1;
    }

    /// Bytes of the file, those on their way included.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Packets in the file, those on their way included.
    pub(crate) fn packets(&self) -> u64 {
        self.sent
    }

    /// Writes what the capture saw up to `until`; nothing may be sent for an
    /// earlier time from then on.
    pub(crate) fn write_until(&mut self, until: Time) -> io::Result<()> {
        while self.queue.peek().is_some_and(|first| first.time <= until) {
            let Some(first) = self.queue.pop() else { break };
            self.write(&first)?;
            self.spare.push(first.bytes);
        }
        Ok(())
    }

    /// Writes the rest.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.write_until(Time::MAX)?;
        self.out.flush()
    }

    fn write(&mut self, packet: &Queued) -> io::Result<()> {
        let seconds = EPOCH + packet.time / SECOND;
        let nanos = packet.time % SECOND;
        let fraction = if self.nanos { nanos } else { nanos / 1_000 };
        let len = u64::try_from(packet.bytes.len()).unwrap_or(0);
        let mut header = [0; 16];
        for (field, value) in header
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip([seconds, fraction, len, len])
        {
            *field = u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        }
        self.out.write_all(&header)?;
        self.out.write_all(&packet.bytes)
    }
}

impl Ord for Queued {
    /// Reversed: a `BinaryHeap` has the greatest on top, and the earliest is wanted.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.order).cmp(&(self.time, self.order))
    }
}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Queued {}
