//! What each endpoint's API reported: `close` events, codes and errors
//! (measured: 52 endings against five clients).

use std::time::Duration;

use super::heartbeat::said_so;
use super::{Kind, Provenance, Terminator, reset_provenance, vanished};
use crate::session::{Breach, CloseFrame};
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
        let Some(request) = session.handshake.seen_request() else {
            return Self::Other;
        };
        let Some(agent) = request.headers.first("User-Agent") else {
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

pub(super) fn sees(session: &Session, kind: Kind, end: Option<&Terminator>) -> Sees {
    if !session.handshake.is_upgraded() {
        return of_failed_handshake(session, end);
    }
    // Codes are encrypted, and what an endpoint refuses too; an end without a code can be told.
    if session.is_inferred() {
        return match kind {
            Kind::Abnormal => Sees {
                client: seen_by(session, kind, end, Direction::ClientToServer),
                server: seen_by(session, kind, end, Direction::ServerToClient),
                client_error_event: None,
            },
            Kind::Clean | Kind::Half | Kind::Unknown | Kind::Open | Kind::None => Sees::default(),
        };
    }
    if refuses_answer(session) {
        let code = match ClientKind::of(session) {
            ClientKind::Browser | ClientKind::Undici => Some(1006),
            // Measured: it has a code once the 101 itself is valid, and else an error alone.
            ClientKind::NodeWs if !breaks_the_answer(session) => Some(1006),
            _ => None,
        };
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

/// The client doesn't take the 101: it breaks the rules, or it lacks the
/// subprotocol without which some don't go on.
pub fn refuses_answer(session: &Session) -> bool {
    let handshake = &session.handshake;
    let client = ClientKind::of(session);
    // Measured: aiohttp takes what it didn't ask for.
    let tolerant = client == ClientKind::Aiohttp;
    let breached = match tolerant {
        true => breaks_the_answer(session),
        false => !handshake.response_breaches.is_empty(),
    };
    // Measured: browsers, undici and ws insist on an answer to their offer; the WHATWG standard does too.
    let insists = matches!(
        client,
        ClientKind::Browser | ClientKind::Undici | ClientKind::NodeWs
    );
    let unanswered = handshake.response.is_some()
        && handshake.agreement.subprotocol.is_none()
        && handshake.offered_subprotocols().next().is_some();
    breached || (insists && unanswered)
}

/// The 101 itself breaks the rules, not only what it agrees to.
fn breaks_the_answer(session: &Session) -> bool {
    let unasked = |kind: &str| matches!(kind, "subprotocol-not-offered" | "extension-not-offered");
    let mut breaches = session.handshake.response_breaches.iter();
    breaches.any(|breach| !unasked(breach.kind))
}

fn of_failed_handshake(session: &Session, end: Option<&Terminator>) -> Sees {
    // An answer may have passed unseen, and a Close frame after it.
    if session.may_hide_answer() {
        return Sees::default();
    }
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
            // Measured: its own code, but for data that don't inflate.
            Some(close) if aiohttp && !fails_to_inflate(session, peer) => close.code,
            _ => Some(1006),
        };
    }
    // It failed the connection and reads no more (RFC 6455, section 7.1.7).
    if fails_for_want_of_a_pong(session, own) {
        return Some(1006);
    }
    if let Some(close) = &session.close[peer] {
        if !reads_close(session, end, own) || !is_reported(close, is_client, client) {
            return Some(1006);
        }
        return Some(close.code.unwrap_or(1005));
    }
    if !matches!(kind, Kind::Abnormal | Kind::Clean | Kind::Half) {
        return None;
    }
    // A reset that a device forged, or sent in the name of who it has forgotten,
    // reaches the side it is sent to; its claimed sender learns nothing of it.
    let forged = end.is_some_and(|end| {
        end.direction == own
            && end.reset.is_some_and(|reset| {
                reset_provenance(session, &reset).verdict == Provenance::Middlebox
            })
    });
    let forgotten = vanished(session).is_some_and(|gone| gone.reset && gone.side == own);
    let unaware = (forged || forgotten) && !ends_for(session, own);
    // The peer's Close frame may have passed unseen.
    (end.is_some() && !unaware && !may_hide_close(session, peer)).then_some(1006)
}

/// Frames of `sender` are missing, and not only from the middle of a known one.
fn may_hide_close(session: &Session, sender: Direction) -> bool {
    session.lost_sync[sender].is_some()
        || session.resyncs[sender].unread > 0
        || session.leg.last_packet[sender].is_none()
        || (session.handshake.answer_lost.is_some() && sender == Direction::ServerToClient)
        || session
            .frame_gaps
            .iter()
            .any(|gap| gap.direction == sender && !gap.in_step)
}

/// This side pinged, got no Pong, and said so before its peer said anything: not an echo.
fn fails_for_want_of_a_pong(session: &Session, own: Direction) -> bool {
    let at = |side: Direction| {
        session.close[side]
            .as_ref()
            .map(|close| close.control.frame.at)
    };
    let first = match (at(own), at(own.reverse())) {
        (Some(mine), Some(theirs)) => mine < theirs,
        (mine, _) => mine.is_some(),
    };
    first && session.pings[own].sent > 0 && said_so(session, own).is_some()
}

/// Something else ended the transport for this side: its own FIN, one that it got, or a reset.
fn ends_for(session: &Session, own: Direction) -> bool {
    let leg = &session.leg;
    leg.fin.client.or(leg.fin.server).is_some()
        || leg
            .resets
            .iter()
            .any(|reset| reset.direction == own.reverse() && reset.in_window)
}

/// The API hands on the code of this frame: not one that must not be on the
/// wire, but where the client is known to do so.
fn is_reported(close: &CloseFrame, is_client: bool, client: ClientKind) -> bool {
    match close.code {
        // Measured: an empty Close frame is 1006 for aiohttp, 1005 for all others.
        None => {
            let aiohttp = is_client && client == ClientKind::Aiohttp;
            let cut = close.breaches.contains(&Breach::CloseBodyOneByte);
            !aiohttp && !cut
        }
        // Measured: Chromium takes them.
        Some(1016..=2999) => is_client && client == ClientKind::Browser,
        Some(code) => matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999),
    }
}

/// This side failed the connection for something that its peer sent.
fn refuses_something(session: &Session, own: Direction) -> bool {
    let peer = own.reverse();
    if own == Direction::ClientToServer && ClientKind::of(session) == ClientKind::Browser {
        // Measured: a browser fails the connection for a frame after Close that it reads together with it.
        let close = session.close[peer].as_ref().map(|close| close.control.last);
        let together = session.breaches.iter().any(|note| {
            note.breach == Breach::FrameAfterClose
                && note.direction == peer
                && Some(note.at) == close
        });
        if together {
            return true;
        }
    }
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

/// A compressed message of this sender couldn't be read.
fn fails_to_inflate(session: &Session, sender: Direction) -> bool {
    let mut counts = session.breach_counts.iter();
    counts.any(|(breach, by, _)| *breach == Breach::InflateFailed && *by == sender)
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
    // Measured: libraries answer a Close frame as they read it. A side that
    // resets instead had bytes in its receive queue that it never read.
    let unread = end.reset.is_some_and(|reset| {
        reset.direction == own && reset_provenance(session, &reset).verdict != Provenance::Middlebox
    });
    if unread && session.close[own].is_none() && !may_hide_close(session, own) {
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

#[cfg(test)]
mod tests {
    use super::super::closing::close_of;
    use super::*;
    use crate::script::{Script, frame};
    use Direction::{ClientToServer, ServerToClient};

    const CHROME: &str = "User-Agent: Mozilla/5.0 Chrome/156.0\r\n";

    fn sees(script: Script) -> Sees {
        close_of(&script.told().sessions[0]).sees
    }

    fn told(client: u16, server: u16, error: bool) -> Sees {
        Sees {
            client: Some(client),
            server: Some(server),
            client_error_event: Some(error),
        }
    }

    #[test]
    fn a_fin_without_close_is_1006_for_both_and_no_error() {
        let script = Script::new()
            .upgrade_with(CHROME, "")
            .fin(ServerToClient)
            .fin(ClientToServer);
        assert_eq!(sees(script), told(1006, 1006, false));
    }

    #[test]
    fn who_fails_a_frame_sees_1006_and_its_peer_the_code() {
        let script = Script::new()
            .upgrade_with(CHROME, "")
            .frame(ServerToClient, 0x83, b"x")
            .close(ClientToServer, 1002, "Unknown opcode")
            .fin(ClientToServer)
            .fin(ServerToClient);
        assert_eq!(sees(script), told(1006, 1002, true));
    }

    #[test]
    fn a_browser_fails_a_close_that_it_reads_together_with_data() {
        let mut both = frame(0x88, &1000_u16.to_be_bytes(), false);
        both.extend(frame(0x81, b"late", false));
        let after = |agent: &str| {
            Script::new()
                .upgrade_with(agent, "")
                .bytes(ServerToClient, &both)
                .close(ClientToServer, 1000, "")
                .fin(ServerToClient)
                .fin(ClientToServer)
        };
        assert_eq!(sees(after(CHROME)), told(1006, 1000, true));
        assert_eq!(sees(after("")), told(1000, 1000, false));
    }

    #[test]
    fn a_browser_insists_on_an_answer_to_its_subprotocols() {
        let offer = |agent: &str| {
            Script::new()
                .upgrade_with(&format!("{agent}Sec-WebSocket-Protocol: chat\r\n"), "")
                .fin(ClientToServer)
                .fin(ServerToClient)
        };
        assert_eq!(sees(offer(CHROME)).client_error_event, Some(true));
        let tolerant = "User-Agent: Python/3.11 websockets/17.4\r\n";
        assert_eq!(sees(offer(tolerant)).client_error_event, Some(false));
    }

    #[test]
    fn a_client_that_refuses_the_101_has_a_code_or_an_exception() {
        let refused = |agent: &str, answer: &str| {
            let script = Script::new()
                .handshake()
                .request(agent)
                .bytes(ServerToClient, answer.as_bytes());
            sees(script.fin(ClientToServer).fin(ServerToClient)).client
        };
        let wrong = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
        let unasked = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
        let websockets = "User-Agent: Python/3.11 websockets/17.4\r\n";
        let told = [CHROME, "User-Agent: node\r\n", "", websockets];
        assert_eq!(
            told.map(|agent| refused(agent, wrong)),
            [Some(1006), Some(1006), None, None]
        );
        assert_eq!(
            told.map(|agent| refused(agent, unasked)),
            [Some(1006), Some(1006), Some(1006), None]
        );
    }

    #[test]
    fn aiohttp_reports_its_own_code_for_a_frame_that_it_fails() {
        let aiohttp = "User-Agent: Python/3.11 aiohttp/3.14\r\n";
        let script = |agent: &str| {
            Script::new()
                .upgrade_with(agent, "")
                .frame(ServerToClient, 0x81, b"\xff")
                .close(ClientToServer, 1007, "")
                .fin(ClientToServer)
                .fin(ServerToClient)
        };
        assert_eq!(sees(script(aiohttp)).client, Some(1007));
        assert_eq!(sees(script("")).client, Some(1006));
    }

    #[test]
    fn who_gives_up_for_want_of_a_pong_reads_no_more_and_an_echo_is_none() {
        let script = Script::new()
            .upgrade()
            .ping(ClientToServer, b"1")
            .wait_s(20.0)
            .close(ClientToServer, 1011, "keepalive ping timeout")
            .close(ServerToClient, 1011, "keepalive ping timeout")
            .fin(ServerToClient)
            .fin(ClientToServer);
        assert_eq!(sees(script), told(1006, 1011, false));
    }

    #[test]
    fn the_claimed_sender_of_a_forged_reset_learns_nothing() {
        let script = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .bare_rst(ServerToClient)
            .text(ServerToClient, "still here");
        let sees = sees(script);
        assert_eq!((sees.client, sees.server), (Some(1006), None));
    }

    #[test]
    fn who_resets_in_answer_to_a_close_never_read_it() {
        let script = Script::new()
            .upgrade()
            .close(ClientToServer, 1000, "")
            .rst(ServerToClient);
        assert_eq!(sees(script), told(1006, 1006, false));
    }

    #[test]
    fn a_capture_that_ends_first_claims_no_code() {
        let script = Script::new().upgrade().text(ClientToServer, "hi");
        assert_eq!(sees(script), Sees::default());
    }
}
