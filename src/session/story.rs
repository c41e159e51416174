//! One WebSocket session that passes proxies: several TCP connections, one story.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Session;
use crate::stream::{Direction, PacketRef, Sides};
use crate::time::Timestamp;

/// What shows that two connections are legs of one story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// One sign: the proxy names the client, or the messages are alike.
    OneSign,
    /// Two of three: the addresses meet at the proxy, the proxy names the client, the
    /// messages are alike; or it names the client with its port, for the same path.
    Signs,
    /// The same Sec-WebSocket-Key while the first request waited for its answer.
    Key,
}

impl Proof {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneSign => "one-sign",
            Self::Signs => "signs",
            Self::Key => "key",
        }
    }

    /// More than one sign: conclusions may rest on it.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Key | Self::Signs)
    }
}

/// Where a leg stands in its story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The client's own connection.
    Client,
    /// Between two proxies.
    Middle,
    /// The connection that the server takes.
    Upstream,
}

impl Role {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Middle => "middle",
            Self::Upstream => "upstream",
        }
    }
}

/// Who began the end of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// The client of the first leg.
    Client,
    /// The proxy behind the leg of this place, from 0.
    Proxy(usize),
    /// The server of the last leg.
    Server,
}

/// By what a leg's end first showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignKind {
    /// A Close frame.
    Close,
    /// A FIN.
    Fin,
    /// A reset that its receiver would take.
    Reset,
}

impl SignKind {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Close => "Close frame",
            Self::Fin => "FIN",
            Self::Reset => "reset",
        }
    }
}

/// The first sign of a leg's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Its (claimed) sender.
    pub direction: Direction,
    /// Its packet.
    pub at: PacketRef,
    /// What it is.
    pub kind: SignKind,
    /// A reset whose claimed sender went on sending: somebody else wrote it.
    pub disowned: bool,
}

/// One leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoryLeg {
    /// The session's number.
    pub session: u32,
    /// Wireshark's `tcp.stream`.
    pub tcp_stream: u32,
    /// Who dialled.
    pub client: SocketAddr,
    /// Who was dialled.
    pub server: SocketAddr,
    /// The first sign of its end.
    pub sign: Option<Sign>,
}

impl StoryLeg {
    /// What `session` contributes.
    pub fn of(session: &Session) -> Self {
        Self {
            session: session.id,
            tcp_stream: session.leg.tcp_stream,
            client: session.leg.client,
            server: session.leg.server,
            sign: first_sign(session),
        }
    }
}

/// The end that no other leg's end explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// On which leg, by its place.
    pub place: usize,
    /// What it was.
    pub sign: Sign,
    /// Who.
    pub party: Party,
}

/// The legs of one session, the client's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// 1 for the first story of the capture.
    pub number: u32,
    /// The weakest proof among its joints.
    pub proof: Proof,
    /// At least two.
    pub legs: Vec<StoryLeg>,
}

impl Story {
    /// The leg that ended first for a reason of its own, and who ended it.
    ///
    /// A proxy that hears of one leg's end ends the next one in the same
    /// direction. So an end is explained by that of the leg from which it would
    /// come; which of two legs was hit first says less, since proxies hit the
    /// upstream leg first whoever began.
    pub fn origin(&self) -> Option<Origin> {
        let signs = self
            .legs
            .iter()
            .enumerate()
            .filter_map(|(place, leg)| Some((place, leg.sign?)));
        signs
            .filter(|(place, sign)| !self.is_explained(*place, sign))
            .min_by_key(|(_, sign)| sign.at)
            .map(|(place, sign)| Origin {
                place,
                sign,
                party: self.sender(place, sign.direction),
            })
    }

    fn is_explained(&self, place: usize, sign: &Sign) -> bool {
        let toward = match sign.direction {
            Direction::ClientToServer => place.checked_sub(1),
            Direction::ServerToClient => place.checked_add(1),
        };
        let before = toward.and_then(|place| self.legs.get(place)?.sign);
        before.is_some_and(|before| {
            // Two files may have two clocks.
            let in_time = before.at.source != sign.at.source || before.at.time <= sign.at.time;
            before.direction == sign.direction && in_time
        })
    }

    /// Who sends in `direction` on the leg of this place.
    pub fn sender(&self, place: usize, direction: Direction) -> Party {
        let last = self.legs.len().saturating_sub(1);
        match direction {
            Direction::ClientToServer => match place.checked_sub(1) {
                None => Party::Client,
                Some(before) => Party::Proxy(before),
            },
            Direction::ServerToClient if place >= last => Party::Server,
            Direction::ServerToClient => Party::Proxy(place),
        }
    }

    /// How long after the first leg another one followed; `None` where none
    /// did, or where the two were stamped by different captures.
    pub fn delay(&self) -> Option<Duration> {
        let origin = self.origin()?;
        let others = self.legs.iter().enumerate();
        others
            .filter(|(place, _)| *place != origin.place)
            .filter_map(|(_, leg)| leg.sign)
            .filter(|sign| sign.at.source == origin.sign.at.source)
            .filter_map(|sign| sign.at.time.since(origin.sign.at.time))
            .min()
    }
}

/// A session's place in its story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The story.
    pub story: Arc<Story>,
    /// Which of its legs this is, from 0.
    pub place: usize,
}

impl Joined {
    /// Where this leg stands.
    pub fn role(&self) -> Role {
        match self.place {
            0 => Role::Client,
            place if place.saturating_add(1) >= self.story.legs.len() => Role::Upstream,
            _ => Role::Middle,
        }
    }

    /// The other legs, the client's first.
    pub fn others(&self) -> impl Iterator<Item = &StoryLeg> {
        let own = self.place;
        let legs = self.story.legs.iter().enumerate();
        legs.filter(move |(place, _)| *place != own)
            .map(|(_, leg)| leg)
    }
}

fn first_sign(session: &Session) -> Option<Sign> {
    let leg = &session.leg;
    let closes = Direction::BOTH.into_iter().filter_map(|direction| {
        let at = session.close[direction].as_ref()?.control.frame.at;
        Some((at, direction, SignKind::Close))
    });
    // A FIN that the capture lacks came before the packet that acknowledges it.
    let fins = Direction::BOTH.into_iter().flat_map(|direction| {
        let seen = leg.fin[direction].or_else(|| leg.unseen_fin(direction));
        seen.map(|at| (at, direction, SignKind::Fin))
    });
    let resets = leg
        .resets
        .iter()
        .filter(|reset| reset.in_window)
        .map(|reset| (reset.at, reset.direction, SignKind::Reset));
    let (at, direction, kind) = closes
        .chain(fins)
        .chain(resets)
        .min_by_key(|(at, direction, _)| (*at, leg.unseen_fin(*direction).is_none()))?;
    let disowned = kind == SignKind::Reset && leg.sent_after_reset[direction].is_some();
    Some(Sign {
        direction,
        at,
        kind,
        disowned,
    })
}

/// Rationale: a handful tells two conversations apart; 256 bytes a direction.
const OUTLINED: usize = 16;

/// The first data messages of each sender: when the first byte of each passed, and how long it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline(pub Sides<Vec<(Timestamp, u32)>>);

impl Outline {
    pub(super) fn add(&mut self, sender: Direction, at: PacketRef, len: u64) {
        let known = &mut self.0[sender];
        if known.len() < OUTLINED {
            known.push((at.time, u32::try_from(len).unwrap_or(u32::MAX)));
        }
    }
}
