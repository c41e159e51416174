//! What segments do to the transport side of a session's record.

use std::time::Duration;

use super::flow::Acknowledged;
use super::leg::{Leg, Unreachable};
use super::stalls::{Silence, keep};
use crate::stream::{Direction, Gap, PacketRef};
use crate::tcp::Event;

impl Leg {
    /// A segment came, whatever is in it.
    pub fn on_packet(&mut self, direction: Direction, at: PacketRef) {
        // A record that is out of order has nothing before it that it could follow.
        if self.newest_packet.is_none_or(|newest| newest <= at) {
            self.previous_packet = self.newest_packet;
            self.newest_packet = Some(at);
            self.heard_before[direction] = self.last_packet[direction].replace(at);
        } else {
            self.last_packet[direction] = self.last_packet[direction].max(Some(at));
        }
        if self.established.is_none()
            && direction == Direction::ClientToServer
            && let Some(syn_ack) = self.syns.server.first().copied()
        {
            self.established = Some(at);
            self.round_trip(Direction::ServerToClient, syn_ack, at);
        }
    }

    /// Takes a fact of TCP.
    pub fn apply(&mut self, event: &Event) {
        if let Some(timeline) = &mut self.timeline {
            timeline.on_tcp(event);
        }
        match *event {
            Event::Syn {
                direction, at, mss, ..
            } => {
                self.mss[direction] = mss;
                self.on_syn(direction, at);
            }
            Event::Payload { direction, at, len } => self.on_payload(direction, at, len),
            Event::Retransmission {
                direction,
                at,
                len,
                acked,
                ..
            } => {
                self.retransmissions[direction] += 1;
                self.last_retransmission[direction] = Some(at);
                self.unacked[direction].sent_again(at, len);
                self.flow[direction].on_again(at, acked);
            }
            Event::Spurious { direction, .. } => self.flow[direction].on_spurious(),
            Event::Bin { direction, bin } => self.flow[direction].on_bin(&bin),
            Event::OutOfOrder { direction, .. } => self.out_of_order[direction] += 1,
            Event::Duplicate { direction, at, .. } => {
                self.duplicates += 1;
                self.first_duplicate.get_or_insert(at);
                // Nobody was heard again: the second copy of a packet is no sign of life.
                if self.last_packet[direction] == Some(at) && self.heard_before[direction].is_some()
                {
                    self.last_packet[direction] = self.heard_before[direction];
                }
            }
            // A matter of the capture's clocks.
            Event::AckedEarly { .. } => {}
            Event::AckedPastEnd { direction, at } => self.acked_past_end[direction] = Some(at),
            Event::Conflict { direction, at, .. } => keep(&mut self.conflicts, (direction, at)),
            Event::Probe { direction, at } => self.on_probe(direction, at),
            Event::Acked {
                direction,
                at,
                covers,
                upto,
            } => {
                self.acked_upto[direction] = self.acked_upto[direction].max(upto);
                if let Some(payload) = covers {
                    self.last_delivered[direction] =
                        self.last_delivered[direction].max(Some((payload, at)));
                }
                // An acknowledgment of a FIN, or of a probe, covers no payload.
                let covered = self.last_delivered[direction].map(|(payload, _)| payload);
                let rest = self.last_payload[direction].filter(|last| covered < Some(*last));
                self.on_acknowledged(direction, at, covers.filter(|_| rest.is_none()), rest);
                self.unacked[direction].acknowledged(rest);
            }
            Event::RoundTrip {
                direction,
                at,
                nanos,
            } => {
                self.rtt[direction.reverse()].record(at.time, nanos);
            }
            Event::WindowClosed { direction, at } => self.zero_window[direction].since = Some(at),
            Event::WindowOpened { direction, at } => self.zero_window[direction].opened(at),
            Event::Fin { direction, at, .. } => {
                self.fin[direction].get_or_insert(at);
            }
            Event::Reset(reset) => keep(&mut self.resets, reset),
            Event::SentAfterReset { direction, at } => {
                self.sent_after_reset[direction].get_or_insert(at);
            }
        }
    }

    fn on_probe(&mut self, direction: Direction, at: PacketRef) {
        self.probes[direction] += 1;
        let window = &mut self.zero_window[direction.reverse()];
        match window.since {
            Some(_) => window.probes += 1,
            None => self.flow[direction].on_keep_alive(at),
        }
    }

    /// `newest` is what it covers, where that is all.
    fn on_acknowledged(
        &mut self,
        direction: Direction,
        at: PacketRef,
        newest: Option<PacketRef>,
        rest: Option<PacketRef>,
    ) {
        let peer = direction.reverse();
        let acked = Acknowledged {
            at,
            all: rest.is_none(),
            newest,
            heard: self.heard_before[peer],
            mss: self.longest_segment(direction),
        };
        // Rationale: half of the shortest round trip is too short for any.
        let soonest = self.rtt[peer].min().unwrap_or_default() / 2;
        self.flow[direction].on_acked(&self.unacked[direction], acked, soonest);
    }

    /// What a segment of this sender may hold: what its peer announced, without which 536 bytes
    /// are the rule (RFC 9293, section 3.7.1).
    pub fn longest_segment(&self, sender: Direction) -> u32 {
        // Rationale: the timestamps option takes 12 bytes of each segment.
        const OPTIONS: u32 = 12;
        let announced = self.mss[sender.reverse()].unwrap_or(536);
        u32::from(announced).saturating_sub(OPTIONS)
    }

    fn on_syn(&mut self, direction: Direction, at: PacketRef) {
        self.syn_count[direction] += 1;
        keep(&mut self.syns[direction], at);
        // What refused it was read before it: nothing else comes before a SYN.
        for reset in &mut self.resets {
            if reset.direction != direction && reset.at > at {
                (reset.refuses_syn, reset.answers) = (true, Some(at));
            }
        }
        if direction == Direction::ServerToClient
            && self.syn_count.server == 1
            && self.syn_count.client == 1
            && let Some(syn) = self.syns.client.first().copied()
        {
            self.round_trip(Direction::ClientToServer, syn, at);
        }
    }

    /// `sent` went in `direction` and was answered by `answered`.
    fn round_trip(&mut self, direction: Direction, sent: PacketRef, answered: PacketRef) {
        if let Some(nanos) = answered
            .time
            .since(sent.time)
            .and_then(|d| u64::try_from(d.as_nanos()).ok())
        {
            self.rtt[direction.reverse()].record(answered.time, nanos);
        }
    }

    fn on_payload(&mut self, direction: Direction, at: PacketRef, len: u32) {
        if let Some(last) = self.last_payload_any() {
            self.on_silence(at.time.saturating_since(last.time), last, at);
        }
        let mss = self.longest_segment(direction);
        self.flow[direction].on_payload(at, len, mss);
        self.flow[direction.reverse()].on_other(at);
        let window = &mut self.zero_window[direction.reverse()];
        if !window.is_untouched() {
            window.on_payload(at, len);
        }
        let unacked = &mut self.unacked[direction];
        if unacked.first.is_none() {
            unacked.first = Some(at);
            unacked.after = self.previous_packet;
        }
        self.first_payload[direction].get_or_insert(at);
        // In a capture that is out of order the newest isn't the last one read.
        self.last_payload[direction] = self.last_payload[direction].max(Some(at));
        self.payload_bytes[direction] += u64::from(len);
        if self.largest_segment[direction].is_none_or(|(largest, _)| len > largest) {
            self.largest_segment[direction] = Some((len, at));
        }
    }

    /// Keeps the three longest, longest first.
    #[inline]
    fn on_silence(&mut self, len: Duration, from: PacketRef, to: PacketRef) {
        // The usual one.
        if let [_, _, third] = self.silences.as_slice()
            && len <= third.len
        {
            return;
        }
        self.longest_silence = self.longest_silence.max(len);
        self.keep_silence(Silence { len, from, to });
    }

    #[inline(never)]
    fn keep_silence(&mut self, silence: Silence) {
        let place = self.silences.partition_point(|s| s.len >= silence.len);
        if place < 3 {
            self.silences.reserve_exact(1);
            self.silences.insert(place, silence);
            self.silences.truncate(3);
        }
    }

    /// Missing bytes.
    pub fn on_gap(&mut self, gap: &Gap) {
        keep(&mut self.gaps, *gap);
        let bytes = gap.len.unwrap_or(0);
        match self
            .missing
            .iter_mut()
            .find(|(cause, ..)| *cause == gap.cause)
        {
            Some((_, count, total)) => {
                *count += 1;
                *total = total.saturating_add(bytes);
            }
            None => self.missing.push((gap.cause, 1, bytes)),
        }
    }

    /// From here on the connection is another session's: its end, if that was read already, too.
    pub fn end_before(&mut self, next: PacketRef) {
        for direction in Direction::BOTH {
            self.fin[direction] = self.fin[direction].filter(|fin| *fin < next);
        }
        self.resets.retain(|reset| reset.at < next);
    }

    /// An ICMP error.
    pub fn on_unreachable(&mut self, error: Unreachable) {
        keep(&mut self.unreachable, error);
    }

    /// The first guess at who is the client was wrong.
    pub fn swap_sides(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
        self.last_packet.swap();
        self.heard_before.swap();
        self.flow.swap();
        self.syns.swap();
        self.syn_count.swap();
        self.first_payload.swap();
        self.last_payload.swap();
        self.last_delivered.swap();
        self.unacked.swap();
        self.acked_upto.swap();
        self.payload_bytes.swap();
        self.mss.swap();
        self.largest_segment.swap();
        self.retransmissions.swap();
        self.last_retransmission.swap();
        self.out_of_order.swap();
        self.probes.swap();
        self.rtt.swap();
        self.zero_window.swap();
        self.fin.swap();
        self.acked_past_end.swap();
        self.sent_after_reset.swap();
        if let Some(timeline) = &mut self.timeline {
            timeline.swap_sides();
        }
        let conflicts = self.conflicts.iter_mut().map(|(direction, _)| direction);
        let resets = self.resets.iter_mut().map(|reset| &mut reset.direction);
        let gaps = self.gaps.iter_mut().map(|gap| &mut gap.direction);
        for direction in conflicts.chain(resets).chain(gaps) {
            *direction = direction.reverse();
        }
    }
}
