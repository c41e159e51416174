//! One direction of a connection: its bytes in order, each at most once, and
//! what is missing of them.
//!
//! ```text
//!        acked        next                      highest
//!          |           |                           |
//!  ========+===========+......hole......[held][held]   stream offset ->
//!  delivered upwards   |                 copied, waiting
//! ```

use super::held::{Held, Origin};
use super::recent::Recent;
use super::rtt::InFlight;
use super::window::Window;
use super::{Event, Output, Patience, unwrap_offset};
use crate::packet::{Segment, Seq};
use crate::stream::{Chunk, Direction, Gap, GapCause, PacketRef, StreamEvent};

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
    pub(super) reset: bool,
    pub(super) held: Held,
    /// What showed the hole at `next`: a segment from behind it.
    hole: Option<Origin>,
    in_flight: InFlight,
    pub(super) window: Window,
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

/// What a payload is to a bystander.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    New,
    Late,
    Again { offset: u64 },
    Probe,
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
        if self.base.is_none() {
            self.isn = Some(segment.seq);
            self.base = Some(segment.seq.plus(1));
        }
        repeated
    }

    /// Offset of a sequence number; negative for what lies before the stream's
    /// first known byte. `None` while that isn't known.
    pub(super) fn offset_of(&self, seq: Seq) -> Option<i64> {
        Some(unwrap_offset(self.base?, self.next, seq))
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
        if !segment.flags.rst() {
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
        let settled = self.in_flight.acked(upto, segment.at);
        let advanced_to = (upto > 0 && !(first && self.highest == 0)).then_some(upto);
        Some(Ack {
            advanced_to,
            covers: settled.covers,
            round_trip: settled.round_trip,
        })
    }

    /// A FIN takes a sequence number, but is no byte of the stream.
    fn without_fin(&self, acked: u64) -> u64 {
        match self.fin {
            Some((fin, _)) if acked == fin.saturating_add(1) => fin,
            _ => acked,
        }
    }

    /// A segment that carries no byte and stands one before the next: a
    /// keep-alive, or a zero-window probe of Linux.
    pub(super) fn is_probe(&self, segment: &Segment<'_>) -> bool {
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

    /// A copy of a packet that was captured before, however far back: all of
    /// its bytes were seen, and what is sent again is stamped anew.
    pub(super) fn is_copy(&self, segment: &Segment<'_>) -> bool {
        if segment.wire_len == 0 || !self.recent.is_stamped_earlier(segment) {
            return false;
        }
        let Some(start) = self
            .offset_of(segment.seq)
            .and_then(|o| u64::try_from(o).ok())
        else {
            return false;
        };
        let len = u64::from(segment.wire_len);
        start.saturating_add(len) <= self.next || self.held.covers(start, len)
    }

    /// What the payload is, before it is taken.
    pub(super) fn classify(&self, segment: &Segment<'_>, peer_closed: bool) -> Taken {
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

    /// Hands over what is in order and keeps what came early.
    pub(super) fn take(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let at = segment.at;
        if segment.wire_len == 0 {
            return;
        }
        if self.isn.is_none() && self.highest == 0 && self.next == 0 {
            // A keep-alive's byte is no beginning: it was acknowledged before.
            if segment.wire_len == 1 && self.offset_of(segment.seq) == Some(-1) {
                return;
            }
            self.begin_mid_stream(direction, segment, out);
        }
        let Some(offset) = self.offset_of(first_byte(segment)) else {
            return;
        };
        let end = offset.saturating_add(i64::from(segment.wire_len));
        let Ok(end) = u64::try_from(end) else { return };
        let start = u64::try_from(offset).unwrap_or(0);
        if self.recent.contradicts(segment) {
            out(Output::Fact(Event::Conflict {
                direction,
                at,
                offset: start,
            }));
        }
        if end > self.highest {
            self.highest = end;
            self.in_flight.sent(end, at);
        } else {
            self.in_flight.sent_again(start);
        }
        if end <= self.next {
            return;
        }
        let next = i64::try_from(self.next).unwrap_or(i64::MAX);
        let skip = u64::try_from(next.saturating_sub(offset)).unwrap_or(0);
        let (bytes, cut) = trim(segment, skip);
        if start <= self.next && self.held.is_empty() {
            self.deliver(direction, bytes, cut, at, at, out);
            return;
        }
        let origin = Origin {
            seen: at,
            ip_id: segment.ip_id,
        };
        if start > self.next {
            self.hole.get_or_insert(origin);
        }
        if self.held.insert(start.max(self.next), bytes, cut, origin) {
            out(Output::Fact(Event::Conflict {
                direction,
                at,
                offset: start,
            }));
        }
        self.drain(direction, at, out);
    }

    /// Without a SYN the stream begins with the first payload that was seen.
    fn begin_mid_stream(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        self.base = Some(segment.seq);
        self.acked = None;
        self.unseen = None;
        out(Output::Stream(StreamEvent::Gap(Gap {
            direction,
            offset: 0,
            len: None,
            cause: GapCause::BeganMidStream,
            at: segment.at,
        })));
    }

    /// Hands bytes that are next in order to the layer above.
    fn deliver(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        cut: u64,
        seen: PacketRef,
        released: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if !bytes.is_empty() {
            let offset = self.next;
            self.next = self.next.saturating_add(bytes.len() as u64);
            out(Output::Stream(StreamEvent::Chunk(Chunk {
                direction,
                offset,
                bytes,
                seen,
                released,
            })));
        }
        if cut > 0 {
            self.gap(direction, cut, GapCause::SnapLength, seen, out);
        }
    }

    fn gap(
        &mut self,
        direction: Direction,
        len: u64,
        cause: GapCause,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let offset = self.next;
        self.next = self.next.saturating_add(len);
        let gap = Gap {
            direction,
            offset,
            len: Some(len),
            cause,
            at,
        };
        out(Output::Stream(StreamEvent::Gap(gap)));
    }

    /// Hands over held pieces that have become next in order.
    fn drain(
        &mut self,
        direction: Direction,
        released: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        while self.held.start().is_some_and(|start| start <= self.next) {
            let Some((offset, piece)) = self.held.pop() else {
                break;
            };
            let skip = usize::try_from(self.next.saturating_sub(offset)).unwrap_or(usize::MAX);
            let bytes = piece.bytes.get(skip..).unwrap_or(&[]);
            let seen = piece.origin.seen;
            self.deliver(direction, bytes, piece.cut, seen, released, out);
            // The next hole, if there is one.
            self.hole = self.held.origin();
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

    /// Gives up the first hole when waiting for it has become pointless.
    pub(super) fn settle(
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
    pub(super) fn give_up(
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
    pub(super) fn flush(
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
}

impl Half {
    /// A reset stands behind all that its sender sent: what is missing up to there was sent.
    pub(super) fn reach(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let offset = self.offset_of(segment.seq).unwrap_or(0);
        let end = self.without_fin(u64::try_from(offset).unwrap_or(0));
        if self.segments > 0 && end > self.next {
            let len = end.saturating_sub(self.next);
            self.gap(direction, len, GapCause::NotCaptured, segment.at, out);
            self.highest = self.highest.max(end);
        }
    }
}

/// Sequence number of the first payload byte: a SYN takes one before it (RFC 9293, section 3.4).
fn first_byte(segment: &Segment<'_>) -> Seq {
    segment.seq.plus(u32::from(segment.flags.syn()))
}

/// The captured bytes after the first `skip`, and how many more the snap length cut.
fn trim<'a>(segment: &Segment<'a>, skip: u64) -> (&'a [u8], u64) {
    let captured = segment.payload.len() as u64;
    let wire = u64::from(segment.wire_len);
    let from = usize::try_from(skip).unwrap_or(usize::MAX);
    let bytes = segment.payload.get(from..).unwrap_or(&[]);
    let cut = wire.saturating_sub(captured.max(skip));
    (bytes, cut)
}

fn nanos_since(earlier: PacketRef, now: PacketRef) -> u64 {
    u64::try_from(now.time.saturating_since(earlier.time).as_nanos()).unwrap_or(u64::MAX)
}
