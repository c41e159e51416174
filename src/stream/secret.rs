//! The secrets of a key log (RFC 9850), as the reader of key logs hands them
//! to the layer that decrypts.

use std::fmt;

/// Which secret a line of a key log holds: the line's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretLabel {
    /// `CLIENT_RANDOM`: the master secret of TLS 1.2 and older.
    Master,
    /// `CLIENT_EARLY_TRAFFIC_SECRET`
    ClientEarlyTraffic,
    /// `CLIENT_HANDSHAKE_TRAFFIC_SECRET`
    ClientHandshakeTraffic,
    /// `SERVER_HANDSHAKE_TRAFFIC_SECRET`
    ServerHandshakeTraffic,
    /// `CLIENT_TRAFFIC_SECRET_0`
    ClientTraffic,
    /// `SERVER_TRAFFIC_SECRET_0`
    ServerTraffic,
    /// `EARLY_EXPORTER_SECRET`
    EarlyExporter,
    /// `EXPORTER_SECRET`
    Exporter,
    /// `ECH_SECRET`
    EchSecret,
    /// `ECH_CONFIG`
    EchConfig,
}

impl SecretLabel {
    /// All of them, with the words that stand for them in a key log.
    const ALL: [(Self, &'static str); 10] = [
        (Self::Master, "CLIENT_RANDOM"),
        (Self::ClientEarlyTraffic, "CLIENT_EARLY_TRAFFIC_SECRET"),
        (
            Self::ClientHandshakeTraffic,
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        ),
        (
            Self::ServerHandshakeTraffic,
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        ),
        (Self::ClientTraffic, "CLIENT_TRAFFIC_SECRET_0"),
        (Self::ServerTraffic, "SERVER_TRAFFIC_SECRET_0"),
        (Self::EarlyExporter, "EARLY_EXPORTER_SECRET"),
        (Self::Exporter, "EXPORTER_SECRET"),
        (Self::EchSecret, "ECH_SECRET"),
        (Self::EchConfig, "ECH_CONFIG"),
    ];

    /// The label that `word` is, in any case.
    pub fn of(word: &str) -> Option<Self> {
        let matching = |(_, name): &&(Self, &str)| name.eq_ignore_ascii_case(word);
        Self::ALL.iter().find(matching).map(|(label, _)| *label)
    }

    /// The word that stands for it in a key log.
    pub fn name(self) -> &'static str {
        let matching = |(label, _): &&(Self, &str)| *label == self;
        Self::ALL.iter().find(matching).map_or("", |(_, name)| name)
    }
}

/// A secret, and what it is the secret of.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Of the connection whose ClientHello has this random.
    OfRandom {
        /// Which.
        label: SecretLabel,
        /// ClientHello.random.
        client_random: [u8; 32],
        /// 48 bytes for a master secret, else as long as the suite's hash.
        bytes: Vec<u8>,
    },
    /// `RSA`: the premaster secret whose encrypted form begins so.
    Premaster {
        /// The first 8 bytes of the encrypted premaster secret.
        encrypted: [u8; 8],
        /// 48 bytes.
        bytes: Vec<u8>,
    },
    /// `RSA Session-ID: Master-Key:`: the master secret of a session (RFC 5246, section 7.4.1.2).
    OfSession {
        /// The session id.
        id: Vec<u8>,
        /// 48 bytes.
        master: Vec<u8>,
    },
}

/// Says which secret it is; never the secret itself.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfRandom { label, .. } => write!(f, "Secret({})", label.name()),
            Self::Premaster { .. } => write!(f, "Secret(RSA)"),
            Self::OfSession { .. } => write!(f, "Secret(RSA Session-ID)"),
        }
    }
}
