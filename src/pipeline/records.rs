//! Messages and control frames one by one, in capture order, each with what
//! came to be known of it later: the acknowledgment, the answer.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Settle;
use crate::session::{Answered, Exchange, Noted, PongKind, Record, RecordKind, Selector, Session};
use crate::stream::{Direction, PacketRef, Sides};
use crate::time::Timestamp;
use crate::websocket::subprotocol::Said;
use crate::websocket::{Control, Event};

/// Rationale: an acknowledgment is delayed by at most 500 ms (RFC 9293, section
/// 3.8.6.3); a Pong that takes longer than this is shown without its time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rationale: a search for frames ends within a few of them, as a rule.
const EARLY_ACKS: usize = 256;
/// Rationale: an acknowledgment comes within it, and so do most Pongs; who watches
/// lines come would rather see a Ping without its Pong than nothing.
const WATCHED: Duration = Duration::from_secs(2);
/// Rationale: as many as are held until it is known what is spoken.
const REPLIES: usize = 64;
/// Rationale: payloads wait with their records; 64 MiB bound them.
const MOST_BYTES: usize = 64 << 20;

/// Which of a connection's records wait, and for what.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    acks: Sides<VecDeque<(u64, u64)>>,
    /// Pings by their sender: packet, and the record's number.
    pings: Sides<VecDeque<(PacketRef, u64)>>,
    /// Whether the session of this number is asked for.
    asked_for: Option<(u32, bool)>,
    /// Acknowledgments of what is still searched for frames: up to where, and the packet.
    past: Sides<VecDeque<(u64, PacketRef)>>,
    /// The newest messages: where they end, and the records' numbers.
    messages: Sides<VecDeque<(u64, u64)>>,
}

impl Pending {
    /// An acknowledgment came before what it acknowledges could be told.
    pub(crate) fn on_early_ack(&mut self, direction: Direction, upto: u64, at: PacketRef) {
        let past = &mut self.past[direction];
        if past.len() == EARLY_ACKS {
            past.pop_front();
        }
        past.push_back((upto, at));
    }

    /// The first acknowledgment of what ends at `end`, if it came already.
    fn early_ack(&self, direction: Direction, end: u64) -> Option<PacketRef> {
        let past = self.past[direction].iter();
        past.clone()
            .find(|(upto, _)| end <= *upto)
            .map(|(_, at)| *at)
    }
}

#[derive(Debug)]
struct Slot {
    record: Record,
    waits_for_ack: bool,
    waits_for_pong: bool,
}

/// The records that wait, by number.
#[derive(Debug, Default)]
pub(crate) struct Records {
    slots: BTreeMap<u64, Slot>,
    /// Their numbers in the order of the capture.
    order: VecDeque<u64>,
    /// By connection, since when frames are searched for whose records have to come before later ones.
    holds: BTreeMap<u32, PacketRef>,
    next: u64,
    bytes: usize,
    limit: usize,
    patience: Duration,
    /// Whose records are asked for; `None`: everyone's.
    selector: Option<Selector>,
}

impl Records {
    pub(crate) fn new(settle: Settle) -> Self {
        Self {
            patience: match settle {
                Settle::Patiently => PATIENCE,
                Settle::Soon => WATCHED,
            },
            ..Self::default()
        }
    }

    pub(crate) fn only(&mut self, selector: Selector) {
        self.selector = (!selector.is_empty()).then_some(selector);
    }

    /// Records of this session are asked for, as far as its numbers tell.
    pub(crate) fn takes(&self, session: &Session) -> bool {
        let selector = self.selector.as_ref();
        selector.is_none_or(|selector| selector.admits(session, &[]))
    }

    /// Asked once a session, when its opening handshake is over.
    fn is_asked_for(&self, session: &Session, pending: &mut Pending) -> bool {
        let Some(selector) = &self.selector else {
            return true;
        };
        match pending.asked_for {
            Some((id, asked)) if id == session.id => asked,
            _ => {
                let asked = selector.admits(session, &[]);
                if session.handshake.is_upgraded() {
                    pending.asked_for = Some((session.id, asked));
                }
                asked
            }
        }
    }

    pub(crate) fn on_event(
        &mut self,
        session: &Session,
        event: Event,
        noted: Noted,
        pending: &mut Pending,
        limit: usize,
    ) {
        self.limit = limit;
        if !self.is_asked_for(session, pending) {
            return;
        }
        let kind = match event {
            Event::Said(said) => {
                if let Noted::Reply(answered) = noted {
                    self.on_reply(pending, &said, answered);
                }
                return;
            }
            Event::Message(message) => RecordKind::Message(message),
            Event::Close(close) => RecordKind::Close(close),
            Event::Pong(control) => {
                if let Noted::Pong(PongKind::Answer(exchange)) = noted {
                    let pinger = control.frame.direction.reverse();
                    self.on_answer(&mut pending.pings[pinger], &exchange, &control);
                }
                RecordKind::Pong(control)
            }
            Event::Ping(control) => {
                let (gap, answer) = match noted {
                    Noted::Ping { gap, answer } => (gap, answer),
                    Noted::Pong(_) | Noted::Reply(_) | Noted::Nothing => (None, None),
                };
                RecordKind::Ping {
                    control,
                    rtt: answer.map(|exchange| exchange.rtt),
                    gap,
                }
            }
            _ => return,
        };
        let secrets = match &kind {
            RecordKind::Close(close) if !close.reason.is_empty() => session.handshake.secrets(),
            _ => Vec::new(),
        };
        let record = Record {
            session: session.id,
            tcp_stream: session.leg.tcp_stream,
            kind,
            acked: None,
            answers: None,
            secrets,
        };
        let number = self.next;
        self.next += 1;
        if let RecordKind::Message(message) = &record.kind {
            let messages = &mut pending.messages[message.direction];
            if messages.len() == REPLIES {
                messages.pop_front();
            }
            messages.push_back((message.end, number));
        }
        let waits_for_pong = matches!(record.kind, RecordKind::Ping { rtt: None, .. });
        if waits_for_pong {
            pending.pings[record.direction()].push_back((record.first(), number));
        }
        let mut record = record;
        record.acked = pending.early_ack(record.direction(), record.end());
        let waits_for_ack = record.acked.is_none();
        if waits_for_ack {
            pending.acks[record.direction()].push_back((record.end(), number));
        }
        self.bytes += record.bytes();
        self.order.insert(self.place_of(&record), number);
        self.slots.insert(
            number,
            Slot {
                record,
                waits_for_ack,
                waits_for_pong,
            },
        );
    }

    /// Behind all that came before it. What one direction tells stays in its
    /// order, whatever the clock says.
    fn place_of(&self, record: &Record) -> usize {
        let comes_before = |number: &u64| {
            self.slots.get(number).is_none_or(|slot| {
                let other = &slot.record;
                let same = other.tcp_stream == record.tcp_stream
                    && other.direction() == record.direction();
                same || other.first() <= record.first()
            })
        };
        let before = self.order.iter().rposition(comes_before);
        before.map_or(0, |place| place + 1)
    }

    /// Since when frames of this connection are searched for, if they are.
    pub(crate) fn hold(&mut self, tcp_stream: u32, since: Option<PacketRef>) {
        match since {
            Some(since) => drop(self.holds.insert(tcp_stream, since)),
            None => drop(self.holds.remove(&tcp_stream)),
        }
    }

    pub(crate) fn on_acked(
        &mut self,
        pending: &mut Pending,
        direction: Direction,
        upto: u64,
        at: PacketRef,
    ) {
        while let Some((_, number)) = pending.acks[direction]
            .front()
            .copied()
            .filter(|(end, _)| *end <= upto)
        {
            pending.acks[direction].pop_front();
            if let Some(slot) = self.slot(number) {
                slot.record.acked = Some(at);
                slot.waits_for_ack = false;
            }
        }
    }

    /// A message turned out to be a reply; it is among the newest, if not the last.
    fn on_reply(&mut self, pending: &Pending, said: &Said, answered: Answered) {
        let heard = &said.heard;
        let messages = &pending.messages[heard.direction];
        let newest = messages.iter().rev().find(|(end, _)| *end == heard.end);
        let slot = newest.and_then(|(_, number)| self.slot(*number));
        if let Some(slot) = slot {
            slot.record.answers.get_or_insert(answered);
        }
    }

    /// Several Pings may have come in one packet; then the payload tells which one it was.
    fn on_answer(
        &mut self,
        pings: &mut VecDeque<(PacketRef, u64)>,
        exchange: &Exchange,
        pong: &Control,
    ) {
        // Pings before the answered one were passed over.
        while let Some((at, number)) = pings
            .front()
            .copied()
            .filter(|(at, _)| *at <= exchange.ping)
        {
            pings.pop_front();
            let Some(slot) = self.slot(number) else {
                continue;
            };
            slot.waits_for_pong = false;
            if let RecordKind::Ping { control, rtt, .. } = &mut slot.record.kind
                && at == exchange.ping
                && pong.may_echo(control)
            {
                *rtt = Some(exchange.rtt);
                return;
            }
        }
    }

    /// Nothing more comes to the records of this connection.
    pub(crate) fn end_of_session(&mut self, pending: &mut Pending) {
        let Pending { acks, pings, .. } = std::mem::take(pending);
        let numbers = acks.client.into_iter().chain(acks.server).map(|(_, n)| n);
        let pings = pings.client.into_iter().chain(pings.server).map(|(_, n)| n);
        for number in numbers.chain(pings) {
            if let Some(slot) = self.slot(number) {
                slot.waits_for_ack = false;
                slot.waits_for_pong = false;
            }
        }
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&number)
    }

    /// Nothing is waited for any more.
    pub(crate) fn release(&mut self) {
        self.holds.clear();
        for slot in self.slots.values_mut() {
            slot.waits_for_ack = false;
            slot.waits_for_pong = false;
        }
    }

    /// The oldest record, if it is settled, or has waited long enough.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Record> {
        let number = *self.order.front()?;
        let oldest = self.slots.get(&number)?;
        let held = |since: &PacketRef| *since <= oldest.record.first();
        let waits = oldest.waits_for_ack || oldest.waits_for_pong || self.holds.values().any(held);
        let full = self.slots.len() > self.limit || self.bytes > MOST_BYTES;
        if waits && !full && now.saturating_since(oldest.record.first().time) < self.patience {
            return None;
        }
        self.order.pop_front();
        let slot = self.slots.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(slot.record.bytes());
        Some(slot.record)
    }
}
