//! The Close frame (RFC 6455, sections 5.5.1 and 7.4).

use super::{Breach, Control};

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
    pub breaches: Vec<Breach>,
}

impl CloseFrame {
    /// Reads the body of `control`; `found` learns what is wrong with it.
    pub(super) fn read(control: Control, found: &mut impl FnMut(Breach, String)) -> Self {
        if control.frame.payload_len == 1 {
            let body = control
                .payload
                .first()
                .map_or_else(String::new, |byte| format!("{byte:#04x}"));
            found(Breach::CloseBodyOneByte, body);
        }
        let (code, reason) = match control.payload.split_first_chunk::<2>() {
            Some((code, reason)) => (Some(u16::from_be_bytes(*code)), reason),
            None => (None, &[][..]),
        };
        if let Some(code) = code.filter(|&code| is_illegal(code)) {
            found(Breach::CloseCodeIllegal, format!("code {code}"));
        }
        if let Err(error) = std::str::from_utf8(reason)
            && (error.error_len().is_some() || is_whole(&control))
        {
            let at = error.valid_up_to();
            let byte = reason.get(at).copied().unwrap_or_default();
            found(
                Breach::CloseReasonNotUtf8,
                format!("byte {byte:#04x} at offset {at} of the reason"),
            );
        }
        let reason = String::from_utf8_lossy(reason).into_owned();
        Self {
            control,
            code,
            reason,
            breaches: Vec::new(),
        }
    }
}

/// The payload has every byte of the frame's.
fn is_whole(control: &Control) -> bool {
    control.complete && control.payload.len() as u64 == control.frame.payload_len
}

/// A code that must not be on the wire (RFC 6455, section 7.4): below 1000, the
/// ones that only an API reports, and those that nobody registered. 1012 to
/// 1014 are registered with IANA.
pub(super) const fn is_illegal(code: u16) -> bool {
    !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_on_the_wire() {
        let legal: Vec<u16> = (0..=u16::MAX).filter(|&code| !is_illegal(code)).collect();
        let expected: Vec<u16> = [1000, 1001, 1002, 1003]
            .into_iter()
            .chain(1007..=1014)
            .chain(3000..=4999)
            .collect();
        assert_eq!(legal, expected);
    }
}
