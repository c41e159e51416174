//! One connection's layers, bottom to top: TCP, HTTP, WebSocket.

mod encrypted;
mod followed;
mod headless;
mod inside;
mod keyless;
mod layer;
mod midstream;
mod onward;
mod order;
mod quality;
mod rhythm;
mod sides;
mod sought;
mod subject;
#[cfg(test)]
mod tests;

use super::{Finished, Shared};
use crate::packet::{Endpoint, Segment, Seq};
use crate::session::{Ended, Session, Unreachable};
use crate::stream::{Direction, PacketRef, Sides};
use crate::tcp::Age;
use followed::Followed;

/// A connection.
#[derive(Debug)]
pub(super) struct Stack {
    client: Endpoint,
    last_seen: PacketRef,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Worked on.
    Followed(Box<Followed>),
    /// Neither HTTP nor anything of ours, or over: a table entry and no more.
    /// The initial sequence numbers tell a reused port from a straggler.
    Ignored { syn: Sides<Option<Seq>> },
}

impl Stack {
    pub(super) fn new(segment: &Segment<'_>, shared: &mut Shared) -> Self {
        let (client, followed) = Followed::new(segment, shared);
        Self {
            client,
            last_seen: segment.at,
            state: State::Followed(Box::new(followed)),
        }
    }

    fn direction_of(&self, segment: &Segment<'_>) -> Direction {
        if segment.from == self.client {
            Direction::ClientToServer
        } else {
            Direction::ServerToClient
        }
    }

    /// A SYN with another initial sequence number than the one seen, or the answer to one.
    pub(super) fn is_new_opening(&self, segment: &Segment<'_>) -> bool {
        if !segment.flags.syn() {
            return false;
        }
        let direction = self.direction_of(segment);
        match &self.state {
            State::Followed(followed) => followed.is_new_opening(direction, segment),
            State::Ignored { syn } => {
                let asked = syn[direction.reverse()];
                let answers_it = asked.is_some_and(|syn| syn.plus(1) == segment.ack);
                let other = syn[direction].is_none_or(|syn| syn != segment.seq);
                other && !(segment.flags.ack() && answers_it)
            }
        }
    }

    pub(super) fn on_segment(
        &mut self,
        segment: &Segment<'_>,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        self.last_seen = segment.at;
        let State::Followed(followed) = &mut self.state else {
            return;
        };
        if followed.tell_sides(segment, self.client, shared) {
            self.client = other_end(segment, self.client);
        }
        let direction = self.direction_of(segment);
        let State::Followed(followed) = &mut self.state else {
            return;
        };
        if followed.on_segment(direction, segment, shared, finished) {
            self.client = other_end(segment, self.client);
        }
        if followed.is_of_no_interest() {
            self.state = State::Ignored {
                syn: followed.syn(),
            };
        }
    }

    /// When this segment was sent, compared with those that were read.
    pub(super) fn age_of(&self, segment: &Segment<'_>) -> Option<Age> {
        let State::Followed(followed) = &self.state else {
            return None;
        };
        followed.age_of(self.direction_of(segment), segment)
    }

    /// An ICMP error quotes a segment of this connection.
    pub(super) fn on_unreachable(&mut self, error: Unreachable) {
        if let State::Followed(followed) = &mut self.state {
            followed.on_unreachable(error);
        }
    }

    /// More keys are known.
    pub(super) fn on_keys(&mut self, shared: &mut Shared, finished: &mut Vec<Finished>) {
        if let State::Followed(followed) = &mut self.state {
            followed.on_keys(shared, finished);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.state {
            State::Followed(followed) => followed.is_closed(),
            State::Ignored { .. } => true,
        }
    }

    pub(super) fn buffered(&self) -> usize {
        match &self.state {
            State::Followed(followed) => followed.buffered(),
            State::Ignored { .. } => 0,
        }
    }

    /// Bytes that wait in TCP for earlier ones.
    pub(super) fn waiting(&self) -> usize {
        match &self.state {
            State::Followed(followed) => followed.waiting(),
            State::Ignored { .. } => 0,
        }
    }

    pub(super) fn last_seen(&self) -> PacketRef {
        self.last_seen
    }

    pub(super) fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Followed(followed) => followed.session(),
            State::Ignored { .. } => None,
        }
    }

    /// Nothing more comes: the connection is over (`settled`), or the capture.
    pub(super) fn finish(
        &mut self,
        settled: bool,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let over = settled || self.is_closed();
        self.close(
            if over {
                Ended::Settled
            } else {
                Ended::CaptureEnd
            },
            shared,
            finished,
        );
    }

    /// Let go to stay within the limits. Returns true if that cost something.
    pub(super) fn let_go(&mut self, shared: &mut Shared, finished: &mut Vec<Finished>) -> bool {
        let over = self.is_closed();
        let ended = if over {
            Ended::Settled
        } else {
            Ended::LimitReached
        };
        self.close(ended, shared, finished);
        !over
    }

    fn close(&mut self, ended: Ended, shared: &mut Shared, finished: &mut Vec<Finished>) {
        let syn = match &self.state {
            State::Followed(followed) => followed.syn(),
            State::Ignored { syn } => *syn,
        };
        if let State::Followed(followed) =
            std::mem::replace(&mut self.state, State::Ignored { syn })
        {
            followed.finish(ended, shared, finished);
        }
    }

    /// Gives up the bytes that TCP waits for.
    pub(super) fn shed(
        &mut self,
        shared: &mut Shared,
        at: PacketRef,
        finished: &mut Vec<Finished>,
    ) {
        if let State::Followed(followed) = &mut self.state
            && followed.flush(at, shared, finished)
        {
            self.client = followed.client();
        }
    }

    /// The layers failed; what they knew can't be trusted any more.
    pub(super) fn abandon(&mut self) {
        self.state = State::Ignored {
            syn: Sides::default(),
        };
    }
}

/// The end of the segment's connection that isn't this one.
fn other_end(segment: &Segment<'_>, end: Endpoint) -> Endpoint {
    if segment.from == end {
        segment.to
    } else {
        segment.from
    }
}
