//! Reads the bytes of one side: first bytes, heads and bodies.

use std::mem;

use super::body::{Body, Step};
use super::connection::{Connection, Mode, Place, rest_of};
use super::excerpt::Excerpt;
use super::gather::{Gather, Gathered};
use super::half::Phase;
use super::start::{Start, classify, may_begin_head};
use super::{Event, Lookalike, Output, parse};
use crate::stream::{Chunk, Direction, PacketRef, StreamEvent};
use Direction::{ClientToServer, ServerToClient};

impl Connection {
    pub(super) fn on_chunk(
        &mut self,
        chunk: &Chunk<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) -> usize {
        let mut taken = 0;
        while let Some(rest) = rest_of(chunk, taken) {
            if self.mode == Mode::Opaque {
                return chunk.bytes.len();
            }
            if self.waits(chunk.direction) {
                break;
            }
            taken += match self.halves[chunk.direction].phase {
                Phase::Start => self.on_start(&rest, out),
                Phase::Head => self.on_head(&rest, out),
                Phase::Body(body) => self.on_body(body, &rest, out),
                Phase::Search => self.search(&rest, out),
                Phase::Socks => self.on_socks(&rest, out),
                Phase::Ignored => rest.bytes.len(),
                Phase::Stream => {
                    out(Output::Stream(StreamEvent::Chunk(rest)));
                    rest.bytes.len()
                }
            };
        }
        taken
    }

    fn on_start(&mut self, chunk: &Chunk<'_>, out: &mut impl FnMut(Output<'_>)) -> usize {
        let half = &mut self.halves[chunk.direction];
        let at = half.gather.first().unwrap_or(chunk.seen);
        let mut joined = Vec::new();
        let start = classify(chunk.direction, half.gather.with(chunk.bytes, &mut joined));
        match start {
            Start::Undecided => {
                half.gather.keep(chunk.bytes, chunk.seen);
                chunk.bytes.len()
            }
            Start::Http => {
                half.phase = Phase::Head;
                0
            }
            Start::EmptyLines(len) => half.gather.drop_front(len),
            Start::Proxied(len, header) => {
                out(Output::Fact(Event::Proxied { header, at }));
                half.gather.drop_front(len)
            }
            Start::Socks(kind) => {
                self.begin_socks(kind, at, out);
                0
            }
            Start::Other(looks_like) => {
                self.not_http(chunk.direction, at, looks_like, out);
                chunk.bytes.len()
            }
        }
    }

    fn on_head(&mut self, chunk: &Chunk<'_>, out: &mut impl FnMut(Output<'_>)) -> usize {
        let half = &mut self.halves[chunk.direction];
        if half.gather.is_empty() {
            // RFC 9112, section 2.2: empty lines before a head are stepped over.
            let empty = chunk
                .bytes
                .iter()
                .take_while(|b| matches!(b, b'\r' | b'\n'))
                .count();
            if empty > 0 {
                return empty;
            }
        }
        if !may_begin_head(chunk.direction, half.gather.bytes(), chunk.bytes) {
            self.lose_head(chunk.direction, chunk.seen, out);
            return chunk.bytes.len();
        }
        let mut gather = mem::take(&mut half.gather);
        match gather.push(chunk) {
            Gathered::Pending => {
                half.gather = gather;
                chunk.bytes.len()
            }
            Gathered::TooLong => {
                self.lose_head(chunk.direction, chunk.seen, out);
                chunk.bytes.len()
            }
            Gathered::Complete(len) => {
                let (bytes, first) = gather.head(chunk, len);
                let end = chunk
                    .offset
                    .saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
                let place = Place {
                    first,
                    last: chunk.seen,
                    end,
                };
                match chunk.direction {
                    ClientToServer => self.on_request(bytes, place, out),
                    ServerToClient => self.on_response(bytes, place, out),
                }
                len
            }
        }
    }

    fn on_body(
        &mut self,
        body: Body,
        chunk: &Chunk<'_>,
        out: &mut impl FnMut(Output<'_>),
    ) -> usize {
        if chunk.direction == ServerToClient && !parse::begins_like_response(chunk.bytes) {
            self.bare_answer = None;
        }
        let answer = body == Body::UntilClose && !self.outstanding.is_empty();
        if answer && parse::begins_like_response(chunk.bytes) {
            // The client asked again: for both of them the body was over.
            self.end_body(ServerToClient, out);
            return 0;
        }
        let mut body = body;
        let refusal = self
            .refusal
            .as_mut()
            .filter(|_| chunk.direction == ServerToClient);
        let step = match refusal {
            Some(excerpt) => body.step(chunk.bytes, &mut |content| excerpt.push(content)),
            None => body.step(chunk.bytes, &mut |_| {}),
        };
        if self.refusal.as_ref().is_some_and(Excerpt::is_full) {
            self.tell_refusal(out);
        }
        match step {
            Step::More => {
                self.halves[chunk.direction].phase = Phase::Body(body);
                chunk.bytes.len()
            }
            Step::Ended(len) => {
                self.end_body(chunk.direction, out);
                len
            }
            Step::Broken => {
                self.lose_step(chunk.direction, out);
                chunk.bytes.len()
            }
        }
    }

    /// The body is over: what comes next is a head, or the WebSocket.
    fn end_body(&mut self, direction: Direction, out: &mut impl FnMut(Output<'_>)) {
        let upgraded = self.mode == Mode::HandedOn;
        self.halves[direction].phase = if upgraded { Phase::Stream } else { Phase::Head };
        if direction == ServerToClient {
            self.tell_refusal(out);
        }
    }

    pub(super) fn tell_refusal(&mut self, out: &mut impl FnMut(Output<'_>)) {
        let excerpt = self.refusal.take().map(Excerpt::decode).unwrap_or_default();
        if !excerpt.is_empty() {
            out(Output::Fact(Event::RefusalBody { excerpt }));
        }
    }

    pub(super) fn on_end(
        &mut self,
        direction: Direction,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        self.halves[direction].ended = Some(at);
        if self.mode == Mode::HandedOn {
            out(Output::Stream(StreamEvent::End(direction, at)));
        } else if direction == ServerToClient {
            self.tell_refusal(out);
        }
    }

    /// These bytes are no HTTP.
    pub(super) fn not_http(
        &mut self,
        direction: Direction,
        at: PacketRef,
        looks_like: Lookalike,
        out: &mut impl FnMut(Output<'_>),
    ) {
        out(Output::Fact(Event::NotHttp {
            direction,
            at,
            looks_like,
        }));
        let half = &mut self.halves[direction];
        half.phase = Phase::Ignored;
        half.gather = Gather::default();
        // A client may still ask a server that speaks something else: that is worth telling.
        if direction == ClientToServer || self.halves.client.begun {
            self.become_opaque();
        }
    }

    pub(super) fn become_opaque(&mut self) {
        *self = Self {
            mode: Mode::Opaque,
            ..Self::default()
        };
    }
}
