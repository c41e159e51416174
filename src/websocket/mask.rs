//! Unmasking (RFC 6455, section 5.3), block by block.

/// Rationale: most frames that a client sends are shorter; clearing a block
/// of this size on the stack costs nothing that can be measured.
const SMALL: usize = 128;

/// Rationale: holds the payload of an ordinary TCP segment, and is cheap to
/// clear. A multiple of 8, so the masking key starts anew with each block.
const LARGE: usize = 2048;

/// Hands `payload` to `read` unmasked, in order, in one piece if it isn't
/// masked and in blocks if it is. `position` is where in the frame's payload it begins.
pub(super) fn unmask(
    payload: &[u8],
    mask: Option<[u8; 4]>,
    position: u64,
    read: &mut impl FnMut(&[u8]),
) {
    match mask {
        // A masking key of zero changes nothing.
        None | Some([0, 0, 0, 0]) => read(payload),
        Some(key) => {
            let key = turned(key, position);
            if payload.len() <= SMALL {
                in_blocks::<SMALL>(payload, key, read);
            } else {
                in_blocks::<LARGE>(payload, key, read);
            }
        }
    }
}

/// The key as it applies from `position` on.
fn turned(key: [u8; 4], position: u64) -> [u8; 4] {
    let [a, b, c, d] = key;
    match position % 4 {
        0 => [a, b, c, d],
        1 => [b, c, d, a],
        2 => [c, d, a, b],
        _ => [d, a, b, c],
    }
}

fn in_blocks<const N: usize>(payload: &[u8], key: [u8; 4], read: &mut impl FnMut(&[u8])) {
    let mut block = [0; N];
    for masked in payload.chunks(N) {
        if let Some(clear) = block.get_mut(..masked.len()) {
            xor(masked, key, clear);
            read(clear);
        }
    }
}

/// Writes `masked` XOR `key` to `clear`, which has the same length.
fn xor(masked: &[u8], key: [u8; 4], clear: &mut [u8]) {
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (from, from_rest) = masked.as_chunks::<8>();
    let (to, to_rest) = clear.as_chunks_mut::<8>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = (u64::from_ne_bytes(*from) ^ word).to_ne_bytes();
    }
    for ((to, from), key) in to_rest.iter_mut().zip(from_rest).zip([a, b, c, d, a, b, c]) {
        *to = *from ^ key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unmasked(payload: &[u8], mask: Option<[u8; 4]>, position: u64) -> Vec<u8> {
        let mut clear = Vec::new();
        unmask(payload, mask, position, &mut |block| {
            clear.extend_from_slice(block)
        });
        clear
    }

    #[test]
    fn the_example_of_rfc_6455_section_5_7_says_hello() {
        let masked = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(
            unmasked(&masked, Some([0x37, 0xfa, 0x21, 0x3d]), 0),
            b"Hello"
        );
    }

    proptest! {
        #[test]
        fn every_byte_meets_its_byte_of_the_key(
            payload in proptest::collection::vec(any::<u8>(), 0..5000),
            key: [u8; 4],
            position in 0u64..9,
        ) {
            let expected: Vec<u8> =
                (position..).zip(&payload).map(|(at, byte)| byte ^ key[(at % 4) as usize]).collect();
            prop_assert_eq!(unmasked(&payload, Some(key), position), expected);
        }
    }
}
