//! Steps over a message body (RFC 9112, section 6), and says which of its bytes are content.

use super::parse::Head;

/// How much of a body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked(Chunked),
    /// All until the sender closes.
    UntilClose,
}

/// Where in the chunked coding the next byte lies (RFC 9112, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In the digits of a chunk's size.
    Size { size: u64, digits: u8 },
    /// Behind the size, before the line's end.
    Extension(u64),
    /// In the data of a chunk.
    Data(u64),
    /// In the line end behind the data.
    DataEnd,
    /// In a line of the trailer section, with so many bytes in it (0, 1 or "more": 2).
    Trailer(u8),
}

/// What a step over some bytes did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All bytes belong to the body; more come.
    More,
    /// The body ended after so many bytes.
    Ended(usize),
    /// These bytes are not what was announced.
    Broken,
}

impl Body {
    /// The start of a chunked body.
    pub(super) const CHUNKED: Self = Self::Chunked(Chunked::Size { size: 0, digits: 0 });

    /// The body that a request announces.
    pub(super) fn of_request<L>(head: &Head<'_, '_, L>) -> Self {
        if head.list("transfer-encoding").any(is_chunked) {
            return Self::CHUNKED;
        }
        Self::Length(content_length(head).unwrap_or(0))
    }

    /// The body that a response announces. HEAD, 1xx, 204 and 304 are the caller's to know.
    pub(super) fn of_response<L>(head: &Head<'_, '_, L>) -> Self {
        if let Some(coding) = head.list("transfer-encoding").last() {
            return if is_chunked(coding) {
                Self::CHUNKED
            } else {
                Self::UntilClose
            };
        }
        content_length(head).map_or(Self::UntilClose, Self::Length)
    }

    /// Steps over bytes, and hands the content among them to `content`.
    pub(super) fn step(&mut self, bytes: &[u8], content: &mut impl FnMut(&[u8])) -> Step {
        match self {
            Self::UntilClose => {
                content(bytes);
                Step::More
            }
            Self::Length(left) => {
                let len = take(left, bytes, content);
                if *left == 0 {
                    Step::Ended(len)
                } else {
                    Step::More
                }
            }
            Self::Chunked(state) => step_chunked(state, bytes, content),
        }
    }
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"chunked")
}

/// The first Content-Length that is a number.
fn content_length<L>(head: &Head<'_, '_, L>) -> Option<u64> {
    head.list("content-length")
        .find_map(|v| std::str::from_utf8(v).ok()?.parse().ok())
}

/// Takes up to `left` bytes as content; how many it took.
fn take(left: &mut u64, bytes: &[u8], content: &mut impl FnMut(&[u8])) -> usize {
    let len = usize::try_from(*left)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    if let Some(taken) = bytes.get(..len).filter(|taken| !taken.is_empty()) {
        content(taken);
    }
    *left -= u64::try_from(len).unwrap_or(*left).min(*left);
    len
}

fn step_chunked(state: &mut Chunked, bytes: &[u8], content: &mut impl FnMut(&[u8])) -> Step {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if let Chunked::Data(left) = state {
            at += take(left, rest, content);
            if *left == 0 {
                *state = Chunked::DataEnd;
            }
            continue;
        }
        let Some(byte) = rest.first() else { break };
        at += 1;
        match next(*state, *byte) {
            Some(Some(after)) => *state = after,
            Some(None) => return Step::Ended(at),
            None => return Step::Broken,
        }
    }
    Step::More
}

/// The state after one byte outside of data; `Some(None)` at the end, `None` where the byte can't stand there.
fn next(state: Chunked, byte: u8) -> Option<Option<Chunked>> {
    // RFC 9112, section 7.1.2: the last chunk is followed by trailer fields and an empty line.
    let behind_size = |size| {
        if size == 0 {
            Chunked::Trailer(0)
        } else {
            Chunked::Data(size)
        }
    };
    let after = match (state, byte) {
        (Chunked::Size { size, digits: 1.. }, b'\n') | (Chunked::Extension(size), b'\n') => {
            behind_size(size)
        }
        (Chunked::Size { size, digits: 1.. }, b'\r' | b';' | b' ' | b'\t') => {
            Chunked::Extension(size)
        }
        (
            Chunked::Size {
                size,
                digits: digits @ ..16,
            },
            _,
        ) => {
            let digit = char::from(byte).to_digit(16)?;
            Chunked::Size {
                size: (size << 4) | u64::from(digit),
                digits: digits + 1,
            }
        }
        (Chunked::Extension(size), _) => Chunked::Extension(size),
        (Chunked::DataEnd, b'\r') => Chunked::DataEnd,
        (Chunked::DataEnd, b'\n') => Chunked::Size { size: 0, digits: 0 },
        (Chunked::Trailer(0 | 1), b'\n') => return Some(None),
        (Chunked::Trailer(0), b'\r') => Chunked::Trailer(1),
        (Chunked::Trailer(_), b'\n') => Chunked::Trailer(0),
        (Chunked::Trailer(_), _) => Chunked::Trailer(2),
        (Chunked::Size { .. } | Chunked::DataEnd | Chunked::Data(_), _) => return None,
    };
    Some(Some(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content found and the last step, the bytes coming in pieces of `size`.
    fn read(mut body: Body, bytes: &[u8], size: usize) -> (String, Step) {
        let mut content = Vec::new();
        let mut before = 0;
        for piece in bytes.chunks(size) {
            match body.step(piece, &mut |bytes| content.extend_from_slice(bytes)) {
                Step::More => before += piece.len(),
                Step::Ended(len) => return (text(content), Step::Ended(before + len)),
                Step::Broken => return (text(content), Step::Broken),
            }
        }
        (text(content), Step::More)
    }

    fn text(content: Vec<u8>) -> String {
        String::from_utf8(content).unwrap()
    }

    #[test]
    fn chunks_are_joined_however_they_come() {
        let bytes = b"5;x=\"y\"\r\nhello\r\n06\r\n world\r\n0\r\nDigest: z\r\n\r\nHTTP/1.1";
        for size in 1..=bytes.len() {
            assert_eq!(
                read(Body::CHUNKED, bytes, size),
                ("hello world".to_owned(), Step::Ended(44)),
                "{size}"
            );
        }
    }

    #[test]
    fn bare_line_feeds_separate_chunks_too() {
        assert_eq!(
            read(Body::CHUNKED, b"2\nhi\n0\n\n", 3),
            ("hi".to_owned(), Step::Ended(8))
        );
    }

    #[test]
    fn what_is_no_chunk_size_breaks_the_body() {
        for bytes in [&b"\r\n"[..], b"x\r\n", b"1\r\nab", b"11112222333344445\r\n"] {
            assert_eq!(read(Body::CHUNKED, bytes, 4).1, Step::Broken, "{bytes:?}");
        }
    }

    #[test]
    fn the_largest_chunk_needs_no_arithmetic_beyond_64_bits() {
        assert_eq!(
            read(Body::CHUNKED, b"ffffffffffffffff\r\nab", 5),
            ("ab".to_owned(), Step::More)
        );
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        assert_eq!(
            read(Body::Length(3), b"abcd", 2),
            ("abc".to_owned(), Step::Ended(3))
        );
        assert_eq!(
            read(Body::UntilClose, b"abcd", 2),
            ("abcd".to_owned(), Step::More)
        );
    }
}
