//! How a session began: TCP, proxies before it, TLS, the opening handshake.

use serde_json::json;

use super::row::{Row, counted};
use crate::diagnosis::span;
use crate::report::describe;
use crate::report::when::{date, ms};
use crate::session::redact::Secrets;
use crate::session::{Lookalike, Request, Response, Session, Tls, Tunnel, version_name};
use crate::stream::Direction::{self, ClientToServer, ServerToClient};
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

/// The rows of TCP's opening, of proxies and TLS, where this session is the first on its connection.
pub(super) fn of_connection(session: &Session, secrets: Secrets) -> Vec<Row> {
    let mut rows = tcp(session);
    let leg = &session.leg;
    if let Some((_, at)) = &leg.proxied
        && let Some(way) = describe::way(session, secrets)
    {
        let told = way.rsplit(", then ").next().unwrap_or(&way).to_owned();
        let told = format!("PROXY header: {told}");
        rows.push(
            Row::new(*at, "proxy-header", told)
                .from(ClientToServer)
                .rank(10),
        );
    }
    rows.extend(leg.via.iter().flat_map(|tunnel| of_tunnel(tunnel, secrets)));
    if let Some(tls) = &leg.tls {
        let mut told = self::tls(tls);
        let inferred = session.keyless.as_ref().and_then(|known| known.finished);
        // Its record says so.
        told.retain(|row| row.event != "tls-finished" || inferred != Some(row.at));
        rows.extend(told);
    }
    rows
}

/// The request for a tunnel may be missing from the capture; its answer is what tells of it then.
fn of_tunnel(tunnel: &Tunnel, secrets: Secrets) -> Vec<Row> {
    let target = tunnel.target.as_deref();
    let target = target.map(|target| secrets.authority(target));
    let mut rows = Vec::new();
    if let Some(asked) = tunnel.asked {
        let to = target.as_deref().unwrap_or("a target that is unknown");
        let told = format!("{} {to}", tunnel.kind.name().to_uppercase());
        let row = Row::new(asked, "tunnel-requested", told).from(ClientToServer);
        rows.push(row.rank(10).put("target", json!(target)));
    }
    if let Some(opened) = tunnel.opened {
        let took = tunnel.asked.and_then(|asked| opened.time.since(asked.time));
        let told = took.map_or(String::new(), |took| format!(" after {}", span(took)));
        let row = Row::new(opened, "tunnel-opened", format!("tunnel open{told}"));
        rows.push(row.from(ServerToClient).rank(11).put_ms("open_ms", took));
    }
    rows
}

fn tcp(session: &Session) -> Vec<Row> {
    let leg = &session.leg;
    let mut rows = Vec::new();
    for (side, event, word) in [
        (ClientToServer, "syn", "SYN"),
        (ServerToClient, "syn-ack", "SYN-ACK"),
    ] {
        for (place, at) in leg.syns[side].iter().enumerate() {
            let again = if place == 0 { "" } else { ", sent again" };
            let row = Row::new(*at, event, format!("{word}{again}"));
            rows.push(row.from(side).rank(1));
        }
    }
    match (leg.syns.client.first(), leg.established) {
        (syn, Some(at)) => {
            let took = syn.and_then(|syn| at.time.since(syn.time));
            let told = took.map_or("TCP is open".to_owned(), |took| {
                format!("TCP is open after {}", span(took))
            });
            let row = Row::new(at, "tcp-open", told).from(ClientToServer).rank(2);
            rows.push(row.put_ms("tcp_ms", took));
        }
        (None, None) if leg.syns.server.is_empty() => {
            let told = "the capture begins inside this connection";
            rows.push(Row::new(leg.first, "began-mid-stream", told).rank(0));
        }
        _ => {}
    }
    rows
}

fn tls(tls: &Tls) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some((hello, at)) = &tls.client_hello {
        let mut told = format!("ClientHello up to {}", version_name(hello.version));
        if let Some(name) = &hello.server_name {
            told.push_str(&format!(" for {name}"));
        }
        if !hello.alpn.is_empty() {
            told.push_str(&format!(", ALPN {}", hello.alpn.join(" ")));
        }
        rows.push(
            Row::new(*at, "client-hello", told)
                .from(ClientToServer)
                .rank(20),
        );
    }
    if let Some(at) = tls.retry {
        let told = "HelloRetryRequest: another ClientHello is asked for";
        rows.push(
            Row::new(at, "hello-retry", told)
                .from(ServerToClient)
                .rank(21),
        );
    }
    if let Some(chosen) = &tls.server_hello {
        let resumed = if chosen.resumed { ", resumed" } else { "" };
        let version = version_name(chosen.hello.version);
        let told = format!("ServerHello {version} {}{resumed}", chosen.suite);
        let row = Row::new(chosen.at, "server-hello", told)
            .from(ServerToClient)
            .rank(22);
        rows.push(
            row.put("version", json!(version))
                .put("cipher", json!(chosen.suite)),
        );
    }
    for side in Direction::BOTH {
        if let Some((chain, at)) = &tls.certificates[side] {
            let told = chain.first().map_or("no certificate".to_owned(), |leaf| {
                let until = date(leaf.not_after);
                format!("certificate {}, valid until {until}", leaf.subject)
            });
            let mut row = Row::new(*at, "certificate", told).from(side).rank(23);
            if side == ServerToClient {
                let problems = tls.certificate_problems();
                let names: Vec<_> = problems.iter().map(|problem| problem.name()).collect();
                if !names.is_empty() {
                    row = row.note(format!("it is {}", names.join(", ")));
                }
                row = row.put("problems", json!(names));
            }
            rows.push(row);
        }
        if let Some(at) = tls.finished[side] {
            let told = "TLS Finished: its half of the handshake is done";
            rows.push(Row::new(at, "tls-finished", told).from(side).rank(24));
        }
    }
    if let Some((reason, at)) = tls.undecrypted() {
        let told = format!(
            "encrypted from here on, and stays closed: {}",
            reason.name()
        );
        rows.push(
            Row::new(at, "undecrypted", told)
                .rank(25)
                .put("reason", json!(reason.name())),
        );
    }
    rows
}

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
