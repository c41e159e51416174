//! The Close frame (RFC 6455, sections 5.5.1 and 7.4).

use super::Control;

/// A Close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Header, place and raw body.
    pub control: Control,
    /// The status code; `None` for an empty body, or one of a single byte.
    pub code: Option<u16>,
    /// The reason; bytes that aren't UTF-8 are replaced.
    pub reason: String,
    /// The breaches that this very frame commits.
    pub breaches: Vec<super::Breach>,
}
