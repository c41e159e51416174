//! What a segment's payload is to a bystander: new, late, sent again, or none at all.

use std::cmp::Ordering;

use super::{Half, first_byte};
use crate::packet::Segment;
use crate::stream::PacketRef;
use crate::tcp::Age;
use crate::tcp::held::Origin;
use crate::tcp::trace::Surroundings;

/// What a payload is to a bystander.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Taken {
    New,
    Late,
    Again { offset: u64 },
    Probe,
}

/// A segment that was captured before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Copied {
    /// This is the first copy.
    Of(PacketRef),
    /// Too far back to know the first copy.
    LongAgo,
}

impl Copied {
    pub(in crate::tcp) fn first(self) -> Option<PacketRef> {
        match self {
            Self::Of(first) => Some(first),
            Self::LongAgo => None,
        }
    }
}

impl Half {
    /// A segment that carries no byte and stands one before the next: a
    /// keep-alive, or a zero-window probe of Linux.
    pub(in crate::tcp) fn is_probe(&self, segment: &Segment<'_>) -> bool {
        let flags = segment.flags;
        segment.wire_len == 0
            && !flags.syn()
            && !flags.fin()
            && self.highest_offset().is_some_and(|highest| {
                self.offset_of(segment.seq) == Some(highest.saturating_sub(1))
            })
    }

    fn highest_offset(&self) -> Option<i64> {
        self.base?;
        i64::try_from(self.highest).ok()
    }

    /// Whether the segment was captured before. `heard` is the newest packet of the other side.
    pub(in crate::tcp) fn copied(
        &self,
        segment: &Segment<'_>,
        heard: Option<PacketRef>,
    ) -> Option<Copied> {
        let start = self.offset_of(first_byte(segment));
        if self.is_beyond_all(start, segment) {
            return None;
        }
        let acked = self.acked.and_then(|acked| i64::try_from(acked).ok());
        let around = Surroundings {
            heard,
            acknowledged: start < acked,
            probe: self.is_probe(segment),
        };
        if let Some(first) = self.recent.copy_of(segment, &around) {
            return Some(Copied::Of(first));
        }
        let known = segment.wire_len > 0 && self.has(start, segment.wire_len);
        if (known || segment.wire_len == 0) && self.recent.is_copy_of_older(segment) {
            return Some(Copied::LongAgo);
        }
        // A record out of order was sent before those that the capture has in front of it:
        // they may be what was sent again of it.
        let in_order = self.last_segment.is_none_or(|last| last <= segment.at);
        let earlier = || {
            in_order
                && (self.recent.is_stamped_earlier(segment)
                    || self.recent.is_numbered_earlier(segment))
        };
        (known && (earlier() || self.recent.is_cut_anew(segment, &around)))
            .then_some(Copied::LongAgo)
    }

    /// The usual payload: it ends behind every byte that was seen or given up, so no
    /// segment of its place and length came before.
    pub(super) fn is_beyond_all(&self, start: Option<i64>, segment: &Segment<'_>) -> bool {
        // One byte may be a keep-alive's, and a reset's payload is none of the stream:
        // they are remembered without having been taken.
        segment.wire_len > 1
            && !self.recent.has_reset()
            && start.is_some_and(|start| {
                let end = start.saturating_add(i64::from(segment.wire_len));
                u64::try_from(end).is_ok_and(|end| end > self.highest.max(self.next))
            })
    }

    /// By what the other side's `segment` acknowledges: never less than before.
    pub(in crate::tcp) fn compared_acks(&self, segment: &Segment<'_>) -> Option<Age> {
        if !segment.flags.ack() || segment.flags.rst() {
            return None;
        }
        let acked = i64::try_from(self.acked?).ok()?;
        match self.offset_of(segment.ack)?.cmp(&acked) {
            Ordering::Equal => None,
            Ordering::Greater => Some(Age::Newer),
            Ordering::Less => Some(Age::Older),
        }
    }

    /// By where it ends: `end` is its offset. What has no payload isn't sent again; one
    /// byte less is a keep-alive.
    pub(in crate::tcp) fn compared_ends(&self, end: i64, segment: &Segment<'_>) -> Option<Age> {
        let highest = i64::try_from(self.highest).ok()?;
        match end.cmp(&highest) {
            Ordering::Greater => Some(Age::Newer),
            Ordering::Less if segment.wire_len == 0 && end.saturating_add(1) < highest => {
                Some(Age::Older)
            }
            Ordering::Less | Ordering::Equal => None,
        }
    }

    /// Every byte from `start` on, `len` of them, was seen.
    fn has(&self, start: Option<i64>, len: u32) -> bool {
        let Some(start) = start.and_then(|start| u64::try_from(start).ok()) else {
            return false;
        };
        let len = u64::from(len);
        start.saturating_add(len) <= self.next || self.held.covers(start, len)
    }

    /// What the payload is, before it is taken.
    pub(in crate::tcp) fn classify(&self, segment: &Segment<'_>, peer_closed: bool) -> Taken {
        let Some(offset) = self.offset_of(first_byte(segment)) else {
            return Taken::New;
        };
        let end = offset.saturating_add(i64::from(segment.wire_len));
        let highest = i64::try_from(self.highest).unwrap_or(i64::MAX);
        let acked = i64::try_from(self.acked.unwrap_or(0)).unwrap_or(i64::MAX);
        if segment.wire_len <= 1 && (end == highest && end <= acked || peer_closed) {
            return Taken::Probe;
        }
        if segment.wire_len == 0 {
            return Taken::Probe;
        }
        let start = u64::try_from(offset).unwrap_or(0);
        if end <= highest {
            let next = i64::try_from(self.next).unwrap_or(i64::MAX);
            let known = end <= next || self.held.covers(start, u64::from(segment.wire_len));
            return match known || self.is_resent(segment) {
                true => Taken::Again { offset: start },
                false => Taken::Late,
            };
        }
        Taken::New
    }

    /// The acknowledgment of what overtook this segment covers it as well.
    pub(in crate::tcp) fn came_late(&mut self, segment: &Segment<'_>) {
        let end = self
            .offset_of(first_byte(segment))
            .map(|start| start.saturating_add(i64::from(segment.wire_len)));
        if let Some(end) = end.and_then(|end| u64::try_from(end).ok()) {
            self.in_flight.overtaken(end, segment.at);
        }
    }

    /// A segment that fills a hole: was it overtaken on the way, or lost
    /// before the capture point and sent again? The IP identification counts
    /// up as segments are sent; without it, 3 ms decide.
    fn is_resent(&self, segment: &Segment<'_>) -> bool {
        let Some(Origin { seen, ip_id }) = self.hole else {
            return false;
        };
        match (segment.ip_id, ip_id) {
            (Some(this), Some(after)) if this != 0 && after != 0 && this != after => {
                this.wrapping_sub(after) < 0x8000
            }
            // Rationale: reordering on one path takes less than 3 ms; no
            // retransmission of a lost segment comes sooner than a round trip.
            _ => segment.at.time.saturating_since(seen.time).as_millis() >= 3,
        }
    }
}
