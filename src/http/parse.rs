//! Reads one whole head: by httparse where it is well-formed, by a lenient
//! split into lines where it isn't, so that a damaged handshake is still told.

use std::borrow::Cow;

use httparse::Header;
use memchr::{memchr, memchr_iter, memmem};

use super::breach::fault;
use super::lenient;
use super::line::{FIELDS_MAX, RequestLine, StatusLine};
use super::{HandshakeBreach, Headers};

/// Fields that are read without allocating.
///
/// Rationale: browsers behind proxies send 15 to 40; a head with more is read
/// into a vector instead.
const FIELDS_AT_HAND: usize = 64;

/// Where the fields of a well-formed head are written.
pub(super) type Room<'b> = [Header<'b>; FIELDS_AT_HAND];

/// An empty [`Room`].
pub(super) const fn room<'b>() -> Room<'b> {
    [httparse::EMPTY_HEADER; FIELDS_AT_HAND]
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
    let (line, rest) = lenient::take_line(bytes);
    let line = lenient::request_line(line)?;
    Some(Head {
        line,
        fields: Cow::Owned(lenient::fields(rest)),
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
    let (line, rest) = lenient::take_line(bytes);
    let line = lenient::status_line(line)?;
    Some(Head {
        line,
        fields: Cow::Owned(lenient::fields(rest)),
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
        let (first, rest) = lenient::take_line(bytes);
        if !lenient::is_strict_start_line(first) {
            faults.push(fault(
                "start-line-malformed",
                "3",
                "the first line is not of the form that HTTP/1.1 lays down",
            ));
        }
        lenient::field_faults(rest, &mut faults);
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

/// The status of a response of which only the beginning is there.
pub(super) fn status_of(bytes: &[u8]) -> Option<u16> {
    let line = bytes.get(..memchr(b'\n', bytes).unwrap_or(bytes.len()))?;
    Some(lenient::status_line(line)?.status)
}

/// The methods of RFC 9110, section 9 and RFC 5789; none is the end of another.
///
/// Rationale: behind a gap, `ET /` may be what is left of `GET /`.
const METHODS: [&[u8]; 9] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH",
];

/// Whether bytes that follow a gap begin like a request head, first line whole.
pub(super) fn begins_like_request(bytes: &[u8]) -> bool {
    let line = bytes
        .get(..memchr(b'\n', bytes).unwrap_or(bytes.len()))
        .unwrap_or_default();
    let method = line.split(|byte| *byte == b' ').next();
    method.is_some_and(|method| METHODS.contains(&method))
        && memmem::find(line, b" HTTP/1.").is_some()
}

/// Whether bytes that follow a gap begin like a response head.
pub(super) fn begins_like_response(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.")
}

#[cfg(test)]
mod tests {
    use super::begins_like_request;

    #[test]
    fn the_rest_of_a_method_begins_no_request() {
        assert!(begins_like_request(b"GET /ws HTTP/1.1\r\n"));
        assert!(begins_like_request(b"DELETE /a HTTP/1.1\r\n"));
        for rest in ["ET /ws HTTP/1.1\r\n", "ELETE /a HTTP/1.1\r\n", "GET", ""] {
            assert!(!begins_like_request(rest.as_bytes()), "{rest}");
        }
    }
}
