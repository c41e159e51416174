//! ClientHello and ServerHello (RFC 8446, sections 4.1.2 and 4.1.3; RFC 5246, section 7.4.1).

use super::certificate::{self, Certificate};
use super::wire::Wire;

/// What the client offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// By which a key log names the connection.
    pub random: [u8; 32],
    /// The session that it wants to resume, or a made-up one.
    pub session_id: Vec<u8>,
    /// Suites by number, as they stand there.
    pub suites: Vec<u16>,
    /// The highest version offered, such as `0x0304`.
    pub version: u16,
    /// Every version offered, where the extension says so.
    pub versions: Vec<u16>,
    /// The name that the client asks for (RFC 6066, section 3).
    pub server_name: Option<String>,
    /// Protocols offered (RFC 7301).
    pub alpn: Vec<String>,
    /// Early data follows (RFC 8446, section 4.2.10).
    pub early_data: bool,
    /// A pre-shared key is offered, which is how TLS 1.3 resumes.
    pub pre_shared_key: bool,
    /// A session ticket of TLS 1.2 is shown (RFC 5077).
    pub ticket: bool,
    /// The real server name is encrypted.
    pub encrypted_hello: bool,
}

/// What the server chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// Its half of the randomness.
    pub random: [u8; 32],
    /// The session id that it sends or echoes.
    pub session_id: Vec<u8>,
    /// The suite by number.
    pub suite: u16,
    /// The version, such as `0x0304`.
    pub version: u16,
    /// The protocol chosen, where it stands here: TLS 1.2 and older.
    pub alpn: Option<String>,
    /// A pre-shared key was taken: TLS 1.3 resumes.
    pub pre_shared_key: bool,
    /// RFC 7627.
    pub extended_master_secret: bool,
    /// RFC 7366.
    pub encrypt_then_mac: bool,
}

/// RFC 8446, section 4.1.3: the random that makes a ServerHello a HelloRetryRequest.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

impl ServerHello {
    /// Whether it asks for another ClientHello.
    pub fn is_retry(&self) -> bool {
        self.random == RETRY
    }

    /// Reads the body of the message.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut wire = Wire(body);
        let mut hello = Self {
            version: wire.u16()?,
            random: wire.array()?,
            session_id: wire.vector8()?.0.to_vec(),
            suite: wire.u16()?,
            ..Self::default()
        };
        wire.u8()?; // the compression method
        each_extension(wire, |kind, mut data| {
            match kind {
                16 => hello.alpn = protocols(data).into_iter().next(),
                22 => hello.encrypt_then_mac = true,
                23 => hello.extended_master_secret = true,
                41 => hello.pre_shared_key = true,
                43 => hello.version = data.u16().unwrap_or(hello.version),
                _ => {}
            };
        });
        Some(hello)
    }
}

impl ClientHello {
    /// Reads the body of the message.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut wire = Wire(body);
        let mut hello = Self {
            version: wire.u16()?,
            random: wire.array()?,
            session_id: wire.vector8()?.0.to_vec(),
            suites: wire.vector16()?.u16s(),
            ..Self::default()
        };
        wire.vector8()?; // compression methods
        each_extension(wire, |kind, mut data| match kind {
            0 => hello.server_name = server_name(data),
            16 => hello.alpn = protocols(data),
            35 => hello.ticket = !data.is_empty(),
            41 => hello.pre_shared_key = true,
            42 => hello.early_data = true,
            43 => hello.versions = data.vector8().map(Wire::u16s).unwrap_or_default(),
            0xfe0d => hello.encrypted_hello = true,
            _ => {}
        });
        // RFC 8701: values that end in the same byte twice are there to be ignored.
        let known = |version: &&u16| (0x0300..=0x0304).contains(*version);
        if let Some(highest) = hello.versions.iter().filter(known).max() {
            hello.version = *highest;
        }
        Some(hello)
    }
}

/// The protocol that EncryptedExtensions name, and whether they accept early data.
pub(super) fn encrypted_extensions(body: &[u8]) -> (Option<String>, bool) {
    let (mut alpn, mut early_data) = (None, false);
    each_extension(Wire(body), |kind, data| match kind {
        16 => alpn = protocols(data).into_iter().next(),
        42 => early_data = true,
        _ => {}
    });
    (alpn, early_data)
}

/// The certificates of a Certificate message, the sender's own first.
/// RFC 8446, section 4.4.2; RFC 5246, section 7.4.2.
pub(super) fn certificates(body: &[u8], tls13: bool) -> Vec<Certificate> {
    /// Rationale: longer chains than 10 are refused by common verifiers.
    const CHAIN: usize = 10;
    let mut wire = Wire(body);
    let mut chain = Vec::new();
    if tls13 && wire.vector8().is_none() {
        return chain;
    }
    let Some(mut list) = wire.vector24() else {
        return chain;
    };
    while let Some(certificate) = list.vector24()
        && chain.len() < CHAIN
    {
        chain.extend(Certificate::parse(certificate.0));
        if tls13 && list.vector16().is_none() {
            break;
        }
    }
    chain
}

/// The ticket of TLS 1.2 that a ClientHello shows (RFC 5077, section 3.2).
pub(super) fn shown_ticket(body: &[u8]) -> Option<&[u8]> {
    let mut wire = Wire(body);
    wire.take(34)?;
    wire.vector8()?;
    wire.vector16()?;
    wire.vector8()?;
    let mut ticket = None;
    each_extension(wire, |kind, data| {
        if kind == 35 && !data.is_empty() {
            ticket = Some(data.0);
        }
    });
    ticket
}

/// The ticket that a server of TLS 1.2 hands out (RFC 5077, section 3.3).
pub(super) fn new_ticket(body: &[u8]) -> Option<&[u8]> {
    let mut wire = Wire(body);
    wire.take(4)?; // its lifetime
    let ticket = wire.vector16()?;
    (!ticket.is_empty()).then_some(ticket.0)
}

/// The public key of the first certificate of a message of TLS 1.2 or older.
pub(super) fn public_key(body: &[u8]) -> Option<Vec<u8>> {
    let mut list = Wire(body).vector24()?;
    certificate::public_key(list.vector24()?.0)
}

fn each_extension<'a>(mut wire: Wire<'a>, mut each: impl FnMut(u16, Wire<'a>)) {
    let Some(mut extensions) = wire.vector16() else {
        return;
    };
    while let (Some(kind), Some(data)) = (extensions.u16(), extensions.vector16()) {
        each(kind, data);
    }
}

/// RFC 6066, section 3.
fn server_name(mut data: Wire<'_>) -> Option<String> {
    let mut names = data.vector16()?;
    let kind = names.u8()?;
    let name = names.vector16()?;
    (kind == 0).then(|| String::from_utf8_lossy(name.0).into_owned())
}

/// RFC 7301, section 3.1.
fn protocols(mut data: Wire<'_>) -> Vec<String> {
    let mut protocols = Vec::new();
    let Some(mut list) = data.vector16() else {
        return protocols;
    };
    while let Some(name) = list.vector8() {
        protocols.push(String::from_utf8_lossy(name.0).into_owned());
    }
    protocols
}
