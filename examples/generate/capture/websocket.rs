//! WebSocket from the sender's side: frames, masking, permessage-deflate.

use flate2::{Compress, Compression, FlushCompress, Status};
use wscope::stream::{Direction, Sides};

use super::rng::Rng;

/// RFC 6455, section 5.2: the opcodes that are sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// What the first two bytes of a frame say beside the length.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub(crate) opcode: Opcode,
    pub(crate) last: bool,
    pub(crate) compressed: bool,
}

impl Head {
    /// A frame that is all of its message, or a control frame.
    pub(crate) fn whole(opcode: Opcode) -> Self {
        Self {
            opcode,
            last: true,
            compressed: false,
        }
    }
}

/// Appends one frame to `out`; the bytes that it takes.
pub(crate) fn frame(
    head: Head,
    payload: &[u8],
    from: Direction,
    rng: &mut Rng,
    out: &mut Vec<u8>,
) -> usize {
    let before = out.len();
    let first = (u8::from(head.last) << 7) | (u8::from(head.compressed) << 6) | head.opcode as u8;
    let mask = if from == Direction::ClientToServer {
        0x80
    } else {
        0
    };
    let len = payload.len();
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..126), _) => out.extend_from_slice(&[first, mask | len]),
        (_, Ok(len)) => {
            out.extend_from_slice(&[first, mask | 126]);
            out.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[first, mask | 127]);
            out.extend_from_slice(&u64::try_from(len).unwrap_or(0).to_be_bytes());
        }
    }
    if from == Direction::ClientToServer {
        let key = rng.next_u32().to_be_bytes();
        out.extend_from_slice(&key);
        let start = out.len();
        out.extend_from_slice(payload);
        xor(out.get_mut(start..).unwrap_or_default(), key);
    } else {
        out.extend_from_slice(payload);
    }
    out.len() - before
}

/// RFC 6455, section 5.3, eight bytes at a time.
fn xor(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
    // A rest of 5 to 7 bytes needs the key a second time.
    for (byte, key) in rest.iter_mut().skip(4).zip(key) {
        *byte ^= key;
    }
}

/// permessage-deflate with context takeover: one compressor a direction, kept
/// from message to message (RFC 7692, section 7.2.1).
pub(crate) struct Deflate(Sides<Compress>);

impl Deflate {
    pub(crate) fn new() -> Self {
        Self(Sides::from_fn(|_| {
            Compress::new(Compression::default(), false)
        }))
    }

    /// Puts the compressed form of `payload` into `out`.
    pub(crate) fn compress(&mut self, from: Direction, payload: &[u8], out: &mut Vec<u8>) {
        let compress = &mut self.0[from];
        out.clear();
        let start = compress.total_in();
        loop {
            let done = usize::try_from(compress.total_in() - start).unwrap_or(usize::MAX);
            let rest = payload.get(done..).unwrap_or_default();
            out.reserve(rest.len() / 2 + 64);
            let status = compress.compress_vec(rest, out, FlushCompress::Sync);
            // Room left over means that the flush is complete.
            if !matches!(status, Ok(Status::Ok)) || out.len() < out.capacity() {
                break;
            }
        }
        // RFC 7692, section 7.2.1: the empty block at the end isn't sent.
        out.truncate(out.len().saturating_sub(4));
    }
}
