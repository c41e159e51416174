//! What missing bytes do to HTTP: which head they took, and how it gets back in step.

use super::body::Body;
use super::connection::{Connection, Mode};
use super::gather::Gather;
use super::half::{Phase, Question};
use super::{Event, Output, parse};
use crate::stream::{Chunk, Direction, Gap, GapCause, PacketRef, Sides, StreamEvent};
use Direction::{ClientToServer, ServerToClient};

impl Connection {
    pub(super) fn on_gap(&mut self, gap: &Gap, out: &mut impl FnMut(Output<'_>)) {
        let direction = gap.direction;
        self.halves[direction].lost = Some(gap.at);
        if self.mode == Mode::Http {
            let cut = gap.len.filter(|_| gap.cause == GapCause::SnapLength);
            self.cut_until[direction] = cut.map(|len| gap.offset.saturating_add(len));
        }
        match self.halves[direction].phase {
            Phase::Body(body) if self.mode == Mode::HandedOn && !ends_inside(gap, body) => {
                self.halves[direction].phase = Phase::Stream;
                out(Output::Stream(StreamEvent::Gap(*gap)));
            }
            Phase::Stream => out(Output::Stream(StreamEvent::Gap(*gap))),
            Phase::Search | Phase::Ignored => {}
            // What was chosen, or where the tunnel begins, is lost.
            Phase::Socks => self.become_opaque(),
            Phase::Start if gap.cause == GapCause::BeganMidStream => {
                if direction == ServerToClient && self.awaits_upgrade() {
                    // The server's first bytes come behind its answer.
                    self.answer_gap = Some(*gap);
                }
                self.lose_step(direction, out);
            }
            Phase::Start | Phase::Head => self.lose_head_to(gap, out),
            Phase::Body(Body::Length(left)) => match gap.len {
                Some(len) if len < left => {
                    self.tell_if_server(direction, out);
                    self.halves[direction].phase = Phase::Body(Body::Length(left - len));
                }
                Some(len) if len == left => {
                    self.tell_if_server(direction, out);
                    let upgraded = self.mode == Mode::HandedOn;
                    self.halves[direction].phase =
                        if upgraded { Phase::Stream } else { Phase::Head };
                }
                Some(_) => self.lose_head_to(gap, out),
                None => self.lose_step(direction, out),
            },
            Phase::Body(Body::Chunked(_)) => self.lose_step(direction, out),
            Phase::Body(Body::UntilClose) => self.tell_if_server(direction, out),
        }
    }

    /// Where each stream goes on behind the request and the head of a 101, if
    /// the snap length cut both. Frames begin there, but where one came in
    /// the packet of the 101 and goes on.
    pub const fn behind_cut_switch(&self) -> Sides<Option<u64>> {
        self.behind_cut_switch
    }

    /// A gap took a head, or a part of it.
    fn lose_head_to(&mut self, gap: &Gap, out: &mut impl FnMut(Output<'_>)) {
        self.note_cut_head(gap);
        if gap.direction == ServerToClient && self.mode == Mode::Http {
            let status = parse::status_of(self.halves.server.gather.bytes());
            if status == Some(101) && self.cut_until.server.is_some() {
                self.behind_cut_switch = self.cut_until;
            }
            let connect = matches!(self.outstanding.front(), Some(Question::Connect(_)));
            match status {
                Some(200..=299) if connect => return self.open_tunnel_behind(gap, out),
                // The status line was still seen.
                Some(101) | None => self.answer_gap = Some(*gap),
                Some(_) => drop(self.outstanding.pop_front()),
            }
        }
        self.lose_head(gap.direction, gap.at, out);
    }

    /// A head of this side can't be read.
    pub(super) fn lose_head(
        &mut self,
        direction: Direction,
        at: PacketRef,
        out: &mut impl FnMut(Output<'_>),
    ) {
        self.tell_if_server(direction, out);
        out(Output::Fact(Event::HeadLost { direction, at }));
        self.halves[direction].lost = Some(at);
        self.lose_step(direction, out);
    }

    /// Where the next head begins isn't known any more.
    pub(super) fn lose_step(&mut self, direction: Direction, out: &mut impl FnMut(Output<'_>)) {
        self.tell_if_server(direction, out);
        let upgraded = self.mode == Mode::HandedOn;
        let half = &mut self.halves[direction];
        half.phase = if upgraded {
            Phase::Stream
        } else {
            Phase::Search
        };
        half.gather = Gather::default();
        half.begun = true;
        if direction == ClientToServer {
            self.requests_missed = true;
        }
    }

    /// An excerpt doesn't go on behind a hole.
    fn tell_if_server(&mut self, direction: Direction, out: &mut impl FnMut(Output<'_>)) {
        if direction == ServerToClient {
            self.tell_refusal(out);
        }
    }

    /// Looks for a head at the start of a chunk; how many bytes are none.
    pub(super) fn search(&mut self, chunk: &Chunk<'_>, out: &mut impl FnMut(Output<'_>)) -> usize {
        if self.open_behind_cut_switch(chunk, out) {
            return 0;
        }
        let found = match chunk.direction {
            ClientToServer => parse::begins_like_request(chunk.bytes),
            ServerToClient => parse::begins_like_response(chunk.bytes),
        };
        if chunk.direction == ServerToClient && self.judge_lost_tunnel(out) {
            if !found {
                // What the client asked for in the tunnel comes first.
                self.hold(ServerToClient, &StreamEvent::Chunk(*chunk));
                return chunk.bytes.len();
            }
            return 0;
        }
        if found {
            self.halves[chunk.direction].phase = Phase::Head;
            if chunk.direction == ServerToClient {
                // As many answers were lost as there were older requests.
                self.outstanding
                    .drain(..self.outstanding.len().saturating_sub(1));
            }
            return 0;
        }
        if chunk.direction == ServerToClient && self.open_without_answer(out) {
            return 0;
        }
        chunk.bytes.len()
    }

    /// What the client sends while the answer to its handshake is missing tells
    /// what the answer was: another request, or masked frames.
    pub(super) fn judge_lost_answer(&mut self, out: &mut impl FnMut(Output<'_>)) {
        if self.mode != Mode::Http
            || self.halves.server.phase != Phase::Search
            || !self.awaits_upgrade()
        {
            return;
        }
        let Some(bytes) = self.halves.client.held.front() else {
            return;
        };
        if parse::begins_like_request(bytes) {
            self.outstanding.clear();
            self.answer_gap = None;
        } else if let [first, 0x80..=0xff, ..] = bytes
            && matches!(first & 0x0f, 0..=2 | 8..=10)
        {
            // RFC 6455, section 5.1: a client masks; no text of HTTP has this bit.
            self.open_without_answer(out);
        }
    }

    pub(super) fn awaits_upgrade(&self) -> bool {
        matches!(self.outstanding.back(), Some(Question::WebSocket { .. }))
    }

    /// Goes on as if the missing answer had been a 101; whether one is missing.
    fn open_without_answer(&mut self, out: &mut impl FnMut(Output<'_>)) -> bool {
        if !self.awaits_upgrade() {
            return false;
        }
        let Some(gap) = self.answer_gap.take() else {
            return false;
        };
        out(Output::Fact(Event::AnswerLost { at: gap.at }));
        self.upgraded_at = Some(gap.at);
        self.open(out);
        out(Output::Stream(StreamEvent::Gap(gap)));
        true
    }
}

/// Whether the body is known to go on behind the gap.
fn ends_inside(gap: &Gap, body: Body) -> bool {
    matches!((gap.len, body), (Some(len), Body::Length(left)) if len < left)
}
