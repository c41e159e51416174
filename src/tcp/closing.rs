//! Resets, and what tells who really sent them.
//!
//! The reading of these facts (an aborted socket, a host without a socket, a
//! device on the path) is the diagnosis' business.

use super::half::Half;
use crate::packet::Segment;
use crate::stream::{Direction, PacketRef};

/// A reset segment beside what its claimed sender's segments looked like before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The claimed sender.
    pub direction: Direction,
    /// Its packet.
    pub at: PacketRef,
    /// The ACK flag is set.
    pub acknowledges: bool,
    /// The window field, not scaled.
    pub window: u16,
    /// It carries the timestamps option.
    pub timestamps: bool,
    /// Earlier segments of this sender carried the timestamps option.
    pub timestamps_usual: bool,
    /// Its TTL or hop limit.
    pub ttl: u8,
    /// The TTL of this sender's segments before, and over how many in a row it stayed the same.
    pub usual_ttl: Option<(u8, u32)>,
    /// Its IPv4 identification.
    pub ip_id: Option<u16>,
    /// That of the same sender's segment before.
    pub last_ip_id: Option<u16>,
    /// Its sequence number is one that the receiver would accept (RFC 9293, section 3.5.3).
    pub in_window: bool,
    /// The same sender's FIN was seen before: mere teardown.
    pub after_own_fin: bool,
    /// The newest segment of the other side before it, which it may answer.
    pub answers: Option<PacketRef>,
    /// It answers a SYN: nobody listens.
    pub refuses_syn: bool,
}

/// Rationale: where the receiver's window is unknown (no SYN seen), the largest without scaling.
const ASSUMED_WINDOW: i64 = 65_535;

pub(super) fn reset(
    direction: Direction,
    segment: &Segment<'_>,
    own: &Half,
    other: &Half,
) -> Reset {
    Reset {
        direction,
        at: segment.at,
        acknowledges: segment.flags.ack(),
        window: segment.window,
        timestamps: segment.options.timestamps.is_some(),
        timestamps_usual: own.timestamps,
        ttl: segment.ttl,
        usual_ttl: own.ttl,
        ip_id: segment.ip_id,
        last_ip_id: own.recent.last_ip_id(),
        in_window: in_window(segment, own),
        after_own_fin: own.fin.is_some(),
        answers: other.last_segment,
        // RFC 9293, section 3.5.2: it acknowledges the SYN, and nothing after it.
        refuses_syn: own.segments == 0
            && other.highest == 0
            && other
                .isn
                .is_some_and(|isn| !segment.flags.ack() || segment.ack == isn.plus(1)),
    }
}

/// A receiver takes a reset only at or after the next byte that it expects,
/// within its window; what the sender has sent but we have not seen
/// acknowledged counts as within.
fn in_window(segment: &Segment<'_>, own: &Half) -> bool {
    let Some(offset) = own.offset_of(segment.seq) else {
        return true;
    };
    let acked = i64::try_from(own.acked.unwrap_or(0)).unwrap_or(i64::MAX);
    let highest = i64::try_from(own.highest).unwrap_or(i64::MAX);
    offset >= acked.saturating_sub(1) && offset <= highest.saturating_add(ASSUMED_WINDOW)
}
