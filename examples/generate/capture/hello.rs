//! The messages of the TLS handshake (RFC 8446, section 4; RFC 5246, section
//! 7.4), true in form; keys, signatures and hashes in them are random.

use super::rng::Rng;

/// For `feed.example`, signed by itself with ECDSA, valid from 2025 to 2044.
const CERTIFICATE: &[u8] = include_bytes!("certificate.der");

const SERVER_NAME: &[u8] = b"feed.example";
const ALPN: &[u8] = b"http/1.1";
const X25519: [u8; 2] = [0x00, 0x1d];
const ECDSA_SHA256: [u8; 2] = [0x04, 0x03];

/// A ClientHello; `tls13` offers it beside TLS 1.2.
pub(crate) fn client(random: &[u8; 32], session: &[u8], tls13: bool, rng: &mut Rng) -> Vec<u8> {
    const SUITES: [u16; 6] = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xcca9];
    let suites = SUITES.iter().filter(|suite| tls13 || **suite > 0xc000);
    let suites: Vec<u8> = suites.flat_map(|suite| suite.to_be_bytes()).collect();
    let mut body = vec![3, 3];
    body.extend(random);
    body.extend(vector8(session));
    body.extend(vector16(&suites));
    body.extend(vector8(&[0])); // no compression
    let name = [&[0], &vector16(SERVER_NAME)[..]].concat();
    let mut extensions = extension(0, &vector16(&name));
    extensions.extend(extension(10, &vector16(&X25519)));
    extensions.extend(extension(11, &vector8(&[0])));
    extensions.extend(extension(13, &vector16(&ECDSA_SHA256)));
    extensions.extend(extension(16, &vector16(&vector8(ALPN))));
    extensions.extend(extension(23, &[]));
    if tls13 {
        extensions.extend(extension(43, &vector8(&[3, 4, 3, 3])));
        extensions.extend(extension(45, &vector8(&[1])));
        extensions.extend(extension(51, &vector16(&key_share(rng))));
    }
    extensions.extend(extension(0xff01, &vector8(&[])));
    body.extend(vector16(&extensions));
    message(1, &body)
}

/// A ServerHello of TLS 1.3.
pub(crate) fn server13(random: &[u8; 32], session: &[u8], suite: u16, rng: &mut Rng) -> Vec<u8> {
    let mut extensions = extension(43, &[3, 4]);
    extensions.extend(extension(51, &key_share(rng)));
    server(random, session, suite, &extensions)
}

/// A ServerHello of TLS 1.2.
pub(crate) fn server12(random: &[u8; 32], session: &[u8], suite: u16) -> Vec<u8> {
    let mut extensions = extension(0xff01, &vector8(&[]));
    extensions.extend(extension(11, &vector8(&[0])));
    extensions.extend(extension(16, &vector16(&vector8(ALPN))));
    extensions.extend(extension(23, &[]));
    server(random, session, suite, &extensions)
}

fn server(random: &[u8; 32], session: &[u8], suite: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend(random);
    body.extend(vector8(session));
    body.extend(suite.to_be_bytes());
    body.push(0); // no compression
    body.extend(vector16(extensions));
    message(2, &body)
}

/// With the protocol chosen.
pub(crate) fn encrypted_extensions() -> Vec<u8> {
    let alpn = extension(16, &vector16(&vector8(ALPN)));
    message(8, &vector16(&alpn))
}

/// The server's, one link long.
pub(crate) fn certificate(tls13: bool) -> Vec<u8> {
    let mut entry = vector24(CERTIFICATE);
    if tls13 {
        entry.extend(vector16(&[]));
    }
    let list = vector24(&entry);
    let body = if tls13 {
        [vector8(&[]), list].concat()
    } else {
        list
    };
    message(11, &body)
}

/// RFC 8446, section 4.4.3.
pub(crate) fn certificate_verify(rng: &mut Rng) -> Vec<u8> {
    message(
        15,
        &[&ECDSA_SHA256[..], &vector16(&signature(rng))].concat(),
    )
}

/// RFC 8422, section 5.4.
pub(crate) fn server_key_exchange(rng: &mut Rng) -> Vec<u8> {
    let mut body = vec![3]; // named_curve
    body.extend(X25519);
    body.extend(vector8(&rng.bytes::<32>()));
    body.extend(ECDSA_SHA256);
    body.extend(vector16(&signature(rng)));
    message(12, &body)
}

pub(crate) fn server_hello_done() -> Vec<u8> {
    message(14, &[])
}

/// RFC 8422, section 5.7.
pub(crate) fn client_key_exchange(rng: &mut Rng) -> Vec<u8> {
    message(16, &vector8(&rng.bytes::<32>()))
}

/// With `len` (at most 48) bytes of verify data.
pub(crate) fn finished(len: usize, rng: &mut Rng) -> Vec<u8> {
    let bytes: [u8; 48] = rng.bytes();
    message(20, bytes.get(..len).unwrap_or(&bytes))
}

/// A NewSessionTicket of TLS 1.3, the `number`th.
pub(crate) fn ticket(number: u8, rng: &mut Rng) -> Vec<u8> {
    let mut body = 7_200_u32.to_be_bytes().to_vec(); // its lifetime in seconds
    body.extend(rng.bytes::<4>());
    body.extend(vector8(&[number]));
    body.extend(vector16(&rng.bytes::<192>()));
    body.extend(vector16(&[]));
    message(4, &body)
}

fn key_share(rng: &mut Rng) -> Vec<u8> {
    [&X25519[..], &vector16(&rng.bytes::<32>())].concat()
}

/// The DER form of an ECDSA signature, of two numbers that are neither negative nor too short.
fn signature(rng: &mut Rng) -> Vec<u8> {
    let mut number = || {
        let mut bytes: [u8; 32] = rng.bytes();
        bytes[0] = bytes[0] & 0x7f | 0x40;
        [&[2, 32], &bytes[..]].concat()
    };
    let numbers = [number(), number()].concat();
    [&[0x30], &vector8(&numbers)[..]].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &vector24(body)[..]].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector16(data)].concat()
}

/// RFC 8446, section 3.4: a vector with a length of one byte.
fn vector8(bytes: &[u8]) -> Vec<u8> {
    vector(1, bytes)
}

fn vector16(bytes: &[u8]) -> Vec<u8> {
    vector(2, bytes)
}

fn vector24(bytes: &[u8]) -> Vec<u8> {
    vector(3, bytes)
}

fn vector(width: usize, bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut out: Vec<u8> = len.into_iter().skip(4 - width).collect();
    out.extend_from_slice(bytes);
    out
}
