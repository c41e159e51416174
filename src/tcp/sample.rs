//! A payload that is not kept, in 8 bytes.

/// A fingerprint of the payload's first and last 16 bytes: enough to show
/// that two payloads differ, not that they are the same.
///
/// Rationale: the payload has been handed on and is not kept; hashing all of
/// it would cost more than everything else that is done with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) first: u32,
    last: u32,
}

impl Sample {
    /// Bytes at each end.
    pub(super) const EDGE: u32 = 16;

    pub(super) fn of(payload: &[u8]) -> Self {
        match (payload.first_chunk::<16>(), payload.last_chunk::<16>()) {
            (Some(first), Some(last)) => Self {
                first: mix(u128::from_le_bytes(*first)),
                last: mix(u128::from_le_bytes(*last)),
            },
            // As it comes out for no bytes: most acknowledgments have none.
            _ if payload.is_empty() => Self { first: 0, last: 0 },
            _ => {
                let mut short = [0; 16];
                for (to, from) in short.iter_mut().zip(payload) {
                    *to = *from;
                }
                let first = mix(u128::from_le_bytes(short));
                Self { first, last: first }
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "all parts are folded in")]
pub(super) fn mix(part: u128) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let folded = (part as u64) ^ ((part >> 64) as u64).rotate_left(29);
    let mixed = folded.wrapping_mul(ODD);
    (mixed ^ (mixed >> 32)) as u32
}
