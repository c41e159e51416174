//! A session as JSON.

use serde_json::{Value as Json, json};

use super::application::{heartbeat, latency};
use super::legs::{legs, translated};
use super::tls::tls;
use crate::diagnosis::PingVerdict;
use crate::report::when::{ms, rfc3339};
use crate::report::{Report, Reported, community, describe};
use crate::session::redact::Secrets;
use crate::session::{
    Distribution, FoundBy, FrameConfidence, FrameCounts, MessageCounts, PingLedger, Resyncs,
    Session,
};
use crate::stream::{Direction, Sides};

pub(in crate::report) fn session(reported: &Reported<'_>, report: &Report) -> Json {
    let Reported {
        session,
        closing,
        pings,
    } = reported;
    let secrets = report.secrets;
    let readable = !session.is_inferred();
    let headers = &session.handshake.request.headers;
    let agreement = &session.handshake.agreement;
    json!({
        "id": session.name(),
        "tcp_stream": session.leg.tcp_stream,
        "community_id": community::id(session.leg.client, session.leg.server),
        "inferred": session.is_inferred(),
        "client": session.leg.client.to_string(),
        "server": session.leg.server.to_string(),
        "forwarded_for": describe::forwarded_for(session),
        "proxy_protocol": proxy_protocol(session),
        "via": via(session, secrets),
        "transport": if session.is_inferred() { "unknown" } else { "http/1.1" },
        "tls": tls(session),
        "url": describe::url(session, secrets),
        "host": describe::host(session),
        "path": describe::path(session, secrets),
        "user_agent": headers.first("User-Agent"),
        "subprotocol": agreement.subprotocol.as_deref().map(|name| {
            secrets.text(&secrets.subprotocol(name), &session.handshake.secrets()).into_owned()
        }),
        "offered_subprotocols": session.handshake.seen_request().filter(|_| !session.handshake.request_cut).map(|_| {
            secrets.subprotocols(session.handshake.offered_subprotocols())
        }),
        // What an answer that wasn't captured settled isn't known.
        "extensions": (session.handshake.response.is_some() || !session.handshake.is_upgraded())
            .then_some(&agreement.extensions),
        "application": session.application.as_ref().map(|known| known.protocol.name()),
        "application_source": session.application.as_ref().map(|known| known.source.name()),
        "handshake": handshake(session, secrets),
        "frames": readable.then(|| sides(&session.frames, frames)),
        "messages": readable.then(|| sides(&session.messages, messages)),
        // At this packet the place of the sender's next frame was lost for the first time.
        "lost_sync": sides(&session.lost_sync, |at| json!(at.map(|at| at.number))),
        // How often it was found again, by proof, and the captured bytes that are in no frame.
        "resynced": sides(&session.resyncs, resyncs),
        "closing": {
            // Null where nobody can say whether the other side sent a Close frame.
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
        "ping": readable.then(|| json!({
            "client": ping(&session.pings.client, &pings.client),
            "server": ping(&session.pings.server, &pings.server),
        })),
        "heartbeat": heartbeat(reported, report),
        "latency": latency(reported, report),
        "tcp": tcp(session),
        "legs": legs(session, report),
        "translated": translated(session),
        "findings": report.about(session.id),
    })
}

/// What a PROXY protocol header said.
fn proxy_protocol(session: &Session) -> Json {
    let Some((header, at)) = &session.leg.proxied else {
        return Json::Null;
    };
    json!({
        "version": header.version,
        "source": header.source.map(|address| address.to_string()),
        "destination": header.destination.map(|address| address.to_string()),
        "local": header.local,
        "tls": header.tls,
        "authority": header.authority,
        "alpn": header.alpn,
        "fault": header.fault.map(|fault| fault.what()),
        "packet": at.number,
    })
}

/// The tunnel that the session goes through; one inside it is its `next`.
fn via(session: &Session, secrets: Secrets) -> Json {
    let leg = &session.leg;
    let inner_first = leg.via.iter().enumerate().rev();
    inner_first.fold(Json::Null, |next, (place, tunnel)| {
        let before = place.checked_sub(1).and_then(|place| leg.via.get(place));
        let proxy = match before {
            Some(before) => before.target.as_deref().map(|target| secrets.authority(target).into_owned()),
            None => Some(leg.server.to_string()),
        };
        json!({
            "kind": tunnel.kind.name(),
            "target": tunnel.target.as_deref().map(|target| secrets.authority(target)),
            "proxy": proxy,
            "request_packet": tunnel.asked.map(|at| at.number),
            "response_packet": tunnel.opened.map(|at| at.number),
            "open_ms": tunnel.opened.zip(tunnel.asked).and_then(|(opened, asked)| opened.time.since(asked.time)).map(ms),
            "next": next,
        })
    })
}

fn handshake(session: &Session, secrets: Secrets) -> Json {
    let handshake = &session.handshake;
    let leg = &session.leg;
    let syn = leg.syns.client.first();
    let tcp = syn.and_then(|syn| leg.established?.time.since(syn.time));
    let request = handshake.seen_request();
    let http = handshake
        .response
        .as_ref()
        .and_then(|r| r.first.time.since(request?.first.time));
    let breaches: Vec<Json> = handshake
        .request_breaches
        .iter()
        .chain(&handshake.response_breaches)
        .map(|breach| json!({"kind": breach.kind, "what": breach.what, "section": breach.section}))
        .collect();
    let mut handshake = json!({
        "outcome": describe::outcome(session),
        "status": handshake.status(),
        "reason": handshake.response.as_ref().map(|r| secrets.text(&r.reason, &session.handshake.secrets()).into_owned()),
        "tcp_ms": tcp.map(ms),
        "tls_ms": leg.tls.as_ref().and_then(|tls| tls.handshake_time()).map(ms),
        "http_ms": http.map(ms),
        "request_packet": request.map(|r| r.first.number),
        "response_packet": handshake.response.as_ref().map(|r| r.first.number),
        "breaches": breaches,
    });
    if let (Some(found), Some(fields)) = (found_by(session), handshake.as_object_mut()) {
        fields.insert("found_by".to_owned(), found);
    }
    handshake
}

/// What shows a session that began before the capture, or whose handshake it lacks.
fn found_by(session: &Session) -> Option<Json> {
    let found = session.handshake.mid_stream?;
    let (proof, confidence) = match (found.by, session.found_with()) {
        (FoundBy::RecordSizes { .. }, _) => ("record-sizes", "possible"),
        (FoundBy::Frames, FrameConfidence::Likely) => ("frames", "likely"),
        (FoundBy::Frames, FrameConfidence::Certain) => ("frames", "certain"),
    };
    Some(json!({
        "proof": proof,
        "confidence": confidence,
        "began": match (session.keyless.is_some(), found.lost) {
            (true, _) => "in the capture, encrypted",
            (false, true) => "in a gap",
            (false, false) => "before the capture",
        },
        "first_packet": session.found_at().number,
        "skipped_bytes": sides(&found.skipped, |bytes| json!(bytes)),
    }))
}

pub(super) fn sides<T>(values: &Sides<T>, shape: impl Fn(&T) -> Json) -> Json {
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

fn resyncs(found: &Resyncs) -> Json {
    if *found == Resyncs::default() {
        return Json::Null;
    }
    json!({
        "count": found.count, "skipped_bytes": found.skipped, "unread_bytes": found.unread,
        "last_packet": found.last.map(|at| at.number),
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

pub(super) fn distribution(values: &Distribution) -> Json {
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
