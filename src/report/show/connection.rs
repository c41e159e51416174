//! What came before the opening handshake: TCP, proxies on the way, TLS.

use serde_json::json;

use super::row::Row;
use crate::diagnosis::span;
use crate::report::describe;
use crate::report::when::date;
use crate::session::redact::Secrets;
use crate::session::{Session, Tls, Tunnel, version_name};
use crate::stream::Direction::{self, ClientToServer, ServerToClient};

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
