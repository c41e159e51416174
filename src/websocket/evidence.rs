//! What speaks for a chain of frames.
//!
//! The evidence is counted in bits: 10 bits say that one in a thousand such
//! places would look the same though no frame begins there. There are two
//! ways to be wrong, so there are two sums.
//!
//! **Chance**: the bytes are some payload (random, compressed, text, runs of
//! equal bytes) that happens to look like headers. A header that fits is worth
//! 5 bits, whatever the payload: of random bytes one in 50 looks like a legal
//! header, of Russian text, which is full of 0x81 and 0x82, one in 40. One that
//! repeats the last header is worth less. An empty data frame is worth nothing,
//! nor is a fragment that goes on and doesn't end: else zeros would prove
//! themselves, and so would any protocol whose records begin with their
//! length in 16 or 32 bits. Unmasked text is worth nothing, since a
//! text's remainder is text too. Text under a masking key of its own is worth
//! half a bit for each printable character; that it is UTF-8 alone would not
//! do: two bytes of one masked text, under the same byte of the key, give an
//! ASCII character when one is taken for the other's key.
//!
//! **Nesting**: the frames are whole and sound, but lie in the payload of a
//! larger frame whose header is missing (a tunnel in a tunnel, a certificate's
//! list of names). No length of chain speaks against that. What does is where
//! segments begin: senders write frames at segment starts, while a payload
//! doesn't know where its own segments begin. A chain that hits a segment start
//! gets the logarithm of its mean frame size, a segment start inside a frame
//! that did not begin with a segment takes a bit away. Masking scrambles what
//! is nested, so a masked chain with a key of its own for each frame needs none of this.
//!
//! Where nobody knows yet that this is WebSocket at all, an unmasked header of
//! a small frame that repeats the one before is worth nothing, nor is where it
//! begins: any protocol of small records of equal form looks like that. And
//! what unmasked frames prove is likely at most, until the other side is seen to mask.
//!
//! Constant content is worth nothing either, nor is where it begins: bytes that
//! repeat themselves make one chain that never breaks, or none.
//!
//! Of a chain that goes on into the true one, what comes later says nothing on
//! its first frames. So each frame counts only what speaks for it and for those before it.

use super::Opcode;
use super::breach::MAX_CONTROL;
use super::close;
use super::frame::Header;
use super::mask::unmask;

/// Payload bytes of a frame that are looked at.
///
/// Rationale: [`TEXT_MOST`] bits of text need 32 characters.
pub(super) const SAMPLE: usize = 32;

/// Bytes after which constant content begins anew, at most.
///
/// Rationale: samples of sound, pixels and numbers have up to 8 bytes.
const MAX_PERIOD: usize = 8;

/// Bits that a header is worth.
pub(super) const LINK: i32 = 5;

/// Bits that the text of one frame is worth at most.
pub(super) const TEXT_MOST: i32 = 16;

/// Bits that a segment start is worth at most.
///
/// Rationale: a larger mean says little about where the next frame could end.
pub(super) const HIT_MOST: u32 = 8;

/// Bits of a segment start after a segment that the sender did not fill.
///
/// Rationale: a payload is written in one go, so only its last segment is short.
pub(super) const HIT_SHORT: i32 = 4;

/// Bits of the first segment behind a 101 whose head was cut, both against
/// chance and against nesting: what is spoken is known, and frames begin there
/// but where one came in the packet of the 101 and was longer than that.
///
/// Rationale: few servers speak first, and fewer in the same packet; with one
/// header that fits, it is likely.
pub(super) const BEHIND_SWITCH: i32 = 16;

/// Bits of a Close frame with which the stream ends: nothing may follow one
/// (RFC 6455, section 5.5.1), and its length is exactly what is left.
///
/// Rationale: all of its first two bytes are then given, but for what [`LINK`]
/// counts. What is nested has the Close frame of what it is nested in behind
/// it, so alignment is asked for, and no sum of bits against nesting.
pub(super) const CLOSE_AT_END: i32 = 16;

/// Taken away from a chain that begins inside a segment: there are a thousand such places.
pub(super) const ANYWHERE: i32 = 10;

/// A frame that announces more is taken for chance.
///
/// Rationale: nobody is known to send frames of this size, and nothing could be proven before its end.
pub(super) const MAX_PAYLOAD: u64 = 1 << 32;

/// What the frames of a direction look like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The sender masks: it is the client.
    pub(super) masked: bool,
    /// RSV1 may be set, on the first frame of a message.
    pub(super) rsv1: bool,
    /// The sender was seen to choose masking keys.
    pub(super) keys_vary: bool,
    /// Binary messages, in which frames could be nested, were seen to come.
    pub(super) binary: bool,
    /// It is known that frames pass in this connection.
    pub(super) known: bool,
}

/// The first two bytes could be those of a legal header.
pub(super) fn may_begin(first: u8, second: u8, expected: Expected) -> bool {
    let rsv = if expected.rsv1 { 0x30 } else { 0x70 };
    first & rsv == 0
        && matches!(first & 0x0f, 0..=2 | 8..=10)
        && (second & 0x80 != 0) == expected.masked
}

/// A fragment that neither begins nor ends a message.
pub(super) fn is_middle(header: &Header) -> bool {
    header.opcode == Opcode::Continuation && !header.fin
}

/// Repeated, it is a record of a fixed form as many protocols have: two bytes
/// that are always the same and tell nothing.
pub(super) fn is_dull(header: &Header, expected: Expected) -> bool {
    let small = header.payload_len <= MAX_CONTROL as u64;
    !expected.known && header.mask.is_none() && header.opcode != Opcode::Text && small
}

/// Bytes that repeat themselves: a header that is read into them is one that
/// every other place of them would show too.
pub(super) fn is_periodic(bytes: &[u8]) -> bool {
    let repeats = |period: usize| {
        let ahead = bytes.iter().skip(period);
        bytes.iter().zip(ahead).all(|(one, other)| one == other)
    };
    (1..=MAX_PERIOD).any(|period| bytes.len() >= period.saturating_mul(3) && repeats(period))
}

/// Legal whatever came before.
pub(super) fn is_legal(header: &Header, expected: Expected) -> bool {
    let first_of_data = matches!(header.opcode, Opcode::Text | Opcode::Binary);
    let bits = match header.rsv {
        0 => true,
        0b100 => expected.rsv1 && first_of_data,
        _ => false,
    };
    let control =
        !header.opcode.is_control() || header.fin && header.payload_len <= MAX_CONTROL as u64;
    bits && control
        && header.minimal
        && header.payload_len <= MAX_PAYLOAD
        && header.mask.is_some() == expected.masked
        && !matches!(header.opcode, Opcode::Reserved(_))
        && !(header.opcode == Opcode::Close && header.payload_len == 1)
}

/// What the first bytes of the payload say for the header; `None` where they speak against it.
pub(super) fn text_bits(header: &Header, sample: &[u8]) -> Option<i32> {
    let mut clear = Vec::new();
    match header.opcode {
        Opcode::Text if header.rsv == 0 => {}
        Opcode::Close => {}
        _ => return Some(0),
    }
    unmask(sample, header.mask, 0, &mut |bytes| {
        clear.extend_from_slice(bytes)
    });
    let whole = clear.len() as u64 == header.payload_len;
    let text = match (header.opcode, clear.split_first_chunk::<2>()) {
        (Opcode::Close, Some((code, reason))) => {
            if close::is_illegal(u16::from_be_bytes(*code)) {
                return None;
            }
            reason
        }
        _ => &clear,
    };
    // A sample may end inside a character, as a fragment may.
    if let Err(error) = std::str::from_utf8(text)
        && (error.error_len().is_some() || whole && header.fin)
    {
        return None;
    }
    let printable = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r' | 0x80..);
    let shown = i32::try_from(text.iter().filter(printable).count()).unwrap_or(0);
    let control = i32::try_from(text.len()).unwrap_or(0) - shown;
    let bits = shown / 2 - control.saturating_mul(8);
    Some(bits.clamp(-TEXT_MOST, TEXT_MOST))
}

/// Bytes of the frame.
pub(super) fn size(header: &Header) -> u64 {
    header.payload_len.saturating_add(u64::from(header.len))
}

/// Bits of a segment start that a chain of this mean frame size hits: half of
/// the true ones would, and one in `mean` of the others.
pub(super) fn hit(mean: u64) -> i32 {
    let bits = (mean / 2).checked_ilog2().unwrap_or(0).min(HIT_MOST);
    i32::try_from(bits).unwrap_or(0)
}
