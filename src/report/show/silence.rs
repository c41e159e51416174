//! Silences: times in which nothing was said, and what kept the connection alive meanwhile.

use std::time::Duration;

use serde_json::json;

use super::legs;
use super::row::{Row, Tally, Weight};
use crate::diagnosis::span;
use crate::session::{SILENCE, Session};
use crate::stream::{Direction, PacketRef};

/// Rationale: of regular pauses the longest few are no news; a reader scans a dozen.
const NEWS: usize = 8;
/// Rationale: a silence that a timer or a person notices.
const LONG: Duration = Duration::from_secs(5);

/// The silences between these rows, which are in order, and the payload that passed.
pub(super) fn rows(session: &Session, rows: &[Row]) -> Vec<Row> {
    let own = rows.iter().filter(|row| row.leg.is_none());
    let mut busy: Vec<(PacketRef, PacketRef)> = own.map(|row| (row.at, row.end())).collect();
    if let Some(timeline) = &session.leg.timeline {
        busy.extend(timeline.spans.iter().map(|span| (span.from, span.to)));
    }
    busy.retain(|(from, _)| within(session, rows, *from));
    busy.sort_unstable();
    let mut silences = Vec::new();
    let mut quiet_since: Option<PacketRef> = None;
    for (from, to) in busy {
        if let Some(since) = quiet_since
            && since.epoch == from.epoch
            && let Some(len) = from.time.since(since.time).filter(|len| *len >= SILENCE)
        {
            silences.push(silence(session, since, from, len));
        }
        quiet_since = quiet_since.max(Some(to));
    }
    weigh(&mut silences);
    silences
}

/// Payload of another session on the same connection is no business of this one.
fn within(session: &Session, rows: &[Row], at: PacketRef) -> bool {
    let first = rows.iter().map(|row| row.at).min();
    let last = rows.iter().map(Row::end).max();
    let open = session.ended.is_none();
    first.is_some_and(|first| first <= at) && (open || last.is_some_and(|last| at <= last))
}

fn silence(session: &Session, from: PacketRef, to: PacketRef, len: Duration) -> Row {
    let alive = keep_alives(session, from, to);
    let cover = match alive.as_slice() {
        [] => "no Ping, no TCP keep-alive".to_owned(),
        told => {
            let told: Vec<String> = told
                .iter()
                .map(|(side, count)| {
                    let who = legs::end(session.joined.as_ref(), *side);
                    format!("{count} of the {who}")
                })
                .collect();
            format!("no Ping; TCP keep-alives: {}", told.join(", "))
        }
    };
    let mut row = Row::new(
        from,
        "silence",
        format!("{} of silence: {cover}", span(len)),
    );
    row.until = Some(to);
    row.rank = u8::MAX;
    row.tally = Tally {
        silences: (1, len),
        ..Tally::default()
    };
    let count: u64 = alive.iter().map(|(_, count)| count).sum();
    row.put_ms("silence_ms", Some(len))
        .put("until_packet", json!(to.number))
        .put("keep_alives", json!(count))
}

fn keep_alives(session: &Session, from: PacketRef, to: PacketRef) -> Vec<(Direction, u64)> {
    let Some(timeline) = &session.leg.timeline else {
        return Vec::new();
    };
    let sent = |side: Direction| {
        let probes = timeline.probes.iter();
        let probes = probes.filter(|probes| probes.direction == side);
        let count = probes
            .filter(|probes| from < probes.last && probes.first < to)
            .map(|probes| probes.count)
            .sum();
        (side, count)
    };
    let sides = Direction::BOTH.map(sent);
    sides.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// The long ones stand out, unless pauses of that length are the rule.
fn weigh(silences: &mut [Row]) {
    let len = |row: &Row| row.tally.silences.1;
    let mut lengths: Vec<Duration> = silences.iter().map(len).collect();
    lengths.sort_unstable();
    let usual = match lengths.len() {
        ..=NEWS => Duration::ZERO,
        count => lengths.get(count / 2).copied().unwrap_or_default(),
    };
    let least = lengths.iter().rev().nth(NEWS).copied().unwrap_or_default();
    for row in silences {
        let long = len(row) >= LONG || usual.is_zero();
        let news = long && len(row) > least && len(row) > usual.saturating_mul(3) / 2;
        row.weight = if news {
            Weight::Incident
        } else {
            Weight::Plain
        };
    }
}
