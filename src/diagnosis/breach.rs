//! Which finding tells of which breach.

use crate::session::Breach;

/// The id of the rule that reports this breach of RFC 6455 or 7692.
pub const fn rule_of(breach: Breach) -> &'static str {
    match breach {
        Breach::UnmaskedClientFrame | Breach::MaskedServerFrame => "pv-mask",
        Breach::Rsv1WithoutExtension => "cmp-not-negotiated",
        Breach::Rsv1Misplaced | Breach::ReservedBits => "pv-rsv",
        Breach::ReservedOpcode => "pv-opcode",
        Breach::NonMinimalLength | Breach::LengthTopBit | Breach::ControlTooLong => "pv-length",
        Breach::FragmentedControl
        | Breach::UnexpectedContinuation
        | Breach::InterleavedMessage
        | Breach::UnfinishedMessage => "pv-fragmentation",
        Breach::InvalidUtf8 => "pv-utf8",
        Breach::InflateFailed => "cmp-inflate-error",
        Breach::CloseBodyOneByte | Breach::CloseCodeIllegal | Breach::CloseReasonNotUtf8 => {
            "close-illegal"
        }
        Breach::FrameAfterClose => "close-data-after-close",
        Breach::HttpInStream => "pv-http-in-stream",
        Breach::TruncatedFrame => "pv-truncated",
    }
}

/// The receiver must fail the connection at the frame that commits it, so that
/// the message it belongs to is not one. The others leave a message: a length
/// that is not in its shortest form is read by most receivers, and text that
/// isn't UTF-8, or was left unfinished, was framed rightly.
pub const fn is_of_framing(breach: Breach) -> bool {
    !matches!(
        breach,
        Breach::NonMinimalLength
            | Breach::InvalidUtf8
            | Breach::InflateFailed
            | Breach::UnfinishedMessage
            | Breach::TruncatedFrame
    )
}
