//! What each endpoint's API reported: `close` events, codes and errors
//! (FINDINGS.md 3.8: 52 endings, measured with five clients).

use std::time::Duration;

use super::{Kind, Thresholds, closing::Terminator};
use crate::session::Breach;
use crate::session::{Ended, Session};
use crate::stream::Direction;

/// The client's library, as far as its request tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientKind {
    /// A browser. Chromium's behaviour is the measured one.
    Browser,
    /// undici, which Node's and Deno's global `WebSocket` come from.
    Undici,
    /// Node's `ws`.
    NodeWs,
    /// Python's `websockets`.
    Websockets,
    /// Python's aiohttp.
    Aiohttp,
    /// Another one.
    Other,
}

impl ClientKind {
    /// From the User-Agent, or the lack of one.
    pub fn of(session: &Session) -> Self {
        let Some(agent) = session.handshake.request.headers.first("User-Agent") else {
            // `ws` sends none; it shares that with hand-written clients, which report much the same.
            return Self::NodeWs;
        };
        match agent {
            a if a.starts_with("Mozilla/") => Self::Browser,
            a if a.contains("websockets/") => Self::Websockets,
            a if a.contains("aiohttp") => Self::Aiohttp,
            a if a == "node" || a.contains("undici") || a.contains("Deno/") => Self::Undici,
            _ => Self::Other,
        }
    }
}

/// What the two APIs reported, as far as the wire tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sees {
    /// The code of the client's close event; `None` where it can't be known
    /// or the client's library throws instead.
    pub client: Option<u16>,
    /// The code that the server's library reported.
    pub server: Option<u16>,
    /// Whether a browser in the client's place fires `error` before `close`.
    pub client_error_event: Option<bool>,
}

pub(super) fn sees(
    session: &Session,
    kind: Kind,
    end: Option<&Terminator>,
    _thresholds: &Thresholds,
) -> Sees {
    if !session.handshake.is_upgraded() {
        return of_failed_handshake(session, end);
    }
    if !session.handshake.response_breaches.is_empty() {
        let client = ClientKind::of(session);
        let code = matches!(
            client,
            ClientKind::Browser | ClientKind::Undici | ClientKind::NodeWs
        )
        .then_some(1006);
        return Sees {
            client: code,
            server: seen_by(session, kind, end, Direction::ServerToClient),
            client_error_event: Some(true),
        };
    }
    let client = seen_by(session, kind, end, Direction::ClientToServer);
    let server = seen_by(session, kind, end, Direction::ServerToClient);
    let told = client.is_some();
    Sees {
        client,
        server,
        client_error_event: told.then(|| refuses_something(session, Direction::ClientToServer)),
    }
}

fn of_failed_handshake(session: &Session, end: Option<&Terminator>) -> Sees {
    let over = end.is_some()
        || session.handshake.response.is_some()
        || session.ended == Some(Ended::Settled);
    let reports_codes = matches!(
        ClientKind::of(session),
        ClientKind::Browser | ClientKind::Undici
    );
    Sees {
        client: (over && reports_codes).then_some(1006),
        server: None,
        client_error_event: over.then_some(true),
    }
}

/// The code that the side which sends in `own` was told.
fn seen_by(session: &Session, kind: Kind, end: Option<&Terminator>, own: Direction) -> Option<u16> {
    let peer = own.reverse();
    let client = ClientKind::of(session);
    let is_client = own == Direction::ClientToServer;
    if refuses_something(session, own) {
        let aiohttp = is_client && client == ClientKind::Aiohttp;
        return match &session.close[own] {
            Some(close) if aiohttp => close.code,
            _ => Some(1006),
        };
    }
    if let Some(close) = &session.close[peer] {
        if !reads_close(session, end, own) {
            return Some(1006);
        }
        return Some(close.code.unwrap_or(1005));
    }
    let over = matches!(kind, Kind::Abnormal | Kind::Clean | Kind::Half) && end.is_some();
    // The end reached this side if it sent it itself, or acknowledged it, or
    // simply was on the path to which nothing else happened.
    over.then_some(1006)
}

/// This side failed the connection for something that its peer sent.
fn refuses_something(session: &Session, own: Direction) -> bool {
    let peer = own.reverse();
    let own_close = session.close[own].as_ref();
    let failed =
        own_close.is_some_and(|close| matches!(close.code, Some(1002 | 1003 | 1007 | 1009 | 1010)));
    let answered_first = match (&session.close[own], &session.close[peer]) {
        (Some(mine), Some(theirs)) => mine.control.frame.at <= theirs.control.frame.at,
        (Some(_), None) => true,
        _ => false,
    };
    let illegal_close = session.close[peer]
        .as_ref()
        .is_some_and(|close| !close.breaches.is_empty() && failed);
    let breached = session
        .breach_counts
        .iter()
        .any(|(breach, by, _)| *by == peer && fails_a_connection(*breach));
    failed && (illegal_close || (answered_first && breached))
}

fn fails_a_connection(breach: Breach) -> bool {
    !matches!(breach, Breach::TruncatedFrame | Breach::UnfinishedMessage)
}

/// Whether the peer's Close frame was read: not if this side had ended its
/// own transport before, nor if a reset chased the frame.
fn reads_close(session: &Session, end: Option<&Terminator>, own: Direction) -> bool {
    let peer = own.reverse();
    let Some(close) = &session.close[peer] else {
        return false;
    };
    let Some(end) = end else { return true };
    let at = close.control.available;
    if end.direction == own && end.at < at {
        return false;
    }
    let reset = end.reset.is_some_and(|reset| reset.direction == peer);
    if !reset || session.close[own].is_some() {
        return true;
    }
    let browser =
        own == Direction::ClientToServer && ClientKind::of(session) == ClientKind::Browser;
    // Rationale: measured: a browser reads the frame if the reset comes more than a round trip later.
    let chased = end.at.time.saturating_since(at.time) < Duration::from_millis(50);
    !(browser && chased)
}
