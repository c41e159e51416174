//! What TLS showed of a session, and what its records alone tell.

use serde_json::{Value as Json, json};

use super::session::{distribution, sides};
use crate::report::when::{ms, rfc3339};
use crate::session::Session;
use crate::time::Timestamp;

/// A date; null where it is beyond what a time can hold.
fn date(time: Timestamp) -> Option<String> {
    let held = (i64::MIN + 1..i64::MAX).contains(&time.as_nanos());
    held.then(|| rfc3339(time))
}

/// What is known of the encryption; null in the clear.
pub(super) fn tls(session: &Session) -> Json {
    let Some(tls) = &session.leg.tls else {
        return match session.is_inferred() {
            true => json!({
                "version": null, "cipher": null, "sni": null, "alpn": null, "resumed": null,
                "decrypted": false, "undecrypted_reason": "no-client-hello",
            }),
            false => Json::Null,
        };
    };
    let hello = tls.client_hello.as_ref().map(|(hello, _)| hello);
    let chosen = tls.server_hello.as_ref();
    json!({
        "version": tls.version(),
        "cipher": chosen.map(|chosen| &chosen.suite),
        "sni": hello.and_then(|hello| hello.server_name.as_deref()),
        "alpn": tls.alpn.as_ref().map(|(alpn, _)| alpn),
        "resumed": chosen.map(|chosen| chosen.resumed),
        "certificate": tls.certificate().map(|(certificate, at)| json!({
            "subject": certificate.subject, "issuer": certificate.issuer, "names": certificate.names,
            "not_before": date(certificate.not_before),
            "not_after": date(certificate.not_after),
            "packet": at.number,
        })),
        "decrypted": tls.is_decrypted(),
        "undecrypted_reason": tls.undecrypted().map(|(reason, _)| reason.name()),
        "key_updates": tls.is_decrypted().then(|| sides(&tls.key_updates, |count| json!(count))),
        "records_lost": sides(&tls.records_lost, |count| json!(count)),
        "close_notify": sides(&tls.close_notify, |at| json!(at.map(|at| at.number))),
    })
}

/// Records that repeat as a heartbeat does, in a session that nobody could read.
pub(super) fn heartbeat(session: &Session) -> Json {
    let beats = session.keyless.as_deref().and_then(|keyless| {
        let beats = keyless.beats.as_ref()?;
        Some((beats, keyless.partial))
    });
    let Some((beats, partial)) = beats else {
        return Json::Null;
    };
    let ledger = &session.pings[beats.sender];
    // Of a long session only the newest were looked at.
    let count = |count: u64| (!partial).then_some(count);
    json!({
        "kind": "generic", "inferred": true, "sender": beats.sender.sender(),
        "sent": count(ledger.sent), "answered": count(ledger.answered),
        "unanswered": count(ledger.outstanding.len() as u64),
        "rtt_ms": distribution(&ledger.rtt),
        "interval_ms": {
            "p50": ledger.intervals.median().map(ms), "max": ledger.intervals.max().map(ms),
        },
    })
}
