//! Spans in which nothing moved: silences, closed windows, payload that nobody acknowledges.

use std::time::Duration;

use crate::stream::PacketRef;

/// Rationale: a report shows a handful; beyond that only the count matters.
pub(super) const KEPT: usize = 16;

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
}

impl ZeroWindow {
    pub(super) fn opened(&mut self, at: PacketRef) {
        let Some(since) = self.since.take() else {
            return;
        };
        let span = at.time.saturating_since(since.time);
        self.episodes += 1;
        self.total = self.total.saturating_add(span);
        if self.longest.is_none_or(|(longest, ..)| span > longest) {
            self.longest = Some((span, since, at));
        }
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
}

impl Unacked {
    pub(super) fn sent_again(&mut self, at: PacketRef) {
        if self.first.is_none() {
            return;
        }
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
