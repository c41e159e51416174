//! Alerts (RFC 8446, section 6).

/// What one side says about the end, or about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alert {
    /// 1 is a warning, 2 fatal; TLS 1.3 goes by the description alone.
    pub level: u8,
    /// Its number in IANA's registry.
    pub description: u8,
}

impl Alert {
    /// The alert that a record's content is.
    pub(super) fn parse(content: &[u8]) -> Option<Self> {
        let [level, description] = *content else {
            return None;
        };
        Some(Self { level, description })
    }

    /// This side sends nothing more, in good order.
    pub const fn is_close_notify(self) -> bool {
        self.description == 0
    }

    /// Its sender ends the connection at once (RFC 5246, section 7.2).
    pub const fn is_fatal(self) -> bool {
        self.level == 2
    }

    /// RFC 8446, section 6.1: an alert that tells of an end in good order.
    pub const fn is_of_closing(self) -> bool {
        matches!(self.description, 0 | 90)
    }

    /// The name in IANA's registry.
    pub const fn name(self) -> &'static str {
        match self.description {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            111 => "certificate_unobtainable",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            114 => "bad_certificate_hash_value",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            121 => "ech_required",
            _ => "unknown",
        }
    }
}
