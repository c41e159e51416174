//! The end: who ended the transport, and whether the last records may be Close frames.

use std::time::Duration;

use super::{Held, LONGEST_CONTROL, MASK, sides};
use crate::session::{Beats, Leg};
use crate::stream::{Direction, PacketRef, Sides};
use Direction::{ClientToServer, ServerToClient};

/// How long an endpoint waits for the rest of the closing handshake.
///
/// Rationale: 60 s in Chromium, less in all other libraries known.
const PATIENT: Duration = Duration::from_secs(65);
/// How long a side that has read a Close frame goes on at most.
///
/// Rationale: libraries answer as they read it; 3 s are a slow program on a slow path.
const PROMPT: Duration = Duration::from_secs(3);
/// How often a size has to come to be usual: a Close frame comes once.
///
/// Rationale: as often as a beat.
const USUAL: usize = 4;

/// Nothing of its sender follows it.
pub(super) fn is_last_of_its_side(talk: &[Held], held: &Held) -> bool {
    let mut own = talk.iter().rev().filter(|h| h.direction == held.direction);
    own.next().is_some_and(|last| last.at == held.at)
}

/// When the transport ended, and who ended it.
pub(super) fn end_of(
    leg: &Leg,
    farewell: Sides<Option<PacketRef>>,
) -> Option<(Direction, PacketRef)> {
    let said = Direction::BOTH.into_iter().flat_map(|direction| {
        let both = [farewell[direction], leg.fin[direction]];
        both.into_iter().flatten().map(move |at| (direction, at))
    });
    let resets = leg.resets.iter().filter(|reset| reset.in_window);
    let resets = resets.map(|reset| (reset.direction, reset.at));
    said.chain(resets).min_by_key(|(_, at)| *at)
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
    later.time.saturating_since(earlier.time)
}

/// The last two records, if they may be a Close frame and its echo, before the end.
pub(super) fn close_pair(
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
pub(super) fn lone_close(
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
    let recurs = frames.iter().filter(usual).count() >= USUAL;
    let fits = may_be_close(last) && !of_beats && !recurs;
    lone[last.direction] = (fits && since(end, last.at) <= patience).then_some(last.at);
    lone
}
