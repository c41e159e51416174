//! A direction that says too little to prove itself, in a connection of which
//! the other direction is proven: an answer to what the other said, or frames
//! that fill all that came.

use std::collections::VecDeque;

use super::candidate::Candidate;
use super::close;
use super::evidence::{CLOSE_AT_END, LINK};
use super::found::Found;
use super::half::{Half, State};
use super::held::Piece;
use super::mask::unmask;
use super::search::{Last, Search};
use super::{Event, Opcode};
use crate::stream::{PacketRef, Sides};

/// Pings and Pongs of a direction that are kept.
///
/// Rationale: an answer comes before the next few questions.
const MAX_KEPT: usize = 8;

/// A Ping or Pong below this size may be like another by chance.
///
/// Rationale: 32 bits, and those of the header.
const OWN_PAYLOAD: usize = 4;

/// What a proven direction said that draws an answer or is one.
#[derive(Debug, Default)]
pub(super) struct Said {
    controls: VecDeque<(Opcode, Vec<u8>)>,
    /// The code of its Close frame, if it has one.
    close: Option<Option<u16>>,
}

impl Said {
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::Ping(control) | Event::Pong(control) if control.complete => {
                if self.controls.len() >= MAX_KEPT {
                    self.controls.pop_front();
                }
                let kept = (control.frame.opcode, control.payload.clone());
                self.controls.push_back(kept);
            }
            Event::Close(close) => self.close = Some(close.code),
            _ => {}
        }
    }

    /// A frame of the other side is the counterpart of one of these.
    fn pairs_with(&self, opcode: Opcode, payload: &[u8]) -> bool {
        let counterpart = match opcode {
            Opcode::Ping => Opcode::Pong,
            Opcode::Pong => Opcode::Ping,
            Opcode::Close => {
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                return self.close == Some(code);
            }
            _ => return false,
        };
        let same =
            |(other, said): &(Opcode, Vec<u8>)| *other == counterpart && said.as_slice() == payload;
        payload.len() >= OWN_PAYLOAD && self.controls.iter().any(same)
    }
}

/// What one direction of a connection without a handshake has to know of the other.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    pub(super) said: Sides<Said>,
    /// Ends of directions in which nothing was found: what the other one turns
    /// out to be may explain what was said.
    pub(super) ends: Sides<Option<PacketRef>>,
}

impl Search {
    /// It begins with the first byte that came, and a frame begins or goes on with each segment.
    pub(super) fn is_from_origin(&self, candidate: &Candidate) -> bool {
        let first = candidate.fits_segments && self.origin == Some(candidate.start);
        first || self.is_from_switch(candidate)
    }

    /// The same of the first byte behind the opening handshake.
    pub(super) fn is_from_switch(&self, candidate: &Candidate) -> bool {
        candidate.fits_segments && self.beginning == Some(candidate.start)
    }

    /// What came last is a segment that the other direction's words explain.
    fn find_answer(&mut self, said: &Said, out: &mut impl FnMut(Event)) -> Option<Found> {
        let candidate = **self.candidates.get(&self.end)?;
        let (header, site) = candidate.latest();
        let answers = || {
            let payload = self.control_payload(&candidate);
            site.aligned && payload.is_some_and(|payload| said.pairs_with(header.opcode, &payload))
        };
        let from_origin = self.is_from_origin(&candidate);
        if !(from_origin && header.opcode == Opcode::Close || answers()) {
            return None;
        }
        let start = match from_origin && self.holds(candidate.start) {
            true => candidate.start,
            false => site.offset,
        };
        self.conclude(Some((start, u64::MAX)), out)
    }

    /// Nothing more comes, and all that came is frames.
    fn find_whole(&mut self, out: &mut impl FnMut(Event)) -> Option<Found> {
        let candidate = **self.candidates.get(&self.end)?;
        let whole = self.is_from_origin(&candidate) && candidate.chance >= LINK;
        let whole = whole && self.holds(candidate.start);
        let found = whole.then_some((candidate.start, u64::MAX))?;
        self.conclude(Some(found), out)
    }

    /// Where the Close frame begins with which the stream ended: the last bytes
    /// are a segment of its own or a part of a chain, and its length leads to
    /// the end. Only where frames are known to pass.
    pub(super) fn closing(&self) -> Option<u64> {
        let candidate = self.candidates.get(&self.end)?;
        let (header, site) = candidate.latest();
        let rooted = site.aligned || candidate.is_scrambled();
        let known = self.expected.known || self.is_from_switch(candidate);
        if header.opcode != Opcode::Close || !rooted || !known {
            return None;
        }
        let enough = candidate.is_likely_with(CLOSE_AT_END) && self.holds(site.offset);
        if !enough {
            return None;
        }
        // Of one that the snap length cut, the sample was sound.
        let Some(payload) = self.control_payload(candidate) else {
            return Some(site.offset);
        };
        let sound = match payload.split_first_chunk::<2>() {
            Some((code, reason)) => {
                let legal = !close::is_illegal(u16::from_be_bytes(*code));
                legal && std::str::from_utf8(reason).is_ok()
            }
            None => payload.is_empty(),
        };
        sound.then_some(site.offset)
    }

    /// The payload of the latest frame, unmasked, if it is that of a control frame and held.
    fn control_payload(&self, candidate: &Candidate) -> Option<Vec<u8>> {
        let (header, site) = candidate.latest();
        if !header.opcode.is_control() {
            return None;
        }
        let from = site.offset.saturating_add(u64::from(header.len));
        let mut payload = Vec::new();
        for piece in &self.held.pieces {
            if let Piece::Bytes(bytes) = piece
                && let Some(chunk) = bytes.chunk(from)
            {
                payload.extend_from_slice(chunk.bytes);
            }
        }
        let mut clear = Vec::new();
        unmask(&payload, header.mask, 0, &mut |bytes| {
            clear.extend_from_slice(bytes)
        });
        (clear.len() as u64 == header.payload_len).then_some(clear)
    }
}

impl Half {
    /// No frame was found in it so far.
    pub(super) const fn is_sought(&self) -> bool {
        !self.found && matches!(self.state, State::Searching(_))
    }

    /// Since when frames are sought behind a 101 whose head was cut.
    pub(super) fn sought_since(&self) -> Option<PacketRef> {
        match &self.state {
            State::Searching(search) if search.beginning.is_some() => search.first,
            _ => None,
        }
    }

    /// The other direction is proven and said this.
    pub(super) fn search_answer(&mut self, said: &Said, out: &mut impl FnMut(Event)) {
        if let State::Searching(search) = &mut self.state
            && let Some(found) = search.find_answer(said, out)
        {
            self.resume(&found, out);
        }
    }

    /// The other direction is proven, and nothing more comes in this one.
    pub(super) fn search_whole(&mut self, out: &mut impl FnMut(Event)) {
        if let State::Searching(search) = &mut self.state
            && let Some(found) = search.find_whole(out)
        {
            self.resume(&found, out);
        }
    }

    /// Nothing more comes: what is likely by itself has to do.
    pub(super) fn search_last(&mut self, last: Last, out: &mut impl FnMut(Event)) {
        if let State::Searching(search) = &mut self.state
            && let Some(found) = search.on_end(last, out)
        {
            self.resume(&found, out);
        }
    }
}
