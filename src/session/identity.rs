//! Who the client is, by what it says of itself: digests to compare, no names.

use std::hash::{DefaultHasher, Hasher as _};
use std::net::IpAddr;

use super::credential::{Credential, credentials_of};
use super::{ClientHello, Leg, Session};

/// By what the sessions of one client are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// A digest of what is the client's own: its token's subject, its token or
    /// session cookie, the id that it names in the query.
    pub own: Option<u64>,
    /// A digest of what it shares with others of its kind: User-Agent,
    /// ClientHello and path.
    pub look: u64,
}

/// Names of query parameters that tell clients apart.
const IDS: [&str; 14] = [
    "sid",
    "client",
    "clientid",
    "client_id",
    "client-id",
    "user",
    "userid",
    "user_id",
    "uid",
    "device",
    "deviceid",
    "device_id",
    "session",
    "sessionid",
];

fn digest(parts: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

impl Identity {
    /// As the request, and the ClientHello before it, tell; `None` where no request was captured.
    pub fn of(session: &Session) -> Option<Self> {
        let request = session.handshake.seen_request()?;
        let credentials = credentials_of(request);
        let (path, query) = session
            .handshake
            .path()?
            .split_once('?')
            .unwrap_or((session.handshake.path()?, ""));
        let named = || {
            let mut ids = query
                .split('&')
                .filter_map(|part| part.split_once('='))
                .filter(|(name, _)| IDS.iter().any(|id| id.eq_ignore_ascii_case(name)));
            ids.next().map(digest)
        };
        let agent = request.headers.first("User-Agent");
        let shape = session.leg.hello_shape();
        Some(Self {
            own: credentials.first().map(of_credential).or_else(named),
            look: digest((agent, shape, steady(path))),
        })
    }
}

/// A token is renewed; whom it is about stays.
fn of_credential(credential: &Credential) -> u64 {
    let about = credential.jwt.as_ref();
    match about.and_then(|jwt| Some((jwt.subject.as_ref()?, &jwt.issuer))) {
        Some(about) => digest(about),
        None => credential.digest,
    }
}

/// What doesn't change from one connection of a client to the next.
fn shape_of(hello: &ClientHello) -> u64 {
    // Values that clients make up to keep servers tolerant (RFC 8701).
    let suites: Vec<u16> = hello
        .suites
        .iter()
        .copied()
        .filter(|suite| suite & 0x0f0f != 0x0a0a)
        .collect();
    digest((suites, hello.version, &hello.alpn))
}

/// SockJS dials `/prefix/000/random/websocket`; the two in the middle are new each time.
fn steady(path: &str) -> &str {
    let Some(front) = path.strip_suffix("/websocket") else {
        return path;
    };
    let Some((front, _session)) = front.rsplit_once('/') else {
        return path;
    };
    match front.rsplit_once('/') {
        Some((prefix, server)) if server.len() == 3 => prefix,
        _ => path,
    }
}

impl Leg {
    /// A digest of what doesn't change from one ClientHello of a program to the next.
    pub fn hello_shape(&self) -> Option<u64> {
        let tls = self.tls.as_deref()?;
        tls.client_hello.as_ref().map(|(hello, _)| shape_of(hello))
    }
}

impl Session {
    /// The address of the client itself: as a PROXY header or the first member of
    /// X-Forwarded-For names it, else the connection's.
    pub fn client_host(&self) -> IpAddr {
        let told = self.leg.forwarded_for.map(|told| told.ip());
        let mut listed = self.handshake.request.headers.list("X-Forwarded-For");
        told.or_else(|| listed.next()?.parse().ok())
            .unwrap_or(self.leg.client.ip())
    }

    /// By what its client is known.
    pub fn identity(&self) -> Option<Identity> {
        Identity::of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::jwt::tests::token;
    use super::*;
    use crate::script::Script;

    fn identity(fields: &str) -> Identity {
        let told = Script::new().upgrade_with(fields, "").told();
        told.sessions[0].identity().expect("a request")
    }

    #[test]
    fn a_renewed_token_is_the_same_client_and_another_subject_is_not() {
        let with = |claims: &str| identity(&format!("Authorization: Bearer {}\r\n", token(claims)));
        let first = with(r#"{"sub":"u1","exp":1}"#);
        assert_eq!(first, with(r#"{"sub":"u1","exp":2}"#));
        assert_ne!(first.own, with(r#"{"sub":"u2","exp":1}"#).own);
    }

    #[test]
    fn without_anything_of_its_own_a_client_is_known_by_its_look() {
        let (a, b) = (identity("User-Agent: a\r\n"), identity("User-Agent: b\r\n"));
        assert_eq!((a.own, b.own), (None, None));
        assert_ne!(a.look, b.look);
    }

    #[test]
    fn the_random_parts_of_a_path_of_sockjs_tell_nothing() {
        assert_eq!(steady("/echo/123/x7ab3/websocket"), "/echo");
        assert_eq!(steady("/cable/websocket"), "/cable/websocket");
    }

    #[test]
    fn the_client_that_a_proxy_names_is_the_client() {
        let told = Script::new()
            .upgrade_with("X-Forwarded-For: 203.0.113.9, 10.0.0.7\r\n", "")
            .told();
        assert_eq!(told.sessions[0].client_host().to_string(), "203.0.113.9");
    }
}
