//! The PROXY protocol's header, versions 1 and 2: what a load balancer says of the client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use memchr::memchr;

use super::Lookalike;
use super::start::{Start, literal};

/// PROXY protocol, section 2.2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// PROXY protocol, section 2.1.
const WORD: &[u8] = b"PROXY ";
/// PROXY protocol, section 2.1: the longest line of version 1, CR LF included.
const LINE_MAX: usize = 107;
/// The longest header of version 2 that is read.
///
/// Rationale: addresses take 216 bytes at most; with a client's certificate
/// among the extensions a header has a few thousand.
const HEADER_MAX: usize = 16 * 1024;
/// PROXY protocol, section 2.2: the signature, version and command, family, length.
const FIXED: usize = 16;

/// What a PROXY protocol header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxied {
    /// 1 or 2.
    pub version: u8,
    /// The client that it names; `None` where it names none (`UNKNOWN`, a
    /// `LOCAL` health check, a Unix socket) or nothing readable.
    pub source: Option<SocketAddr>,
    /// Whom that client dialled.
    pub destination: Option<SocketAddr>,
    /// The sender speaks for itself: `LOCAL`, a health check.
    pub local: bool,
    /// The TLS version that the client spoke to the sender: `TLSv1.3`.
    pub tls: Option<String>,
    /// The host name that the client asked for (SNI).
    pub authority: Option<String>,
    /// What the client negotiated by ALPN.
    pub alpn: Option<String>,
    /// The first thing that is wrong with it.
    pub fault: Option<ProxyFault>,
}

/// What is wrong with a PROXY protocol header. Servers that expect one close on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// Version 1: the family is none of TCP4, TCP6 and UNKNOWN (section 2.1).
    Family,
    /// Version 1: an address or a port is none, or not of the family (section 2.1).
    Address,
    /// Version 1: the line doesn't end with CR LF, or words are separated by more than a space (section 2.1).
    Form,
    /// Version 1: more than 107 bytes (section 2.1).
    TooLong,
    /// Version 2: the version is not 2, or the command neither LOCAL nor PROXY (section 2.2).
    Command,
    /// Version 2: too short for the addresses of its family (section 2.2).
    TooShort,
    /// Version 2: an extension is longer than what is left of the header (section 2.2).
    Extension,
    /// Version 2: the checksum is wrong (section 2.2.3).
    Checksum,
}

impl ProxyFault {
    /// In a few words.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Family => "the family is none of TCP4, TCP6 and UNKNOWN",
            Self::Address => "an address or a port can't be read",
            Self::Form => "the line is not separated or not ended as it should be",
            Self::TooLong => "the line is longer than 107 bytes",
            Self::Command => "version or command are unknown",
            Self::TooShort => "it is too short for its addresses",
            Self::Extension => "an extension is longer than the header",
            Self::Checksum => "the checksum is wrong",
        }
    }
}

/// Reads a header at the start of a client's bytes; `None` if they begin with none.
pub(super) fn read(bytes: &[u8]) -> Option<Start> {
    match literal(bytes, SIGNATURE) {
        Some(Start::Http) => return Some(binary(bytes)),
        // CR LF may also be empty lines before a request; they are stepped over later.
        Some(undecided) => return Some(undecided),
        None => {}
    }
    match literal(bytes, WORD)? {
        Start::Http => Some(line(bytes)),
        undecided => Some(undecided),
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 40001 443`, CR LF.
fn line(bytes: &[u8]) -> Start {
    let Some(end) = memchr(b'\n', bytes) else {
        return match bytes.len() {
            ..LINE_MAX => Start::Undecided,
            _ => Start::Other(Lookalike::ProxyProtocol),
        };
    };
    let mut header = Proxied {
        version: 1,
        ..Proxied::default()
    };
    let whole = bytes.get(..end).unwrap_or_default();
    let text = whole.strip_suffix(b"\r").unwrap_or(whole);
    match words(&String::from_utf8_lossy(text)) {
        Ok(Some((source, destination))) => {
            (header.source, header.destination) = (Some(source), Some(destination));
        }
        Ok(None) => {}
        Err(fault) => header.fault = Some(fault),
    }
    if end >= LINE_MAX {
        header.fault.get_or_insert(ProxyFault::TooLong);
    } else if text.len() == whole.len() {
        header.fault.get_or_insert(ProxyFault::Form);
    }
    Start::Proxied(end + 1, Box::new(header))
}

/// Source and destination of a line without its end; none behind UNKNOWN.
fn words(text: &str) -> Result<Option<(SocketAddr, SocketAddr)>, ProxyFault> {
    let mut words = text.split(' ').skip(1);
    let four = match words.next() {
        Some("TCP4") => true,
        Some("TCP6") => false,
        // Section 2.1: whatever follows UNKNOWN is to be ignored.
        Some("UNKNOWN") => return Ok(None),
        _ => return Err(ProxyFault::Family),
    };
    let [Some(from), Some(to), Some(from_port), Some(to_port), None] = [
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ] else {
        return Err(ProxyFault::Form);
    };
    let address = |word: &str, port: &str| {
        let address = word
            .parse::<IpAddr>()
            .ok()
            .filter(|ip| ip.is_ipv4() == four)?;
        let decimal = port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse::<u16>().ok().filter(|_| decimal)?;
        Some(SocketAddr::from((address, port)))
    };
    match (address(from, from_port), address(to, to_port)) {
        (Some(source), Some(destination)) => Ok(Some((source, destination))),
        _ => Err(ProxyFault::Address),
    }
}

/// ```text
///  0          12        13       14       16
/// +-----------+---------+--------+--------+-----------+------------+
/// | signature | ver/cmd | family | length | addresses | extensions |
/// +-----------+---------+--------+--------+-----------+------------+
/// ```
fn binary(bytes: &[u8]) -> Start {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Start::Undecided;
    };
    let [.., command, family, high, low] = *fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > HEADER_MAX {
        return Start::Other(Lookalike::ProxyProtocol);
    }
    let Some(body) = rest.get(..len) else {
        return Start::Undecided;
    };
    let mut header = Proxied {
        version: 2,
        local: command == 0x20,
        ..Proxied::default()
    };
    match command {
        // Section 2.2: behind LOCAL the rest is to be skipped.
        0x20 => {}
        0x21 => {
            if let Err(fault) = body_of(&mut header, family, body) {
                header.fault = Some(fault);
            } else if !checksum_holds(bytes.get(..FIXED + len).unwrap_or_default(), family) {
                header.fault = Some(ProxyFault::Checksum);
            }
        }
        _ => header.fault = Some(ProxyFault::Command),
    }
    Start::Proxied(FIXED + len, Box::new(header))
}

/// How many bytes the addresses of this family take.
const fn addresses_len(family: u8) -> usize {
    match family >> 4 {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    }
}

fn body_of(header: &mut Proxied, family: u8, body: &[u8]) -> Result<(), ProxyFault> {
    let (addresses, extensions) = body
        .split_at_checked(addresses_len(family))
        .ok_or(ProxyFault::TooShort)?;
    if let Some((source, destination)) = addresses_of(family, addresses) {
        (header.source, header.destination) = (Some(source), Some(destination));
    }
    each_extension(extensions, &mut |kind, value| {
        let text = || Some(String::from_utf8_lossy(value).chars().take(255).collect());
        match kind {
            // Sections 2.2.1, 2.2.2 and 2.2.6.
            0x01 => header.alpn = text(),
            0x02 => header.authority = text(),
            0x20 => header.tls = tls_version(value),
            _ => {}
        }
    })
}

fn addresses_of(family: u8, bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    fn ports(bytes: &[u8]) -> Option<(u16, u16)> {
        let [a, b, c, d] = *bytes.first_chunk()?;
        Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }
    match family >> 4 {
        1 => {
            let (source, rest) = bytes.split_first_chunk::<4>()?;
            let (destination, rest) = rest.split_first_chunk::<4>()?;
            let (from, to) = ports(rest)?;
            Some((
                (Ipv4Addr::from(*source), from).into(),
                (Ipv4Addr::from(*destination), to).into(),
            ))
        }
        2 => {
            let (source, rest) = bytes.split_first_chunk::<16>()?;
            let (destination, rest) = rest.split_first_chunk::<16>()?;
            let (from, to) = ports(rest)?;
            Some((
                (Ipv6Addr::from(*source), from).into(),
                (Ipv6Addr::from(*destination), to).into(),
            ))
        }
        _ => None,
    }
}

/// A type, a length of two bytes, a value: one behind the other (section 2.2).
fn each_extension(mut bytes: &[u8], each: &mut impl FnMut(u8, &[u8])) -> Result<(), ProxyFault> {
    while let Some((&[kind, high, low], rest)) = bytes.split_first_chunk::<3>() {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(len).ok_or(ProxyFault::Extension)?;
        each(kind, value);
        bytes = rest;
    }
    match bytes {
        [] => Ok(()),
        _ => Err(ProxyFault::Extension),
    }
}

/// Section 2.2.6: flags of the client, the verification's result, then extensions; 0x21 is the version.
fn tls_version(value: &[u8]) -> Option<String> {
    let (_, inner) = value.split_at_checked(5)?;
    let mut version = None;
    each_extension(inner, &mut |kind, value| {
        if kind == 0x21 {
            version = Some(String::from_utf8_lossy(value).chars().take(32).collect());
        }
    })
    .ok()?;
    version
}

/// Section 2.2.3: a CRC-32C of the whole header, the checksum's own bytes taken as zero.
fn checksum_holds(header: &[u8], family: u8) -> bool {
    let mut at = FIXED + addresses_len(family);
    while let Some((&[kind, high, low], rest)) =
        header.get(at..).and_then(|rest| rest.split_first_chunk())
    {
        let len = usize::from(u16::from_be_bytes([high, low]));
        if let (0x03, Some(told)) = (kind, rest.get(..len).and_then(|v| v.first_chunk::<4>())) {
            let own = at + 3..at + 7;
            let bytes = header.iter().enumerate();
            let zeroed = bytes.map(|(i, byte)| if own.contains(&i) { 0 } else { *byte });
            return crc32c(zeroed) == u32::from_be_bytes(*told);
        }
        at += 3 + len;
    }
    true
}

/// Castagnoli's polynomial, reflected.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bytes: &[u8]) -> (usize, Proxied) {
        match read(bytes) {
            Some(Start::Proxied(len, header)) => (len, *header),
            other => panic!("{other:?}"),
        }
    }

    fn fault(bytes: &[u8]) -> Option<ProxyFault> {
        header(bytes).1.fault
    }

    /// A header of version 2 with this command, family and body.
    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family, len[0], len[1]], body].concat()
    }

    const FOUR: [u8; 12] = [192, 0, 2, 7, 192, 0, 2, 2, 0x9c, 0x41, 1, 187];

    fn extension(kind: u8, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[kind, len[0], len[1]], value].concat()
    }

    #[test]
    fn a_line_names_client_and_destination() {
        let (len, four) = header(b"PROXY TCP4 192.0.2.7 192.0.2.2 40001 443\r\nGET ");
        assert_eq!((len, four.version, four.fault), (42, 1, None));
        assert_eq!(four.source, "192.0.2.7:40001".parse().ok());
        assert_eq!(four.destination, "192.0.2.2:443".parse().ok());
        let six = header(b"PROXY TCP6 2001:db8::7 2001:db8::2 40001 443\r\n").1;
        assert_eq!(six.source, "[2001:db8::7]:40001".parse().ok());
    }

    #[test]
    fn what_follows_unknown_is_ignored() {
        assert_eq!(header(b"PROXY UNKNOWN\r\n"), header(b"PROXY UNKNOWN\r\n"));
        let (len, told) = header(b"PROXY UNKNOWN ffff::1 x y z\r\n");
        assert_eq!((len, told.source, told.fault), (29, None, None));
    }

    #[test]
    fn a_line_that_is_none_says_why() {
        for (line, expected) in [
            ("PROXY UDP4 192.0.2.7 192.0.2.2 1 2\r\n", ProxyFault::Family),
            (
                "PROXY TCP4 2001:db8::7 192.0.2.2 1 2\r\n",
                ProxyFault::Address,
            ),
            (
                "PROXY TCP4 192.0.2.7 192.0.2.2 70000 2\r\n",
                ProxyFault::Address,
            ),
            (
                "PROXY TCP4 192.0.2.7 192.0.2.2 +1 2\r\n",
                ProxyFault::Address,
            ),
            ("PROXY TCP4 192.0.2.7  192.0.2.2 1 2\r\n", ProxyFault::Form),
            ("PROXY TCP4 192.0.2.7 192.0.2.2 1 2\n", ProxyFault::Form),
        ] {
            assert_eq!(fault(line.as_bytes()), Some(expected), "{line}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        assert_eq!(
            (long.len(), fault(long.as_bytes())),
            (108, Some(ProxyFault::TooLong))
        );
        let just = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
        assert_eq!((just.len(), fault(just.as_bytes())), (107, None));
    }

    #[test]
    fn a_line_that_never_ends_is_no_header() {
        let (short, long) = (vec![b'x'; 100], vec![b'x'; 101]);
        assert_eq!(read(&[WORD, &short].concat()), Some(Start::Undecided));
        let other = Start::Other(Lookalike::ProxyProtocol);
        assert_eq!(read(&[WORD, &long].concat()), Some(other));
        assert_eq!(read(b"PATCH "), None);
        assert_eq!(read(b"PRO"), Some(Start::Undecided));
    }

    #[test]
    fn a_binary_header_waits_for_its_last_byte() {
        let whole = v2(0x21, 0x11, &FOUR);
        for cut in 1..whole.len() {
            assert_eq!(read(&whole[..cut]), Some(Start::Undecided), "{cut}");
        }
        let (len, told) = header(&whole);
        assert_eq!((len, told.version, told.fault), (28, 2, None));
        assert_eq!(told.source, "192.0.2.7:40001".parse().ok());
        assert_eq!(told.destination, "192.0.2.2:443".parse().ok());
    }

    #[test]
    fn families_differ_in_length() {
        let mut six = [0; 36];
        (six[15], six[31], six[33], six[35]) = (7, 2, 9, 10);
        let told = header(&v2(0x21, 0x21, &six)).1;
        assert_eq!(told.source, "[::7]:9".parse().ok());
        let unix = header(&v2(0x21, 0x31, &[b'a'; 216])).1;
        assert_eq!((unix.source, unix.fault), (None, None));
        assert_eq!(fault(&v2(0x21, 0x21, &FOUR)), Some(ProxyFault::TooShort));
        assert_eq!(fault(&v2(0x21, 0x31, &FOUR)), Some(ProxyFault::TooShort));
        assert_eq!(fault(&v2(0x21, 0x00, &[])), None);
    }

    #[test]
    fn a_health_check_names_nobody() {
        let told = header(&v2(0x20, 0x11, &FOUR)).1;
        assert_eq!((told.local, told.source, told.fault), (true, None, None));
        assert_eq!(fault(&v2(0x31, 0x11, &FOUR)), Some(ProxyFault::Command));
        assert_eq!(fault(&v2(0x22, 0x11, &FOUR)), Some(ProxyFault::Command));
    }

    #[test]
    fn extensions_tell_what_the_client_spoke() {
        let ssl = [&[1, 0, 0, 0, 0][..], &extension(0x21, b"TLSv1.3")].concat();
        let more = [
            extension(0x01, b"http/1.1"),
            extension(0x02, b"ws.example.test"),
            extension(0x20, &ssl),
            extension(0x04, &[0; 5]),
        ]
        .concat();
        let told = header(&v2(0x21, 0x11, &[&FOUR[..], &more].concat())).1;
        let words = [told.alpn, told.authority, told.tls].map(Option::unwrap);
        assert_eq!(words, ["http/1.1", "ws.example.test", "TLSv1.3"]);
        assert_eq!(told.fault, None);
        let beyond = [&FOUR[..], &[2, 0, 9, b'x']].concat();
        assert_eq!(fault(&v2(0x21, 0x11, &beyond)), Some(ProxyFault::Extension));
    }

    #[test]
    fn a_checksum_is_checked() {
        assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
        let zero = v2(0x21, 0x11, &[&FOUR[..], &extension(3, &[0; 4])].concat());
        let sum = crc32c(zero.iter().copied()).to_be_bytes();
        let right = v2(0x21, 0x11, &[&FOUR[..], &extension(3, &sum)].concat());
        assert_eq!(fault(&right), None);
        assert_eq!(fault(&zero), Some(ProxyFault::Checksum));
    }

    #[test]
    fn a_header_longer_than_any_is_not_waited_for() {
        let long = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
        let other = Start::Other(Lookalike::ProxyProtocol);
        assert_eq!(read(&long), Some(other));
    }
}
