//! What the packets' times tell of the clocks that stamped them.

use crate::stream::PacketRef;

/// Rationale: a report names the first; all are counted.
const KEPT: usize = 16;

/// A clock ran back, and what came after was stamped by the new time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// The newest packet before.
    pub before: PacketRef,
    /// The first packet after.
    pub at: PacketRef,
    /// How far back, in nanoseconds. At least: the time between the two isn't known.
    pub nanos: u64,
    /// What a connection sent after it is stamped before what it had sent. Else records
    /// of another time may have been put behind.
    pub proven: bool,
}

/// Bytes that were stamped later than their acknowledgment: two clocks that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// The packet with the bytes that shows the most of it; its clock is ahead.
    pub sent: PacketRef,
    /// The packet that acknowledges them; its clock is behind.
    pub acked: PacketRef,
    /// By how much at least, in nanoseconds.
    pub nanos: u64,
    /// How often bytes of the one file were acknowledged too early in the other.
    pub count: u64,
}

/// All that is known of the clocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Packets that stand behind later ones of their file, though the clock ran on.
    pub late: u64,
    /// The one that is latest, and by how many nanoseconds.
    pub latest: Option<(PacketRef, u64)>,
    /// Steps back: the first ones.
    pub steps: Vec<ClockStep>,
    /// How many there were.
    pub step_count: u64,
    /// Differences between two files' clocks, or within a file that was merged.
    pub skews: Vec<Skew>,
}

/// Rationale: the threads and queues of one machine differ by less; what is counted
/// less often may be bytes that were sent once more.
const LEAST_SKEW: u64 = 1_000_000;
const OFTEN: u64 = 3;

impl Skew {
    /// Neither reordering nor luck.
    pub fn is_sure(&self) -> bool {
        self.count >= OFTEN && self.nanos >= LEAST_SKEW
    }
}

impl Clocks {
    /// A packet that stands `nanos` behind its place.
    pub fn on_late(&mut self, at: PacketRef, nanos: u64) {
        self.late += 1;
        if self.latest.is_none_or(|(_, most)| nanos > most) {
            self.latest = Some((at, nanos));
        }
    }

    /// The step is one: something that was sent after it is stamped before it.
    pub fn on_proof(&mut self, step: &ClockStep) {
        let known = self.steps.iter_mut().find(|known| known.at == step.at);
        if let Some(known) = known {
            known.proven = true;
        }
    }

    /// The step was none: `packets` stand behind their place.
    pub fn on_no_step(&mut self, step: &ClockStep, packets: u64) {
        self.step_count = self.step_count.saturating_sub(1);
        self.steps.retain(|known| known.at != step.at);
        self.late = self.late.saturating_add(packets.saturating_sub(1));
        self.on_late(step.at, step.nanos);
    }

    /// A step.
    pub fn on_step(&mut self, step: ClockStep) {
        self.step_count += 1;
        if self.steps.len() < KEPT {
            self.steps.push(step);
        }
    }

    /// Bytes in `sent` whose acknowledgment in `acked` came before.
    pub fn on_acked_early(&mut self, sent: PacketRef, acked: PacketRef) {
        let lead = sent.time.saturating_since(acked.time);
        let nanos = u64::try_from(lead.as_nanos()).unwrap_or(u64::MAX);
        let files = (sent.source, acked.source);
        let known = |skew: &Skew| (skew.sent.source, skew.acked.source) == files;
        if !self.skews.iter().any(known) && self.skews.len() < KEPT {
            self.skews.push(Skew {
                sent,
                acked,
                nanos,
                count: 0,
            });
        }
        if let Some(skew) = self.skews.iter_mut().find(|skew| known(skew)) {
            skew.count += 1;
            if nanos > skew.nanos {
                (skew.sent, skew.acked, skew.nanos) = (sent, acked, nanos);
            }
        }
    }
}
