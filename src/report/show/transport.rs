//! What the transport did in a session's life, and how it ended.

use serde_json::json;

use super::row::{Row, Weight, counted, size};
use crate::diagnosis::{Provenance, reset_provenance, rule_of, span};
use crate::session::{Reset, SentAgain, Session, Timeline, Turn, TurnKind, Unreachable};
use crate::stream::{Direction, Gap, GapCause};

/// Rationale: what is lost and sent again once or twice is daily life on the internet; it stays in the folds.
const FEW: u64 = 2;

pub(super) fn rows(session: &Session) -> Vec<Row> {
    let leg = &session.leg;
    let mut rows = Vec::new();
    if let Some(timeline) = &leg.timeline {
        rows.extend(trouble(session, timeline));
    } else {
        rows.extend(places_lost(session));
    }
    // What the beginning lacks is told there; what stays encrypted, with TLS.
    let told = |gap: &&Gap| !matches!(gap.cause, GapCause::BeganMidStream | GapCause::NoKeys);
    rows.extend(leg.gaps.iter().filter(told).map(|gap| {
        let bytes = gap.len.map_or("bytes".to_owned(), size);
        let told = match gap.cause {
            GapCause::NotCaptured if leg.is_acknowledged(gap) => {
                format!("{bytes} missing: not captured")
            }
            GapCause::NotCaptured => format!("{bytes} missing: lost, or not captured"),
            GapCause::SnapLength => format!("{bytes} cut off by the snap length"),
            GapCause::BeganMidStream => "what was sent before the capture began".to_owned(),
            GapCause::LimitReached => format!("{bytes} given up for want of memory"),
            GapCause::NoKeys => format!("{bytes} stay encrypted"),
        };
        let row = Row::new(gap.at, "gap", told).from(gap.direction).rank(40);
        row.incident()
            .put("cause", json!(gap.cause.name()))
            .put("bytes", json!(gap.len))
    }));
    rows.extend(session.breaches.iter().map(|note| {
        let id = rule_of(note.breach);
        // Whoever ended the stream cut it off, which needn't be its sender.
        let what = match id {
            "pv-truncated" => "its stream ends inside a frame or a message",
            _ => "breaks the rules",
        };
        let told = match note.detail.as_str() {
            "" => format!("{what}: {id}"),
            detail => format!("{what}: {id} ({detail})"),
        };
        let row = Row::new(note.at, "breach", told).from(note.direction);
        row.incident().rank(61).put("breach", json!(id))
    }));
    rows.extend(ends(session));
    rows
}

fn trouble(session: &Session, timeline: &Timeline) -> Vec<Row> {
    let mut rows: Vec<Row> = timeline.again.iter().map(sent_again).collect();
    for window in &timeline.windows {
        let took = window
            .until
            .and_then(|until| until.time.since(window.since.time));
        let told = match (window.until, took) {
            (Some(until), Some(took)) => {
                format!("zero window for {}, until #{}", span(took), until.number)
            }
            _ => "zero window, and it stays closed".to_owned(),
        };
        let mut row = Row::new(window.since, "zero-window", told).from(window.direction);
        row.rank = 41;
        let receiver = window.direction.sender();
        let row = row
            .incident()
            .note(format!("the {receiver} accepts no more data"));
        rows.push(row.put_ms("zero_window_ms", took));
    }
    // Where a session was found, its first frames are told by that.
    let news = |turn: &&Turn| {
        let found = session.found[turn.direction].map(|(at, _)| at);
        !(found == Some(turn.at) && matches!(turn.what, TurnKind::Found(_)))
    };
    rows.extend(timeline.turns.iter().filter(news).map(turn));
    rows
}

fn sent_again(again: &SentAgain) -> Row {
    let took = again.last.time.saturating_since(again.first.time);
    let told = match again.count {
        1 => format!("{} sent again", size(again.bytes)),
        count => format!(
            "sent again {} in {}, until #{}",
            times(count),
            span(took),
            again.last.number
        ),
    };
    let mut row = Row::new(again.first, "retransmission", told).from(again.direction);
    row.until = Some(again.last);
    row.rank = 42;
    row.tally.again = again.count;
    row.weight = match again.count {
        ..=FEW => Weight::Plain,
        _ => Weight::Incident,
    };
    row.put("count", json!(again.count))
        .put("bytes", json!(again.bytes))
        .put("last_packet", json!(again.last.number))
        .put_ms("lasted_ms", Some(took))
}

fn times(count: u64) -> String {
    match count {
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

fn turn(turn: &Turn) -> Row {
    let (event, told) = match turn.what {
        TurnKind::Lost => (
            "lost-sync",
            "where the next frame begins is lost".to_owned(),
        ),
        TurnKind::Found(skipped) => (
            "resynced",
            format!("frames can be told again ({} passed over)", size(skipped)),
        ),
        TurnKind::Unread(bytes) => (
            "unread",
            format!("{} in which no frame could be told", size(bytes)),
        ),
        TurnKind::ContextLost => (
            "context-lost",
            "compressed messages can't be read from here on".to_owned(),
        ),
    };
    let row = Row::new(turn.at, event, told).from(turn.direction);
    row.incident().rank(43)
}

/// Where no timeline was kept: the first of each side.
fn places_lost(session: &Session) -> Vec<Row> {
    let lost = Direction::BOTH.into_iter().filter_map(|direction| {
        let at = session.lost_sync[direction]?;
        let what = TurnKind::Lost;
        Some(turn(&Turn {
            direction,
            at,
            what,
        }))
    });
    lost.collect()
}

/// FIN, reset, what TLS and ICMP say of an end.
pub(super) fn ends(session: &Session) -> Vec<Row> {
    let leg = &session.leg;
    let mut rows = Vec::new();
    for side in Direction::BOTH {
        let closed = session.close[side].is_some();
        if let Some(at) = leg.fin[side] {
            let before = match closed || !session.is_open_or_was() {
                true => "",
                // A Close frame may be among what is missing.
                false if session.may_hide_frames(side) => "",
                false => ", without a Close frame",
            };
            rows.push(
                Row::new(at, "fin", format!("FIN{before}"))
                    .from(side)
                    .rank(80),
            );
        }
        if let Some(at) = leg.sent_after_reset[side] {
            let told = "goes on sending after its reset";
            let row = Row::new(at, "sent-after-reset", told).from(side).rank(82);
            rows.push(row.note("so the reset was somebody else's"));
        }
    }
    rows.extend(leg.resets.iter().map(|reset| of_reset(session, reset)));
    rows.extend(leg.unreachable.iter().map(icmp));
    let Some(tls) = &leg.tls else {
        return rows;
    };
    for side in Direction::BOTH {
        let inferred = session.keyless.as_ref().and_then(|k| k.farewell[side]);
        // Its record says so.
        if let Some(at) = tls.close_notify[side].filter(|at| inferred != Some(*at)) {
            let told = "TLS close_notify: it sends nothing more";
            rows.push(Row::new(at, "close-notify", told).from(side).rank(70));
        }
    }
    rows.extend(tls.alerts.iter().map(|seen| {
        let name = seen.alert.name();
        let row = Row::new(seen.at, "alert", format!("TLS alert: {name}"));
        let row = row.from(seen.direction).rank(71);
        row.put("alert", json!(name))
            .put("fatal", json!(seen.alert.is_fatal()))
    }));
    rows
}

fn of_reset(session: &Session, reset: &Reset) -> Row {
    let row = Row::new(reset.at, "rst", "RST")
        .from(reset.direction)
        .rank(81);
    let row = row
        .put("in_window", json!(reset.in_window))
        .put("after_own_fin", json!(reset.after_own_fin));
    if reset.refuses_syn {
        return row.note("nobody listens on this port");
    }
    if !reset.in_window {
        return row
            .note("outside the window: its receiver ignores it")
            .incident();
    }
    // Teardown, and nothing more.
    let other = session.leg.fin[reset.direction.reverse()];
    if reset.after_own_fin || other.is_some_and(|fin| fin < reset.at) {
        return row.note("after a FIN: mere teardown");
    }
    let reading = reset_provenance(session, reset);
    let who = match reading.verdict {
        Provenance::AbortedSocket => "the socket was aborted",
        Provenance::NoSocket => "its host has no such socket (any more)",
        Provenance::Middlebox => "written by a device on the path",
        Provenance::Unclear => return row,
    };
    let sure = if reading.sure { "" } else { "probably " };
    let mut row = row.note(format!("{sure}{who}"));
    row.notes.extend(reading.signs);
    row
}

fn icmp(error: &Unreachable) -> Row {
    let told = match (error.v6, error.kind, error.code) {
        (false, 3, 0) | (true, 1, 0) => "network unreachable",
        (false, 3, 1) | (true, 1, 3) => "host unreachable",
        (false, 3, 3) | (true, 1, 4) => "port unreachable",
        (false, 3, 4) | (true, 2, _) => "packet too big for the path",
        (false, 3, 9 | 10 | 13) | (true, 1, 1) => "administratively prohibited",
        (false, 11, _) | (true, 3, _) => "time exceeded on the way",
        _ => "an error",
    };
    let version = if error.v6 { "ICMPv6" } else { "ICMP" };
    let row = Row::new(error.at, "icmp", format!("{version}: {told}"));
    row.rank(83)
        .note(format!("reported by {}", error.reporter))
        .put("reporter", json!(error.reporter.to_string()))
        .put("type", json!(error.kind))
        .put("code", json!(error.code))
}

/// What passed, where no frame can be read.
pub(super) fn traffic(session: &Session) -> Vec<Row> {
    let Some(timeline) = &session.leg.timeline else {
        return Vec::new();
    };
    let rows = timeline.spans.iter().map(|passed| {
        let side = |who: &str, (segments, bytes): (u64, u64)| match segments {
            0 => None,
            _ => Some(format!(
                "{who} {} in {}",
                size(bytes),
                counted(segments, "segment")
            )),
        };
        let told = [side("client", passed.client), side("server", passed.server)];
        let told: Vec<String> = told.into_iter().flatten().collect();
        let mut row = Row::new(passed.from, "data", told.join(", "))
            .plain()
            .rank(59);
        row.until = Some(passed.to);
        row.put("client_bytes", json!(passed.client.1))
            .put("server_bytes", json!(passed.server.1))
            .put("last_packet", json!(passed.to.number))
    });
    rows.collect()
}
