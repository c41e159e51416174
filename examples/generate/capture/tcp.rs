//! One TCP connection between two kernels that do as they should, seen from a
//! capture point near the server.

use wscope::stream::{Direction, Sides};

use super::packet::{Endpoint, Packet, flags};
use super::rng::Rng;
use super::wire::{MS, Time, Wire};

/// How soon the server's kernel answers, seen from beside it: 30 us.
const NEAR: Time = 30_000;

/// How long a kernel waits with the acknowledgement of a lone segment.
const DELAYED_ACK: Time = 40 * MS;

/// The window in each segment: 2,048 << 7 = 256 KiB, four times what a
/// connection here has in flight.
const WINDOW: u16 = 2_048;
const WINDOW_SCALE: u8 = 7;

/// A connection and the state of both its ends.
pub(crate) struct Connection {
    pub(super) ends: Sides<End>,
    /// How soon the client's answer is seen: the way there and back.
    round_trip: Time,
    mss: u16,
}

/// What one end's kernel knows.
pub(super) struct End {
    endpoint: Endpoint,
    /// The next sequence number it sends.
    pub(super) seq: u32,
    /// The next sequence number it expects: what it acknowledges.
    pub(super) expected: u32,
    /// Segments received and not acknowledged yet.
    pub(super) unacknowledged: u32,
    /// Its next IP identification.
    pub(super) ip_id: u16,
    /// What its timestamp clock (1 ms a tick) showed when the capture began.
    clock: u32,
    /// The peer's latest timestamp, to be echoed.
    pub(super) echo: u32,
}

impl Connection {
    /// A connection that has sent nothing yet.
    pub(crate) fn new(client: Endpoint, server: Endpoint, mss: u16, rng: &mut Rng) -> Self {
        let client = End::new(client, rng);
        let server = End::new(server, rng);
        // Rationale: 1 to 40 ms is the client in town to the client on another continent's edge.
        let round_trip = rng.within(MS..40 * MS);
        Self {
            ends: Sides { client, server },
            round_trip,
            mss,
        }
    }

    /// Bytes that fit in one segment beside the timestamps option.
    pub(super) fn segment_bytes(&self) -> usize {
        usize::from(self.mss).saturating_sub(12).max(1)
    }

    /// How long after a packet to `receiver`'s side its answer is seen.
    pub(crate) fn answer_after(&self, receiver: Direction) -> Time {
        match receiver {
            Direction::ClientToServer => self.round_trip,
            Direction::ServerToClient => NEAR,
        }
    }

    /// The three-way handshake; the time when it is over.
    pub(crate) fn open(&mut self, at: Time, wire: &mut Wire<'_>) -> Time {
        use Direction::{ClientToServer, ServerToClient};
        self.synchronize(at, ClientToServer, flags::SYN, wire);
        let answered = at + NEAR;
        self.synchronize(answered, ServerToClient, flags::SYN | flags::ACK, wire);
        let done = answered + self.round_trip;
        self.bare(done, ClientToServer, flags::ACK, wire);
        done
    }

    /// FIN from `first`, FIN from the other, the last acknowledgement.
    pub(crate) fn finish(&mut self, at: Time, first: Direction, wire: &mut Wire<'_>) -> Time {
        self.fin(at, first, wire);
        let answered = at + self.answer_after(first.reverse());
        self.fin(answered, first.reverse(), wire);
        let done = answered + self.answer_after(first);
        self.bare(done, first, flags::ACK, wire);
        done
    }

    /// A reset from `by`.
    pub(crate) fn reset(&mut self, at: Time, by: Direction, wire: &mut Wire<'_>) -> Time {
        self.bare(at, by, flags::RST | flags::ACK, wire);
        at
    }

    /// Nothing is sent from `from` to `until`: if that is long, a segment that
    /// waits for its acknowledgement gets one.
    pub(crate) fn idle(&mut self, from: Time, until: Time, wire: &mut Wire<'_>) {
        for (receiver, _) in Sides::from_fn(|_| ()).iter() {
            let at = from + DELAYED_ACK + self.answer_after(receiver);
            if self.ends[receiver].unacknowledged > 0 && at < until {
                self.bare(at, receiver, flags::ACK, wire);
            }
        }
    }

    /// `from`'s timestamp clock at `at`.
    pub(super) fn stamp(&self, from: Direction, at: Time) -> u32 {
        let ticks = u32::try_from(at / MS).unwrap_or(u32::MAX);
        self.ends[from].clock.wrapping_add(ticks)
    }

    /// A packet without data, and what it does to both ends.
    pub(super) fn bare(&mut self, at: Time, from: Direction, bits: u8, wire: &mut Wire<'_>) {
        let stamp = self.stamp(from, at);
        let end = &mut self.ends[from];
        end.unacknowledged = 0;
        let (seq, ip_id, echo) = (end.seq, end.ip_id, end.echo);
        end.ip_id = ip_id.wrapping_add(1);
        self.packet(
            at,
            from,
            Sent {
                bits,
                seq,
                ip_id,
                stamp,
                echo,
                payload: &[],
            },
            wire,
        );
        self.ends[from.reverse()].echo = stamp;
    }

    /// A packet of an open connection; changes nothing.
    pub(super) fn packet(&self, at: Time, from: Direction, sent: Sent<'_>, wire: &mut Wire<'_>) {
        let (end, peer) = (&self.ends[from], &self.ends[from.reverse()]);
        let mut options = [0; 12];
        options[..4].copy_from_slice(&[1, 1, 8, 10]);
        options[4..8].copy_from_slice(&sent.stamp.to_be_bytes());
        options[8..].copy_from_slice(&sent.echo.to_be_bytes());
        let packet = Packet {
            from: end.endpoint,
            to: peer.endpoint,
            ip_id: sent.ip_id,
            seq: sent.seq,
            ack: end.expected,
            flags: sent.bits,
            window: WINDOW,
            options: &options,
            payload: sent.payload,
        };
        wire.send(at, &packet);
    }

    fn synchronize(&mut self, at: Time, from: Direction, bits: u8, wire: &mut Wire<'_>) {
        let stamp = self.stamp(from, at);
        let (end, peer) = (&self.ends[from], &self.ends[from.reverse()]);
        let mut options = [0; 20];
        options[..2].copy_from_slice(&[2, 4]);
        options[2..4].copy_from_slice(&self.mss.to_be_bytes());
        options[4..8].copy_from_slice(&[4, 2, 8, 10]);
        options[8..12].copy_from_slice(&stamp.to_be_bytes());
        options[12..16].copy_from_slice(&end.echo.to_be_bytes());
        options[16..].copy_from_slice(&[1, 3, 3, WINDOW_SCALE]);
        let packet = Packet {
            from: end.endpoint,
            to: peer.endpoint,
            ip_id: end.ip_id,
            seq: end.seq,
            ack: end.expected,
            flags: bits,
            window: 64_240,
            options: &options,
            payload: &[],
        };
        wire.send(at, &packet);
        self.ends[from].ip_id = self.ends[from].ip_id.wrapping_add(1);
        self.ends[from.reverse()].echo = stamp;
        self.advance(from);
    }

    fn fin(&mut self, at: Time, from: Direction, wire: &mut Wire<'_>) {
        self.bare(at, from, flags::FIN | flags::ACK, wire);
        self.advance(from);
    }

    /// A SYN or FIN went through: it takes one sequence number.
    fn advance(&mut self, from: Direction) {
        let seq = self.ends[from].seq.wrapping_add(1);
        self.ends[from].seq = seq;
        self.ends[from.reverse()].expected = seq;
    }
}

/// What differs from packet to packet on an open connection.
pub(super) struct Sent<'a> {
    pub(super) bits: u8,
    pub(super) seq: u32,
    pub(super) ip_id: u16,
    pub(super) stamp: u32,
    pub(super) echo: u32,
    pub(super) payload: &'a [u8],
}

impl End {
    fn new(endpoint: Endpoint, rng: &mut Rng) -> Self {
        // Rationale: one in ten starts so high that its sequence numbers wrap
        // early; by chance alone next to none would.
        let seq = match rng.percent(10.0) {
            true => u32::MAX - (rng.next_u32() >> 16),
            false => rng.next_u32(),
        };
        Self {
            endpoint,
            seq,
            expected: 0,
            unacknowledged: 0,
            ip_id: (rng.next_u32() >> 16) as u16,
            clock: rng.next_u32(),
            echo: 0,
        }
    }
}
