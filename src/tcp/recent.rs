//! The last few segments of one direction: the same packet captured twice, and
//! bytes that were sent again with another content.

use crate::packet::Segment;
use crate::stream::PacketRef;

/// Rationale: duplicates of bridges and of `-i any` follow within a few
/// packets; a retransmission that carries other bytes is rarely further away.
const KEPT: usize = 8;

/// Rationale: copies of one packet are captured within 1 ms; a retransmission takes longer.
const DUPLICATE_NANOS: u64 = 1_000_000;
/// The same for packets with an identification and a timestamp of their own.
///
/// Rationale: what is sent again is stamped anew, and most senders number it
/// anew. Copies of two capture points that were merged are apart by the path
/// between the two.
const IDENTIFIED_NANOS: u64 = 1_000_000_000;

/// What is kept of a segment.
#[derive(Clone, Copy, Debug)]
struct Trace {
    at: PacketRef,
    seq: u32,
    ack: u32,
    flags: u8,
    len: u32,
    ip_id: Option<u16>,
    timestamps: Option<(u32, u32)>,
    sample: u64,
}

/// A ring of traces.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Grows as segments come: most connections of a scan never have a second one.
    traces: Vec<Trace>,
    next: usize,
    /// The latest TSval of this sender.
    stamp: Option<u32>,
}

impl Recent {
    pub(super) fn remember(&mut self, segment: &Segment<'_>) {
        let trace = Trace {
            at: segment.at,
            seq: segment.seq.0,
            ack: segment.ack.0,
            flags: segment.flags.0,
            len: segment.wire_len,
            ip_id: segment.ip_id,
            timestamps: segment.options.timestamps,
            sample: sample(segment.payload),
        };
        match self.traces.get_mut(self.next % KEPT) {
            Some(oldest) => *oldest = trace,
            None => self.traces.push(trace),
        }
        self.next = self.next.wrapping_add(1);
        if let Some((stamp, _)) = segment.options.timestamps
            && !self.is_stamped_earlier(segment)
        {
            self.stamp = Some(stamp);
        }
    }

    /// The same packet again. An identification of 0 (Linux, DF set) or none
    /// (IPv6) tells nothing, so there the timestamps option has to agree.
    pub(super) fn is_duplicate(&self, segment: &Segment<'_>) -> bool {
        self.traces.iter().any(|t| {
            t.seq == segment.seq.0
                && t.ack == segment.ack.0
                && t.flags == segment.flags.0
                && t.len == segment.wire_len
                && t.ip_id == segment.ip_id
                && t.timestamps == segment.options.timestamps
                && (overlaps(t, segment)
                    || segment.ip_id.is_some_and(|id| id != 0)
                    || segment.options.timestamps.is_some() && segment.wire_len > 0)
                && t.sample == sample(segment.payload)
                && within(t, segment)
        })
    }

    /// Stamped by its sender before the newest segment: not sent again after
    /// it (RFC 7323, section 4.3 has the clock behind TSval never run back).
    pub(super) fn is_stamped_earlier(&self, segment: &Segment<'_>) -> bool {
        match (self.stamp, segment.options.timestamps) {
            (Some(newest), Some((this, _))) => {
                (1..0x8000_0000).contains(&newest.wrapping_sub(this))
            }
            _ => false,
        }
    }

    fn newest(&self) -> Option<Trace> {
        let newest = self.next.checked_sub(1)?;
        self.traces.get(newest % KEPT).copied()
    }

    /// A segment of the same place and length carried other bytes.
    pub(super) fn contradicts(&self, segment: &Segment<'_>) -> bool {
        self.traces.iter().any(|t| {
            t.seq == segment.seq.0
                && t.len == segment.wire_len
                // A single byte may be the garbage of a keep-alive (RFC 9293, section 3.8.4).
                && segment.wire_len > 1
                && t.sample != sample(segment.payload)
        })
    }

    /// The IP identification of the newest segment.
    pub(super) fn last_ip_id(&self) -> Option<u16> {
        self.newest()?.ip_id
    }
}

/// Two files have it, to the nanosecond: they overlap.
fn overlaps(first: &Trace, second: &Segment<'_>) -> bool {
    first.at.source != second.at.source && first.at.time == second.at.time
}

fn within(first: &Trace, second: &Segment<'_>) -> bool {
    let apart = (second.at.time.as_nanos()).abs_diff(first.at.time.as_nanos());
    let identified = second.ip_id.is_some_and(|id| id != 0)
        && second.options.timestamps.is_some()
        && second.wire_len > 0;
    apart
        <= if identified {
            IDENTIFIED_NANOS
        } else {
            DUPLICATE_NANOS
        }
}

/// A fingerprint of the payload's first and last 16 bytes: enough to show
/// that two payloads differ, not that they are the same.
///
/// Rationale: the payload has been handed on and is not kept; hashing all of
/// it would cost more than everything else that is done with a segment.
fn sample(payload: &[u8]) -> u64 {
    let mut hash = payload.len() as u64;
    for part in [payload.first_chunk::<16>(), payload.last_chunk::<16>()]
        .into_iter()
        .flatten()
    {
        hash = mix(hash, u128::from_le_bytes(*part));
    }
    if payload.len() < 16 {
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(payload) {
            *to = *from;
        }
        hash = mix(hash, u128::from_le_bytes(short));
    }
    hash
}

fn mix(hash: u64, part: u128) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    #[expect(clippy::cast_possible_truncation, reason = "both halves are folded in")]
    let folded = (part as u64) ^ ((part >> 64) as u64).rotate_left(29);
    (hash ^ folded).wrapping_mul(ODD).rotate_left(31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Endpoint, Flags, Options, Seq};
    use crate::time::Timestamp;

    fn segment(ms: i64, stamp: u32, id: u16) -> Segment<'static> {
        let host = Endpoint {
            ip: [10, 0, 0, 1].into(),
            port: 8_080,
        };
        Segment {
            at: PacketRef {
                time: Timestamp::from_nanos(ms * 1_000_000),
                ..PacketRef::default()
            },
            from: host,
            to: host,
            seq: Seq(1),
            ack: Seq(1),
            flags: Flags(Flags::ACK),
            window: 500,
            options: Options {
                timestamps: Some((stamp, 0)),
                ..Options::default()
            },
            ttl: 64,
            ip_id: Some(id),
            payload: b"x",
            wire_len: 1,
        }
    }

    #[test]
    fn what_is_sent_again_has_a_later_stamp_and_another_identification() {
        let mut recent = Recent::default();
        recent.remember(&segment(0, 1_000, 7));
        assert!(recent.is_duplicate(&segment(30, 1_000, 7)));
        assert!(!recent.is_duplicate(&segment(30, 1_030, 8)));
        recent.remember(&segment(30, 1_030, 8));
        assert!(recent.is_stamped_earlier(&segment(60, 1_000, 7)));
        assert!(!recent.is_stamped_earlier(&segment(60, 1_060, 9)));
    }

    #[test]
    fn stamps_wrap() {
        let mut recent = Recent::default();
        recent.remember(&segment(0, u32::MAX, 7));
        recent.remember(&segment(1, 0, 8));
        assert!(recent.is_stamped_earlier(&segment(2, u32::MAX, 7)));
    }
}
