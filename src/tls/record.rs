//! Records (RFC 8446, section 5.1): cut out of the byte stream, and found
//! again after bytes were lost.

/// Length of a record header.
pub(super) const HEADER: usize = 5;

/// The longest fragment: RFC 5246, section 6.2.3; TLS 1.3 allows less.
pub(super) const MAX_FRAGMENT: u16 = 16_384 + 2_048;

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentType {
    /// 20
    ChangeCipherSpec,
    /// 21
    Alert,
    /// 22
    Handshake,
    /// 23
    ApplicationData,
    /// 24 (RFC 6520).
    Heartbeat,
}

impl ContentType {
    /// The type that `code` stands for.
    pub(super) const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            24 => Self::Heartbeat,
            _ => return None,
        })
    }

    const fn code(self) -> u8 {
        match self {
            Self::ChangeCipherSpec => 20,
            Self::Alert => 21,
            Self::Handshake => 22,
            Self::ApplicationData => 23,
            Self::Heartbeat => 24,
        }
    }
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) content: ContentType,
    /// `legacy_record_version`.
    pub(super) version: u16,
    /// Length of the fragment in bytes.
    pub(super) len: u16,
}

impl Header {
    /// The header that these bytes are, if they can be one.
    pub(super) fn parse(bytes: &[u8; HEADER]) -> Option<Self> {
        let [content, major, minor, high, low] = *bytes;
        let content = ContentType::from_code(content)?;
        let len = u16::from_be_bytes([high, low]);
        // SSL 3.0 is 3.0; nothing is above TLS 1.2 here, as TLS 1.3 says 1.2.
        let version = (major == 3 && minor <= 4).then(|| u16::from_be_bytes([major, minor]))?;
        let empty = len == 0 && content != ContentType::ApplicationData;
        (len <= MAX_FRAGMENT && !empty).then_some(Self {
            content,
            version,
            len,
        })
    }

    /// As it stands on the wire.
    pub(super) fn bytes(self) -> [u8; HEADER] {
        let [major, minor] = self.version.to_be_bytes();
        let [high, low] = self.len.to_be_bytes();
        [self.content.code(), major, minor, high, low]
    }
}
