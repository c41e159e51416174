//! The first part of the body of a refusal, readable.

use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::parse::Head;

/// How much of a body is shown.
///
/// Rationale: error pages and JSON errors say what is wrong in their first lines.
pub(super) const EXCERPT_MAX: usize = 2048;

/// How much of a compressed body is kept to decode the excerpt from.
///
/// Rationale: deflate adds at most a few bytes in a block, so twice the excerpt always suffices.
const COMPRESSED_MAX: usize = 2 * EXCERPT_MAX;

/// Content of a refusal's body, still coded.
#[derive(Debug)]
pub(super) struct Excerpt {
    content: Vec<u8>,
    coding: Coding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Deflate,
    /// br, zstd, or several on top of each other: not read.
    Other,
}

impl Excerpt {
    /// Ready for the body behind this head.
    pub(super) fn new<L>(head: &Head<'_, '_, L>) -> Self {
        let codings = || {
            head.list("content-encoding")
                .chain(head.list("transfer-encoding"))
        };
        let mut codings =
            codings().filter(|c| !c.is_empty() && !is(c, "identity") && !is(c, "chunked"));
        let coding = match (codings.next(), codings.next()) {
            (None, _) => Coding::Identity,
            (Some(c), None) if is(c, "gzip") || is(c, "x-gzip") => Coding::Gzip,
            (Some(c), None) if is(c, "deflate") => Coding::Deflate,
            _ => Coding::Other,
        };
        Self {
            content: Vec::new(),
            coding,
        }
    }

    /// Takes content, as much as is needed.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.limit().saturating_sub(self.content.len());
        self.content
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Whether more content would not be shown.
    pub(super) fn is_full(&self) -> bool {
        self.content.len() >= self.limit()
    }

    pub(super) fn buffered(&self) -> usize {
        self.content.len()
    }

    /// The decoded excerpt, as far as it can be decoded.
    pub(super) fn decode(self) -> Vec<u8> {
        let coded = self.content.as_slice();
        match self.coding {
            Coding::Identity => self.content,
            Coding::Gzip => inflate(GzDecoder::new(coded)),
            // RFC 9110, section 8.4.1.2: zlib around it; some servers send it bare.
            Coding::Deflate => match inflate(ZlibDecoder::new(coded)) {
                decoded if decoded.is_empty() => inflate(DeflateDecoder::new(coded)),
                decoded => decoded,
            },
            Coding::Other => Vec::new(),
        }
    }

    const fn limit(&self) -> usize {
        match self.coding {
            Coding::Identity => EXCERPT_MAX,
            Coding::Gzip | Coding::Deflate => COMPRESSED_MAX,
            Coding::Other => 0,
        }
    }
}

fn is(coding: &[u8], name: &str) -> bool {
    coding.eq_ignore_ascii_case(name.as_bytes())
}

/// What can be inflated before the bytes end or go bad.
fn inflate(decoder: impl Read) -> Vec<u8> {
    let mut decoder = decoder;
    let mut decoded = vec![0; EXCERPT_MAX];
    let mut len = 0;
    while let Some(room) = decoded.get_mut(len..).filter(|room| !room.is_empty()) {
        match decoder.read(room) {
            Ok(0) | Err(_) => break,
            Ok(read) => len = len.saturating_add(read),
        }
    }
    decoded.truncate(len);
    decoded
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::super::parse;
    use super::*;

    /// What is shown of a body that came under these fields.
    fn shown(fields: &str, body: &[u8]) -> Vec<u8> {
        let bytes = format!("HTTP/1.1 403 No\r\n{fields}\r\n");
        let mut room = parse::room();
        let mut excerpt = Excerpt::new(&parse::response(bytes.as_bytes(), &mut room).unwrap());
        for piece in body.chunks(700) {
            excerpt.push(piece);
        }
        excerpt.decode()
    }

    #[test]
    fn a_plain_body_is_cut() {
        assert_eq!(shown("", &[b'a'; 5000]), [b'a'; EXCERPT_MAX]);
    }

    #[test]
    fn compressed_bodies_are_read() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        let writers: [&mut dyn Write; 3] = [&mut gzip, &mut zlib, &mut bare];
        writers
            .into_iter()
            .for_each(|writer| writer.write_all(b"token expired").unwrap());
        let (gzip, zlib, bare) = (
            gzip.finish().unwrap(),
            zlib.finish().unwrap(),
            bare.finish().unwrap(),
        );
        for (fields, body) in [
            ("Content-Encoding: gzip\r\n", &gzip),
            ("Transfer-Encoding: gzip, chunked\r\n", &gzip),
            ("Content-Encoding: deflate\r\n", &zlib),
            ("Content-Encoding: deflate\r\n", &bare),
        ] {
            assert_eq!(shown(fields, body), b"token expired", "{fields}");
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_not_shown() {
        assert_eq!(shown("Content-Encoding: br\r\n", b"abc"), b"");
        assert_eq!(shown("Content-Encoding: gzip\r\n", b"no gzip"), b"");
    }
}
