//! Bytes in order to the layer above; what came early waits.

use super::{Half, first_byte};
use crate::packet::Segment;
use crate::stream::{Chunk, Direction, Gap, GapCause, PacketRef, StreamEvent};
use crate::tcp::held::Origin;
use crate::tcp::{Event, Output};

impl Half {
    /// Hands over what is in order and keeps what came early.
    pub(in crate::tcp) fn take(
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
        if !self.is_beyond_all(Some(offset), segment) && self.recent.contradicts(segment) {
            out(Output::Fact(Event::Conflict {
                direction,
                at,
                offset: start,
            }));
        }
        if end > self.highest {
            self.highest = end;
            // What is acknowledged already isn't on its way: the capture is out of order.
            if self.acked.is_none_or(|acked| end > acked) {
                self.in_flight.sent(end, at);
            }
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

    pub(super) fn gap(
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
    pub(super) fn drain(
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
            // What came behind a hole of the capture wasn't held up by it.
            self.deliver(direction, bytes, piece.cut, seen, released.max(seen), out);
            // The next hole, if there is one.
            self.hole = self.held.origin();
        }
    }
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
