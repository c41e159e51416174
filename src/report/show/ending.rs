//! What each side's application was told at the end.

use crate::diagnosis::api::ClientKind;
use crate::diagnosis::{Closing, Kind, client_leg, server_leg, vanished};
use crate::report::Report;
use crate::session::{Ended, Session};
use crate::stream::Direction;

/// `close event 1006, wasClean false, no error event`; for either side of the
/// story. `known`: the wire tells that this side learned of the end.
pub(super) fn told(session: &Session, report: &Report, side: Direction, known: bool) -> String {
    let id = match side {
        Direction::ClientToServer => client_leg(session),
        Direction::ServerToClient => server_leg(session),
    };
    let session = report.session(id).unwrap_or(session);
    let closing = report.judged(session).closing;
    let told = match side {
        Direction::ClientToServer => client(session, &closing),
        Direction::ServerToClient => server(session, &closing),
    };
    let sees = match side {
        Direction::ClientToServer => closing.sees.client,
        Direction::ServerToClient => closing.sees.server,
    };
    match sees {
        Some(_) if !known => format!("if it learns of the end, {told}"),
        _ => told,
    }
}

fn client(session: &Session, closing: &Closing) -> String {
    let browser = matches!(ClientKind::of(session), ClientKind::Browser);
    let error = closing.sees.client_error_event;
    match (closing.sees.client, error) {
        (Some(code), error) if browser => {
            let clean = was_clean(closing, code);
            let before = match error {
                Some(true) => "after an error event",
                _ => "no error event",
            };
            format!("close event {code}, wasClean {clean}, {before}")
        }
        (Some(code), _) => {
            let clean = was_clean(closing, code);
            format!("its API reports {code} (wasClean {clean} in a browser)")
        }
        (None, Some(true)) => "its library throws or reports an error, without a code".to_owned(),
        (None, _) => unknown(session, closing, Direction::ClientToServer),
    }
}

fn server(session: &Session, closing: &Closing) -> String {
    if let Some(code) = closing.sees.server {
        let what = match code {
            1006 => ": an end without a Close frame",
            _ => "",
        };
        return format!("its API reports {code}{what}");
    }
    match session.handshake.status() {
        Some(status) if status != 101 => "no WebSocket: the request was refused".to_owned(),
        None if !session.is_open_or_was() => "no WebSocket: nothing was accepted".to_owned(),
        _ => unknown(session, closing, Direction::ServerToClient),
    }
}

fn was_clean(closing: &Closing, code: u16) -> bool {
    let reset = closing.terminator.is_some_and(|end| end.reset.is_some());
    closing.kind == Kind::Clean && code != 1006 && !reset
}

fn unknown(session: &Session, closing: &Closing, side: Direction) -> String {
    // RFC 9293, section 3.10: who sends nothing learns nothing of a path that is gone.
    if vanished(session).is_some_and(|gone| gone.side == side) {
        return "nothing yet: still OPEN until it sends, or its own timers run out".to_owned();
    }
    if session.is_inferred() && closing.terminator.is_some() {
        return "which code can't be told: it is encrypted".to_owned();
    }
    let capture_ended = session.ended == Some(Ended::CaptureEnd) && closing.terminator.is_none();
    match capture_ended {
        true => "nothing yet: the capture ends first".to_owned(),
        false => "can't be told from this capture".to_owned(),
    }
}
