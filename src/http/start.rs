//! Tells from the first bytes of a direction what it speaks: HTTP/1 on any port, or something else.

use memchr::memchr;

use super::Lookalike;
use super::connect::TunnelKind;
use super::proxied::{self, Proxied};
use super::socks;
use crate::stream::Direction;
use Direction::{ClientToServer, ServerToClient};

/// How long a first line with an unknown method may be before it counts as HTTP all the same.
///
/// Rationale: RFC 9112, section 3: 8,000 bytes is what every party should support.
const FIRST_LINE_MAX: usize = 8 * 1024;

/// What the first bytes say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Too few to tell.
    Undecided,
    /// HTTP/1.
    Http,
    /// Empty lines before the first head (RFC 9112, section 2.2): so many bytes to step over.
    EmptyLines(usize),
    /// A PROXY protocol header: so many bytes to step over, and what it says.
    Proxied(usize, Box<Proxied>),
    /// SOCKS, as it seems.
    Socks(TunnelKind),
    /// No HTTP/1.
    Other(Lookalike),
}

/// RFC 9113, section 3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The longest method that is taken for one.
///
/// Rationale: the longest registered one, BASELINE-CONTROL, has 16 bytes.
const METHOD_MAX: usize = 20;

/// RFC 9112, section 4.
const STATUS_LINE: &[u8] = b"HTTP/1.";

/// The methods that need no second look (RFC 9110, section 9.1, RFC 5789).
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
];

/// Reads the first bytes of a direction, all that came so far.
pub(super) fn classify(direction: Direction, bytes: &[u8]) -> Start {
    if let Some(start) = tls(bytes) {
        return start;
    }
    match direction {
        ClientToServer => client(bytes),
        ServerToClient => server(bytes),
    }
}

/// Whether these bytes, the second behind the first, may be the beginning of a later head.
pub(super) fn may_begin_head(direction: Direction, kept: &[u8], bytes: &[u8]) -> bool {
    let mut first = kept.iter().chain(bytes);
    match direction {
        ClientToServer => {
            let behind = first
                .by_ref()
                .take(METHOD_MAX + 1)
                .find(|b| !b.is_ascii_uppercase());
            behind.map_or(kept.len() + bytes.len() <= METHOD_MAX, |b| *b == b' ')
        }
        ServerToClient => first
            .zip(STATUS_LINE)
            .all(|(byte, expected)| byte == expected),
    }
}

fn server(bytes: &[u8]) -> Start {
    if let Some(empty) = empty_lines(bytes) {
        return empty;
    }
    if METHODS.iter().any(|method| bytes.starts_with(method)) {
        return Start::Other(Lookalike::OtherRole);
    }
    literal(bytes, STATUS_LINE).unwrap_or_else(|| {
        let may_be_method = METHODS.iter().any(|method| method.starts_with(bytes));
        if may_be_method {
            Start::Undecided
        } else {
            Start::Other(greeting(bytes))
        }
    })
}

/// What the greetings of services that speak first begin with.
fn greeting(bytes: &[u8]) -> Lookalike {
    // RFC 4253, section 4.2; RFC 5321, section 3.1; RFC 959, section 4.2; RFC 1939; RFC 3501; RFC 6143.
    let has = |word: &[u8]| memchr::memmem::find(bytes, word).is_some();
    let name = match bytes {
        _ if bytes.starts_with(b"SSH-") => "SSH",
        _ if bytes.starts_with(b"220") && has(b"FTP") => "FTP",
        _ if bytes.starts_with(b"220") && has(b"SMTP") => "SMTP",
        _ if bytes.starts_with(b"220") => "SMTP or FTP",
        _ if bytes.starts_with(b"+OK") => "POP3",
        _ if bytes.starts_with(b"* OK") => "IMAP",
        _ if bytes.starts_with(b"RFB 0") => "VNC",
        _ if bytes.starts_with(b"-ERR ") => "Redis",
        _ => return Lookalike::Unknown,
    };
    Lookalike::Service(name)
}

fn client(bytes: &[u8]) -> Start {
    match literal(bytes, HTTP2_PREFACE) {
        Some(Start::Http) => return Start::Other(Lookalike::Http2Preface),
        // `P` alone is also the start of POST and PUT, and of PROXY.
        Some(undecided) => return undecided,
        None => {}
    }
    if let Some(start) = proxied::read(bytes).or_else(|| socks::start(bytes)) {
        return start;
    }
    if bytes.starts_with(STATUS_LINE) {
        return Start::Other(Lookalike::OtherRole);
    }
    empty_lines(bytes).unwrap_or_else(|| method(bytes))
}

/// `Http` if the bytes begin with `word`, `Undecided` while they may.
pub(super) fn literal(bytes: &[u8], word: &[u8]) -> Option<Start> {
    if bytes.starts_with(word) {
        return Some(Start::Http);
    }
    word.starts_with(bytes).then_some(Start::Undecided)
}

fn empty_lines(bytes: &[u8]) -> Option<Start> {
    let len = bytes
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    (len > 0).then_some(Start::EmptyLines(len))
}

/// A token in capitals, a space, and for unknown ones a line with ` HTTP/` in it:
/// `EHLO host` and `USER name` look the same at first.
fn method(bytes: &[u8]) -> Start {
    if STATUS_LINE.starts_with(bytes) {
        return Start::Undecided;
    }
    let len = bytes.iter().take_while(|b| b.is_ascii_uppercase()).count();
    let behind = bytes.get(len);
    if len > METHOD_MAX || len == 0 || behind.is_some_and(|b| *b != b' ') {
        return Start::Other(Lookalike::Unknown);
    }
    if METHODS.iter().any(|method| bytes.starts_with(method)) {
        return Start::Http;
    }
    let Some(line) = memchr(b'\n', bytes).and_then(|end| bytes.get(..end)) else {
        return if bytes.len() < FIRST_LINE_MAX {
            Start::Undecided
        } else {
            Start::Http
        };
    };
    match memchr::memmem::find(line, b" HTTP/") {
        Some(_) => Start::Http,
        None => Start::Other(Lookalike::Unknown),
    }
}

/// RFC 8446, sections 5.1 and 6: a record's type, version and length, then the message.
fn tls(bytes: &[u8]) -> Option<Start> {
    let decided = match *bytes {
        [0x16, 0x03, 0..=4, _, _, 1 | 2, ..] => Lookalike::TlsHandshake,
        [0x15, 0x03, 0..=4, 0, 2, level @ 1..=2, description, ..] => {
            Lookalike::TlsAlert(level, description)
        }
        [0x15 | 0x16] | [0x15 | 0x16, 0x03] => return Some(Start::Undecided),
        [0x16, 0x03, 0..=4] | [0x16, 0x03, 0..=4, _] | [0x16, 0x03, 0..=4, _, _] => {
            return Some(Start::Undecided);
        }
        [0x15, 0x03, 0..=4] | [0x15, 0x03, 0..=4, 0] | [0x15, 0x03, 0..=4, 0, 2] => {
            return Some(Start::Undecided);
        }
        [0x15, 0x03, 0..=4, 0, 2, 1..=2] => return Some(Start::Undecided),
        _ => return None,
    };
    Some(Start::Other(decided))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_start(bytes: &[u8]) -> Start {
        classify(ClientToServer, bytes)
    }

    #[test]
    fn one_byte_of_a_method_decides_nothing() {
        assert_eq!(client_start(b"G"), Start::Undecided);
        assert_eq!(client_start(b"GET "), Start::Http);
        assert_eq!(client_start(b"P"), Start::Undecided);
        assert_eq!(client_start(b"POST "), Start::Http);
    }

    #[test]
    fn other_text_protocols_are_no_http() {
        let other = Start::Other(Lookalike::Unknown);
        assert_eq!(client_start(b"EHLO mail.example\r\n"), other);
        assert_eq!(client_start(b"SSH-2.0-OpenSSH_9\r\n"), other);
        assert_eq!(client_start(b"PROPFIND / HTTP/1.1\r\n"), Start::Http);
        assert_eq!(
            classify(ServerToClient, b"220 mail.example ESMTP\r\n"),
            Start::Other(Lookalike::Service("SMTP"))
        );
    }

    #[test]
    fn tls_records_are_known_by_type_version_and_message() {
        assert_eq!(client_start(&[0x16, 3, 1, 2, 0]), Start::Undecided);
        assert_eq!(
            client_start(&[0x16, 3, 1, 2, 0, 1]),
            Start::Other(Lookalike::TlsHandshake)
        );
        let alert = [0x15, 3, 3, 0, 2, 2, 70];
        assert_eq!(
            classify(ServerToClient, &alert),
            Start::Other(Lookalike::TlsAlert(2, 70))
        );
    }

    #[test]
    fn a_response_from_the_client_is_of_the_other_role() {
        assert_eq!(client_start(b"HTTP"), Start::Undecided);
        assert_eq!(
            client_start(b"HTTP/1.1 200"),
            Start::Other(Lookalike::OtherRole)
        );
        assert_eq!(
            classify(ServerToClient, b"GET / HTTP/1.1"),
            Start::Other(Lookalike::OtherRole)
        );
    }

    #[test]
    fn http2_is_told_by_its_preface() {
        assert_eq!(client_start(&HTTP2_PREFACE[..20]), Start::Undecided);
        assert_eq!(
            client_start(HTTP2_PREFACE),
            Start::Other(Lookalike::Http2Preface)
        );
    }
}
