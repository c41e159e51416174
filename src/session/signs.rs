//! What speaks for two sessions being legs of one: addresses that meet, a
//! client that is named, messages that are alike.

use std::net::IpAddr;
use std::time::Duration;

use super::story::Outline;
use super::{Leg, Session};
use crate::stream::{Direction, PacketRef};

/// Rationale: what a proxy holds a message for is milliseconds; a second is a loaded one.
const HELD: Duration = Duration::from_secs(1);
/// Rationale: delays through one proxy vary little against their own size of a few ms.
const JITTER: Duration = Duration::from_millis(50);
/// Rationale: fewer messages are alike by chance.
const LEAST_ALIKE: usize = 3;

/// The request's first packet.
pub(super) fn began(session: &Session) -> PacketRef {
    session.handshake.request.first
}

/// The server of one is a host that dials on the other.
pub(super) fn meets(front: &Leg, back: &Leg) -> bool {
    front.server.ip() == back.client.ip()
}

/// The request of `back` says that it came from the client of `front`.
pub(super) fn names(back: &Session, front: &Session) -> bool {
    let client = front.leg.client;
    match back.leg.forwarded_for {
        Some(named) => named == client,
        None => named(back).contains(&client.ip()),
    }
}

/// The same with the client's port: no other connection of that moment is meant.
pub(super) fn names_exactly(back: &Session, front: &Session) -> bool {
    let client = front.leg.client;
    if let Some(named) = back.leg.forwarded_for {
        return named == client;
    }
    let last = back
        .handshake
        .request
        .headers
        .list("X-Forwarded-For")
        .last();
    last.and_then(|node| node.trim().parse().ok()) == Some(client)
}

/// The client that the proxy names: each adds its own at the end (RFC 7239, section 4).
pub(super) fn named(back: &Session) -> Vec<IpAddr> {
    if let Some(client) = back.leg.forwarded_for {
        return vec![client.ip()];
    }
    let headers = &back.handshake.request.headers;
    let last = |name: &str| headers.list(name).last().and_then(address);
    let forwarded = headers.list("Forwarded").last().and_then(|element| {
        let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        address(node)
    });
    let named = [last("X-Forwarded-For"), last("X-Real-IP"), forwarded];
    named.into_iter().flatten().collect()
}

/// `192.0.2.1`, `192.0.2.1:4711`, `"[2001:db8::1]:4711"`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(address.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// The same lengths in the same order, each passed on after about the same time.
pub(super) fn alike(front: &Session, back: &Session) -> bool {
    let one_clock = began(front).source == began(back).source;
    let (mut compared, mut lengths) = (0, Vec::new());
    for direction in Direction::BOTH {
        let (Outline(front), Outline(back)) = (&front.outline, &back.outline);
        let (front, back) = (&front[direction], &back[direction]);
        if front.len().abs_diff(back.len()) > 1 {
            return false;
        }
        let mut delays = Vec::new();
        for ((a, len), (b, other)) in front.iter().zip(back) {
            let (sent, passed) = match direction {
                Direction::ClientToServer => (a, b),
                Direction::ServerToClient => (b, a),
            };
            let delay = passed.as_nanos().saturating_sub(sent.as_nanos());
            if len != other || (one_clock && delay < 0) {
                return false;
            }
            delays.push(delay);
            lengths.push(*len);
        }
        let (least, most) = (delays.iter().min(), delays.iter().max());
        if let (Some(least), Some(most)) = (least, most) {
            let spread = most.saturating_sub(*least).unsigned_abs();
            let late = one_clock && most.unsigned_abs() > nanos(HELD);
            if spread > nanos(JITTER) || late {
                return false;
            }
        }
        compared += delays.len();
    }
    lengths.sort_unstable();
    lengths.dedup();
    // What a server sends to all its clients alike tells nothing.
    let asked = front
        .outline
        .0
        .client
        .len()
        .min(back.outline.0.client.len());
    compared >= LEAST_ALIKE && lengths.len() > 1 && asked > 1
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
