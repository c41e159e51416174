//! The search for frames where nobody knows where they begin: after a gap that may hide
//! a header, or at the start of a capture.
//!
//! Every byte could be the first of a frame. Each that could begin a legal
//! header becomes a [`Candidate`] and is followed from header to header by its
//! lengths; a candidate that meets something illegal is dropped, and one whose
//! evidence suffices ends the search. Payload isn't held for that, only
//! what a proven chain could give back from its start on.

use std::collections::{BTreeMap, VecDeque};

use super::candidate::{Candidate, Rhythm, Site};
use super::evidence::{Expected, SAMPLE, may_begin};
use super::found::Found;
use super::frame::{self, MAX_HEADER};
use super::held::{Held, Piece};
use super::{Confidence, Event};
use crate::stream::{Chunk, Gap, GapCause, PacketRef};

/// Bytes that one search looks at.
///
/// Rationale: looking at a byte costs several times what reading it in step
/// does. A stream in which this many proved nothing won't prove anything later.
const MAX_LOOKED: u64 = 64 << 20;

/// Candidates followed at a time; beyond that the weakest goes.
///
/// Rationale: random bytes keep about ten alive.
const MAX_CANDIDATES: usize = 256;

/// A segment below this size wasn't full.
///
/// Rationale: the smallest default maximum segment size (RFC 9293, section 3.7.1).
const SMALL_SEGMENT: u64 = 536;

/// The search in one direction.
#[derive(Debug)]
pub(super) struct Search {
    expected: Expected,
    /// By the offset at which its next header is due.
    ///
    /// Boxed, since a map's node has room for 11 and most connections have one or none.
    pub(super) candidates: BTreeMap<u64, Box<Candidate>>,
    /// Bytes that are still to be looked at, and where they begin.
    tail: Vec<u8>,
    pub(super) at: u64,
    /// Segment starts from `at` on.
    starts: VecDeque<u64>,
    /// The latest segment start before or at `at`, and how many there were.
    segment: Option<u64>,
    segments: u64,
    /// The packet of the latest chunk.
    seen: Option<PacketRef>,
    /// The latest packet that told anything.
    latest: Option<PacketRef>,
    /// Bytes that came.
    pub(super) looked: u64,
    /// Where the bytes that came in one piece end.
    pub(super) end: u64,
    /// The first byte of all, as long as nothing is missing since then.
    pub(super) origin: Option<u64>,
    /// What was found is masked, with a key for each frame.
    pub(super) scrambled: bool,
    pub(super) held: Held,
    pub(super) rhythm: Rhythm,
}

impl Search {
    /// `torn` bytes count as passed over before anything comes.
    pub(super) fn new(expected: Expected, rhythm: Rhythm, torn: u64) -> Self {
        Self {
            expected,
            candidates: BTreeMap::new(),
            tail: Vec::new(),
            at: 0,
            starts: VecDeque::new(),
            segment: None,
            segments: 0,
            seen: None,
            latest: None,
            looked: torn,
            end: 0,
            origin: None,
            scrambled: false,
            held: Held::default(),
            rhythm,
        }
    }

    /// Takes the next bytes.
    pub(super) fn on_chunk(
        &mut self,
        chunk: &Chunk<'_>,
        out: &mut impl FnMut(Event),
    ) -> Option<Found> {
        if self.tail.is_empty() {
            self.at = chunk.offset;
        }
        if self.looked == 0 {
            self.origin = Some(chunk.offset);
        }
        self.end = chunk.offset.saturating_add(chunk.bytes.len() as u64);
        if self.seen != Some(chunk.seen) {
            self.starts.push_back(chunk.offset);
        }
        self.seen = Some(chunk.seen);
        self.latest = self.latest.max(self.seen);
        self.looked = self.looked.saturating_add(chunk.bytes.len() as u64);
        self.held.push_chunk(chunk);
        self.tail.extend_from_slice(chunk.bytes);
        let found = self.look(true);
        self.conclude(found, out)
    }

    /// Bytes are missing.
    pub(super) fn on_gap(&mut self, gap: &Gap, out: &mut impl FnMut(Event)) -> Option<Found> {
        let found = self.look(false).or_else(|| self.listen(gap));
        self.held.push(Piece::Gap(*gap));
        self.latest = self.latest.max(Some(gap.at));
        (self.seen, self.segment) = (None, None);
        (self.at, self.origin) = (gap.offset, None);
        self.starts.clear();
        match gap.len {
            Some(len) => {
                let end = gap.offset.saturating_add(len);
                self.candidates = self.candidates.split_off(&end);
            }
            None => self.candidates.clear(),
        }
        self.conclude(found, out)
    }

    /// Nothing more comes: what is likely has to do.
    pub(super) fn on_end(&mut self, out: &mut impl FnMut(Event)) -> Option<Found> {
        let found = self.look(false).or_else(|| {
            let likely = |candidate: &&Candidate| {
                candidate.confidence().is_some() && self.holds(candidate.start)
            };
            let all = self.candidates.values().map(AsRef::as_ref);
            let best = all.filter(likely);
            best.max_by_key(|candidate| candidate.chance)
                .map(|candidate| (candidate.start, u64::MAX))
        });
        self.conclude(found, out)
    }

    /// Enough was looked at.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.looked > MAX_LOOKED
    }

    /// Bytes that came so far, and the latest packet.
    pub(super) const fn looked(&self) -> (u64, Option<PacketRef>) {
        (self.looked, self.latest)
    }

    /// Nothing came, or what came last could be frames.
    pub(super) fn is_plausible(&self) -> bool {
        let fits = |candidate: &Candidate| candidate.fits_segments && candidate.chance > 0;
        self.looked == 0 || self.candidates.values().any(|candidate| fits(candidate))
    }

    /// Bytes of memory held.
    pub(super) fn buffered(&self) -> usize {
        let candidates = self.candidates.len().saturating_mul(size_of::<Candidate>());
        self.held
            .size()
            .saturating_add(self.tail.capacity())
            .saturating_add(candidates)
    }

    /// Looks at what came: where frames start, and from where on they are certain.
    fn look(&mut self, more: bool) -> Option<(u64, u64)> {
        let tail = std::mem::take(&mut self.tail);
        let mut rest = tail.as_slice();
        let mut found = None;
        while found.is_none() {
            let uninteresting = self.uninteresting(rest);
            rest = rest.get(uninteresting..).unwrap_or_default();
            self.at = self.at.saturating_add(uninteresting as u64);
            let enough = rest.len() >= MAX_HEADER + SAMPLE || !more;
            if rest.len() < 2 || !enough && is_short(rest) {
                break;
            }
            found = self.try_here(rest);
            rest = rest.get(1..).unwrap_or_default();
            self.at = self.at.saturating_add(1);
        }
        if more && found.is_none() {
            self.tail = rest.to_vec();
        }
        found
    }

    /// How many bytes pass before one that may begin a frame, that a chain
    /// leads to, or that begins a segment.
    fn uninteresting(&self, bytes: &[u8]) -> usize {
        let due = self.candidates.keys().next();
        let events = [due, self.starts.front()].into_iter().flatten();
        let event = events.min().map(|event| event.saturating_sub(self.at));
        let until = event.and_then(|event| usize::try_from(event).ok());
        let most = until.unwrap_or(usize::MAX).min(bytes.len());
        let mut pairs = bytes.iter().zip(bytes.iter().skip(1)).take(most);
        let begins = |(&first, &second): (&u8, &u8)| may_begin(first, second, self.expected);
        let before = pairs.position(begins);
        before.unwrap_or_else(|| most.min(bytes.len().saturating_sub(1)))
    }

    /// The rest of a segment was cut off: how does it fit the ones before it?
    fn listen(&mut self, gap: &Gap) -> Option<(u64, u64)> {
        let (GapCause::SnapLength, Some(len), Some(segment)) = (gap.cause, gap.len, self.segment)
        else {
            return None;
        };
        let first = self.candidates.values();
        let first = first
            .map(|candidate| **candidate)
            .find(|candidate| candidate.start == segment);
        let Some(candidate) = first else {
            let mut all = self.candidates.values();
            if !all.any(|other| other.start < segment && other.fits_segments) {
                self.rhythm = Rhythm::default();
            }
            return None;
        };
        let cut_off = candidate.next() < gap.offset.saturating_add(len);
        let likely = cut_off && candidate.is_in_rhythm(self.rhythm) && self.holds(segment);
        candidate.add_to(&mut self.rhythm);
        likely.then_some((segment, u64::MAX))
    }

    /// A frame may begin here.
    fn try_here(&mut self, bytes: &[u8]) -> Option<(u64, u64)> {
        let (site, expected) = (self.site(), self.expected);
        let due = self.candidates.remove(&site.offset).map(|due| *due);
        let header = frame::parse(bytes)?;
        let sample = sample(bytes, usize::from(header.len), header.payload_len);
        let followed =
            due.and_then(|mut due| due.follow(&header, site, sample, expected).then_some(due));
        let begun = Candidate::begin(&header, site, sample, expected);
        let candidate = stronger(followed, begun)?;
        if candidate.confidence() == Some(Confidence::Certain) {
            self.scrambled = candidate.is_scrambled();
            let from_start = candidate.is_likely_from_its_start() && self.holds(candidate.start);
            let start = if from_start {
                candidate.start
            } else {
                site.offset
            };
            return Some((start, site.offset));
        }
        self.add(candidate);
        None
    }

    /// Frames are known to pass in this connection.
    pub(super) const fn trust(&mut self) {
        self.expected.known = true;
    }

    /// This place, where the search stands.
    fn site(&mut self) -> Site {
        let offset = self.at;
        let aligned = self.starts.front() == Some(&offset);
        let before = self.segment.filter(|_| aligned);
        let short_before = before.filter(|&start| offset.saturating_sub(start) < SMALL_SEGMENT);
        if aligned {
            self.starts.pop_front();
            self.segment = Some(offset);
            self.segments = self.segments.saturating_add(1);
        }
        let segments = self.segments;
        Site {
            offset,
            aligned,
            short_before,
            segments,
        }
    }

    fn add(&mut self, candidate: Candidate) {
        let next = candidate.next();
        // Two chains that come together go on as one: the stronger says how sure it is.
        let there = self.candidates.remove(&next).map(|there| *there);
        let merged = stronger(there, Some(candidate));
        let merged = merged.map(|merged| (next, Box::new(merged)));
        self.candidates.extend(merged);
        if self.candidates.len() > MAX_CANDIDATES {
            let weakest = self.candidates.iter().min_by_key(|(_, other)| other.chance);
            if let Some(at) = weakest.map(|(&at, _)| at) {
                self.candidates.remove(&at);
            }
        }
    }
}

/// The header, or of its payload what is looked at, isn't all there.
fn is_short(bytes: &[u8]) -> bool {
    frame::parse(bytes).is_none_or(|header| {
        let sample = usize::try_from(header.payload_len).map_or(SAMPLE, |len| len.min(SAMPLE));
        bytes.len() < usize::from(header.len) + sample
    })
}

fn sample(bytes: &[u8], header_len: usize, payload_len: u64) -> &[u8] {
    let len = usize::try_from(payload_len).map_or(SAMPLE, |len| len.min(SAMPLE));
    let payload = bytes.get(header_len..).unwrap_or_default();
    payload.get(..len).unwrap_or(payload)
}

fn stronger(one: Option<Candidate>, other: Option<Candidate>) -> Option<Candidate> {
    match (one, other) {
        (Some(one), Some(other)) if other.chance > one.chance => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}
