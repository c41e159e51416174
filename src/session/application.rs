//! What the messages said in their protocol: one record per session of which
//! the protocol is known.

use std::time::Duration;

use super::beats::BeatLedger;
use super::latency::{Answered, Latency};
use super::subscriptions::Subscription;
use crate::stream::{Direction, PacketRef, Sides};
use crate::websocket::Message;
use crate::websocket::subprotocol::{Contract, Fact, Fault, Heard, Protocol, Said, Source, Word};

/// Rationale: a report names the most frequent handful.
const ERRORS: usize = 32;
/// Rationale: a report names the first few.
const MALFORMED: usize = 16;

/// The exchange that a protocol wants before all else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// It was begun.
    pub begun: Option<PacketRef>,
    /// It was accepted.
    pub accepted: Option<PacketRef>,
    /// It was refused: where, by whom, and what was said.
    pub refused: Option<(PacketRef, Direction, Box<Fault>)>,
    /// The first message of each side that is no part of it.
    pub first_other: Sides<Option<PacketRef>>,
}

/// Errors that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorGroup {
    /// Who reports them.
    pub direction: Direction,
    /// The method that failed, where they answer requests.
    pub method: Word,
    /// The first of them.
    pub fault: Fault,
    /// Its packet.
    pub first: PacketRef,
    /// The newest.
    pub last: PacketRef,
    /// How many.
    pub count: u64,
}

/// What was declared about heartbeats, and what was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// What was declared.
    pub contract: Contract,
    /// Where.
    pub declared: PacketRef,
    /// What counts was heard last here; the declaration at first.
    pub heard: PacketRef,
    /// The longest silence between two of these.
    pub longest: Option<(PacketRef, PacketRef)>,
}

impl Promise {
    fn hear(&mut self, at: PacketRef) {
        let from = self.heard;
        self.heard = at.max(from);
        let len = |(from, to): (PacketRef, PacketRef)| to.time.saturating_since(from.time);
        if self
            .longest
            .is_none_or(|longest| len((from, at)) > len(longest))
        {
            self.longest = Some((from, at));
        }
    }
}

/// What the messages said.
#[derive(Clone, Debug)]
pub struct Application {
    /// What is spoken.
    pub protocol: Protocol,
    /// What tells it.
    pub source: Source,
    /// The first message that was read so.
    pub since: PacketRef,
    /// How it began.
    pub opening: Opening,
    /// Requests and replies.
    pub latency: Latency,
    /// Heartbeats by who begins them.
    pub beats: Sides<BeatLedger>,
    /// Contracts about them.
    pub promises: Vec<Promise>,
    /// Errors, alike ones together: the first 32 kinds.
    pub errors: Vec<ErrorGroup>,
    /// All errors.
    pub error_count: u64,
    /// The first error that says that a peer isn't let in.
    pub auth_error: Option<(PacketRef, Direction, Box<Fault>)>,
    /// The first 256 subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// Messages of each side that nothing is due for.
    pub notifications: Sides<u64>,
    /// What came for subscriptions.
    pub pushes: u64,
    /// Messages of each side of which the part that matters wasn't looked at.
    pub unread: Sides<u64>,
    /// The newest of these.
    pub last_unread: Sides<Option<PacketRef>>,
    /// Texts that ought to be JSON and aren't: the first 16, with the byte where they stop to be.
    pub malformed: Vec<(PacketRef, Direction, u64)>,
    /// All of them.
    pub malformed_count: u64,
    /// Text messages.
    pub texts: u64,
    offers: Sides<Option<(Duration, Duration)>>,
}

impl Application {
    fn new(protocol: Protocol, source: Source, since: PacketRef) -> Self {
        Self {
            protocol,
            source,
            since,
            opening: Opening::default(),
            latency: Latency::default(),
            beats: Sides::default(),
            promises: Vec::new(),
            errors: Vec::new(),
            error_count: 0,
            auth_error: None,
            subscriptions: Vec::new(),
            notifications: Sides::default(),
            pushes: 0,
            unread: Sides::default(),
            last_unread: Sides::default(),
            malformed: Vec::new(),
            malformed_count: 0,
            texts: 0,
            offers: Sides::default(),
        }
    }

    /// Takes what a message says into the record, which begins with what is
    /// spoken. Returns the request that it answers.
    pub(super) fn apply(this: &mut Option<Box<Self>>, said: &Said) -> Option<Answered> {
        if let Fact::Recognised { protocol, source } = said.fact {
            match this {
                Some(known) => known.protocol = protocol,
                None => {
                    let known = Self::new(protocol, source, said.heard.first);
                    *this = Some(Box::new(known));
                }
            }
            return None;
        }
        this.as_mut()?.on(&said.heard, &said.fact)
    }

    fn on(&mut self, heard: &Heard, fact: &Fact) -> Option<Answered> {
        let (sender, at) = (heard.direction, heard.first);
        if !matches!(
            fact,
            Fact::OpeningBegun
                | Fact::OpeningAccepted
                | Fact::OpeningRefused(_)
                | Fact::Contract(_)
                | Fact::HeartbeatOffer { .. }
                | Fact::Malformed { .. }
                | Fact::Unread
        ) {
            self.opening.first_other[sender].get_or_insert(at);
        }
        match fact {
            Fact::Recognised { .. } => {}
            Fact::OpeningBegun => {
                self.opening.begun.get_or_insert(at);
            }
            Fact::OpeningAccepted => {
                self.opening.accepted.get_or_insert(at);
            }
            Fact::OpeningRefused(fault) => {
                if self.opening.refused.is_none() {
                    self.opening.refused = Some((at, sender, fault.clone()));
                }
                self.on_fault(fault, Word::default(), heard);
            }
            Fact::Request { id, method } => return self.latency.on_request(*id, *method, heard),
            Fact::Reply { id, fault } => {
                let answered = self.latency.on_reply(*id, fault.is_some(), heard);
                if let Some(answered) = &answered {
                    self.on_joined(answered.method, fault.is_some(), at);
                }
                if let Some(fault) = fault {
                    let method = answered.map(|answered| answered.method);
                    self.on_fault(fault, method.unwrap_or_default(), heard);
                }
                return answered;
            }
            Fact::Cancelled { id } => self.latency.on_cancelled(*id, sender),
            Fact::Notification { .. } => self.notifications[sender] += 1,
            Fact::Error(fault) => self.on_fault(fault, Word::default(), heard),
            Fact::Ping { id } => self.on_ping(*id, heard),
            Fact::Pong { id } => {
                self.beats[sender.reverse()].on_answer(*id, heard);
                self.hear_beat(heard);
            }
            Fact::Beat => {
                self.beats[sender].on_beat(None, false, heard);
                self.hear_beat(heard);
            }
            Fact::Contract(contract) => self.promise(*contract, at),
            Fact::HeartbeatOffer { sends, wants } => self.on_offer((*sends, *wants), heard),
            Fact::Subscribe { name } => self.subscription(*name).asked = Some(at),
            Fact::Subscribed { name } => self.subscription(*name).granted = Some(at),
            Fact::Unsubscribed { name } => self.subscription(*name).ended = Some(at),
            Fact::Push { name } => self.on_push(*name, at),
            Fact::Unread => {
                self.unread[sender] += 1;
                self.last_unread[sender] = self.last_unread[sender].max(Some(heard.available));
            }
            Fact::Malformed { offset } => {
                self.malformed_count += 1;
                if self.malformed.len() < MALFORMED {
                    self.malformed.push((at, sender, *offset));
                }
            }
        }
        None
    }

    /// Where a protocol has no word for the answer, the same word comes back.
    fn on_ping(&mut self, id: Option<crate::websocket::subprotocol::Id>, heard: &Heard) {
        let (sender, peer) = (heard.direction, heard.direction.reverse());
        let echo = self.protocol == Protocol::Generic
            && self.beats[sender].sent == 0
            && !self.beats[peer].waiting.is_empty();
        if echo {
            self.beats[peer].on_answer(id, heard);
        } else {
            self.beats[sender].on_beat(id, true, heard);
        }
        self.hear_beat(heard);
    }

    fn hear_beat(&mut self, heard: &Heard) {
        for promise in &mut self.promises {
            if promise.contract.sender == heard.direction {
                promise.hear(heard.first);
            }
        }
    }

    fn promise(&mut self, contract: Contract, declared: PacketRef) {
        // Rationale: one for each side; more would be said again and again.
        if self.promises.len() < 4 {
            self.promises.push(Promise {
                contract,
                declared,
                heard: declared,
                longest: None,
            });
        }
    }

    /// STOMP 1.2, "Heart-beating": each side sends as often as it can and the other wants.
    fn on_offer(&mut self, offer: (Duration, Duration), heard: &Heard) {
        self.offers[heard.direction] = Some(offer);
        let (Some(client), Some(server)) = (self.offers.client, self.offers.server) else {
            return;
        };
        let both = [
            (Direction::ClientToServer, client.0, server.1),
            (Direction::ServerToClient, server.0, client.1),
        ];
        for (sender, sends, wants) in both {
            if !sends.is_zero() && !wants.is_zero() {
                let every = sends.max(wants);
                let contract = Contract {
                    sender,
                    every,
                    // Rationale: clients and brokers grant as much again.
                    deadline: every.saturating_mul(2),
                    any_message: true,
                };
                self.promise(contract, heard.first);
            }
        }
    }

    fn on_fault(&mut self, fault: &Fault, method: Word, heard: &Heard) {
        let (direction, at) = (heard.direction, heard.first);
        self.error_count += 1;
        if fault.auth && self.auth_error.is_none() {
            self.auth_error = Some((at, direction, Box::new(fault.clone())));
        }
        let full = self.errors.len() >= ERRORS;
        let alike = self.errors.iter_mut().find(|group| {
            group.direction == direction
                && group.method == method
                && group.fault.code == fault.code
                && (!fault.code.is_empty() || group.fault.text == fault.text)
        });
        match alike {
            Some(group) => {
                group.count += 1;
                group.last = at;
            }
            None if !full => self.errors.push(ErrorGroup {
                direction,
                method,
                fault: fault.clone(),
                first: at,
                last: at,
                count: 1,
            }),
            None => {}
        }
    }

    /// A message of the session, before what it says.
    pub(super) fn on_message(&mut self, message: &Message) {
        self.texts += u64::from(message.opcode == crate::websocket::Opcode::Text);
        for promise in &mut self.promises {
            if promise.contract.any_message && promise.contract.sender == message.direction {
                promise.hear(message.first);
            }
        }
    }

    /// The other side's TCP acknowledged everything before `upto`.
    pub(super) fn on_acked(&mut self, direction: Direction, upto: u64, at: PacketRef) {
        self.latency.on_acked(direction, upto, at);
        self.beats[direction].on_acked(upto, at);
    }

    /// The side whose heartbeats there are most of, if there are any.
    pub fn beating(&self) -> Option<Direction> {
        let most = match self.beats.client.sent >= self.beats.server.sent {
            true => Direction::ClientToServer,
            false => Direction::ServerToClient,
        };
        (self.beats[most].sent > 0).then_some(most)
    }
}
