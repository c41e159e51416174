//! Holes that nothing fills any more: how long they are waited for, and how
//! they become gaps.

use super::{Half, Unseen};
use crate::packet::Segment;
use crate::stream::{Direction, GapCause, PacketRef};
use crate::tcp::{Output, Patience};

impl Half {
    /// Gives up the first hole when waiting for it has become pointless.
    pub(in crate::tcp) fn settle(
        &mut self,
        direction: Direction,
        now: PacketRef,
        patience: &Patience,
        reverse_seen: bool,
        out: &mut impl FnMut(Output<'_>),
    ) {
        // The usual case: in order, nothing acknowledged that wasn't seen.
        if self.held.is_empty() && self.unseen.is_none() {
            return;
        }
        if let Some(since) = self.waited_in_vain(now, patience) {
            self.give_up_acked(direction, since, out);
        }
        let one_way = !reverse_seen
            && self
                .hole
                .is_some_and(|hole| nanos_since(hole.seen, now) >= patience.one_way_nanos);
        if one_way {
            self.give_up_first(direction, GapCause::NotCaptured, now, out);
        }
        while self.held.bytes() > patience.bytes {
            self.give_up_first(direction, GapCause::LimitReached, now, out);
        }
        self.end_if_complete(direction, out);
    }

    /// Whether acknowledged bytes have been waited for long enough, and since
    /// when. What comes after all starts the wait for the rest anew.
    fn waited_in_vain(&mut self, now: PacketRef, patience: &Patience) -> Option<PacketRef> {
        let acked = self.without_fin(self.acked.unwrap_or(0));
        let unseen = self.unseen.as_mut()?;
        if acked <= self.next {
            self.unseen = None;
            return None;
        }
        if unseen.offset < self.next {
            *unseen = Unseen {
                offset: self.next,
                since: now,
                segments: 0,
            };
        }
        unseen.segments = unseen.segments.saturating_add(1);
        let waited = nanos_since(unseen.since, now) >= patience.acked_nanos;
        (waited || unseen.segments >= patience.acked_segments).then_some(unseen.since)
    }

    /// Turns acknowledged holes into gaps. The application could have the
    /// bytes after them when the acknowledgment was sent, so that packet is
    /// what released them.
    fn give_up_acked(
        &mut self,
        direction: Direction,
        since: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let acked = self.without_fin(self.acked.unwrap_or(0));
        self.unseen = None;
        while self.next < acked {
            let end = self.held.start().unwrap_or(acked).min(acked);
            // One byte beyond everything is a FIN that was not captured.
            if self.fin.is_none() && self.held.is_empty() && end == self.highest.saturating_add(1) {
                break;
            }
            self.gap(
                direction,
                end.saturating_sub(self.next),
                GapCause::NotCaptured,
                since,
                out,
            );
            self.highest = self.highest.max(self.next);
            self.drain(direction, since, out);
        }
    }

    fn give_up_first(
        &mut self,
        direction: Direction,
        cause: GapCause,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let Some(start) = self.held.start() else {
            return;
        };
        if start > self.next {
            self.gap(direction, start.saturating_sub(self.next), cause, at, out);
        }
        self.drain(direction, at, out);
    }

    /// Hands over everything that is held, the holes before it as gaps.
    pub(in crate::tcp) fn give_up(
        &mut self,
        direction: Direction,
        at: PacketRef,
        cause: GapCause,
        out: &mut impl FnMut(Output<'_>),
    ) {
        while !self.held.is_empty() {
            self.give_up_first(direction, cause, at, out);
        }
        self.end_if_complete(direction, out);
    }

    /// Nothing more comes: hands over everything that is held, and tells what is missing.
    pub(in crate::tcp) fn flush(
        &mut self,
        direction: Direction,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if let Some(unseen) = self.unseen {
            self.give_up_acked(direction, unseen.since, out);
        }
        self.give_up(direction, at, GapCause::NotCaptured, out);
        // The FIN tells how many bytes there were.
        if let Some((fin, at)) = self.fin.filter(|(fin, _)| *fin > self.next) {
            let len = fin.saturating_sub(self.next);
            self.gap(direction, len, GapCause::NotCaptured, at, out);
            self.highest = self.highest.max(fin);
        }
        // The last number acknowledged was a byte's or a FIN's; the capture has neither.
        if self.fin.is_none() && self.acked == Some(self.next.saturating_add(1)) && self.next > 0 {
            self.gap(direction, 1, GapCause::NotCaptured, at, out);
        }
        self.end_if_complete(direction, out);
    }

    /// Where a reset stands in this side's stream; 0 where that isn't known.
    pub(in crate::tcp) fn place_of(&self, segment: &Segment<'_>) -> u64 {
        let offset = self.offset_of(segment.seq).unwrap_or(0);
        u64::try_from(offset).unwrap_or(0)
    }

    /// A reset stands behind all that its sender sent: what is missing up to there was sent.
    pub(in crate::tcp) fn reach(
        &mut self,
        direction: Direction,
        end: u64,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let end = self.without_fin(end);
        if self.segments > 0 && end > self.next {
            let len = end.saturating_sub(self.next);
            self.gap(direction, len, GapCause::NotCaptured, at, out);
            self.highest = self.highest.max(end);
        }
    }
}

fn nanos_since(earlier: PacketRef, now: PacketRef) -> u64 {
    u64::try_from(now.time.saturating_since(earlier.time).as_nanos()).unwrap_or(u64::MAX)
}
