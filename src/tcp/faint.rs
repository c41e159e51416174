//! What is left of segments that newer ones pushed out of [`Recent`](super::recent::Recent):
//! enough to know a copy that comes behind a whole burst.

use super::sample::mix;
use super::trace::DUPLICATE_NANOS;
use crate::packet::Segment;

/// Rationale: the kernel of a capturing host takes at most 64 packets of an interface at a
/// time (NAPI's weight), so the copies of a bridge's other port come at most so far behind.
const KEPT: usize = 64;

/// One segment: where it stands, and its marks.
#[derive(Clone, Copy, Debug)]
struct Faint {
    seq: u32,
    mark: u32,
    /// When it was captured, modulo 71 minutes.
    micros: u32,
}

/// A ring of them.
#[derive(Debug, Default)]
pub(super) struct FaintTraces {
    traces: Vec<Faint>,
    next: usize,
}

/// What marks a segment as this one and no other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) len: u32,
    pub(super) ip_id: Option<u16>,
    pub(super) timestamps: Option<(u32, u32)>,
    /// Nanoseconds of the capture's clock.
    pub(super) nanos: i64,
}

impl Marks {
    pub(super) fn of(segment: &Segment<'_>) -> Self {
        Self {
            seq: segment.seq.0,
            ack: segment.ack.0,
            flags: segment.flags.0,
            len: segment.wire_len,
            ip_id: segment.ip_id,
            timestamps: segment.options.timestamps,
            nanos: segment.at.time.as_nanos(),
        }
    }

    fn mark(&self) -> u32 {
        let (stamp, echo) = self.timestamps.unwrap_or_default();
        let id = u128::from(self.ip_id.unwrap_or_default());
        let place =
            u128::from(self.ack) | u128::from(self.len) << 32 | u128::from(self.flags) << 56;
        let marks = u128::from(stamp) << 64 | u128::from(echo) << 96;
        mix(place ^ marks ^ id << 40)
    }

    /// An identification or a stamp tells it from what was sent again.
    fn is_marked(&self) -> bool {
        self.timestamps.is_some() || self.ip_id.is_some_and(|id| id != 0)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "only differences count, modulo 2^32"
    )]
    const fn micros(&self) -> u32 {
        (self.nanos / 1_000) as u32
    }
}

impl FaintTraces {
    pub(super) fn push(&mut self, segment: &Marks) {
        if !segment.is_marked() {
            return;
        }
        let faint = Faint {
            seq: segment.seq,
            mark: segment.mark(),
            micros: segment.micros(),
        };
        match self.traces.get_mut(self.next % KEPT) {
            Some(oldest) => *oldest = faint,
            None => self.traces.push(faint),
        }
        self.next = self.next.wrapping_add(1);
    }

    /// The same segment was captured less than `nanos` from this one.
    pub(super) fn hold(&self, segment: &Marks, nanos: u64) -> bool {
        let (mark, micros) = (segment.mark(), segment.micros());
        segment.is_marked()
            && self.traces.iter().any(|t| {
                let apart = micros
                    .wrapping_sub(t.micros)
                    .min(t.micros.wrapping_sub(micros));
                t.seq == segment.seq
                    && t.mark == mark
                    && u64::from(apart).saturating_mul(1_000) <= nanos.max(DUPLICATE_NANOS)
            })
    }
}
