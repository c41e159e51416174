//! One capture file, from a path or a stream, pcap or pcapng.

use std::fs::File;
use std::io::Read;
use std::mem;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::block::{Block, length};
use super::error::Breach;
use super::item::{Found, Item, Step};
use super::magic::{self, Kind};
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::summary::{Damage, FileSummary, Format, Lead};
use super::{Input, LinkType, Packet, Source, SourceError};
use crate::stream::PacketRef;
use crate::time::Timestamp;

/// A capture file that is being read.
///
/// What comes before damage is delivered; then the file ends, and
/// [`summary`](Self::summary) tells where and why. Only a file of which nothing
/// can be read is an error, and that shows when it is opened.
pub struct CaptureFile {
    summary: FileSummary,
    source: u16,
    /// Whether the path can be opened a second time and gives the same bytes.
    regular: bool,
    /// Reading stops where the file ends by now.
    stopped: bool,
    block: Block,
    records: Records,
    /// Length of the record that is lent.
    taken: usize,
    current: Option<Current>,
    /// A packet that waits behind the drops which its record told.
    queued: Option<Current>,
    /// Time of the latest packet, for those that have none.
    clock: Timestamp,
    /// What is taken from each time, in nanoseconds.
    ahead: i64,
}

/// What [`CaptureFile::advance`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// Something, which is lent.
    Lent,
    /// Nothing yet: the file may grow.
    Waiting,
    /// The end.
    Ended,
}

/// How the rest of the file is to be read.
enum Records {
    Pcap(Pcap),
    Pcapng(Pcapng),
    Ended,
}

/// What is lent. Ranges count from the record's first byte.
#[derive(Clone)]
enum Current {
    Packet {
        at: PacketRef,
        link: LinkType,
        wire_len: u32,
        bytes: Range<usize>,
    },
    KeyLog(Range<usize>),
    Dropped(u64),
}

impl CaptureFile {
    /// Opens a file. `source` becomes [`PacketRef::source`] of its packets.
    ///
    /// # Errors
    /// Says what is there instead of a capture; see [`SourceError`].
    pub fn open(path: &Path, source: u16) -> Result<Self, SourceError> {
        let refused = |error| SourceError::from_io(path.to_owned(), 0, error);
        let file = File::open(path).map_err(refused)?;
        let regular = file.metadata().map_err(refused)?.is_file();
        let file = Self::from_reader(path.to_owned(), source, Box::new(file))?;
        Ok(Self { regular, ..file })
    }

    /// Opens a file that is still written to: a record that isn't whole is waited for.
    /// A compressed file is read as it is.
    ///
    /// # Errors
    /// As [`open`](Self::open); a file of which not even the header was written is
    /// [`Empty`](SourceError::Empty) or has no [`Header`](SourceError::Header).
    pub(super) fn open_growing(path: &Path) -> Result<Self, SourceError> {
        let refused = |error| SourceError::from_io(path.to_owned(), 0, error);
        let file = File::open(path).map_err(refused)?;
        let regular = file.metadata().map_err(refused)?.is_file();
        if !regular {
            return Self::from_reader(path.to_owned(), 0, Box::new(file));
        }
        let mut block = Block::growing(Box::new(file));
        match recognise(&mut block, path)? {
            Kind::Pcap => Self::begin(path.to_owned(), 0, block, Format::Pcap),
            Kind::Pcapng => Self::begin(path.to_owned(), 0, block, Format::Pcapng),
            _ => Self::open(path, 0),
        }
    }

    /// Reads a capture from a stream, such as stdin; `name` stands for it in messages.
    /// What is compressed with gzip, zstd, lz4 or xz is unpacked in a thread.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_reader(
        name: PathBuf,
        source: u16,
        input: Box<dyn Read + Send>,
    ) -> Result<Self, SourceError> {
        let mut block = Block::new(input);
        let mut kind = recognise(&mut block, &name)?;
        if let Kind::Packed(method) = kind {
            let unpacked = method.thread(block);
            let refused = |error| SourceError::from_io(name.clone(), 0, error);
            block = Block::new(unpacked.map_err(refused)?);
            kind = recognise(&mut block, &name)?;
        }
        match kind {
            Kind::Pcap => Self::begin(name, source, block, Format::Pcap),
            Kind::Pcapng => Self::begin(name, source, block, Format::Pcapng),
            Kind::Packed(method) => Err(SourceError::NotACapture {
                path: name,
                found: format!("it is compressed twice, the second time with {method}"),
                way_out: "unpack it once first",
            }),
            Kind::Compressed { method, command } => Err(SourceError::Compressed {
                path: name,
                method,
                command,
            }),
            Kind::Other { found, way_out } => Err(SourceError::NotACapture {
                path: name,
                found: found.to_owned(),
                way_out,
            }),
        }
    }

    /// Reads the header: in pcapng, the first block.
    fn begin(
        path: PathBuf,
        source: u16,
        mut block: Block,
        format: Format,
    ) -> Result<Self, SourceError> {
        let mut summary = FileSummary::new(path, format);
        let records = match format {
            Format::Pcap => Pcap::open(&mut block, &mut summary).map(Records::Pcap),
            Format::Pcapng => {
                let mut pcapng = Pcapng::new();
                pcapng.step(&mut block, &mut summary).map(|step| {
                    block.consume(step.map_or(0, |step| step.taken));
                    Records::Pcapng(pcapng)
                })
            }
        };
        let records = match records {
            Ok(records) => records,
            Err(breach) => {
                let (offset, what) = (block.offset(), breach.to_string());
                return Err(SourceError::Header {
                    path: summary.path,
                    offset,
                    what,
                });
            }
        };
        Ok(Self {
            summary,
            source,
            regular: false,
            stopped: false,
            block,
            records,
            taken: 0,
            current: None,
            queued: None,
            clock: Timestamp::default(),
            ahead: 0,
        })
    }

    /// What the file held so far; after the end, all of it.
    pub fn summary(&self) -> FileSummary {
        FileSummary {
            bytes: self.block.bytes_read(),
            ..self.summary.clone()
        }
    }

    /// Moves on to the next input, which [`current`](Self::current) then lends.
    pub(super) fn advance(&mut self) -> Advance {
        self.current = None;
        if self.queued.is_some() {
            self.current = self.queued.take();
        }
        while self.current.is_none() {
            self.block.consume(mem::take(&mut self.taken));
            let step = match &mut self.records {
                Records::Pcap(pcap) => pcap.step(&mut self.block, &mut self.summary),
                Records::Pcapng(pcapng) => pcapng.step(&mut self.block, &mut self.summary),
                Records::Ended => return Advance::Ended,
            };
            match step {
                Ok(Some(step)) => self.take(step),
                Ok(None) | Err(Breach::CutOff { .. }) if self.block.is_growing() => {
                    return Advance::Waiting;
                }
                Ok(None) => self.end(),
                Err(Breach::CutOff { .. }) if self.stopped => self.end(),
                Err(breach) => self.end_at(&breach),
            }
        }
        Advance::Lent
    }

    /// Whether more may come.
    pub(super) const fn is_growing(&self) -> bool {
        self.block.is_growing()
    }

    /// The file grows no more, since another took its place: a record that isn't whole
    /// will never be.
    pub(super) fn settle(&mut self) {
        self.block.settle();
    }

    /// The rest of the file is gone: it ends with what is in memory.
    pub(super) fn cut(&mut self) {
        self.block.cut();
    }

    /// Nobody waits for more: a record that isn't whole is no damage.
    pub(super) fn stop(&mut self) {
        self.stopped = self.block.is_growing();
        self.block.settle();
    }

    /// The file, as it was named to us.
    pub(super) fn path(&self) -> &Path {
        &self.summary.path
    }

    /// How many bytes were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.block.bytes_read()
    }

    /// What [`advance`](Self::advance) found.
    pub(super) fn current(&self) -> Option<Input<'_>> {
        let bytes = |range: &Range<usize>| {
            self.block
                .available()
                .get(range.clone())
                .unwrap_or_default()
        };
        Some(match self.current.as_ref()? {
            Current::Packet {
                at,
                link,
                wire_len,
                bytes: range,
            } => Input::Packet(Packet {
                at: PacketRef {
                    source: self.source,
                    ..*at
                },
                link: *link,
                wire_len: *wire_len,
                bytes: bytes(range),
            }),
            Current::KeyLog(range) => Input::KeyLog(bytes(range)),
            Current::Dropped(count) => Input::Dropped(*count),
        })
    }

    /// The time of the packet that is lent, or that the drops which are lent belong to.
    pub(super) fn packet_time(&self) -> Option<Timestamp> {
        let time = |current: &Current| match current {
            Current::Packet { at, .. } => Some(at.time),
            Current::KeyLog(_) | Current::Dropped(_) => None,
        };
        let lent = self.current.as_ref().and_then(time);
        lent.or_else(|| self.queued.as_ref().and_then(time))
    }

    /// Whether the file can be closed and opened again.
    pub(super) const fn is_regular(&self) -> bool {
        self.regular
    }

    pub(super) const fn source(&self) -> u16 {
        self.source
    }

    /// Makes it the file of this number.
    pub(super) const fn number(&mut self, source: u16) {
        self.source = source;
    }

    /// From the next packet on, times are told without what the clock is ahead.
    pub fn correct(&mut self, lead: Lead) {
        self.ahead = lead.nanos;
        self.summary.lead = Some(lead);
    }

    fn take(&mut self, step: Step) {
        self.taken = step.taken;
        self.current = match step.item {
            Item::Packet(found) => Some(self.packet(found)),
            Item::Secrets { start, len } => Some(Current::KeyLog(range(start, len))),
            Item::Dropped(count) => Some(self.dropped(count)),
            Item::Frame => {
                self.summary.number_record();
                None
            }
            Item::Nothing => None,
        };
    }

    fn packet(&mut self, found: Found) -> Current {
        let time = found.time.map(|time| {
            let nanos = time.as_nanos().saturating_sub(self.ahead);
            Timestamp::from_nanos(nanos)
        });
        self.summary.count(time);
        self.clock = time.unwrap_or(self.clock);
        let at = PacketRef {
            time: self.clock,
            number: self.summary.last_number,
            ..PacketRef::default()
        };
        let packet = Current::Packet {
            at,
            link: found.link,
            wire_len: found.wire_len,
            bytes: range(found.start, found.len),
        };
        if found.lost == 0 {
            return packet;
        }
        self.queued = Some(packet);
        self.dropped(found.lost)
    }

    fn dropped(&mut self, count: u64) -> Current {
        self.summary.dropped = self.summary.dropped.saturating_add(count);
        Current::Dropped(count)
    }

    fn end(&mut self) {
        self.records = Records::Ended;
        self.block.close();
    }

    fn end_at(&mut self, breach: &Breach) {
        let (offset, what) = (self.block.offset(), breach.to_string());
        self.summary.damage = Some(Damage { offset, what });
        self.end();
    }
}

impl Source for CaptureFile {
    fn next(&mut self) -> Result<Option<Input<'_>>, SourceError> {
        self.advance();
        Ok(self.current())
    }
}

fn range(start: usize, len: usize) -> Range<usize> {
    start..start.saturating_add(len)
}

/// What stands at the beginning of the input.
fn recognise(block: &mut Block, path: &Path) -> Result<Kind, SourceError> {
    // Whole if it can be; a file may be shorter.
    block.want(magic::ENOUGH);
    let kind = magic::recognise(block.available());
    if matches!(kind, Kind::Pcap | Kind::Pcapng) {
        // Where reading stopped is told when it was read up to there.
        return Ok(kind);
    }
    if let Some(error) = block.take_failure() {
        let offset = length(block.available().len());
        return Err(SourceError::from_io(path.to_owned(), offset, error));
    }
    match block.available() {
        [] => Err(SourceError::Empty {
            path: path.to_owned(),
        }),
        _ => Ok(kind),
    }
}
