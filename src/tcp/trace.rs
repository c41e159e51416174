//! What is kept of a segment, and whether another one is the same packet captured again.

use super::faint::Marks;
use super::sample::Sample;
use crate::packet::Segment;
use crate::stream::PacketRef;

/// Rationale: copies of one packet are captured within 1 ms; a retransmission takes longer.
pub(super) const DUPLICATE_NANOS: u64 = 1_000_000;
/// The same for packets with either an identification or a timestamp of their own.
///
/// Rationale: what is sent again is stamped anew, and most senders number it
/// anew. No retransmission timeout is shorter (Linux; RFC 6298 asks for 1 s).
pub(super) const MARKED_NANOS: u64 = 200_000_000;
/// The same for packets that have both.
///
/// Rationale: copies of two capture points that were merged are apart by the
/// path between the two.
pub(super) const IDENTIFIED_NANOS: u64 = 1_000_000_000;

/// What is kept of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    pub(super) at: PacketRef,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) len: u32,
    pub(super) captured: u32,
    pub(super) ip_id: Option<u16>,
    pub(super) timestamps: Option<(u32, u32)>,
    pub(super) sample: Sample,
}

/// What the rest of the connection says about a segment that may be a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// The newest packet of the other side.
    pub(super) heard: Option<PacketRef>,
    /// The other side has acknowledged the segment's first byte.
    pub(super) acknowledged: bool,
    /// A keep-alive: nobody sends two of them at once.
    pub(super) probe: bool,
}

impl Surroundings {
    /// The other side spoke after `first`, and may have asked for it again.
    pub(super) fn may_have_asked_again(&self, first: &Trace) -> bool {
        !self.acknowledged && self.heard.is_some_and(|at| at > first.at)
    }
}

impl Trace {
    pub(super) fn marks(&self) -> Marks {
        Marks {
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            len: self.len,
            ip_id: self.ip_id,
            timestamps: self.timestamps,
            nanos: self.at.time.as_nanos(),
        }
    }

    /// Nanoseconds between the two, whichever came first.
    pub(super) fn apart(&self, segment: &Segment<'_>) -> u64 {
        segment.at.time.as_nanos().abs_diff(self.at.time.as_nanos())
    }

    /// Close enough in time to be the same packet, for what there is to know it
    /// by. An identification of 0 (Linux, DF set) or none (IPv6) tells nothing.
    pub(super) fn is_near(&self, segment: &Segment<'_>, around: &Surroundings) -> bool {
        let numbered = segment.ip_id.is_some_and(|id| id != 0);
        let stamped = segment.options.timestamps.is_some();
        let flags = segment.flags;
        // Bare acknowledgments may be sent several times at once.
        let bare =
            segment.wire_len == 0 && !(flags.syn() || flags.fin() || flags.rst() || around.probe);
        // Two files have it, to the nanosecond: they overlap.
        if self.at.source != segment.at.source && self.at.time == segment.at.time {
            return true;
        }
        let most = match (numbered, stamped) {
            (true, true) => IDENTIFIED_NANOS,
            (true, false) if bare => DUPLICATE_NANOS,
            (true, false) => MARKED_NANOS,
            (false, _) if bare => return false,
            (false, true) => MARKED_NANOS,
            (false, false) if around.may_have_asked_again(self) => return false,
            (false, false) => DUPLICATE_NANOS,
        };
        self.apart(segment) <= most
    }

    pub(super) fn overlaps(&self, segment: &Segment<'_>) -> bool {
        let ahead = segment.seq.0.wrapping_sub(self.seq);
        let behind = self.seq.wrapping_sub(segment.seq.0);
        ahead < self.len || self.len > 0 && behind < segment.wire_len
    }

    /// Nothing captured of the two payloads differs; the snap length may have
    /// cut one of them.
    pub(super) fn may_hold_the_same(&self, segment: &Segment<'_>) -> bool {
        let (ours, theirs) = (self.captured, captured(segment));
        let sample = Sample::of(segment.payload);
        if ours == theirs {
            return self.sample == sample;
        }
        ours.min(theirs) < Sample::EDGE || self.sample.first == sample.first
    }
}

pub(super) fn captured(segment: &Segment<'_>) -> u32 {
    u32::try_from(segment.payload.len()).unwrap_or(u32::MAX)
}
