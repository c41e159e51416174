//! Splits a malformed head into lines and fields, and says what is wrong with it.

use httparse::Header;
use memchr::memchr;

use super::breach::{HandshakeBreach, fault};
use super::line::{FIELDS_MAX, RequestLine, StatusLine, is_token};

/// Reads a request line, however it is spaced; a missing version counts as 0.
pub(super) fn request_line(line: &[u8]) -> Option<RequestLine<'_>> {
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

/// Reads a status line.
pub(super) fn status_line(line: &[u8]) -> Option<StatusLine<'_>> {
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

/// `HTTP/1.x`: the x; 0 for what only begins so.
fn minor_version(word: &[u8]) -> Option<u8> {
    match word.strip_prefix(b"HTTP/")? {
        [b'1', b'.', digit @ b'0'..=b'9'] => Some(digit - b'0'),
        _ => Some(0),
    }
}

/// Whether httparse takes this line as the first of a head.
pub(super) fn is_strict_start_line(line: &[u8]) -> bool {
    let mut room = [httparse::EMPTY_HEADER; 0];
    let whole = [line, b"\r\n\r\n"].concat();
    httparse::Request::new(&mut room).parse(&whole).is_ok()
        || httparse::Response::new(&mut room).parse(&whole).is_ok()
}

/// One line without its end, and what comes after.
pub(super) fn take_line(bytes: &[u8]) -> (&[u8], &[u8]) {
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
/// lines as they lie in the head; [`text`](super::parse::text) joins them.
pub(super) fn fields(bytes: &[u8]) -> Vec<Header<'_>> {
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
pub(super) fn field_faults(bytes: &[u8], faults: &mut Vec<HandshakeBreach>) {
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

#[cfg(test)]
mod tests {
    use super::super::parse::{self, text};
    use super::*;

    /// The fields of a request with these lines, and what is wrong with it.
    fn read(lines: &str) -> (Vec<(String, String)>, Vec<&'static str>) {
        let bytes = format!("GET / HTTP/1.1\r\n{lines}\r\n");
        let mut room = parse::room();
        let head = parse::request(bytes.as_bytes(), &mut room).unwrap();
        let kinds = head
            .faults(bytes.as_bytes())
            .into_iter()
            .map(|f| f.kind)
            .collect();
        (head.headers().0, kinds)
    }

    fn field(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_well_formed_head_has_no_fault() {
        assert_eq!(
            read("A: 1 \r\nb:\r\n"),
            (vec![field("A", "1"), field("b", "")], vec![])
        );
    }

    #[test]
    fn a_folded_value_is_joined() {
        let folded = read("A: 1\r\n\t2\r\n 3\r\nB: 4\r\n");
        assert_eq!(
            folded,
            (
                vec![field("A", "1 2 3"), field("B", "4")],
                vec!["folded-field"]
            )
        );
    }

    #[test]
    fn each_kind_of_fault_is_told_once() {
        let (fields, kinds) = read("A : 1\r\nB : 2\r\nno colon\r\n(c): 3\r\nD: \x01\r\n");
        assert_eq!(
            fields,
            [
                field("A", "1"),
                field("B", "2"),
                field("(c)", "3"),
                field("D", "\x01")
            ]
        );
        let expected = [
            "space-before-colon",
            "field-without-colon",
            "field-name-invalid",
            "field-value-invalid",
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn many_fields_are_read_all() {
        let (fields, kinds) = read(&"A: 1\r\n".repeat(300));
        assert_eq!((fields.len(), kinds), (300, vec![]));
    }

    #[test]
    fn a_value_that_is_no_utf8_is_read_lossily() {
        assert_eq!(text(b" caf\xe9 "), "caf\u{fffd}");
    }

    #[test]
    fn other_protocols_with_request_lines_are_no_http() {
        assert_eq!(request_line(b"OPTIONS sip:h SIP/2.0"), None);
        let spaced = RequestLine {
            method: b"GET",
            target: b"/a b",
            minor_version: 1,
        };
        assert_eq!(request_line(b"GET  /a b  HTTP/1.1"), Some(spaced));
        assert_eq!(status_line(b"HTTP/1.1 x"), None);
        assert_eq!(
            status_line(b"HTTP/1.1  101"),
            Some(StatusLine {
                status: 101,
                reason: b"",
                minor_version: 1
            })
        );
    }
}
