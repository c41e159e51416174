//! Whether a segment was sent before or after one that the capture has in front of it,
//! whatever their times say: both sides count what they send and take.

use super::Connection;
use crate::packet::Segment;
use crate::stream::Direction;

/// When a segment was sent, compared with what was read before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Before: the capture has its records out of order.
    Older,
    /// After, though it is stamped earlier: the clock was set back.
    Newer,
}

impl Connection {
    /// Of a segment that is stamped more than `nanos` earlier than the last one of its sender,
    /// or of its receiver; `None` where nothing tells.
    pub fn age_of(&self, direction: Direction, segment: &Segment<'_>, nanos: u64) -> Option<Age> {
        let (own, peer) = (&self.halves[direction], &self.halves[direction.reverse()]);
        let is_stamped_before = |last: Option<crate::stream::PacketRef>| {
            last.is_some_and(|last| {
                let back = last
                    .time
                    .as_nanos()
                    .saturating_sub(segment.at.time.as_nanos());
                last.source == segment.at.source && u64::try_from(back).is_ok_and(|b| b > nanos)
            })
        };
        let start = own.offset_of(segment.seq)?;
        let end = start.saturating_add(i64::from(segment.wire_len));
        if is_stamped_before(own.last_segment) {
            let told = own
                .recent
                .compared_stamps(segment)
                .or_else(|| peer.compared_acks(segment))
                .or_else(|| own.compared_ends(end, segment));
            if told.is_some() {
                return told;
            }
        }
        // Nothing is acknowledged before it was sent.
        let acked = own.acked.and_then(|acked| i64::try_from(acked).ok());
        let unseen = i64::try_from(own.highest).is_ok_and(|highest| end > highest);
        (is_stamped_before(peer.last_segment)
            && segment.wire_len > 0
            && unseen
            && acked.is_some_and(|acked| end <= acked))
        .then_some(Age::Older)
    }
}
