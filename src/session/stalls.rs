//! Spans in which nothing moved: silences, closed windows, payload that nobody acknowledges.

use std::time::Duration;

use crate::stream::PacketRef;

/// Rationale: a report shows a handful; beyond that only the count matters.
pub(super) const KEPT: usize = 16;

/// Rationale: what waited in the sender's buffers goes out within some round trips.
const RELEASED: Duration = Duration::from_secs(1);

/// Spans in which a side accepted no data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZeroWindow {
    /// How many.
    pub episodes: u32,
    /// All of them together, closed ones only.
    pub total: Duration,
    /// The longest, and where it began and ended.
    pub longest: Option<(Duration, PacketRef, PacketRef)>,
    /// Still closed, since here.
    pub since: Option<PacketRef>,
    /// Where the newest one began and ended.
    pub newest: Option<(PacketRef, PacketRef)>,
    /// Payload bytes of the other side within a second after a closed window opened, all together:
    /// they had waited.
    pub released: u64,
    /// Zero-window probes of the other side: it has data that waits.
    pub probes: u64,
}

impl ZeroWindow {
    pub(super) fn opened(&mut self, at: PacketRef) {
        let Some(since) = self.since.take() else {
            return;
        };
        let span = at.time.saturating_since(since.time);
        self.newest = Some((since, at));
        self.episodes += 1;
        self.total = self.total.saturating_add(span);
        if self.longest.is_none_or(|(longest, ..)| span > longest) {
            self.longest = Some((span, since, at));
        }
    }

    /// Payload of the other side.
    #[inline]
    pub(super) fn on_payload(&mut self, at: PacketRef, len: u32) {
        if let Some((_, opened)) = self.newest
            && at.time.saturating_since(opened.time) <= RELEASED
        {
            self.released = self.released.saturating_add(u64::from(len));
        }
    }

    /// All of them together, the one that is open until `end` included.
    pub fn total_until(&self, end: PacketRef) -> Duration {
        let open = self
            .since
            .map(|since| end.time.saturating_since(since.time));
        self.total.saturating_add(open.unwrap_or_default())
    }
}

/// A time without payload from anyone, which payload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// How long.
    pub len: Duration,
    /// The last payload before it.
    pub from: PacketRef,
    /// The payload that ended it.
    pub to: PacketRef,
}

/// Payload of one sender that its peer has not acknowledged, since the last acknowledgment that advanced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unacked {
    /// The first of it; `None` if all is acknowledged. After an acknowledgment
    /// of a part, the newest payload at that time.
    pub first: Option<PacketRef>,
    /// The newest packet of either side before it.
    pub after: Option<PacketRef>,
    /// When it was sent again: the first 16 times.
    pub again: Vec<PacketRef>,
    /// How often.
    pub again_count: u64,
    /// The newest of these.
    pub last: Option<PacketRef>,
    /// Bytes of the shortest and of the longest of them.
    pub again_lens: (u32, u32),
}

impl Unacked {
    pub(super) fn sent_again(&mut self, at: PacketRef, len: u32) {
        if self.first.is_none() {
            return;
        }
        self.again_lens = match self.again_lens {
            _ if self.again_count == 0 => (len, len),
            (shortest, longest) => (shortest.min(len), longest.max(len)),
        };
        keep(&mut self.again, at);
        self.again_count += 1;
        self.last = Some(at);
    }

    pub(super) fn acknowledged(&mut self, rest: Option<PacketRef>) {
        self.first = rest;
        self.after = None;
        self.again.clear();
        self.again_count = 0;
        self.last = None;
    }
}

pub(super) fn keep<T>(kept: &mut Vec<T>, item: T) {
    if kept.len() < KEPT {
        // Rationale: most connections have one of a kind, or two.
        if kept.len() < 2 {
            kept.reserve_exact(1);
        }
        kept.push(item);
    }
}
