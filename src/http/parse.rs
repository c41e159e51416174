//! Reads one whole head: by httparse where it is well-formed, by a lenient
//! split into lines where it isn't, so that a damaged handshake is still told.

use std::borrow::Cow;

use httparse::Header;
use memchr::{memchr, memchr_iter, memmem};

use super::{HandshakeBreach, Headers};

/// Fields that are read without allocating.
///
/// Rationale: browsers behind proxies send 15 to 40; a head with more is read
/// into a vector instead.
const FIELDS_AT_HAND: usize = 64;

/// Fields that are kept of one head; the rest is not read.
///
/// Rationale: Apache refuses 100, nginx is bounded by bytes only; nobody means more than this.
const FIELDS_MAX: usize = 1024;

/// Where the fields of a well-formed head are written.
pub(super) type Room<'b> = [Header<'b>; FIELDS_AT_HAND];

/// An empty [`Room`].
pub(super) const fn room<'b>() -> Room<'b> {
    [httparse::EMPTY_HEADER; FIELDS_AT_HAND]
}

/// The start line of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'b> {
    pub(super) method: &'b [u8],
    pub(super) target: &'b [u8],
    pub(super) minor_version: u8,
}

/// The start line of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusLine<'b> {
    pub(super) status: u16,
    pub(super) reason: &'b [u8],
    pub(super) minor_version: u8,
}

/// A head whose parts still lie in the bytes it came in.
#[derive(Debug)]
pub(super) struct Head<'h, 'b, L> {
    pub(super) line: L,
    pub(super) fields: Cow<'h, [Header<'b>]>,
    /// Why httparse refused it.
    refused: Option<httparse::Error>,
}

/// Reads a request head, its empty line included. `None` if the first line is no HTTP/1 request line.
pub(super) fn request<'h, 'b>(
    bytes: &'b [u8],
    room: &'h mut Room<'b>,
) -> Option<Head<'h, 'b, RequestLine<'b>>> {
    let mut request = httparse::Request::new(room);
    let refused = match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {
            let line = RequestLine {
                method: request.method?.as_bytes(),
                target: request.path?.as_bytes(),
                minor_version: request.version?,
            };
            let fields: &'h [Header<'b>] = request.headers;
            return Some(Head {
                line,
                fields: Cow::Borrowed(fields),
                refused: None,
            });
        }
        Ok(httparse::Status::Partial) => httparse::Error::NewLine,
        Err(error) => error,
    };
    let (line, rest) = take_line(bytes);
    let line = request_line(line)?;
    Some(Head {
        line,
        fields: Cow::Owned(lenient_fields(rest)),
        refused: Some(refused),
    })
}

/// Reads a response head, its empty line included. `None` if the first line is no HTTP/1 status line.
pub(super) fn response<'h, 'b>(
    bytes: &'b [u8],
    room: &'h mut Room<'b>,
) -> Option<Head<'h, 'b, StatusLine<'b>>> {
    let mut response = httparse::Response::new(room);
    let refused = match response.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {
            let line = StatusLine {
                status: response.code?,
                reason: response.reason.unwrap_or_default().as_bytes(),
                minor_version: response.version?,
            };
            let fields: &'h [Header<'b>] = response.headers;
            return Some(Head {
                line,
                fields: Cow::Borrowed(fields),
                refused: None,
            });
        }
        Ok(httparse::Status::Partial) => httparse::Error::NewLine,
        Err(error) => error,
    };
    let (line, rest) = take_line(bytes);
    let line = status_line(line)?;
    Some(Head {
        line,
        fields: Cow::Owned(lenient_fields(rest)),
        refused: Some(refused),
    })
}

impl<L> Head<'_, '_, L> {
    /// The values of all fields of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |f| f.name.eq_ignore_ascii_case(name))
            .map(|f| f.value)
    }

    /// The members of a list field, over all fields of this name.
    pub(super) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.all(name)
            .flat_map(|v| v.split(|b| *b == b','))
            .map(<[u8]>::trim_ascii)
    }

    /// Whether a field of the opening handshake is there (RFC 6455, section 11.3).
    pub(super) fn has_websocket_field(&self) -> bool {
        const PREFIX: &[u8] = b"sec-websocket-";
        self.fields.iter().any(|f| {
            f.name
                .as_bytes()
                .get(..PREFIX.len())
                .is_some_and(|n| n.eq_ignore_ascii_case(PREFIX))
        })
    }

    /// Whether the Upgrade field names websocket.
    pub(super) fn upgrades_to_websocket(&self) -> bool {
        self.list("upgrade")
            .any(|token| token.eq_ignore_ascii_case(b"websocket"))
    }

    /// The fields as text that outlives the packet.
    pub(super) fn headers(&self) -> Headers {
        Headers(
            self.fields
                .iter()
                .map(|f| (f.name.to_owned(), text(f.value)))
                .collect(),
        )
    }

    /// Why the head is malformed; empty if it isn't.
    pub(super) fn faults(&self, bytes: &[u8]) -> Vec<HandshakeBreach> {
        let mut faults = Vec::new();
        if memchr_iter(b'\n', bytes).any(|at| at == 0 || bytes.get(at - 1) != Some(&b'\r')) {
            faults.push(fault(
                "bare-line-feed",
                "2.2",
                "a line of the head ends with LF alone, not with CR LF",
            ));
        }
        let Some(error) = self.refused else {
            return faults;
        };
        let (first, rest) = take_line(bytes);
        if !is_strict_start_line(first) {
            faults.push(fault(
                "start-line-malformed",
                "3",
                "the first line is not of the form that HTTP/1.1 lays down",
            ));
        }
        field_faults(rest, &mut faults);
        if self.fields.len() >= FIELDS_MAX {
            faults.push(fault(
                "too-many-fields",
                "5",
                "the head has more header fields than are read",
            ));
        }
        if faults.is_empty() && !matches!(error, httparse::Error::TooManyHeaders) {
            faults.push(HandshakeBreach {
                kind: "head-malformed",
                what: format!("a strict parser refuses the head: {error}"),
                section: "RFC 9112, section 2.1",
            });
        }
        faults
    }
}

/// Bytes of the wire as text: folded lines joined by a space, what isn't UTF-8 replaced.
pub(super) fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.trim_ascii());
    if !text.contains('\n') {
        return text.into_owned();
    }
    // RFC 9112, section 5.2: each fold counts as spaces.
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The version that the start line of a request ends with, and whether it is there at all.
fn request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let mut words = line.split(|b| *b == b' ');
    let method = words.next()?;
    let rest = line.get(method.len()..)?.trim_ascii();
    let (target, version) = match rest.iter().rposition(|b| *b == b' ') {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, &[][..]),
    };
    let version = version.trim_ascii();
    // Another text protocol with the same shape: RTSP/1.0, SIP/2.0.
    let minor_version = match version {
        [] => 0,
        _ => minor_version(version)?,
    };
    Some(RequestLine {
        method,
        target: target.trim_ascii(),
        minor_version,
    })
}

fn status_line(line: &[u8]) -> Option<StatusLine<'_>> {
    let mut words = line.splitn(2, |b| *b == b' ');
    let minor_version = minor_version(words.next()?)?;
    let rest = words.next()?.trim_ascii();
    let (code, reason) = rest.split_at_checked(3)?;
    let status = std::str::from_utf8(code).ok()?.parse().ok()?;
    Some(StatusLine {
        status,
        reason: reason.trim_ascii(),
        minor_version,
    })
}

/// The status of a response of which only the beginning is there.
pub(super) fn status_of(bytes: &[u8]) -> Option<u16> {
    let line = bytes.get(..memchr(b'\n', bytes).unwrap_or(bytes.len()))?;
    Some(status_line(line)?.status)
}

/// `HTTP/1.x`: the x; 0 for what only begins so.
fn minor_version(word: &[u8]) -> Option<u8> {
    match word.strip_prefix(b"HTTP/")? {
        [b'1', b'.', digit @ b'0'..=b'9'] => Some(digit - b'0'),
        _ => Some(0),
    }
}

fn is_strict_start_line(line: &[u8]) -> bool {
    let mut room = [httparse::EMPTY_HEADER; 0];
    let whole = [line, b"\r\n\r\n"].concat();
    httparse::Request::new(&mut room).parse(&whole).is_ok()
        || httparse::Response::new(&mut room).parse(&whole).is_ok()
}

/// One line without its end, and what comes after.
fn take_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr(b'\n', bytes) {
        Some(at) => (bytes.get(..at), bytes.get(at + 1..)),
        None => (Some(bytes), None),
    };
    let line = line.unwrap_or_default();
    (
        line.strip_suffix(b"\r").unwrap_or(line),
        rest.unwrap_or_default(),
    )
}

/// Splits what follows the start line into fields. A folded value spans its
/// lines as they lie in the head; [`text`] joins them.
fn lenient_fields(bytes: &[u8]) -> Vec<Header<'_>> {
    let mut fields = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() && fields.len() < FIELDS_MAX {
        let at = rest;
        let (line, mut after) = take_line(rest);
        while matches!(after.first(), Some(b' ' | b'\t')) {
            after = take_line(after).1;
        }
        rest = after;
        let Some(colon) = memchr(b':', line) else {
            continue;
        };
        let field = at.get(..at.len() - after.len()).unwrap_or(line);
        let (name, value) = (field.get(..colon), field.get(colon + 1..));
        let name = std::str::from_utf8(name.unwrap_or_default())
            .unwrap_or("\u{fffd}")
            .trim();
        fields.push(Header {
            name,
            value: value.unwrap_or_default().trim_ascii(),
        });
    }
    fields
}

/// What is wrong with the lines after the start line, each kind once.
fn field_faults(bytes: &[u8], faults: &mut Vec<HandshakeBreach>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (line, after) = take_line(rest);
        rest = after;
        let Some(found) = field_fault(line) else {
            continue;
        };
        if faults.iter().all(|f| f.kind != found.kind) {
            faults.push(found);
        }
    }
}

fn field_fault(line: &[u8]) -> Option<HandshakeBreach> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Some(fault(
            "folded-field",
            "5.2",
            "a header field is folded over several lines",
        ));
    }
    let Some(colon) = memchr(b':', line) else {
        return (!line.is_empty()).then(|| {
            fault(
                "field-without-colon",
                "5",
                "a line of the head has no colon",
            )
        });
    };
    let (name, value) = line.split_at_checked(colon)?;
    if name.ends_with(b" ") || name.ends_with(b"\t") {
        return Some(fault(
            "space-before-colon",
            "5.1",
            "a header field has a space before its colon",
        ));
    }
    if !is_token(name) {
        return Some(fault(
            "field-name-invalid",
            "5.1",
            "the name of a header field is not a token",
        ));
    }
    value
        .iter()
        .any(|b| *b == 0x7f || (*b < 0x20 && *b != b'\t'))
        .then(|| {
            fault(
                "field-value-invalid",
                "5.5",
                "the value of a header field holds control characters",
            )
        })
}

fn fault(kind: &'static str, section: &'static str, what: &str) -> HandshakeBreach {
    let section = match section {
        "2.2" => "RFC 9112, section 2.2",
        "3" => "RFC 9112, section 3",
        "5" => "RFC 9112, section 5",
        "5.1" => "RFC 9112, section 5.1",
        "5.2" => "RFC 9112, section 5.2",
        _ => "RFC 9110, section 5.5",
    };
    HandshakeBreach {
        kind,
        what: what.to_owned(),
        section,
    }
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// Whether bytes that follow a gap begin like a request head, first line whole.
pub(super) fn begins_like_request(bytes: &[u8]) -> bool {
    let line = bytes
        .get(..memchr(b'\n', bytes).unwrap_or(bytes.len()))
        .unwrap_or_default();
    let method = line.iter().take_while(|b| b.is_ascii_uppercase()).count();
    (1..=20).contains(&method)
        && line.get(method) == Some(&b' ')
        && memmem::find(line, b" HTTP/1.").is_some()
}

/// Whether bytes that follow a gap begin like a response head.
pub(super) fn begins_like_response(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.")
}
