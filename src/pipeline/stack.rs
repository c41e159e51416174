//! One connection's layers, bottom to top: TCP, HTTP, WebSocket.

use super::orientation::{Sender, sender_of};
use super::records::Pending;
use super::{Finished, Shared};
use crate::http::{self, Lookalike};
use crate::packet::{Endpoint, Segment, Seq};
use crate::session::{Attempt, Ended, GapTotal, Leg, Orientation, Session, Unreachable};
use crate::stream::{Direction, Gap, GapCause, PacketRef, Sides, StreamEvent};
use crate::tcp;
use crate::time::Timestamp;
use crate::websocket;

/// A connection.
#[derive(Debug)]
pub(super) struct Stack {
    client: Endpoint,
    last_seen: Timestamp,
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

#[derive(Debug)]
struct Followed {
    tcp: tcp::Connection,
    layer: Layer,
    subject: Subject,
    pending: Pending,
    syn: Sides<Option<Seq>>,
}

/// The protocol above TCP.
#[derive(Debug)]
enum Layer {
    /// With the WebSocket layer, from the 101 on, for as long as a body may still pass.
    Http(Box<http::Connection>, Option<Box<websocket::Connection>>),
    WebSocket(Box<websocket::Connection>),
    /// Bytes that say nothing to us, on a connection that has a session.
    Opaque,
}

/// Whose record the facts go to.
#[derive(Debug)]
enum Subject {
    Attempt(Box<Attempt>),
    Session(Box<Session>),
}

impl Stack {
    pub(super) fn new(segment: &Segment<'_>, shared: &mut Shared) -> Self {
        let flags = segment.flags;
        let (client, server, orientation) = match (flags.syn(), flags.ack()) {
            (true, false) => (segment.from, segment.to, Orientation::Syn),
            (true, true) => (segment.to, segment.from, Orientation::Syn),
            (false, _) => (segment.from, segment.to, Orientation::Provisional),
        };
        let mut leg = Leg::new(shared.next_stream, client.into(), server.into(), segment.at);
        leg.orientation = orientation;
        shared.next_stream += 1;
        shared.capture.tcp_connections += 1;
        let followed = Followed {
            tcp: tcp::Connection::new(shared.options.limits.patience),
            layer: Layer::Http(Box::new(http::Connection::new()), None),
            subject: Subject::Attempt(Box::new(Attempt::new(leg))),
            pending: Pending::default(),
            syn: Sides::default(),
        };
        Self {
            client,
            last_seen: segment.at.time,
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
            State::Followed(followed) => followed.tcp.is_new_opening(direction, segment),
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
        self.last_seen = segment.at.time;
        let State::Followed(followed) = &mut self.state else {
            return;
        };
        if followed.tell_sides(segment, self.client) {
            self.client = if segment.from == self.client {
                segment.to
            } else {
                segment.from
            };
        }
        let direction = self.direction_of(segment);
        let State::Followed(followed) = &mut self.state else {
            return;
        };
        followed.on_segment(direction, segment, shared, finished);
        if followed.is_of_no_interest() {
            self.state = State::Ignored { syn: followed.syn };
        }
    }

    /// An ICMP error quotes a segment of this connection.
    pub(super) fn on_unreachable(&mut self, error: Unreachable) {
        if let State::Followed(followed) = &mut self.state {
            followed.subject.leg().on_unreachable(error);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.state {
            State::Followed(followed) => followed.tcp.is_closed(),
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
            State::Followed(followed) => followed.tcp.buffered(),
            State::Ignored { .. } => 0,
        }
    }

    pub(super) fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    pub(super) fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Followed(followed) => match &followed.subject {
                Subject::Session(session) => Some(session),
                Subject::Attempt(_) => None,
            },
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
            State::Followed(followed) => followed.syn,
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
        if let State::Followed(followed) = &mut self.state {
            followed.flush(at, shared, finished);
        }
    }

    /// The layers failed; what they knew can't be trusted any more.
    pub(super) fn abandon(&mut self) {
        self.state = State::Ignored {
            syn: Sides::default(),
        };
    }
}

impl Followed {
    fn on_segment(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        if segment.flags.syn() {
            self.syn[direction] = Some(segment.seq);
        }
        let Self {
            tcp,
            layer,
            subject,
            pending,
            ..
        } = self;
        let leg = subject.leg();
        if leg.last_packet[direction].is_none() {
            shared.heard(segment.from.ip);
        }
        leg.on_packet(direction, segment.at);
        tcp.on_segment(direction, segment, &mut |output| match output {
            tcp::Output::Fact(event) => subject.on_tcp(&event, pending, shared),
            tcp::Output::Stream(event) => feed(layer, subject, pending, event, shared, finished),
        });
    }

    /// Who is the client, where no SYN told: the first payload may. Returns
    /// true if the sides were the wrong way round and have been exchanged.
    fn tell_sides(&mut self, segment: &Segment<'_>, client: Endpoint) -> bool {
        let leg = self.subject.leg();
        if leg.orientation != Orientation::Provisional
            || segment.payload.is_empty()
            || leg.has_payload()
        {
            return false;
        }
        let told = sender_of(segment);
        let from_client = segment.from == client;
        if told != Sender::Unknown {
            leg.orientation = Orientation::Payload;
        }
        let wrong = matches!(
            (told, from_client),
            (Sender::Client, false) | (Sender::Server, true)
        );
        if wrong {
            leg.swap_sides();
            self.tcp.swap_sides();
            std::mem::swap(&mut self.syn.client, &mut self.syn.server);
        }
        wrong
    }

    /// No session, and none can come.
    fn is_of_no_interest(&self) -> bool {
        matches!((&self.layer, &self.subject), (Layer::Opaque, Subject::Attempt(attempt)) if !attempt.is_worth_telling())
    }

    fn buffered(&self) -> usize {
        let above = match &self.layer {
            Layer::Http(http, above) => {
                http.buffered() + above.as_ref().map_or(0, |websocket| websocket.buffered())
            }
            Layer::WebSocket(websocket) => websocket.buffered(),
            Layer::Opaque => 0,
        };
        self.tcp.buffered() + above
    }

    /// Hands over all that TCP holds, for want of memory.
    fn flush(&mut self, at: PacketRef, shared: &mut Shared, finished: &mut Vec<Finished>) {
        let Self {
            tcp,
            layer,
            subject,
            pending,
            ..
        } = self;
        tcp.give_up(at, &mut |output| match output {
            tcp::Output::Fact(event) => subject.on_tcp(&event, pending, shared),
            tcp::Output::Stream(event) => feed(layer, subject, pending, event, shared, finished),
        });
    }

    fn finish(
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
            ..
        } = &mut *self;
        tcp.finish(
            subject.leg().last_packet_any(),
            &mut |output| match output {
                tcp::Output::Fact(event) => subject.on_tcp(&event, pending, shared),
                tcp::Output::Stream(event) => {
                    feed(layer, subject, pending, event, shared, finished)
                }
            },
        );
        match layer {
            Layer::Http(http, above) => {
                http.finish(&mut |output| {
                    on_http(output, subject, pending, above, shared, finished);
                });
                if let Some(websocket) = above {
                    websocket.finish(&mut |event| subject.on_websocket(event, pending, shared));
                }
            }
            Layer::WebSocket(websocket) => {
                websocket.finish(&mut |event| subject.on_websocket(event, pending, shared));
            }
            Layer::Opaque => {}
        }
        shared.records.end_of_session(&mut self.pending);
        match self.subject {
            Subject::Session(mut session) => {
                session.end(ended, horizon);
                finished.push(Finished::Session(session));
            }
            Subject::Attempt(mut attempt) => {
                shared.on_mid_stream(&attempt);
                attempt.horizon = horizon;
                attempt.settled = ended == Ended::Settled;
                if !attempt.leg.has_payload() && !attempt.never_opened() {
                    shared.capture.wordless += 1;
                }
                if attempt.is_worth_telling() {
                    finished.push(Finished::Attempt(attempt));
                }
            }
        }
    }
}

/// Hands a stream event of TCP to the layer above it.
fn feed(
    layer: &mut Layer,
    subject: &mut Subject,
    pending: &mut Pending,
    event: StreamEvent<'_>,
    shared: &mut Shared,
    finished: &mut Vec<Finished>,
) {
    if let StreamEvent::Gap(gap) = &event {
        shared.on_gap(gap, subject.leg());
    }
    match layer {
        Layer::WebSocket(websocket) => {
            websocket.on_stream(&event, &mut |event| {
                subject.on_websocket(event, pending, shared)
            });
        }
        Layer::Http(http, above) => {
            http.on_stream(event, &mut |output| {
                on_http(output, subject, pending, above, shared, finished);
            });
            if http.is_opaque() {
                *layer = Layer::Opaque;
            } else if http.is_transparent()
                && let Some(websocket) = above.take()
            {
                *layer = Layer::WebSocket(websocket);
            }
        }
        Layer::Opaque => subject.on_opaque(&event),
    }
}

/// `above` is the WebSocket layer, from the moment of the 101 on.
fn on_http(
    output: http::Output<'_>,
    subject: &mut Subject,
    pending: &mut Pending,
    above: &mut Option<Box<websocket::Connection>>,
    shared: &mut Shared,
    finished: &mut Vec<Finished>,
) {
    match output {
        http::Output::Stream(event) => {
            if let Some(websocket) = above {
                websocket.on_stream(&event, &mut |event| {
                    subject.on_websocket(event, pending, shared)
                });
            }
        }
        http::Output::Fact(http::Event::UpgradeRequested { request, breaches }) => {
            subject.begin_session(*request, breaches, pending, shared, finished);
        }
        http::Output::Fact(event) => {
            let deflate = match &event {
                http::Event::Upgraded { agreement, .. } => Some(agreement.deflate),
                http::Event::AnswerLost { .. } => Some(subject.offered_deflate()),
                _ => None,
            };
            if let Some(deflate) = deflate {
                let (deflate, wants) = (deflate.map(parameters_of), shared.options.wants);
                let parameters = websocket::Parameters { deflate, wants };
                *above = Some(Box::new(websocket::Connection::new(parameters)));
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

impl Subject {
    /// Where the answer was not captured, RSV1 is taken for what was offered.
    fn offered_deflate(&self) -> Option<http::DeflateParameters> {
        let Self::Session(session) = self else {
            return None;
        };
        let offers = session
            .handshake
            .request
            .headers
            .list("Sec-WebSocket-Extensions");
        let mut names = offers.filter_map(|offer| offer.split(';').next());
        names
            .any(|name| name.trim() == "permessage-deflate")
            .then(http::DeflateParameters::default)
    }

    fn leg(&mut self) -> &mut Leg {
        match self {
            Self::Attempt(attempt) => &mut attempt.leg,
            Self::Session(session) => &mut session.leg,
        }
    }

    /// An opening handshake begins: the second one on a connection ends the session of the first.
    fn begin_session(
        &mut self,
        request: http::Request,
        breaches: Vec<http::HandshakeBreach>,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let id = shared.next_session;
        shared.next_session += 1;
        let leg = self.leg().clone();
        let mut session = Session::new(id, leg, request, breaches);
        if let Self::Attempt(attempt) = self {
            // A server that speaks first has told what it is before it was asked.
            session.handshake.not_http = attempt.looks_like.server.map(|(what, at)| (at, what));
        }
        let new = Self::Session(Box::new(session));
        if let Self::Session(mut before) = std::mem::replace(self, new) {
            shared.records.end_of_session(pending);
            before.end(Ended::Settled, shared.capture.last);
            finished.push(Finished::Session(before));
        }
    }

    fn on_tcp(&mut self, event: &tcp::Event, pending: &mut Pending, shared: &mut Shared) {
        if let tcp::Event::Duplicate { at, .. } = *event {
            let stream = self.leg().tcp_stream;
            shared.capture.duplicates += 1;
            shared.capture.first_duplicate.get_or_insert((at, stream));
        }
        match self {
            Self::Attempt(attempt) => attempt.leg.apply(event),
            Self::Session(session) => {
                session.on_tcp(event);
                if let tcp::Event::Acked {
                    direction,
                    upto,
                    at,
                    ..
                } = *event
                {
                    shared.records.on_acked(pending, direction, upto, at);
                }
            }
        }
    }

    fn on_http(&mut self, event: &http::Event, shared: &mut Shared) {
        match *event {
            http::Event::Exchange => shared.capture.http_exchanges += 1,
            http::Event::NotHttp {
                direction,
                at,
                looks_like,
            } => {
                self.on_not_http(direction, at, looks_like, shared);
            }
            http::Event::Proxied { source, .. } => self.leg().forwarded_for = source,
            _ => {}
        }
        match self {
            Self::Session(session) => session.handshake_event(event),
            Self::Attempt(attempt) => {
                if *event == http::Event::Exchange {
                    attempt.exchanges += 1;
                }
            }
        }
    }

    /// Bytes that no layer reads: the first answer to a client's TLS tells what the port speaks.
    fn on_opaque(&mut self, event: &StreamEvent<'_>) {
        if let (Self::Attempt(attempt), StreamEvent::Chunk(chunk)) = (self, event)
            && chunk.direction == Direction::ServerToClient
        {
            attempt.on_answer_to_tls(chunk.bytes, chunk.seen);
        }
    }

    fn on_not_http(
        &mut self,
        direction: Direction,
        at: PacketRef,
        looks_like: Lookalike,
        shared: &mut Shared,
    ) {
        let Self::Attempt(attempt) = self else { return };
        let leg = &attempt.leg;
        let (stream, port) = (leg.tcp_stream, leg.server.port());
        attempt.looks_like[direction].get_or_insert((looks_like, at));
        match (direction, looks_like) {
            (Direction::ClientToServer, Lookalike::TlsHandshake) => {
                shared.capture.tls.connections += 1;
                shared.capture.first_tls.get_or_insert((at, stream));
                let ports = &mut shared.capture.tls_ports;
                // Rationale: a report names a handful.
                if ports.len() < 16 && !ports.contains(&port) {
                    ports.push(port);
                }
            }
            (Direction::ClientToServer, Lookalike::Http2Preface) => {
                shared.capture.http2_connections += 1
            }
            _ => {}
        }
    }

    fn on_websocket(
        &mut self,
        event: websocket::Event,
        pending: &mut Pending,
        shared: &mut Shared,
    ) {
        let Self::Session(session) = self else { return };
        let noted = session.on_websocket(&event);
        if shared.options.records {
            shared.records.on_event(
                session,
                event,
                noted,
                pending,
                shared.options.limits.records,
            );
        }
    }
}

impl Shared {
    /// Counts a connection that was open before the capture began, unless HTTP was found on it.
    fn on_mid_stream(&mut self, attempt: &Attempt) {
        let leg = &attempt.leg;
        let began = leg
            .gaps
            .iter()
            .find(|gap| gap.cause == GapCause::BeganMidStream);
        let unknown = attempt
            .looks_like
            .iter()
            .all(|(_, looks)| looks.is_none_or(|(looks, _)| looks == Lookalike::Unknown));
        if let Some(gap) = began
            && attempt.exchanges == 0
            && unknown
        {
            self.capture.mid_stream.add(gap.at, leg.tcp_stream);
        }
    }

    fn on_gap(&mut self, gap: &Gap, leg: &mut Leg) {
        let bytes = gap.len.unwrap_or(0);
        let first = !leg.has_loss(gap.cause);
        leg.on_gap(gap);
        match gap.cause {
            GapCause::SnapLength => {
                self.capture
                    .first_cut
                    .get_or_insert((gap.at, leg.tcp_stream));
            }
            GapCause::NotCaptured if leg.last_packet[gap.direction].is_none() => {
                if first {
                    self.capture.unheard[gap.direction].add(gap.at, leg.tcp_stream);
                }
                let (gaps, unheard) = &mut self.capture.unheard_gaps;
                *gaps += 1;
                *unheard = unheard.saturating_add(bytes);
            }
            GapCause::NotCaptured => {
                self.capture
                    .first_gap
                    .get_or_insert((gap.at, leg.tcp_stream));
            }
            GapCause::BeganMidStream | GapCause::LimitReached | GapCause::NoKeys => {}
        }
        match self
            .capture
            .gaps
            .iter_mut()
            .find(|total| total.cause == gap.cause)
        {
            Some(total) => {
                total.count += 1;
                total.bytes = total.bytes.saturating_add(bytes);
            }
            None => self.capture.gaps.push(GapTotal {
                cause: gap.cause,
                count: 1,
                bytes,
            }),
        }
    }
}
