//! A place where frames may begin, the chain of headers that hangs on it, and
//! what speaks for it.
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
//! Of a chain that goes on into the true one, what comes later says nothing on
//! its first frames. So each frame counts only what speaks for it and for those before it.

use super::close;
use super::frame::Header;
use super::mask::unmask;
use super::{Confidence, Opcode};

/// Payload bytes of a frame that are looked at.
///
/// Rationale: [`TEXT_MOST`] bits of text need 32 characters.
pub(super) const SAMPLE: usize = 32;

/// Bits that a header is worth.
const LINK: i32 = 5;

/// Bits that the text of one frame is worth at most.
const TEXT_MOST: i32 = 16;

/// Bits that a segment start is worth at most.
///
/// Rationale: a larger mean says little about where the next frame could end.
const HIT_MOST: u32 = 8;

/// Bits of a segment start after a segment that the sender did not fill.
///
/// Rationale: a payload is written in one go, so only its last segment is short.
const HIT_SHORT: i32 = 4;

/// Taken away from a chain that begins inside a segment: there are a thousand such places.
const ANYWHERE: i32 = 10;

/// A frame that announces more is taken for chance.
///
/// Rationale: nobody is known to send frames of this size, and nothing could be proven before its end.
const MAX_PAYLOAD: u64 = 1 << 32;

/// Bits against chance and against nesting that make a frame certain. One in
/// a million million, and one in 16 million of those that are nested.
const CERTAIN: (i32, i32) = (40, 24);

/// Bits that make a frame likely, where all of the chain sits well in its segments.
const LIKELY: (i32, i32) = (20, 8);

/// Bits that make the frames of a cut segment likely: those that its own
/// headers are worth, and the logarithm of how many segments in a row began with a frame.
const IN_RHYTHM: i32 = 12;

/// Segments in a row that began with a frame, as it seems, and of which too
/// little was captured to follow a chain from one to the next.
///
/// A snap length does that: each segment shows the headers of its first frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rhythm {
    segments: u32,
    chance: i32,
    nesting: i32,
}

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
}

/// A place in the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) offset: u64,
    /// A segment begins here.
    pub(super) aligned: bool,
    /// Where the segment before began, if it is contiguous and so small that
    /// the sender had no more to write.
    pub(super) short_before: Option<u64>,
    /// Segments that began up to here.
    pub(super) segments: u64,
}

/// What may follow in the order of fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fragments {
    Unknown,
    Open,
    None,
}

/// A chain of frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Where its first frame begins.
    pub(super) start: u64,
    /// It began at a segment start, and no segment start contradicts it.
    pub(super) fits_segments: bool,
    /// Bits against chance.
    pub(super) chance: i32,
    nesting: i32,
    /// Every frame is masked with a key of its own.
    scrambled: bool,
    /// A frame of uncompressed binary data is among them.
    binary: bool,
    frames: u64,
    fragments: Fragments,
    closed: bool,
    /// The latest frame.
    header: Header,
    site: Site,
}

impl Candidate {
    /// The chain that begins with `header`, if that is legal there.
    pub(super) fn begin(
        header: &Header,
        site: Site,
        sample: &[u8],
        expected: Expected,
    ) -> Option<Self> {
        let mut this = Self {
            start: site.offset,
            fits_segments: site.aligned,
            chance: if site.aligned { 0 } else { -ANYWHERE },
            nesting: if site.aligned { hit(size(header)) } else { 0 },
            scrambled: expected.masked && expected.keys_vary,
            binary: expected.binary,
            frames: 0,
            fragments: Fragments::Unknown,
            closed: false,
            header: *header,
            site,
        };
        this.take(header, site, sample, expected, false)
            .then_some(this)
    }

    /// The next frame of the chain: false where it can't be one.
    pub(super) fn follow(
        &mut self,
        header: &Header,
        site: Site,
        sample: &[u8],
        expected: Expected,
    ) -> bool {
        let before = self.site;
        let begun = site.segments.saturating_sub(before.segments);
        let inside = begun.saturating_sub(u64::from(site.aligned));
        if inside > 0 && !before.aligned {
            let inside = i32::try_from(inside).unwrap_or(i32::MAX);
            self.nesting = self.nesting.saturating_sub(inside).max(0);
            self.fits_segments = false;
        }
        // A length of two bytes before each message is what such fragments look like, too.
        if site.aligned && !is_middle(header) {
            let mean = site.offset.saturating_sub(self.start) / self.frames.max(1);
            let short = site.short_before == Some(before.offset) && before.aligned;
            let bits = hit(mean).max(if short { HIT_SHORT } else { 0 });
            self.chance = self.chance.saturating_add(bits);
            self.nesting = self.nesting.saturating_add(bits);
        }
        let (last, same_key) = (self.header, self.header.mask == header.mask);
        let same = (last.opcode, last.fin, last.payload_len)
            == (header.opcode, header.fin, header.payload_len);
        self.take(header, site, sample, expected, same && same_key)
    }

    /// Where the next header is due.
    pub(super) const fn next(&self) -> u64 {
        self.site
            .offset
            .saturating_add(self.header.len as u64)
            .saturating_add(self.header.payload_len)
    }

    /// How sure its latest frame is.
    pub(super) fn confidence(&self) -> Option<Confidence> {
        let reaches = |(chance, nesting): (i32, i32)| {
            self.chance >= chance && (self.scrambled || self.nesting >= nesting)
        };
        if reaches(CERTAIN) {
            Some(Confidence::Certain)
        } else if reaches(LIKELY) && self.is_likely_from_its_start() {
            Some(Confidence::Likely)
        } else {
            None
        }
    }

    /// Adds what speaks for it to what the segments before it told.
    pub(super) const fn add_to(&self, rhythm: &mut Rhythm) {
        rhythm.segments = rhythm.segments.saturating_add(1);
        rhythm.chance = rhythm.chance.saturating_add(self.chance);
        rhythm.nesting = rhythm.nesting.saturating_add(self.nesting);
    }

    /// Its frames lie in one segment of a sender of this rhythm, and nothing
    /// more of the chain can be seen: they are likely.
    pub(super) fn is_in_rhythm(&self, rhythm: Rhythm) -> bool {
        let proven = rhythm.chance >= CERTAIN.0 && (self.scrambled || rhythm.nesting >= CERTAIN.1);
        let broken = i32::try_from(rhythm.segments.max(1).ilog2()).unwrap_or(0);
        proven && self.is_likely_from_its_start() && self.chance.saturating_add(broken) >= IN_RHYTHM
    }

    /// The frames that count too little by themselves are likely, once the
    /// chain is proven: it began with a segment and fits all that follow. For
    /// frames that could be nested that is too little where the direction sends
    /// what they could be nested in.
    pub(super) const fn is_likely_from_its_start(&self) -> bool {
        self.fits_segments && (self.scrambled || !self.binary)
    }

    fn take(
        &mut self,
        header: &Header,
        site: Site,
        sample: &[u8],
        expected: Expected,
        repeated: bool,
    ) -> bool {
        let fits = is_legal(header, expected) && self.is_in_order(header);
        let Some(text) = text_bits(header, sample).filter(|_| fits) else {
            return false;
        };
        let own_key = match header.mask {
            Some(key) => key != [0; 4] && (self.frames == 0 || self.header.mask != Some(key)),
            None => false,
        };
        self.scrambled &= own_key;
        let empty = header.opcode.is_data() && header.payload_len == 0;
        let link = match (empty || is_middle(header), repeated) {
            (true, _) => 0,
            (false, true) if header.mask.is_some() => 0,
            (false, true) => 1,
            (false, false) => LINK,
        };
        let text = if own_key { text } else { 0 };
        self.chance = self.chance.saturating_add(link).saturating_add(text);
        self.binary |= header.opcode == Opcode::Binary && header.rsv == 0;
        self.fragments = match (header.opcode.is_data(), header.fin) {
            (false, _) => self.fragments,
            (true, true) => Fragments::None,
            (true, false) => Fragments::Open,
        };
        self.closed |= header.opcode == Opcode::Close;
        self.frames = self.frames.saturating_add(1);
        (self.header, self.site) = (*header, site);
        true
    }

    /// Fragments come in order (RFC 6455, section 5.4), and no data after a Close (5.5.1).
    fn is_in_order(&self, header: &Header) -> bool {
        let fragment = match header.opcode {
            Opcode::Continuation => self.fragments != Fragments::None,
            Opcode::Text | Opcode::Binary => self.fragments != Fragments::Open,
            _ => true,
        };
        fragment && (!self.closed || header.opcode == Opcode::Pong)
    }
}

/// The first two bytes could be those of a legal header.
pub(super) fn may_begin(first: u8, second: u8, expected: Expected) -> bool {
    let rsv = if expected.rsv1 { 0x30 } else { 0x70 };
    first & rsv == 0
        && matches!(first & 0x0f, 0..=2 | 8..=10)
        && (second & 0x80 != 0) == expected.masked
}

/// A fragment that neither begins nor ends a message.
fn is_middle(header: &Header) -> bool {
    header.opcode == Opcode::Continuation && !header.fin
}

/// Legal whatever came before.
fn is_legal(header: &Header, expected: Expected) -> bool {
    let first_of_data = matches!(header.opcode, Opcode::Text | Opcode::Binary);
    let bits = match header.rsv {
        0 => true,
        0b100 => expected.rsv1 && first_of_data,
        _ => false,
    };
    let control = !header.opcode.is_control()
        || header.fin && header.payload_len <= super::breach::MAX_CONTROL as u64;
    bits && control
        && header.minimal
        && header.payload_len <= MAX_PAYLOAD
        && header.mask.is_some() == expected.masked
        && !matches!(header.opcode, Opcode::Reserved(_))
        && !(header.opcode == Opcode::Close && header.payload_len == 1)
}

/// What the first bytes of the payload say for the header; `None` where they speak against it.
fn text_bits(header: &Header, sample: &[u8]) -> Option<i32> {
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

fn size(header: &Header) -> u64 {
    header.payload_len.saturating_add(u64::from(header.len))
}

/// Bits of a segment start that a chain of this mean frame size hits: half of
/// the true ones would, and one in `mean` of the others.
fn hit(mean: u64) -> i32 {
    let bits = (mean / 2).checked_ilog2().unwrap_or(0).min(HIT_MOST);
    i32::try_from(bits).unwrap_or(0)
}
