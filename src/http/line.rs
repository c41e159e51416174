//! What heads are made of: start lines, tokens, and how many fields count.

/// Fields that are kept of one head; the rest is not read.
///
/// Rationale: Apache refuses 100, nginx is bounded by bytes only; nobody means more than this.
pub(super) const FIELDS_MAX: usize = 1024;

/// The start line of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'b> {
    pub(super) method: &'b [u8],
    pub(super) target: &'b [u8],
    pub(super) minor_version: u8,
}

/// The start line of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusLine<'b> {
    pub(super) status: u16,
    pub(super) reason: &'b [u8],
    pub(super) minor_version: u8,
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}
