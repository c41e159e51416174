//! Whose record the facts of a connection go to.

use super::keyless::{self, Suggested};
use super::sought::Acked;
use crate::http::{self, Lookalike};
use crate::pipeline::records::Pending;
use crate::pipeline::{Finished, Shared};
use crate::session::{Attempt, Crossed, Ended, Leg, MidStream, Session};
use crate::stream::{Direction, PacketRef, Sides, StreamEvent};
use crate::websocket::{self, subprotocol::Hint};
use crate::{tcp, tls};

/// Whose record the facts go to.
#[derive(Debug)]
pub(super) enum Subject {
    Attempt(Box<Attempt>),
    Session(Box<Session>),
}

impl Subject {
    /// Where the answer was not captured, RSV1 is taken for what was offered.
    pub(super) fn offered_deflate(&self) -> Option<http::DeflateParameters> {
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

    /// What the handshake tells of the protocol inside the messages.
    pub(super) fn hint(&self, event: &http::Event) -> Hint {
        let Self::Session(session) = self else {
            return Hint::None;
        };
        let chosen = match event {
            http::Event::Upgraded { agreement, .. } => agreement.subprotocol.as_deref(),
            _ => None,
        };
        Hint::of(chosen, session.handshake.path())
    }

    /// It has asked for a WebSocket, and the answer is not read.
    #[inline]
    pub(super) fn awaits_answer(&self) -> bool {
        matches!(self, Self::Session(session) if session.handshake.awaits_answer())
    }

    /// A segment that may cross the answer on its way.
    #[cold]
    pub(super) fn on_crossing(&mut self, sender: Direction, segment: Crossed) {
        if let Self::Session(session) = self {
            session.on_crossing(sender, segment);
        }
    }

    /// It is another connection's, seen on the other side of an address translation.
    pub(super) fn is_far_side(&self) -> bool {
        matches!(self, Self::Attempt(attempt) if attempt.same_as.is_some())
    }

    pub(super) fn leg(&mut self) -> &mut Leg {
        match self {
            Self::Attempt(attempt) => &mut attempt.leg,
            Self::Session(session) => &mut session.leg,
        }
    }

    /// An opening handshake begins: the second one on a connection ends the session of the first.
    pub(super) fn begin_session(
        &mut self,
        request: http::Request,
        breaches: Vec<http::HandshakeBreach>,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let (id, leg) = self.next_session(shared);
        let mut session = Session::new(id, leg, request, breaches);
        if let Self::Attempt(attempt) = self
            && attempt.leg.tls.is_none()
        {
            // A server that speaks first has told what it is before it was asked.
            session.handshake.not_http = attempt.looks_like.server.map(|(what, at)| (at, what));
        }
        self.replace(session, pending, shared, finished);
    }

    /// A 101 came. Where the request is not in the capture, the session begins with it.
    pub(super) fn begin_with_answer(
        &mut self,
        at: PacketRef,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        // What was taken for another answer may have been one to an older request.
        if !matches!(self, Self::Session(session) if session.handshake.status() != Some(101)) {
            let (id, leg) = self.next_session(shared);
            let session = Session::without_request(id, leg, at);
            self.replace(session, pending, shared, finished);
        }
    }

    /// A session was found without its handshake; `at` is its first packet in the capture.
    pub(super) fn begin_mid_stream(
        &mut self,
        found: MidStream,
        at: PacketRef,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let (id, leg) = self.next_session(shared);
        let mut session = Session::without_request(id, leg, at);
        session.handshake.mid_stream = Some(found);
        session.searching = Sides::from_fn(|_| Some(at));
        self.replace(session, pending, shared, finished);
    }

    /// The connection is over and nobody could read it: what the sizes of its
    /// records suggest is a session, marked as inferred.
    pub(super) fn infer(&mut self, shared: &mut Shared) {
        let Self::Attempt(attempt) = self else { return };
        match keyless::suggested(&attempt.leg) {
            None => {}
            Some(Suggested::Unanswered(request)) => attempt.unanswered = Some(request),
            Some(Suggested::WithAnother(found)) => attempt.unproven = Some(Box::new(found)),
            Some(Suggested::Session(found)) => {
                let (id, leg) = self.next_session(shared);
                *self = Self::Session(Box::new(Session::inferred(id, leg, found)));
            }
        }
    }

    fn next_session(&mut self, shared: &mut Shared) -> (u32, Leg) {
        let id = shared.next_session;
        shared.next_session += 1;
        (id, self.leg().clone())
    }

    fn replace(
        &mut self,
        session: Session,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let first = session.handshake.request.first;
        let mut session = session;
        if shared.options.timeline {
            let timeline = &mut session.leg.timeline;
            let kept = timeline.take().unwrap_or_default();
            session.leg.timeline = shared.records.takes(&session).then_some(kept);
        }
        let new = Self::Session(Box::new(session));
        if let Self::Session(mut before) = std::mem::replace(self, new) {
            shared.records.hold(before.leg.tcp_stream, None);
            shared.records.end_of_session(pending);
            before.leg.end_before(first);
            before.end(Ended::Settled, shared.capture.last);
            finished.push(Finished::Session(before));
        }
    }

    /// A fact of TCP. What it acknowledges is `inside` in the stream of the messages.
    pub(super) fn on_tcp(
        &mut self,
        event: &tcp::Event,
        inside: Option<Acked>,
        pending: &mut Pending,
        shared: &mut Shared,
    ) {
        if let tcp::Event::Duplicate { at, first, .. } = *event {
            let stream = self.leg().tcp_stream;
            shared.on_duplicate(at, first, stream);
        }
        if let tcp::Event::AckedEarly { at, acked, .. } = *event {
            shared.capture.clocks.on_acked_early(at, acked);
        }
        match self {
            Self::Attempt(attempt) => attempt.leg.apply(event),
            Self::Session(session) => {
                session.on_tcp(event);
                let Some(Acked {
                    direction,
                    upto,
                    at,
                }) = inside
                else {
                    return;
                };
                session.on_acked(direction, upto, at);
                if session.searching[direction].is_some() {
                    pending.on_early_ack(direction, upto, at);
                }
                shared.records.on_acked(pending, direction, upto, at);
            }
        }
    }

    /// An acknowledgment that came before it was known what it acknowledges.
    pub(super) fn on_acked(
        &mut self,
        direction: Direction,
        upto: u64,
        at: PacketRef,
        pending: &mut Pending,
    ) {
        if let Self::Session(session) = self {
            session.on_acked(direction, upto, at);
            pending.on_early_ack(direction, upto, at);
        }
    }

    /// An acknowledgment that came before the keys of what it acknowledges.
    pub(super) fn on_late_keys(
        &mut self,
        acked: Acked,
        pending: &mut Pending,
        shared: &mut Shared,
    ) {
        if let Self::Session(session) = self {
            session.on_acked(acked.direction, acked.upto, acked.at);
            shared
                .records
                .on_acked(pending, acked.direction, acked.upto, acked.at);
        }
    }

    pub(super) fn on_http(&mut self, event: &http::Event, shared: &mut Shared) {
        match *event {
            http::Event::Exchange => shared.capture.http_exchanges += 1,
            http::Event::NotHttp {
                direction,
                at,
                looks_like,
            } => {
                self.on_not_http(direction, at, looks_like, shared);
            }
            http::Event::TunnelSeen(ref tunnel) => {
                shared.capture.tunnels.count += 1;
                self.leg().via.push((**tunnel).clone());
            }
            http::Event::Proxied { ref header, at } => {
                let leg = self.leg();
                leg.forwarded_for = header.source;
                leg.proxied = Some((header.clone(), at));
                let servers = &mut shared.capture.proxied_servers;
                // Rationale: who sends such headers sends them to a handful of backends.
                if servers.len() < 16 && !servers.contains(&leg.server) {
                    servers.push(leg.server);
                }
            }
            _ => {}
        }
        match self {
            Self::Session(session) => session.handshake_event(event),
            Self::Attempt(attempt) => {
                on_attempt(attempt, event);
            }
        }
    }

    /// The connection is a tunnel from here on: what was in it before is over.
    pub(super) fn enter_tunnel(
        &mut self,
        tunnel: http::Tunnel,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let leg = self.leg();
        let (client, proxy) = (leg.client.ip(), leg.server);
        let opened = &mut shared.capture.tunnels;
        if let (Some(target), Some(asked)) = (&tunnel.target, tunnel.asked) {
            opened.add(client, proxy, target, asked);
        }
        if let Self::Session(_) = self {
            let attempt = Self::Attempt(Box::new(Attempt::new(self.leg().clone())));
            if let Self::Session(mut before) = std::mem::replace(self, attempt) {
                shared.records.end_of_session(pending);
                before.end(Ended::Settled, shared.capture.last);
                finished.push(Finished::Session(before));
            }
        }
        if let Self::Attempt(attempt) = self {
            attempt.connects.overcome();
            attempt.leg.via.push(tunnel);
        }
    }

    /// A fact of TLS; `counted` tells whether the connection was counted as decrypted.
    pub(super) fn on_tls(&mut self, event: &tls::Event, counted: &mut bool, shared: &mut Shared) {
        if matches!(event, tls::Event::Opened { .. }) && !*counted {
            *counted = true;
            shared.capture.tls.decrypted += 1;
        }
        self.leg().tls.get_or_insert_default().apply(event);
    }

    /// The connection is over: why it could not be decrypted is counted.
    pub(super) fn end_tls(&mut self, shared: &mut Shared) {
        let leg = self.leg();
        let stream = leg.tcp_stream;
        if let Some((reason, at)) = leg.tls.as_ref().and_then(|tls| tls.undecrypted()) {
            let closed = &mut shared.capture.tls.closed;
            closed.entry(reason).or_default().add(at, stream);
            let tls = leg.tls.as_deref();
            if reason == tls::Undecrypted::NoKey
                && let Some(tls) = tls
            {
                let totals = &mut shared.capture.tls;
                totals.not_rsa += u64::from(!tls.uses_rsa_key_exchange());
                totals.foreign_private_key += u64::from(tls.foreign_private_key.is_some());
            }
        }
    }

    /// Bytes that no layer reads: the first answer to a client's TLS tells what the port speaks.
    pub(super) fn on_opaque(&mut self, event: &StreamEvent<'_>) {
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

    pub(super) fn on_websocket(
        &mut self,
        event: websocket::Event,
        pending: &mut Pending,
        shared: &mut Shared,
    ) {
        let Self::Session(session) = self else { return };
        if !shared.options.records {
            session.on_websocket(&event);
            return;
        }
        let searching = session.searching;
        let noted = session.on_websocket(&event);
        if searching != session.searching {
            let now = session.searching;
            let since = [now.client, now.server].into_iter().flatten().min();
            shared.records.hold(session.leg.tcp_stream, since);
        }
        let limit = shared.options.limits.records;
        let records = &mut shared.records;
        records.on_event(session, event, noted, pending, limit);
    }
}

fn on_attempt(attempt: &mut Attempt, event: &http::Event) {
    match event {
        http::Event::Exchange => attempt.exchanges += 1,
        http::Event::ConnectRequested { request } => attempt.connects.asked(request),
        http::Event::ConnectRefused { response } => attempt.connects.refused(response),
        http::Event::SocksRefused {
            target,
            asked,
            refusal,
        } => attempt.connects.refused_by_socks(target, *asked, *refusal),
        http::Event::RefusalBody { excerpt } => attempt.connects.refusal_body(excerpt),
        _ => {}
    }
}
