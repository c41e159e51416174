//! `--format json` and `jsonl`: schema 1, as docs and scripts have it.

mod application;
mod finding;
mod gathered;
mod legs;
mod session;
mod tls;

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value as Json, json};

use super::when::rfc3339;
use super::{Report, Selected};
use crate::diagnosis::stories;
use crate::session::{Capture, Filtered};
pub(super) use finding::finding;
use finding::rules;
use gathered::Gathered;
pub(super) use session::session;

/// Adding fields keeps the number; renaming or removing one needs a new one.
const SCHEMA: u32 = 1;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut out = Gathered::before(out);
    serde_json::to_writer_pretty(&mut out, &Whole(report))?;
    writeln!(out)?;
    out.hand_on()
}

/// The report, serialized session by session: the tree of a large one would
/// take several times the memory of what it is made from.
struct Whole<'a>(&'a Report);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let mut whole = serializer.serialize_map(None)?;
        whole.serialize_entry("schema", &SCHEMA)?;
        whole.serialize_entry("wscope", env!("CARGO_PKG_VERSION"))?;
        whole.serialize_entry("capture", &capture(&report.capture, report))?;
        let session = |facts| session(&report.judged(facts), report);
        whole.serialize_entry("sessions", &Lazy(&report.sessions, session))?;
        let finding = |found| finding(found, report);
        whole.serialize_entry("findings", &Lazy(&report.findings, finding))?;
        whole.serialize_entry("rules", &rules(report))?;
        whole.end()
    }
}

/// A sequence whose items are made one at a time.
struct Lazy<'a, T, F>(&'a [T], F);

impl<'a, T, F: Fn(&'a T) -> Json> Serialize for Lazy<'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

/// The same, an object a line, each with its `type`.
pub(super) fn write_lines(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    line("capture", capture(&report.capture, report), out)?;
    for facts in &report.sessions {
        line("session", session(&report.judged(facts), report), out)?;
    }
    for found in &report.findings {
        line("finding", finding(found, report), out)?;
    }
    Ok(())
}

fn line(kind: &str, object: Json, out: &mut dyn Write) -> io::Result<()> {
    let mut whole = Map::new();
    whole.insert("schema".to_owned(), json!(SCHEMA));
    whole.insert("type".to_owned(), json!(kind));
    if let Json::Object(fields) = object {
        whole.extend(fields);
    }
    serde_json::to_writer(&mut *out, &whole)?;
    writeln!(out)
}

fn capture(capture: &Capture, report: &Report) -> Json {
    let files: Vec<Json> = capture
        .files
        .iter()
        .map(|file| {
            json!({
                "path": file.path.to_string_lossy(),
                "format": file.format,
                "packets": file.packets,
                "bytes": file.bytes,
                "first": file.first.map(rfc3339),
                "last": file.last.map(rfc3339),
                "truncated": file.damage.is_some(),
                "comments": file.comments,
                "damage": file.damage.as_ref().map(|d| json!({"offset": d.offset, "what": d.what})),
            })
        })
        .collect();
    let not_decoded: Vec<Json> = capture
        .not_decoded
        .iter()
        .map(|(why, packets)| json!({"why": why, "packets": packets}))
        .collect();
    let gaps: Vec<Json> = capture
        .gaps
        .iter()
        .map(|gap| json!({"cause": gap.cause.name(), "count": gap.count, "bytes": gap.bytes}))
        .collect();
    let tls = &capture.tls;
    let undecrypted: Vec<Json> = tls
        .undecrypted()
        .iter()
        .map(|(reason, tally)| json!({"reason": reason.name(), "count": tally.count}))
        .collect();
    let mut object = json!({
        "files": files,
        "packets": capture.packets,
        "tcp_segments": capture.tcp_segments,
        "tcp_connections": capture.tcp_connections,
        "sessions": report.all_sessions(),
        // The legs of a proxy are sessions each, and one story.
        "stories": stories(&report.sessions),
        "http_exchanges": capture.http_exchanges,
        "not_decoded": not_decoded,
        "gaps": gaps,
        "duplicates": capture.duplicates,
        "translated_connections": capture.translated_count,
        "dropped": capture.dropped,
        "evicted": capture.evicted,
        "embedded_key_logs": capture.key_logs,
        "tls": {
            "connections": tls.connections,
            "decrypted": tls.decrypted,
            "undecrypted": undecrypted,
        },
    });
    // There only where somebody asked for a part.
    if let (Json::Object(fields), Some(filter)) = (&mut object, &capture.filter) {
        fields.insert("filter".to_owned(), filtered(filter));
    }
    if let (Json::Object(fields), Some(chosen)) = (&mut object, &report.selected) {
        fields.insert("selected".to_owned(), selected(chosen));
    }
    object
}

fn filtered(filter: &Filtered) -> Json {
    json!({
        "expression": filter.expression,
        "matched": filter.matched,
        "left_out": filter.left_out,
        "left_out_vlan": filter.tagged,
        "left_out_fragments": filter.fragments,
        "left_out_link_type": filter.not_filterable,
    })
}

fn selected(selected: &Selected) -> Json {
    let seen: Map<String, Json> = selected
        .seen
        .iter()
        .map(|seen| {
            let values: Vec<Json> = seen
                .values
                .iter()
                .map(|(value, sessions)| json!({"value": value, "sessions": sessions}))
                .collect();
            (seen.key.to_owned(), json!(values))
        })
        .collect();
    json!({
        "sessions": selected.sessions,
        "by": selected.by,
        "from": selected.from.map(rfc3339),
        "to": selected.to.map(rfc3339),
        "findings_outside": selected.findings_outside,
        // What could have been asked for, where nothing matched: the most frequent values.
        "seen": seen,
    })
}
