//! TLS of which the handshake was captured and no key is known: whether the
//! sizes and times of its records suggest a WebSocket.
//!
//! Encryption keeps lengths. A request and its answer have the sizes of an
//! opening handshake; what follows is too short for another request; and a
//! Ping and its Pong, an echo, a Close and its answer differ by the masking
//! key, which only clients send. One of these alone suggests nothing.

mod beats;
mod ending;
mod opening;
mod pairs;

use crate::session::{Keyless, Leg};
use crate::stream::{Direction, PacketRef, Sides};
use Direction::{ClientToServer, ServerToClient};
use beats::heartbeat;
use ending::{close_pair, end_of, is_last_of_its_side, lone_close};
use opening::{REQUEST, after_handshake, handshake, is_incomplete, lone_request, may_speak_http1};
use pairs::{Pairs, is_h2};

/// RFC 6455, section 5.2: the masking key.
const MASK: u16 = 4;
/// RFC 9112, section 3: the shortest request line and Host field have 27 bytes together;
/// shorter records of a client are no requests.
const SHORTEST_HTTP: u16 = 27;
/// RFC 6455, section 5.2: an empty frame of the client.
const SHORTEST_MASKED: u16 = 2 + MASK;
/// How many frames of a client that are too short for requests count.
///
/// Rationale: as many as pairs.
const BRIEF: usize = 3;
/// RFC 6455, section 5.5: the longest control frame of a server.
const LONGEST_CONTROL: u16 = 127;
/// How many pairs have to differ by the masking key where no heartbeat and no Close frame is told.
///
/// Rationale: lengths of short records differ by four in one of a hundred unrelated pairs.
const PAIRS: u32 = 3;
/// The same where the last of them ends the session as Close frames do.
const PAIRS_AND_CLOSE: u32 = 2;

/// What a record holds: one frame, if it is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) direction: Direction,
    pub(super) len: u16,
    /// It may be an alert.
    pub(super) alert: bool,
    pub(super) at: PacketRef,
}

/// What the records of a connection suggest.
pub(super) enum Suggested {
    /// A WebSocket.
    Session(Keyless),
    /// One, where another connection shows that the server speaks it: what the
    /// client sends is too short for requests, and no more.
    WithAnother(Keyless),
    /// A request, and no answer.
    Unanswered(PacketRef),
}

/// What the records of this connection suggest, if they suggest a WebSocket.
pub(super) fn suggested(leg: &Leg) -> Option<Suggested> {
    let tls = leg.tls.as_deref()?;
    if tls.is_decrypted() || tls.client_hello.is_none() || !may_speak_http1(tls) {
        return None;
    }
    let (finished, held) = after_handshake(tls)?;
    if let Some(request) = lone_request(&held) {
        return Some(Suggested::Unanswered(request));
    }
    let (request, response, talk) = handshake(&held)?;
    let alerts = talk
        .iter()
        .rev()
        .take_while(|held| held.alert && is_last_of_its_side(talk, held))
        .count();
    let (frames, alerts) = talk.split_at_checked(talk.len().checked_sub(alerts)?)?;
    let farewell = Sides::from_fn(|direction| {
        let mut own = alerts.iter().filter(|held| held.direction == direction);
        own.next().map(|held| held.at)
    });
    let end = end_of(leg, farewell);
    let beats = heartbeat(frames);
    let pairs = Pairs::of(frames);
    let partial = tls.sealed_records.is_partial() || is_incomplete(leg, tls);
    let close = close_pair(frames, beats.as_ref(), end);
    let enough = beats.is_some()
        || pairs.agree() && pairs.masked >= PAIRS
        || pairs.agree() && pairs.masked >= PAIRS_AND_CLOSE && close.is_some();
    let enough = enough && pairs.tiny;
    if is_h2(frames) || !enough && !speaks_briefly(frames) {
        return None;
    }
    let may_be_close = match close {
        Some(_) => Sides::default(),
        None => lone_close(frames, beats.as_ref(), end, is_incomplete(leg, tls)),
    };
    let keyless = Keyless {
        finished,
        request,
        response,
        masked: pairs.masked,
        beats,
        close,
        may_be_close,
        farewell,
        partial,
    };
    Some(match enough {
        true => Suggested::Session(keyless),
        false => Suggested::WithAnother(keyless),
    })
}

/// The client sends short frames and nothing that may be another request.
fn speaks_briefly(frames: &[Held]) -> bool {
    let of_client = || frames.iter().filter(|h| h.direction == ClientToServer);
    let brief = of_client().filter(|held| (SHORTEST_MASKED..SHORTEST_HTTP).contains(&held.len));
    brief.count() >= BRIEF && of_client().all(|held| held.len < REQUEST.0)
}

/// The lengths of what the client and what the server sent.
fn sides(one: &Held, other: &Held) -> (u16, u16) {
    match one.direction {
        ClientToServer => (one.len, other.len),
        ServerToClient => (other.len, one.len),
    }
}
