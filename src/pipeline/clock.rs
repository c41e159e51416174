//! Each file's clock: a step back is told from records that are out of order.

use std::time::Duration;

use crate::session::{ClockStep, Clocks};
use crate::stream::{Epoch, PacketRef};

/// A packet that is further behind than this begins a new time. Rationale: queues and
/// threads that write one file differ by milliseconds, and a block of a capture's buffer
/// waits for at most a second.
const STEP: Duration = Duration::from_secs(1);

/// The clocks of all files, by source: the packet with the latest time of each.
#[derive(Debug, Default)]
pub(super) struct Watch {
    newest: Vec<Option<PacketRef>>,
    /// Steps so far, of any clock.
    epoch: Epoch,
}

impl Watch {
    /// Takes the time of the next packet, and says in which epoch it lies.
    pub(super) fn on_packet(&mut self, at: PacketRef, clocks: &mut Clocks) -> PacketRef {
        let source = usize::from(at.source);
        if source >= self.newest.len() {
            self.newest.resize(source.saturating_add(1), None);
        }
        let epoch = self.epoch;
        let mut at = PacketRef { epoch, ..at };
        let Some(newest) = self.newest.get_mut(source) else {
            return at;
        };
        if let Some(before) = newest.filter(|before| at.time < before.time) {
            let back = before.time.saturating_since(at.time);
            if back <= STEP {
                clocks.on_late(at, nanos(back));
                return at;
            }
            self.epoch = self.epoch.next();
            at.epoch = self.epoch;
            clocks.on_step(ClockStep {
                before,
                at,
                nanos: nanos(back),
            });
        }
        *newest = Some(at);
        at
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    /// What packets at these milliseconds tell, and the order in which they were captured.
    fn told(times: impl IntoIterator<Item = i64>) -> (Clocks, Vec<u64>) {
        let (mut watch, mut clocks) = (Watch::default(), Clocks::default());
        let mut packets: Vec<PacketRef> = (1..)
            .zip(times)
            .map(|(number, ms)| {
                let time = Timestamp::from_nanos(ms * 1_000_000);
                let at = PacketRef {
                    time,
                    number,
                    ..PacketRef::default()
                };
                watch.on_packet(at, &mut clocks)
            })
            .collect();
        packets.sort();
        let order = packets.iter().map(|at| at.number).collect();
        (clocks, order)
    }

    #[test]
    fn records_out_of_order_are_no_step_and_were_captured_by_their_times() {
        let (clocks, order) = told([0, 10, 20, 18, 30, 29, 28, 40]);
        assert_eq!((clocks.late, clocks.step_count), (3, 0));
        let latest = clocks.latest.map(|(at, nanos)| (at.number, nanos));
        assert_eq!(latest, Some((4, 2_000_000)));
        assert_eq!(order, [1, 2, 4, 3, 7, 6, 5, 8]);
    }

    #[test]
    fn a_clock_that_is_set_back_steps_once_and_changes_no_order() {
        let (clocks, order) = told([0, 10_000, 20_000, 5_000, 15_000, 25_000]);
        assert_eq!((clocks.late, clocks.step_count), (0, 1));
        let step = clocks.steps[0];
        assert_eq!((step.before.number, step.at.number), (3, 4));
        assert_eq!(step.nanos, 15_000_000_000);
        assert_eq!(order, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_file_with_the_packets_of_two_interfaces_in_blocks_has_no_steps() {
        let (clocks, order) = told((0..500).chain(0..500));
        assert_eq!((clocks.late, clocks.step_count), (499, 0));
        assert_eq!(order[..4], [1, 501, 2, 502]);
    }

    #[test]
    fn the_clock_of_one_file_says_nothing_of_another() {
        let (mut watch, mut clocks) = (Watch::default(), Clocks::default());
        for (number, source, s) in [(1, 0, 100), (1, 1, 50), (2, 0, 101), (2, 1, 51)] {
            let time = Timestamp::from_nanos(s * 1_000_000_000);
            let at = PacketRef {
                time,
                number,
                source,
                epoch: Default::default(),
            };
            watch.on_packet(at, &mut clocks);
        }
        assert_eq!(clocks, Clocks::default());
    }
}
