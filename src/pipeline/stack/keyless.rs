//! TLS of which the handshake was captured and no key is known: whether the
//! sizes and times of its records suggest a WebSocket.
//!
//! Encryption keeps lengths. A request and its answer have the sizes of an
//! opening handshake; what follows is too short for another request; and a
//! Ping and its Pong, an echo, a Close and its answer differ by the masking
//! key, which only clients send. One of these alone suggests nothing.

use std::time::Duration;

use crate::session::{Beats, Keyless, Leg, SealedRecord, Tls};
use crate::stream::{Direction, GapCause, PacketRef, Sides};
use crate::time::Timestamp;
use crate::tls::ContentType;
use Direction::{ClientToServer, ServerToClient};

const TLS13: u16 = 0x0304;
/// RFC 6455, section 5.2: the masking key.
const MASK: u16 = 4;
/// The shortest request that opens a WebSocket, and the longest that is looked for.
///
/// Rationale: the lines that RFC 6455, section 4.1, demands have 140 bytes with
/// a one-letter host; servers refuse heads of more than 8 KB.
const REQUEST: (u16, u16) = (140, 8_192);
/// The shortest answer, and the longest.
///
/// Rationale: the lines of a 101 have 129 bytes; proxies and cookies add a few hundred.
const ANSWER: (u16, u16) = (129, 1_024);
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
/// RFC 9113, section 4.1: a frame without payload, which an empty SETTINGS is.
const H2_SETTINGS_ACK: u16 = 9;
/// Among how many of its first records a client's Finished is sought: a certificate comes before it.
const FLIGHT: usize = 4;
/// How many pairs have to differ by the masking key where no heartbeat and no Close frame is told.
///
/// Rationale: lengths of short records differ by four in one of a hundred unrelated pairs.
const PAIRS: u32 = 3;
/// The same where the last of them ends the session as Close frames do.
const PAIRS_AND_CLOSE: u32 = 2;
/// How many beats make a heartbeat.
const BEATS: usize = 4;
/// How far an interval may be from the median, and how many of 5 must keep to that:
/// the others are Pings that stayed out.
const EVEN: (f64, usize) = (0.05, 4);
/// How long an endpoint waits for the rest of the closing handshake.
///
/// Rationale: 60 s in Chromium, less in all other libraries known.
const PATIENT: Duration = Duration::from_secs(65);
/// How long a side that has read a Close frame goes on at most.
///
/// Rationale: libraries answer as they read it; 3 s are a slow program on a slow path.
const PROMPT: Duration = Duration::from_secs(3);

/// What a record holds: one frame, if it is one.
#[derive(Clone, Copy, Debug)]
struct Held {
    direction: Direction,
    len: u16,
    /// It may be an alert.
    alert: bool,
    at: PacketRef,
}

/// What the records of a connection suggest.
pub(super) enum Suggested {
    /// A WebSocket.
    Session(Keyless),
    /// One, where another connection shows that the server speaks it: what the
    /// client sends is too short for requests, and no more.
    WithAnother(Keyless),
}

/// What the records of this connection suggest, if they suggest a WebSocket.
pub(super) fn suggested(leg: &Leg) -> Option<Suggested> {
    let tls = leg.tls.as_deref()?;
    if tls.is_decrypted() || tls.client_hello.is_none() || !may_speak_http1(tls) {
        return None;
    }
    let held = after_handshake(tls)?;
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
    let partial = tls.sealed_records.left_out() > 0 || is_incomplete(leg, tls);
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

/// The two agreed on HTTP/1.1, or on nothing and neither HTTP/2 nor anything else was offered.
fn may_speak_http1(tls: &Tls) -> bool {
    if let Some((alpn, _)) = &tls.alpn {
        return alpn == "http/1.1";
    }
    let chosen = tls.server_hello.as_ref().map(|chosen| &chosen.hello);
    let known = chosen.is_some_and(|hello| hello.version != TLS13);
    if let Some(alpn) = chosen.and_then(|hello| hello.alpn.as_ref()) {
        return alpn == "http/1.1";
    }
    let offered = tls.client_hello.as_ref().map(|(hello, _)| &hello.alpn);
    // In TLS 1.2 a server that chooses says so in the clear.
    known || offered.is_some_and(|offered| offered.iter().all(|name| name == "http/1.1"))
}

fn is_incomplete(leg: &Leg, tls: &Tls) -> bool {
    let lost = [
        GapCause::NotCaptured,
        GapCause::SnapLength,
        GapCause::LimitReached,
    ];
    lost.into_iter().any(|cause| leg.has_loss(cause))
        || tls.records_lost.client > 0
        || tls.records_lost.server > 0
}

/// What the records after the client's Finished hold; `None` where sizes can't tell.
fn after_handshake(tls: &Tls) -> Option<Vec<Held>> {
    let added = tls.added()?;
    let chosen = tls.server_hello.as_ref()?;
    let tls13 = chosen.hello.version == TLS13;
    let held = |record: &SealedRecord| {
        let len = record.len.checked_sub(added)?;
        Some(Held {
            direction: record.direction,
            len,
            alert: match tls13 {
                true => len == 2,
                false => record.content == ContentType::Alert,
            },
            at: record.at,
        })
    };
    let records = tls.sealed_records.iter();
    if !tls13 {
        let carries = |record: &&SealedRecord| {
            matches!(
                record.content,
                ContentType::ApplicationData | ContentType::Alert
            )
        };
        return Some(records.filter(carries).filter_map(held).collect());
    }
    // RFC 8446, section 4.4.4: a header and as many bytes as the suite's hash has.
    let finished = match chosen.suite.ends_with("SHA384") {
        true => 4 + 48,
        false => 4 + 32,
    };
    let all: Vec<Held> = records.filter_map(held).collect();
    let of_client = |(_, held): &(usize, &Held)| held.direction == ClientToServer;
    let mut flight = all.iter().enumerate().filter(of_client).take(FLIGHT);
    let (last, _) = flight.find(|(_, held)| held.len == finished)?;
    all.get(last.checked_add(1)?..).map(<[Held]>::to_vec)
}

/// The request, its answer, and what follows them, if they have the sizes of an opening handshake.
fn handshake(held: &[Held]) -> Option<(PacketRef, PacketRef, &[Held])> {
    let fits = |held: &Held, (least, most): (u16, u16)| (least..=most).contains(&held.len);
    let asks = held.iter().position(|h| h.direction == ClientToServer)?;
    let request = held.get(asks).filter(|held| fits(held, REQUEST))?;
    // Session tickets may come before the answer.
    let behind = held.get(asks.checked_add(1)?..)?;
    let of_server = |held: &&Held| held.direction == ServerToClient;
    let response = behind.iter().take_while(of_server);
    let answers = response
        .clone()
        .position(|held| fits(held, ANSWER))
        .filter(|_| response.clone().count() <= FLIGHT)?;
    let at = behind.get(answers)?.at;
    Some((request.at, at, behind.get(answers.checked_add(1)?..)?))
}

fn is_last_of_its_side(talk: &[Held], held: &Held) -> bool {
    let mut own = talk.iter().rev().filter(|h| h.direction == held.direction);
    own.next().is_some_and(|last| last.at == held.at)
}

/// When the transport ended, and who ended it.
fn end_of(leg: &Leg, farewell: Sides<Option<PacketRef>>) -> Option<(Direction, PacketRef)> {
    let said = Direction::BOTH.into_iter().flat_map(|direction| {
        let both = [farewell[direction], leg.fin[direction]];
        both.into_iter().flatten().map(move |at| (direction, at))
    });
    let resets = leg.resets.iter().filter(|reset| reset.in_window);
    let resets = resets.map(|reset| (reset.direction, reset.at));
    said.chain(resets).min_by_key(|(_, at)| *at)
}

/// Neighbours of opposite directions.
#[derive(Clone, Copy, Debug, Default)]
struct Pairs {
    /// The client's is longer by the masking key.
    masked: u32,
    /// The server's is.
    reversed: u32,
    /// Any, of control frames' sizes.
    all: u32,
    /// One of the client's that differ by the key is shorter than any request.
    tiny: bool,
}

impl Pairs {
    fn of(frames: &[Held]) -> Self {
        let mut pairs = Self::default();
        let mut rest = frames;
        while let [one, other, ..] = rest {
            rest = rest.get(1..).unwrap_or_default();
            let (client, server) = sides(one, other);
            if one.direction == other.direction || server > LONGEST_CONTROL {
                continue;
            }
            pairs.all += 1;
            if client == server + MASK {
                pairs.masked += 1;
                pairs.tiny |= client < SHORTEST_HTTP;
                // Each is in one pair.
                rest = rest.get(1..).unwrap_or_default();
            } else if client + MASK == server {
                pairs.reversed += 1;
            }
        }
        pairs
    }

    fn agree(&self) -> bool {
        self.masked.saturating_mul(2) >= self.all && self.reversed.saturating_mul(4) <= self.masked
    }
}

/// The lengths of what the client and what the server sent.
fn sides(one: &Held, other: &Held) -> (u16, u16) {
    match one.direction {
        ClientToServer => (one.len, other.len),
        ServerToClient => (other.len, one.len),
    }
}

/// Both sides acknowledge settings: HTTP/2.
fn is_h2(frames: &[Held]) -> bool {
    Direction::BOTH.into_iter().all(|direction| {
        let mut own = frames.iter().filter(|held| held.direction == direction);
        own.next().is_some_and(|held| held.len == H2_SETTINGS_ACK)
    })
}

/// The records that repeat as a heartbeat does: of one size, in even intervals,
/// each answered by one that differs by the masking key.
fn heartbeat(frames: &[Held]) -> Option<Beats> {
    let mut sizes: Vec<(Direction, u16)> = frames
        .iter()
        .filter(|held| held.len <= LONGEST_CONTROL + MASK)
        .map(|held| (held.direction, held.len))
        .collect();
    sizes.sort_unstable_by_key(|(direction, len)| (*direction == ServerToClient, *len));
    sizes.dedup();
    let beats = sizes
        .into_iter()
        .filter_map(|(sender, len)| beats_of(frames, sender, len));
    // Of two that count as much the first one, for good.
    beats.reduce(|best, next| match next.asked.len() > best.asked.len() {
        true => next,
        false => best,
    })
}

fn beats_of(frames: &[Held], sender: Direction, len: u16) -> Option<Beats> {
    let answer = match sender {
        ClientToServer => len.checked_sub(MASK)?,
        ServerToClient => len.checked_add(MASK)?,
    };
    let is_beat = |held: &&Held| held.direction == sender && held.len == len;
    if len.max(answer) >= SHORTEST_HTTP || frames.iter().filter(is_beat).count() < BEATS {
        return None;
    }
    let beats: Vec<PacketRef> = frames.iter().filter(is_beat).map(|held| held.at).collect();
    let mut intervals: Vec<f64> = beats
        .windows(2)
        .filter_map(|two| match two {
            [one, next] => Some(next.time.saturating_since(one.time).as_secs_f64()),
            _ => None,
        })
        .collect();
    intervals.sort_unstable_by(f64::total_cmp);
    let period = *intervals.get(intervals.len() / 2)?;
    let even = intervals
        .iter()
        .filter(|interval| (*interval - period).abs() <= period * EVEN.0);
    if even.count() * 5 < intervals.len() * EVEN.1 {
        return None;
    }
    let soon = |at: PacketRef, beat: PacketRef| {
        at >= beat && at.time.saturating_since(beat.time).as_secs_f64() < period / 2.0
    };
    let asked: Vec<(PacketRef, Option<PacketRef>)> = beats
        .iter()
        .map(|beat| {
            let mut answers = frames.iter().filter(|held| {
                held.direction != sender && held.len == answer && soon(held.at, *beat)
            });
            (*beat, answers.next().map(|held| held.at))
        })
        .collect();
    let answered = asked.iter().filter(|(_, answer)| answer.is_some()).count();
    (answered + 1 >= BEATS && answered * 2 > asked.len()).then_some(Beats {
        sender,
        len,
        answer,
        asked,
    })
}

/// RFC 6455, section 5.5.1: empty, or a status code and perhaps a reason.
fn may_be_close(held: &Held) -> bool {
    let len = match held.direction {
        ClientToServer => held.len.checked_sub(MASK),
        ServerToClient => Some(held.len),
    };
    len.is_some_and(|len| len == 2 || (4..=LONGEST_CONTROL).contains(&len))
}

fn since(later: PacketRef, earlier: PacketRef) -> Duration {
    let (later, earlier): (Timestamp, Timestamp) = (later.time, earlier.time);
    later.saturating_since(earlier)
}

/// The last two records, if they may be a Close frame and its echo, before the end.
fn close_pair(
    frames: &[Held],
    beats: Option<&Beats>,
    end: Option<(Direction, PacketRef)>,
) -> Option<Sides<PacketRef>> {
    let [before @ .., one, other] = frames else {
        return None;
    };
    let (_, end) = end?;
    let (client, server) = sides(one, other);
    let of_beats = beats.is_some_and(|beats| {
        let asked = beats.asked.last().is_some_and(|(at, _)| *at == one.at);
        asked && beats.sender == one.direction
    });
    // Nobody closes twice: the same two sizes before were something else.
    let again = before.windows(2).any(|two| {
        matches!(two, [a, b] if a.direction == one.direction && b.direction == other.direction
            && (a.len, b.len) == (one.len, other.len))
    });
    let fits = one.direction != other.direction
        && client == server + MASK
        && may_be_close(one)
        && may_be_close(other)
        && since(end, other.at) <= PATIENT;
    (fits && !of_beats && !again).then(|| {
        Sides::from_fn(|direction| match direction == one.direction {
            true => one.at,
            false => other.at,
        })
    })
}

/// A last record that may be a Close frame without an answer. Where records
/// are missing any of them may be.
fn lone_close(
    frames: &[Held],
    beats: Option<&Beats>,
    end: Option<(Direction, PacketRef)>,
    incomplete: bool,
) -> Sides<Option<PacketRef>> {
    let mut lone = Sides::default();
    let (Some(last), Some((ender, end))) = (frames.last(), end) else {
        return lone;
    };
    if incomplete {
        return Sides::from_fn(|_| Some(last.at));
    }
    let patience = match ender == last.direction {
        true => PATIENT,
        false => PROMPT,
    };
    let usual = |held: &&Held| (held.direction, held.len) == (last.direction, last.len);
    let of_beats = beats.is_some_and(|beats| {
        (last.direction, last.len) == (beats.sender, beats.len)
            || (last.direction, last.len) == (beats.sender.reverse(), beats.answer)
    });
    let recurs = frames.iter().filter(usual).count() >= BEATS;
    let fits = may_be_close(last) && !of_beats && !recurs;
    lone[last.direction] = (fits && since(end, last.at) <= patience).then_some(last.at);
    lone
}
