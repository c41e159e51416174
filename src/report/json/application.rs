//! What the messages said in their protocol, as JSON.

use serde_json::{Value as Json, json};

use super::session::distribution;
use super::tls;
use crate::diagnosis::{judge_beats, judge_requests};
use crate::report::when::ms;
use crate::report::{Report, Reported};
use crate::session::{Answered, Application};
use crate::stream::Direction;

/// The heartbeats of the side that sends most of them, read or told by their size; null where there are none.
pub(super) fn heartbeat(reported: &Reported<'_>, report: &Report) -> Json {
    let Some((application, sender)) = beating(reported) else {
        return tls::heartbeat(reported.session);
    };
    let beats = &application.beats[sender];
    let verdict = judge_beats(
        reported.session,
        &reported.closing,
        sender,
        &report.thresholds,
    );
    json!({
        "kind": application.protocol.name(),
        "sender": sender.sender(),
        "sent": beats.sent,
        "answered": beats.answered,
        "unanswered": verdict.unanswered_count,
        "rtt_ms": distribution(&beats.rtt),
        "interval_ms": {
            "p50": beats.intervals.median().map(ms),
            "max": beats.intervals.max().map(ms),
        },
        "declared": application.promises.iter().map(|promise| json!({
            "sender": promise.contract.sender.sender(),
            "every_ms": ms(promise.contract.every),
            "deadline_ms": ms(promise.contract.deadline),
            "packet": promise.declared.number,
        })).collect::<Vec<_>>(),
    })
}

fn beating<'a>(reported: &Reported<'a>) -> Option<(&'a Application, Direction)> {
    let application = reported.session.application.as_deref()?;
    Some((application, application.beating()?))
}

/// Requests and replies; null where there are none.
pub(super) fn latency(reported: &Reported<'_>, report: &Report) -> Json {
    let known = reported.session.application.as_deref();
    let Some(application) = known.filter(|known| known.latency.asked() > 0) else {
        return Json::Null;
    };
    let latency = &application.latency;
    let unanswered: u64 = Direction::BOTH
        .into_iter()
        .map(|asker| {
            let (session, closing) = (reported.session, &reported.closing);
            judge_requests(session, closing, asker, &report.thresholds)
                .unanswered
                .len() as u64
        })
        .sum();
    let methods = latency.methods.iter().map(|method| {
        json!({
            "method": report.secrets.text(&method.name.text(), &reported.session.handshake.secrets()),
            "asked_by": method.asker.sender(),
            "replies": method.times.count(),
            "failed": method.failed,
            "ms": distribution(&method.times),
        })
    });
    json!({
        "requests": latency.asked(),
        "answered": latency.answered.client + latency.answered.server,
        "unanswered": unanswered,
        "failed": latency.failed,
        "cancelled": latency.cancelled,
        "uncorrelated": latency.uncorrelated,
        "not_looked_at": application.unread.client + application.unread.server,
        "correlation": application.protocol.correlation(),
        "ms": distribution(&latency.times),
        "methods": methods.collect::<Vec<_>>(),
        "slowest": latency.slowest.iter().map(|slow| exchange(slow, reported, report)).collect::<Vec<_>>(),
    })
}

fn exchange(slow: &Answered, reported: &Reported<'_>, report: &Report) -> Json {
    let secrets = reported.session.handshake.secrets();
    json!({
        "method": report.secrets.text(&slow.method.text(), &secrets),
        "asked_by": slow.asker.sender(),
        "ms": ms(slow.took),
        "request_packet": slow.request.number,
        "reply_packet": slow.replied.number,
    })
}
