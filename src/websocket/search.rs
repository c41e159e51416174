//! The search for frames where nobody knows where they begin: after a gap that may hide
//! a header, or at the start of a capture.
//!
//! Every byte could be the first of a frame. Each that could begin a legal
//! header becomes a [`Candidate`] and is followed from header to header by its
//! lengths; a candidate that meets something illegal is dropped, and one whose
//! evidence suffices ends the search. Payload isn't held for that, only
//! what a proven chain could give back from its start on.

use std::collections::BTreeMap;

use super::candidate::{Candidate, Rhythm};
use super::evidence::{Expected, SAMPLE, may_begin};
use super::found::Found;
use super::frame::{self, MAX_HEADER};
use super::held::{Held, Piece};
use super::segments::Segments;
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

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// The stream has ended.
    OfStream,
    /// The capture has, or a part of it.
    OfCapture,
}

/// The search in one direction.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) expected: Expected,
    /// By the offset at which its next header is due.
    ///
    /// Boxed, since a map's node has room for 11 and most connections have one or none.
    pub(super) candidates: BTreeMap<u64, Box<Candidate>>,
    /// Bytes that are still to be looked at, and where they begin.
    pub(super) tail: Vec<u8>,
    pub(super) at: u64,
    pub(super) segments: Segments,
    /// The first packet that carried bytes, and the latest that told anything.
    pub(super) first: Option<PacketRef>,
    pub(super) latest: Option<PacketRef>,
    /// Bytes that came.
    pub(super) looked: u64,
    /// How many of them are looked at one by one.
    pub(super) closely: u64,
    /// Where what came last ends, with what the snap length cut of it.
    pub(super) end: u64,
    /// The first byte of all, as long as nothing is missing since then.
    pub(super) origin: Option<u64>,
    /// Where frames begin unless one began before: the head of the 101 was cut
    /// by the snap length, and this is the first byte after it.
    pub(super) beginning: Option<u64>,
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
            segments: Segments::default(),
            first: None,
            latest: None,
            looked: torn,
            closely: u64::MAX,
            end: 0,
            origin: None,
            beginning: None,
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
        self.segments.on_chunk(chunk);
        self.first.get_or_insert(chunk.seen);
        self.latest = self.latest.max(Some(chunk.seen));
        self.looked = self.looked.saturating_add(chunk.bytes.len() as u64);
        if self.is_skimming() && self.skim_over(chunk) {
            return None;
        }
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
        self.segments.on_gap();
        (self.at, self.origin) = (gap.offset, None);
        match gap.len {
            Some(len) => {
                let end = gap.offset.saturating_add(len);
                if gap.cause == GapCause::SnapLength {
                    self.end = end;
                }
                self.candidates = self.candidates.split_off(&end);
            }
            None => self.candidates.clear(),
        }
        self.conclude(found, out)
    }

    /// Nothing more comes: what is likely has to do.
    pub(super) fn on_end(&mut self, last: Last, out: &mut impl FnMut(Event)) -> Option<Found> {
        let found = self.look(false).or_else(|| {
            let told = |candidate: &&Candidate| {
                let known = self.expected.known || self.is_from_switch(candidate);
                known || candidate.confidence().is_some()
            };
            let likely = |candidate: &Candidate| Some((candidate.chance, self.likely(candidate)?));
            let best = self.all().filter(told).filter_map(likely).max();
            let start = best.map(|(_, start)| start);
            let start = start.or_else(|| self.closing().filter(|_| last == Last::OfStream));
            start.map(|start| (start, u64::MAX))
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
        self.looked == 0 || self.all().any(fits)
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
        let start = self.segments.next();
        let events = [due.copied(), start].into_iter().flatten();
        let event = events.min().map(|event| event.saturating_sub(self.at));
        let until = event.and_then(|event| usize::try_from(event).ok());
        let most = until.unwrap_or(usize::MAX).min(bytes.len());
        if self.is_skimming() {
            return most;
        }
        let mut pairs = bytes.iter().zip(bytes.iter().skip(1)).take(most);
        let begins = |(&first, &second): (&u8, &u8)| may_begin(first, second, self.expected);
        let before = pairs.position(begins);
        before.unwrap_or_else(|| most.min(bytes.len().saturating_sub(1)))
    }

    /// All candidates, by the offset at which the next header is due.
    pub(super) fn all(&self) -> impl Iterator<Item = &Candidate> + Clone {
        self.candidates.values().map(|candidate| &**candidate)
    }

    /// A frame may begin here.
    fn try_here(&mut self, bytes: &[u8]) -> Option<(u64, u64)> {
        let (site, expected) = (self.segments.reach(self.at), self.expected);
        let due = self.candidates.remove(&site.offset).map(|due| *due);
        let header = frame::parse(bytes)?;
        let sample = sample(bytes, usize::from(header.len), header.payload_len);
        let followed =
            due.and_then(|mut due| due.follow(&header, site, sample, expected).then_some(due));
        let followed = followed.filter(|candidate| self.goes_on(candidate));
        let mut begun = Candidate::begin(&header, site, sample, expected);
        if let Some(begun) = &mut begun
            && self.is_from_switch(begun)
        {
            begun.favour();
        }
        let begun = begun.filter(|candidate| self.takes_up(candidate, site));
        let candidate = stronger(followed, begun)?;
        if candidate.confidence() == Some(Confidence::Certain) {
            self.scrambled = candidate.is_scrambled();
            let start = self.likely(&candidate).unwrap_or(site.offset);
            return Some((start, site.offset));
        }
        self.add(candidate);
        None
    }

    /// Frames are known to pass in this connection.
    pub(super) const fn trust(&mut self) {
        self.expected.known = true;
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

/// The header, and of its payload what is looked at.
fn sample(bytes: &[u8], header_len: usize, payload_len: u64) -> &[u8] {
    let len = usize::try_from(payload_len).map_or(SAMPLE, |len| len.min(SAMPLE));
    bytes.get(..header_len.saturating_add(len)).unwrap_or(bytes)
}

fn stronger(one: Option<Candidate>, other: Option<Candidate>) -> Option<Candidate> {
    match (one, other) {
        (Some(one), Some(other)) if other.chance > one.chance => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}
