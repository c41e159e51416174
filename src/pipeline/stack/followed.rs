//! A connection that is worked on: TCP, the layers above it, and what is told of it.

use super::headless::Early;
use super::layer::{self, Layer};
use super::sought::Sought;
use super::subject::Subject;
use crate::packet::{Endpoint, Segment, Seq};
use crate::pipeline::clock::STEP;
use crate::pipeline::records::Pending;
use crate::pipeline::translation::LOOKED_AT;
use crate::pipeline::{Finished, Shared};
use crate::session::{Attempt, Crossed, Ended, Leg, Orientation, Session, Unreachable};
use crate::stream::{Direction, PacketRef, Sides, StreamEvent};
use crate::tcp;

#[derive(Debug)]
pub(super) struct Followed {
    pub(super) tcp: tcp::Connection,
    pub(super) layer: Layer,
    pub(super) subject: Subject,
    pub(super) pending: Pending,
    pub(super) syn: Sides<Option<Seq>>,
    /// What is looked for beside HTTP, where bytes are missing.
    pub(super) sought: Sought,
    /// What keys may open though its beginning is missing.
    pub(super) early: Early,
    /// Segments that were held against those of other connections.
    pub(super) looked_at: u8,
    /// Bytes that what is above TCP held when it was last handed something: few
    /// segments change it.
    above: usize,
}
impl Followed {
    /// The layers of a connection that this segment begins, and its client as far as that tells.
    pub(super) fn new(segment: &Segment<'_>, shared: &mut Shared) -> (Endpoint, Self) {
        let flags = segment.flags;
        let (client, server, orientation) = match (flags.syn(), flags.ack()) {
            (true, false) => (segment.from, segment.to, Orientation::Syn),
            (true, true) => (segment.to, segment.from, Orientation::Syn),
            (false, _) => (segment.from, segment.to, Orientation::Provisional),
        };
        let mut leg = Leg::new(shared.next_stream, client.into(), server.into(), segment.at);
        leg.orientation = orientation;
        leg.timeline = shared.options.timeline.then(Box::default);
        shared.next_stream += 1;
        shared.capture.tcp_connections += 1;
        let followed = Self {
            tcp: tcp::Connection::new(shared.options.limits.patience),
            layer: Layer::of_unknown(),
            subject: Subject::Attempt(Box::new(Attempt::new(leg))),
            pending: Pending::default(),
            syn: Sides::default(),
            looked_at: 0,
            sought: Sought::default(),
            early: Early::default(),
            above: 0,
        };
        (client, followed)
    }

    pub(super) fn session(&self) -> Option<&Session> {
        match &self.subject {
            Subject::Session(session) => Some(session),
            Subject::Attempt(_) => None,
        }
    }

    pub(super) fn on_unreachable(&mut self, error: Unreachable) {
        self.subject.leg().on_unreachable(error);
    }

    pub(super) fn is_new_opening(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        self.tcp.is_new_opening(direction, segment)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.tcp.is_closed()
    }

    pub(super) fn age_of(&self, direction: Direction, segment: &Segment<'_>) -> Option<tcp::Age> {
        let step = u64::try_from(STEP.as_nanos()).unwrap_or(u64::MAX);
        self.tcp.age_of(direction, segment, step)
    }

    /// Bytes that wait in TCP for earlier ones.
    pub(super) fn waiting(&self) -> usize {
        self.tcp.buffered()
    }

    /// The initial sequence numbers, which tell a reused port from a straggler.
    pub(super) fn syn(&self) -> Sides<Option<Seq>> {
        self.syn
    }

    /// Takes a segment. Returns true if the sides were the wrong way round and
    /// have been exchanged.
    pub(super) fn on_segment(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) -> bool {
        if segment.flags.syn() {
            self.syn[direction] = Some(segment.seq);
        }
        if self.looked_at < LOOKED_AT && (segment.flags.syn() || !segment.payload.is_empty()) {
            self.look_for_translation(segment, shared);
        }
        let Self {
            tcp,
            layer,
            subject,
            pending,
            sought,
            early,
            ..
        } = self;
        let leg = subject.leg();
        if leg.last_packet[direction].is_none() {
            shared.heard(segment.from.ip);
        }
        leg.on_packet(direction, segment.at);
        // The layer first: it is at hand, and the answer is read for most segments.
        if !matches!(layer, Layer::WebSocket(_))
            && segment.wire_len > 0
            && segment.flags.ack()
            && subject.awaits_answer()
            && let Some((end, acked)) = tcp.place_of(direction, segment)
        {
            let at = segment.at;
            subject.on_crossing(direction, Crossed { at, end, acked });
        }
        let mut fed = false;
        tcp.on_segment(direction, segment, &mut |output| match output {
            tcp::Output::Fact(event) => {
                sought.on_tcp(&event);
                subject.on_tcp(&event, layer.acked(&event), pending, shared);
            }
            tcp::Output::Stream(event) => {
                fed = true;
                feed(layer, sought, subject, pending, &event, shared, finished);
                early.keep(&event, sought, shared);
            }
        });
        fed && self.settle_fed(shared, finished)
    }

    /// What is above TCP was handed something. Returns true if the sides have been exchanged.
    fn settle_fed(&mut self, shared: &mut Shared, finished: &mut Vec<Finished>) -> bool {
        let swapped = self.settle_sought(shared, finished);
        self.above = self.layer.buffered() + self.sought.buffered() + self.early.buffered();
        swapped
    }

    /// Another connection's segments under other addresses are read once: here only TCP's facts count.
    fn look_for_translation(&mut self, segment: &Segment<'_>, shared: &mut Shared) {
        self.looked_at += 1;
        let stream = self.subject.leg().tcp_stream;
        let translations = &mut shared.translations;
        let same_as = translations.same_as(segment, stream, self.looked_at);
        if let (Subject::Attempt(attempt), Some(same_as)) = (&mut self.subject, same_as)
            && attempt.same_as.is_none()
        {
            attempt.same_as = Some(same_as);
            self.layer = Layer::Opaque;
            self.sought = Sought::Nothing;
            self.looked_at = LOOKED_AT;
            self.above = 0;
            shared.capture.on_translated(same_as);
        }
    }
    /// No session, and none can come.
    pub(super) fn is_of_no_interest(&self) -> bool {
        matches!((&self.layer, &self.subject), (Layer::Opaque, Subject::Attempt(attempt)) if attempt.same_as.is_none() && !attempt.is_worth_telling())
            && !self.sought.is_open()
    }

    pub(super) fn buffered(&self) -> usize {
        self.tcp.buffered() + self.above
    }

    /// Hands over all that TCP holds, for want of memory.
    pub(super) fn flush(
        &mut self,
        at: PacketRef,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) -> bool {
        let Self {
            tcp,
            layer,
            subject,
            pending,
            sought,
            early,
            ..
        } = self;
        tcp.give_up(at, &mut |output| match output {
            tcp::Output::Fact(event) => {
                subject.on_tcp(&event, layer.acked(&event), pending, shared)
            }
            tcp::Output::Stream(event) => {
                feed(layer, sought, subject, pending, &event, shared, finished);
                early.keep(&event, sought, shared);
            }
        });
        self.settle_fed(shared, finished)
    }

    pub(super) fn on_keys(&mut self, shared: &mut Shared, finished: &mut Vec<Finished>) {
        let Self {
            layer,
            subject,
            pending,
            ..
        } = self;
        layer.on_keys(subject, pending, shared, finished);
    }

    pub(super) fn finish(
        mut self: Box<Self>,
        ended: Ended,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let horizon = shared.capture.last;
        let Self {
            tcp,
            layer,
            subject,
            pending,
            sought,
            ..
        } = &mut *self;
        tcp.finish(
            subject.leg().last_packet_any(),
            &mut |output| match output {
                tcp::Output::Fact(event) => {
                    subject.on_tcp(&event, layer.acked(&event), pending, shared)
                }
                tcp::Output::Stream(event) => {
                    feed(layer, sought, subject, pending, &event, shared, finished);
                }
            },
        );
        self.settle_sought(shared, finished);
        self.end_search(shared, finished);
        let Self {
            layer,
            subject,
            pending,
            ..
        } = &mut *self;
        layer::finish(layer, subject, pending, shared, finished);
        shared.records.end_of_session(&mut self.pending);
        shared.records.hold(self.subject.leg().tcp_stream, None);
        let thorough = self.sought.is_thorough();
        let unknown = matches!(self.sought, Sought::Idle | Sought::Looking(_));
        match self.subject {
            Subject::Session(mut session) => {
                session.end(ended, horizon);
                finished.push(Finished::Session(session));
            }
            Subject::Attempt(attempt) if attempt.same_as.is_some() => {
                if let Some(same_as) = attempt.same_as {
                    shared.translations.keep(attempt.leg, same_as);
                }
            }
            Subject::Attempt(mut attempt) => {
                if unknown {
                    shared.on_mid_stream(&attempt, thorough);
                }
                attempt.horizon = horizon;
                attempt.settled = ended == Ended::Settled;
                if attempt.never_opened() {
                    shared.capture.never_opened += 1;
                } else if !attempt.leg.has_payload() {
                    shared.capture.wordless += 1;
                }
                if let Some(attempt) = shared.unproven.keep(attempt)
                    && attempt.is_worth_telling()
                {
                    shared.attempts.add(attempt, &mut shared.capture, finished);
                }
            }
        }
    }
}

/// Hands a stream event of TCP to the layer above it, and to what looks beside it.
fn feed(
    layer: &mut Layer,
    sought: &mut Sought,
    subject: &mut Subject,
    pending: &mut Pending,
    event: &StreamEvent<'_>,
    shared: &mut Shared,
    finished: &mut Vec<Finished>,
) {
    if let StreamEvent::Gap(gap) = event
        && !subject.is_far_side()
    {
        shared.on_gap(gap, subject.leg());
    }
    if let Layer::WebSocket(websocket) = layer
        && !sought.is_open()
    {
        layer::read_frames(websocket, subject, pending, event, shared);
        return;
    }
    if sought.keeps(event) {
        return;
    }
    layer::read(layer, subject, pending, *event, shared, finished);
    sought.look(event, layer.is_searching());
    if let Sought::Looking(looking) = sought {
        looking.begins_at(layer.behind_cut_switch());
    }
}
