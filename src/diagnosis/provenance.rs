//! Who really sent a reset: an aborted socket, a host without that socket, or
//! a device on the path (after Weaver, Sommer and Paxson, "Detecting Forged
//! TCP Reset Packets", NDSS 2009).

use std::time::Duration;

use crate::session::Reset;
use crate::session::Session;
use crate::stream::{Direction, PacketRef};

/// The sender, as far as the packet tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provenance {
    /// The socket of the claimed sender was aborted: SO_LINGER 0, a close with unread data, a kill.
    AbortedSocket,
    /// The claimed sender's host has no such socket any more: restarted, failed over, flow forgotten.
    NoSocket,
    /// A device between the two wrote it.
    Middlebox,
    /// It can't be told.
    Unclear,
}

/// The verdict and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetReading {
    /// Who.
    pub verdict: Provenance,
    /// One of the signs is decisive, or two agree.
    pub sure: bool,
    /// The signs, in plain words.
    pub signs: Vec<String>,
    /// The packet that decides, where another one than the reset does.
    pub decisive: Option<PacketRef>,
}

/// Rationale: routes vary a TTL by one; a direction whose TTL stood still over
/// 5 packets doesn't.
const STEADY: u32 = 5;

/// Reads a reset.
pub fn reset_provenance(session: &Session, reset: &Reset) -> ResetReading {
    let mut signs = Vec::new();
    if not_on_far_side(session, reset) {
        signs.push("the other side of the address translation doesn't have it".to_owned());
        return ResetReading {
            verdict: Provenance::Middlebox,
            sure: true,
            signs,
            decisive: None,
        };
    }
    let went_on = session.leg.sent_after_reset[reset.direction];
    let sender = reset.direction.sender();
    if went_on.is_some() {
        signs.push(format!("the {sender} goes on sending after it"));
    }
    let ttl = reset.usual_ttl.filter(|(usual, steady)| {
        let apart = usual.abs_diff(reset.ttl);
        apart >= 2 || (apart == 1 && *steady >= STEADY)
    });
    if let Some((usual, _)) = ttl {
        signs.push(format!(
            "its TTL is {}, the {sender}'s packets have {usual}",
            reset.ttl
        ));
    }
    let id_jumps = id_jumps(reset);
    if let (true, Some(id), Some(last)) = (id_jumps, reset.ip_id, reset.last_ip_id) {
        signs.push(format!(
            "its IP identification is {id}, the one before was {last}"
        ));
    }
    let both = both_ways(session, reset);
    if both {
        signs.push("both sides got a reset at the same moment".to_owned());
    }
    if went_on.is_some() || ttl.is_some() || both {
        // Alone it says little: a kernel's reset for a socket that is gone has no timestamps either.
        let foreign = reset.timestamps_usual && !reset.timestamps && reset.acknowledges;
        if foreign {
            signs.push(format!("it lacks the timestamps of the {sender}'s socket"));
        }
        let agreeing = [ttl.is_some(), id_jumps, both, foreign];
        let sure = went_on.is_some() || agreeing.iter().filter(|sign| **sign).count() >= 2;
        return ResetReading {
            verdict: Provenance::Middlebox,
            sure,
            signs,
            decisive: went_on,
        };
    }
    let bare = !reset.acknowledges && reset.window == 0 && !reset.timestamps;
    if bare && reset.ip_id.is_none_or(|id| id == 0) {
        signs.push("bare: no ACK, no window, no IP identification".to_owned());
        if let Some((usual, _)) = reset.usual_ttl.filter(|(usual, _)| *usual != reset.ttl) {
            // Too little to call it forged, too much to call it the host's.
            signs.push(format!("its TTL is {}, not {usual}", reset.ttl));
            return ResetReading {
                verdict: Provenance::Unclear,
                sure: false,
                signs,
                decisive: None,
            };
        }
        return ResetReading {
            verdict: Provenance::NoSocket,
            sure: true,
            signs,
            decisive: None,
        };
    }
    let follows = match (reset.last_ip_id, reset.ip_id) {
        (Some(last), Some(id)) => id.wrapping_sub(last) < 64 && id != 0,
        _ => false,
    };
    if reset.acknowledges && (follows || reset.timestamps || reset.window > 0) {
        signs.push("it continues that socket's numbering".to_owned());
        let sure = follows || reset.timestamps;
        return ResetReading {
            verdict: Provenance::AbortedSocket,
            sure,
            signs,
            decisive: None,
        };
    }
    ResetReading {
        verdict: Provenance::Unclear,
        sure: false,
        signs,
        decisive: None,
    }
}

/// Rationale: as long as a packet may take between two sides of one device, or of two clocks.
const CROSSING: Duration = Duration::from_secs(1);

/// The capture shows the other side of an address translation, where a reset of
/// the server would have passed before this one, and it didn't.
fn not_on_far_side(session: &Session, reset: &Reset) -> bool {
    let Some(far) = &session.far_side else {
        return false;
    };
    let near = |at: PacketRef| {
        let (a, b) = (at.time.min(reset.at.time), at.time.max(reset.at.time));
        b.saturating_since(a) <= CROSSING
    };
    let leg = &far.leg;
    let carried = leg
        .resets
        .iter()
        .any(|other| other.direction == reset.direction && near(other.at))
        || leg.fin[reset.direction].is_some_and(near);
    let comes_from_there = reset.direction == Direction::ServerToClient;
    comes_from_there && !carried && leg.both_ways() && far.was_watched(reset.at, session.horizon)
}

/// A reset went the other way at the same moment, and no data that it could
/// answer stands between: no host resets what was just reset.
fn both_ways(session: &Session, reset: &Reset) -> bool {
    let leg = &session.leg;
    let round_trip =
        leg.rtt.client.min().unwrap_or_default() + leg.rtt.server.min().unwrap_or_default();
    // Rationale: both within half a round trip; clocks of captures tick in up to 1 ms.
    let moment = (round_trip / 2).max(Duration::from_millis(1));
    let data = |from: PacketRef, to: PacketRef| {
        [
            leg.last_payload.client,
            leg.last_payload.server,
            leg.last_retransmission.client,
            leg.last_retransmission.server,
        ]
        .into_iter()
        .flatten()
        .any(|at| at > from && at < to)
    };
    leg.resets.iter().any(|other| {
        let (first, second) = (reset.at.min(other.at), reset.at.max(other.at));
        other.direction != reset.direction
            && !other.after_own_fin
            && !reset.after_own_fin
            && second.time.saturating_since(first.time) <= moment
            && !data(first, second)
    })
}

/// The identification neither continues the sender's count nor is 0, which
/// kernels use for packets without a socket.
fn id_jumps(reset: &Reset) -> bool {
    match (reset.last_ip_id, reset.ip_id) {
        (Some(last), Some(id)) => last != 0 && id != 0 && id.wrapping_sub(last) > 1_024,
        _ => false,
    }
}
