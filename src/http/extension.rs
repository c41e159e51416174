//! Sec-WebSocket-Extensions: its grammar (RFC 6455, section 9.1) and the
//! negotiation of permessage-deflate (RFC 7692, section 7.1).

use super::breach::{HandshakeBreach, shown};
use super::line::is_token;

const GRAMMAR: &str = "RFC 6455, section 9.1";
const DEFLATE: &str = "RFC 7692, section 7.1";
const SERVER_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

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

/// One extension with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// As it was written.
    pub text: String,
    /// Its name.
    pub name: String,
    /// Its parameters in order, values without their quotes.
    pub parameters: Vec<(String, Option<String>)>,
}

impl Extension {
    /// Whether it is permessage-deflate.
    pub fn is_deflate(&self) -> bool {
        self.name == "permessage-deflate"
    }

    /// The first parameter of this name; `Some(None)` if it has no value.
    fn parameter(&self, name: &str) -> Option<Option<&str>> {
        self.parameters
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_deref())
    }

    /// The value of a window parameter, where it is there and legal.
    fn bits(&self, name: &str) -> Option<u8> {
        self.parameter(name).flatten().and_then(window_bits)
    }
}

/// Adds the extensions of one field value to the list; false if it is malformed.
pub(super) fn parse(value: &str, into: &mut Vec<Extension>) -> bool {
    let mut well_formed = true;
    let mut any = false;
    for text in split(value, ',').filter(|text| !text.is_empty()) {
        any = true;
        let mut parts = split(text, ';');
        let name = parts.next().unwrap_or_default();
        well_formed &= is_token(name.as_bytes());
        let parameters = parts
            .map(|part| parameter(part, &mut well_formed))
            .collect();
        into.push(Extension {
            text: text.to_owned(),
            name: name.to_owned(),
            parameters,
        });
    }
    well_formed && any
}

fn parameter(part: &str, well_formed: &mut bool) -> (String, Option<String>) {
    let (name, value) = match part.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (part, None),
    };
    // RFC 6455, section 9.1: a quoted value must be a token once its quotes are gone.
    let value = value.map(|v| {
        v.strip_prefix('"')
            .and_then(|v| v.strip_suffix('"'))
            .unwrap_or(v)
    });
    *well_formed &= is_token(name.as_bytes()) && value.is_none_or(|v| is_token(v.as_bytes()));
    (name.to_owned(), value.map(str::to_owned))
}

/// Splits outside of quotes, and trims.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .map(str::trim)
}

/// What permessage-deflate was agreed to do, illegal values left out.
pub(super) fn deflate_parameters(accepted: &Extension) -> DeflateParameters {
    DeflateParameters {
        server_no_context_takeover: accepted.parameter(SERVER_TAKEOVER).is_some(),
        client_no_context_takeover: accepted.parameter(CLIENT_TAKEOVER).is_some(),
        server_max_window_bits: accepted.bits(SERVER_BITS),
        client_max_window_bits: accepted.bits(CLIENT_BITS),
    }
}

/// Checks the client's offers.
pub(super) fn check_offered(offered: &[Extension], breaches: &mut Vec<HandshakeBreach>) {
    for offer in offered.iter().filter(|e| e.is_deflate()) {
        check_parameters(offer, true, breaches);
    }
}

/// Checks the server's answer; against the offers where they are known.
pub(super) fn check_accepted(
    offered: Option<&[Extension]>,
    accepted: &[Extension],
    breaches: &mut Vec<HandshakeBreach>,
) {
    for (at, extension) in accepted.iter().enumerate() {
        let name = shown(&extension.name);
        if accepted.iter().take(at).any(|e| e.name == extension.name) {
            let what = format!("the server accepted the extension {name} twice");
            breaches.push(HandshakeBreach {
                kind: "extension-duplicated",
                what,
                section: GRAMMAR,
            });
        }
        if offered.is_some_and(|offered| offered.iter().all(|e| e.name != extension.name)) {
            let what =
                format!("the server accepted the extension {name}, which the client did not offer");
            let section = "RFC 6455, section 4.1";
            breaches.push(HandshakeBreach {
                kind: "extension-not-offered",
                what,
                section,
            });
        } else if extension.is_deflate() {
            check_parameters(extension, false, breaches);
            check_against_offers(offered.unwrap_or_default(), extension, breaches);
        }
    }
}

/// RFC 7692, section 7: each parameter known, there once, and of a legal value.
fn check_parameters(extension: &Extension, offer: bool, breaches: &mut Vec<HandshakeBreach>) {
    let mut add = |kind, what| {
        breaches.push(HandshakeBreach {
            kind,
            what,
            section: DEFLATE,
        })
    };
    for (at, (name, value)) in extension.parameters.iter().enumerate() {
        if extension.parameters.iter().take(at).any(|(n, _)| n == name) {
            let known = [SERVER_TAKEOVER, CLIENT_TAKEOVER, SERVER_BITS, CLIENT_BITS]
                .contains(&name.as_str());
            let name = if known { name.clone() } else { shown(name) };
            add(
                "deflate-parameter-duplicated",
                format!("permessage-deflate has {name} twice"),
            );
        }
        let value = value.as_deref();
        let legal = match name.as_str() {
            SERVER_TAKEOVER | CLIENT_TAKEOVER => value.is_none(),
            // RFC 7692, section 7.1.2.2: an offer may leave the choice to the server.
            CLIENT_BITS if offer && value.is_none() => true,
            SERVER_BITS | CLIENT_BITS => value.and_then(window_bits).is_some(),
            _ => {
                let what = format!(
                    "permessage-deflate has the unknown parameter {}",
                    shown(name)
                );
                add("deflate-parameter-unknown", what);
                continue;
            }
        };
        if !legal {
            let seen = value.map_or("no value".to_owned(), shown);
            let what = format!("permessage-deflate has {name} with {seen}");
            add("deflate-parameter-value", what);
        }
    }
}

/// The answer must fit one of the offers; where it fits none, what is wrong with the nearest is told.
fn check_against_offers(
    offered: &[Extension],
    accepted: &Extension,
    breaches: &mut Vec<HandshakeBreach>,
) {
    let nearest = offered
        .iter()
        .filter(|offer| offer.is_deflate())
        .map(|offer| misfits(offer, accepted))
        .min_by_key(Vec::len);
    breaches.extend(nearest.unwrap_or_default());
}

fn misfits(offer: &Extension, accepted: &Extension) -> Vec<HandshakeBreach> {
    let mut found = Vec::new();
    let mut add = |kind, what: String, section| {
        found.push(HandshakeBreach {
            kind,
            what,
            section,
        })
    };
    if offer.parameter(SERVER_TAKEOVER).is_some() && accepted.parameter(SERVER_TAKEOVER).is_none() {
        let what = "the client asked for server_no_context_takeover; the answer accepts without it"
            .to_owned();
        add(
            "deflate-server-takeover-ignored",
            what,
            "RFC 7692, section 7.1.1.1",
        );
    }
    let section = "RFC 7692, section 7.1.2.1";
    match (offer.bits(SERVER_BITS), accepted.bits(SERVER_BITS)) {
        (Some(offered), Some(bits)) if bits > offered => {
            let what = format!(
                "server_max_window_bits is {bits}, more than the {offered} that the client asked for"
            );
            add("deflate-server-window-greater", what, section);
        }
        (Some(offered), None) if accepted.parameter(SERVER_BITS).is_none() => {
            let what = format!(
                "the client asked for server_max_window_bits of {offered}; the answer accepts without it"
            );
            add("deflate-server-window-ignored", what, section);
        }
        _ => {}
    }
    let section = "RFC 7692, section 7.1.2.2";
    match (offer.parameter(CLIENT_BITS), accepted.bits(CLIENT_BITS)) {
        (None, _) if accepted.parameter(CLIENT_BITS).is_some() => {
            let what =
                "the answer has client_max_window_bits, which the client did not offer".to_owned();
            add("deflate-client-window-not-offered", what, section);
        }
        (Some(Some(value)), Some(bits))
            if window_bits(value).is_some_and(|offered| bits > offered) =>
        {
            let what = format!("client_max_window_bits is {bits}, more than the client offered");
            add("deflate-client-window-greater", what, section);
        }
        _ => {}
    }
    found
}

/// RFC 7692, section 7.1.2: 8 to 15, without leading zeros.
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok().filter(|bits| (8..=15).contains(bits))?;
    (!value.starts_with(['0', '+'])).then_some(bits)
}
