//! One connection as HTTP sees it: pairs answers with requests until one of
//! them turns the connection into a WebSocket or a tunnel.

use std::collections::VecDeque;
use std::mem;

use super::cut::CutSwitch;
use super::excerpt::Excerpt;
use super::half::{Half, Phase, Question};
use super::socks::Dialogue;
use super::{Output, parse};
use crate::stream::{Chunk, Direction, Gap, PacketRef, Sides, StreamEvent};
use Direction::{ClientToServer, ServerToClient};

/// How many requests may be unanswered before the client's later ones wait.
///
/// Rationale: browsers don't pipeline, and tools that do stop at a few dozen.
const OUTSTANDING_MAX: usize = 64;

/// HTTP/1.1 on one connection, both directions, until it becomes a WebSocket or a tunnel.
///
/// Feed it the stream events of both directions in capture order. Client bytes
/// behind an opening handshake wait for its answer, server bytes for the
/// request that they answer; both within limits.
#[derive(Debug, Default)]
pub struct Connection {
    pub(super) mode: Mode,
    pub(super) halves: Sides<Half>,
    /// Requests without a final answer, oldest first.
    pub(super) outstanding: VecDeque<Question>,
    /// Whether requests may have been missed, so that answers don't wait for them.
    pub(super) requests_missed: bool,
    /// The first packet of the first request behind missing ones: what the
    /// server sent before it answers none that was seen.
    pub(super) missed_until: Option<PacketRef>,
    /// What client and server say before a tunnel of SOCKS stands.
    pub(super) socks: Option<Box<Dialogue>>,
    /// The body of a refusal while it comes.
    pub(super) refusal: Option<Excerpt>,
    /// The packet that handed the connection on.
    pub(super) upgraded_at: Option<PacketRef>,
    /// The last packet of a 2xx to a missed request that says nothing of a body, while none came.
    pub(super) bare_answer: Option<PacketRef>,
    /// What is missing where an answer should be.
    pub(super) answer_gap: Option<Gap>,
    /// Where what the snap length cut of heads ended last.
    pub(super) cut_until: Sides<Option<u64>>,
    /// The same as it was when it cut a 101.
    pub(super) behind_cut_switch: Sides<Option<u64>>,
    /// An opening handshake of which the snap length left the beginnings.
    pub(super) cut_switch: Option<Box<CutSwitch>>,
}

/// What the connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Http,
    /// What another layer reads: a WebSocket, or the stream inside a tunnel.
    HandedOn,
    /// Neither, as far as is known.
    Opaque,
}

impl Connection {
    /// A connection of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event of either direction.
    pub fn on_stream(&mut self, event: StreamEvent<'_>, out: &mut impl FnMut(Output<'_>)) {
        let direction = event.direction();
        if self.shows_a_lost_request(&event) {
            // What the server said to it comes first.
            self.replay(out);
        }
        let half = &self.halves[direction];
        match self.mode {
            Mode::Opaque => return,
            Mode::HandedOn if half.phase == Phase::Stream && half.held.is_empty() => {
                return out(Output::Stream(event));
            }
            Mode::Http | Mode::HandedOn => {}
        }
        if half.held.is_empty() && !self.keeps_waiting(&event) {
            let taken = self.step(&event, out);
            if let Some(rest) = behind(&event, taken) {
                self.hold(direction, &rest);
            }
        } else {
            self.hold(direction, &event);
        }
        if direction == ClientToServer {
            if matches!(event, StreamEvent::Gap(_)) {
                // The request that an answer waits for may lie just behind it.
                return;
            }
            self.judge_lost_tunnel(out);
        }
        self.replay(out);
    }

    /// Bytes held: heads that aren't complete, what waits for an answer, unanswered handshakes.
    pub fn buffered(&self) -> usize {
        let halves = self
            .halves
            .iter()
            .map(|(_, half)| half.gather.buffered() + half.held.buffered());
        let questions = self.outstanding.iter().map(|question| match question {
            Question::WebSocket { size, .. } => *size,
            Question::Connect(asked) => asked.target.len(),
            Question::Head | Question::Ordinary => 0,
        });
        halves.chain(questions).sum::<usize>() + self.refusal.as_ref().map_or(0, Excerpt::buffered)
    }

    /// Whether everything to come goes through as [`Output::Stream`]: it
    /// needn't be fed, what follows may go to the layer above.
    pub fn is_transparent(&self) -> bool {
        let through = |half: &Half| half.phase == Phase::Stream && half.held.is_empty();
        self.mode == Mode::HandedOn && self.halves.iter().all(|(_, half)| through(half))
    }

    /// Whether nothing of this connection can become a WebSocket any more, as
    /// far as is known: it needn't be fed.
    pub fn is_opaque(&self) -> bool {
        self.mode == Mode::Opaque
    }

    /// Whether bytes are missing and the place of the next head isn't known in a
    /// direction: a handshake may have been among them. Where only the answer
    /// to a handshake is missing, this layer goes on by itself.
    pub fn is_searching(&self) -> bool {
        let searching = |half: &Half| half.phase == Phase::Search;
        self.mode == Mode::Http
            && !self.awaits_upgrade()
            && self.halves.iter().any(|(_, half)| searching(half))
    }

    /// Exchanges the two sides: the first guess at who is the client was wrong.
    /// Only while nothing was read.
    pub fn swap_sides(&mut self) {
        self.halves.swap();
        self.requests_missed |= self.halves.client.begun;
    }

    /// The connection or the capture is over: tells what is still held.
    pub fn finish(&mut self, out: &mut impl FnMut(Output<'_>)) {
        self.requests_missed = true;
        self.judge_lost_tunnel(out);
        self.replay(out);
        self.tell_refusal(out);
    }

    /// Whether the next bytes of this side can't be read yet.
    pub(super) fn waits(&self, direction: Direction) -> bool {
        let half = &self.halves[direction];
        if half.phase == Phase::Socks {
            return self
                .socks
                .as_ref()
                .is_some_and(|said| said.turn() != direction);
        }
        if self.mode != Mode::Http || half.phase != Phase::Head {
            return false;
        }
        match direction {
            ClientToServer => {
                self.outstanding
                    .back()
                    .is_some_and(Question::decides_the_protocol)
                    || self.outstanding.len() >= OUTSTANDING_MAX
            }
            ServerToClient => {
                let client_silent = self.requests_missed || self.halves.client.ended.is_some();
                self.outstanding.is_empty() && !client_silent
            }
        }
    }

    /// The client goes on behind missing bytes, and not with a request: the one
    /// that an answer of the server waits for was among them.
    fn shows_a_lost_request(&self, event: &StreamEvent<'_>) -> bool {
        let (StreamEvent::Chunk(chunk), Mode::Http) = (event, self.mode) else {
            return false;
        };
        chunk.direction == ClientToServer
            && self.halves.client.phase == Phase::Search
            && !self.halves.server.held.is_empty()
            && !parse::begins_like_request(chunk.bytes)
    }

    /// A gap where an answer should be is told at once: the request may be missing as well.
    fn keeps_waiting(&self, event: &StreamEvent<'_>) -> bool {
        let direction = event.direction();
        let answer_lost = direction == ServerToClient && matches!(event, StreamEvent::Gap(_));
        self.waits(direction) && !answer_lost
    }

    pub(super) fn hold(&mut self, direction: Direction, event: &StreamEvent<'_>) {
        if self.mode == Mode::Opaque {
            return;
        }
        let held = &mut self.halves[direction].held;
        held.push(event);
        if direction == ServerToClient && held.is_full() {
            self.requests_missed = true;
        }
    }

    /// Reads what is held as far as nothing makes it wait any more.
    fn replay(&mut self, out: &mut impl FnMut(Output<'_>)) {
        loop {
            self.judge_lost_answer(out);
            let ready = |d: &Direction| !self.halves[*d].held.is_empty() && !self.waits(*d);
            let Some(direction) = Direction::BOTH.into_iter().find(ready) else {
                return;
            };
            let mut held = mem::take(&mut self.halves[direction].held);
            if let Some(event) = held.first(direction) {
                let taken = self.step(&self.released_by_upgrade(event), out);
                held.consume(taken);
            }
            if self.mode == Mode::Opaque {
                return;
            }
            self.halves[direction].held = held;
        }
    }

    /// The other end reads what came early once the answer is sent.
    fn released_by_upgrade<'a>(&self, event: StreamEvent<'a>) -> StreamEvent<'a> {
        match (event, self.upgraded_at) {
            (StreamEvent::Chunk(chunk), Some(at)) if chunk.direction == ClientToServer => {
                StreamEvent::Chunk(Chunk {
                    released: chunk.released.max(at),
                    ..chunk
                })
            }
            _ => event,
        }
    }

    /// Reads one event; how many of its bytes it took.
    fn step(&mut self, event: &StreamEvent<'_>, out: &mut impl FnMut(Output<'_>)) -> usize {
        match event {
            StreamEvent::Chunk(chunk) => return self.on_chunk(chunk, out),
            StreamEvent::Gap(gap) => self.on_gap(gap, out),
            StreamEvent::End(direction, at) => self.on_end(*direction, *at, out),
        }
        0
    }
}

/// Where a head lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) first: PacketRef,
    pub(super) last: PacketRef,
    pub(super) end: u64,
}

/// The chunk without its first `taken` bytes, if any are left.
pub(super) fn rest_of<'a>(chunk: &Chunk<'a>, taken: usize) -> Option<Chunk<'a>> {
    let bytes = chunk.bytes.get(taken..).filter(|bytes| !bytes.is_empty())?;
    let offset = chunk.offset.saturating_add(u64::try_from(taken).ok()?);
    Some(Chunk {
        offset,
        bytes,
        ..*chunk
    })
}

fn behind<'a>(event: &StreamEvent<'a>, taken: usize) -> Option<StreamEvent<'a>> {
    match event {
        StreamEvent::Chunk(chunk) => rest_of(chunk, taken).map(StreamEvent::Chunk),
        StreamEvent::Gap(_) | StreamEvent::End(..) => None,
    }
}
