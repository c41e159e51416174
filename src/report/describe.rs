//! A session's parts in the words of OUTPUT, the same for all formats.

use std::borrow::Cow;

use super::Reported;
use crate::diagnosis::Kind;
use crate::session::Session;
use crate::session::redact::Secrets;
use crate::stream::Direction;

/// `handshake.outcome`.
pub(super) fn outcome(session: &Session) -> &'static str {
    let handshake = &session.handshake;
    if handshake.answer_lost.is_some() && handshake.response.is_none() {
        return "not-captured";
    }
    let broken = !handshake.request_breaches.is_empty() || !handshake.response_breaches.is_empty();
    match handshake.status() {
        Some(101) if broken => "invalid",
        Some(101) => "accepted",
        Some(_) => "rejected",
        None if session.leg.fin.client.is_some()
            || session.leg.fin.server.is_some()
            || !session.leg.resets.is_empty()
            || handshake.not_http.is_some() =>
        {
            "failed"
        }
        None => "unanswered",
    }
}

/// The target of the request, redacted, without an absolute form's origin.
pub(super) fn path(session: &Session, secrets: Secrets) -> Cow<'_, str> {
    let origin_form = session.handshake.path().unwrap_or_default();
    secrets.target(origin_form)
}

/// The Host field, without credentials that somebody put before it.
pub(super) fn host(session: &Session) -> Option<&str> {
    session.handshake.host()
}

/// `ws://host/path`, redacted.
pub(super) fn url(session: &Session, secrets: Secrets) -> String {
    let server = session.leg.server.to_string();
    let host = host(session).unwrap_or(&server);
    format!("ws://{host}{}", path(session, secrets))
}

/// The client that a proxy names: a PROXY header, Forwarded, X-Forwarded-For.
pub(super) fn forwarded_for(session: &Session) -> Option<String> {
    if let Some(client) = session.leg.forwarded_for {
        return Some(client.to_string());
    }
    let headers = &session.handshake.request.headers;
    let first = |name| {
        headers
            .first(name)
            .and_then(|v| v.split(',').next())
            .map(|v| v.trim().to_owned())
    };
    first("X-Forwarded-For").or_else(|| first("X-Real-IP"))
}

fn lacks_frames(session: &Session) -> bool {
    Direction::BOTH
        .into_iter()
        .any(|side| session.may_hide_frames(side))
}

/// A session's fate in a few words: `closed 1000`, `dropped (1006)`, `refused 404`, `open`.
pub(super) fn fate(reported: &Reported<'_>) -> String {
    let (session, closing) = (reported.session, &reported.closing);
    let close = closing
        .first_close
        .and_then(|first| session.close[first].as_ref());
    let code = close.map(|close| {
        close
            .code
            .map_or("1005".to_owned(), |code| code.to_string())
    });
    match (closing.kind, code) {
        (Kind::Clean, Some(code)) => format!("closed {code}"),
        (Kind::Half, Some(code)) => format!("half-closed {code}"),
        // A Close frame may be among what the capture lacks.
        (Kind::Abnormal, _) if lacks_frames(session) => "ended, code not captured".to_owned(),
        (Kind::Abnormal, _) => "dropped (1006)".to_owned(),
        (Kind::None, _) => match session.handshake.status() {
            Some(status) => format!("refused {status}"),
            None => format!("not opened ({})", outcome(session)),
        },
        _ => "open at the end".to_owned(),
    }
}
