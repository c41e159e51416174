//! TLS on a connection, and the layers inside it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::inside::Inside;
use super::sought::Acked;
use super::subject::Subject;
use crate::http;
use crate::pipeline::records::Pending;
use crate::pipeline::{Finished, Shared};
use crate::stream::{Direction, Gap, PacketRef, Sides, StreamEvent};
use crate::tls;

/// How many records may be unacknowledged and still be told when they were.
///
/// Rationale: more than a send buffer of small records holds.
const MARKS: usize = 1_024;

/// TLS, and what is inside.
#[derive(Debug)]
pub(super) struct Encrypted {
    tls: tls::Connection,
    /// Reads the same bytes: what is no TLS may be HTTP that was sent to the wrong port.
    beside: Option<Box<http::Connection>>,
    inner: Inner,
    /// How much of the plaintext was acknowledged.
    acked: Sides<u64>,
    /// Acknowledgments that came while records waited for keys.
    early: Sides<Vec<Acked>>,
}

/// What reads the stream inside, and where in the one around its bytes were.
#[derive(Debug)]
struct Inner {
    inside: Inside,
    /// Where the chunks around end that the packets released: the latest, and those
    /// that hold records which wait for keys.
    ends: Sides<VecDeque<(PacketRef, u64)>>,
    /// Where chunks around end, and the plaintext that they completed.
    marks: Sides<VecDeque<(u64, u64)>>,
    /// Records of the server were lost before its first byte.
    torn: Option<Gap>,
    counted: bool,
}

/// Where the facts go, and what all connections share.
struct Around<'a> {
    subject: &'a mut Subject,
    pending: &'a mut Pending,
    shared: &'a mut Shared,
    finished: &'a mut Vec<Finished>,
}

impl Default for Encrypted {
    fn default() -> Self {
        Self {
            tls: tls::Connection::new(WAITING),
            beside: Some(Box::default()),
            inner: Inner {
                inside: Inside::default(),
                ends: Sides::default(),
                marks: Sides::default(),
                torn: None,
                counted: false,
            },
            acked: Sides::default(),
            early: Sides::default(),
        }
    }
}

impl Inner {
    /// Takes what TLS hands up: a fact, or a piece of the stream inside.
    fn take(&mut self, output: tls::Output<'_>, around: &mut Around<'_>) {
        let Around {
            subject,
            pending,
            shared,
            finished,
        } = around;
        match output {
            tls::Output::Fact(fact) => subject.on_tls(&fact, &mut self.counted, shared),
            tls::Output::Stream(event) => {
                mark(&mut self.marks, &self.ends, &event);
                for event in told(&mut self.torn, event).into_iter().flatten() {
                    self.inside.read(event, subject, pending, shared, finished);
                }
            }
        }
    }
}

/// How many bytes of a direction wait for their keys.
///
/// Rationale: a handshake and the first messages; keys are logged as they are made.
const WAITING: usize = 256 * 1024;

impl Encrypted {
    pub(super) fn read(
        &mut self,
        event: &StreamEvent<'_>,
        subject: &mut Subject,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        self.read_beside(event, subject, shared);
        self.note_end(event);
        let keys = Arc::clone(&shared.keys);
        let Self { tls, inner, .. } = self;
        let mut around = Around {
            subject,
            pending,
            shared,
            finished,
        };
        tls.on_stream(event, &keys, &mut |output| inner.take(output, &mut around));
        drop(keys);
        for session in tls.take_learned() {
            Arc::make_mut(&mut shared.keys).learn(session);
        }
        self.acknowledge(subject, pending, shared);
    }

    fn read_beside(&mut self, event: &StreamEvent<'_>, subject: &mut Subject, shared: &mut Shared) {
        let Some(http) = &mut self.beside else {
            return subject.on_opaque(event);
        };
        http.on_stream(*event, &mut |output| {
            if let http::Output::Fact(fact) = output {
                subject.on_http(&fact, shared);
            }
        });
        if http.is_opaque() {
            self.beside = None;
        }
    }

    /// More keys are known.
    pub(super) fn on_keys(
        &mut self,
        subject: &mut Subject,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let keys = Arc::clone(&shared.keys);
        let Self { tls, inner, .. } = self;
        let mut around = Around {
            subject,
            pending,
            shared,
            finished,
        };
        tls.on_keys(&keys, &mut |output| inner.take(output, &mut around));
        self.inner
            .inside
            .on_keys(subject, pending, shared, finished);
        self.acknowledge(subject, pending, shared);
    }

    /// Notes where the bytes around end that a packet released.
    fn note_end(&mut self, event: &StreamEvent<'_>) {
        let StreamEvent::Chunk(chunk) = event else {
            return;
        };
        let ends = &mut self.inner.ends[chunk.direction];
        if !self.tls.waits(chunk.direction) {
            ends.clear();
        } else if ends.len() == MARKS {
            ends.pop_front();
        }
        let end = chunk.offset.saturating_add(chunk.bytes.len() as u64);
        ends.push_back((chunk.released, end));
    }

    /// Tells the acknowledgments of what waited for keys and doesn't any more.
    fn acknowledge(&mut self, subject: &mut Subject, pending: &mut Pending, shared: &mut Shared) {
        for direction in Direction::BOTH {
            if self.early[direction].is_empty() || self.tls.waits(direction) {
                continue;
            }
            for acked in std::mem::take(&mut self.early[direction]) {
                let acked = self.inside_of(acked);
                subject.on_late_keys(acked, pending, shared);
            }
        }
    }

    pub(super) fn finish(
        &mut self,
        subject: &mut Subject,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let Self { tls, inner, .. } = self;
        let mut around = Around {
            subject,
            pending,
            shared,
            finished,
        };
        tls.finish(&mut |output| inner.take(output, &mut around));
        inner.inside.finish(subject, pending, shared, finished);
        subject.end_tls(shared);
        subject.infer(shared);
    }

    pub(super) fn buffered(&self) -> usize {
        let beside = self.beside.as_ref().map_or(0, |http| http.buffered());
        self.tls.buffered() + beside + self.inner.inside.buffered()
    }

    /// The first packet of a message that is not at its end.
    pub(super) fn open_since(&self) -> Option<PacketRef> {
        self.inner.inside.open_since()
    }

    /// An acknowledgment of the stream around, in terms of the innermost one.
    pub(super) fn on_acked(&mut self, acked: Acked) -> Acked {
        let early = &mut self.early[acked.direction];
        if self.tls.waits(acked.direction) && early.len() < MARKS {
            early.push(acked);
        }
        self.inside_of(acked)
    }

    fn inside_of(&mut self, acked: Acked) -> Acked {
        let marks = &mut self.inner.marks[acked.direction];
        while let Some((end, plain)) = marks.front().copied()
            && end <= acked.upto
        {
            self.acked[acked.direction] = plain;
            marks.pop_front();
        }
        let upto = self.acked[acked.direction];
        self.inner.inside.inside(Acked { upto, ..acked })
    }
}

/// What is told when an event comes. A gap before the server's first byte waits
/// in `torn`: where a status line follows, it hides no answer but session
/// tickets, which come between the handshake and the first answer (RFC 8446,
/// section 4.6.1).
fn told<'a>(torn: &mut Option<Gap>, event: StreamEvent<'a>) -> [Option<StreamEvent<'a>>; 2] {
    let server = Direction::ServerToClient;
    let before = match &event {
        StreamEvent::Gap(gap) if gap.direction == server && gap.offset == 0 => {
            torn.get_or_insert(*gap);
            return [None, None];
        }
        StreamEvent::Chunk(chunk) if chunk.direction == server => {
            torn.take().filter(|_| !chunk.bytes.starts_with(b"HTTP/1."))
        }
        StreamEvent::End(direction, _) if *direction == server => torn.take(),
        StreamEvent::Chunk(_) | StreamEvent::Gap(_) | StreamEvent::End(..) => None,
    };
    [before.map(StreamEvent::Gap), Some(event)]
}

/// Notes which bytes around carry the end of these inside.
fn mark(
    marks: &mut Sides<VecDeque<(u64, u64)>>,
    ends: &Sides<VecDeque<(PacketRef, u64)>>,
    event: &StreamEvent<'_>,
) {
    let StreamEvent::Chunk(chunk) = event else {
        return;
    };
    let ends = &ends[chunk.direction];
    let behind = ends.partition_point(|(released, _)| *released <= chunk.released);
    let Some((_, end)) = behind.checked_sub(1).and_then(|last| ends.get(last)) else {
        return;
    };
    let plain = chunk.offset.saturating_add(chunk.bytes.len() as u64);
    let marks = &mut marks[chunk.direction];
    if let Some(last) = marks.back_mut()
        && last.0 == *end
    {
        last.1 = plain;
        return;
    }
    if marks.len() == MARKS {
        marks.pop_front();
    }
    marks.push_back((*end, plain));
}
