//! Messages and control frames as rows.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::gather::{Item, LeftOut, tally};
use super::row::{Preview, Row, Weight, counted, size};
use crate::diagnosis::{rule_of, span};
use crate::report::when::ms;
use crate::session::redact::Secrets;
use crate::session::{
    Answered, Breach, CloseFrame, Control, FrameConfidence, Message, Record, RecordKind,
};
use crate::stream::PacketRef;

/// Rationale: shorter waits behind a lost segment are hardly noticed by anyone.
const WAIT: Duration = Duration::from_millis(50);
/// Rationale: a message that takes longer to arrive is worth a look at its speed.
const SLOW: Duration = Duration::from_secs(1);

/// A record, or those that were left out, as a row. `held`: what ended the wait of
/// the message before, since many may wait for the same lost segment.
pub(super) fn row(item: Item, secrets: Secrets, held: &mut Option<PacketRef>) -> Row {
    match item {
        Item::Record(record) => of_record(*record, secrets, held),
        Item::LeftOut(left) => of_left_out(&left),
    }
}

fn of_left_out(left: &LeftOut) -> Row {
    let mut row = Row::new(left.from, "folded", "");
    row.until = Some(left.to);
    row.tally = left.tally;
    row.weight = Weight::Plain;
    row
}

fn of_record(record: Record, secrets: Secrets, held: &mut Option<PacketRef>) -> Row {
    let (at, from, tally) = (record.first(), record.direction(), tally(&record));
    let likely = record.confidence() != FrameConfidence::Certain;
    let acked = record.acked.and_then(|acked| acked.time.since(at.time));
    let answers = record.answers;
    let mut row = match record.kind {
        RecordKind::Message(message) => of_message(message, answers, held),
        RecordKind::Ping { control, rtt, gap } => ping(&control, rtt, gap),
        RecordKind::Pong(control) => {
            let what = format!("Pong {}", whole_size(&control));
            let row = Row::new(at, "pong", what).put("length", json!(control.frame.payload_len));
            row.plain()
        }
        RecordKind::Close(close) => of_close(&close, &record.secrets, secrets),
    };
    row.from = Some(from);
    row.acked = record.acked;
    row.rank = 60;
    row.tally = tally;
    if likely {
        row.what.push_str(" (likely)");
        row.data.insert("confidence".to_owned(), json!("likely"));
    }
    row.put("acked_ms", json!(acked.map(ms)))
}

fn of_message(message: Message, answers: Option<Answered>, held: &mut Option<PacketRef>) -> Row {
    let mut what = format!("{} {}", message.opcode.name(), size(message.len));
    if message.compressed {
        what.push_str(" deflated");
    }
    if message.fragments > 1 {
        what.push_str(&format!(" in {} frames", message.fragments));
    }
    if !message.complete {
        what.push_str(" INCOMPLETE");
    }
    if let Some(answered) = &answers {
        let (to, took) = (answered.request.number, span(answered.took));
        what.push_str(&format!(", answers #{to}: {took}"));
    }
    let took = message.last.time.since(message.first.time);
    let waited = message.available.time.since(message.last.time);
    let mut row = Row::new(message.first, message.opcode.name(), what)
        .put("length", json!(message.len))
        .put("wire_length", json!(message.wire_len))
        .put("compressed", json!(message.compressed))
        .put("fragments", json!(message.fragments))
        .put("complete", json!(message.complete))
        .put("breaches", json!(ids(&message.breaches)))
        .put_ms("transfer_ms", took)
        .put_ms("hol_wait_ms", waited)
        .put("reply_to", json!(answers.map(|a| a.request.number)))
        .put_ms("latency_ms", answers.map(|a| a.took));
    row.weight = match message.complete && message.breaches.is_empty() {
        true => Weight::Plain,
        false => Weight::Incident,
    };
    if message.last != message.first {
        row.until = Some(message.last);
    }
    if let Some(took) = took.filter(|took| *took >= SLOW) {
        row.notes.push(format!(
            "took {} on its way, until #{}",
            span(took),
            message.last.number
        ));
        row.weight = Weight::Incident;
    }
    let waited = waited.filter(|waited| *waited >= WAIT);
    let until = waited.map(|_| message.available);
    if let Some(waited) = waited.filter(|_| *held != until) {
        *held = until;
        row.notes.push(format!(
            "held up {} by a loss, until #{}",
            span(waited),
            message.available.number
        ));
        row.weight = Weight::Incident;
    }
    row.preview = message.payload.map(|bytes| Preview {
        opcode: message.opcode,
        whole: message.complete && bytes.len() as u64 == message.len,
        bytes,
    });
    row
}

fn ping(control: &Control, rtt: Option<Duration>, gap: Option<Duration>) -> Row {
    let what = match rtt {
        Some(rtt) => format!("Ping {}, Pong after {}", whole_size(control), span(rtt)),
        None => format!("Ping {}, no answer seen", whole_size(control)),
    };
    let row = Row::new(control.frame.at, "ping", what)
        .put("length", json!(control.frame.payload_len))
        .put_ms("rtt_ms", rtt)
        .put_ms("gap_ms", gap);
    match rtt {
        Some(_) => row.plain(),
        None => row.incident(),
    }
}

fn of_close(close: &CloseFrame, known: &[String], secrets: Secrets) -> Row {
    let reason = secrets.text(&close.reason, known).into_owned();
    let what = match (close.code, reason.as_str()) {
        (None, _) => "Close without a code".to_owned(),
        (Some(code), "") => format!("Close {code}"),
        (Some(code), reason) => format!("Close {code} \"{reason}\""),
    };
    Row::new(close.control.frame.at, "close", what)
        .put("code", json!(close.code))
        .put("reason", json!(reason))
        .put("breaches", json!(ids(&close.breaches)))
}

fn whole_size(control: &Control) -> String {
    let missing = if control.complete { "" } else { " INCOMPLETE" };
    format!("{}{missing}", size(control.frame.payload_len))
}

fn ids(breaches: &[Breach]) -> Vec<&'static str> {
    let mut ids: Vec<_> = breaches.iter().map(|breach| rule_of(*breach)).collect();
    ids.dedup();
    ids
}

/// Rows in one: `42 messages (20 C->S 1.1 KB, 22 S->C 1.2 MB), 3 Pings`.
pub(super) fn folded(row: &Row, arrows: [&str; 2]) -> String {
    let tally = &row.tally;
    let [(up, up_bytes), (down, down_bytes)] = [tally.messages.client, tally.messages.server];
    let mut parts = Vec::new();
    if let Some(all) = Some(up.saturating_add(down)).filter(|all| *all > 0) {
        let way = |count: u64, arrow: &str, bytes| match count {
            0 => None,
            _ => Some(format!("{count} {arrow} {}", size(bytes))),
        };
        let [to_server, to_client] = arrows;
        let ways = [
            way(up, to_server, up_bytes),
            way(down, to_client, down_bytes),
        ];
        let ways: Vec<String> = ways.into_iter().flatten().collect();
        parts.push(format!("{} ({})", counted(all, "message"), ways.join(", ")));
    }
    if let Some((count, least, most)) = tally.replies {
        let times = match least == most {
            true => span(most),
            false => format!("{} to {}", span(least), span(most)),
        };
        parts.push(match count {
            1 => format!("1 reply after {times}"),
            _ => format!("{count} replies after {times}"),
        });
    }
    if tally.records > 0 {
        parts.push(counted(tally.records, "sealed record"));
    }
    if tally.pings > 0 {
        let times = tally
            .rtt
            .map_or(String::new(), |(least, most)| match least == most {
                true => format!(", Pong after {}", span(most)),
                false => format!(", Pongs after {} to {}", span(least), span(most)),
            });
        parts.push(format!("{}{times}", counted(tally.pings, "Ping")));
    } else if tally.pongs > 0 {
        parts.push(counted(tally.pongs, "Pong"));
    }
    if tally.silences.0 > 0 {
        parts.push(format!("pauses of up to {}", span(tally.silences.1)));
    }
    if tally.again > 0 {
        parts.push(format!("{} sent again", counted(tally.again, "segment")));
    }
    if tally.more > 0 {
        parts.push(format!("{} of other kinds", counted(tally.more, "row")));
    }
    parts.join("; ")
}

/// The same for scripts.
pub(super) fn folded_json(row: &Row) -> Vec<(&'static str, Json)> {
    let tally = &row.tally;
    let side = |(count, bytes): (u64, u64)| json!({"count": count, "bytes": bytes});
    vec![
        (
            "messages",
            json!({"client": side(tally.messages.client), "server": side(tally.messages.server)}),
        ),
        (
            "replies",
            json!(tally.replies.map_or(0, |(count, ..)| count)),
        ),
        (
            "latency_max_ms",
            json!(tally.replies.map(|(.., most)| ms(most))),
        ),
        ("sealed_records", json!(tally.records)),
        ("pings", json!(tally.pings)),
        ("pongs", json!(tally.pongs)),
        ("rtt_max_ms", json!(tally.rtt.map(|(_, most)| ms(most)))),
        ("silences", json!(tally.silences.0)),
        ("sent_again", json!(tally.again)),
        ("more", json!(tally.more)),
    ]
}
