//! A timeline for scripts: schema 1, as all output of this kind.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use super::lanes::State;
use super::row::{Preview, Row};
use super::{Story, ending, frames};
use crate::report::json as report_json;
use crate::report::when::{ms, rfc3339};
use crate::session::Opcode;
use crate::stream::Direction::{ClientToServer, ServerToClient};

pub(super) fn write(story: &Story<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<Json> = story.rows.iter().map(|row| one_row(row, story)).collect();
    let whole = json!({
        "schema": 1,
        "wscope": env!("CARGO_PKG_VERSION"),
        "session": session(story),
        "at_the_end": at_the_end(story),
        "rows": rows,
        "left_out": story.left_out,
        "findings": findings(story),
        "findings_outside": story.elsewhere,
    });
    serde_json::to_writer_pretty(&mut *out, &whole)?;
    writeln!(out)
}

/// An object a line, each with its `type`: the session, its rows, its findings.
pub(super) fn write_lines(story: &Story<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut facts = session(story);
    if let Json::Object(fields) = &mut facts {
        fields.insert("at_the_end".to_owned(), at_the_end(story));
        fields.insert("left_out".to_owned(), json!(story.left_out));
        fields.insert("findings_outside".to_owned(), json!(story.elsewhere));
    }
    line("session", facts, out)?;
    for row in &story.rows {
        line("row", one_row(row, story), out)?;
    }
    for finding in findings(story) {
        line("finding", finding, out)?;
    }
    Ok(())
}

fn line(kind: &str, object: Json, out: &mut dyn Write) -> io::Result<()> {
    let mut whole = Map::new();
    whole.insert("schema".to_owned(), json!(1));
    whole.insert("type".to_owned(), json!(kind));
    if let Json::Object(fields) = object {
        whole.extend(fields);
    }
    serde_json::to_writer(&mut *out, &whole)?;
    writeln!(out)
}

/// As in the report, but for the findings, which are told by their ids here.
fn session(story: &Story<'_>) -> Json {
    let judged = story.report.judged(story.session);
    let mut facts = report_json::session(&judged, story.report);
    let ids: Vec<&str> = story
        .about
        .iter()
        .filter_map(|place| Some(story.report.findings.get(*place)?.rule.id))
        .collect();
    if let Json::Object(fields) = &mut facts {
        fields.insert("findings".to_owned(), json!(ids));
    }
    facts
}

fn at_the_end(story: &Story<'_>) -> Json {
    let side = |side| {
        let why = story.why[side].as_ref();
        let known = !matches!(why, Some((State::Unknown, _)));
        json!({
            "ready_state": why.and_then(|(state, _)| state.name()),
            "why": why.map(|(_, why)| why),
            "told": ending::told(story.session, story.report, side, known),
        })
    };
    json!({"client": side(ClientToServer), "server": side(ServerToClient)})
}

fn findings(story: &Story<'_>) -> Vec<Json> {
    story
        .about
        .iter()
        .filter_map(|place| story.report.findings.get(*place))
        .map(|finding| report_json::finding(finding, story.report))
        .collect()
}

fn one_row(row: &Row, story: &Story<'_>) -> Json {
    let leg = row.leg.unwrap_or(story.session.id);
    let ids: Vec<&str> = row
        .findings
        .iter()
        .filter_map(|(place, _)| Some(story.report.findings.get(*place)?.rule.id))
        .collect();
    let state = |state: State| json!(state.name());
    let mut object = json!({
        "session": format!("s{leg}"),
        "time": rfc3339(row.at.time),
        "packet": row.at.number,
        "file": row.at.source,
        "direction": row.from.map(|from| from.sender()),
        "event": row.event,
        "what": row.what,
        "notes": row.notes,
        "ready_state": {"client": state(row.states.client), "server": state(row.states.server)},
        "findings": ids,
    });
    let Json::Object(fields) = &mut object else {
        return object;
    };
    for (side, to, why) in &row.changes {
        let change = json!({"side": side.sender(), "to": to.name(), "why": why});
        let changes = fields.entry("changes").or_insert_with(|| json!([]));
        if let Json::Array(changes) = changes {
            changes.push(change);
        }
    }
    if row.event == "folded" {
        let end = row.end();
        fields.insert("until_packet".to_owned(), json!(end.number));
        let lasted = end.time.since(row.at.time);
        fields.insert("lasted_ms".to_owned(), json!(lasted.map(ms)));
        let told = frames::folded_json(row).into_iter();
        fields.extend(told.map(|(name, value)| (name.to_owned(), value)));
    }
    fields.extend(row.data.clone());
    if let Some(preview) = &row.preview {
        let (name, value) = payload(preview);
        fields.insert(name.to_owned(), value);
    }
    object
}

/// `text` and `base64` as in `messages` where all of it is there; else its beginning.
fn payload(preview: &Preview) -> (&'static str, Json) {
    let bytes = preview.bytes.as_slice();
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        // Cut inside a character.
        Err(error) if !preview.whole && error.error_len().is_none() => bytes
            .get(..error.valid_up_to())
            .and_then(|bytes| std::str::from_utf8(bytes).ok()),
        Err(_) => None,
    };
    match (preview.opcode, valid, preview.whole) {
        (Opcode::Text, Some(text), true) => ("text", json!(text)),
        (Opcode::Text, Some(text), false) => ("text_start", json!(text)),
        (_, _, true) => ("base64", json!(STANDARD.encode(bytes))),
        (_, _, false) => ("base64_start", json!(STANDARD.encode(bytes))),
    }
}
