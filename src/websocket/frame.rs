//! Frame headers (RFC 6455, section 5.2), read with tungstenite's codec.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;

use super::{Confidence, Opcode};
use crate::stream::{Direction, PacketRef};

/// The longest header: 2 bytes, 8 of length, 4 of masking key.
pub(super) const MAX_HEADER: usize = 14;

/// One frame's header and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Who sent it.
    pub direction: Direction,
    /// Its opcode.
    pub opcode: Opcode,
    /// FIN: the last frame of its message.
    pub fin: bool,
    /// RSV1, RSV2, RSV3 as the bits 4, 2, 1.
    pub rsv: u8,
    /// The masking key, where the MASK bit is set.
    pub mask: Option<[u8; 4]>,
    /// Stream offset of the header's first byte.
    pub offset: u64,
    /// Bytes of the header.
    pub header_len: u8,
    /// Payload bytes, as the header says.
    pub payload_len: u64,
    /// The packet with the header's first byte.
    pub at: PacketRef,
    /// How sure it is that a frame begins here.
    pub confidence: Confidence,
}

impl Frame {
    /// Stream offset just after the frame.
    pub const fn end(&self) -> u64 {
        self.offset
            .saturating_add(self.header_len as u64)
            .saturating_add(self.payload_len)
    }

    /// RSV1 is set.
    pub const fn rsv1(&self) -> bool {
        self.rsv & 0b100 != 0
    }
}

/// A frame header without its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    pub(super) rsv: u8,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) len: u8,
    /// As written, the top bit of a 64-bit length included.
    pub(super) payload_len: u64,
    /// The length is in its shortest form.
    pub(super) minimal: bool,
}

/// What stands where a frame should begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    /// A frame header.
    Header(Header),
    /// HTTP or HTML, which begins so.
    Http(&'static str),
    /// More bytes are needed; 14 are always enough.
    Short,
}

/// How HTTP and HTML begin.
///
/// No legal frame begins so: `H` (0x48) is a Close frame without FIN, and `<`
/// (0x3c) and `G` (0x47) have a reserved opcode. Waiting for the whole pattern
/// therefore never delays a legal frame.
const FOREIGN: [&str; 6] = ["HTTP/1.", "<htm", "<HTM", "<!DO", "<!do", "GET "];

/// Reads what stands at a frame boundary.
pub(super) fn read(bytes: &[u8]) -> Boundary {
    if let Some(b'H' | b'<' | b'G') = bytes.first() {
        for pattern in FOREIGN {
            if bytes.starts_with(pattern.as_bytes()) {
                return Boundary::Http(pattern);
            }
            if pattern.as_bytes().starts_with(bytes) {
                return Boundary::Short;
            }
        }
    }
    match parse(bytes) {
        Some(header) => Boundary::Header(header),
        None => Boundary::Short,
    }
}

/// Reads a frame header, if all of it is there, whatever else could begin so.
pub(super) fn parse(bytes: &[u8]) -> Option<Header> {
    let (&first, rest) = bytes.split_first()?;
    let opcode = Opcode::from_code(first & 0x0f);
    if !matches!(opcode, Opcode::Reserved(_)) {
        return parse_as(opcode, bytes);
    }
    // The codec refuses reserved opcodes, and the length with them: show it a
    // binary frame instead.
    let mut copy = [0; MAX_HEADER];
    let shown = bytes.len().min(MAX_HEADER);
    copy.iter_mut()
        .skip(1)
        .zip(rest)
        .for_each(|(to, from)| *to = *from);
    if let Some(to) = copy.first_mut() {
        *to = first & 0xf0 | 2;
    }
    parse_as(opcode, copy.get(..shown)?)
}

fn parse_as(opcode: Opcode, bytes: &[u8]) -> Option<Header> {
    let mut cursor = Cursor::new(bytes);
    let (header, payload_len) = FrameHeader::parse(&mut cursor).ok()??;
    let len = u8::try_from(cursor.position()).ok()?;
    Some(Header {
        opcode,
        fin: header.is_final,
        rsv: u8::from(header.rsv1) << 2 | u8::from(header.rsv2) << 1 | u8::from(header.rsv3),
        mask: header.mask,
        len,
        payload_len,
        // The codec's own answer is the length of the shortest header.
        minimal: header.len(payload_len) == usize::from(len),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(bytes: &[u8]) -> Header {
        match read(bytes) {
            Boundary::Header(header) => header,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_header_needs_all_its_bytes() {
        let whole = [0x81, 0xfe, 0x01, 0x00, 1, 2, 3, 4];
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), Boundary::Short);
        }
        let expected = Header {
            opcode: Opcode::Text,
            fin: true,
            rsv: 0,
            mask: Some([1, 2, 3, 4]),
            len: 8,
            payload_len: 256,
            minimal: true,
        };
        assert_eq!(header(&whole), expected);
    }

    #[test]
    fn a_reserved_opcode_keeps_its_length_and_its_bits() {
        let read = header(&[0x75, 0x7e, 0x01, 0x02]);
        assert_eq!(
            (read.opcode, read.fin, read.rsv, read.payload_len),
            (Opcode::Reserved(5), false, 7, 258)
        );
    }

    #[test]
    fn a_length_may_be_longer_than_it_must() {
        assert!(header(&[0x82, 125]).minimal);
        assert!(!header(&[0x82, 126, 0, 125]).minimal);
        assert!(header(&[0x82, 126, 0, 126]).minimal);
        assert!(!header(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]).minimal);
        assert!(header(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]).minimal);
    }

    #[test]
    fn the_top_bit_of_the_length_is_kept() {
        assert_eq!(
            header(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1]).payload_len,
            1 << 63 | 1
        );
    }

    #[test]
    fn http_is_known_by_its_whole_pattern() {
        assert_eq!(read(b"HTTP/1"), Boundary::Short);
        assert_eq!(read(b"HTTP/1."), Boundary::Http("HTTP/1."));
        assert_eq!(read(b"<!DOCTYPE html>"), Boundary::Http("<!DO"));
        assert_eq!(header(b"HTTX").opcode, Opcode::Close);
    }

    #[test]
    fn no_legal_frame_begins_as_http_does() {
        for pattern in FOREIGN {
            let header = parse(pattern.as_bytes()).unwrap();
            assert!(header.opcode.is_control() && !header.fin || pattern == "GET ");
            assert!(pattern != "GET " || header.opcode == Opcode::Reserved(7));
        }
    }

    proptest! {
        #[test]
        fn fourteen_bytes_are_always_enough(bytes: [u8; MAX_HEADER]) {
            prop_assert_ne!(read(&bytes), Boundary::Short);
        }
    }
}
