//! Why transports ended without a Close frame: one reading per session, over
//! all of them, so that one root cause gives one loud finding. The legs of a
//! proxy are one session here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::api::refuses_answer;
use super::closing::close_of;
use super::ending::Terminator;
use super::path::{dead_path, expired, front_of};
use super::story_end::{Legs, join};
use super::timeouts::{Counts, Timeout, Timeouts, whole_seconds};
use super::{Closing, Confidence, Kind, Overview, Provenance, reset_provenance};
use crate::session::{Ended, Session};
use crate::stream::{Direction, PacketRef};

/// Rationale: timers are set in seconds; a shorter silence says nothing.
const SHORTEST_TIMER: Duration = Duration::from_millis(900);
/// Rationale: timers are exact: a coefficient of variation under 2 % over at least three.
const CLUSTER: (usize, f64) = (3, 0.02);
/// Rationale: ends within 2 s have a common event, not a timer each.
const TOGETHER: Duration = Duration::from_secs(2);

/// Rationale: a program that runs reads what came within milliseconds; a busy one takes some more.
const READ_SOON: Duration = Duration::from_millis(200);

/// What ended a session's transport.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    /// An idle timer.
    Idle(Timer),
    /// A limit on the connection's age.
    Lifetime(Timer),
    /// One half was shut down, and the other side went on.
    HalfClose {
        /// The newest payload of the other side.
        later: PacketRef,
    },
    /// The side that sent the terminator, for a reason of its own.
    Side,
    /// The path; other rules tell.
    Path,
}

/// A timer and what speaks for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Timer {
    /// How sure.
    pub(super) confidence: Confidence,
    /// Rows of the table that fit.
    pub(super) rows: Vec<&'static Timeout>,
    /// The measured time, where it is a whole number of seconds.
    pub(super) whole: Option<u64>,
    /// How many sessions of this server ended so, itself included.
    pub(super) cluster: usize,
}

/// The end of one session, or of the legs of one.
#[derive(Debug)]
pub(super) struct End<'a> {
    /// Whose: of several legs the one nearest to the client.
    pub(super) session: &'a Session,
    /// The leg that the rest is about: the one on which the end began.
    pub(super) hit: &'a Session,
    /// How it closed.
    pub(super) closing: Closing,
    /// What ended the transport.
    pub(super) terminator: Terminator,
    /// Why.
    pub(super) reading: Reading,
    /// The proxy that ended it, by name, if there is one.
    pub(super) proxy: Option<&'static str>,
    /// The other legs, where several were captured.
    pub(super) legs: Option<Legs<'a>>,
    /// How many other sessions of this server ended without Close within 2 s.
    pub(super) together: usize,
    /// Its age; `None` where it began before the capture.
    pub(super) age: Option<Duration>,
}

/// The ends without a Close frame, in the order of the sessions.
pub(super) fn read<'a>(overview: &Overview<'a>) -> Vec<End<'a>> {
    let ends: Vec<End<'_>> = overview
        .sessions
        .iter()
        .filter_map(|session| plain(session, close_of(session), overview.thresholds.timeouts))
        .collect();
    let mut ends = join(ends, overview);
    count_together(&mut ends);
    judge_timers(&mut ends, overview.thresholds.timeouts);
    ends
}

/// Since when the connection was open; `None` where that was before the capture.
fn opened(session: &Session) -> Option<PacketRef> {
    let request = session.handshake.seen_request();
    session.leg.established.or(request.map(|r| r.last))
}

fn plain<'a>(session: &'a Session, closing: Closing, timeouts: &Timeouts) -> Option<End<'a>> {
    let terminator = closing.terminator?;
    // A client that doesn't take the 101 ends TCP for that; the handshake's rules tell.
    let refused = terminator.direction == Direction::ClientToServer && refuses_answer(session);
    // Close frames may lie in the bytes that nobody could read.
    let unread = Direction::BOTH
        .into_iter()
        .any(|side| session.is_unread(side));
    if closing.kind != Kind::Abnormal || refused || unread {
        return None;
    }
    let age = opened(session).map(|began| terminator.at.time.saturating_since(began.time));
    let reading = alone(session, &terminator, timeouts);
    Some(End {
        session,
        hit: session,
        closing,
        terminator,
        reading,
        proxy: front_of(session, terminator.direction),
        legs: None,
        together: 0,
        age,
    })
}

/// What the session tells by itself.
fn alone(session: &Session, end: &Terminator, timeouts: &Timeouts) -> Reading {
    let injected = end
        .reset
        .is_some_and(|reset| reset_provenance(session, &reset).verdict == Provenance::Middlebox);
    let forgotten = expired(session, timeouts).is_some_and(|e| e.confidence >= Confidence::Likely);
    let dead = dead_path(session).is_some_and(|dead| dead.sender == end.direction);
    if injected || forgotten || dead {
        return Reading::Path;
    }
    half_close(session, end).map_or(Reading::Side, |later| Reading::HalfClose { later })
}

/// The other side goes on for more than a round trip, and the side that sent
/// the FIN takes it: its kernel would answer with a reset had it closed for good.
fn half_close(session: &Session, end: &Terminator) -> Option<PacketRef> {
    let leg = &session.leg;
    let reset_by_it = leg
        .resets
        .iter()
        .any(|reset| reset.direction == end.direction);
    if end.reset.is_some() || reset_by_it {
        return None;
    }
    let later = leg.last_taken(end.direction.reverse())?;
    let round_trip =
        leg.rtt.client.min().unwrap_or_default() + leg.rtt.server.min().unwrap_or_default();
    // Rationale: 10 ms stand in for the time that an endpoint takes to notice.
    let noticed = round_trip.max(Duration::from_millis(10));
    (later > end.at && later.time.saturating_since(end.at.time) > noticed).then_some(later)
}

fn by_server(ends: &[End<'_>]) -> BTreeMap<(SocketAddr, Direction), Vec<usize>> {
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, end) in ends.iter().enumerate() {
        let key = (end.hit.leg.server, end.terminator.direction);
        groups.entry(key).or_default().push(index);
    }
    groups
}

fn count_together(ends: &mut [End<'_>]) {
    for group in by_server(ends).into_values() {
        let mut times: Vec<_> = group
            .iter()
            .filter_map(|index| ends.get(*index))
            .map(|end| end.terminator.at.time)
            .collect();
        times.sort_unstable();
        for index in group {
            let Some(end) = ends.get_mut(index) else {
                continue;
            };
            let at = end.terminator.at.time;
            let from = times.partition_point(|time| at.saturating_since(*time) > TOGETHER);
            let to = times.partition_point(|time| time.saturating_since(at) <= TOGETHER);
            end.together = to.saturating_sub(from).saturating_sub(1);
        }
    }
}

fn judge_timers(ends: &mut [End<'_>], timeouts: &'static Timeouts) {
    for group in by_server(ends).into_values() {
        let may: Vec<usize> = group
            .iter()
            .copied()
            .filter(|index| ends.get(*index).is_some_and(may_be_timer))
            .collect();
        let of = |measure: fn(&End<'_>) -> Option<Duration>| -> Vec<f64> {
            may.iter()
                .filter_map(|index| ends.get(*index))
                .filter_map(|end| Some(measure(end)?.as_secs_f64()))
                .collect()
        };
        let spread = spread_of(ends, &may);
        let idle =
            spread > TOGETHER && is_cluster(&of(|end| Some(end.closing.idle.unwrap_or_default())));
        let ages = of(|end| end.age);
        let of_age = (spread > TOGETHER && !idle && is_cluster(&ages)).then_some(ages.len());
        let count = may.len();
        for index in may {
            if let Some(end) = ends.get_mut(index) {
                end.reading = timer(end, idle.then_some(count), of_age, timeouts);
            }
        }
    }
}

fn spread_of(ends: &[End<'_>], which: &[usize]) -> Duration {
    let times = || {
        which
            .iter()
            .filter_map(|index| ends.get(*index))
            .map(|end| end.terminator.at.time)
    };
    match (times().min(), times().max()) {
        (Some(first), Some(last)) => last.saturating_since(first),
        _ => Duration::ZERO,
    }
}

fn is_cluster(values: &[f64]) -> bool {
    if values.len() < CLUSTER.0 {
        return false;
    }
    let count = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    mean >= SHORTEST_TIMER.as_secs_f64() && variance.sqrt() / mean < CLUSTER.1
}

/// A FIN or reset of the server's side, or of a proxy on the leg behind it.
fn may_be_timer(end: &End<'_>) -> bool {
    let theirs = end.terminator.direction == Direction::ServerToClient || end.proxy.is_some();
    end.reading == Reading::Side && theirs
}

/// The reading of an end that may be a timer's.
fn timer(
    end: &End<'_>,
    idle_cluster: Option<usize>,
    age_cluster: Option<usize>,
    timeouts: &'static Timeouts,
) -> Reading {
    let idle = end.closing.idle.unwrap_or_default();
    let longest = end.after_longest_silence().is_some();
    let whole = whole_seconds(idle);
    let rows: Vec<_> = timeouts.fitting(Counts::Idle, idle).collect();
    if let Some((cluster, age)) = age_cluster.zip(end.age) {
        let rows = timeouts.fitting(Counts::Lifetime, age).collect();
        return Reading::Lifetime(Timer {
            confidence: Confidence::Likely,
            rows,
            whole: whole_seconds(age),
            cluster,
        });
    }
    // A reset is a proxy's way on the leg behind it, not a server's.
    let by_reset = end.terminator.reset.is_some() && end.proxy.is_none();
    if !longest || by_reset {
        return Reading::Side;
    }
    let regular = whole.is_some() || !rows.is_empty();
    // Several that end at once have a common event, unless each fits a timer.
    let event = end.together > 0 && !regular;
    let confidence = match (idle_cluster, end.proxy) {
        (Some(_), _) => Confidence::Likely,
        (None, Some(_)) if regular => Confidence::Likely,
        (None, Some(_)) if !event => Confidence::Possible,
        // A deadline of the server itself: only what fits a known one.
        (None, None) if !rows.is_empty() && end.together == 0 => Confidence::Likely,
        _ => return Reading::Side,
    };
    Reading::Idle(Timer {
        confidence,
        rows,
        whole,
        cluster: idle_cluster.unwrap_or(1),
    })
}

impl End<'_> {
    /// The silence before the end, where it was the session's longest and is
    /// long enough for a timer: one may have ended it, whoever's.
    pub(super) fn after_longest_silence(&self) -> Option<Duration> {
        let idle = self.closing.idle.unwrap_or_default();
        (idle >= self.hit.leg.longest_silence && idle >= SHORTEST_TIMER).then_some(idle)
    }

    /// What the other side sent may have waited unread in the ender's socket: some of it
    /// was not acknowledged, its window was closed, or it came right before the end.
    /// Who has read all and aborts the socket resets too.
    pub(super) fn may_leave_unread(&self) -> bool {
        let leg = &self.hit.leg;
        let (own, other) = (
            self.terminator.direction,
            self.terminator.direction.reverse(),
        );
        let recent = leg.last_payload[other]
            .is_some_and(|sent| self.terminator.at.time.saturating_since(sent.time) <= READ_SOON);
        recent || leg.unacked[other].first.is_some() || leg.zero_window[own].since.is_some()
    }

    /// Who sent the FIN or reset, in words.
    pub(super) fn ender(&self) -> String {
        match (self.proxy, self.terminator.direction) {
            (Some(proxy), _) => proxy.to_owned(),
            (None, Direction::ServerToClient) if self.behind_proxy() => "the backend".to_owned(),
            (None, Direction::ServerToClient) => "the server".to_owned(),
            (None, Direction::ClientToServer) => "the client".to_owned(),
        }
    }

    /// The capture ended with the other half open: a Close frame may have come through it.
    fn may_go_on(&self) -> bool {
        let leg = &self.hit.leg;
        let other = self.terminator.direction.reverse();
        self.hit.ended == Some(Ended::CaptureEnd)
            && leg.fin[other].is_none()
            && !leg.resets.iter().any(|reset| reset.in_window)
    }

    /// Certain, unless a Close frame or an earlier FIN, whoever's, may hide in
    /// what the capture lacks, or come after it. A reset of a host that has no such socket any
    /// more shows that the end came before it, and not how.
    pub(super) fn certainty(&self) -> Confidence {
        let hides = |side| self.hit.may_hide_frames(side);
        // A client that sends nothing may not have taken the answer to its unseen request.
        let unproven = self.hit.handshake.request_lost
            && self.hit.frames.client.total() == 0
            && self.terminator.direction == Direction::ClientToServer;
        if unproven {
            return Confidence::Possible;
        }
        if Direction::BOTH.into_iter().any(hides) {
            Confidence::Possible
        } else if self.terminator.of_no_socket(self.hit) || self.may_go_on() {
            Confidence::Likely
        } else {
            Confidence::Certain
        }
    }
}
