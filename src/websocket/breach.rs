//! What RFC 6455 and RFC 7692 forbid, and what a header alone shows of it.

use super::{Frame, Opcode};
use crate::stream::Direction;

/// RFC 6455, section 5.5: control frames carry at most 125 bytes.
pub(super) const MAX_CONTROL: usize = 125;

/// A breach of RFC 6455 or RFC 7692, named after what is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Breach {
    /// A client's frame is not masked (RFC 6455, section 5.1).
    UnmaskedClientFrame,
    /// A server's frame is masked (RFC 6455, section 5.1).
    MaskedServerFrame,
    /// RSV1 is set, and no extension that uses it was agreed on (RFC 6455, section 5.2).
    Rsv1WithoutExtension,
    /// RSV1 is set on a control frame or on a continuation (RFC 7692, section 6.1).
    Rsv1Misplaced,
    /// RSV2 or RSV3 is set (RFC 6455, section 5.2).
    ReservedBits,
    /// A reserved opcode (RFC 6455, section 5.2).
    ReservedOpcode,
    /// The length is not in its shortest form (RFC 6455, section 5.2).
    NonMinimalLength,
    /// The top bit of the 64-bit length is set (RFC 6455, section 5.2). Nothing after it can be read.
    LengthTopBit,
    /// A control frame without FIN (RFC 6455, section 5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (RFC 6455, section 5.5).
    ControlTooLong,
    /// A continuation with nothing to continue (RFC 6455, section 5.4).
    UnexpectedContinuation,
    /// A new data message before the last fragment of the one before (RFC 6455, section 5.4).
    InterleavedMessage,
    /// A text message that isn't UTF-8 (RFC 6455, section 8.1).
    InvalidUtf8,
    /// The compressed payload doesn't inflate (RFC 7692, section 7.2.2).
    InflateFailed,
    /// A Close frame with a body of one byte (RFC 6455, section 5.5.1).
    CloseBodyOneByte,
    /// A Close frame with a code that must not be on the wire (RFC 6455, section 7.4).
    CloseCodeIllegal,
    /// A Close reason that isn't UTF-8 (RFC 6455, section 5.5.1).
    CloseReasonNotUtf8,
    /// A data or Ping frame after the sender's own Close (RFC 6455, section 5.5.1).
    FrameAfterClose,
    /// HTTP or HTML where a frame header should be. Nothing after it can be read.
    HttpInStream,
    /// The transport ended inside a frame (RFC 6455, section 7.1.7).
    TruncatedFrame,
    /// The transport ended, or Close was sent, inside a fragmented message.
    UnfinishedMessage,
}

/// Hands to `found` each breach that this header commits whatever came before
/// it, with a few words on what was seen. `minimal`: the length is in its
/// shortest form. `deflate`: permessage-deflate was agreed on.
#[inline]
pub(super) fn of_header(
    frame: &Frame,
    minimal: bool,
    deflate: bool,
    found: &mut impl FnMut(Breach, String),
) {
    match (frame.direction, frame.mask) {
        (Direction::ClientToServer, None) => {
            found(Breach::UnmaskedClientFrame, "the MASK bit is 0".to_owned());
        }
        (Direction::ServerToClient, Some(_)) => {
            found(Breach::MaskedServerFrame, "the MASK bit is 1".to_owned());
        }
        (Direction::ClientToServer, Some(_)) | (Direction::ServerToClient, None) => {}
    }
    if frame.rsv != 0 {
        of_reserved_bits(frame, deflate, found);
    }
    if let Opcode::Reserved(code) = frame.opcode {
        found(Breach::ReservedOpcode, format!("opcode {code}"));
    }
    if frame.opcode.is_control() {
        if !frame.fin {
            found(
                Breach::FragmentedControl,
                format!("{} frame without FIN", frame.opcode.name()),
            );
        }
        if frame.payload_len > MAX_CONTROL as u64 {
            found(
                Breach::ControlTooLong,
                format!("{} bytes", frame.payload_len),
            );
        }
    }
    if !minimal {
        found(
            Breach::NonMinimalLength,
            format!("{} bytes", frame.payload_len),
        );
    }
    if top_bit(frame) {
        found(
            Breach::LengthTopBit,
            format!("length {:#x}", frame.payload_len),
        );
    }
}

/// The top bit of the 64-bit length is set.
pub(super) const fn top_bit(frame: &Frame) -> bool {
    frame.payload_len >> 63 != 0
}

#[cold]
fn of_reserved_bits(frame: &Frame, deflate: bool, found: &mut impl FnMut(Breach, String)) {
    if frame.rsv1() {
        let first_of_data = matches!(frame.opcode, Opcode::Text | Opcode::Binary);
        let detail = format!("RSV1 on a {} frame", frame.opcode.name());
        match (deflate, first_of_data) {
            (false, _) => found(Breach::Rsv1WithoutExtension, detail),
            (true, false) => found(Breach::Rsv1Misplaced, detail),
            (true, true) => {}
        }
    }
    match frame.rsv & 0b011 {
        0 => {}
        0b010 => found(Breach::ReservedBits, "RSV2".to_owned()),
        0b001 => found(Breach::ReservedBits, "RSV3".to_owned()),
        _ => found(Breach::ReservedBits, "RSV2 and RSV3".to_owned()),
    }
}
