//! What stands between the two ends, as far as one connection tells: a path
//! that carries nothing any more, a flow that was forgotten, a named proxy.

use std::time::Duration;

use super::timeouts::Timeouts;
use super::{Confidence, Provenance, reset_provenance};
use crate::session::Session;
use crate::stream::{Direction, PacketRef};

/// Rationale: retransmission timeouts start at 200 ms (Linux) to 1 s (RFC
/// 6298); what is sent again sooner is fast recovery or a tail-loss probe.
const TIMEOUT_SPACING: Duration = Duration::from_millis(150);
/// Rationale: possible from 3 retransmissions, likely from 5 or from 10 s: a lossy path loses a few in a row, not that many.
const LADDER: (usize, u64, Duration) = (3, 5, Duration::from_secs(10));
/// Rationale: no device forgets a flow sooner, and a delayed answer is no silence.
const SHORTEST_EXPIRY: Duration = Duration::from_secs(1);

/// Payload went out again and again, and no acknowledgment came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeadPath {
    /// Who kept sending.
    pub(super) sender: Direction,
    /// The first payload without an acknowledgment.
    pub(super) first: PacketRef,
    /// When it was sent again for the last time.
    pub(super) last: PacketRef,
    /// How often it was sent again.
    pub(super) again: u64,
    /// The last packet of the other side, whatever it was.
    pub(super) heard: Option<PacketRef>,
}

impl DeadPath {
    /// For how long it was tried.
    pub(super) fn tried(&self) -> Duration {
        self.last.time.saturating_since(self.first.time)
    }

    /// More than the least that makes it possible.
    pub(super) fn is_sure(&self) -> bool {
        self.again >= LADDER.1 || self.tried() >= LADDER.2
    }

    /// The other side was heard while it was tried: one direction is dead only.
    pub(super) fn one_way(&self) -> bool {
        self.heard.is_some_and(|heard| heard > self.first)
    }
}

/// The path from one side to the other is dead at the end of the session. Not
/// told from a capture that shows one direction only.
pub(super) fn dead_path(session: &Session) -> Option<DeadPath> {
    let leg = &session.leg;
    if !leg.both_ways() {
        return None;
    }
    Direction::BOTH
        .into_iter()
        .filter_map(|sender| {
            let unacked = &leg.unacked[sender];
            let (first, last) = (unacked.first?, unacked.last?);
            let mut before = first;
            let mut spaced = 0;
            for at in &unacked.again {
                if at.time.saturating_since(before.time) >= TIMEOUT_SPACING {
                    spaced += 1;
                }
                before = *at;
            }
            let heard = leg.last_packet[sender.reverse()];
            let again = unacked.again_count;
            (spaced >= LADDER.0).then_some(DeadPath {
                sender,
                first,
                last,
                again,
                heard,
            })
        })
        .max_by_key(DeadPath::tried)
}

/// After a silence, data met a path that knows nothing of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expired {
    /// Who sent the data.
    pub(super) sender: Direction,
    /// The last packet before the silence.
    pub(super) quiet_since: PacketRef,
    /// The data that ended it.
    pub(super) data: PacketRef,
    /// How long no packet passed.
    pub(super) silence: Duration,
    /// The reset that answered; `None` where nothing did.
    pub(super) reset: Option<PacketRef>,
    /// How sure.
    pub(super) confidence: Confidence,
}

/// A device on the path has forgotten the flow: silence, data, then a reset of
/// somebody who doesn't know the connection, or nothing.
pub(super) fn expired(session: &Session, timeouts: &Timeouts) -> Option<Expired> {
    Direction::BOTH
        .into_iter()
        .find_map(|sender| expired_for(session, sender, timeouts))
}

fn expired_for(session: &Session, sender: Direction, timeouts: &Timeouts) -> Option<Expired> {
    let leg = &session.leg;
    let unacked = &leg.unacked[sender];
    let (data, quiet_since) = (unacked.first?, unacked.after?);
    let silence = data.time.since(quiet_since.time)?;
    // A silence that was survived before doesn't end a flow the next time.
    let survived = leg.longest_silence.saturating_sub(silence) > silence / 10;
    let closing = [leg.fin.client, leg.fin.server]
        .into_iter()
        .flatten()
        .any(|fin| fin < data);
    if silence < SHORTEST_EXPIRY || survived || closing {
        return None;
    }
    let reset = leg
        .resets
        .iter()
        .find(|reset| reset.direction == sender.reverse() && reset.at > data);
    let strange = match reset {
        Some(reset) => match reset_provenance(session, reset).verdict {
            Provenance::Middlebox => true,
            Provenance::NoSocket => false,
            // A bare reset that isn't quite the peer's: a second sign beside the silence.
            Provenance::Unclear if !reset.acknowledges => {
                reset.usual_ttl.is_some_and(|(usual, _)| usual != reset.ttl)
            }
            Provenance::AbortedSocket | Provenance::Unclear => return None,
        },
        None if dead_path(session).is_some_and(|dead| dead.sender == sender) => false,
        None => return None,
    };
    let known = timeouts.forgets_after(silence).next().is_some();
    let confidence = if strange || known {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    Some(Expired {
        sender,
        quiet_since,
        data,
        silence,
        reset: reset.map(|reset| reset.at),
        confidence,
    })
}

/// A side of which nothing tells any more whether it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vanished {
    /// Which.
    pub side: Direction,
    /// The packet from which on that can't be told.
    pub since: PacketRef,
    /// Its last packet.
    pub heard: Option<PacketRef>,
    /// A reset came in its name: from its host, or from a device that has forgotten the flow.
    pub reset: bool,
}

/// The side that went silent while the other kept sending, or in whose name a
/// reset came that may be a device's which has forgotten the flow.
pub fn vanished(session: &Session) -> Option<Vanished> {
    let leg = &session.leg;
    // Which timer it was tells how sure, and no more.
    let expired = expired(session, Timeouts::built_in());
    if let Some((expired, reset)) = expired.and_then(|expired| Some((expired, expired.reset?))) {
        let side = expired.sender.reverse();
        let heard = leg.last_delivered[expired.sender].map(|(_, acked)| acked);
        return Some(Vanished {
            side,
            since: reset,
            heard: heard.max(leg.last_payload[side]),
            reset: true,
        });
    }
    let dead = dead_path(session).filter(|dead| !dead.one_way())?;
    Some(Vanished {
        side: dead.sender.reverse(),
        since: dead.first,
        heard: dead.heard,
        reset: false,
    })
}

/// What `Server` and `Via` say of intermediaries that answer in their own name.
/// Rationale: names of proxies that can't also be the WebSocket's endpoint.
const PROXIES: [(&str, &str); 14] = [
    ("nginx", "nginx"),
    ("openresty", "nginx (OpenResty)"),
    ("haproxy", "haproxy"),
    ("envoy", "Envoy"),
    ("awselb", "an AWS load balancer"),
    ("cloudflare", "Cloudflare"),
    ("cloudfront", "CloudFront"),
    ("vegur", "the Heroku router"),
    ("heroku", "the Heroku router"),
    ("application-gateway", "Azure Application Gateway"),
    ("google", "a Google load balancer"),
    ("traefik", "Traefik"),
    ("caddy", "Caddy"),
    ("varnish", "Varnish"),
];

/// The proxy that is the TCP peer on the side which sends in `side`, where the
/// handshake names it. A proxy that calls itself a server is the server's side;
/// one that adds forwarding headers to the request is the client's.
pub(super) fn front_of(session: &Session, side: Direction) -> Option<&'static str> {
    match side {
        // Whatever the answer inside says: the peer is who opened the tunnel.
        Direction::ServerToClient if !session.leg.via.is_empty() => Some("the forward proxy"),
        Direction::ServerToClient => {
            let response = session.handshake.response.as_ref()?;
            let words = response
                .headers
                .all("Via")
                .chain(response.headers.all("Server"));
            for word in words {
                let word = word.to_ascii_lowercase();
                if let Some((_, name)) = PROXIES.iter().find(|(mark, _)| word.contains(mark)) {
                    return Some(name);
                }
            }
            response.headers.first("Via").map(|_| "a proxy")
        }
        Direction::ClientToServer => {
            let headers = &session.handshake.request.headers;
            ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"]
                .iter()
                .any(|name| headers.first(name).is_some())
                .then_some("a proxy")
                .or_else(|| session.leg.proxied.is_some().then_some("a proxy"))
        }
    }
}
