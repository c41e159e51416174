//! A session's parts in the words of OUTPUT, the same for all formats.

use std::borrow::Cow;

use super::Reported;
use crate::diagnosis::Kind;
use crate::session::redact::Secrets;
use crate::session::{Proxied, Session, TunnelKind};
use crate::stream::Direction;

/// `handshake.outcome`.
pub(super) fn outcome(session: &Session) -> &'static str {
    let handshake = &session.handshake;
    if handshake.mid_stream.is_some() {
        return "not-captured";
    }
    if handshake.answer_lost.is_some() && handshake.response.is_none() {
        return "not-captured";
    }
    let broken = !handshake.request_breaches.is_empty() || !handshake.response_breaches.is_empty();
    match handshake.status() {
        Some(101) if broken => "invalid",
        Some(101) => "accepted",
        Some(_) => "rejected",
        None if session.may_hide_answer() => "not-captured",
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
pub(super) fn path(session: &Session, secrets: Secrets) -> Option<Cow<'_, str>> {
    let origin_form = session.handshake.path()?;
    Some(secrets.target(origin_form))
}

/// The Host field, or the server's name where it can't be read.
pub(super) fn host(session: &Session) -> Option<&str> {
    session.host()
}

/// `ws://host/path`, redacted; `None` where the request is not in the capture.
pub(super) fn url(session: &Session, secrets: Secrets) -> Option<String> {
    let server = session.leg.server.to_string();
    let host = host(session).unwrap_or(&server);
    let scheme = if session.leg.tls.is_some() {
        "wss"
    } else {
        "ws"
    };
    Some(format!("{scheme}://{host}{}", path(session, secrets)?))
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
    headers
        .first("Forwarded")
        .and_then(forwarded_client)
        .or_else(|| first("X-Forwarded-For"))
        .or_else(|| first("X-Real-IP"))
}

/// The first `for` of a Forwarded field (RFC 7239, section 4): the client, if
/// the proxies tell the truth. `unknown` and hidden names are nobody.
fn forwarded_client(field: &str) -> Option<String> {
    let first = field.split(',').next()?;
    let pairs = first.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.into_iter().find(|(name, _)| {
        // Section 4: names are compared without case.
        name.trim().eq_ignore_ascii_case("for")
    })?;
    let node = node.trim().trim_matches('"');
    let named = !node.is_empty() && !node.starts_with('_') && !node.eq_ignore_ascii_case("unknown");
    named.then(|| node.to_owned())
}

/// The proxies on the way: `through the proxy 192.0.2.1:3128 (CONNECT h.test:80)`, `for 203.0.113.7 (PROXY v1)`.
pub(super) fn way(session: &Session, secrets: Secrets) -> Option<String> {
    let mut proxy = session.leg.server.to_string();
    let mut parts: Vec<String> = Vec::new();
    for tunnel in &session.leg.via {
        let target = tunnel.target.as_deref();
        let target = target.map(|target| secrets.authority(target));
        let verb = match tunnel.kind {
            TunnelKind::Connect => "CONNECT",
            TunnelKind::Socks4 => "SOCKS4",
            TunnelKind::Socks5 => "SOCKS5",
        };
        let whom = target
            .as_deref()
            .unwrap_or("to an address that was not captured");
        parts.push(format!("through the proxy {proxy} ({verb} {whom})"));
        proxy = target.map_or_else(|| "behind it".to_owned(), |target| target.into_owned());
    }
    let proxied = session.leg.proxied.as_ref();
    parts.extend(proxied.map(|(header, _)| proxy_header(header)));
    (!parts.is_empty()).then(|| parts.join(", then "))
}

/// `for 203.0.113.7 (PROXY v1)`, without the port, that tells nobody apart; what is wrong with it.
fn proxy_header(header: &Proxied) -> String {
    let version = header.version;
    if let Some(fault) = header.fault {
        let what = fault.what();
        return format!("with a broken PROXY v{version} header: {what}");
    }
    match header.source {
        Some(client) => format!("for {} (PROXY v{version})", client.ip()),
        None if header.local => format!("for the proxy itself (PROXY v{version}, LOCAL)"),
        None => format!("for nobody it names (PROXY v{version})"),
    }
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
    let ended = closing.terminator.is_some();
    match (closing.kind, code) {
        (Kind::Clean, Some(code)) => format!("closed {code}"),
        (Kind::Clean, None) => "closed, by its sizes".to_owned(),
        (Kind::Half, Some(code)) => format!("half-closed {code}"),
        (Kind::Unknown, Some(code)) => format!("closed {code}, one side seen"),
        (Kind::Abnormal | Kind::Open, _)
            if ended
                && Direction::BOTH
                    .into_iter()
                    .any(|side| session.is_unread(side)) =>
        {
            "ended, unread".to_owned()
        }
        // A Close frame may be among what the capture lacks.
        (Kind::Open, _) if ended && session.keyless.is_some() => "ended, code unread".to_owned(),
        (Kind::Open, _) if ended => "ended, code not captured".to_owned(),
        (Kind::Abnormal, _) if lacks_frames(session) && closing.sees.client.is_none() => {
            "ended, code not captured".to_owned()
        }
        (Kind::Abnormal, _) if session.is_inferred() => "dropped, by its sizes".to_owned(),
        (Kind::Abnormal, _) => "dropped (1006)".to_owned(),
        (Kind::None, _) => match session.handshake.status() {
            Some(status) => format!("refused {status}"),
            None if session.may_hide_answer() => "answer not captured".to_owned(),
            None => format!("not opened ({})", outcome(session)),
        },
        _ => "open at the end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{forwarded_client, proxy_header};
    use crate::session::{Proxied, ProxyFault};

    #[test]
    fn a_proxy_header_names_the_client_or_its_fault() {
        let named = Proxied {
            version: 1,
            source: "203.0.113.7:55555".parse().ok(),
            ..Proxied::default()
        };
        assert_eq!(proxy_header(&named), "for 203.0.113.7 (PROXY v1)");
        let broken = Proxied {
            version: 2,
            fault: Some(ProxyFault::Checksum),
            ..named
        };
        assert_eq!(
            proxy_header(&broken),
            "with a broken PROXY v2 header: the checksum is wrong"
        );
    }

    #[test]
    fn forwarded_names_the_first_client() {
        let told = |field| forwarded_client(field).unwrap_or_default();
        assert_eq!(told("for=192.0.2.43, for=198.51.100.17"), "192.0.2.43");
        let six = "proto=https;For=\"[2001:db8:cafe::17]:4711\";by=203.0.113.43";
        assert_eq!(told(six), "[2001:db8:cafe::17]:4711");
        for nobody in ["for=unknown", "for=_hidden", "proto=http", "for=", ""] {
            assert_eq!(told(nobody), "", "{nobody}");
        }
    }
}
