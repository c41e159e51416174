//! Both ends' `readyState`, changed only where the wire proves that it changed.
//!
//! What an application was told later than its kernel, or never, isn't on the
//! wire: there the state is unknown, and says why.

use crate::diagnosis::api::refuses_answer;
use crate::diagnosis::{Provenance, reset_provenance, vanished};
use crate::session::{Reset, Session};
use crate::stream::Direction::{self, ClientToServer, ServerToClient};
use crate::stream::{PacketRef, Sides};

/// An end's state, as the WebSocket API names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// There is no WebSocket at this end yet, or never.
    #[default]
    None,
    Connecting,
    Open,
    Closing,
    Closed,
    /// The wire doesn't tell.
    Unknown,
}

impl State {
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Connecting => Some("CONNECTING"),
            Self::Open => Some("OPEN"),
            Self::Closing => Some("CLOSING"),
            Self::Closed => Some("CLOSED"),
            Self::Unknown => Some("unknown"),
        }
    }

    /// The number that the API has for it.
    pub(super) const fn sign(self) -> char {
        match self {
            Self::None => '-',
            Self::Connecting => '0',
            Self::Open => '1',
            Self::Closing => '2',
            Self::Closed => '3',
            Self::Unknown => '?',
        }
    }
}

/// A change of one end's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at: PacketRef,
    pub(super) side: Direction,
    pub(super) to: State,
    /// What proves it.
    pub(super) why: String,
}

/// Both ends' states before the first packet, and all changes in order.
/// `first`: no session was on its connection before it. `taken` tells when the other side's TCP acknowledged each sender's Close frame.
pub(super) fn changes(
    session: &Session,
    first: bool,
    taken: &Sides<Option<PacketRef>>,
) -> (Sides<State>, Vec<Change>) {
    let begins = match session.handshake.seen_request() {
        Some(_) => State::None,
        None => State::Unknown,
    };
    let mut all = Changes(Vec::new());
    all.opening(session, first);
    all.frames(session, taken);
    all.transport(session);
    all.silence(session);
    let start = Sides::from_fn(|_| begins);
    (start, settle(all.0, start))
}

struct Changes(Vec<Change>);

impl Changes {
    fn add(&mut self, at: PacketRef, side: Direction, to: State, why: &str) {
        let why = why.to_owned();
        self.0.push(Change { at, side, to, why });
    }

    fn opening(&mut self, session: &Session, first: bool) {
        use State::{Closed, Connecting, Open, Unknown};
        let (handshake, leg) = (&session.handshake, &session.leg);
        if let Some(request) = handshake.seen_request() {
            let syn = leg.syns.client.first().copied();
            // Of several sessions on a connection only the first one dials.
            let dialled = syn.filter(|_| first);
            let (at, why) = match dialled {
                Some(syn) => (syn, "it dials"),
                None => (request.first, "it asks for the upgrade"),
            };
            self.add(at, ClientToServer, Connecting, why);
        }
        let alive = |after: PacketRef| leg.last_packet.client.is_some_and(|at| at > after);
        match (&handshake.response, handshake.answer_lost) {
            (Some(answer), _) if answer.status == 101 => {
                let at = answer.last;
                self.add(at, ServerToClient, Open, "it sends the 101");
                if refuses_answer(session) {
                    // Its FIN or reset tells.
                } else if alive(at) {
                    self.add(at, ClientToServer, Open, "the 101 reaches it");
                } else {
                    let why = "nothing of it was captured after the 101";
                    self.add(at, ClientToServer, Unknown, why);
                }
            }
            (Some(answer), _) => {
                let why = format!("the answer is {}, not 101", answer.status);
                self.add(answer.last, ClientToServer, Closed, &why);
            }
            (None, Some(at)) => {
                for side in Direction::BOTH {
                    self.add(at, side, Open, "frames follow; the 101 was not captured");
                }
            }
            (None, None) => {}
        }
        for side in Direction::BOTH {
            if let Some((at, _)) = session.found[side]
                && !session.is_inferred()
            {
                self.add(at, side, Open, "it sends frames");
            }
        }
    }

    fn frames(&mut self, session: &Session, taken: &Sides<Option<PacketRef>>) {
        use State::{Closing, Unknown};
        for side in Direction::BOTH {
            let Some(close) = &session.close[side] else {
                continue;
            };
            let at = close.control.frame.at;
            self.add(at, side, Closing, "it sends a Close frame");
            let peer = side.reverse();
            let answers = session.close[peer].is_some() || ends_at(session, peer).is_some();
            if let Some(taken) = taken[side]
                && !answers
            {
                let why =
                    "its TCP took the Close frame; whether its application read it doesn't show";
                self.add(taken, peer, Unknown, why);
            }
        }
        for side in Direction::BOTH {
            let since = session.searching[side].or(session.lost_sync[side]);
            if let Some(at) = since.filter(|_| session.is_lost(side)) {
                self.add(at, side, Unknown, "its frames can't be told from here on");
            }
        }
    }

    fn transport(&mut self, session: &Session) {
        use State::{Closed, Unknown};
        let leg = &session.leg;
        let both = |at: PacketRef| {
            let sent = |close: &Option<Box<crate::session::CloseFrame>>| {
                let close = close.as_ref();
                close.is_some_and(|close| close.control.frame.at <= at)
            };
            sent(&session.close.client) && sent(&session.close.server)
        };
        for side in Direction::BOTH {
            let Some(at) = leg.fin[side] else { continue };
            let why = match &session.close[side] {
                _ if both(at) => "it closes TCP, after both Close frames",
                Some(_) => "it closes TCP and waits for no Close frame",
                None => "it closes TCP",
            };
            self.add(at, side, Closed, why);
            let peer = side.reverse();
            let last = leg.last_packet[peer];
            let heard = last.is_some_and(|last| last > at);
            let speaks = session.last_frame[peer].is_some_and(|(_, frame)| frame > at);
            match ends_at(session, peer) {
                _ if both(at) && heard => {
                    let why = "TCP is closed, after both Close frames";
                    self.add(at, peer, Closed, why);
                }
                Some(_) => {}
                None if speaks => {}
                None if heard => {
                    let why = "its TCP took the FIN; it doesn't close its own side";
                    self.add(at, peer, Unknown, why);
                }
                None => self.add(
                    at,
                    peer,
                    Unknown,
                    "nothing of it was captured after the FIN",
                ),
            }
        }
        let resets = leg.resets.iter().filter(|reset| reset.in_window);
        for reset in resets {
            let peer = reset.direction.reverse();
            self.add(reset.at, peer, Closed, "the reset ends its connection");
            if is_its_own(session, reset) {
                self.add(
                    reset.at,
                    reset.direction,
                    Closed,
                    "its host resets the connection",
                );
            }
        }
    }

    fn silence(&mut self, session: &Session) {
        let Some(gone) = vanished(session) else {
            return;
        };
        let why = match gone.heard {
            _ if gone.reset => {
                "it, or a device that forgot the flow, sent the reset; if it lives, it still believes OPEN".to_owned()
            }
            Some(heard) => format!(
                "nothing of it after #{}; if it lives, it still believes OPEN",
                heard.number
            ),
            None => "nothing of it was captured".to_owned(),
        };
        self.add(gone.since, gone.side, State::Unknown, &why);
    }
}

/// The claimed sender wrote it.
fn is_its_own(session: &Session, reset: &Reset) -> bool {
    let doubted = vanished(session).is_some_and(|gone| gone.reset && gone.since == reset.at);
    !doubted
        && session.leg.sent_after_reset[reset.direction].is_none()
        && reset_provenance(session, reset).verdict != Provenance::Middlebox
}

/// Where this side's own FIN or a reset of either side ends it.
fn ends_at(session: &Session, side: Direction) -> Option<PacketRef> {
    let leg = &session.leg;
    let resets = leg.resets.iter().filter(|reset| reset.in_window);
    let resets = resets.map(|reset| reset.at);
    leg.fin[side].into_iter().chain(resets).min()
}

/// In order, without what changes nothing and without steps back.
fn settle(mut all: Vec<Change>, mut now: Sides<State>) -> Vec<Change> {
    all.sort_by_key(|change| (change.at, change.to == State::Closed));
    all.retain(|change| {
        let state = &mut now[change.side];
        let forward = match (*state, change.to) {
            (State::Closed, _) => false,
            // Who never had a WebSocket has none to close.
            (State::None, to) => matches!(to, State::Connecting | State::Open),
            (State::Unknown, to) => to != State::Unknown,
            (_, State::Unknown) => true,
            (from, to) => to > from,
        };
        if forward {
            *state = change.to;
        }
        forward
    });
    all
}
