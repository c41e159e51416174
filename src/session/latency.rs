//! Requests and their replies, told by the ids that the protocol gives them:
//! how long each took, by method, and which have no reply.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Distribution;
use crate::stream::{Direction, PacketRef, Sides};
use crate::websocket::subprotocol::{Heard, Id, Word};

/// Requests of a session that wait for a reply.
///
/// Rationale: far more than anyone has under way; with 200 bytes each 13 MB,
/// which only a session comes to whose requests nobody answers. The table is
/// begun anew then.
const WAITING: usize = 65_536;
/// Rationale: replies that are told of before their requests are so few that
/// one direction's bytes were held up; the others are pushes with a used id.
const STRAYS: usize = 64;
/// Rationale: a report names the slowest handful.
const SLOWEST: usize = 5;
/// Rationale: with a distribution each, some 100 KB; others are counted together.
const METHODS: usize = 32;

/// A request without its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: Id,
    /// Its method, event or command.
    pub method: Word,
    /// The packet with its first byte.
    pub at: PacketRef,
    /// The packet that brought its last missing byte.
    pub last: PacketRef,
    /// Stream offset just after it.
    pub end: u64,
    /// The acknowledgment of its bytes by the peer's TCP.
    pub acked: Option<PacketRef>,
    /// That it is a message is certain.
    pub certain: bool,
}

/// A request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The packet with the request's first byte.
    pub request: PacketRef,
    /// The packet that brought the request's last missing byte.
    pub asked: PacketRef,
    /// When the asker could have the reply's first byte.
    pub replied: PacketRef,
    /// From `asked` to `replied`, as the capture point saw the two.
    pub took: Duration,
    /// Who asked.
    pub asker: Direction,
    /// The request's method.
    pub method: Word,
    /// From the request's first to its last byte: how long sending it took.
    pub sending: Duration,
    /// From the reply's first byte being seen to the asker's having it: how long it waited for bytes before it.
    pub held_up: Duration,
    /// When the answerer's TCP acknowledged the request, where that came before the reply.
    pub acked: Option<PacketRef>,
    /// Stream offset just after the reply.
    pub reply_end: u64,
    /// Both messages are certain.
    pub certain: bool,
}

/// The requests of one method and asker.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its name.
    pub name: Word,
    /// Who asks.
    pub asker: Direction,
    /// Replies that say that it failed.
    pub failed: u64,
    /// How long the replies took.
    pub times: Distribution,
}

/// A reply whose request isn't known.
#[derive(Clone, Copy, Debug)]
struct Stray {
    id: Id,
    replier: Direction,
    heard: Heard,
    failed: bool,
}

/// What requests of a session met with.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Requests by asker.
    pub requests: Sides<u64>,
    /// Those that have a reply.
    pub answered: Sides<u64>,
    /// Replies that say that the request failed.
    pub failed: u64,
    /// Requests that their sender took back.
    pub cancelled: u64,
    /// Requests whose replies can't be told any more: their id was used again, or too many waited.
    pub uncorrelated: u64,
    /// Replies whose id was a string where the request's was a number, or the other way round: the first.
    pub id_type_changed: Option<PacketRef>,
    /// The newest request of each asker that has a reply.
    pub last_answered: Sides<Option<PacketRef>>,
    /// How long replies took.
    pub times: Distribution,
    /// The slowest, worst first: at most 5.
    pub slowest: Vec<Answered>,
    /// By method: the first 32.
    pub methods: Vec<Method>,
    /// Replies to methods beyond these.
    pub other_methods: u64,
    waiting: Sides<BTreeMap<Id, Request>>,
    /// Requests that TCP hasn't acknowledged, oldest first; at most as many as wait.
    unacked: Sides<VecDeque<(u64, Id)>>,
    strays: VecDeque<Stray>,
}

impl Latency {
    /// Somebody asks for something. Returns the reply, where that was told of first.
    pub(super) fn on_request(&mut self, id: Id, method: Word, heard: &Heard) -> Option<Answered> {
        let asker = heard.direction;
        self.requests[asker] += 1;
        let request = Request {
            id,
            method,
            at: heard.first,
            last: heard.last,
            end: heard.end,
            acked: None,
            certain: heard.certain,
        };
        let early = self.strays.iter().position(|stray| {
            stray.id == id && stray.replier != asker && stray.heard.first >= request.at
        });
        if let Some(stray) = early.and_then(|place| self.strays.remove(place)) {
            return Some(self.settle(&request, asker, &stray.heard, stray.failed));
        }
        let waiting = &mut self.waiting[asker];
        if waiting.len() >= WAITING {
            self.uncorrelated += waiting.len() as u64;
            waiting.clear();
            self.unacked[asker].clear();
        }
        if waiting.insert(id, request).is_some() {
            self.uncorrelated += 1;
        }
        let unacked = &mut self.unacked[asker];
        if unacked.len() < WAITING {
            unacked.push_back((request.end, id));
        }
        None
    }

    /// Somebody answers. Returns the request and how long it took; `None` where
    /// no such request waits.
    pub(super) fn on_reply(&mut self, id: Id, failed: bool, heard: &Heard) -> Option<Answered> {
        let replier = heard.direction;
        let asker = replier.reverse();
        let waiting = &mut self.waiting[asker];
        let mut found = waiting.remove(&id);
        if found.is_none()
            && let Some(other) = id.of_other_type()
        {
            found = waiting.remove(&other);
            if found.is_some() {
                self.id_type_changed.get_or_insert(heard.first);
            }
        }
        match found {
            Some(request) if request.at <= heard.first => {
                Some(self.settle(&request, asker, heard, failed))
            }
            // It came before the request: it answers something else.
            Some(request) => {
                self.waiting[asker].insert(id, request);
                None
            }
            None => {
                if self.strays.len() == STRAYS {
                    self.strays.pop_front();
                }
                self.strays.push_back(Stray {
                    id,
                    replier,
                    heard: *heard,
                    failed,
                });
                None
            }
        }
    }

    /// The asker wants no reply any more.
    pub(super) fn on_cancelled(&mut self, id: Id, asker: Direction) {
        if self.waiting[asker].remove(&id).is_some() {
            self.cancelled += 1;
        }
    }

    /// The other side's TCP has everything that `asker` sent before this offset.
    pub(super) fn on_acked(&mut self, asker: Direction, upto: u64, at: PacketRef) {
        let unacked = &mut self.unacked[asker];
        while let Some((_, id)) = unacked.front().copied().filter(|(end, _)| *end <= upto) {
            unacked.pop_front();
            if let Some(request) = self.waiting[asker].get_mut(&id) {
                request.acked.get_or_insert(at);
            }
        }
    }

    fn settle(
        &mut self,
        request: &Request,
        asker: Direction,
        heard: &Heard,
        failed: bool,
    ) -> Answered {
        let replied = heard.begun;
        let answered = Answered {
            request: request.at,
            asked: request.last,
            replied,
            took: replied.time.saturating_since(request.last.time),
            asker,
            method: request.method,
            sending: request.last.time.saturating_since(request.at.time),
            held_up: replied.time.saturating_since(heard.first.time),
            acked: request.acked.filter(|acked| *acked <= replied),
            reply_end: heard.end,
            certain: request.certain && heard.certain,
        };
        self.answered[asker] += 1;
        let newest = &mut self.last_answered[asker];
        *newest = (*newest).max(Some(request.last));
        self.failed += u64::from(failed);
        self.times.record(answered.took);
        self.of_method(&answered, failed);
        let place = self
            .slowest
            .iter()
            .position(|slow| slow.took < answered.took)
            .unwrap_or(self.slowest.len());
        if place < SLOWEST {
            self.slowest.truncate(SLOWEST - 1);
            self.slowest.insert(place, answered);
        }
        answered
    }

    fn of_method(&mut self, answered: &Answered, failed: bool) {
        let (name, asker) = (answered.method, answered.asker);
        let mut known = self.methods.iter_mut();
        let found = known.find(|method| method.name == name && method.asker == asker);
        if let Some(method) = found {
            method.failed += u64::from(failed);
            method.times.record(answered.took);
        } else if self.methods.len() < METHODS {
            let mut times = Distribution::default();
            times.record(answered.took);
            self.methods.push(Method {
                name,
                asker,
                failed: u64::from(failed),
                times,
            });
        } else {
            self.other_methods += 1;
        }
    }

    /// The requests of a side that have no reply, the oldest first.
    pub fn waiting(&self, asker: Direction) -> Vec<&Request> {
        let mut all: Vec<&Request> = self.waiting[asker].values().collect();
        all.sort_by_key(|request| request.at);
        all
    }

    /// Requests of both sides.
    pub fn asked(&self) -> u64 {
        self.requests.client + self.requests.server
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use crate::websocket::Opcode;
    use Direction::{ClientToServer, ServerToClient};

    fn packet(ms: i64) -> PacketRef {
        PacketRef {
            time: Timestamp::from_nanos(ms * 1_000_000),
            number: u64::try_from(ms).unwrap_or(0),
            ..PacketRef::default()
        }
    }

    fn heard(direction: Direction, ms: i64) -> Heard {
        let at = packet(ms);
        Heard {
            direction,
            opcode: Opcode::Text,
            first: at,
            last: at,
            begun: at,
            available: at,
            end: 0,
            whole: true,
            certain: true,
        }
    }

    fn id(number: u64) -> Id {
        Id::numbered(number)
    }

    #[test]
    fn replies_out_of_order_find_their_requests() {
        let mut latency = Latency::default();
        latency.on_request(id(1), Word::of(b"a"), &heard(ClientToServer, 0));
        latency.on_request(id(2), Word::of(b"b"), &heard(ClientToServer, 10));
        latency.on_reply(id(2), false, &heard(ServerToClient, 15));
        latency.on_reply(id(1), true, &heard(ServerToClient, 100));
        let slowest: Vec<_> = latency
            .slowest
            .iter()
            .map(|slow| (slow.method.text().into_owned(), slow.took.as_millis()))
            .collect();
        assert_eq!(slowest, [("a".to_owned(), 100), ("b".to_owned(), 5)]);
        assert_eq!((latency.failed, latency.answered.client), (1, 2));
    }

    #[test]
    fn ids_of_the_two_sides_are_apart() {
        let mut latency = Latency::default();
        latency.on_request(id(1), Word::of(b"a"), &heard(ClientToServer, 0));
        latency.on_reply(id(1), false, &heard(ClientToServer, 5));
        assert_eq!(latency.waiting(ClientToServer).len(), 1);
    }

    #[test]
    fn a_reply_that_is_told_of_before_its_request_is_found() {
        let mut latency = Latency::default();
        latency.on_reply(id(7), false, &heard(ServerToClient, 30));
        let early = latency.on_request(id(7), Word::of(b"a"), &heard(ClientToServer, 10));
        assert_eq!(early.map(|answered| answered.took.as_millis()), Some(20));
        assert!(latency.waiting(ClientToServer).is_empty());
    }

    #[test]
    fn the_table_is_bounded() {
        let mut latency = Latency::default();
        for number in 0..=WAITING as u64 {
            latency.on_request(id(number), Word::default(), &heard(ClientToServer, 0));
        }
        assert_eq!(latency.uncorrelated, WAITING as u64);
        assert_eq!(latency.waiting(ClientToServer).len(), 1);
    }
}
