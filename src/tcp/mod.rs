//! TCP as a bystander sees it (RFC 9293): two half-streams put in order, and
//! what the segments tell about the endpoints and the path.
//!
//! Neither side is ours: nothing is answered, nothing is assumed delivered
//! unless the peer acknowledged it.

mod age;
mod closing;
mod early;
mod event;
mod faint;
mod half;
mod held;
mod pace;
mod patience;
mod recent;
mod resent;
mod rtt;
mod sample;
mod trace;
mod window;

pub use age::Age;
pub use closing::Reset;
pub use event::{Event, Output};
pub use pace::Bin;
pub use patience::Patience;

use crate::packet::{Segment, Seq};
use crate::stream::{Direction, GapCause, PacketRef, Sides};
use half::{Half, Taken};

/// One TCP connection.
#[derive(Debug)]
pub struct Connection {
    halves: Sides<Half>,
    patience: Patience,
    /// A reset that ends both streams as soon as nothing from before it can still come.
    ending: Option<Ending>,
}

/// A reset that its receiver takes.
#[derive(Clone, Copy, Debug)]
struct Ending {
    direction: Direction,
    at: PacketRef,
    /// Where it stands in its sender's stream.
    offset: u64,
}

impl Connection {
    /// A connection of which nothing was seen yet.
    pub fn new(patience: Patience) -> Self {
        Self {
            halves: Sides::default(),
            patience,
            ending: None,
        }
    }

    /// Takes a segment; `direction` says which side sent it.
    pub fn on_segment(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let at = segment.at;
        let heard = self.halves[direction.reverse()].last_segment;
        if let Some(copied) = self.halves[direction].copied(segment, heard) {
            out(Output::Fact(Event::Duplicate {
                direction,
                at,
                first: copied.first(),
            }));
            self.halves.client.recent.expect_copies();
            self.halves.server.recent.expect_copies();
            return;
        }
        // A capture may have its records out of order; what is stamped earlier came earlier.
        if self.ending.is_some_and(|ending| at.time >= ending.at.time) {
            self.end_by_reset(out);
        }
        let half = &self.halves[direction];
        let after = half.reset.is_some_and(|reset| at.time >= reset.time);
        if after && !segment.flags.rst() && !half.recent.is_from_before(segment) {
            out(Output::Fact(Event::SentAfterReset { direction, at }));
        }
        if segment.flags.syn() {
            self.on_syn(direction, segment, out);
        }
        if segment.flags.ack() {
            self.on_ack(direction, segment, out);
        }
        if segment.flags.rst() {
            self.on_reset(direction, segment, out);
        } else {
            self.on_window(direction, segment, out);
            self.on_payload(direction, segment, out);
        }
        self.halves[direction].remember(segment);
        for direction in Direction::BOTH {
            self.settle(direction, at, out);
        }
    }

    fn on_syn(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        self.halves[direction].window.on_syn(segment);
        let repeated = self.halves[direction].on_syn(segment);
        out(Output::Fact(Event::Syn {
            direction,
            at: segment.at,
            acknowledges: segment.flags.ack(),
            repeated,
            mss: segment.options.mss,
        }));
    }

    /// The acknowledgment speaks about what the *other* side sent.
    fn on_ack(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let sent = direction.reverse();
        let opening = segment.flags.syn() || self.halves[direction].is_opening(segment);
        let half = &mut self.halves[sent];
        if half.sent_in_vain(segment) {
            let (direction, at) = (sent, segment.at);
            out(Output::Fact(Event::Spurious { direction, at }));
        }
        let Some(ack) = half.on_ack(segment, opening) else {
            return;
        };
        if let Some(nanos) = ack.round_trip {
            out(Output::Fact(Event::RoundTrip {
                direction: sent,
                at: segment.at,
                nanos,
            }));
        }
        if let Some(upto) = ack.advanced_to {
            let (at, covers) = (segment.at, ack.covers);
            out(Output::Fact(Event::Acked {
                direction: sent,
                upto,
                at,
                covers,
            }));
        }
    }

    fn on_window(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let at = segment.at;
        match self.halves[direction].window.on_segment(segment) {
            Some(window::Change::Closed) => {
                out(Output::Fact(Event::WindowClosed { direction, at }));
            }
            Some(window::Change::Opened) => {
                out(Output::Fact(Event::WindowOpened { direction, at }));
            }
            None => {}
        }
    }

    fn on_payload(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let at = segment.at;
        let accepts = self.halves[direction.reverse()].window;
        let peer_closed = accepts.is_closed();
        let half = &mut self.halves[direction];
        if segment.wire_len > 0 || half.is_probe(segment) {
            let (len, taken) = (segment.wire_len, half.classify(segment, peer_closed));
            match taken {
                Taken::New => {
                    out(Output::Fact(Event::Payload { direction, at, len }));
                    if let Some(bin) = half.pace(segment, accepts) {
                        out(Output::Fact(Event::Bin { direction, bin }));
                    }
                }
                Taken::Late => {
                    half.came_late(segment);
                    out(Output::Fact(Event::OutOfOrder { direction, at }));
                    out(Output::Fact(Event::Payload { direction, at, len }));
                }
                Taken::Again { offset } => {
                    let acked = half.sent_again(offset, segment);
                    out(Output::Fact(Event::Retransmission {
                        direction,
                        at,
                        offset,
                        len,
                        acked,
                    }));
                }
                Taken::Probe => out(Output::Fact(Event::Probe { direction, at })),
            }
            if let Some(acked) = half.acked_before(segment) {
                out(Output::Fact(Event::AckedEarly {
                    direction,
                    at,
                    acked,
                }));
            }
            half.take(direction, segment, out);
            if let Some((upto, ack)) = half.overtaken(segment) {
                out(Output::Fact(Event::Acked {
                    direction,
                    upto,
                    at: ack,
                    covers: Some(at),
                }));
            }
        }
        if segment.flags.fin() {
            let repeated = half.on_fin(segment);
            out(Output::Fact(Event::Fin {
                direction,
                at,
                repeated,
            }));
        }
        half.end_if_complete(direction, out);
    }

    fn on_reset(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let reset = closing::reset(
            direction,
            segment,
            &self.halves[direction],
            &self.halves[direction.reverse()],
        );
        let counts = reset.in_window;
        out(Output::Fact(Event::Reset(reset)));
        if !counts {
            return;
        }
        let (own, at) = (&mut self.halves[direction], segment.at);
        own.reset = Some(at);
        let offset = own.place_of(segment);
        self.ending.get_or_insert(Ending {
            direction,
            at,
            offset,
        });
    }

    fn end_by_reset(&mut self, out: &mut impl FnMut(Output<'_>)) {
        let Some(ending) = self.ending.take() else {
            return;
        };
        let (direction, at) = (ending.direction, ending.at);
        let own = &mut self.halves[direction];
        own.flush(direction, at, out);
        own.reach(direction, ending.offset, at, out);
        for direction in Direction::BOTH {
            self.halves[direction].flush(direction, at, out);
            self.halves[direction].end(direction, at, out);
        }
    }

    /// Gives up holes that can't be filled any more.
    fn settle(&mut self, direction: Direction, now: PacketRef, out: &mut impl FnMut(Output<'_>)) {
        let reverse_seen = self.halves[direction.reverse()].segments > 0;
        let patience = self.patience;
        self.halves[direction].settle(direction, now, &patience, reverse_seen, out);
    }

    /// The capture, or what we keep of this connection, is over: hands over
    /// what is held, holes as gaps.
    pub fn finish(&mut self, at: PacketRef, out: &mut impl FnMut(Output<'_>)) {
        self.end_by_reset(out);
        for direction in Direction::BOTH {
            self.halves[direction].flush(direction, at, out);
        }
    }

    /// Gives up all holes for want of memory: hands over what is held.
    pub fn give_up(&mut self, at: PacketRef, out: &mut impl FnMut(Output<'_>)) {
        for direction in Direction::BOTH {
            self.halves[direction].give_up(direction, at, GapCause::LimitReached, out);
        }
    }

    /// Bytes of memory held, both directions.
    pub fn buffered(&self) -> usize {
        self.halves.client.held.bytes() + self.halves.server.held.bytes()
    }

    /// Where this segment's payload ends in its sender's stream, and how much its sender had of
    /// the other one; `None` while the numbers of either aren't known.
    pub fn place_of(&self, direction: Direction, segment: &Segment<'_>) -> Option<(u64, u64)> {
        let (own, peer) = (&self.halves[direction], &self.halves[direction.reverse()]);
        let start = own.offset_of(segment.seq.plus(u32::from(segment.flags.syn())))?;
        let end = start.saturating_add(i64::from(segment.wire_len));
        let acked = peer.offset_of(segment.ack)?;
        Some((u64::try_from(end).ok()?, u64::try_from(acked).ok()?))
    }

    /// Payload was seen in this direction.
    pub fn has_payload(&self, direction: Direction) -> bool {
        self.halves[direction].highest > 0
    }

    /// A SYN of this direction was seen.
    pub fn has_syn(&self, direction: Direction) -> bool {
        self.halves[direction].isn.is_some()
    }

    /// Both sides have ended, by FIN or reset.
    pub fn is_closed(&self) -> bool {
        self.ending.is_some() || self.halves.client.ended && self.halves.server.ended
    }

    /// A SYN, or its answer, with these numbers opens another connection between the same
    /// endpoints, rather than repeating this one's (RFC 9293, section 3.6.1).
    pub fn is_new_opening(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let (own, peer) = (&self.halves[direction], &self.halves[direction.reverse()]);
        if !segment.flags.syn() {
            return false;
        }
        if segment.flags.ack() {
            // The SYN before it was not captured. Both numbers have to be others: a
            // server that keeps no state may answer a repeated SYN with a new one of its own.
            let answers_another = peer.isn.is_some_and(|isn| isn.plus(1) != segment.ack);
            return answers_another && own.isn.is_some_and(|isn| isn != segment.seq);
        }
        match own.isn {
            Some(isn) => isn != segment.seq,
            // Whatever came before was the end of an older connection.
            None => {
                let seen = self.halves.client.segments + self.halves.server.segments > 0;
                seen && !self.crosses_opening(direction)
                    && !self.was_refused(direction, segment)
                    && !self.began_with(direction, segment)
            }
        }
    }

    /// The peer has sent its SYN and nothing else, and this side nothing yet: two SYNs
    /// that cross open one connection (RFC 9293, section 3.5: simultaneous open).
    fn crosses_opening(&self, direction: Direction) -> bool {
        let (own, peer) = (&self.halves[direction], &self.halves[direction.reverse()]);
        let only_syn = peer.isn.is_some() && peer.highest == 0 && peer.fin.is_none();
        own.segments == 0 && only_syn && peer.reset.is_none()
    }

    /// The capture has the reset that refuses this SYN before it.
    fn was_refused(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let (own, peer) = (&self.halves[direction], &self.halves[direction.reverse()]);
        own.segments == 0 && own.begins_at(segment.seq.plus(1)) && peer.refuses(segment.at)
    }

    /// The capture has this SYN behind packets of its connection: it is stamped earlier, and
    /// stands before them.
    fn began_with(&self, direction: Direction, syn: &Segment<'_>) -> bool {
        let last = |half: &Half| half.last_segment.map(|at| at.time);
        let newest = last(&self.halves.client).max(last(&self.halves.server));
        Some(syn.at.time) < newest && self.halves[direction].is_behind(syn.seq.plus(1))
    }

    /// Exchanges the two sides: the first guess at who is the client was wrong.
    pub fn swap_sides(&mut self) {
        self.halves.swap();
        if let Some(ending) = &mut self.ending {
            ending.direction = ending.direction.reverse();
        }
    }
}

/// A 64-bit stream offset for a sequence number near `next`.
fn unwrap_offset(base: Seq, next: u64, seq: Seq) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "modulo 2^32 is what is meant"
    )]
    let expected = base.plus(next as u32);
    let near = i64::try_from(next).unwrap_or(i64::MAX);
    near.saturating_add(i64::from(seq.distance(expected)))
}

#[cfg(test)]
mod tests;
