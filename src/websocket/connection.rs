//! Both directions of a connection, and what the one tells of the other.

use super::half::Half;
use super::quiet::Said;
use super::{Event, Parameters, Wants};
use crate::stream::{Direction, Sides, StreamEvent};

/// Both directions of a WebSocket connection, from the first byte after the
/// opening handshake on.
#[derive(Debug)]
pub struct Connection {
    halves: Sides<Half>,
    /// What each direction said, while frames of the other are looked for in a
    /// connection without a handshake.
    said: Option<Box<Sides<Said>>>,
}

impl Connection {
    /// A connection of which nothing was seen yet.
    pub fn new(parameters: Parameters) -> Self {
        Self {
            halves: Sides::from_fn(|direction| Half::new(direction, &parameters)),
            said: None,
        }
    }

    /// A connection whose opening handshake wasn't captured: both directions
    /// begin at an unknown place, with unknown extensions, and first search for
    /// frames. See [`Recognition`] for connections that may be something else.
    pub fn mid_stream(wants: Wants) -> Self {
        Self {
            halves: Sides::from_fn(|direction| Half::mid_stream(direction, wants)),
            said: Some(Box::default()),
        }
    }

    /// Takes the next bytes, gap or end of one direction and hands what shows
    /// in it to `out`, in stream order.
    pub fn on_stream(&mut self, event: &StreamEvent<'_>, out: &mut impl FnMut(Event)) {
        let Some(mut said) = self.said.take() else {
            return self.read(event, out);
        };
        let mut note = |event: Event| {
            if let Some(sender) = event.sender_of_control() {
                said[sender].note(&event);
            }
            out(event);
        };
        if let StreamEvent::End(direction, _) = event {
            self.search_last(*direction, &mut note);
        }
        self.read(event, &mut note);
        for direction in Direction::BOTH {
            let peer = direction.reverse();
            if self.halves[direction].is_sought() && self.halves[peer].found {
                self.halves[direction].search_answer(&said[peer], out);
            }
        }
        let halves = &mut self.halves;
        if halves.server.doubted && halves.client.scrambled {
            halves.server.trust();
        }
        if halves.server.doubted || !halves.client.found || !halves.server.found {
            self.said = Some(said);
        }
    }

    /// Nothing more comes in this direction: what is likely has to do, and
    /// where the other is proven, that all of it is frames.
    fn search_last(&mut self, direction: Direction, out: &mut impl FnMut(Event)) {
        self.halves[direction].search_last(out);
        if self.halves[direction].is_sought() && self.halves[direction.reverse()].found {
            self.halves[direction].search_whole(out);
        }
    }

    /// So many captured bytes of a direction that is searched went by before any other.
    pub(super) fn pass_over(&mut self, direction: Direction, bytes: u64) {
        self.halves[direction].search(bytes);
    }

    fn read(&mut self, event: &StreamEvent<'_>, out: &mut impl FnMut(Event)) {
        match event {
            StreamEvent::Chunk(chunk) => self.halves[chunk.direction].on_chunk(chunk, out),
            StreamEvent::Gap(gap) => self.halves[gap.direction].on_gap(gap, out),
            StreamEvent::End(direction, at) => self.halves[*direction].on_end(*at, out),
        }
    }

    /// Bytes of memory held beyond the connection itself: kept payload and
    /// decompression state.
    pub fn buffered(&self) -> usize {
        self.halves.iter().map(|(_, half)| half.buffered()).sum()
    }

    /// The capture ended: hands over what was cut off, incomplete. That the
    /// rest is missing is nobody's breach.
    pub fn finish(&mut self, out: &mut impl FnMut(Event)) {
        if self.said.take().is_some() {
            // Twice: what proves the second proves the first.
            for direction in Direction::BOTH.into_iter().cycle().take(3) {
                self.search_last(direction, out);
            }
        }
        for direction in Direction::BOTH {
            self.halves[direction].finish(out);
        }
    }
}
