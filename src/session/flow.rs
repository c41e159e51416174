//! How one side's payload flowed: what was lost and sent again, how fast it went,
//! what waited for an acknowledgment or for the other side.

use std::time::Duration;

use super::stalls::{Silence, Unacked, keep};
use crate::stream::PacketRef;
use crate::tcp::Bin;

/// Rationale: a report names the worst; the rest is counted.
const WORST: usize = 4;
/// Acknowledgments that come later than this after the newest payload were held back, or the path is slow.
///
/// Rationale: the shortest timer for delayed acknowledgments is 40 ms (Linux);
/// 25 ms leave room for timers that tick in steps of 10 ms.
const DELAYED: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(600));
/// A bin with less payload is no measure of a rate.
///
/// Rationale: three full segments in 100 ms; fewer are steady by chance.
const BUSY_BYTES: u64 = 4_000;

/// Payload that had to be sent again before the other side acknowledged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The first payload that waited.
    pub first: PacketRef,
    /// When it was sent again for the first and for the last time.
    pub again: (PacketRef, PacketRef),
    /// How often.
    pub count: u64,
    /// Bytes of the shortest and of the longest segment that was sent again.
    pub lens: (u32, u32),
    /// The acknowledgment.
    pub acked: PacketRef,
    /// The newest packet of the other side before it.
    pub heard: Option<PacketRef>,
}

impl Recovery {
    /// From the first payload to the acknowledgment.
    pub fn len(&self) -> Duration {
        self.acked.time.saturating_since(self.first.time)
    }
}

/// A segment, its acknowledgment without payload, and the segment that followed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// Nothing else was on its way; shorter than a full segment.
    pub payload: PacketRef,
    /// Its acknowledgment.
    pub ack: PacketRef,
    /// The next segment of the same sender, shorter than a full one too.
    pub next: PacketRef,
}

/// TCP keep-alives of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepAlives {
    /// Since the newest payload of either side: how many, the first and the last.
    pub run: Option<(u32, PacketRef, PacketRef)>,
}

/// Bins in a row with the same rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SteadyRate {
    /// The first and the last of them.
    pub span: (PacketRef, PacketRef),
    /// How many.
    pub bins: u64,
    /// Payload in all of them.
    pub bytes: u64,
    /// In how many the window was full.
    pub full: u64,
}

impl SteadyRate {
    fn begin(bin: &Bin) -> Self {
        Self {
            span: (bin.at, bin.at),
            bins: 1,
            bytes: bin.bytes,
            full: u64::from(bin.full == Some(true)),
        }
    }

    /// Follows at once, and is within a quarter of the mean.
    fn goes_on(&self, bin: &Bin) -> bool {
        let apart = bin.at.time.saturating_since(self.span.1.time);
        let mean = self.bytes / self.bins.max(1);
        apart < Duration::from_millis(200) && bin.bytes.abs_diff(mean) <= mean / 4
    }

    fn add(&mut self, bin: &Bin) {
        self.span.1 = bin.at;
        self.bins += 1;
        self.bytes = self.bytes.saturating_add(bin.bytes);
        self.full += u64::from(bin.full == Some(true));
    }

    /// From the first bin's begin to the last one's.
    pub fn len(&self) -> Duration {
        self.span.1.time.saturating_since(self.span.0.time)
    }
}

/// One side's payload.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// Segments, each counted once.
    pub segments: u64,
    /// Segments that were lost: sent again, acknowledged after that, and not needlessly.
    pub lost: u64,
    /// The first 16 of the packets that made it good.
    pub resent: Vec<PacketRef>,
    /// Segments that were sent again although the first copy had arrived, tail-loss probes among them.
    pub needless: u64,
    /// The newest packet that was sent again and isn't known to be needless.
    pub last_lost: Option<PacketRef>,
    /// The longest waits for an acknowledgment with a retransmission in them, longest first: at most 4.
    pub recoveries: Vec<Recovery>,
    /// Bins of 100 ms with at least 4,000 bytes.
    pub busy: u64,
    /// Those in which what was on its way filled the receiver's window.
    pub full: u64,
    /// The first of these.
    pub first_full: Option<PacketRef>,
    /// The most that was on its way.
    pub most_in_flight: u64,
    /// The longest time at one rate.
    pub steady: Option<SteadyRate>,
    /// Short segments that waited for a delayed acknowledgment: the first 16.
    pub held_back: Vec<HeldBack>,
    /// Delayed acknowledgments without payload of a short segment, whatever followed.
    pub delayed_acks: u64,
    /// Its keep-alives.
    pub keep_alives: KeepAlives,
    /// From the other side's first payload to this side's next, longest first: at most 4.
    pub answers: Vec<Silence>,
    /// The longest segment that was surely delivered whole.
    pub largest_delivered: u32,
    /// Retransmissions that wait for the verdict, and the first of them.
    pending: u64,
    run: Option<SteadyRate>,
    /// A delayed acknowledgment of the newest payload.
    waited: Option<(PacketRef, PacketRef)>,
    last_len: u32,
    largest_waiting: u32,
    asked: Option<PacketRef>,
}

impl Flow {
    /// New payload; `mss` is the longest segment that this side may send.
    pub(super) fn on_payload(&mut self, at: PacketRef, len: u32, mss: u32) {
        self.segments += 1;
        self.largest_waiting = self.largest_waiting.max(len);
        if let Some((payload, ack)) = self.waited.take() {
            self.delayed_acks += 1;
            if len < mss {
                let next = at;
                keep(&mut self.held_back, HeldBack { payload, ack, next });
            }
        }
        self.last_len = len;
        self.keep_alives.run = None;
        if let Some(from) = self.asked.take() {
            let len = at.time.saturating_since(from.time);
            keep_longest(
                &mut self.answers,
                Silence { len, from, to: at },
                |silence| silence.len,
            );
        }
    }

    /// New payload of the other side.
    pub(super) fn on_other(&mut self, at: PacketRef) {
        self.keep_alives.run = None;
        if self.asked.is_none() {
            self.asked = Some(at);
        }
        // Its acknowledgment came with payload: nobody waited for a timer.
        if self.waited.is_some_and(|(_, ack)| ack == at) {
            self.waited = None;
        }
    }

    /// Sent again; `acked`: after the other side had acknowledged all of it.
    pub(super) fn on_again(&mut self, at: PacketRef, acked: bool) {
        if acked {
            self.needless += 1;
            return;
        }
        self.pending += 1;
        self.last_lost = Some(at);
        keep(&mut self.resent, at);
    }

    /// The newest of them was needless.
    pub(super) fn on_spurious(&mut self) {
        let judged = match self.pending {
            0 => self.lost.min(1),
            pending => pending,
        };
        if self.pending == 0 {
            self.lost -= judged;
        }
        self.pending = 0;
        self.needless += judged;
        let left_out = usize::try_from(judged).unwrap_or(usize::MAX);
        let left = self.resent.len().saturating_sub(left_out);
        self.resent.truncate(left);
        self.last_lost = None;
    }

    /// The other side acknowledged some of it, or all: then `rest` is `None`. `unacked` is what
    /// waited until now; `soonest`: no acknowledgment of the newest retransmission comes sooner.
    pub(super) fn on_acked(&mut self, unacked: &Unacked, acked: Acknowledged, soonest: Duration) {
        let at = acked.at;
        if let (Some(first), Some(begin), Some(last)) =
            (unacked.first, unacked.again.first(), unacked.last)
        {
            if self.pending > 0 && at.time.saturating_since(last.time) < soonest {
                self.on_spurious();
            }
            if self.pending > 0 {
                self.lost += std::mem::take(&mut self.pending);
                let recovery = Recovery {
                    first,
                    again: (*begin, last),
                    count: unacked.again_count,
                    lens: unacked.again_lens,
                    acked: at,
                    heard: acked.heard,
                };
                keep_longest(&mut self.recoveries, recovery, Recovery::len);
            }
        } else if acked.all {
            self.largest_delivered = self.largest_delivered.max(self.largest_waiting);
        }
        if acked.all {
            self.largest_waiting = 0;
            self.on_all_acked(&acked);
        }
    }

    fn on_all_acked(&mut self, acked: &Acknowledged) {
        let Some(payload) = acked.newest else { return };
        let waited = acked.at.time.saturating_since(payload.time);
        let short = self.last_len < acked.mss;
        if short && waited >= DELAYED.0 && waited <= DELAYED.1 {
            self.waited = Some((payload, acked.at));
        }
    }

    /// A keep-alive of this side.
    pub(super) fn on_keep_alive(&mut self, at: PacketRef) {
        self.keep_alives.run = Some(match self.keep_alives.run {
            Some((count, first, _)) => (count.saturating_add(1), first, at),
            None => (1, at, at),
        });
    }

    /// A tenth of a second is over.
    pub(super) fn on_bin(&mut self, bin: &Bin) {
        self.most_in_flight = self.most_in_flight.max(bin.in_flight);
        if bin.bytes < BUSY_BYTES {
            self.run = None;
            return;
        }
        self.busy += 1;
        if bin.full == Some(true) {
            self.full += 1;
            self.first_full.get_or_insert(bin.at);
        }
        match &mut self.run {
            Some(run) if run.goes_on(bin) => run.add(bin),
            run => *run = Some(SteadyRate::begin(bin)),
        }
        if self.steady.map_or(0, |steady| steady.bins) < self.run.map_or(0, |run| run.bins) {
            self.steady = self.run;
        }
    }
}

/// An acknowledgment that advanced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledged {
    pub(super) at: PacketRef,
    /// Nothing is left.
    pub(super) all: bool,
    /// The newest payload that it covers.
    pub(super) newest: Option<PacketRef>,
    /// The packet of the acknowledging side before it.
    pub(super) heard: Option<PacketRef>,
    /// The longest segment that this side may send.
    pub(super) mss: u32,
}

/// Keeps the longest, longest first.
pub(super) fn keep_longest<T>(kept: &mut Vec<T>, item: T, len: impl Fn(&T) -> Duration) {
    if kept.len() == WORST && kept.last().is_some_and(|last| len(last) >= len(&item)) {
        return;
    }
    let place = kept.partition_point(|other| len(other) >= len(&item));
    kept.insert(place, item);
    kept.truncate(WORST);
}
