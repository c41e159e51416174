//! A place where frames may begin, the chain of headers that hangs on it, and
//! what speaks for it.

use super::evidence::{
    ANYWHERE, BEHIND_SWITCH, Expected, HIT_SHORT, LINK, hit, is_dull, is_legal, is_middle,
    is_periodic, size, text_bits,
};
use super::frame::Header;
use super::{Confidence, Opcode};

/// Bits against chance and against nesting that make a frame certain. One in
/// a million million, and one in 16 million of those that are nested.
const CERTAIN: (i32, i32) = (40, 24);

/// Bits that make a frame likely, where all of the chain sits well in its segments.
const LIKELY: (i32, i32) = (20, 8);

/// The same where the direction sends what frames could be nested in: one in
/// 65,000 of those would look the same.
///
/// What is known of the session from before a gap makes no frame of it sooner.
/// That its frames began with segments is worth less than a bit: it doubles the
/// true ones that do, and says nothing of payload. That they had one opcode or
/// one length is worth nothing against chance, since a payload that repeats a
/// byte pair is what [`LINK`] already reckons with, nor against nesting, since
/// tunnelled frames have their own habits. And that no payload looked like
/// frames so far would have to be read from every payload.
const LIKELY_NESTED: (i32, i32) = (20, 16);

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
    /// What the latest began with.
    latest: Option<Header>,
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
    /// Its latest frame was read into bytes that repeat themselves.
    periodic: bool,
    frames: u64,
    /// The first frame.
    first: Header,
    fragments: Fragments,
    closed: bool,
    /// The first frame that is likely whatever this direction sends.
    likely_from: Option<u64>,
    /// The latest frame.
    header: Header,
    site: Site,
}

impl Candidate {
    /// The chain that begins with `header`, if that is legal there.
    pub(super) fn begin(
        header: &Header,
        site: Site,
        bytes: &[u8],
        expected: Expected,
    ) -> Option<Self> {
        let mut this = Self {
            start: site.offset,
            fits_segments: site.aligned,
            chance: if site.aligned { 0 } else { -ANYWHERE },
            nesting: if site.aligned { hit(size(header)) } else { 0 },
            scrambled: expected.masked && expected.keys_vary,
            binary: expected.binary,
            periodic: false,
            frames: 0,
            first: *header,
            fragments: Fragments::Unknown,
            closed: false,
            likely_from: None,
            header: *header,
            site,
        };
        let fits = this.take(header, site, bytes, expected, false);
        if this.periodic {
            this.nesting = 0;
        }
        fits.then_some(this)
    }

    /// The next frame of the chain: false where it can't be one.
    pub(super) fn follow(
        &mut self,
        header: &Header,
        site: Site,
        bytes: &[u8],
        expected: Expected,
    ) -> bool {
        let before = self.site;
        let begun = site.segments.saturating_sub(before.segments);
        let inside = begun.saturating_sub(u64::from(site.aligned));
        if inside > 0 && !before.aligned {
            let inside = i32::try_from(inside).unwrap_or(i32::MAX);
            self.nesting = self.nesting.saturating_sub(inside).max(0);
            self.fits_segments = false;
            self.likely_from = None;
        }
        let (last, same_key) = (self.header, self.header.mask == header.mask);
        let same = (last.opcode, last.fin, last.payload_len)
            == (header.opcode, header.fin, header.payload_len);
        let dull = same && is_dull(header, expected);
        // A length of two bytes before each message is what such fragments look like, too.
        let masked_alike = same && same_key && header.mask.is_some();
        let constant = masked_alike || is_periodic(bytes);
        if site.aligned && !is_middle(header) && !dull && !constant {
            let mean = site.offset.saturating_sub(self.start) / self.frames.max(1);
            let short = site.short_before == Some(before.offset) && before.aligned;
            let bits = hit(mean).max(if short { HIT_SHORT } else { 0 });
            self.chance = self.chance.saturating_add(bits);
            self.nesting = self.nesting.saturating_add(bits);
        }
        self.take(header, site, bytes, expected, same && same_key)
    }

    /// It begins behind the opening handshake: what can't be there at first is no frame.
    pub(super) fn favour(&mut self) {
        if self.header.opcode != Opcode::Continuation {
            self.chance = self.chance.saturating_add(BEHIND_SWITCH);
            self.nesting = self.nesting.saturating_add(BEHIND_SWITCH);
        }
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
        if self.reaches(CERTAIN) {
            Some(Confidence::Certain)
        } else if self.is_likely() && self.is_likely_from_its_start() {
            Some(Confidence::Likely)
        } else {
            None
        }
    }

    /// All in all it is likely, if it may be at all.
    pub(super) const fn is_likely(&self) -> bool {
        self.reaches(LIKELY)
    }

    /// Such bits more would make it no chance.
    pub(super) const fn is_likely_with(&self, bits: i32) -> bool {
        self.chance.saturating_add(bits) >= LIKELY.0
    }

    /// The first frame that is likely though it could be nested.
    pub(super) const fn likely_from(&self) -> Option<u64> {
        self.likely_from
    }

    /// Bytes of its frames but for the latest, on average.
    pub(super) fn mean(&self) -> u64 {
        let others = self.frames.saturating_sub(1);
        let bytes = self.site.offset.saturating_sub(self.start);
        bytes.checked_div(others).unwrap_or(u64::MAX)
    }

    const fn reaches(&self, (chance, nesting): (i32, i32)) -> bool {
        self.chance >= chance && (self.scrambled || self.nesting >= nesting)
    }

    /// Every frame is masked with a key of its own.
    pub(super) const fn is_scrambled(&self) -> bool {
        self.scrambled
    }

    /// The latest frame's header, and where it begins.
    pub(super) const fn latest(&self) -> (&Header, Site) {
        (&self.header, self.site)
    }

    /// Adds what speaks for it to what the segments before it told. Each may be
    /// the middle of one large frame: what repeats the one before, and what
    /// begins no message or leaves one open, tells nothing.
    pub(super) fn add_to(&self, rhythm: &mut Rhythm) {
        let alike = self.repeats(*rhythm);
        rhythm.latest = Some(self.first);
        if alike || self.is_loose() {
            return;
        }
        rhythm.segments = rhythm.segments.saturating_add(1);
        rhythm.chance = rhythm.chance.saturating_add(self.chance);
        rhythm.nesting = rhythm.nesting.saturating_add(self.nesting);
    }

    /// It shows one frame, and that looks like the one with which the segment before began.
    fn repeats(&self, rhythm: Rhythm) -> bool {
        self.frames == 1 && rhythm.latest == Some(self.first)
    }

    /// Its first frame is part of a message of which nothing else was seen.
    fn is_loose(&self) -> bool {
        let alone = self.frames == 1 && self.first.opcode.is_data();
        alone && (!self.first.fin || self.first.opcode == Opcode::Continuation)
    }

    /// Its frames lie in one segment of a sender of this rhythm, and nothing
    /// more of the chain can be seen: they are likely.
    pub(super) fn is_in_rhythm(&self, rhythm: Rhythm) -> bool {
        let proven = rhythm.chance >= CERTAIN.0 && (self.scrambled || rhythm.nesting >= CERTAIN.1);
        let broken = i32::try_from(rhythm.segments.max(1).ilog2()).unwrap_or(0);
        let told = self.chance >= LINK && !self.is_loose() && !self.repeats(rhythm);
        proven
            && told
            && self.is_likely_from_its_start()
            && self.chance.saturating_add(broken) >= IN_RHYTHM
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
        bytes: &[u8],
        expected: Expected,
        repeated: bool,
    ) -> bool {
        let fits = is_legal(header, expected) && self.is_in_order(header);
        let sample = bytes.get(usize::from(header.len)..).unwrap_or_default();
        let Some(text) = text_bits(header, sample).filter(|_| fits) else {
            return false;
        };
        self.periodic = is_periodic(bytes);
        let own_key = match header.mask {
            _ if self.periodic => false,
            Some(key) => key != [0; 4] && (self.frames == 0 || self.header.mask != Some(key)),
            None => false,
        };
        self.scrambled &= own_key;
        let empty = header.opcode.is_data() && header.payload_len == 0;
        let link = match (empty || is_middle(header) || self.periodic, repeated) {
            (true, _) => 0,
            (false, true) if header.mask.is_some() || is_dull(header, expected) => 0,
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
        if self.fits_segments && site.aligned && self.reaches(LIKELY_NESTED) {
            self.likely_from.get_or_insert(site.offset);
        }
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
