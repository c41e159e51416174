//! A data message while it is being put together.

use sha2::{Digest, Sha256};

use super::deflate::{Inflater, Stop};
use super::mask::unmask;
use super::utf8::{BadByte, Utf8};
use super::{Breach, Event, Frame, Message, Opcode, Wants};
use crate::stream::PacketRef;

/// The packets that carried some bytes: when they were seen, when released.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) seen: PacketRef,
    pub(super) released: PacketRef,
}

impl Arrival {
    /// The later of both, each for itself.
    pub(super) fn latest(self, other: Self) -> Self {
        Self {
            seen: self.seen.max(other.seen),
            released: self.released.max(other.released),
        }
    }
}

/// Where something was noticed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: PacketRef,
    /// The frame's position in its stream.
    pub(super) offset: u64,
}

/// How the payload of a message is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As it is.
    Plain,
    /// Through the inflater of its direction.
    Inflated,
    /// Through the inflater, until that failed.
    Failed,
    /// Not at all: compressed, and the context is lost.
    Unreadable,
}

/// A message that is being put together.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) message: Message,
    pub(super) reading: Reading,
    /// The first byte that isn't UTF-8 and where it was, until it is reported.
    /// Boxed, as is what follows, so that sound messages are small.
    pub(super) bad_text: Option<Box<(BadByte, Place)>>,
    /// Why it doesn't inflate, and where that was noticed.
    pub(super) stopped: Option<Box<(Stop, Place)>>,
    /// Close was sent, or the transport ended, before its last fragment, and this was said.
    pub(super) unfinished: bool,
    /// Stream offset of its latest frame.
    pub(super) last_frame: u64,
    /// Its beginning, uncompressed and unmasked, where somebody listens.
    pub(super) excerpt: Option<Vec<u8>>,
    /// How much more of it to keep.
    excerpt_room: usize,
    /// Its bytes may be anything.
    opaque: bool,
    /// What its headers announce: bytes of payload, and of whole frames.
    announced: (u64, u64),
    /// Its first fragment was seen.
    begun: bool,
    /// Its latest fragment is its last.
    ended: bool,
    content: Content,
}

/// What becomes of a message's uncompressed, unmasked bytes.
#[derive(Debug)]
struct Content {
    utf8: Option<Utf8>,
    sha256: Option<Box<Sha256>>,
    /// How many more bytes to keep.
    room: usize,
}

impl Content {
    fn of(opcode: Opcode, opaque: bool, wants: Wants) -> Self {
        Self {
            utf8: (opcode == Opcode::Text && !opaque).then(Utf8::default),
            sha256: wants.sha256.then(Box::default),
            room: wants.payload.unwrap_or(0),
        }
    }

    /// Nobody asks for the bytes.
    fn is_idle(&self) -> bool {
        self.utf8.is_none() && self.sha256.is_none() && self.room == 0
    }
}

impl Assembly {
    /// A message that begins with `frame`. `opaque`: its bytes may be anything,
    /// since an unknown extension could have made them.
    #[inline(always)]
    pub(super) fn begin(frame: &Frame, reading: Reading, opaque: bool, wants: Wants) -> Self {
        let message = Message {
            direction: frame.direction,
            opcode: frame.opcode,
            len: 0,
            wire_len: 0,
            whole_len: None,
            whole_wire_len: None,
            compressed: reading != Reading::Plain,
            fragments: 0,
            complete: reading != Reading::Unreadable,
            confidence: frame.confidence,
            first: frame.at,
            begun: frame.at,
            last: frame.at,
            available: frame.at,
            end: frame.offset,
            breaches: Vec::new(),
            sha256: None,
            payload: (wants.payload.is_some() && reading != Reading::Unreadable).then(Vec::new),
        };
        Self {
            message,
            reading,
            bad_text: None,
            stopped: None,
            unfinished: false,
            last_frame: frame.offset,
            excerpt: None,
            excerpt_room: 0,
            opaque,
            announced: (0, 0),
            begun: frame.opcode != Opcode::Continuation,
            ended: false,
            content: Content::of(frame.opcode, opaque, wants),
        }
    }

    /// Keeps the first `room` bytes in `excerpt`, for who listens.
    pub(super) fn lend(&mut self, excerpt: Vec<u8>, room: usize) {
        self.excerpt = Some(excerpt);
        self.excerpt_room = room;
    }

    /// The header of its next frame.
    #[inline]
    pub(super) fn add(&mut self, frame: &Frame, arrival: Arrival) {
        self.message.fragments = self.message.fragments.saturating_add(1);
        self.message.end = frame.end();
        self.last_frame = frame.offset;
        let (payload, wire) = self.announced;
        let size = u64::from(frame.header_len).saturating_add(frame.payload_len);
        self.announced = (
            payload.saturating_add(frame.payload_len),
            wire.saturating_add(size),
        );
        self.ended = frame.fin;
        self.passed(u64::from(frame.header_len));
        self.arrived(arrival);
    }

    fn passed(&mut self, len: u64) {
        self.message.wire_len = self.message.wire_len.saturating_add(len);
    }

    fn arrived(&mut self, arrival: Arrival) {
        self.message.last = self.message.last.max(arrival.seen);
        self.message.available = self.message.available.max(arrival.released);
    }

    /// The next bytes of `frame`'s payload, from `position` on, as they were on the wire.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        frame: &Frame,
        position: u64,
        arrival: Arrival,
        inflater: &mut Inflater,
    ) {
        self.passed(bytes.len() as u64);
        self.arrived(arrival);
        let place = Place {
            at: arrival.seen,
            offset: frame.offset,
        };
        match self.reading {
            Reading::Plain if self.content.is_idle() && self.excerpt_room == 0 => self.count(bytes),
            Reading::Plain => {
                unmask(bytes, frame.mask, position, &mut |clear| {
                    self.take(clear, place)
                });
            }
            Reading::Inflated | Reading::Failed => {
                unmask(bytes, frame.mask, position, &mut |clear| {
                    self.inflate(clear, place, inflater);
                });
            }
            Reading::Unreadable => {}
        }
    }

    fn inflate(&mut self, compressed: &[u8], place: Place, inflater: &mut Inflater) {
        if self.reading == Reading::Failed {
            return inflater.push_failed(compressed);
        }
        if let Err(stop) = inflater.push(compressed, &mut |clear| self.take(clear, place)) {
            self.fail(stop, place);
        }
    }

    /// Every byte of the compressed message came: the last of it may come out now.
    pub(super) fn end_inflating(&mut self, place: Place, inflater: &mut Inflater) {
        if let Err(stop) = inflater.end(&mut |clear| self.take(clear, place)) {
            self.fail(stop, place);
        }
    }

    fn fail(&mut self, stop: Stop, place: Place) {
        self.reading = Reading::Failed;
        self.stopped = Some(Box::new((stop, place)));
    }

    /// Inflates the failed message once more without the context of earlier
    /// ones; if that works it counts as read. Else it stays as it was.
    pub(super) fn retry(&mut self, place: Place, wants: Wants, inflater: &mut Inflater) -> bool {
        let len = std::mem::take(&mut self.message.len);
        self.message.payload = wants.payload.map(|_| Vec::new());
        self.content = Content::of(self.message.opcode, self.opaque, wants);
        self.bad_text = None;
        // Of what didn't inflate nothing is read.
        self.excerpt_room = 0;
        if let Some(excerpt) = &mut self.excerpt {
            excerpt.clear();
        }
        let works = inflater.retry(&mut |clear| self.take(clear, place));
        if works {
            self.reading = Reading::Inflated;
        } else {
            self.message.len = len;
        }
        works
    }

    /// The text ended: no character may be incomplete.
    pub(super) fn end_text(&mut self, place: Place) {
        if let Some(utf8) = self.content.utf8.take()
            && let Err(bad) = utf8.end()
        {
            self.bad_text = Some(Box::new((bad, place)));
        }
    }

    /// `len` bytes of the payload are missing.
    pub(super) fn tear(&mut self, len: u64) {
        self.passed(len);
        match self.reading {
            Reading::Inflated => self.reading = Reading::Unreadable,
            // The headers tell how long it was all the same.
            Reading::Plain => self.message.len = self.message.len.saturating_add(len),
            Reading::Unreadable | Reading::Failed => {}
        }
        self.cut();
    }

    /// The message isn't whole: it has no digest, and what could still come
    /// doesn't follow on what is kept.
    pub(super) fn cut(&mut self) {
        self.message.complete = false;
        self.excerpt_room = 0;
        self.content = Content {
            utf8: None,
            sha256: None,
            room: 0,
        };
    }

    /// The message is done: it gets its digest, if it is whole.
    #[inline]
    pub(super) fn seal(&mut self) {
        if self.reading == Reading::Failed {
            self.cut();
            self.message.payload = None;
        }
        if self.begun && self.ended {
            let (payload, wire) = self.announced;
            let inflated = self.message.complete.then_some(self.message.len);
            self.message.whole_wire_len = Some(wire);
            self.message.whole_len = match self.message.compressed {
                true => inflated,
                false => Some(payload),
            };
        } else if self.message.complete {
            self.message.whole_len = Some(self.message.len);
            self.message.whole_wire_len = Some(self.message.wire_len);
        }
        if self.message.complete {
            let digest = self.content.sha256.take();
            self.message.sha256 = digest.map(|digest| digest.finalize().into());
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.message.len = self.message.len.saturating_add(bytes.len() as u64);
    }

    /// The next bytes of the message, unmasked and uncompressed.
    fn take(&mut self, bytes: &[u8], place: Place) {
        self.count(bytes);
        if let Some(utf8) = &mut self.content.utf8
            && let Err(bad) = utf8.push(bytes)
        {
            self.bad_text = Some(Box::new((bad, place)));
            self.content.utf8 = None;
        }
        if let Some(digest) = &mut self.content.sha256 {
            digest.update(bytes);
        }
        if self.excerpt_room > 0
            && let Some(excerpt) = &mut self.excerpt
        {
            let kept = bytes.get(..self.excerpt_room).unwrap_or(bytes);
            excerpt.extend_from_slice(kept);
            self.excerpt_room -= kept.len();
        }
        if let Some(payload) = &mut self.message.payload
            && self.content.room > 0
        {
            let kept = bytes.get(..self.content.room).unwrap_or(bytes);
            payload.extend_from_slice(kept);
            self.content.room -= kept.len();
        }
    }

    /// Notes that one of its frames committed `breach`.
    pub(super) fn note(&mut self, breach: Breach) {
        if !self.message.breaches.contains(&breach) {
            self.message.breaches.push(breach);
        }
    }

    /// Notes a breach and reports it.
    pub(super) fn report(
        &mut self,
        breach: Breach,
        place: Place,
        detail: String,
        out: &mut impl FnMut(Event),
    ) {
        self.note(breach);
        let direction = self.message.direction;
        let Place { at, offset } = place;
        out(Event::Breach {
            breach,
            direction,
            at,
            offset,
            detail,
        });
    }

    /// Bytes of memory held.
    pub(super) fn buffered(&self) -> usize {
        let excerpt = self.excerpt.as_ref().map_or(0, Vec::capacity);
        let payload = self.message.payload.as_ref().map_or(0, Vec::capacity);
        excerpt.saturating_add(payload)
    }
}
