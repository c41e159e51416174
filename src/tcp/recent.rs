//! The last few segments of one direction: the same packet captured twice, and
//! bytes that were sent again with another content.

use super::age::Age;
use super::faint::{FaintTraces, Marks};
use super::sample::Sample;
use super::trace::{
    DUPLICATE_NANOS, IDENTIFIED_NANOS, MARKED_NANOS, Surroundings, Trace, captured,
};
use crate::packet::Segment;
use crate::stream::PacketRef;

/// Rationale: duplicates of bridges and of `-i any` follow within a few
/// packets; a retransmission that carries other bytes is rarely further away.
const KEPT: usize = 8;

/// Rationale: so many in a row don't count up by chance.
const STEADY_IDS: u8 = 4;
/// Rationale: a segment that the network card splits takes as many
/// identifications as it becomes packets, 64 KiB some 45; hosts with one
/// counter for all connections skip a few.
const ID_STEP: u16 = 1_024;

/// A ring of traces.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Grows as segments come: most connections of a scan never have a second one.
    traces: Vec<Trace>,
    /// Of each what it begins with and acknowledges, in a word: for most segments these
    /// show that it is none of them, and the traces aren't touched.
    places: [u32; KEPT],
    next: usize,
    /// The latest TSval of this sender.
    stamp: Option<u32>,
    /// The highest identification of this sender, and over how many in a row it counted up.
    counted: Option<(u16, u8)>,
    /// A reset was among the segments.
    reset: bool,
    /// Segments were captured twice.
    doubled: bool,
    /// What is left of older segments with payload; of all, once one was captured twice.
    older: Option<Box<FaintTraces>>,
}

/// Where a segment stands in both streams.
fn place_of(segment: &Segment<'_>) -> u32 {
    segment.seq.0.rotate_left(16) ^ segment.ack.0
}

impl Recent {
    pub(super) fn remember(&mut self, segment: &Segment<'_>) {
        let trace = Trace {
            at: segment.at,
            seq: segment.seq.0,
            ack: segment.ack.0,
            flags: segment.flags.0,
            len: segment.wire_len,
            captured: captured(segment),
            ip_id: segment.ip_id,
            timestamps: segment.options.timestamps,
            sample: Sample::of(segment.payload),
        };
        match self.traces.get_mut(self.next % KEPT) {
            Some(oldest) => {
                if oldest.len > 0 || self.doubled {
                    self.older.get_or_insert_default().push(&oldest.marks());
                }
                *oldest = trace;
            }
            None => {
                // Rationale: the side that doesn't speak has one or two.
                if self.traces.len() < 2 {
                    self.traces.reserve_exact(1);
                }
                self.traces.push(trace);
            }
        }
        if let Some(place) = self.places.get_mut(self.next % KEPT) {
            *place = place_of(segment);
        }
        self.next = self.next.wrapping_add(1);
        self.reset |= segment.flags.rst();
        if let Some((stamp, _)) = segment.options.timestamps
            && !self.is_stamped_earlier(segment)
        {
            self.stamp = Some(stamp);
        }
        if let Some(id) = segment.ip_id.filter(|id| *id != 0) {
            self.counted = Some(match self.counted {
                Some((newest, steady)) => match id.wrapping_sub(newest) {
                    1..ID_STEP => (id, steady.saturating_add(1)),
                    // Overtaken on its way.
                    0x8000.. if steady >= STEADY_IDS => (newest, steady),
                    _ => (id, 0),
                },
                None => (id, 0),
            });
        }
    }

    /// A segment of the connection was captured twice: all of them may be.
    pub(super) const fn expect_copies(&mut self) {
        self.doubled = true;
    }

    /// The same packet was captured before those that are kept.
    pub(super) fn is_copy_of_older(&self, segment: &Segment<'_>) -> bool {
        if segment.wire_len == 0 && !self.doubled {
            return false;
        }
        let numbered = segment.ip_id.is_some_and(|id| id != 0);
        let most = match (numbered, segment.options.timestamps) {
            (true, Some(_)) => IDENTIFIED_NANOS,
            // Bare acknowledgments may be sent several times at once.
            _ if segment.wire_len == 0 => return false,
            (true, None) | (false, Some(_)) => MARKED_NANOS,
            (false, None) => return false,
        };
        let older = self.older.as_ref();
        older.is_some_and(|older| older.hold(&Marks::of(segment), most))
    }

    /// A reset was among the segments.
    pub(super) const fn has_reset(&self) -> bool {
        self.reset
    }

    /// The first copy of the same packet.
    pub(super) fn copy_of(
        &self,
        segment: &Segment<'_>,
        around: &Surroundings,
    ) -> Option<PacketRef> {
        let place = place_of(segment);
        let mut there = self.traces.iter().zip(&self.places);
        let first = there.find(|(t, other)| {
            **other == place
                && t.seq == segment.seq.0
                && t.ack == segment.ack.0
                && t.flags == segment.flags.0
                && t.len == segment.wire_len
                && t.ip_id == segment.ip_id
                && t.timestamps == segment.options.timestamps
                && t.may_hold_the_same(segment)
                && t.is_near(segment, around)
        });
        first.map(|(t, _)| t.at)
    }

    /// The same bytes, cut into segments in another way: a network card splits
    /// and joins them between two capture points of one host. All bytes of
    /// `segment` were seen before.
    pub(super) fn is_cut_anew(&self, segment: &Segment<'_>, around: &Surroundings) -> bool {
        let stamp = segment.options.timestamps.map(|(stamp, _)| stamp);
        let most = match stamp {
            Some(_) => IDENTIFIED_NANOS,
            None => DUPLICATE_NANOS,
        };
        self.traces.iter().any(|t| {
            (t.seq, t.len) != (segment.seq.0, segment.wire_len)
                && t.overlaps(segment)
                && t.timestamps.map(|(stamp, _)| stamp) == stamp
                && t.apart(segment) < most
                && !around.may_have_asked_again(t)
        })
    }

    /// The sender stamped it no later than the newest segment, and it brings no
    /// newer bytes: a copy that was captured late, or overtaken on its way.
    pub(super) fn is_from_before(&self, segment: &Segment<'_>) -> bool {
        let same = |stamp: u32| {
            segment
                .options
                .timestamps
                .is_some_and(|(own, _)| own == stamp)
        };
        let beyond = |t: &Trace| {
            let end = |seq: u32, len: u32| seq.wrapping_add(len);
            let more = end(segment.seq.0, segment.wire_len).wrapping_sub(end(t.seq, t.len));
            more != 0 && more < 1 << 31
        };
        self.is_stamped_earlier(segment)
            || self.stamp.is_some_and(same) && !self.traces.iter().all(beyond)
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

    /// By the stamps of the sender, whose clock never runs back (RFC 7323, section 4.3).
    pub(super) fn compared_stamps(&self, segment: &Segment<'_>) -> Option<Age> {
        let (this, _) = segment.options.timestamps?;
        match this.wrapping_sub(self.stamp?) {
            0 => None,
            1..0x8000_0000 => Some(Age::Newer),
            _ => Some(Age::Older),
        }
    }

    /// Numbered by its sender not after the newest segment, where identifications count up.
    pub(super) fn is_numbered_earlier(&self, segment: &Segment<'_>) -> bool {
        match (self.counted, segment.ip_id) {
            (Some((newest, STEADY_IDS..)), Some(this)) if this != 0 => {
                newest.wrapping_sub(this) < 0x8000
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
                && !t.may_hold_the_same(segment)
        })
    }

    /// The IP identification of the newest segment.
    pub(super) fn last_ip_id(&self) -> Option<u16> {
        self.newest()?.ip_id
    }
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

    const ALONE: Surroundings = Surroundings {
        heard: None,
        acknowledged: false,
        probe: false,
    };

    fn is_copy(recent: &Recent, segment: &Segment<'_>) -> bool {
        recent.copy_of(segment, &ALONE).is_some()
    }

    /// Without the timestamps option.
    fn plain(us: i64, id: Option<u16>) -> Segment<'static> {
        let mut segment = segment(0, 0, 0);
        segment.at.time = Timestamp::from_nanos(us * 1_000);
        (segment.ip_id, segment.options) = (id, Options::default());
        segment
    }

    #[test]
    fn what_is_sent_again_has_a_later_stamp_and_another_identification() {
        let mut recent = Recent::default();
        recent.remember(&segment(0, 1_000, 7));
        assert!(is_copy(&recent, &segment(30, 1_000, 7)));
        assert!(!is_copy(&recent, &segment(30, 1_030, 8)));
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

    #[test]
    fn without_marks_a_copy_comes_at_once_and_unasked() {
        let mut recent = Recent::default();
        recent.remember(&plain(0, None));
        assert!(is_copy(&recent, &plain(300, None)));
        assert!(!is_copy(&recent, &plain(30_000, None)));
        let asked = Surroundings {
            heard: Some(plain(100, None).at),
            ..ALONE
        };
        assert_eq!(recent.copy_of(&plain(300, None), &asked), None);
    }

    #[test]
    fn bare_acknowledgments_without_marks_are_no_copies_but_resets_are() {
        let bare = |us, flags| Segment {
            flags: Flags(flags),
            payload: &[],
            wire_len: 0,
            ..plain(us, Some(0))
        };
        let mut recent = Recent::default();
        recent.remember(&bare(0, Flags::ACK));
        assert!(!is_copy(&recent, &bare(3, Flags::ACK)));
        recent.remember(&bare(5, Flags::RST));
        assert!(is_copy(&recent, &bare(8, Flags::RST)));
    }

    #[test]
    fn a_copy_that_the_snap_length_cut_is_one_and_contradicts_nothing() {
        let text = b"forty bytes of a payload that is captured";
        let long = |us, payload| Segment {
            payload,
            wire_len: 41,
            ..plain(us, Some(7))
        };
        let mut recent = Recent::default();
        recent.remember(&long(0, text));
        for kept in [0, 10, 20, 41] {
            let cut = long(3, &text[..kept]);
            assert!(is_copy(&recent, &cut) && !recent.contradicts(&cut));
        }
        assert!(recent.contradicts(&long(3, &[b'x'; 41])));
    }

    #[test]
    fn identifications_that_count_up_tell_what_was_numbered_before() {
        let mut recent = Recent::default();
        for id in 7..12 {
            assert!(!recent.is_numbered_earlier(&plain(0, Some(6))));
            recent.remember(&plain(0, Some(id)));
        }
        assert!(recent.is_numbered_earlier(&plain(30_000, Some(6))));
        assert!(!recent.is_numbered_earlier(&plain(30_000, Some(12))));
        let mut random = Recent::default();
        for id in [7, 40_000, 9, 60_000, 3_000, 21_000] {
            random.remember(&plain(0, Some(id)));
        }
        assert!(!random.is_numbered_earlier(&plain(30_000, Some(20_000))));
    }
}
