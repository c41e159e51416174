//! Records that repeat as a heartbeat does.

use super::{Held, LONGEST_CONTROL, MASK, SHORTEST_HTTP};
use crate::session::Beats;
use crate::stream::Direction::{self, ClientToServer, ServerToClient};
use crate::stream::PacketRef;

/// How many beats make a heartbeat.
const BEATS: usize = 4;
/// How far an interval may be from the median, and how many of 5 must keep to that:
/// the others are Pings that stayed out.
const EVEN: (f64, usize) = (0.05, 4);

/// The records that repeat as a heartbeat does: of one size, in even intervals,
/// each answered by one that differs by the masking key.
pub(super) fn heartbeat(frames: &[Held]) -> Option<Beats> {
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
