//! `wscope messages`: one line a message, for people or as JSON lines.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use super::when::{clock, ms};
use crate::diagnosis::span;
use crate::diagnosis::{is_of_framing, rule_of};
use crate::session::redact::Secrets;
use crate::session::{Breach, Control, FrameConfidence, Message, Opcode};
use crate::session::{Record, RecordKind};

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageFormat {
    /// For people.
    Text,
    /// An object a line (schema 1).
    Jsonl,
}

/// Writes records as they come.
#[derive(Clone, Copy, Debug)]
pub struct Messages {
    /// How.
    pub format: MessageFormat,
    /// Pings, Pongs and Close frames too.
    pub control: bool,
    /// The payload.
    pub payload: bool,
    /// Whether secrets are shown.
    pub secrets: Secrets,
    /// Columns for people; payloads are cut to fit.
    pub width: usize,
}

impl Messages {
    /// Writes one record, if it is of a kind that was asked for.
    ///
    /// # Errors
    /// What `out` says; a closed pipe among them.
    pub fn write(&self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        if !self.control && !matches!(record.kind, RecordKind::Message(_)) {
            return Ok(());
        }
        match self.format {
            MessageFormat::Jsonl => {
                serde_json::to_writer(&mut *out, &self.object(record))?;
                writeln!(out)
            }
            MessageFormat::Text => self.line(record, out),
        }
    }

    fn object(&self, record: &Record) -> Json {
        let first = record.first();
        let mut fields = Map::new();
        let mut put = |name: &str, value: Json| fields.insert(name.to_owned(), value);
        put("schema", json!(1));
        put("session", json!(format!("s{}", record.session)));
        put("tcp_stream", json!(record.tcp_stream));
        put("direction", json!(record.direction().sender()));
        put("time", json!(super::when::rfc3339(first.time)));
        put("packet", json!(first.number));
        put("file", json!(first.source));
        // The same fields on every line; what a control frame can't have is null.
        for name in [
            "fragments",
            "transfer_ms",
            "hol_wait_ms",
            "reply_to",
            "latency_ms",
        ] {
            put(name, Json::Null);
        }
        put("compressed", json!(false));
        put("breaches", json!([]));
        // Absent where it is certain: read in step from the opening handshake on, or proven.
        if record.confidence() != FrameConfidence::Certain {
            put("confidence", json!("likely"));
        }
        match &record.kind {
            RecordKind::Message(message) => self.message(record, message, &mut put),
            RecordKind::Ping { control, rtt, gap } => {
                put("opcode", json!("ping"));
                put("length", json!(control.frame.payload_len));
                put("complete", json!(control.complete));
                put("rtt_ms", json!(rtt.map(ms)));
                put("gap_ms", json!(gap.map(ms)));
                put("acked_ms", acked(record));
                control_frame(control, &mut put);
            }
            RecordKind::Pong(control) => {
                put("opcode", json!("pong"));
                put("length", json!(control.frame.payload_len));
                put("complete", json!(control.complete));
                put("acked_ms", acked(record));
                control_frame(control, &mut put);
            }
            RecordKind::Close(close) => {
                put("opcode", json!("close"));
                put("length", json!(close.control.frame.payload_len));
                put("complete", json!(close.control.complete));
                put("code", json!(close.code));
                put(
                    "reason",
                    json!(self.secrets.text(&close.reason, &record.secrets)),
                );
                put("breaches", json!(finding_ids(&close.breaches)));
                put("acked_ms", acked(record));
                control_frame(&close.control, &mut put);
            }
        }
        Json::Object(fields)
    }

    fn message(
        &self,
        record: &Record,
        message: &Message,
        put: &mut impl FnMut(&str, Json) -> Option<Json>,
    ) {
        put("opcode", json!(message.opcode.name()));
        put("length", json!(message.whole_len));
        put("wire_length", json!(message.whole_wire_len));
        if message.whole_wire_len.is_none() {
            put("wire_length_seen", json!(message.wire_len));
        }
        put("compressed", json!(message.compressed));
        put("fragments", json!(message.fragments));
        put("complete", json!(message.complete));
        let (framing, other): (Vec<Breach>, Vec<Breach>) = message
            .breaches
            .iter()
            .partition(|breach| is_of_framing(**breach));
        put("breaches", json!(finding_ids(&framing)));
        if !other.is_empty() {
            put("remarks", json!(finding_ids(&other)));
        }
        put(
            "transfer_ms",
            json!(message.last.time.since(message.first.time).map(ms)),
        );
        put(
            "hol_wait_ms",
            json!(message.available.time.since(message.last.time).map(ms)),
        );
        put("acked_ms", acked(record));
        let answers = record.answers.as_ref();
        put("reply_to", json!(answers.map(|a| a.request.number)));
        put("latency_ms", json!(answers.map(|a| ms(a.took))));
        if let Some(digest) = &message.sha256 {
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            put("sha256", json!(hex));
        }
        if !self.payload {
            return;
        }
        if let Some(payload) = &message.payload {
            match (message.opcode, std::str::from_utf8(payload)) {
                (Opcode::Text, Ok(text)) => put("text", json!(text)),
                _ => put("base64", json!(STANDARD.encode(payload))),
            };
        }
    }

    fn line(&self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        let first = record.first();
        let (arrow, what) = (arrow(record), self.what(record));
        let head = format!(
            "#{:<6} {} s{:<3} {arrow} {what}",
            first.number,
            clock(first.time),
            record.session
        );
        let head = match record.confidence() {
            FrameConfidence::Certain => head,
            FrameConfidence::Likely => format!("{head} (likely)"),
        };
        let room = self.width.saturating_sub(head.chars().count() + 2);
        match &record.kind {
            RecordKind::Message(Message {
                payload: Some(payload),
                opcode,
                ..
            }) if self.payload && room >= 8 => {
                writeln!(out, "{head}  {}", preview(payload, *opcode, room))
            }
            _ => writeln!(out, "{head}"),
        }
    }

    fn what(&self, record: &Record) -> String {
        match &record.kind {
            RecordKind::Message(message) => {
                let mut text = format!("{} {}", message.opcode.name(), length(message));
                if message.compressed {
                    text.push_str(" deflated");
                }
                if message.fragments > 1 {
                    text.push_str(&format!(" in {} frames", message.fragments));
                }
                if !message.complete {
                    text.push_str(" INCOMPLETE");
                }
                if let Some(answered) = &record.answers {
                    let (to, took) = (answered.request.number, span(answered.took));
                    text.push_str(&format!(", answers #{to} after {took}"));
                }
                for breach in finding_ids(&message.breaches) {
                    text.push_str(&format!(" [{breach}]"));
                }
                text
            }
            RecordKind::Ping { control, rtt, .. } => match rtt {
                Some(rtt) => format!("ping {}, answered after {}", size(control), span(*rtt)),
                None => format!("ping {}, no answer seen", size(control)),
            },
            RecordKind::Pong(control) => format!("pong {}", size(control)),
            RecordKind::Close(close) => match close.code {
                Some(code) => format!(
                    "close {code} {}",
                    shown(&self.secrets.text(&close.reason, &record.secrets), 60)
                ),
                None => "close without a code".to_owned(),
            },
        }
    }
}

/// What its header announced, and whether all of it was captured.
/// How long a message is; of one of which that isn't known, what is.
fn length(message: &Message) -> String {
    match (message.whole_len, message.whole_wire_len) {
        (Some(len), _) => format!("{len} B"),
        (None, Some(wire)) => format!("of unknown length ({wire} B on the wire)"),
        (None, None) => format!("of at least {} B on the wire", message.wire_len),
    }
}

fn size(control: &Control) -> String {
    let missing = if control.complete { "" } else { " INCOMPLETE" };
    format!("{} B{missing}", control.frame.payload_len)
}

/// What a control frame has in common with a message: one fragment, from its first byte to its last.
fn control_frame(control: &Control, put: &mut impl FnMut(&str, Json) -> Option<Json>) {
    let (first, last) = (control.frame.at.time, control.last.time);
    put(
        "wire_length",
        json!(control.frame.end().saturating_sub(control.frame.offset)),
    );
    put("fragments", json!(1));
    put("transfer_ms", json!(last.since(first).map(ms)));
    put(
        "hol_wait_ms",
        json!(control.available.time.since(last).map(ms)),
    );
}

fn arrow(record: &Record) -> &'static str {
    match record.direction() {
        crate::stream::Direction::ClientToServer => "C->S",
        crate::stream::Direction::ServerToClient => "S->C",
    }
}

fn acked(record: &Record) -> Json {
    json!(
        record
            .acked
            .and_then(|ack| ack.time.since(record.first().time))
            .map(ms)
    )
}

/// The finding ids of what a message's frames broke, each once.
fn finding_ids(breaches: &[Breach]) -> Vec<&'static str> {
    let mut ids: Vec<_> = breaches.iter().map(|breach| rule_of(*breach)).collect();
    ids.dedup();
    ids
}

/// The beginning of a payload, on one line, safe for a terminal.
fn preview(payload: &[u8], opcode: Opcode, room: usize) -> String {
    match (opcode, std::str::from_utf8(payload)) {
        (Opcode::Text, Ok(text)) => shown(text, room),
        _ => {
            let hex: String = payload
                .iter()
                .take(room / 3)
                .map(|byte| format!("{byte:02x} "))
                .collect();
            hex.trim_end().to_owned()
        }
    }
}

/// `text` without anything that a terminal would obey, cut to `room` columns.
pub(super) fn shown(text: &str, room: usize) -> String {
    let harmless = |c: char| {
        let bidi = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
        if c.is_control() || bidi { '·' } else { c }
    };
    let fits = text.chars().nth(room).is_none();
    let kept = if fits { room } else { room.saturating_sub(1) };
    let mut line: String = text.chars().take(kept).map(harmless).collect();
    if !fits {
        line.push('…');
    }
    line
}
