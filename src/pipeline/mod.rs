//! Puts one stack of layers on each connection and carries facts to sessions.

mod attempts;
mod clock;
mod leads;
mod limits;
#[cfg(test)]
mod mid_stream_tests;
mod orientation;
mod records;
mod stack;
mod table;
#[cfg(test)]
mod tests;
mod translation;
mod unproven;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub use leads::leads;
pub use limits::Limits;

use crate::packet::{Decoded, Decoder, IcmpError, Segment};
use crate::session::{Attempt, Capture, Record, Selector, Session, Unreachable, join_legs};
use crate::source::{Input, KeyLogSummary, Packet, read_key_log};
use crate::stream::PacketRef;
use crate::tcp::Age;
use crate::time::Timestamp;
use crate::tls::{Keys, PrivateKey, PrivateKeyError};
use crate::websocket::Wants;
use attempts::Attempts;
use clock::Watch;
use records::Records;
use table::Table;
use translation::Translations;
use unproven::Unproven;

/// What is to be done beyond the analysis itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Bounds on memory.
    pub limits: Limits,
    /// Hand over messages and control frames one by one.
    pub records: bool,
    /// How long a record may wait for its acknowledgment or its Pong.
    pub settle: Settle,
    /// Keep what a timeline needs of the sessions whose records are asked for.
    pub timeline: bool,
    /// What to keep of messages; nothing unless somebody asked.
    pub wants: Wants,
}

/// How long records wait for what is told of them later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settle {
    /// Until it came, within reason.
    #[default]
    Patiently,
    /// Somebody watches: a few seconds.
    Soon,
}

/// A record to which nothing more comes.
#[derive(Clone, Debug)]
pub enum Finished {
    /// A WebSocket session.
    Session(Box<Session>),
    /// A connection without one that went wrong.
    Attempt(Box<Attempt>),
}

/// What all stacks share while a packet is worked on.
#[derive(Debug)]
pub(crate) struct Shared {
    options: Options,
    capture: Capture,
    next_session: u32,
    next_stream: u32,
    records: Records,
    attempts: Attempts,
    /// The secrets at hand; shared, since a stack holds them while it works.
    keys: Arc<Keys>,
    translations: Translations,
    unproven: Unproven,
    watch: Watch,
    /// The time of the last packet; later where nothing came since.
    now: Timestamp,
}

/// The whole analysis of one vantage point, from inputs to finished sessions.
#[derive(Debug)]
pub struct Analyzer {
    decoder: Decoder,
    table: Table,
    shared: Shared,
}

impl Analyzer {
    /// An analysis that has seen nothing.
    pub fn new(options: Options) -> Self {
        Self {
            decoder: Decoder::new(),
            table: Table::new(),
            shared: Shared {
                options,
                capture: Capture::default(),
                next_session: 1,
                next_stream: 0,
                records: Records::new(options.settle),
                attempts: Attempts::default(),
                keys: Arc::default(),
                translations: Translations::default(),
                unproven: Unproven::default(),
                watch: Watch::default(),
                now: Timestamp::default(),
            },
        }
    }

    /// Makes records of the sessions that `selector` takes, and of no others;
    /// ask for it before the first input. It knows no findings.
    pub fn only_records_of(&mut self, selector: Selector) {
        self.shared.records.only(selector);
    }

    /// Takes the next input. Sessions and failed connections that this settles
    /// are appended to `finished`.
    pub fn push(&mut self, input: &Input<'_>, finished: &mut Vec<Finished>) {
        match input {
            Input::Packet(packet) => self.on_packet(packet, finished),
            Input::Dropped(count) => self.shared.capture.dropped += count,
            Input::KeyLog(text) => {
                self.shared.capture.key_logs += 1;
                self.add_keys(text);
                self.table.on_keys(&mut self.shared, finished);
            }
            Input::Tick(now) => {
                self.shared.now = self.shared.now.max(*now);
                let now = self.shared.now;
                self.table.on_tick(now, &mut self.shared, finished);
            }
        }
    }

    /// Takes the text of a key log (RFC 9850), before the packets that it opens.
    /// What comes as [`Input::KeyLog`] among them opens those that wait, too.
    pub fn add_keys(&mut self, text: &[u8]) -> KeyLogSummary {
        let keys = Arc::make_mut(&mut self.shared.keys);
        read_key_log(text, |secret| keys.add(secret))
    }

    /// Takes the RSA private key of a server in PEM, before the packets that it opens.
    ///
    /// # Errors
    /// It holds none that can be used.
    pub fn add_private_key(&mut self, pem: &[u8]) -> Result<(), PrivateKeyError> {
        let key = PrivateKey::from_pem(pem)?;
        Arc::make_mut(&mut self.shared.keys).add_private_key(key);
        self.shared.capture.tls.private_keys += 1;
        Ok(())
    }

    /// From here on records wait, within a limit, for keys that are not known.
    pub fn keys_may_come(&mut self) {
        Arc::make_mut(&mut self.shared.keys).expect_more();
    }

    fn on_packet(&mut self, packet: &Packet<'_>, finished: &mut Vec<Finished>) {
        let table = &self.table;
        let at = self.shared.receive(packet.at, || age_of(table, packet));
        let packet = &Packet { at, ..*packet };
        let (table, shared) = (&mut self.table, &mut self.shared);
        on_decoded(table, shared, &self.decoder.decode(packet), finished);
        if self.decoder.has_more() {
            self.on_rest(packet, finished);
        }
    }

    /// The other datagrams of the same packet.
    #[cold]
    #[inline(never)]
    fn on_rest(&mut self, packet: &Packet<'_>, finished: &mut Vec<Finished>) {
        let (table, shared) = (&mut self.table, &mut self.shared);
        while self.decoder.has_more() {
            on_decoded(table, shared, &self.decoder.decode_more(packet), finished);
        }
    }

    /// The sessions that are not finished, in no order.
    pub fn open(&self) -> impl Iterator<Item = &Session> {
        self.table.stacks().filter_map(stack::Stack::session)
    }

    /// Bytes held over all connections: payload that waits for earlier bytes,
    /// heads that aren't complete, decompressors.
    pub fn buffered(&self) -> usize {
        self.table.held()
    }

    /// Messages and control frames that are settled, in capture order; only with [`Options::records`].
    pub fn next_record(&mut self) -> Option<Record> {
        self.shared.records.next(self.shared.now)
    }

    /// The input is at its end: settles everything, and joins the legs of
    /// proxies among all sessions in `finished`. The sessions are appended to it, the last records to `records`; what was read is returned.
    pub fn finish(
        mut self,
        finished: &mut Vec<Finished>,
        mut record: impl FnMut(Record),
    ) -> Capture {
        for mut stack in self.table.into_stacks() {
            stack.finish(false, &mut self.shared, finished);
        }
        self.shared.settle_unproven(finished);
        let mut sessions = sessions_of(finished);
        self.shared.translations.attach(&mut sessions);
        join_legs(&mut sessions);
        self.shared.records.release();
        let now = self.shared.now;
        while let Some(next) = self.shared.records.next(now) {
            record(next);
        }
        for (why, packets) in self.decoder.finish() {
            self.shared.ignored(why, packets);
        }
        let capture = &mut self.shared.capture;
        capture
            .not_decoded
            .sort_by_key(|(why, count)| (std::cmp::Reverse(*count), *why));
        capture.gaps.sort_by_key(|gap| gap.cause);
        self.shared.capture
    }
}

/// By a decoder of its own, since the packet is decoded once more when its place is known.
#[cold]
fn age_of(table: &Table, packet: &Packet<'_>) -> Option<Age> {
    match Decoder::new().decode(packet) {
        Decoded::Tcp(segment) => table.age_of(&segment),
        _ => None,
    }
}

fn sessions_of(finished: &mut [Finished]) -> Vec<&mut Session> {
    let sessions = finished.iter_mut().filter_map(|one| match one {
        Finished::Session(session) => Some(&mut **session),
        Finished::Attempt(_) => None,
    });
    sessions.collect()
}

/// By reference: a segment is too large to be moved for nothing.
#[inline(always)]
fn on_decoded(
    table: &mut Table,
    shared: &mut Shared,
    decoded: &Decoded<'_>,
    finished: &mut Vec<Finished>,
) {
    match decoded {
        Decoded::Tcp(segment) => on_segment(table, shared, segment, finished),
        Decoded::Icmp(error) => on_icmp(table, shared, error),
        Decoded::Neighbour(host) => {
            shared.heard(*host);
            shared.ignored("arp", 1);
        }
        Decoded::Pending => {}
        Decoded::Ignored(why) => shared.ignored(why, 1),
    }
}

#[cold]
fn on_icmp(table: &mut Table, shared: &mut Shared, error: &IcmpError) {
    shared.ignored(if error.v6 { "icmpv6" } else { "icmp" }, 1);
    if let Some(stack) = table.find(error.from, error.to) {
        stack.on_unreachable(Unreachable {
            at: error.at,
            reporter: error.reporter,
            kind: error.kind,
            code: error.code,
            v6: error.v6,
        });
    }
}

/// A bug in one connection's stack costs that connection, not the analysis.
#[inline(always)]
fn on_segment(
    table: &mut Table,
    shared: &mut Shared,
    segment: &Segment<'_>,
    finished: &mut Vec<Finished>,
) {
    shared.capture.tcp_segments += 1;
    if segment.payload.len() < usize::try_from(segment.wire_len).unwrap_or(usize::MAX) {
        shared.capture.cut += 1;
    }
    let worked = catch_unwind(AssertUnwindSafe(|| {
        table.on_segment(segment, shared, finished)
    }));
    if worked.is_err() {
        shared.capture.failures += 1;
        table.forget(segment);
    }
}

impl Shared {
    /// Gives a packet its place among the others.
    ///
    /// `age` says when it was sent, where its time is far behind its place.
    #[inline]
    fn receive(&mut self, at: PacketRef, age: impl FnOnce() -> Option<Age>) -> PacketRef {
        let capture = &mut self.capture;
        capture.packets += 1;
        let at = self.watch.on_packet(at, &mut capture.clocks, age);
        capture.last = capture.last.max(at);
        self.now = capture.last.time;
        at
    }

    fn ignored(&mut self, why: &'static str, packets: u64) {
        let counts = &mut self.capture.not_decoded;
        match counts.iter_mut().find(|(known, _)| *known == why) {
            Some((_, count)) => *count += packets,
            None => counts.push((why, packets)),
        }
    }

    fn heard(&mut self, host: std::net::IpAddr) {
        // Rationale: enough for a subnet; only hosts that were dialled in vain are looked up.
        if self.capture.heard.len() < 1_024 && !self.capture.heard.contains(&host) {
            self.capture.heard.push(host);
        }
    }
}

/// Lets tests begin at the segment.
#[cfg(test)]
impl Analyzer {
    pub(crate) fn push_segment(&mut self, segment: &Segment<'_>, finished: &mut Vec<Finished>) {
        let table = &self.table;
        let at = self.shared.receive(segment.at, || table.age_of(segment));
        let segment = Segment { at, ..*segment };
        on_segment(&mut self.table, &mut self.shared, &segment, finished);
    }

    pub(crate) fn push_icmp(&mut self, error: &IcmpError) {
        let at = self.shared.receive(error.at, || None);
        let error = IcmpError { at, ..*error };
        on_icmp(&mut self.table, &mut self.shared, &error);
    }
}
