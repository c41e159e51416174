//! `--format json` and `jsonl`: schema 1, as docs and scripts have it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value as Json, json};

use super::when::{ms, rfc3339};
use super::{Report, Reported, community, describe};
use crate::diagnosis::{Evidence, Finding, PingVerdict, Rule, Subject, Value};
use crate::session::redact::Secrets;
use crate::session::{Capture, Distribution, FrameCounts, MessageCounts, PingLedger, Session};
use crate::stream::{Direction, Sides};

/// Adding fields keeps the number; renaming or removing one needs a new one.
const SCHEMA: u32 = 1;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Whole(report))?;
    writeln!(out)
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
        let session = |reported| session(reported, report);
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
    for reported in &report.sessions {
        line("session", session(reported, report), out)?;
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
    let closed = capture
        .tls
        .connections
        .saturating_sub(capture.tls.decrypted);
    let reason = if report.keys_given {
        "unsupported-suite"
    } else {
        "no-key"
    };
    json!({
        "files": files,
        "packets": capture.packets,
        "tcp_segments": capture.tcp_segments,
        "tcp_connections": capture.tcp_connections,
        "sessions": report.sessions.len(),
        "http_exchanges": capture.http_exchanges,
        "not_decoded": not_decoded,
        "gaps": gaps,
        "duplicates": capture.duplicates,
        "dropped": capture.dropped,
        "evicted": capture.evicted,
        "embedded_key_logs": capture.key_logs,
        "tls": {
            "connections": capture.tls.connections,
            "decrypted": capture.tls.decrypted,
            "undecrypted": [{"reason": reason, "count": closed}],
        },
    })
}

fn session(reported: &Reported, report: &Report) -> Json {
    let Reported {
        session,
        closing,
        pings,
    } = reported;
    let secrets = report.secrets;
    let headers = &session.handshake.request.headers;
    let agreement = &session.handshake.agreement;
    json!({
        "id": session.name(),
        "tcp_stream": session.leg.tcp_stream,
        "community_id": community::id(session.leg.client, session.leg.server),
        "inferred": false,
        "client": session.leg.client.to_string(),
        "server": session.leg.server.to_string(),
        "forwarded_for": describe::forwarded_for(session),
        "transport": "http/1.1",
        "tls": null,
        "url": describe::url(session, secrets),
        "host": describe::host(session),
        "path": describe::path(session, secrets),
        "user_agent": headers.first("User-Agent"),
        "subprotocol": agreement.subprotocol.as_deref().map(|name| {
            secrets.text(&secrets.subprotocol(name), &session.handshake.secrets()).into_owned()
        }),
        "offered_subprotocols": secrets.subprotocols(session.handshake.offered_subprotocols()),
        "extensions": agreement.extensions,
        "application": null,
        "handshake": handshake(session, secrets),
        "frames": sides(&session.frames, frames),
        "messages": sides(&session.messages, messages),
        "closing": {
            "kind": closing.kind.name(),
            "ended_by": closing.ended_by.name(),
            "how": closing.how.map(|how| how.name()),
            "client_close": close(session, Direction::ClientToServer, secrets),
            "server_close": close(session, Direction::ServerToClient, secrets),
            "client_sees": closing.sees.client,
            "server_sees": closing.sees.server,
            "client_error_event": closing.sees.client_error_event,
            "idle_ms": closing.idle.map(ms),
            "at": closing.terminator.map(|end| rfc3339(end.at.time)),
            "packet": closing.terminator.map(|end| end.at.number),
        },
        "ping": {
            "client": ping(&session.pings.client, &pings.client),
            "server": ping(&session.pings.server, &pings.server),
        },
        "heartbeat": null,
        "latency": null,
        "tcp": tcp(session),
        "findings": report.about(session.id),
    })
}

fn handshake(session: &Session, secrets: Secrets) -> Json {
    let handshake = &session.handshake;
    let leg = &session.leg;
    let syn = leg.syns.client.first();
    let tcp = syn.and_then(|syn| leg.established?.time.since(syn.time));
    let http = handshake
        .response
        .as_ref()
        .and_then(|r| r.first.time.since(handshake.request.first.time));
    let breaches: Vec<Json> = handshake
        .request_breaches
        .iter()
        .chain(&handshake.response_breaches)
        .map(|breach| json!({"kind": breach.kind, "what": breach.what, "section": breach.section}))
        .collect();
    json!({
        "outcome": describe::outcome(session),
        "status": handshake.status(),
        "reason": handshake.response.as_ref().map(|r| secrets.text(&r.reason, &session.handshake.secrets()).into_owned()),
        "tcp_ms": tcp.map(ms),
        "tls_ms": null,
        "http_ms": http.map(ms),
        "request_packet": handshake.request.first.number,
        "response_packet": handshake.response.as_ref().map(|r| r.first.number),
        "breaches": breaches,
    })
}

fn sides<T>(values: &Sides<T>, shape: impl Fn(&T) -> Json) -> Json {
    json!({"client": shape(&values.client), "server": shape(&values.server)})
}

fn frames(counts: &FrameCounts) -> Json {
    json!({
        "text": counts.text, "binary": counts.binary, "continuation": counts.continuation,
        "close": counts.close, "ping": counts.ping, "pong": counts.pong, "reserved": counts.reserved, "payload_bytes": counts.payload_bytes,
    })
}

fn messages(counts: &MessageCounts) -> Json {
    json!({
        "count": counts.count, "bytes": counts.bytes, "wire_bytes": counts.wire_bytes,
        "incomplete": counts.incomplete,
    })
}

fn close(session: &Session, from: Direction, secrets: Secrets) -> Json {
    let Some(close) = &session.close[from] else {
        return Json::Null;
    };
    json!({
        "code": close.code,
        "reason": secrets.text(&close.reason, &session.handshake.secrets()),
        "packet": close.control.frame.at.number,
    })
}

fn ping(ledger: &PingLedger, verdict: &PingVerdict) -> Json {
    if ledger.sent == 0 {
        return json!({"sent": 0});
    }
    json!({
        "sent": ledger.sent,
        "answered": ledger.answered,
        "superseded": verdict.superseded,
        "outstanding": verdict.outstanding,
        "unanswered": verdict.unanswered_count,
        "rtt_ms": distribution(&ledger.rtt),
        "interval_ms": {
            "p50": ledger.intervals.median().map(ms),
            "max": ledger.intervals.max().map(ms),
        },
    })
}

fn distribution(values: &Distribution) -> Json {
    if values.count() == 0 {
        return Json::Null;
    }
    json!({
        "min": values.min().map(ms), "p50": values.median().map(ms),
        "p95": values.percentile(95).map(ms), "p99": values.percentile(99).map(ms),
        "max": values.max().map(ms),
    })
}

fn tcp(session: &Session) -> Json {
    let leg = &session.leg;
    let (client, server) = (leg.rtt.client.median(), leg.rtt.server.median());
    let sum = client.zip(server).map(|(client, server)| client + server);
    let zero = |direction: Direction| {
        let window = &leg.zero_window[direction];
        let open = window
            .since
            .map(|since| leg.last_packet_any().time.saturating_since(since.time));
        ms(window.total + open.unwrap_or_default())
    };
    json!({
        "rtt_ms": {"p50": sum.map(ms), "client_side": client.map(ms), "server_side": server.map(ms)},
        "retransmissions": {"client": leg.retransmissions.client, "server": leg.retransmissions.server},
        "out_of_order": {"client": leg.out_of_order.client, "server": leg.out_of_order.server},
        "keep_alives": {"client": leg.probes.client, "server": leg.probes.server},
        "conflicting_retransmissions": leg.conflicts.len(),
        "zero_window_ms": {"client": zero(Direction::ClientToServer), "server": zero(Direction::ServerToClient)},
    })
}

fn finding(finding: &Finding, report: &Report) -> Json {
    let session = match finding.subject {
        Subject::Session(id) => Some(format!("s{id}")),
        Subject::Connection { .. } | Subject::Capture => None,
    };
    let evidence: Vec<Json> = finding.evidence.iter().map(one_evidence).collect();
    let causes: Vec<Json> = finding
        .causes
        .iter()
        .map(|cause| json!({"text": cause.text, "confidence": cause.confidence.name()}))
        .collect();
    let data: Map<String, Json> = finding
        .data
        .iter()
        .map(|(name, value)| ((*name).to_owned(), number_or_word(value)))
        .collect();
    json!({
        "id": finding.rule.id,
        "severity": finding.severity.name(),
        "confidence": finding.confidence.name(),
        "session": session,
        "summary": finding.summary,
        "advice": finding.advice,
        "causes": causes,
        "data": data,
        "evidence": evidence,
        "filter": filter(finding, report),
    })
}

fn one_evidence(evidence: &Evidence) -> Json {
    json!({
        "file": evidence.at.source,
        "packet": evidence.at.number,
        "time": rfc3339(evidence.at.time),
        "what": evidence.what,
    })
}

/// A filter, or an object of one per file. The number of a stream is that of
/// all files together, so that it helps only where there is one.
fn filter(finding: &Finding, report: &Report) -> Json {
    let files = report.capture.files.len();
    if files <= 1 {
        return json!(finding.filter(0, true));
    }
    let per_file: BTreeMap<String, String> = report
        .capture
        .files
        .iter()
        .zip(0_u16..)
        .filter_map(|(file, source)| {
            Some((
                file.path.to_string_lossy().into_owned(),
                finding.filter(source, false)?,
            ))
        })
        .collect();
    json!(per_file)
}

fn number_or_word(value: &Value) -> Json {
    match value {
        Value::Ms(duration) => json!(ms(*duration)),
        Value::Count(count) => json!(count),
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Flag(flag) => json!(flag),
        Value::List(words) => json!(words),
    }
}

#[derive(serde::Serialize)]
struct RuleEntry {
    severity: &'static str,
    summary: &'static str,
    url: String,
}

/// The rules that fired.
fn rules(report: &Report) -> BTreeMap<&'static str, RuleEntry> {
    report
        .findings
        .iter()
        .map(|finding| (finding.rule.id, entry(finding.rule)))
        .collect()
}

fn entry(rule: &Rule) -> RuleEntry {
    RuleEntry {
        severity: rule.severity.name(),
        summary: rule.summary,
        url: format!("docs/findings.md#{}", rule.id),
    }
}
