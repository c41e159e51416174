//! The layers of a connection that is worked on, and how they are tied together.

use super::encrypted::Encrypted;
use super::sought::{Acked, Sought};
use super::subject::Subject;
use crate::http;
use crate::packet::{Endpoint, Segment, Seq};
use crate::pipeline::orientation::{Sender, sender_of, sender_of_head};
use crate::pipeline::records::Pending;
use crate::pipeline::translation::LOOKED_AT;
use crate::pipeline::{Finished, Shared};
use crate::session::{Attempt, Ended, Leg, Orientation, Session, Unreachable};
use crate::stream::{Direction, PacketRef, Sides, StreamEvent};
use crate::websocket;
use crate::{tcp, tls};

#[derive(Debug)]
pub(super) struct Followed {
    pub(super) tcp: tcp::Connection,
    pub(super) layer: Layer,
    pub(super) subject: Subject,
    pub(super) pending: Pending,
    pub(super) syn: Sides<Option<Seq>>,
    /// What is looked for beside HTTP, where bytes are missing.
    pub(super) sought: Sought,
    /// Segments that were held against those of other connections.
    pub(super) looked_at: u8,
    /// Bytes that what is above TCP held when it was last handed something: few
    /// segments change it.
    above: usize,
}

/// The protocol above TCP.
#[derive(Debug)]
pub(super) enum Layer {
    /// The first bytes tell.
    Unknown,
    Tls(Box<Encrypted>),
    /// With the layer that reads what HTTP hands on, from the 101 or the 2xx to
    /// CONNECT on, for as long as HTTP holds bytes before it.
    Http(Box<http::Connection>, Option<Box<Layer>>),
    WebSocket(Box<websocket::Connection>),
    /// Bytes that say nothing to us, on a connection that has a session.
    Opaque,
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
            ..
        } = self;
        let leg = subject.leg();
        if leg.last_packet[direction].is_none() {
            shared.heard(segment.from.ip);
        }
        leg.on_packet(direction, segment.at);
        let mut fed = false;
        tcp.on_segment(direction, segment, &mut |output| match output {
            tcp::Output::Fact(event) => {
                sought.on_tcp(&event);
                subject.on_tcp(&event, layer.acked(&event), pending, shared);
            }
            tcp::Output::Stream(event) => {
                fed = true;
                feed(layer, sought, subject, pending, &event, shared, finished);
            }
        });
        fed && self.settle_fed(shared, finished)
    }

    /// What is above TCP was handed something. Returns true if the sides have been exchanged.
    fn settle_fed(&mut self, shared: &mut Shared, finished: &mut Vec<Finished>) -> bool {
        let swapped = self.settle_sought(shared, finished);
        self.above = self.layer.buffered() + self.sought.buffered();
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

    /// Who is the client, where no SYN told: the first payload may, or a SYN
    /// that the capture has behind its answer. Returns true if the sides were
    /// the wrong way round and have been exchanged.
    pub(super) fn tell_sides(
        &mut self,
        segment: &Segment<'_>,
        client: Endpoint,
        shared: &mut Shared,
    ) -> bool {
        let leg = self.subject.leg();
        let syn = segment.flags.syn();
        if leg.orientation != Orientation::Provisional || segment.payload.is_empty() && !syn {
            return false;
        }
        let later = leg.has_payload();
        if later && (syn || !self.layer.is_searching()) {
            return false;
        }
        let told = match (syn, segment.flags.ack()) {
            (true, false) => Sender::Client,
            (true, true) => Sender::Server,
            (false, _) if later => sender_of_head(segment),
            (false, _) => sender_of(segment),
        };
        if syn {
            leg.orientation = Orientation::Syn;
        }
        let from_client = segment.from == client;
        if told != Sender::Unknown && !syn {
            leg.orientation = Orientation::Payload;
        }
        let wrong = matches!(
            (told, from_client),
            (Sender::Client, false) | (Sender::Server, true)
        );
        if wrong {
            self.swap_sides(shared);
            self.sought = Sought::default();
        }
        wrong
    }

    /// The guess at who is the client was wrong.
    pub(super) fn swap_sides(&mut self, shared: &mut Shared) {
        let leg = self.subject.leg();
        shared.on_swap(leg);
        leg.swap_sides();
        self.tcp.swap_sides();
        self.syn.swap();
        if let Subject::Attempt(attempt) = &mut self.subject {
            attempt.looks_like.swap();
        }
        if let Layer::Http(http, _) = &mut self.layer {
            http.swap_sides();
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
            ..
        } = self;
        tcp.give_up(at, &mut |output| match output {
            tcp::Output::Fact(event) => {
                subject.on_tcp(&event, layer.acked(&event), pending, shared)
            }
            tcp::Output::Stream(event) => {
                feed(layer, sought, subject, pending, &event, shared, finished);
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
        finish(layer, subject, pending, shared, finished);
        shared.records.end_of_session(&mut self.pending);
        shared.records.hold(self.subject.leg().tcp_stream, None);
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
                    shared.on_mid_stream(&attempt);
                }
                attempt.horizon = horizon;
                attempt.settled = ended == Ended::Settled;
                if attempt.never_opened() {
                    shared.capture.never_opened += 1;
                } else if !attempt.leg.has_payload() {
                    shared.capture.wordless += 1;
                }
                if attempt.is_worth_telling() {
                    shared.attempts.add(attempt, &mut shared.capture, finished);
                }
            }
        }
    }
}

impl Layer {
    /// Bytes are missing, and HTTP looks for the next head.
    fn is_searching(&self) -> bool {
        matches!(self, Self::Http(http, None) if http.is_searching())
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
        read_frames(websocket, subject, pending, event, shared);
        return;
    }
    if sought.keeps(event) {
        return;
    }
    read(layer, subject, pending, *event, shared, finished);
    sought.look(event, layer.is_searching());
}

/// How many tunnels may lie in one another.
///
/// Rationale: a proxy behind a proxy is two; more layers cost the stack of calls more.
const TUNNELS_MAX: usize = 4;

impl Layer {
    /// What reads a stream of which nothing is known: TCP's, or the one inside a
    /// tunnel. The place for whatever tells TLS from HTTP.
    pub(super) const fn of_unknown() -> Self {
        Self::Unknown
    }

    /// The layer for a stream that begins with this.
    fn beginning_with(event: &StreamEvent<'_>) -> Self {
        match event {
            StreamEvent::Chunk(chunk) if tls::begins_like_tls(chunk.bytes) => {
                Self::Tls(Box::default())
            }
            _ => Self::Http(Box::new(http::Connection::new()), None),
        }
    }

    pub(super) fn on_keys(
        &mut self,
        subject: &mut Subject,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        match self {
            Self::Tls(encrypted) => encrypted.on_keys(subject, pending, shared, finished),
            // In a tunnel.
            Self::Http(_, Some(above)) => above.on_keys(subject, pending, shared, finished),
            Self::Http(_, None) | Self::WebSocket(_) | Self::Unknown | Self::Opaque => {}
        }
    }

    /// What an event acknowledges of the stream in which messages are.
    fn acked(&mut self, event: &tcp::Event) -> Option<Acked> {
        let tcp::Event::Acked {
            direction,
            upto,
            at,
            ..
        } = *event
        else {
            return None;
        };
        Some(self.inside(Acked {
            direction,
            upto,
            at,
        }))
    }

    /// An acknowledgment in terms of the innermost stream.
    pub(super) fn inside(&mut self, acked: Acked) -> Acked {
        match self {
            Self::Tls(encrypted) => encrypted.on_acked(acked),
            // In a tunnel.
            Self::Http(_, Some(above)) => above.inside(acked),
            Self::Http(_, None) | Self::WebSocket(_) | Self::Unknown | Self::Opaque => acked,
        }
    }

    pub(super) fn buffered(&self) -> usize {
        match self {
            Self::Http(http, above) => {
                http.buffered() + above.as_ref().map_or(0, |above| above.buffered())
            }
            Self::Tls(encrypted) => encrypted.buffered(),
            Self::WebSocket(websocket) => websocket.buffered(),
            Self::Unknown | Self::Opaque => 0,
        }
    }
}

/// Has a layer read a stream event: TCP's, or what another layer hands on.
pub(super) fn read(
    layer: &mut Layer,
    subject: &mut Subject,
    pending: &mut Pending,
    event: StreamEvent<'_>,
    shared: &mut Shared,
    finished: &mut Vec<Finished>,
) {
    if matches!(layer, Layer::Unknown) {
        *layer = Layer::beginning_with(&event);
    }
    match layer {
        Layer::WebSocket(websocket) => {
            read_frames(websocket, subject, pending, &event, shared);
        }
        Layer::Tls(encrypted) => encrypted.read(&event, subject, pending, shared, finished),
        Layer::Http(http, above) => {
            http.on_stream(event, &mut |output| {
                on_http(output, subject, pending, above, shared, finished);
            });
            if http.is_opaque() {
                *layer = Layer::Opaque;
            } else if http.is_transparent()
                && let Some(above) = above.take()
            {
                *layer = *above;
            }
        }
        Layer::Unknown | Layer::Opaque => subject.on_opaque(&event),
    }
}

fn read_frames(
    websocket: &mut websocket::Connection,
    subject: &mut Subject,
    pending: &mut Pending,
    event: &StreamEvent<'_>,
    shared: &mut Shared,
) {
    websocket.on_stream(event, &mut |event| {
        subject.on_websocket(event, pending, shared)
    });
}

/// Nothing more comes: the layers tell what they still hold, the lowest first.
pub(super) fn finish(
    layer: &mut Layer,
    subject: &mut Subject,
    pending: &mut Pending,
    shared: &mut Shared,
    finished: &mut Vec<Finished>,
) {
    match layer {
        Layer::Http(http, above) => {
            http.finish(&mut |output| {
                on_http(output, subject, pending, above, shared, finished);
            });
            if let Some(above) = above {
                finish(above, subject, pending, shared, finished);
            }
        }
        Layer::WebSocket(websocket) => {
            websocket.finish(&mut |event| subject.on_websocket(event, pending, shared));
        }
        Layer::Tls(encrypted) => encrypted.finish(subject, pending, shared, finished),
        Layer::Unknown | Layer::Opaque => {}
    }
}

/// `above` is the layer that reads what HTTP hands on.
fn on_http(
    output: http::Output<'_>,
    subject: &mut Subject,
    pending: &mut Pending,
    above: &mut Option<Box<Layer>>,
    shared: &mut Shared,
    finished: &mut Vec<Finished>,
) {
    match output {
        http::Output::Stream(event) => {
            if let Some(above) = above {
                read(above, subject, pending, event, shared, finished);
            }
        }
        http::Output::Fact(http::Event::UpgradeRequested { request, breaches }) => {
            subject.begin_session(*request, breaches, pending, shared, finished);
        }
        http::Output::Fact(http::Event::Tunnelled(tunnel)) => {
            let inside = match subject.leg().via.len() {
                ..TUNNELS_MAX => Layer::of_unknown(),
                _ => Layer::Opaque,
            };
            *above = Some(Box::new(inside));
            subject.enter_tunnel(*tunnel, pending, shared, finished);
        }
        http::Output::Fact(event) => {
            if let http::Event::Upgraded { response, .. } = &event {
                subject.begin_with_answer(response.first, pending, shared, finished);
            }
            let deflate = match &event {
                http::Event::Upgraded { agreement, .. } => Some(agreement.deflate),
                http::Event::AnswerLost { .. } => Some(subject.offered_deflate()),
                _ => None,
            };
            if let Some(deflate) = deflate {
                let (deflate, wants) = (deflate.map(parameters_of), shared.options.wants);
                let parameters = websocket::Parameters { deflate, wants };
                let websocket = Box::new(websocket::Connection::new(parameters));
                *above = Some(Box::new(Layer::WebSocket(websocket)));
            }
            subject.on_http(&event, shared);
        }
    }
}

fn parameters_of(agreed: http::DeflateParameters) -> websocket::Deflate {
    websocket::Deflate {
        server_no_context_takeover: agreed.server_no_context_takeover,
        client_no_context_takeover: agreed.client_no_context_takeover,
        server_max_window_bits: agreed.server_max_window_bits,
        client_max_window_bits: agreed.client_max_window_bits,
    }
}
