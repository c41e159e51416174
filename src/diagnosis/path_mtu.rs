//! Paths that swallow long segments and let short ones pass.

use std::time::Duration;

use crate::session::{Leg, Session, Unreachable};
use crate::stream::{Direction, PacketRef};

/// Rationale: three in a row are no chance where shorter ones get through.
const TRIES: u64 = 3;
/// Rationale: every path carries IPv4 packets of 576 bytes (RFC 791), so 536 of payload.
const ALWAYS_FITS: u32 = 536;
/// Rationale: repetitions of several losses are sent within a round trip, those of a segment
/// that doesn't fit a timeout apart.
const LADDER: Duration = Duration::from_secs(1);

/// Long segments of one side vanish.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlackHole {
    pub(super) sender: Direction,
    /// The first data that waited.
    pub(super) first: PacketRef,
    /// When it was sent again for the first and for the last time.
    pub(super) again: (PacketRef, PacketRef),
    pub(super) count: u64,
    /// Bytes of the shortest segment that vanished.
    pub(super) len: u32,
    /// Bytes of the longest that is known to have arrived.
    pub(super) delivered: u32,
    /// The other side was heard in the meantime.
    pub(super) heard: bool,
    /// The acknowledgment, once shorter segments were sent.
    pub(super) mended: Option<PacketRef>,
    /// A router asked for shorter packets (ICMP type 3 code 4, ICMPv6 type 2).
    pub(super) asked: Option<Unreachable>,
}

/// The black hole of a session, if its segments show one.
pub(super) fn black_hole(session: &Session) -> Option<BlackHole> {
    let leg = &session.leg;
    let holes = Direction::BOTH
        .into_iter()
        .filter_map(|sender| still_stuck(leg, sender).or_else(|| mended(leg, sender)));
    holes.max_by_key(|hole| hole.count)
}

fn asked(leg: &Leg) -> Option<Unreachable> {
    let too_big = |error: &&Unreachable| match error.v6 {
        true => error.kind == 2,
        false => error.kind == 3 && error.code == 4,
    };
    leg.unreachable.iter().find(too_big).copied()
}

fn still_stuck(leg: &Leg, sender: Direction) -> Option<BlackHole> {
    let unacked = &leg.unacked[sender];
    let delivered = leg.flow[sender].largest_delivered;
    let (len, _) = unacked.again_lens;
    let begin = *unacked.again.first()?;
    let stuck = unacked.again_count >= TRIES && len > ALWAYS_FITS && len > delivered;
    (stuck && delivered > 0).then_some(BlackHole {
        sender,
        first: unacked.first?,
        again: (begin, unacked.last?),
        count: unacked.again_count,
        len,
        delivered,
        heard: leg.last_packet[sender.reverse()].is_some_and(|heard| heard > begin),
        mended: None,
        asked: asked(leg),
    })
}

/// Shorter segments got through in the end: a sender that probes for the path's MTU (RFC 4821).
fn mended(leg: &Leg, sender: Direction) -> Option<BlackHole> {
    let flow = &leg.flow[sender];
    let found = flow.recoveries.iter().find(|recovery| {
        let (shortest, longest) = recovery.lens;
        let ladder = recovery
            .again
            .1
            .time
            .saturating_since(recovery.again.0.time);
        recovery.count >= TRIES
            && ladder >= LADDER
            && shortest < longest
            && longest > ALWAYS_FITS
            && longest > flow.largest_delivered
            && flow.largest_delivered > 0
    })?;
    Some(BlackHole {
        sender,
        first: found.first,
        again: found.again,
        count: found.count,
        len: found.lens.1,
        delivered: found.lens.0.max(flow.largest_delivered),
        heard: found.heard.is_some_and(|heard| heard > found.again.0),
        mended: Some(found.acked),
        asked: asked(leg),
    })
}
