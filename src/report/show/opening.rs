//! The opening handshake.

use serde_json::json;

use super::row::{Row, counted};
use crate::diagnosis::span;
use crate::report::when::ms;
use crate::session::redact::Secrets;
use crate::session::{Lookalike, Request, Response, Session};
use crate::stream::Direction::{ClientToServer, ServerToClient};
use crate::stream::PacketRef;

/// Header fields that tell something of a WebSocket; all of them with `-v`.
const TELLING: [&str; 18] = [
    "Host",
    "Origin",
    "User-Agent",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Forwarded",
    "X-Forwarded-For",
    "Via",
    "Server",
    "Location",
    "WWW-Authenticate",
    "Retry-After",
    "Content-Type",
    "Set-Cookie",
    "X-Request-Id",
];

/// The rows of the opening handshake.
pub(super) fn of_handshake(session: &Session, secrets: Secrets, all_fields: bool) -> Vec<Row> {
    let handshake = &session.handshake;
    let mut rows = Vec::new();
    if let Some(request) = handshake.seen_request() {
        rows.push(self::request(session, request, secrets, all_fields));
    }
    for (status, at) in &handshake.interim {
        let row = Row::new(*at, "interim", format!("{status} (interim answer)"));
        rows.push(
            row.from(ServerToClient)
                .rank(31)
                .put("status", json!(status)),
        );
    }
    if let Some(early) = handshake.early_data {
        let told = format!("{} before the answer", counted(early.len, "byte"));
        rows.push(
            Row::new(early.at, "early-data", told)
                .from(ClientToServer)
                .incident()
                .rank(32),
        );
    }
    if let Some(response) = &handshake.response {
        rows.push(self::response(session, response, secrets, all_fields));
    }
    if let Some((at, what)) = &handshake.not_http {
        let told = format!("no HTTP: {}", lookalike(what));
        rows.push(
            Row::new(*at, "not-http", told)
                .from(ServerToClient)
                .rank(33),
        );
    }
    if let Some(at) = handshake.answer_lost {
        let told = "frames: the answer to the request is not in the capture";
        rows.push(
            Row::new(at, "answer-lost", told)
                .from(ServerToClient)
                .rank(33),
        );
    }
    if handshake.mid_stream.is_some() {
        let told = match session.is_inferred() {
            true => "the sizes of its TLS records suggest a WebSocket",
            false => "the first frame that can be told",
        };
        rows.push(Row::new(session.found_at(), "found", told).rank(34));
    }
    rows
}

fn request(session: &Session, request: &Request, secrets: Secrets, all: bool) -> Row {
    let target = secrets.target(&request.target);
    let told = format!(
        "{} {target} HTTP/1.{}",
        request.method, request.minor_version
    );
    let row = Row::new(request.first, "request", told)
        .from(ClientToServer)
        .rank(30);
    let row = whole_at(row, request.first, request.last);
    let row = with_fields(row, session, &request.headers.0, secrets, all);
    breaches(row, &session.handshake.request_breaches)
        .put("method", json!(request.method))
        .put("target", json!(target))
}

fn response(session: &Session, response: &Response, secrets: Secrets, all: bool) -> Row {
    let handshake = &session.handshake;
    let known = handshake.secrets();
    let reason = secrets.text(&response.reason, &known);
    let asked = handshake.seen_request().map(|request| request.last);
    let took = asked.and_then(|asked| response.first.time.since(asked.time));
    let after = took.map_or(String::new(), |took| format!(" after {}", span(took)));
    let told = format!("{} {reason}{after}", response.status);
    let row = Row::new(response.last, "response", told)
        .from(ServerToClient)
        .rank(35);
    let mut row = with_fields(row, session, &response.headers.0, secrets, all);
    if response.status != 101 && !handshake.body.is_empty() {
        let body = String::from_utf8_lossy(&handshake.body);
        row = row.note(format!("body: {}", secrets.text(body.trim(), &known)));
    }
    breaches(row, &handshake.response_breaches)
        .put("status", json!(response.status))
        .put("http_ms", json!(took.map(ms)))
}

fn breaches(mut row: Row, breaches: &[crate::session::HandshakeBreach]) -> Row {
    for breach in breaches {
        row = row.note(format!("against RFC 6455: {}", breach.kind));
    }
    let kinds: Vec<_> = breaches.iter().map(|breach| breach.kind).collect();
    row.put("breaches", json!(kinds))
}

fn with_fields(
    mut row: Row,
    session: &Session,
    fields: &[(String, String)],
    secrets: Secrets,
    all: bool,
) -> Row {
    let known = session.handshake.secrets();
    let mut told = Vec::new();
    for (name, value) in fields {
        let value = secrets.header(name, value);
        let value = match row.from {
            // What the server repeats of the request's secrets.
            Some(ServerToClient) => secrets.text(&value, &known),
            _ => value.clone(),
        };
        if all
            || TELLING
                .iter()
                .any(|telling| telling.eq_ignore_ascii_case(name))
        {
            row.notes.push(format!("{name}: {value}"));
        }
        told.push(json!([name, value]));
    }
    row.put("headers", json!(told))
}

/// A head that came in pieces.
fn whole_at(row: Row, first: PacketRef, last: PacketRef) -> Row {
    match last.time.since(first.time) {
        Some(took) if last != first => {
            let told = format!("whole at #{}, {} later", last.number, span(took));
            row.note(told)
        }
        _ => row,
    }
}

fn lookalike(what: &Lookalike) -> String {
    match what {
        Lookalike::TlsHandshake => "it speaks TLS".to_owned(),
        Lookalike::TlsAlert(_, description) => format!("a TLS alert ({description})"),
        Lookalike::Http2Preface => "it speaks HTTP/2".to_owned(),
        Lookalike::ProxyProtocol => "a PROXY header".to_owned(),
        Lookalike::OtherRole => "a request, where an answer belongs".to_owned(),
        Lookalike::Service(name) => format!("it speaks {name}"),
        Lookalike::Unknown => "bytes of no protocol that is known here".to_owned(),
    }
}
