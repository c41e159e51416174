//! The checks of the opening handshake (RFC 6455, section 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tungstenite::handshake::derive_accept_key;

use super::breach::{Breaches, HandshakeBreach, shown};
use super::extension::{self, DeflateParameters, Extension};
use super::head::{Headers, Request, Response};
use super::line::is_token;

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

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (&str, &str) = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    const ACCEPT: (&str, &str) = ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    const UPGRADE: [(&str, &str); 2] = [
        ("Upgrade", "WebSocket"),
        ("Connection", "keep-alive, Upgrade"),
    ];
    const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
    const PROTOCOL: &str = "Sec-WebSocket-Protocol";

    fn headers(fields: &[&[(&str, &str)]]) -> Headers {
        Headers(
            fields
                .concat()
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_string()))
                .collect(),
        )
    }

    /// A valid request with these fields added.
    fn request(more: &[(&str, &str)]) -> Request {
        let usual = [("Host", "h"), KEY, ("Sec-WebSocket-Version", "13")];
        Request {
            first: Default::default(),
            last: Default::default(),
            end: 0,
            method: "GET".to_owned(),
            target: "/ws".to_owned(),
            minor_version: 1,
            headers: headers(&[&usual, &UPGRADE, more]),
        }
    }

    /// A valid 101 with these fields added.
    fn response(more: &[(&str, &str)]) -> Response {
        Response {
            first: Default::default(),
            last: Default::default(),
            end: 0,
            status: 101,
            reason: String::new(),
            minor_version: 1,
            headers: headers(&[&UPGRADE, &[ACCEPT], more]),
        }
    }

    fn kinds(breaches: Vec<HandshakeBreach>) -> Vec<&'static str> {
        breaches.into_iter().map(|b| b.kind).collect()
    }

    fn asked(more: &[(&str, &str)]) -> Vec<&'static str> {
        kinds(check_request(&request(more)))
    }

    /// The breaches where this is offered and that accepted.
    fn negotiated(offer: &str, accept: &str) -> Vec<&'static str> {
        let request = request(&[(EXTENSIONS, offer)]);
        kinds(check_response(
            Some(&request),
            &response(&[(EXTENSIONS, accept)]),
        ))
    }

    #[test]
    fn a_valid_handshake_has_no_breach() {
        let offer =
            "permessage-deflate; client_max_window_bits; server_max_window_bits=\"12\", x-other";
        let request = request(&[(EXTENSIONS, offer), (PROTOCOL, "v2.chat, chat")]);
        assert_eq!(check_request(&request), []);
        let accept = "permessage-deflate; server_max_window_bits=10; client_no_context_takeover";
        let response = response(&[(EXTENSIONS, accept), (PROTOCOL, "chat")]);
        assert_eq!(check_response(Some(&request), &response), []);
        let deflate = DeflateParameters {
            client_no_context_takeover: true,
            server_max_window_bits: Some(10),
            ..Default::default()
        };
        let agreed = Agreement {
            subprotocol: Some("chat".to_owned()),
            extensions: vec![accept.to_owned()],
            deflate: Some(deflate),
        };
        assert_eq!(agreement(&response), agreed);
    }

    #[test]
    fn an_empty_request_breaks_every_rule() {
        let empty = Request {
            headers: Headers::default(),
            method: "POST".to_owned(),
            minor_version: 0,
            ..request(&[])
        };
        let expected = [
            "method-not-get",
            "http-version-too-old",
            "host-missing",
            "upgrade-missing",
            "connection-missing",
            "key-missing",
            "version-missing",
        ];
        assert_eq!(kinds(check_request(&empty)), expected);
    }

    #[test]
    fn fields_that_stand_once_are_counted() {
        let twice = [("Host", "h"), KEY, ("Sec-WebSocket-Version", "13")];
        assert_eq!(
            asked(&twice),
            ["host-duplicated", "key-duplicated", "version-duplicated"]
        );
        assert_eq!(asked(&[("Content-Length", "0")]), [""; 0]);
        assert_eq!(asked(&[("Content-Length", "5")]), ["request-body"]);
    }

    #[test]
    fn wrong_values_are_told() {
        let mut wrong = request(&[]);
        wrong.target.push_str("#top");
        for (name, value) in &mut wrong.headers.0 {
            match name.as_str() {
                "Upgrade" => *value = "h2c".to_owned(),
                "Connection" => *value = "keep-alive".to_owned(),
                "Sec-WebSocket-Version" => *value = "8".to_owned(),
                "Sec-WebSocket-Key" => *value = "c2hvcnQ=".to_owned(),
                _ => {}
            }
        }
        let breaches = check_request(&wrong);
        assert!(
            breaches.iter().all(|b| !b.what.contains("c2hvcnQ")),
            "the key stays out"
        );
        let expected = [
            "target-with-fragment",
            "upgrade-wrong",
            "connection-wrong",
            "key-invalid",
            "version-wrong",
        ];
        assert_eq!(kinds(breaches), expected);
    }

    #[test]
    fn offered_subprotocols_are_unique_tokens() {
        assert_eq!(asked(&[(PROTOCOL, "chat, a b")]), ["subprotocol-invalid"]);
        assert_eq!(
            asked(&[(PROTOCOL, "chat"), (PROTOCOL, "chat")]),
            ["subprotocol-repeated"]
        );
        assert_eq!(asked(&[(PROTOCOL, "")]), ["subprotocol-invalid"]);
    }

    #[test]
    fn the_accept_value_belongs_to_the_key() {
        let mut answer = response(&[]);
        let check = |answer: &Response| kinds(check_response(Some(&request(&[])), answer));
        answer.headers.0.retain(|(name, _)| name != ACCEPT.0);
        assert_eq!(check(&answer), ["accept-missing"]);
        answer
            .headers
            .0
            .push((ACCEPT.0.to_owned(), "AAAA".to_owned()));
        assert_eq!(check(&answer), ["accept-mismatch"]);
        answer
            .headers
            .0
            .push((ACCEPT.0.to_owned(), "AAAA".to_owned()));
        assert_eq!(check(&answer), ["accept-duplicated", "accept-mismatch"]);
        assert_eq!(kinds(check_response(None, &answer)), ["accept-duplicated"]);
    }

    #[test]
    fn the_server_upgrades_to_websocket_alone() {
        let more = response(&[("Upgrade", "h2c")]);
        assert_eq!(
            kinds(check_response(Some(&request(&[])), &more)),
            ["upgrade-wrong"]
        );
    }

    #[test]
    fn a_subprotocol_must_have_been_offered() {
        let chose = |names: &str| {
            let request = request(&[(PROTOCOL, "graphql-transport-ws")]);
            check_response(Some(&request), &response(&[(PROTOCOL, names)]))
        };
        assert_eq!(kinds(chose("graphql-transport-ws")), [""; 0]);
        let [breach] = &chose("graphql-ws")[..] else {
            panic!("one breach")
        };
        assert_eq!(
            breach.what,
            "the server chose the subprotocol `graphql-ws`, which the client did not offer"
        );
        let secret = "eyJhbGciOiJIUzI1NiJ9.e30.x";
        assert!(
            chose(secret)
                .iter()
                .all(|b| b.kind == "subprotocol-not-offered" && !b.what.contains(secret))
        );
        assert_eq!(
            kinds(chose("graphql-transport-ws, x")),
            ["subprotocol-duplicated"]
        );
    }

    #[test]
    fn an_extension_must_have_been_offered() {
        assert_eq!(
            negotiated("x-a", "permessage-deflate"),
            ["extension-not-offered"]
        );
        assert_eq!(
            negotiated(
                "permessage-deflate",
                "permessage-deflate, permessage-deflate"
            ),
            ["extension-duplicated"]
        );
        assert_eq!(
            negotiated("x-a", "x-a; b=\"c d\""),
            ["extensions-malformed"]
        );
    }

    #[test]
    fn deflate_parameters_are_known_once_and_legal() {
        let all = "permessage-deflate; client_max_window_bits; server_max_window_bits=12";
        let with = |parameters: &str| {
            negotiated(
                all,
                &format!("permessage-deflate; server_max_window_bits=12{parameters}"),
            )
        };
        assert_eq!(with("; client_max_window_bits=9"), [""; 0]);
        assert_eq!(with("; window=3"), ["deflate-parameter-unknown"]);
        assert_eq!(
            with("; server_no_context_takeover=1"),
            ["deflate-parameter-value"]
        );
        assert_eq!(
            with("; client_max_window_bits"),
            ["deflate-parameter-value"]
        );
        assert_eq!(
            with("; client_max_window_bits=16"),
            ["deflate-parameter-value"]
        );
        assert_eq!(
            with("; client_max_window_bits=09"),
            ["deflate-parameter-value"]
        );
        assert_eq!(
            with("; server_max_window_bits=12"),
            ["deflate-parameter-duplicated"]
        );
    }

    #[test]
    fn the_answer_must_fit_an_offer() {
        let plain = "permessage-deflate";
        let bits = |name: &str, bits: u8| format!("permessage-deflate; {name}={bits}");
        let (client, server) = ("client_max_window_bits", "server_max_window_bits");
        assert_eq!(negotiated(plain, &bits(server, 10)), [""; 0]);
        assert_eq!(
            negotiated(plain, &bits(client, 10)),
            ["deflate-client-window-not-offered"]
        );
        assert_eq!(
            negotiated(&bits(client, 9), &bits(client, 10)),
            ["deflate-client-window-greater"]
        );
        assert_eq!(
            negotiated(&bits(server, 9), &bits(server, 10)),
            ["deflate-server-window-greater"]
        );
        assert_eq!(
            negotiated(&bits(server, 9), plain),
            ["deflate-server-window-ignored"]
        );
        assert_eq!(
            negotiated(&format!("{}, {plain}", bits(server, 9)), plain),
            [""; 0]
        );
        let fresh = "permessage-deflate; server_no_context_takeover";
        assert_eq!(
            negotiated(fresh, plain),
            ["deflate-server-takeover-ignored"]
        );
    }
}
