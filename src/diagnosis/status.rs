//! What an HTTP status stands for, as the answer to an upgrade.

/// A status, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// A word for scripts.
    pub(super) kind: &'static str,
    /// What usually stands behind it, the usual first.
    pub(super) causes: &'static [&'static str],
    /// What to do.
    pub(super) advice: &'static str,
}

const PASS_ON: &str =
    "check the path, and that every proxy on the way passes Upgrade and Connection on";
const UPSTREAM: &str = "look at the upstream: is it up, does it listen where the proxy dials, how long does it take to answer";
const WAIT: &str =
    "let clients wait longer between attempts, with a random part, and look at the server's load";
const CREDENTIALS: &str =
    "check the client's credentials and Origin, and the server's log for the reason";
const ITS_LOG: &str = "look in the log of whoever answered, at the time of the answer";

/// The request asked for a version other than 13.
pub(super) const WRONG_VERSION: Reading = Reading {
    kind: "version",
    causes: &["the server doesn't speak the version that the client asked for"],
    advice: "the client must send Sec-WebSocket-Version: 13",
};

/// What this status stands for.
pub(super) const fn reading_of(status: u16) -> Reading {
    let (kind, causes, advice): (&str, &[&str], &str) = match status {
        200..=299 => ("not-websocket", PAGE, PASS_ON),
        300..=399 => (
            "redirect",
            REDIRECT,
            "connect to the address in data.location (with ws or wss) directly",
        ),
        400 => (
            "bad-request",
            FORM,
            "read the body of the answer (data.body), then the server's log",
        ),
        401 => ("unauthorized", WHO, CREDENTIALS),
        403 => ("forbidden", WHO, CREDENTIALS),
        407 => ("proxy-auth", WHO, CREDENTIALS),
        404 | 410 => (
            "not-found",
            PATH,
            "compare the path of the request with what the server offers",
        ),
        405 => (
            "method",
            PATH,
            "compare method and path of the request with what the server offers",
        ),
        426 => ("upgrade-required", STRIPPED, PASS_ON),
        429 => ("rate-limited", LOAD, WAIT),
        502 => ("bad-gateway", GATEWAY, UPSTREAM),
        503 => ("unavailable", LOAD, WAIT),
        504 => ("gateway-timeout", GATEWAY, UPSTREAM),
        505 => ("http-version", OLD_HTTP, "nginx: proxy_http_version 1.1"),
        500..=599 => ("server-error", FAILED, ITS_LOG),
        _ => ("other", OTHER, ITS_LOG),
    };
    Reading {
        kind,
        causes,
        advice,
    }
}

const PAGE: &[&str] = &[
    "a proxy dropped Upgrade, so the backend answered with an ordinary page",
    "the path belongs to a handler that knows no WebSockets",
];
const REDIRECT: &[&str] = &[
    "a redirect: to https, to another host, or to a trailing slash; browsers don't follow it for WebSockets",
];
const FORM: &[&str] = &[
    "the server doesn't like the request's form; its body may say what",
    "an application's check of a parameter",
];
const WHO: &[&str] = &[
    "credentials are missing, wrong or not enough",
    "the application refused before it accepted (ASGI servers then send 403)",
];
const PATH: &[&str] = &[
    "the path of the client's URL is wrong, or a proxy rewrites it",
    "the WebSocket handler isn't registered on this server",
];
const STRIPPED: &[&str] = &[
    "a proxy dropped Upgrade or Connection before the backend",
    "the application answers 426 itself",
];
const LOAD: &[&str] = &["overload or a limit", "a proxy has no healthy upstream"];
const GATEWAY: &[&str] = &["the proxy can't reach its upstream, or waited for it in vain"];
const OLD_HTTP: &[&str] = &["the backend got HTTP/1.0, nginx' default toward upstreams"];
const FAILED: &[&str] = &["the code that accepts WebSockets failed"];
const OTHER: &[&str] = &["the server or a proxy refused the request"];
