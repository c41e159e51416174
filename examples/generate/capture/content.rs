//! What messages and bodies say: JSON-like text that compresses as JSON does, and
//! binary that doesn't compress.

use super::options::Sizes;
use super::rng::Rng;

/// Rationale: long enough that a 32 KiB deflate window doesn't hold it all, short
/// enough to stay in the processor's cache.
const POOL: usize = 256 << 10;

/// Words of a trading feed and a chat; some are not ASCII, so that UTF-8 validation has work.
const WORDS: [&str; 32] = [
    "price",
    "volume",
    "order",
    "filled",
    "symbol",
    "account",
    "bid",
    "ask",
    "EURUSD",
    "channel",
    "user",
    "message",
    "joined",
    "typing",
    "status",
    "online",
    "Zürich",
    "São Paulo",
    "東京",
    "naïve",
    "delta",
    "snapshot",
    "sequence",
    "cursor",
    "x",
    "y",
    "true",
    "false",
    "null",
    "42",
    "1.0842",
    "2026-01-05",
];

/// Bytes to cut messages from.
pub(crate) struct Content {
    text: String,
    binary: Vec<u8>,
    written: u64,
}

impl Content {
    /// The pools that `rng` makes up.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut text = String::with_capacity(POOL + 32);
        while text.len() < POOL {
            text.push_str(rng.pick(&WORDS).unwrap_or(&"x"));
            text.push_str(match rng.within(0..4) {
                0 => ", ",
                1 => ": ",
                _ => " ",
            });
            if rng.percent(25.0) {
                text.push_str(&rng.within(0..1_000_000).to_string());
            }
        }
        let binary = (0..POOL / 8)
            .flat_map(|_| rng.next().to_le_bytes())
            .collect();
        Self {
            text,
            binary,
            written: 0,
        }
    }

    /// Puts a JSON object of about `size` bytes into `out`, each with another id.
    pub(crate) fn json(&mut self, size: usize, rng: &mut Rng, out: &mut Vec<u8>) {
        self.written += 1;
        out.clear();
        out.extend_from_slice(b"{\"id\":");
        out.extend_from_slice(self.written.to_string().as_bytes());
        out.extend_from_slice(b",\"data\":\"");
        self.text(size.saturating_sub(out.len() + 2), rng, out);
        out.extend_from_slice(b"\"}");
    }

    /// Appends about `size` bytes of UTF-8 text without quotes to `out`.
    pub(crate) fn text(&self, size: usize, rng: &mut Rng, out: &mut Vec<u8>) {
        let mut left = size;
        while left > 0 {
            let from = boundary(&self.text, rng.below(POOL / 2));
            let to = boundary(&self.text, from.saturating_add(left).min(self.text.len()));
            let Some(piece) = self.text.get(from..to).filter(|piece| !piece.is_empty()) else {
                return;
            };
            out.extend_from_slice(piece.as_bytes());
            left -= piece.len();
        }
    }

    /// Puts `size` random bytes into `out`.
    pub(crate) fn binary(&self, size: usize, rng: &mut Rng, out: &mut Vec<u8>) {
        out.clear();
        while out.len() < size {
            let from = rng.below(POOL / 2);
            let to = (from + size - out.len()).min(self.binary.len());
            out.extend_from_slice(self.binary.get(from..to).unwrap_or_default());
        }
    }
}

/// The start of the character at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

impl Sizes {
    /// The length of one message, in bytes.
    pub(crate) fn draw(self, rng: &mut Rng) -> usize {
        let size = match self {
            Self::Small => rng.within(20..301),
            // The lesser of two octaves: half the messages stay under about 200 bytes.
            Self::Mixed => {
                let octave = rng.within(0..12).min(rng.within(0..12));
                let start = 20 << octave;
                rng.within(start..2 * start).min(64 << 10)
            }
            Self::Large => {
                let start = (16 << 10) << rng.within(0..6);
                rng.within(start..2 * start)
            }
        };
        usize::try_from(size).unwrap_or(0)
    }
}
