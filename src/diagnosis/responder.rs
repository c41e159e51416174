//! Who answered an upgrade: the marks that servers and proxies leave in an answer.

use crate::session::{Response, Session, redact::Secrets};

/// What wrote the answer, or passed it on and left its mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responder {
    /// Its name.
    pub name: String,
    /// It usually stands before the server that speaks WebSocket.
    pub is_proxy: bool,
}

/// Starts of Server values, in lower case.
const BY_SERVER: [(&str, &str, bool); 26] = [
    ("awselb/", "an AWS load balancer", true),
    ("cloudflare", "Cloudflare", true),
    ("cloudfront", "CloudFront", true),
    ("istio-envoy", "Envoy (Istio)", true),
    ("envoy", "Envoy", true),
    (
        "microsoft-azure-application-gateway",
        "Azure Application Gateway",
        true,
    ),
    ("akamaighost", "Akamai", true),
    ("google frontend", "a Google front end", true),
    ("zscaler", "Zscaler", true),
    ("squid", "Squid", true),
    ("heroku", "the Heroku router", true),
    ("openresty", "OpenResty (nginx)", true),
    ("nginx", "nginx", true),
    ("haproxy", "HAProxy", true),
    ("caddy", "Caddy", true),
    ("varnish", "Varnish", true),
    ("litespeed", "LiteSpeed", true),
    ("apache", "Apache", true),
    ("uvicorn", "uvicorn", false),
    ("daphne", "Daphne", false),
    ("gunicorn", "gunicorn", false),
    ("tornadoserver", "Tornado", false),
    ("werkzeug", "Werkzeug", false),
    ("kestrel", "Kestrel", false),
    ("jetty", "Jetty", false),
    ("cowboy", "Cowboy", false),
];
/// Field names that only one product sets.
const BY_FIELD: [(&str, &str, bool); 6] = [
    ("CF-Ray", "Cloudflare", true),
    ("Fly-Request-Id", "the Fly.io proxy", true),
    ("X-Squid-Error", "Squid", true),
    ("X-Amz-Cf-Id", "CloudFront", true),
    ("X-Envoy-Upstream-Service-Time", "Envoy", true),
    ("X-Azure-Ref", "Azure Front Door", true),
];
/// Parts of bodies, in lower case.
const BY_BODY: [(&str, &str, bool); 11] = [
    ("<center>nginx", "nginx", true),
    ("<center>openresty", "OpenResty (nginx)", true),
    (
        "no server is available to handle this request",
        "HAProxy",
        true,
    ),
    (
        "missing or invalid sec-websocket-key header",
        "Node's ws",
        false,
    ),
    ("invalid upgrade header", "Node's ws", false),
    ("invalid http method", "Node's ws", false),
    (
        "failed to open a websocket connection:",
        "Python's websockets",
        false,
    ),
    ("no websocket upgrade hdr", "aiohttp", false),
    ("no connection upgrade hdr", "aiohttp", false),
    (
        "websocket: the client is not using the websocket protocol",
        "gorilla/websocket",
        false,
    ),
    ("session id unknown", "engine.io", false),
];

/// Who answered, as far as the answer tells. What a body says weighs more than
/// the Server field, which proxies put in front of what they pass on.
pub fn responder_of(session: &Session) -> Option<Responder> {
    let response = session.handshake.response.as_ref()?;
    responder(response, &super::refusal::body_of(session))
}

/// The same of any answer and its body.
pub(super) fn responder(response: &Response, body: &str) -> Option<Responder> {
    let body = body.to_lowercase();
    let known = |(_, name, is_proxy): &(&str, &str, bool)| Responder {
        name: (*name).to_owned(),
        is_proxy: *is_proxy,
    };
    if let Some(found) = BY_BODY.iter().find(|(text, ..)| body.contains(text)) {
        return Some(known(found));
    }
    let server = response.headers.first("Server").unwrap_or_default();
    let lower = server.to_lowercase();
    if let Some(python) = python(&lower) {
        return Some(python);
    }
    if let Some(found) = BY_SERVER
        .iter()
        .find(|(start, ..)| lower.starts_with(start))
    {
        return Some(known(found));
    }
    let field = |(name, ..): &&(&str, &str, bool)| response.headers.first(name).is_some();
    if let Some(found) = BY_FIELD.iter().find(field) {
        return Some(known(found));
    }
    by_via(response)
        .or_else(|| by_shape(response, &body))
        .or_else(|| unknown(server))
}

/// `Python/3.11 websockets/17.4`, `Python/3.11 aiohttp/3.14.5`.
fn python(lower: &str) -> Option<Responder> {
    let name = match lower {
        s if s.contains("websockets/") => "Python's websockets",
        s if s.contains("aiohttp/") => "aiohttp",
        _ => return None,
    };
    Some(Responder {
        name: name.to_owned(),
        is_proxy: false,
    })
}

fn by_via(response: &Response) -> Option<Responder> {
    let name = match response.headers.first("Via")?.to_lowercase() {
        via if via.contains("google") => "a Google load balancer",
        via if via.contains("vegur") => "the Heroku router",
        via if via.contains("varnish") => "Varnish",
        via if via.contains("cloudfront") => "CloudFront",
        _ => "a proxy that names itself in Via",
    };
    Some(Responder {
        name: name.to_owned(),
        is_proxy: true,
    })
}

/// An ASGI server turns a close before the accept into an empty 403.
fn by_shape(response: &Response, body: &str) -> Option<Responder> {
    let plain = response
        .headers
        .first("Content-Type")
        .is_some_and(|t| t.starts_with("text/plain"));
    let nameless = response.headers.first("Server").is_none();
    if response.status == 403 && plain && nameless && body.is_empty() {
        return Some(Responder {
            name: "an ASGI server".to_owned(),
            is_proxy: false,
        });
    }
    if response.status == 426 && nameless && body == "upgrade required" {
        return Some(Responder {
            name: "Node's ws".to_owned(),
            is_proxy: false,
        });
    }
    None
}

fn unknown(server: &str) -> Option<Responder> {
    let printable: String = server
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(40)
        .collect();
    let shown = Secrets::Redacted.text(&printable, &[]).trim().to_owned();
    (!shown.is_empty()).then_some(Responder {
        name: shown,
        is_proxy: false,
    })
}

#[cfg(test)]
mod tests {
    use crate::script::Script;

    fn who(status: &str, fields: &str, body: &str) -> Option<(String, bool)> {
        let told = Script::new()
            .handshake()
            .request("")
            .answer(status, fields, body)
            .told();
        super::responder_of(&told.sessions[0]).map(|r| (r.name, r.is_proxy))
    }

    #[test]
    fn a_body_names_the_library_behind_a_proxys_server_field() {
        let behind = who(
            "400 Bad Request",
            "Server: nginx/1.22.1\r\n",
            "Missing or invalid Sec-WebSocket-Key header",
        );
        assert_eq!(behind, Some(("Node's ws".to_owned(), false)));
    }

    #[test]
    fn an_answer_without_marks_is_nobodys() {
        assert_eq!(who("404 Not Found", "", "gone"), None);
        assert_eq!(
            who("502 Bad Gateway", "Server: awselb/2.0\r\n", "").map(|w| w.1),
            Some(true)
        );
    }
}
