//! Why an upgrade was refused: read once, so that one cause gives one loud finding.

use crate::session::redact::{Secrets, secrets_of};
use crate::session::{HandshakeBreach, Session};

/// What a refusal is about, as far as the request and the answer tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The port speaks TLS and says so in HTTP (`hs-scheme-mismatch`).
    PlainToTls,
    /// A session id that this backend doesn't know (`hs-sticky-session`).
    UnknownSession(Family),
    /// The backend misses Upgrade or Connection (`hs-upgrade-stripped`).
    Stripped(Stripped),
    /// What is wrong with the request's form (`hs-bad-request`).
    Form,
    /// The Origin (`auth-origin-rejected`).
    Origin,
    /// Credentials (`auth-rejected`).
    Credentials,
    /// The status alone (`hs-http-status`).
    Status,
}

/// The protocol whose session id it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// engine.io, which Socket.IO stands on.
    EngineIo,
    /// ASP.NET Core SignalR.
    SignalR,
}

/// What shows that Upgrade or Connection were lost on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stripped {
    /// The request had both; who answered didn't get them.
    BeforeAnswerer,
    /// The request reached the capture point without them, with the rest of an
    /// opening handshake and signs of a proxy or a browser.
    BeforeCapture,
    /// The same without such signs: the client may have written it so.
    Perhaps,
}

/// Texts of backends that got no Upgrade: Node's ws, aiohttp, Python's websockets, gorilla, Spring, .NET.
const MISSES_UPGRADE: [&str; 8] = [
    "no websocket upgrade hdr",
    "no connection upgrade hdr",
    "invalid connection header",
    "invalid upgrade header",
    "'upgrade' token not found",
    "'websocket' token not found",
    "upgrade required",
    "can \"upgrade\" only to \"websocket\"",
];
/// nginx, Go's net/http, Apache, and what is built on them.
const WANTS_TLS: [&str; 4] = [
    "plain http request was sent to https port",
    "sent an http request to an https server",
    "speaking plain http to an ssl-enabled server port",
    "client sent an http request to an https",
];

/// Why the upgrade was refused; `None` if it was not.
pub fn refusal_of(session: &Session) -> Option<Refusal> {
    let response = session.handshake.response.as_ref()?;
    if response.status == 101 {
        return None;
    }
    let body = body_of(session).to_lowercase();
    let says = |text: &str| body.contains(text);
    if WANTS_TLS.into_iter().any(says) {
        return Some(Refusal::PlainToTls);
    }
    if says("session id unknown") {
        return Some(Refusal::UnknownSession(Family::EngineIo));
    }
    if says("no connection with that id") {
        return Some(Refusal::UnknownSession(Family::SignalR));
    }
    match stripped(session, &body) {
        None | Some(Stripped::Perhaps) => {}
        Some(stripped) => return Some(Refusal::Stripped(stripped)),
    }
    let broken = !session.handshake.request_breaches.is_empty();
    Some(match response.status {
        status if broken && is_about_form(status) => Refusal::Form,
        400 | 403 if says("origin") || foreign_origin(session) && response.status == 403 => {
            Refusal::Origin
        }
        401 | 407 => Refusal::Credentials,
        403 if speaks_of_credentials(&body)
            || response.headers.first("WWW-Authenticate").is_some() =>
        {
            Refusal::Credentials
        }
        301..=303 | 307 | 308 if to_login(session) => Refusal::Credentials,
        _ => Refusal::Status,
    })
}

/// A server that doesn't like the form of a request, or takes it for an ordinary one, answers with this status.
pub(super) const fn is_about_form(status: u16) -> bool {
    matches!(status, 200..=299 | 400 | 405 | 426 | 501 | 505)
}

/// The first part of the refusal's body, as text.
pub(super) fn body_of(session: &Session) -> String {
    String::from_utf8_lossy(&session.handshake.body).into_owned()
}

/// Text of the server for people: no secrets, one line, at most `len` characters.
pub(super) fn shown(session: &Session, text: &str, len: usize) -> String {
    let request = &session.handshake.request;
    let known = secrets_of(&request.target, &request.headers.0);
    without(&known, text, len)
}

/// The same, where these secrets are known.
pub(super) fn without(known: &[String], text: &str, len: usize) -> String {
    let shown = Secrets::Redacted.text(text, known);
    let printable: String = shown
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<&str> = printable.split_whitespace().collect();
    words.join(" ").chars().take(len).collect()
}

/// The Origin names another host than the one that was asked.
pub(super) fn foreign_origin(session: &Session) -> bool {
    let headers = &session.handshake.request.headers;
    let (Some(origin), Some(host)) = (headers.first("Origin"), headers.first("Host")) else {
        return false;
    };
    let origin = origin.split_once("://").map_or(origin, |(_, host)| host);
    !bare(origin).eq_ignore_ascii_case(bare(host))
}

/// Default ports aside: a browser leaves them out.
fn bare(host: &str) -> &str {
    let host = host.trim().trim_end_matches('/');
    host.strip_suffix(":80")
        .or_else(|| host.strip_suffix(":443"))
        .unwrap_or(host)
}

fn speaks_of_credentials(lower: &str) -> bool {
    [
        "token",
        "credential",
        "unauthori",
        "authenti",
        "api key",
        "session expired",
        "log in",
        "login",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

fn to_login(session: &Session) -> bool {
    let response = session.handshake.response.as_ref();
    let Some(location) = response.and_then(|response| response.headers.first("Location")) else {
        return false;
    };
    let path = location
        .split('?')
        .next()
        .unwrap_or_default()
        .to_lowercase();
    [
        "login", "signin", "sign-in", "sign_in", "/auth", "oauth", "/sso", "saml",
    ]
    .iter()
    .any(|word| path.contains(word))
}

fn stripped(session: &Session, lower: &str) -> Option<Stripped> {
    let breaches = &session.handshake.request_breaches;
    if !breaches.iter().any(is_about_hop_by_hop) {
        let told = MISSES_UPGRADE.into_iter().any(|text| lower.contains(text));
        return told.then_some(Stripped::BeforeAnswerer);
    }
    stripped_before_capture(session)
}

/// The request lacks what a proxy strips (RFC 9110, section 7.6.1), and is an
/// opening handshake otherwise.
pub(super) fn stripped_before_capture(session: &Session) -> Option<Stripped> {
    let request = &session.handshake.request;
    let breaches = &session.handshake.request_breaches;
    let lacks = breaches.iter().any(|b| {
        matches!(
            b.kind,
            "upgrade-missing" | "connection-missing" | "connection-wrong"
        )
    });
    let headers = &request.headers;
    let asks = headers.first("Sec-WebSocket-Key").is_some()
        && headers.first("Sec-WebSocket-Version").is_some();
    if !lacks || !asks {
        return None;
    }
    const OF_PROXIES: [&str; 8] = [
        "Via",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Real-IP",
        "X-Request-Id",
        "X-Amzn-Trace-Id",
    ];
    // nginx' defaults toward an upstream: HTTP/1.0, Connection: close.
    let nginx = request.minor_version == 0
        || headers
            .list("Connection")
            .any(|t| t.eq_ignore_ascii_case("close"));
    let proxy = OF_PROXIES.iter().any(|name| headers.first(name).is_some());
    // A browser can't leave them out.
    let browser = headers
        .first("User-Agent")
        .is_some_and(|a| a.starts_with("Mozilla/"));
    // A leg behind a proxy that was captured too.
    let behind = super::legs::joined(session).is_some_and(|joined| joined.place > 0);
    let sure = proxy || browser || nginx || behind;
    Some(if sure {
        Stripped::BeforeCapture
    } else {
        Stripped::Perhaps
    })
}

/// The request came to the proxy as an opening handshake, and left it without what makes it one.
pub(super) fn is_stripped_between(front: &Session, back: &Session) -> bool {
    let asks = |session: &Session| {
        let breaches = &session.handshake.request_breaches;
        !breaches.iter().any(is_about_hop_by_hop)
    };
    let seen = !front.handshake.request_lost && !back.handshake.request_lost;
    seen && !front.handshake.is_upgraded() && asks(front) && !asks(back)
}

/// A breach that a proxy may have made of a sound request.
pub(super) fn is_about_hop_by_hop(breach: &HandshakeBreach) -> bool {
    matches!(
        breach.kind,
        "upgrade-missing"
            | "upgrade-wrong"
            | "connection-missing"
            | "connection-wrong"
            | "http-version-too-old"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;

    fn refusal(request: &str, status: &str, fields: &str, body: &str) -> Option<Refusal> {
        let told = Script::new()
            .handshake()
            .request(request)
            .answer(status, fields, body)
            .told();
        refusal_of(&told.sessions[0])
    }

    #[test]
    fn the_words_of_a_body_weigh_more_than_the_status() {
        let to_tls = "Client sent an HTTP request to an HTTPS server.";
        assert_eq!(
            refusal("", "400 Bad Request", "", to_tls),
            Some(Refusal::PlainToTls)
        );
        assert_eq!(
            refusal("", "404 Not Found", "", "No Connection with that ID"),
            Some(Refusal::UnknownSession(Family::SignalR))
        );
        assert_eq!(
            refusal("", "400 Bad Request", "", "Bad Request"),
            Some(Refusal::Status)
        );
    }

    #[test]
    fn a_redirect_counts_as_credentials_only_where_it_leads_to_a_login() {
        let to =
            |location: &str| refusal("", "302 Found", &format!("Location: {location}\r\n"), "");
        assert_eq!(
            to("https://a.test/login?next=/ws"),
            Some(Refusal::Credentials)
        );
        assert_eq!(to("https://a.test/ws"), Some(Refusal::Status));
    }

    #[test]
    fn a_default_port_makes_no_foreign_origin() {
        let told = Script::new()
            .handshake()
            .request("Origin: http://ws.example.test:8080\r\n")
            .told();
        assert!(!foreign_origin(&told.sessions[0]));
        assert_eq!(bare("a.test:443"), "a.test");
    }
}
