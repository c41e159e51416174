//! Each file's clock: a step back is told from records that are out of order.

use std::time::Duration;

use crate::session::{ClockStep, Clocks};
use crate::stream::{Epoch, PacketRef};
use crate::tcp::Age;

/// A packet that is further behind than this may begin a new time. Rationale: queues and
/// threads that write one file differ by milliseconds, and a block of a capture's buffer
/// waits for at most a second.
pub(super) const STEP: Duration = Duration::from_secs(1);

/// Packets after a step that are asked whether it was one.
///
/// Rationale: among so many of a busy link are some of connections that were seen before.
const ASKED: u32 = 1_000;

/// The clocks of all files, by source.
#[derive(Debug, Default)]
pub(super) struct Watch {
    files: Vec<Option<File>>,
    epoch: Epoch,
}

/// What is known of one file's times.
#[derive(Clone, Copy, Debug)]
struct File {
    /// The packet with the latest time since the clock was set.
    newest: PacketRef,
    /// The same since the last record that stands far behind its place: what follows it
    /// follows its time.
    run: PacketRef,
    doubt: Option<Doubt>,
}

/// A step that may be none.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    step: ClockStep,
    /// How many packets may still tell.
    left: u32,
    /// How many were taken for packets after it.
    packets: u64,
}

impl Watch {
    /// Takes the time of the next packet, and says in which epoch it lies. `age` compares
    /// the packet with those of its connection that were read before.
    #[inline]
    pub(super) fn on_packet(
        &mut self,
        at: PacketRef,
        clocks: &mut Clocks,
        age: impl FnOnce() -> Option<Age>,
    ) -> PacketRef {
        let source = usize::from(at.source);
        if source >= self.files.len() {
            self.files.resize(source.saturating_add(1), None);
        }
        let at = PacketRef {
            epoch: self.epoch,
            ..at
        };
        let Some(file) = self.files.get_mut(source) else {
            return at;
        };
        let Some(file) = file else {
            *file = Some(File {
                newest: at,
                run: at,
                doubt: None,
            });
            return at;
        };
        if file.doubt.is_some() {
            return file.in_doubt(at, &mut self.epoch, clocks, age);
        }
        file.take(at, &mut self.epoch, clocks, age)
    }
}

impl File {
    #[inline]
    fn take(
        &mut self,
        at: PacketRef,
        epoch: &mut Epoch,
        clocks: &mut Clocks,
        age: impl FnOnce() -> Option<Age>,
    ) -> PacketRef {
        if at.time >= self.run.time {
            self.run = at;
            if at.time < self.newest.time {
                clocks.on_late(at, nanos(self.newest.time.saturating_since(at.time)));
            } else {
                self.newest = at;
            }
            return at;
        }
        let back = self.run.time.saturating_since(at.time);
        let behind = self.newest.time.saturating_since(at.time);
        if back <= STEP {
            clocks.on_late(at, nanos(behind));
            return at;
        }
        self.step(at, epoch, clocks, age())
    }

    #[cold]
    fn step(
        &mut self,
        mut at: PacketRef,
        epoch: &mut Epoch,
        clocks: &mut Clocks,
        age: Option<Age>,
    ) -> PacketRef {
        let before = self.newest;
        let back = nanos(before.time.saturating_since(at.time));
        if age == Some(Age::Older) {
            self.run = at;
            clocks.on_late(at, back);
            return at;
        }
        *epoch = epoch.next();
        at.epoch = *epoch;
        (self.newest, self.run) = (at, at);
        let step = ClockStep {
            before,
            at,
            nanos: back,
            proven: age.is_some(),
        };
        clocks.on_step(step);
        self.doubt = (!step.proven).then_some(Doubt {
            step,
            left: ASKED,
            packets: 1,
        });
        at
    }

    /// The clock may have been set, and this packet may tell.
    #[cold]
    fn in_doubt(
        &mut self,
        at: PacketRef,
        epoch: &mut Epoch,
        clocks: &mut Clocks,
        age: impl FnOnce() -> Option<Age>,
    ) -> PacketRef {
        let Some(doubt) = &mut self.doubt else {
            return at;
        };
        let step = doubt.step;
        // Beyond the time at which it left off nothing can be compared any more.
        let told = (at.time < step.before.time).then(age).flatten();
        doubt.left = match at.time < step.before.time {
            true => doubt.left.saturating_sub(1),
            false => 0,
        };
        doubt.packets = doubt.packets.saturating_add(1);
        let (left, packets) = (doubt.left, doubt.packets);
        if left == 0 || told.is_some() {
            self.doubt = None;
        }
        match told {
            None => self.take(at, epoch, clocks, || None),
            Some(Age::Newer) => {
                clocks.on_proof(&step);
                self.take(at, epoch, clocks, || None)
            }
            Some(Age::Older) => {
                clocks.on_no_step(&step, packets.saturating_sub(1));
                // Few packets keep the epoch that they were given.
                if *epoch == step.at.epoch {
                    *epoch = step.before.epoch;
                }
                self.newest = step.before;
                let at = PacketRef {
                    epoch: *epoch,
                    ..at
                };
                self.take(at, epoch, clocks, || Some(Age::Older))
            }
        }
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
                watch.on_packet(at, &mut clocks, || None)
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
            watch.on_packet(at, &mut clocks, || None);
        }
        assert_eq!(clocks, Clocks::default());
    }

    /// What packets at these seconds tell, where `age` is known of those that stand far behind.
    fn aged(seconds: impl IntoIterator<Item = (i64, Option<Age>)>) -> (Clocks, Vec<u64>) {
        let (mut watch, mut clocks) = (Watch::default(), Clocks::default());
        let mut packets: Vec<PacketRef> = (1..)
            .zip(seconds)
            .map(|(number, (seconds, age))| {
                let at = PacketRef {
                    time: Timestamp::from_nanos(seconds * 1_000_000_000),
                    number,
                    ..PacketRef::default()
                };
                watch.on_packet(at, &mut clocks, || age)
            })
            .collect();
        packets.sort();
        let order = packets.iter().map(|at| at.number).collect();
        (clocks, order)
    }

    #[test]
    fn pieces_that_were_put_one_behind_the_other_unsorted_are_in_order_by_their_times() {
        let older = Some(Age::Older);
        let pieces = [
            (10, None),
            (11, None),
            (12, None),
            (1, older),
            (2, None),
            (20, None),
        ];
        let (clocks, order) = aged(pieces);
        assert_eq!((clocks.late, clocks.step_count), (2, 0));
        assert_eq!(order, [4, 5, 1, 2, 3, 6]);
    }

    #[test]
    fn a_step_that_nothing_tells_of_is_one_until_something_does() {
        let unknown = [(10, None), (11, None), (1, None), (2, None), (3, None)];
        let (clocks, order) = aged(unknown);
        assert_eq!((clocks.step_count, clocks.steps[0].proven), (1, false));
        assert_eq!(order, [1, 2, 3, 4, 5]);
        let (clocks, _) = aged(unknown.map(|(at, _)| (at, (at == 3).then_some(Age::Newer))));
        assert_eq!((clocks.step_count, clocks.steps[0].proven), (1, true));
        let (clocks, order) = aged(unknown.map(|(at, _)| (at, (at == 3).then_some(Age::Older))));
        assert_eq!((clocks.late, clocks.steps), (3, vec![]));
        // Two of them had been given an epoch of their own.
        assert_eq!(order, [5, 1, 2, 3, 4]);
    }
}
