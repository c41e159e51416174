//! One try of a client to hold a WebSocket: a session, or a connection that
//! failed before one. A story of several legs is one try, its client's.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::service::Services;
use crate::diagnosis::closing::close_of;
use crate::diagnosis::dial::nothing_else;
use crate::diagnosis::{Closing, EndedBy, Kind, joined};
use crate::session::{Attempt, Capture, Dialled, Identity, Session};
use crate::stream::{Direction, PacketRef};

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::diagnosis) enum Fate {
    /// TCP didn't connect.
    NoConnection,
    /// TCP did, and nothing said WebSocket: TLS or a tunnel failed.
    NoRequest,
    /// The server answered the request with this status instead of 101.
    Rejected(u16),
    /// Nothing answered the request.
    NoAnswer,
    /// The server, or what stands before it, sent a Close frame with this code, which is no ordinary end.
    Closed(u16),
    /// The transport ended without a Close frame, and not by the client.
    Dropped,
    /// The client gave up over something that it was sent, and said so with this code.
    Failed(u16),
    /// The client ended the transport without a Close frame.
    Quit,
    /// The server said an ordinary good-bye.
    Dismissed,
    /// The client did.
    Left,
    /// It is open, or its end isn't in the capture.
    Open,
}

/// A client's try.
#[derive(Clone, Debug)]
pub(in crate::diagnosis) struct Trial<'a> {
    /// The session of the client's leg, if it came to one.
    pub(in crate::diagnosis) session: Option<&'a Session>,
    /// How that ended.
    pub(in crate::diagnosis) closing: Option<Closing>,
    /// The client's host, as proxies name it if they do.
    pub(in crate::diagnosis) client: IpAddr,
    /// What was dialled.
    pub(in crate::diagnosis) server: SocketAddr,
    /// The first packet.
    pub(in crate::diagnosis) began: PacketRef,
    /// What told the client that it was over.
    pub(in crate::diagnosis) over: Option<PacketRef>,
    /// What became of it.
    pub(in crate::diagnosis) fate: Fate,
    /// By what the client is known.
    pub(in crate::diagnosis) identity: Option<Identity>,
    /// Of which program its ClientHello is, if there is one.
    pub(in crate::diagnosis) shape: Option<u64>,
    /// The service: servers of the same name are one.
    pub(in crate::diagnosis) service: u32,
}

impl Fate {
    /// It isn't what the client wanted.
    pub(in crate::diagnosis) const fn is_failure(self) -> bool {
        !matches!(self, Self::Dismissed | Self::Left | Self::Open)
    }

    /// How far it came, as a word for scripts.
    pub(in crate::diagnosis) const fn stage(self) -> &'static str {
        match self {
            Self::NoConnection => "connect",
            Self::NoRequest => "tls",
            Self::Rejected(_) | Self::NoAnswer => "handshake",
            _ => "open",
        }
    }

    /// What happened, as the end of a sentence about several: `ended with ...`.
    pub(in crate::diagnosis) fn phrase(self) -> String {
        match self {
            Self::NoConnection => "TCP didn't connect".to_owned(),
            Self::NoRequest => "TLS or a tunnel failed".to_owned(),
            Self::Rejected(status) => format!("the answer was {status}"),
            Self::NoAnswer => "the request had no answer".to_owned(),
            Self::Closed(code) => format!("the server closed with {code}"),
            Self::Failed(code) => format!("the client gave up with {code}"),
            Self::Dropped => "the connection was dropped without a Close frame".to_owned(),
            Self::Quit => "the client dropped the connection".to_owned(),
            Self::Dismissed | Self::Left => "closed".to_owned(),
            Self::Open => "open".to_owned(),
        }
    }
}

impl Trial<'_> {
    /// How long it lasted, where its end is known.
    pub(in crate::diagnosis) fn lasted(&self) -> Option<Duration> {
        Some(self.over?.time.saturating_since(self.began.time))
    }

    /// It came to an open WebSocket.
    pub(in crate::diagnosis) fn opened(&self) -> bool {
        self.session.is_some_and(Session::is_open_or_was)
    }

    /// Who ended it.
    pub(in crate::diagnosis) fn ended_by(&self) -> EndedBy {
        self.closing
            .as_ref()
            .map_or(EndedBy::Unknown, |closing| closing.ended_by)
    }
}

/// All tries, in the order of their first packets.
pub(super) fn trials<'a>(
    sessions: &'a [Session],
    attempts: &'a [Attempt],
    capture: &Capture,
) -> Vec<Trial<'a>> {
    let mut services = Services::of(sessions);
    let first_legs = || {
        sessions
            .iter()
            .filter(|session| session.joined.as_ref().is_none_or(|j| j.place == 0))
    };
    let mut trials: Vec<Trial<'a>> = Vec::with_capacity(sessions.len());
    for session in first_legs() {
        let service = services.of_session(session);
        trials.push(of_session(session, service));
    }
    let alone = nothing_else(sessions, attempts, capture);
    for attempt in attempts.iter().filter(|attempt| attempt.same_as.is_none()) {
        if let Some(service) = services.of_server(attempt.leg.server, alone) {
            trials.push(of_attempt(attempt, service));
        }
    }
    for dialled in &capture.dialled {
        if let Some(service) = services.of_server(dialled.server, alone) {
            trials.push(of_dialled(dialled, service));
        }
    }
    trials.sort_by_key(|trial| trial.began);
    trials
}

fn of_session(session: &Session, service: u32) -> Trial<'_> {
    let closing = close_of(session);
    let fate = fate_of(session, &closing);
    let leg = &session.leg;
    let close = Direction::BOTH
        .into_iter()
        .filter_map(|side| Some(session.close[side].as_ref()?.control.frame.at))
        .min();
    let end = closing.terminator.map(|end| end.at);
    let over = match fate {
        Fate::Open => None,
        Fate::Rejected(_) => session.handshake.response.as_ref().map(|r| r.last),
        _ => close
            .into_iter()
            .chain(end)
            .min()
            .or(Some(leg.last_packet_any())),
    };
    // A second request on the same connection begins with itself.
    let request = session.handshake.request.first;
    let began = match leg.first_payload.client {
        Some(first)
            if first < request
                && session.handshake.seen_request().is_some()
                && leg.tls.is_none() =>
        {
            request
        }
        _ => leg.first,
    };
    Trial {
        session: Some(session),
        client: session.client_host(),
        server: leg.server,
        began,
        over,
        fate,
        identity: session.identity(),
        shape: leg.hello_shape(),
        service,
        closing: Some(closing),
    }
}

fn fate_of(session: &Session, closing: &Closing) -> Fate {
    if !session.handshake.is_upgraded() {
        return match session.handshake.status() {
            Some(status) => Fate::Rejected(status),
            None if session.may_hide_answer() || closing.terminator.is_none() => Fate::Open,
            None => Fate::NoAnswer,
        };
    }
    let by_client = closing.ended_by == EndedBy::Client;
    match closing.kind {
        Kind::Open | Kind::None | Kind::Unknown => Fate::Open,
        Kind::Abnormal if by_client => Fate::Quit,
        Kind::Abnormal => Fate::Dropped,
        Kind::Clean | Kind::Half => {
            let first = closing.first_close.unwrap_or(Direction::ClientToServer);
            let code = session.close[first].as_ref().and_then(|close| close.code);
            // What nobody could read tells no code.
            let ordinary = matches!(code, None | Some(1000));
            match (first, code) {
                (Direction::ServerToClient, _) if ordinary => Fate::Dismissed,
                (Direction::ServerToClient, code) => Fate::Closed(code.unwrap_or(1005)),
                (Direction::ClientToServer, Some(code @ (1002 | 1003 | 1007 | 1009..=1011))) => {
                    Fate::Failed(code)
                }
                (Direction::ClientToServer, _) => Fate::Left,
            }
        }
    }
}

fn of_attempt(attempt: &Attempt, service: u32) -> Trial<'_> {
    let leg = &attempt.leg;
    let reset = leg.resets.first().map(|reset| reset.at);
    let icmp = leg.unreachable.first().map(|error| error.at);
    let over = reset.into_iter().chain(icmp).min();
    Trial {
        session: None,
        closing: None,
        client: leg.client.ip(),
        server: leg.server,
        began: leg.first,
        over: Some(over.unwrap_or_else(|| given_up(leg.last_packet_any(), attempt.is_answered()))),
        fate: fate_of_dialled(attempt.never_opened()),
        identity: None,
        shape: leg.hello_shape(),
        service,
    }
}

fn of_dialled<'a>(dialled: &Dialled, service: u32) -> Trial<'a> {
    Trial {
        session: None,
        closing: None,
        client: dialled.client,
        server: dialled.server,
        began: dialled.first,
        over: Some(given_up(dialled.last, dialled.answered)),
        fate: fate_of_dialled(dialled.never_opened),
        identity: None,
        shape: None,
        service,
    }
}

/// Who gives up an unanswered SYN says nothing. It had not before the next one
/// would have been due (RFC 6298, section 2: after a second).
fn given_up(last: PacketRef, answered: bool) -> PacketRef {
    let waited = match answered {
        true => Duration::ZERO,
        false => Duration::from_secs(1),
    };
    PacketRef {
        time: last.time.saturating_add(waited),
        ..last
    }
}

const fn fate_of_dialled(never_opened: bool) -> Fate {
    match never_opened {
        true => Fate::NoConnection,
        false => Fate::NoRequest,
    }
}

/// The server that took a session at last: behind the proxies, where that leg was captured.
pub(in crate::diagnosis) fn backend_of(session: &Session) -> SocketAddr {
    joined(session)
        .and_then(|joined| joined.story.legs.last())
        .map_or(session.leg.server, |leg| leg.server)
}
