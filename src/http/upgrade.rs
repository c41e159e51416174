//! The checks of the opening handshake (RFC 6455, section 4; RFC 7692, section 7.1).

/// One way in which a head breaks the rules of the opening handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeBreach {
    /// A stable word: `upgrade-missing`, `accept-mismatch` ...
    pub kind: &'static str,
    /// One sentence that says what was seen and what must be; free of secrets.
    pub what: String,
    /// `RFC 6455, section 4.1`.
    pub section: &'static str,
}

/// What both sides agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// The subprotocol that the server chose, offered or not.
    pub subprotocol: Option<String>,
    /// The extensions that the server accepted, as it wrote them.
    pub extensions: Vec<String>,
    /// permessage-deflate, where it was accepted.
    pub deflate: Option<DeflateParameters>,
}

/// The parameters of permessage-deflate (RFC 7692, section 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeflateParameters {
    /// The server compresses each message on its own.
    pub server_no_context_takeover: bool,
    /// The client does.
    pub client_no_context_takeover: bool,
    /// LZ77 window of the server, 8 to 15; `None` means 15.
    pub server_max_window_bits: Option<u8>,
    /// LZ77 window of the client.
    pub client_max_window_bits: Option<u8>,
}
