//! How a session ended: from whom, by what, and after how much silence.

use std::time::Duration;

use super::ending::{EndedBy, Farewell, How, Kind, Terminator};
use super::path::{dead_path, expired, front_of};
use super::timeouts::Timeouts;
use super::{Confidence, Provenance, api, legs, reset_provenance};
use crate::session::{Ended, FoundBy, Session};
use crate::stream::{Direction, PacketRef, Sides};

/// How a session ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    /// What the wire shows.
    pub kind: Kind,
    /// Who.
    pub ended_by: EndedBy,
    /// By what; `None` while nothing can be said.
    pub how: Option<How>,
    /// The side that sent a Close frame first.
    pub first_close: Option<Direction>,
    /// What ended the transport.
    pub terminator: Option<Terminator>,
    /// Time without payload from anyone before the first sign of the end:
    /// the first Close frame, FIN or reset.
    pub idle: Option<Duration>,
    /// The last payload before that silence.
    pub idle_from: Option<PacketRef>,
    /// What each side's API reported.
    pub sees: api::Sees,
}

/// How `session` ended, as far as the capture shows it.
pub fn close_of(session: &Session) -> Closing {
    let terminator = terminator(session);
    let first_close = first_close(session);
    let kind = kind(session, terminator.as_ref());
    let (alone, how) = who_and_how(session, kind, first_close, terminator.as_ref());
    let ended_by = match kind {
        Kind::Clean | Kind::Half | Kind::Abnormal => legs::ended_by(session, alone),
        Kind::Unknown | Kind::Open | Kind::None => alone,
    };
    let (idle, idle_from) = idle(session, kind, first_close, terminator.as_ref());
    let sees = api::sees(session, kind, terminator.as_ref());
    Closing {
        kind,
        ended_by,
        how,
        first_close,
        terminator,
        idle,
        idle_from,
        sees,
    }
}

fn kind(session: &Session, terminator: Option<&Terminator>) -> Kind {
    let closes = (
        session.close.client.is_some(),
        session.close.server.is_some(),
    );
    if !session.handshake.is_upgraded() {
        return Kind::None;
    }
    match closes {
        // Two records of the size that Close frames have.
        _ if closes_by_size(session).is_some() => Kind::Clean,
        (true, true) => Kind::Clean,
        (true, false) if session.may_hide_close(Direction::ServerToClient) => Kind::Unknown,
        (false, true) if session.may_hide_close(Direction::ClientToServer) => Kind::Unknown,
        (true, false) | (false, true) => Kind::Half,
        // How it ended is not in the capture.
        (false, false) if terminator.is_some_and(|end| hides_close(session, end)) => Kind::Open,
        (false, false) if terminator.is_some() => Kind::Abnormal,
        // Another connection began between the same endpoints. Where the path was dead this one died
        // without a word; else its end, Close frames and all, was not captured.
        (false, false) if was_replaced(session) && dead_path(session).is_some() => Kind::Abnormal,
        (false, false) => Kind::Open,
    }
}

/// A Close frame may be among what is missing before this end: one of the side
/// that ended the transport, or one that told the client a code. On a dead path
/// nothing more arrived.
pub(super) fn hides_close(session: &Session, end: &Terminator) -> bool {
    let hides = |side| session.may_hide_close_at_end(side);
    // Of a record that nobody could read it isn't known what it was, whoever's.
    let unread = session.keyless.is_some() && hides(Direction::ClientToServer);
    (hides(end.direction) || hides(Direction::ServerToClient) || unread)
        && dead_path(session).is_none()
}

/// It is over, and nothing that was captured ended it.
fn was_replaced(session: &Session) -> bool {
    session.ended == Some(Ended::Settled)
}

/// What TLS said of the end, where it could be read.
fn farewells(session: &Session) -> Vec<Terminator> {
    let Some(tls) = &session.leg.tls else {
        return Vec::new();
    };
    let end = |direction, at, farewell| Terminator {
        direction,
        at,
        reset: None,
        farewell: Some(farewell),
    };
    let notifies = Direction::BOTH.into_iter().filter_map(|direction| {
        tls.close_notify[direction].map(|at| end(direction, at, Farewell::CloseNotify))
    });
    let alert = tls
        .fatal()
        .map(|seen| end(seen.direction, seen.at, Farewell::Alert(seen.alert)));
    notifies.chain(alert).collect()
}

/// The first FIN, or reset that its receiver would accept; before it a
/// close_notify or a fatal alert of TLS.
fn terminator(session: &Session) -> Option<Terminator> {
    let leg = &session.leg;
    let fins = Direction::BOTH.into_iter().filter_map(|direction| {
        leg.fin[direction].map(|at| Terminator {
            direction,
            at,
            reset: None,
            farewell: None,
        })
    });
    let resets = leg
        .resets
        .iter()
        .filter(|reset| reset.in_window)
        .map(|reset| Terminator {
            direction: reset.direction,
            at: reset.at,
            reset: Some(*reset),
            farewell: None,
        });
    // Where a FIN comes with it, in the same packet, it is still the first.
    farewells(session)
        .into_iter()
        .chain(fins)
        .chain(resets)
        .min_by_key(|t| t.at)
}

/// The records that have the sizes of a Close frame and its answer, where nothing can be read.
pub(super) fn closes_by_size(session: &Session) -> Option<Sides<PacketRef>> {
    match session.handshake.mid_stream?.by {
        FoundBy::RecordSizes { close } => close,
        FoundBy::Frames => None,
    }
}

fn first_close(session: &Session) -> Option<Direction> {
    let inferred = closes_by_size(session);
    let at = |direction: Direction| {
        let read = session.close[direction].as_ref();
        read.map(|close| close.control.frame.at)
            .or(inferred.map(|close| close[direction]))
    };
    let (client, server) = (at(Direction::ClientToServer), at(Direction::ServerToClient));
    match (client, server) {
        (Some(client), Some(server)) if server < client => Some(Direction::ServerToClient),
        (Some(_), _) => Some(Direction::ClientToServer),
        (None, Some(_)) => Some(Direction::ServerToClient),
        (None, None) => None,
    }
}

fn who_and_how(
    session: &Session,
    kind: Kind,
    first_close: Option<Direction>,
    terminator: Option<&Terminator>,
) -> (EndedBy, Option<How>) {
    if kind == Kind::Unknown {
        let how = terminator.map_or(How::CaptureEnd, Terminator::how);
        return (EndedBy::Unknown, Some(how));
    }
    let too_late = late_close(session, kind, first_close, terminator);
    if let (Kind::Clean | Kind::Half, Some(first), None) = (kind, first_close, too_late) {
        let how = match (kind, terminator) {
            (Kind::Clean, _) => How::Close,
            (_, Some(end)) => end.how(),
            (_, None) => How::CaptureEnd,
        };
        return (EndedBy::side(first), Some(how));
    }
    match terminator {
        Some(end) => {
            let how = end.how();
            let by = who(session, end);
            match by {
                EndedBy::Network => (by, Some(How::Timeout)),
                _ => (by, Some(how)),
            }
        }
        None if kind == Kind::Abnormal => (EndedBy::Unknown, Some(How::Timeout)),
        None if session.ended == Some(Ended::Settled) => (EndedBy::Unknown, None),
        None => (EndedBy::Unknown, Some(How::CaptureEnd)),
    }
}

/// The FIN or reset that the other side had sent before the only Close frame:
/// that is what ended the session.
pub(super) fn late_close(
    session: &Session,
    kind: Kind,
    first_close: Option<Direction>,
    terminator: Option<&Terminator>,
) -> Option<Terminator> {
    let (Kind::Half, Some(closer), Some(end)) = (kind, first_close, terminator) else {
        return None;
    };
    let close = session.close[closer].as_ref()?.control.frame.at;
    (end.direction != closer && end.at < close).then_some(*end)
}

/// Who ended the transport without a Close frame.
fn who(session: &Session, end: &Terminator) -> EndedBy {
    let injected = end
        .reset
        .is_some_and(|reset| reset_provenance(session, &reset).verdict == Provenance::Middlebox);
    let forgotten = expired(session, Timeouts::built_in())
        .is_some_and(|e| e.reset == Some(end.at) && e.confidence >= Confidence::Likely);
    if injected || forgotten {
        return EndedBy::Middlebox;
    }
    // Its sender had given up on a path that carried nothing any more.
    if dead_path(session).is_some_and(|dead| dead.sender == end.direction && dead.is_sure()) {
        return EndedBy::Network;
    }
    if session.is_open_or_was() && front_of(session, end.direction).is_some() {
        return EndedBy::Proxy;
    }
    EndedBy::side(end.direction)
}

impl Terminator {
    /// A reset of a host that has no such socket any more: the end came before
    /// it, and the capture doesn't show how.
    pub(super) fn of_no_socket(&self, session: &Session) -> bool {
        self.reset
            .is_some_and(|reset| reset_provenance(session, &reset).verdict == Provenance::NoSocket)
    }
}

/// The silence before the end began. Payload that its receiver never
/// acknowledged doesn't end a silence: it went into a void.
fn idle(
    session: &Session,
    kind: Kind,
    first_close: Option<Direction>,
    terminator: Option<&Terminator>,
) -> (Option<Duration>, Option<PacketRef>) {
    // On a dead path the end began with the first data that went into it.
    let lost = dead_path(session).map(|dead| dead.first);
    let end = match (kind, first_close, terminator) {
        (Kind::Abnormal | Kind::Open, _, Some(end)) => lost.map_or(end.at, |lost| lost.min(end.at)),
        (Kind::Open, ..) => lost.unwrap_or(session.horizon),
        _ => return (None, None),
    };
    let leg = &session.leg;
    let last = [Direction::ClientToServer, Direction::ServerToClient]
        .into_iter()
        .filter_map(|direction| leg.last_taken(direction))
        .filter(|at| *at <= end)
        .max();
    (last.and_then(|last| end.time.since(last.time)), last)
}

/// The code of a Close frame as reports name it: an empty one has none.
pub(super) fn named(code: Option<u16>) -> String {
    code.map_or_else(|| "without a code".to_owned(), |code| code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use crate::session::{Alert, AlertSeen, Tls};
    use Direction::{ClientToServer, ServerToClient};

    /// A session that the client's FIN ends, with these facts of TLS.
    fn ended(tell: impl FnOnce(&mut Tls, PacketRef)) -> Closing {
        let script = Script::new().upgrade().text(ClientToServer, "hi");
        let mut told = script.fin(ClientToServer).told();
        let session = &mut told.sessions[0];
        let before = session.leg.last_payload.client.unwrap_or_default();
        tell(session.leg.tls.get_or_insert_default(), before);
        close_of(session)
    }

    #[test]
    fn a_close_notify_before_the_fin_tells_who_ended_the_session() {
        let closing = ended(|tls, at| tls.close_notify.server = Some(at));
        assert_eq!(
            (closing.kind, closing.ended_by, closing.how),
            (Kind::Abnormal, EndedBy::Server, Some(How::TlsCloseNotify))
        );
        let closing = ended(|_, _| {});
        assert_eq!(
            (closing.ended_by, closing.how),
            (EndedBy::Client, Some(How::Fin))
        );
    }

    #[test]
    fn a_fatal_alert_ends_a_session_and_a_warning_does_not() {
        let alert = |level| {
            ended(|tls, at| {
                tls.alerts.push(AlertSeen {
                    direction: ServerToClient,
                    alert: Alert {
                        level,
                        description: 20,
                    },
                    protected: true,
                    at,
                });
            })
        };
        assert_eq!(alert(2).how, Some(How::TlsAlert));
        assert_eq!(alert(2).ended_by, EndedBy::Server);
        assert_eq!(alert(1).how, Some(How::Fin));
    }

    #[test]
    fn whether_the_other_side_sent_a_close_frame_is_not_known_where_it_is_unread() {
        // A header that was not captured, of a frame that runs to the end.
        let unread = Script::new()
            .upgrade()
            .uncaptured(ServerToClient, &[0x82, 0x7f, 0, 0, 0, 0])
            .bytes(ServerToClient, &[0x55; 900])
            .close(ClientToServer, 1000, "")
            .fin(ServerToClient)
            .told();
        let closing = close_of(&unread.sessions[0]);
        assert_eq!(
            (closing.kind.name(), closing.ended_by),
            (None, EndedBy::Unknown)
        );
        assert!(unread.of("close-handshake-incomplete").is_empty());
        let seen = Script::new()
            .upgrade()
            .text(ServerToClient, "hi")
            .close(ClientToServer, 1000, "")
            .fin(ServerToClient)
            .told();
        assert_eq!(close_of(&seen.sessions[0]).kind.name(), Some("half"));
    }

    #[test]
    fn a_side_that_was_not_captured_may_have_sent_a_close_frame() {
        let told = Script::new()
            .only(ClientToServer)
            .upgrade()
            .text(ClientToServer, "hi")
            .close(ClientToServer, 1000, "")
            .fin(ClientToServer)
            .told();
        assert_eq!(close_of(&told.sessions[0]).kind, Kind::Unknown);
    }
}
