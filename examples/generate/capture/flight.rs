//! Data on its way: segments, the losses and the disorder that the network adds,
//! the receiver's acknowledgements and the sender's second tries.

use std::ops::Range;

use wscope::stream::Direction;

use super::packet::flags;
use super::rng::Rng;
use super::tcp::{Connection, Sent};
use super::wire::{MS, Time, Wire};

/// Rationale: 12 us is a full segment at 1 Gbit/s.
const SPACING: Time = 12_000;

/// What may be in flight; the sender then waits for the acknowledgement.
/// Rationale: a quarter of the window, so that no window is ever full.
const FLIGHT: usize = 64 << 10;

/// The shortest retransmission time-out of Linux, and what a fast retransmission
/// takes after the third duplicate acknowledgement.
const TIMEOUT: Time = 200 * MS;
const FAST: Time = MS;

/// How unkind the network is, in percent of the segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) loss: f64,
    pub(crate) reorder: f64,
}

/// One time that a segment goes out.
struct Attempt {
    /// When it is seen at the capture point.
    time: Time,
    /// When its sender stamped it.
    stamped: Time,
    /// Which segment of the flight.
    segment: usize,
    /// Which packet of the sender, counted in the order of sending.
    sent: u16,
    captured: bool,
    delivered: bool,
}

impl Connection {
    /// Sends `bytes` from `from`; the time when all of it has arrived.
    pub(crate) fn send(
        &mut self,
        at: Time,
        from: Direction,
        bytes: &[u8],
        network: Network,
        rng: &mut Rng,
        wire: &mut Wire<'_>,
    ) -> Time {
        let flights = bytes.chunks(FLIGHT);
        flights.fold(at, |at, flight| {
            self.flight(at, from, flight, network, rng, wire)
        })
    }

    fn flight(
        &mut self,
        at: Time,
        from: Direction,
        bytes: &[u8],
        network: Network,
        rng: &mut Rng,
        wire: &mut Wire<'_>,
    ) -> Time {
        let size = self.segment_bytes();
        let count = bytes.len().div_ceil(size);
        let answer_after = self.answer_after(from.reverse());
        let attempts = attempts(at, count, answer_after, network, rng);

        let base = self.ends[from].seq;
        let ip_id = self.ends[from].ip_id;
        // Acknowledgements of this flight can't be echoed by this flight.
        let echo = self.ends[from].echo;
        self.ends[from].seq = base.wrapping_add(narrow(bytes.len()));
        self.ends[from].unacknowledged = 0;
        let mut arrived = vec![false; count];
        let mut next = 0;
        let mut end = at;
        for attempt in &attempts {
            let range = segment(attempt.segment, size, bytes.len());
            let seq = base.wrapping_add(narrow(range.start));
            let stamp = self.stamp(from, attempt.stamped);
            let last = range.end == bytes.len();
            let bits = if last {
                flags::PSH | flags::ACK
            } else {
                flags::ACK
            };
            if attempt.captured {
                let payload = bytes.get(range.clone()).unwrap_or_default();
                let ip_id = ip_id.wrapping_add(attempt.sent);
                let sent = Sent {
                    bits,
                    seq,
                    ip_id,
                    stamp,
                    echo,
                    payload,
                };
                self.packet(attempt.time, from, sent, wire);
            }
            if !attempt.delivered {
                continue;
            }
            if let Some(slot) = arrived.get_mut(attempt.segment) {
                *slot = true;
            }
            let before = next;
            next += arrived
                .iter()
                .skip(next)
                .take_while(|arrived| **arrived)
                .count();
            let receiver = &mut self.ends[from.reverse()];
            if next > before {
                let through = segment(next - 1, size, bytes.len()).end;
                receiver.expected = base.wrapping_add(narrow(through));
                receiver.echo = stamp;
            }
            receiver.unacknowledged += 1;
            end = end.max(attempt.time + answer_after);
            // RFC 5681, section 4.2: at once when a hole opens or fills, else every second.
            if next != before + 1 || receiver.unacknowledged >= 2 {
                self.bare(
                    attempt.time + answer_after,
                    from.reverse(),
                    flags::ACK,
                    wire,
                );
            }
        }
        self.ends[from].ip_id = ip_id.wrapping_add(u16::try_from(attempts.len()).unwrap_or(0));
        end
    }
}

/// What happens to each of `count` segments, in the order in which the capture
/// point sees it.
fn attempts(
    at: Time,
    count: usize,
    answer_after: Time,
    network: Network,
    rng: &mut Rng,
) -> Vec<Attempt> {
    let mut attempts = Vec::with_capacity(count);
    let mut time = at;
    let mut lost = Vec::new();
    for segment in 0..count {
        let sent = u16::try_from(segment).unwrap_or(u16::MAX);
        let (mut captured, mut delivered) = (true, true);
        let mut seen = time;
        if rng.percent(network.loss) {
            captured = rng.percent(50.0);
            delivered = false;
            lost.push((segment, time));
        } else if rng.percent(network.reorder) {
            // Behind the next one, two or three.
            seen += SPACING * rng.within(1..4) + SPACING / 2;
        }
        attempts.push(Attempt {
            time: seen,
            stamped: time,
            segment,
            sent,
            captured,
            delivered,
        });
        time += SPACING + rng.within(0..SPACING / 4);
    }
    let mut again = time + answer_after;
    for (position, (segment, sent)) in lost.into_iter().enumerate() {
        let wait = if count - segment > 3 && position == 0 {
            FAST
        } else {
            TIMEOUT
        };
        again = again.max(sent + wait) + wait;
        let number = u16::try_from(count + position).unwrap_or(u16::MAX);
        attempts.push(Attempt {
            time: again,
            stamped: again,
            segment,
            sent: number,
            captured: true,
            delivered: true,
        });
    }
    attempts.sort_by_key(|attempt| attempt.time);
    attempts
}

/// The bytes of a flight that its `index`th segment carries.
fn segment(index: usize, size: usize, total: usize) -> Range<usize> {
    index * size..((index + 1) * size).min(total)
}

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
