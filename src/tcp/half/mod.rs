//! One direction of a connection: its bytes in order, each at most once, and
//! what is missing of them.
//!
//! ```text
//!        acked        next                      highest
//!          |           |                           |
//!  ========+===========+......hole......[held][held]   stream offset ->
//!  delivered upwards   |                 copied, waiting
//! ```

mod classify;
mod delivery;
mod flow;
mod holes;

use super::early::EarlyAcks;
use super::held::{Held, Origin};
use super::pace::Pace;
use super::recent::Recent;
use super::resent::Resent;
use super::rtt::InFlight;
use super::window::Window;
use super::{Output, unwrap_offset};
use crate::packet::{Segment, Seq};
use crate::stream::{Direction, PacketRef, StreamEvent};
pub(super) use classify::Taken;

/// What one side sent.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Sequence number of its SYN.
    pub(super) isn: Option<Seq>,
    /// Sequence number of stream offset 0.
    base: Option<Seq>,
    /// Offset of the next byte for the layer above.
    next: u64,
    /// Offset after the last byte seen.
    pub(super) highest: u64,
    /// What the other side acknowledged; may lie beyond `highest`.
    pub(super) acked: Option<u64>,
    /// Acknowledged bytes that the capture doesn't have: since when.
    unseen: Option<Unseen>,
    /// Offset of the FIN and its packet.
    pub(super) fin: Option<(u64, PacketRef)>,
    /// The layer above was told that nothing more comes.
    pub(super) ended: bool,
    /// This side sent a reset.
    pub(super) reset: Option<PacketRef>,
    pub(super) held: Held,
    /// What showed the hole at `next`: a segment from behind it.
    hole: Option<Origin>,
    in_flight: InFlight,
    early: EarlyAcks,
    pub(super) window: Window,
    pace: Pace,
    resent: Resent,
    pub(super) recent: Recent,
    /// Segments seen.
    pub(super) segments: u64,
    pub(super) last_segment: Option<PacketRef>,
    pub(super) timestamps: bool,
    /// TTL of the last segments, and how many in a row had it.
    pub(super) ttl: Option<(u8, u32)>,
}

/// The other side acknowledged bytes that were not captured.
#[derive(Clone, Copy, Debug)]
struct Unseen {
    /// The first of them.
    offset: u64,
    since: PacketRef,
    segments: u32,
}

/// What an acknowledgment changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) advanced_to: Option<u64>,
    pub(super) covers: Option<PacketRef>,
    pub(super) round_trip: Option<u64>,
}

impl Half {
    /// Returns true if the same SYN was seen before.
    pub(super) fn on_syn(&mut self, segment: &Segment<'_>) -> bool {
        let repeated = self.isn == Some(segment.seq);
        let first = segment.seq.plus(1);
        // An acknowledgment that was read before it has named the same place.
        if self.base.is_none_or(|base| base == first) {
            self.isn = Some(segment.seq);
            self.base = Some(first);
        }
        repeated
    }

    /// Offset of a sequence number; negative for what lies before the stream's
    /// first known byte. `None` while that isn't known.
    pub(super) fn offset_of(&self, seq: Seq) -> Option<i64> {
        Some(unwrap_offset(self.base?, self.next, seq))
    }

    /// Its stream begins with this number, as far as is known.
    pub(super) fn begins_at(&self, seq: Seq) -> bool {
        self.base == Some(seq)
    }

    /// What is known of it lies at most a window behind this number.
    pub(super) fn is_behind(&self, seq: Seq) -> bool {
        // Rationale: no window is larger than 1 GiB (RFC 7323, section 2.3).
        self.base
            .is_none_or(|base| (0..1 << 30).contains(&base.distance(seq)))
    }

    /// All that was seen of it is a reset that is stamped after `syn`.
    pub(super) fn refuses(&self, syn: PacketRef) -> bool {
        self.segments == 1 && self.reset.is_some_and(|reset| reset.time >= syn.time)
    }

    /// The first segment after this side's SYN, with nothing sent in between.
    pub(super) fn is_opening(&self, segment: &Segment<'_>) -> bool {
        self.isn.is_some_and(|isn| segment.seq == isn.plus(1)) && self.highest == 0
    }

    /// Takes note of a segment, after everything else was done with it.
    pub(super) fn remember(&mut self, segment: &Segment<'_>) {
        self.segments += 1;
        self.last_segment = Some(segment.at);
        self.timestamps |= segment.options.timestamps.is_some();
        // Copies of another capture point that weren't recognised have that point's TTL.
        let late = self.recent.is_from_before(segment) || self.recent.is_numbered_earlier(segment);
        if !segment.flags.rst() && !late {
            self.ttl = match self.ttl {
                Some((ttl, steady)) if ttl == segment.ttl => Some((ttl, steady.saturating_add(1))),
                _ => Some((segment.ttl, 1)),
            };
        }
        self.recent.remember(segment);
    }

    /// The other side's acknowledgment.
    ///
    /// `opening`: the other side has sent nothing but its SYN before it, so it
    /// acknowledges a SYN and no more.
    pub(super) fn on_ack(&mut self, segment: &Segment<'_>, opening: bool) -> Option<Ack> {
        // An acknowledgment of the SYN alone: a round trip of the handshake is
        // measured by the session, from the packets of SYN and SYN-ACK.
        if self.base.is_none() && opening {
            // The SYN itself was not captured, but its acknowledgment names it.
            self.isn = Some(Seq(segment.ack.0.wrapping_sub(1)));
        }
        let base = *self.base.get_or_insert(segment.ack);
        let offset = u64::try_from(unwrap_offset(base, self.next, segment.ack)).ok()?;
        let upto = self.without_fin(offset);
        if self.acked.is_some_and(|acked| upto <= acked) {
            return None;
        }
        // Rationale: no window is larger than 1 GiB (RFC 7323, section 2.3).
        if upto > self.highest.saturating_add(1 << 30) {
            return None;
        }
        let first = self.acked.is_none();
        self.acked = Some(upto);
        // One byte more may be a FIN that was not captured.
        let known = self.highest.saturating_add(u64::from(self.fin.is_none()));
        if upto > known || self.held.start().is_some_and(|start| upto >= start) {
            self.unseen.get_or_insert(Unseen {
                offset: self.next,
                since: segment.at,
                segments: 0,
            });
        }
        if upto > self.highest {
            self.early.acked(upto, segment.at);
        }
        let settled = self.in_flight.acked(upto, segment.at);
        let advanced_to = (upto > 0 && !(first && self.highest == 0)).then_some(upto);
        Some(Ack {
            advanced_to,
            covers: settled.covers,
            round_trip: settled.round_trip,
        })
    }

    /// The acknowledgment that was captured before the payload which it covers,
    /// and up to where it reaches.
    pub(super) fn overtaken(&self, segment: &Segment<'_>) -> Option<(u64, PacketRef)> {
        let unseen = self.unseen?;
        let acked = self.without_fin(self.acked?);
        let end = self
            .offset_of(first_byte(segment))?
            .saturating_add(i64::from(segment.wire_len));
        let covered = u64::try_from(end).is_ok_and(|end| end <= acked);
        covered.then_some((acked, unseen.since))
    }

    /// The acknowledgment of this payload, if it came before it.
    pub(super) fn acked_before(&mut self, segment: &Segment<'_>) -> Option<PacketRef> {
        if self.early.is_empty() {
            return None;
        }
        let start = self.offset_of(first_byte(segment))?;
        let end = start.saturating_add(i64::from(segment.wire_len));
        self.early.seen(start, u64::try_from(end).ok()?)
    }

    /// A FIN takes a sequence number, but is no byte of the stream.
    fn without_fin(&self, acked: u64) -> u64 {
        match self.fin {
            Some((fin, _)) if acked == fin.saturating_add(1) => fin,
            _ => acked,
        }
    }

    /// Notes a FIN; returns true if it was seen before.
    pub(super) fn on_fin(&mut self, segment: &Segment<'_>) -> bool {
        let offset = self
            .offset_of(first_byte(segment))
            .map_or(self.next, |o| u64::try_from(o).unwrap_or(0))
            .saturating_add(u64::from(segment.wire_len));
        let repeated = self.fin.is_some();
        self.fin.get_or_insert((offset, segment.at));
        repeated
    }

    /// Says the end once every byte before the FIN was handed over.
    pub(super) fn end_if_complete(
        &mut self,
        direction: Direction,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if let Some((_, at)) = self.fin.filter(|(fin, _)| *fin <= self.next) {
            self.end(direction, at, out);
        }
    }

    pub(super) fn end(
        &mut self,
        direction: Direction,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if !self.ended {
            self.ended = true;
            out(Output::Stream(StreamEvent::End(direction, at)));
        }
    }
}

/// Sequence number of the first payload byte: a SYN takes one before it (RFC 9293, section 3.4).
fn first_byte(segment: &Segment<'_>) -> Seq {
    segment.seq.plus(u32::from(segment.flags.syn()))
}
