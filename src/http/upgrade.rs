//! The checks of the opening handshake (RFC 6455, section 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tungstenite::handshake::derive_accept_key;

use super::extension::{self, Extension};
use super::head::{Headers, Request, Response};
use super::parse::is_token;

/// One way in which a head breaks the rules of the opening handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeBreach {
    /// A stable word: `upgrade-missing`, `accept-mismatch` ...
    pub kind: &'static str,
    /// One sentence that says what was seen and what must be; free of secrets.
    pub what: String,
    /// `RFC 6455, section 4.1`.
    pub section: &'static str,
}

/// What both sides agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// The subprotocol that the server chose, offered or not.
    pub subprotocol: Option<String>,
    /// The extensions that the server accepted, as it wrote them.
    pub extensions: Vec<String>,
    /// permessage-deflate, where it was accepted.
    pub deflate: Option<DeflateParameters>,
}

/// The parameters of permessage-deflate (RFC 7692, section 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateParameters {
    /// The server compresses each message on its own.
    pub server_no_context_takeover: bool,
    /// The client does.
    pub client_no_context_takeover: bool,
    /// LZ77 window of the server, 8 to 15; `None` means 15.
    pub server_max_window_bits: Option<u8>,
    /// LZ77 window of the client.
    pub client_max_window_bits: Option<u8>,
}

const CLIENT: &str = "RFC 6455, section 4.1";
const SERVER: &str = "RFC 6455, section 4.2.2";

/// The subprotocols that the client offered, in its order of preference. They may be secrets.
pub fn offered_subprotocols(request: &Request) -> Vec<&str> {
    request.headers.list("sec-websocket-protocol").collect()
}

/// The extensions that the client offered, as far as they can be read.
pub fn offered_extensions(request: &Request) -> Vec<Extension> {
    extensions(&request.headers).0
}

/// Everything in which a request breaks the rules for the client's opening
/// handshake (RFC 6455, sections 4.1 and 4.2.1).
pub fn check_request(request: &Request) -> Vec<HandshakeBreach> {
    let mut breaches = Breaches {
        found: Vec::new(),
        section: CLIENT,
    };
    check_request_line(request, &mut breaches);
    check_upgrade(&request.headers, &mut breaches);
    check_key(&request.headers, &mut breaches);
    check_version(&request.headers, &mut breaches);
    check_offers(request, &mut breaches);
    breaches.found
}

/// Everything in which a 101 breaks the rules for the server's opening
/// handshake (RFC 6455, sections 4.1 and 4.2.2; RFC 7692, section 7.1), seen
/// against its request where that is known.
pub fn check_response(request: Option<&Request>, response: &Response) -> Vec<HandshakeBreach> {
    let mut breaches = Breaches {
        found: Vec::new(),
        section: SERVER,
    };
    if response.minor_version < 1 {
        breaches.add(
            "http-version-too-old",
            "the 101 is not of HTTP/1.1 or later",
        );
    }
    check_upgrade(&response.headers, &mut breaches);
    check_accept(request, &response.headers, &mut breaches);
    check_subprotocol(request, &response.headers, &mut breaches);
    let (accepted, well_formed) = extensions(&response.headers);
    if !well_formed {
        breaches.add(
            "extensions-malformed",
            "Sec-WebSocket-Extensions is not a list of extensions",
        );
    }
    let offered = request.map(offered_extensions);
    extension::check_accepted(offered.as_deref(), &accepted, &mut breaches.found);
    breaches.found
}

/// What the response settles, valid or not.
pub(super) fn agreement(response: &Response) -> Agreement {
    let accepted = extensions(&response.headers).0;
    Agreement {
        subprotocol: response
            .headers
            .list("sec-websocket-protocol")
            .next()
            .map(str::to_owned),
        deflate: accepted
            .iter()
            .find(|e| e.is_deflate())
            .map(extension::deflate_parameters),
        extensions: accepted.into_iter().map(|e| e.text).collect(),
    }
}

struct Breaches {
    found: Vec<HandshakeBreach>,
    section: &'static str,
}

impl Breaches {
    fn add(&mut self, kind: &'static str, what: impl Into<String>) {
        self.found.push(HandshakeBreach {
            kind,
            what: what.into(),
            section: self.section,
        });
    }
}

fn check_request_line(request: &Request, breaches: &mut Breaches) {
    if request.method != "GET" {
        breaches.add(
            "method-not-get",
            format!("the method is {}, not GET", shown(&request.method)),
        );
    }
    if request.minor_version < 1 {
        breaches.add(
            "http-version-too-old",
            "the request is not of HTTP/1.1 or later",
        );
    }
    if request.target.contains('#') {
        breaches.add(
            "target-with-fragment",
            "the request target has a fragment identifier",
        );
    }
    match request.headers.all("host").count() {
        0 => breaches.add("host-missing", "there is no Host field"),
        1 => {}
        count => breaches.add(
            "host-duplicated",
            format!("there are {count} Host fields, not one"),
        ),
    }
    let length = request.headers.list("content-length").next();
    if length.is_some_and(|len| len != "0") || request.headers.first("transfer-encoding").is_some()
    {
        breaches.add("request-body", "the request announces a body");
    }
}

/// Upgrade and Connection, which both heads have.
fn check_upgrade(headers: &Headers, breaches: &mut Breaches) {
    // RFC 6455, section 4.2.1: the client's value contains `websocket`; section 4.1: the server's is it.
    let mut upgrade = headers.list("upgrade");
    let is_websocket = |token: &str| token.eq_ignore_ascii_case("websocket");
    let right = match breaches.section {
        SERVER => upgrade.next().is_some_and(is_websocket) && upgrade.next().is_none(),
        _ => upgrade.any(is_websocket),
    };
    match headers.first("upgrade") {
        None => breaches.add("upgrade-missing", "there is no Upgrade field"),
        Some(value) if !right => {
            breaches.add(
                "upgrade-wrong",
                format!("Upgrade is {}, not websocket", shown(value)),
            );
        }
        Some(_) => {}
    }
    match headers.first("connection") {
        None => breaches.add("connection-missing", "there is no Connection field"),
        Some(value)
            if !headers
                .list("connection")
                .any(|t| t.eq_ignore_ascii_case("upgrade")) =>
        {
            breaches.add(
                "connection-wrong",
                format!("Connection is {} and lacks Upgrade", shown(value)),
            );
        }
        Some(_) => {}
    }
}

fn check_key(headers: &Headers, breaches: &mut Breaches) {
    let mut keys = headers.all("sec-websocket-key");
    let Some(key) = keys.next() else {
        return breaches.add("key-missing", "there is no Sec-WebSocket-Key field");
    };
    if keys.next().is_some() {
        breaches.add(
            "key-duplicated",
            "there is more than one Sec-WebSocket-Key field",
        );
    }
    match STANDARD.decode(key.trim()) {
        Ok(nonce) if nonce.len() == 16 => {}
        Ok(nonce) => {
            let what = format!("Sec-WebSocket-Key stands for {} bytes, not 16", nonce.len());
            breaches.add("key-invalid", what);
        }
        Err(_) => breaches.add("key-invalid", "Sec-WebSocket-Key is not base64"),
    }
}

fn check_version(headers: &Headers, breaches: &mut Breaches) {
    let mut versions = headers.all("sec-websocket-version");
    let Some(version) = versions.next() else {
        return breaches.add("version-missing", "there is no Sec-WebSocket-Version field");
    };
    if versions.next().is_some() {
        breaches.add(
            "version-duplicated",
            "there is more than one Sec-WebSocket-Version field",
        );
    }
    if version.trim() != "13" {
        breaches.add(
            "version-wrong",
            format!("Sec-WebSocket-Version is {}, not 13", shown(version)),
        );
    }
}

fn check_offers(request: &Request, breaches: &mut Breaches) {
    let offered = offered_subprotocols(request);
    if offered.is_empty() && request.headers.first("sec-websocket-protocol").is_some() {
        breaches.add(
            "subprotocol-invalid",
            "Sec-WebSocket-Protocol offers nothing",
        );
    }
    if let Some(at) = offered.iter().position(|name| !is_token(name.as_bytes())) {
        breaches.add(
            "subprotocol-invalid",
            format!("offered subprotocol {} is not a token", at + 1),
        );
    }
    let repeated = offered
        .iter()
        .enumerate()
        .find(|(at, name)| offered.iter().take(*at).any(|n| n == *name));
    if let Some((at, _)) = repeated {
        breaches.add(
            "subprotocol-repeated",
            format!("offered subprotocol {} was offered before", at + 1),
        );
    }
    let (offered, well_formed) = extensions(&request.headers);
    if !well_formed {
        breaches.add(
            "extensions-malformed",
            "Sec-WebSocket-Extensions is not a list of extensions",
        );
    }
    extension::check_offered(&offered, &mut breaches.found);
}

fn check_accept(request: Option<&Request>, headers: &Headers, breaches: &mut Breaches) {
    let mut accepts = headers.all("sec-websocket-accept").map(str::trim);
    let Some(accept) = accepts.next() else {
        return breaches.add("accept-missing", "there is no Sec-WebSocket-Accept field");
    };
    if accepts.next().is_some() {
        breaches.add(
            "accept-duplicated",
            "there is more than one Sec-WebSocket-Accept field",
        );
    }
    let Some(key) = request.and_then(|request| request.headers.first("sec-websocket-key")) else {
        return;
    };
    let expected = derive_accept_key(key.trim().as_bytes());
    if accept != expected {
        let seen = if accept.len() <= 64 {
            accept
        } else {
            "much longer"
        };
        let what =
            format!("Sec-WebSocket-Accept is {seen}; the key of the request makes it {expected}");
        breaches.add("accept-mismatch", what);
    }
}

fn check_subprotocol(request: Option<&Request>, headers: &Headers, breaches: &mut Breaches) {
    let mut chosen = headers.list("sec-websocket-protocol");
    let Some(first) = chosen.next() else {
        if headers.first("sec-websocket-protocol").is_some() {
            breaches.add("subprotocol-invalid", "Sec-WebSocket-Protocol is empty");
        }
        return;
    };
    if chosen.next().is_some() {
        breaches.add(
            "subprotocol-duplicated",
            "the server chose more than one subprotocol",
        );
    }
    // RFC 6455, section 4.1: compared as it stands, case included.
    let offered = request.is_none_or(|request| offered_subprotocols(request).contains(&first));
    if !offered {
        let what = format!(
            "the server chose the subprotocol {}, which the client did not offer",
            shown(first)
        );
        breaches.add("subprotocol-not-offered", what);
    }
}

fn extensions(headers: &Headers) -> (Vec<Extension>, bool) {
    let mut all = Vec::new();
    let mut well_formed = true;
    for value in headers.all("sec-websocket-extensions") {
        well_formed &= extension::parse(value, &mut all);
    }
    (all, well_formed)
}

/// A value for a message: as it is where it can't be a secret, its length where it might be.
pub(super) fn shown(value: &str) -> String {
    let value = value.trim();
    let harmless = value.len() <= 24
        && value.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
        && !looks_like_credential(value);
    if harmless {
        format!("`{value}`")
    } else {
        format!("a value of {} characters", value.chars().count())
    }
}

/// Rationale: names of protocols are words and versions; credentials are long, and mix cases and digits.
fn looks_like_credential(value: &str) -> bool {
    const WORDS: [&str; 6] = ["bearer", "auth", "token", "secret", "key", "eyj"];
    let lower = value.to_ascii_lowercase();
    let has = |class: fn(&u8) -> bool| value.as_bytes().iter().any(class);
    let mixed =
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    let hex = value.len() >= 16 && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    WORDS.iter().any(|word| lower.contains(word)) || hex || (value.len() >= 12 && mixed)
}
