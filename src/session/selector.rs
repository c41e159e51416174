//! Which sessions are meant: by number, or by what their handshake said.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use super::Session;
use super::pattern::{Address, Case, Pattern};

/// What a session can be chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The client's address and port.
    Client,
    /// The server's.
    Server,
    /// The Host field, with the port or without.
    Host,
    /// The request's path, with the query or without.
    Path,
    /// The User-Agent field.
    UserAgent,
    /// Any address in X-Forwarded-For, or the client that a PROXY header names.
    XForwardedFor,
    /// The subprotocol that the server chose.
    Subprotocol,
    /// The id of a finding about it.
    Finding,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Client,
        Self::Server,
        Self::Host,
        Self::Path,
        Self::UserAgent,
        Self::XForwardedFor,
        Self::Subprotocol,
        Self::Finding,
    ];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Host => "host",
            Self::Path => "path",
            Self::UserAgent => "user-agent",
            Self::XForwardedFor => "x-forwarded-for",
            Self::Subprotocol => "subprotocol",
            Self::Finding => "finding",
        }
    }

    /// What a session has of it, as it stood on the wire: secrets are not redacted.
    pub fn values_of(self, session: &Session) -> Vec<String> {
        let handshake = &session.handshake;
        let headers = &handshake.request.headers;
        let one = |value: Option<&str>| value.map(str::to_owned).into_iter().collect();
        match self {
            Self::Client => vec![session.leg.client.to_string()],
            Self::Server => vec![session.leg.server.to_string()],
            Self::Host => one(handshake.host()),
            Self::Path => one(handshake.path()),
            Self::UserAgent => one(headers.first("User-Agent")),
            Self::XForwardedFor => {
                let told = session.leg.forwarded_for.map(|told| told.to_string());
                let listed = headers.list("X-Forwarded-For").map(str::to_owned);
                told.into_iter().chain(listed).collect()
            }
            Self::Subprotocol => one(handshake.agreement.subprotocol.as_deref()),
            Self::Finding => Vec::new(),
        }
    }
}

/// One `KEY=GLOB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What is compared.
    pub key: Key,
    /// What it is compared with, as it was given.
    pub text: String,
    with: With,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum With {
    Address(Address),
    Text(Pattern),
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let keys = || Key::ALL.map(Key::name).join(", ");
        let (name, text) = text.split_once('=').ok_or_else(|| {
            format!(
                "it has no `=`; write KEY=GLOB, with one of the keys {}",
                keys()
            )
        })?;
        let key = Key::ALL
            .into_iter()
            .find(|key| key.name().eq_ignore_ascii_case(name.trim()))
            .ok_or_else(|| format!("`{name}` is no key; the keys are {}", keys()))?;
        let with = match key {
            Key::Client | Key::Server | Key::XForwardedFor => With::Address(Address::new(text)?),
            _ => With::Text(Pattern::new(text)?),
        };
        Ok(Self {
            key,
            text: text.to_owned(),
            with,
        })
    }
}

impl Condition {
    /// This session meets it; `findings` are the ids of those about it.
    fn admits(&self, session: &Session, findings: &[&str]) -> bool {
        let pattern = match &self.with {
            With::Address(address) => return self.admits_address(address, session),
            With::Text(pattern) => pattern,
        };
        let handshake = &session.handshake;
        let any = |value: Option<&str>, case| value.is_some_and(|v| pattern.matches(v, case));
        match self.key {
            Key::Host => {
                let host = session.host();
                any(host, Case::Ignored) || any(host.map(without_port), Case::Ignored)
            }
            Key::Path => {
                let path = handshake.path();
                any(path, Case::Matters) || any(path.map(without_query), Case::Matters)
            }
            Key::UserAgent => any(handshake.request.headers.first("User-Agent"), Case::Ignored),
            // RFC 6455, section 4.1: the client compares the server's choice with its offer, letter by letter.
            Key::Subprotocol => any(handshake.agreement.subprotocol.as_deref(), Case::Matters),
            Key::Finding => findings.iter().any(|id| pattern.matches(id, Case::Ignored)),
            Key::Client | Key::Server | Key::XForwardedFor => false,
        }
    }

    fn admits_address(&self, address: &Address, session: &Session) -> bool {
        let leg = &session.leg;
        match self.key {
            Key::Client => address.matches(leg.client),
            Key::Server => address.matches(leg.server),
            _ => {
                let listed = &session.handshake.request.headers;
                leg.forwarded_for.is_some_and(|told| address.matches(told))
                    || listed
                        .list("X-Forwarded-For")
                        .any(|told| address.matches_text(told))
            }
        }
    }

    /// A connection without a session has addresses and findings, nothing else.
    fn admits_connection(&self, client: SocketAddr, server: SocketAddr, finding: &str) -> bool {
        match (self.key, &self.with) {
            (Key::Client, With::Address(address)) => address.matches(client),
            (Key::Server, With::Address(address)) => address.matches(server),
            (Key::Finding, With::Text(pattern)) => pattern.matches(finding, Case::Ignored),
            _ => false,
        }
    }
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// `chat.example:443` and `[::1]:443`, but not `::1`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|digit| digit.is_ascii_digit())
                && (name.ends_with(']') || !name.contains(':')) =>
        {
            name
        }
        _ => host,
    }
}

/// A session by its number: wscope's (`s3`), or that of Wireshark's `tcp.stream`, on which there may be several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// `s3`.
    Session(u32),
    /// `3`.
    Stream(u32),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let own = text.strip_prefix(['s', 'S']);
        let number = own.unwrap_or(text).parse().map_err(|_| {
            "write s3 for a session of the report, or 3 for Wireshark's tcp.stream".to_owned()
        })?;
        Ok(if own.is_some() {
            Self::Session(number)
        } else {
            Self::Stream(number)
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => write!(f, "s{id}"),
            Self::Stream(stream) => write!(f, "{stream}"),
        }
    }
}

impl Wanted {
    /// This is the session, or one of them.
    pub fn is(self, session: &Session) -> bool {
        match self {
            Self::Session(id) => session.id == id,
            Self::Stream(stream) => session.leg.tcp_stream == stream,
        }
    }
}

/// The sessions that somebody asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Any of these; all, where there are none.
    pub wanted: Vec<Wanted>,
    /// Of each key any, of different keys all.
    pub conditions: Vec<Condition>,
}

impl Selector {
    /// It takes whatever there is.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.conditions.is_empty()
    }

    /// It can't be answered before a session has been judged.
    pub fn asks_for_findings(&self) -> bool {
        self.conditions.iter().any(|c| c.key == Key::Finding)
    }

    /// This session is meant; `findings` are the ids of those about it.
    pub fn admits(&self, session: &Session, findings: &[&str]) -> bool {
        let wanted = self.wanted.is_empty() || self.wanted.iter().any(|w| w.is(session));
        wanted && self.each_key(|condition| condition.admits(session, findings))
    }

    /// The story of these legs is meant, each with the ids of the findings about it:
    /// any of them may meet a condition.
    pub fn admits_story(&self, legs: &[(&Session, &[&str])]) -> bool {
        let wanted = |session: &Session| self.wanted.iter().any(|w| w.is(session));
        (self.wanted.is_empty() || legs.iter().any(|(session, _)| wanted(session)))
            && self.each_key(|condition| {
                let mut legs = legs.iter();
                legs.any(|(session, findings)| condition.admits(session, findings))
            })
    }

    /// Of a story that is meant, this leg is why, or one of the reasons.
    pub fn touches(&self, session: &Session, findings: &[&str]) -> bool {
        match self.wanted.as_slice() {
            [] => {
                let mut conditions = self.conditions.iter();
                conditions.any(|condition| condition.admits(session, findings))
            }
            wanted => wanted.iter().any(|w| w.is(session)),
        }
    }

    /// Of the legs of a proxy one may meet one condition, and another the next.
    pub fn asks_for_several(&self) -> bool {
        let keys = Key::ALL.into_iter();
        let asked = keys.filter(|key| self.conditions.iter().any(|c| c.key == *key));
        asked.count() + usize::from(!self.wanted.is_empty()) > 1
    }

    /// A finding about a connection without a session is meant.
    pub fn admits_connection(&self, client: SocketAddr, server: SocketAddr, finding: &str) -> bool {
        self.wanted.is_empty()
            && self.each_key(|condition| condition.admits_connection(client, server, finding))
    }

    fn each_key(&self, met: impl Fn(&Condition) -> bool) -> bool {
        Key::ALL.into_iter().all(|key| {
            let mut of_key = self.conditions.iter().filter(|c| c.key == key).peekable();
            of_key.peek().is_none() || of_key.any(&met)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use crate::stream::Direction::ServerToClient;

    fn session(fields: &str) -> Session {
        let told = Script::new()
            .handshake()
            .request(fields)
            .answer("404 Not Found", "", "")
            .told();
        let mut sessions = told.sessions.into_iter();
        sessions.next().expect("an attempt to open one")
    }

    fn selector(conditions: &[&str]) -> Selector {
        let read = |text: &&str| text.parse().expect("a condition");
        Selector {
            wanted: Vec::new(),
            conditions: conditions.iter().map(read).collect(),
        }
    }

    fn admits(conditions: &[&str], session: &Session) -> bool {
        selector(conditions).admits(session, &["close-1006-peer-rst"])
    }

    #[test]
    fn several_of_a_key_are_any_of_them_and_different_keys_all() {
        let session = session("User-Agent: Mozilla/5.0 Firefox/130\r\n");
        let (yes, no) = ("user-agent=*firefox*", "user-agent=curl*");
        assert!(admits(&[no, yes], &session));
        assert!(!admits(&[yes, "path=/elsewhere"], &session));
        assert!(admits(&[yes, no, "finding=close-1006-*"], &session));
        assert!(!admits(&["finding=hs-*"], &session));
    }

    #[test]
    fn any_address_that_a_proxy_added_counts() {
        let session =
            session("X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\nX-Forwarded-For: 192.0.2.1\r\n");
        for told in ["203.0.113.9", "198.51.100.0/24", "192.0.2.*"] {
            assert!(
                admits(&[&format!("x-forwarded-for={told}")], &session),
                "{told}"
            );
        }
        assert!(!admits(&["x-forwarded-for=203.0.113.90"], &session));
    }

    #[test]
    fn of_a_proxys_legs_each_may_meet_a_condition() {
        let told = Script::new()
            .handshake()
            .request("")
            .behind(|s| s.upgrade_with("X-Forwarded-For: 203.0.113.9\r\n", ""))
            .accept("")
            .told();
        let [front, back] = told.sessions.as_slice() else {
            panic!("two legs");
        };
        let legs: [(&Session, &[&str]); 2] = [(front, &[]), (back, &[])];
        let client = format!("client={}", front.leg.client);
        let both = selector(&[&client, "x-forwarded-for=203.0.113.9"]);
        assert!(both.asks_for_several());
        assert!(both.admits_story(&legs));
        assert!(!both.admits(front, &[]) && !both.admits(back, &[]));
        assert!(both.touches(front, &[]) && both.touches(back, &[]));
        let neither = selector(&[&client, "x-forwarded-for=203.0.113.8"]);
        assert!(!neither.admits_story(&legs));
        let by_number = Selector {
            wanted: vec![Wanted::Session(front.id)],
            ..selector(&["x-forwarded-for=203.0.113.9"])
        };
        assert!(by_number.admits_story(&legs));
        assert!(by_number.touches(front, &[]) && !by_number.touches(back, &[]));
        assert!(!selector(&[&client]).asks_for_several());
    }

    #[test]
    fn what_a_session_does_not_have_matches_nothing_not_even_a_star() {
        let session = session("");
        for key in ["user-agent=*", "x-forwarded-for=*", "subprotocol=*"] {
            assert!(!admits(&[key], &session), "{key}");
        }
    }

    #[test]
    fn a_path_is_compared_with_its_query_and_without() {
        assert_eq!(without_query("/chat?token=7"), "/chat");
        let told = Script::new().upgrade().clean_close(ServerToClient).told();
        let session = told.sessions.first().expect("one");
        let path = session.handshake.path().expect("there is a request");
        assert!(admits(&[&format!("path={path}")], session));
        assert!(!admits(
            &[&format!("path={}x", path.to_uppercase())],
            session
        ));
    }

    #[test]
    fn a_host_is_compared_with_its_port_and_without() {
        for (field, bare) in [
            ("chat.example:443", "chat.example"),
            ("chat.example", "chat.example"),
            ("[::1]:443", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
        ] {
            assert_eq!(without_port(field), bare);
        }
    }

    #[test]
    fn an_unknown_key_is_told_the_known_ones() {
        let told = "color=red".parse::<Condition>().expect_err("no such key");
        assert_eq!(
            told,
            "`color` is no key; the keys are client, server, host, path, user-agent, x-forwarded-for, subprotocol, finding"
        );
        assert!("path".parse::<Condition>().is_err());
    }

    #[test]
    fn a_number_without_an_s_is_a_stream() {
        assert_eq!("s3".parse(), Ok(Wanted::Session(3)));
        assert_eq!("3".parse(), Ok(Wanted::Stream(3)));
        for text in ["", "s", "three", "-1", "99999999999"] {
            assert!(text.parse::<Wanted>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_failed_connection_has_addresses_and_findings_only() {
        let [client, server] =
            ["10.0.0.1:4000", "10.0.0.2:80"].map(|a| a.parse().expect("an endpoint"));
        let admits = |conditions: &[&str]| {
            selector(conditions).admits_connection(client, server, "hs-connect-refused")
        };
        assert!(admits(&["server=10.0.0.2", "finding=hs-*"]));
        assert!(!admits(&["client=10.0.0.2"]));
        assert!(!admits(&["path=*"]));
        let by_number = Selector {
            wanted: vec![Wanted::Session(1)],
            conditions: Vec::new(),
        };
        assert!(!by_number.admits_connection(client, server, "hs-connect-refused"));
    }
}
