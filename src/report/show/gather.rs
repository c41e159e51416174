//! The messages and control frames of a session, as many as fit: the first, the
//! last, and of those between whatever is unusual.

use std::collections::VecDeque;

use super::row::Tally;
use crate::session::{Record, RecordKind};
use crate::stream::PacketRef;

/// Rationale: a record holds half a kilobyte of payload at most; 20 MB for each end.
const ENDS: usize = 20_000;
/// Rationale: more unusual ones than that are the rule.
const MIDDLE: usize = 5_000;

/// Records that were left out, counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeftOut {
    pub(super) from: PacketRef,
    pub(super) to: PacketRef,
    pub(super) tally: Tally,
}

/// A record, or the number of those that stood in its place.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Record(Box<Record>),
    LeftOut(Box<LeftOut>),
}

/// A session's records, bounded.
#[derive(Clone, Debug)]
pub struct Gathered {
    items: VecDeque<Item>,
    last: VecDeque<Record>,
    ends: usize,
    middle: usize,
    left_out: u64,
}

impl Default for Gathered {
    fn default() -> Self {
        Self::bounded(ENDS, MIDDLE)
    }
}

impl Gathered {
    fn bounded(ends: usize, middle: usize) -> Self {
        Self {
            items: VecDeque::new(),
            last: VecDeque::new(),
            ends,
            middle,
            left_out: 0,
        }
    }

    /// Takes the next record.
    pub fn add(&mut self, record: &Record) {
        if self.items.len() < self.ends {
            self.items.push_back(Item::Record(Box::new(record.clone())));
            return;
        }
        self.last.push_back(record.clone());
        if self.last.len() > self.ends
            && let Some(record) = self.last.pop_front()
        {
            self.leave(record);
        }
    }

    fn leave(&mut self, record: Record) {
        if is_unusual(&record) && self.middle > 0 {
            self.middle -= 1;
            self.items.push_back(Item::Record(Box::new(record)));
            return;
        }
        self.left_out = self.left_out.saturating_add(1);
        let (at, tally) = (record.first(), tally(&record));
        if let Some(Item::LeftOut(before)) = self.items.back_mut() {
            before.to = before.to.max(at);
            before.tally.add(&tally);
            return;
        }
        self.items.push_back(Item::LeftOut(Box::new(LeftOut {
            from: at,
            to: at,
            tally,
        })));
    }

    /// All of them, in order.
    pub(super) fn items(&self) -> impl Iterator<Item = Item> {
        let last = self.last.iter().cloned();
        let last = last.map(|record| Item::Record(Box::new(record)));
        self.items.iter().cloned().chain(last)
    }

    /// How many are only counted.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

fn is_unusual(record: &Record) -> bool {
    match &record.kind {
        RecordKind::Message(message) => !message.complete || !message.breaches.is_empty(),
        RecordKind::Ping { rtt, .. } => rtt.is_none(),
        RecordKind::Pong(_) => false,
        RecordKind::Close(_) => true,
    }
}

pub(super) fn tally(record: &Record) -> Tally {
    match &record.kind {
        RecordKind::Message(message) => {
            Tally::of_message(message, record.answers.map(|answered| answered.took))
        }
        RecordKind::Ping { rtt, .. } => Tally::of_ping(*rtt),
        RecordKind::Pong(_) => Tally::of_pong(),
        RecordKind::Close(_) => Tally::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{FrameConfidence, Message, Opcode};
    use crate::stream::Direction::ClientToServer;

    fn message(number: u64, complete: bool) -> Record {
        let at = PacketRef {
            number,
            time: crate::time::Timestamp::from_nanos(i64::try_from(number).unwrap_or(0)),
            ..PacketRef::default()
        };
        let message = Message {
            direction: ClientToServer,
            opcode: Opcode::Text,
            len: 5,
            wire_len: 7,
            whole_len: Some(5),
            whole_wire_len: Some(7),
            compressed: false,
            fragments: 1,
            complete,
            confidence: FrameConfidence::Certain,
            first: at,
            begun: at,
            last: at,
            available: at,
            end: 0,
            breaches: Vec::new(),
            sha256: None,
            payload: None,
        };
        Record {
            session: 1,
            tcp_stream: 0,
            kind: RecordKind::Message(message),
            acked: None,
            answers: None,
            secrets: Vec::new(),
        }
    }

    #[test]
    fn the_first_the_last_and_the_unusual_stay() {
        let mut gathered = Gathered::bounded(2, 1);
        for number in 1..=9 {
            gathered.add(&message(number, number != 5 && number != 6));
        }
        let told: Vec<String> = gathered
            .items()
            .map(|item| match item {
                Item::Record(record) => record.first().number.to_string(),
                Item::LeftOut(left) => format!("{} left out", left.tally.count()),
            })
            .collect();
        let expected = ["1", "2", "2 left out", "5", "2 left out", "8", "9"];
        assert_eq!(told, expected);
        assert_eq!(gathered.left_out(), 4);
    }
}
