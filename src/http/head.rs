//! Request and response heads (RFC 9112, sections 2 to 5).

use crate::stream::PacketRef;

/// Header fields in the order and spelling of the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The values of all fields of this name, compared without case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The first value of this name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The members of a comma-separated list field, over all fields of this
    /// name, trimmed, without empty ones (RFC 9110, section 5.6.1).
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .flat_map(|v| v.split(','))
            .map(str::trim)
            .filter(|v| !v.is_empty())
    }
}

/// A request head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The packet with its first byte.
    pub first: PacketRef,
    /// The packet with its last byte.
    pub last: PacketRef,
    /// Stream offset just after the head.
    pub end: u64,
    /// The method.
    pub method: String,
    /// The request target as sent. May carry secrets: show it through `session::redact`.
    pub target: String,
    /// `HTTP/1.x`: the x.
    pub minor_version: u8,
    /// The header fields. May carry secrets.
    pub headers: Headers,
}

/// A response head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The packet with its first byte.
    pub first: PacketRef,
    /// The packet with its last byte.
    pub last: PacketRef,
    /// Stream offset just after the head.
    pub end: u64,
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// `HTTP/1.x`: the x.
    pub minor_version: u8,
    /// The header fields.
    pub headers: Headers,
}
