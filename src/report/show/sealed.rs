//! Records of TLS that nobody could open: what their sizes and times suggest.

use serde_json::json;

use super::row::{Row, Tally, size};
use crate::session::{Keyless, SealedRecord, Session};
use crate::stream::Direction::{self, ClientToServer, ServerToClient};
use crate::stream::PacketRef;

/// The sealed records of a session that is inferred from them, and whether these are all.
pub(super) fn rows(session: &Session) -> (Vec<Row>, bool) {
    let (Some(keyless), Some(tls)) = (&session.keyless, &session.leg.tls) else {
        return (Vec::new(), false);
    };
    let records = tls.sealed_records.in_order();
    let mut readings = readings(keyless);
    let rows = records
        .iter()
        .map(|record| row(record, keyless, &mut readings));
    let whole = !records.is_empty() && !tls.sealed_records.is_partial();
    (rows.collect(), whole)
}

/// What a record probably is, and whether that is news.
struct Reading {
    direction: Direction,
    at: PacketRef,
    what: &'static str,
    news: bool,
}

fn readings(keyless: &Keyless) -> Vec<Reading> {
    let mut readings = Vec::new();
    let mut add = |direction, at: Option<PacketRef>, what, news| {
        readings.extend(at.map(|at| Reading {
            direction,
            at,
            what,
            news,
        }));
    };
    let (request, response) = (Some(keyless.request), Some(keyless.response));
    add(ClientToServer, keyless.finished, "the Finished", false);
    add(ClientToServer, request, "the request", true);
    add(ServerToClient, response, "its answer", true);
    for side in Direction::BOTH {
        let close = keyless.close.map(|close| close[side]);
        let maybe = keyless.may_be_close[side];
        let farewell = keyless.farewell[side];
        add(side, close, "a Close frame", true);
        add(side, maybe, "a Close frame, or another short one", true);
        add(side, farewell, "a close_notify", true);
    }
    if let Some(beats) = &keyless.beats {
        for (asked, answer) in &beats.asked {
            add(beats.sender, Some(*asked), "a heartbeat", false);
            add(beats.sender.reverse(), *answer, "its answer", false);
        }
    }
    readings
}

fn row(record: &SealedRecord, keyless: &Keyless, readings: &mut Vec<Reading>) -> Row {
    // A packet may hold several records: each reading counts once.
    let fits = |reading: &Reading| (reading.direction, reading.at) == (record.direction, record.at);
    let reading = readings.iter().position(fits);
    let reading = reading.map(|place| readings.remove(place));
    let shaking = keyless
        .finished
        .is_some_and(|finished| record.at <= finished);
    let (what, news) = match reading {
        Some(reading) => (Some(reading.what), reading.news),
        None if shaking => (Some("of the TLS handshake"), false),
        None => (None, false),
    };
    let length = size(u64::from(record.len));
    let told = match what {
        Some(what) => format!("sealed record {length}, probably {what}"),
        None => format!("sealed record {length}"),
    };
    let row = Row::new(record.at, "sealed-record", told).from(record.direction);
    let mut row = row.rank(60);
    row.tally = Tally {
        records: 1,
        ..Tally::default()
    };
    let row = if news { row.incident() } else { row.plain() };
    row.put("length", json!(record.len))
        .put("probably", json!(what))
        .put("inferred", json!(true))
}
