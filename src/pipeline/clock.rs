//! Each file's clock: a step back is told from records that are out of order.

use std::time::Duration;

use crate::session::{ClockStep, Clocks};
use crate::stream::PacketRef;

/// A packet that is further behind than this begins a new time at once. Rationale:
/// queues and threads that write one file differ by milliseconds, a block of a ring
/// waits for at most a second.
const SURE: Duration = Duration::from_secs(1);
/// So many packets behind, with none that is up to date among them, show a step, if it
/// is larger than a queue's delay. Rationale: ntpd steps from 128 ms on and slews below.
const RUN: u32 = 64;
const LEAST: Duration = Duration::from_millis(100);

/// The clock of one file.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// The packet with the latest time.
    newest: PacketRef,
    /// Packets behind it since the last that wasn't.
    run: u32,
    /// The first of them.
    first: PacketRef,
    /// What was the latest packet before them.
    latest: Option<(PacketRef, u64)>,
}

/// The clocks of all files, by source.
#[derive(Debug, Default)]
pub(super) struct Watch {
    clocks: Vec<Clock>,
}

impl Watch {
    /// Takes the time of the next packet.
    pub(super) fn on_packet(&mut self, at: PacketRef, clocks: &mut Clocks) {
        let source = usize::from(at.source);
        if source >= self.clocks.len() {
            self.clocks
                .resize(source.saturating_add(1), Clock::default());
        }
        let Some(clock) = self.clocks.get_mut(source) else {
            return;
        };
        if at.time >= clock.newest.time || clock.newest.order == 0 {
            clock.newest = at;
            clock.run = 0;
            return;
        }
        clock.fall_behind(at, clocks);
    }
}

impl Clock {
    #[cold]
    fn fall_behind(&mut self, at: PacketRef, clocks: &mut Clocks) {
        let back = self.newest.time.saturating_since(at.time);
        if self.run == 0 {
            self.first = at;
            self.latest = clocks.latest;
        }
        self.run = self.run.saturating_add(1);
        let whole = self.newest.time.saturating_since(self.first.time);
        let step = back > SURE || (self.run >= RUN && whole > LEAST);
        if !step {
            clocks.on_late(at, nanos(back));
            return;
        }
        // Those that were taken for late ones stand where they should.
        clocks.late = clocks.late.saturating_sub(u64::from(self.run) - 1);
        clocks.latest = self.latest;
        clocks.on_step(ClockStep {
            before: self.newest,
            at: self.first,
            nanos: nanos(whole),
        });
        *self = Self {
            newest: at,
            ..Self::default()
        };
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    /// What packets at these milliseconds tell.
    fn told(times: impl IntoIterator<Item = i64>) -> Clocks {
        let (mut watch, mut clocks) = (Watch::default(), Clocks::default());
        for (order, ms) in (1..).zip(times) {
            let at = PacketRef {
                order,
                time: Timestamp::from_nanos(ms * 1_000_000),
                number: order,
                source: 0,
            };
            watch.on_packet(at, &mut clocks);
        }
        clocks
    }

    #[test]
    fn a_few_records_out_of_order_are_no_step() {
        let clocks = told([0, 10, 20, 18, 30, 29, 28, 40]);
        assert_eq!((clocks.late, clocks.step_count), (3, 0));
        assert_eq!(
            clocks.latest.map(|(at, nanos)| (at.number, nanos)),
            Some((4, 2_000_000))
        );
    }

    #[test]
    fn a_clock_that_is_set_back_steps_once() {
        let clocks = told([0, 10_000, 20_000, 5_000, 15_000, 25_000]);
        assert_eq!((clocks.late, clocks.step_count), (0, 1));
        let step = clocks.steps[0];
        assert_eq!((step.before.number, step.at.number), (3, 4));
        assert_eq!(step.nanos, 15_000_000_000);
    }

    #[test]
    fn a_step_of_less_than_a_second_shows_when_time_stays_behind() {
        let before = (0..100).map(|n| n * 2);
        let clocks = told(before.chain((0..100).map(|n| n * 2)));
        assert_eq!((clocks.late, clocks.step_count), (0, 1));
        assert_eq!(clocks.steps[0].at.number, 101);
        assert_eq!(clocks.latest, None);
    }

    #[test]
    fn a_queue_that_is_milliseconds_late_is_no_step_however_long() {
        let clocks = told((0..500).flat_map(|n| [n * 50, n * 50 - 60]));
        assert_eq!(clocks.step_count, 0);
        assert_eq!(clocks.late, 500);
    }

    #[test]
    fn the_clock_of_one_file_says_nothing_of_another() {
        let (mut watch, mut clocks) = (Watch::default(), Clocks::default());
        for (order, source, s) in [(1, 0, 100), (2, 1, 50), (3, 0, 101), (4, 1, 51)] {
            let time = Timestamp::from_nanos(s * 1_000_000_000);
            watch.on_packet(
                PacketRef {
                    order,
                    time,
                    number: 1,
                    source,
                },
                &mut clocks,
            );
        }
        assert_eq!(clocks, Clocks::default());
    }
}
