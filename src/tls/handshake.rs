//! Handshake messages, put together from records (RFC 8446, section 5.1).

/// The longest message that is read.
///
/// Rationale: certificate chains beyond this are refused by common endpoints.
const LONGEST: usize = 256 * 1024;

/// The kinds of messages that matter here (RFC 8446, section 4; RFC 5246, section 7.4).
pub(super) mod kind {
    pub(in crate::tls) const HELLO_REQUEST: u8 = 0;
    pub(in crate::tls) const CLIENT_HELLO: u8 = 1;
    pub(in crate::tls) const SERVER_HELLO: u8 = 2;
    pub(in crate::tls) const NEW_SESSION_TICKET: u8 = 4;
    pub(in crate::tls) const ENCRYPTED_EXTENSIONS: u8 = 8;
    pub(in crate::tls) const CERTIFICATE: u8 = 11;
    pub(in crate::tls) const CERTIFICATE_REQUEST: u8 = 13;
    pub(in crate::tls) const CLIENT_KEY_EXCHANGE: u8 = 16;
    pub(in crate::tls) const FINISHED: u8 = 20;
    pub(in crate::tls) const KEY_UPDATE: u8 = 24;
}

/// Puts the messages of one direction together.
#[derive(Debug, Default)]
pub(super) struct Messages {
    held: Vec<u8>,
    /// How many bytes of `held` were handed out.
    taken: usize,
    /// Bytes of a message that is too long to be read.
    skip: usize,
}

impl Messages {
    pub(super) fn held(&self) -> usize {
        self.held.capacity()
    }

    /// Bytes are missing: a message begun is lost.
    pub(super) fn lose(&mut self) {
        *self = Self::default();
    }

    /// Takes the content of a handshake record.
    pub(super) fn push(&mut self, content: &[u8]) {
        let skipped = self.skip.min(content.len());
        self.skip -= skipped;
        self.held.drain(..self.taken.min(self.held.len()));
        self.taken = 0;
        self.held
            .extend_from_slice(content.get(skipped..).unwrap_or_default());
    }

    /// The next whole message: its kind, and all of it with its header of 4 bytes.
    pub(super) fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let rest = self.held.get(self.taken..)?;
        let [kind, high, middle, low] = *rest.first_chunk()?;
        let len = usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()?;
        let whole = len.checked_add(4)?;
        if whole > LONGEST {
            *self = Self {
                skip: whole.saturating_sub(rest.len()),
                ..Self::default()
            };
            return None;
        }
        let message = rest.get(..whole)?.to_vec();
        self.taken += whole;
        if self.taken == self.held.len() {
            // Between handshakes nothing is held.
            *self = Self::default();
        }
        Some((kind, message))
    }
}
