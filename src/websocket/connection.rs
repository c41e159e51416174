//! Both directions of a connection, and what the one tells of the other.

use super::found::Found;
use super::half::Half;
use super::quiet::Unsettled;
use super::search::{Last, Search};
use super::subprotocol::{Detection, Hint};
use super::{Event, Parameters, Wants};
use crate::stream::{Direction, PacketRef, Sides, StreamEvent};

/// Both directions of a WebSocket connection, from the first byte after the
/// opening handshake on.
#[derive(Debug)]
pub struct Connection {
    halves: Sides<Half>,
    /// While frames of a direction are looked for in a connection without a handshake.
    unsettled: Option<Box<Unsettled>>,
    /// While it is being found out what the messages are.
    detection: Option<Box<Detection>>,
}

impl Connection {
    /// A connection of which nothing was seen yet.
    pub fn new(parameters: Parameters) -> Self {
        Self {
            halves: Sides::from_fn(|direction| Half::new(direction, &parameters)),
            unsettled: None,
            detection: matches!(parameters.hint, Some(Hint::None)).then(Box::default),
        }
    }

    /// A connection whose opening handshake wasn't captured: both directions
    /// begin at an unknown place, with unknown extensions, and first search for
    /// frames. See [`Recognition`](super::Recognition) for connections that may be something else.
    pub fn mid_stream(wants: Wants) -> Self {
        Self {
            halves: Sides::from_fn(|direction| Half::mid_stream(direction, wants)),
            unsettled: Some(Box::default()),
            detection: Some(Box::default()),
        }
    }

    /// A connection of whose opening handshake too little was captured to know
    /// what was agreed on: frames begin at these offsets, or one began before and goes on there.
    pub fn behind(offsets: Sides<Option<u64>>, wants: Wants) -> Self {
        let mut this = Self::mid_stream(wants);
        for (direction, offset) in offsets.iter() {
            if let Some(offset) = *offset {
                this.search_from(direction, offset);
            }
        }
        this
    }

    /// Takes the next bytes, gap or end of one direction and hands what shows
    /// in it to `out`, in stream order.
    pub fn on_stream(&mut self, event: &StreamEvent<'_>, out: &mut impl FnMut(Event)) {
        self.on_frames(event, out);
        if self.detection.is_some() {
            self.detect(matches!(event, StreamEvent::End(..)), out);
        }
    }

    /// Looks at messages that came, to find out what is spoken.
    #[cold]
    fn detect(&mut self, ended: bool, out: &mut impl FnMut(Event)) {
        let listeners = Sides {
            client: &mut self.halves.client.listener,
            server: &mut self.halves.server.listener,
        };
        let detection = self.detection.as_mut();
        if !detection.is_some_and(|detection| detection.judge(listeners, ended, out)) {
            self.detection = None;
        }
    }

    fn on_frames(&mut self, event: &StreamEvent<'_>, out: &mut impl FnMut(Event)) {
        let Some(mut unsettled) = self.unsettled.take() else {
            return self.read(event, out);
        };
        if let StreamEvent::End(direction, at) = event {
            let mut note = noting(&mut unsettled, out);
            self.search_last(*direction, Last::OfStream, &mut note);
            drop(note);
            if self.may_be_explained(*direction) && unsettled.ends[direction.reverse()].is_none() {
                unsettled.ends[*direction] = Some(*at);
                self.unsettled = Some(unsettled);
                return;
            }
        }
        self.read(event, &mut noting(&mut unsettled, out));
        self.settle(unsettled, out);
    }

    /// Reads on in a direction from where its frames were found.
    pub(super) fn resume(
        &mut self,
        direction: Direction,
        found: &Found,
        out: &mut impl FnMut(Event),
    ) {
        let mut unsettled = self.unsettled.take().unwrap_or_default();
        self.halves[direction].resume(found, &mut noting(&mut unsettled, out));
        self.settle(unsettled, out);
    }

    /// A direction goes on with a search that knows it already.
    pub(super) fn take_over(&mut self, direction: Direction, search: Box<Search>) {
        self.halves[direction].take_over(search);
    }

    /// So many captured bytes of a direction that is searched went by before any other.
    pub(super) fn pass_over(&mut self, direction: Direction, bytes: u64) {
        self.halves[direction].search(bytes);
    }

    /// Where the frames of a direction begin, if none began before.
    pub(super) fn search_from(&mut self, direction: Direction, offset: u64) {
        self.halves[direction].search_from(offset);
    }

    /// What one direction has come to may explain the other.
    fn settle(&mut self, mut unsettled: Box<Unsettled>, out: &mut impl FnMut(Event)) {
        for direction in Direction::BOTH {
            let peer = direction.reverse();
            if self.halves[direction].is_sought() && self.halves[peer].found {
                self.halves[direction].search_answer(&unsettled.said[peer], out);
            }
        }
        self.trust();
        for direction in Direction::BOTH {
            if !self.may_be_explained(direction)
                && let Some(at) = unsettled.ends[direction].take()
            {
                self.search_last(direction, Last::OfStream, out);
                self.halves[direction].on_end(at, out);
            }
        }
        self.trust();
        let halves = &self.halves;
        let waits = unsettled.ends.iter().any(|(_, end)| end.is_some());
        if waits || halves.server.doubted || !halves.client.found || !halves.server.found {
            self.unsettled = Some(unsettled);
        }
    }

    /// A client that masks makes a WebSocket of the other side too.
    fn trust(&mut self) {
        let halves = &mut self.halves;
        if halves.server.doubted && halves.client.scrambled {
            halves.server.trust();
        }
    }

    /// Nothing was found in a direction, and the other may still be proven.
    fn may_be_explained(&self, direction: Direction) -> bool {
        self.halves[direction].is_sought() && self.halves[direction.reverse()].is_sought()
    }

    /// Nothing more comes in this direction: what is likely has to do, and
    /// where the other is proven, that all of it is frames.
    fn search_last(&mut self, direction: Direction, last: Last, out: &mut impl FnMut(Event)) {
        self.halves[direction].search_last(last, out);
        if self.halves[direction].is_sought() && self.halves[direction.reverse()].found {
            self.halves[direction].search_whole(out);
        }
    }

    fn read(&mut self, event: &StreamEvent<'_>, out: &mut impl FnMut(Event)) {
        match event {
            StreamEvent::Chunk(chunk) => self.halves[chunk.direction].on_chunk(chunk, out),
            StreamEvent::Gap(gap) => self.halves[gap.direction].on_gap(gap, out),
            StreamEvent::End(direction, at) => self.halves[*direction].on_end(*at, out),
        }
    }

    /// The first packet of what is told late: of a message that is not at its end, or of
    /// frames that are sought behind a 101.
    pub fn open_since(&self) -> Option<PacketRef> {
        let halves = self.halves.iter();
        let open = halves.flat_map(|(_, half)| {
            let message = half.message.as_ref();
            let begun = message.map(|message| message.message.first);
            begun.into_iter().chain(half.sought_since())
        });
        open.min()
    }

    /// Bytes of memory held beyond the connection itself: kept payload and
    /// decompression state.
    pub fn buffered(&self) -> usize {
        self.halves.iter().map(|(_, half)| half.buffered()).sum()
    }

    /// The capture ended: hands over what was cut off, incomplete. That the
    /// rest is missing is nobody's breach.
    pub fn finish(&mut self, out: &mut impl FnMut(Event)) {
        if let Some(mut unsettled) = self.unsettled.take() {
            // Twice: what proves the second proves the first.
            for direction in Direction::BOTH.into_iter().cycle().take(3) {
                let last = match unsettled.ends[direction] {
                    Some(_) => Last::OfStream,
                    None => Last::OfCapture,
                };
                self.search_last(direction, last, out);
            }
            for direction in Direction::BOTH {
                if let Some(at) = unsettled.ends[direction].take() {
                    self.halves[direction].on_end(at, out);
                }
            }
        }
        for direction in Direction::BOTH {
            self.halves[direction].finish(out);
        }
        if self.detection.is_some() {
            self.detect(true, out);
        }
    }
}

/// Hands events to `out` after what they say of the peer was taken down.
fn noting(unsettled: &mut Unsettled, out: &mut impl FnMut(Event)) -> impl FnMut(Event) {
    move |event| {
        if let Some(sender) = event.sender_of_control() {
            unsettled.said[sender].note(&event);
        }
        out(event);
    }
}
