//! One row of a timeline.

use serde_json::{Map, Value as Json, json};

use crate::report::when::ms;
use crate::session::{Message, Opcode};
use crate::stream::{Direction, PacketRef, Sides};
use std::time::Duration;

use super::lanes::State;

/// How much it takes to leave a row out of a long timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// One of many: a message, a Ping that was answered.
    Plain,
    /// What somebody looks for.
    Incident,
    /// The beginning, the end, what proves a finding or changes a state.
    Proof,
}

/// The beginning of a payload.
#[derive(Clone, Debug)]
pub(super) struct Preview {
    pub(super) opcode: Opcode,
    pub(super) bytes: Vec<u8>,
    /// All of it is there.
    pub(super) whole: bool,
}

/// What plain rows are counted by where they are folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Messages and their bytes.
    pub(super) messages: Sides<(u64, u64)>,
    /// Pings.
    pub(super) pings: u64,
    /// The shortest and the longest time to a Pong.
    pub(super) rtt: Option<(Duration, Duration)>,
    /// Pongs.
    pub(super) pongs: u64,
    /// The longest silence among them, and how many there were.
    pub(super) silences: (u64, Duration),
    /// Segments that were sent again.
    pub(super) again: u64,
    /// Replies, the shortest and the longest time from request to reply.
    pub(super) replies: Option<(u64, Duration, Duration)>,
    /// Records that nobody could open.
    pub(super) records: u64,
    /// Rows of other kinds.
    pub(super) more: u64,
}

impl Tally {
    pub(super) fn of_message(message: &Message, took: Option<Duration>) -> Self {
        let mut tally = Self {
            replies: took.map(|took| (1, took, took)),
            ..Self::default()
        };
        tally.messages[message.direction] = (1, message.len);
        tally
    }

    pub(super) fn of_ping(rtt: Option<Duration>) -> Self {
        Self {
            pings: 1,
            rtt: rtt.map(|rtt| (rtt, rtt)),
            ..Self::default()
        }
    }

    pub(super) fn of_pong() -> Self {
        Self {
            pongs: 1,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for side in Direction::BOTH {
            let (count, bytes) = other.messages[side];
            let own = &mut self.messages[side];
            own.0 = own.0.saturating_add(count);
            own.1 = own.1.saturating_add(bytes);
        }
        self.pings = self.pings.saturating_add(other.pings);
        self.pongs = self.pongs.saturating_add(other.pongs);
        self.rtt = match (self.rtt, other.rtt) {
            (Some((least, most)), Some((less, more))) => Some((least.min(less), most.max(more))),
            (one, other) => one.or(other),
        };
        self.replies = match (self.replies, other.replies) {
            (Some((count, least, most)), Some((also, less, more))) => {
                Some((count.saturating_add(also), least.min(less), most.max(more)))
            }
            (one, other) => one.or(other),
        };
        self.records = self.records.saturating_add(other.records);
        self.silences.0 = self.silences.0.saturating_add(other.silences.0);
        self.again = self.again.saturating_add(other.again);
        self.more = self.more.saturating_add(other.more);
        self.silences.1 = self.silences.1.max(other.silences.1);
    }

    pub(super) fn count(&self) -> u64 {
        let messages = self
            .messages
            .client
            .0
            .saturating_add(self.messages.server.0);
        messages
            .saturating_add(self.records)
            .saturating_add(self.pings)
            .saturating_add(self.pongs)
    }
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The packet.
    pub(super) at: PacketRef,
    /// Until when it lasts, where it is more than a moment.
    pub(super) until: Option<PacketRef>,
    /// The acknowledgment of its last byte.
    pub(super) acked: Option<PacketRef>,
    /// Its place among the rows of the same packet.
    pub(super) rank: u8,
    /// The word that scripts read.
    pub(super) event: &'static str,
    /// Who sent it.
    pub(super) from: Option<Direction>,
    /// The other leg of a proxy that it is on: its session's number.
    pub(super) leg: Option<u32>,
    /// Who sends to whom: `C->S`.
    pub(super) arrow: String,
    /// What it is.
    pub(super) what: String,
    /// The beginning of its payload.
    pub(super) preview: Option<Preview>,
    /// More about it, a line each.
    pub(super) notes: Vec<String>,
    /// More about it, for scripts.
    pub(super) data: Map<String, Json>,
    pub(super) weight: Weight,
    /// For how many it stands, and what they are.
    pub(super) tally: Tally,
    /// Findings that it proves: their places, and whether it is the last of their packets.
    pub(super) findings: Vec<(usize, bool)>,
    /// State changes at it.
    pub(super) changes: Vec<(Direction, State, String)>,
    /// Both ends' states after it.
    pub(super) states: Sides<State>,
}

impl Row {
    pub(super) fn new(at: PacketRef, event: &'static str, what: impl Into<String>) -> Self {
        Self {
            at,
            until: None,
            acked: None,
            rank: 50,
            event,
            from: None,
            leg: None,
            arrow: String::new(),
            what: what.into(),
            preview: None,
            notes: Vec::new(),
            data: Map::new(),
            weight: Weight::Proof,
            tally: Tally::default(),
            findings: Vec::new(),
            changes: Vec::new(),
            states: Sides::default(),
        }
    }

    pub(super) fn from(mut self, from: Direction) -> Self {
        self.from = Some(from);
        self
    }

    pub(super) fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    pub(super) fn incident(mut self) -> Self {
        self.weight = Weight::Incident;
        self
    }

    pub(super) fn plain(mut self) -> Self {
        self.weight = Weight::Plain;
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(super) fn put(mut self, name: &str, value: Json) -> Self {
        self.data.insert(name.to_owned(), value);
        self
    }

    pub(super) fn put_ms(self, name: &str, value: Option<Duration>) -> Self {
        self.put(name, json!(value.map(ms)))
    }

    /// When nothing of it goes on any more.
    pub(super) fn end(&self) -> PacketRef {
        self.until.map_or(self.at, |until| until.max(self.at))
    }
}

/// `212 B`, `1.1 KB`, `4.8 MB`.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = bytes.saturating_mul(10) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} KB", tenths(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}

/// `1 message`, `2 messages`.
pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_the_unit_that_fits() {
        let told = [0, 999, 1_000, 1_149, 4_800_000, u64::MAX].map(size);
        assert_eq!(
            told,
            [
                "0 B",
                "999 B",
                "1.0 KB",
                "1.1 KB",
                "4.8 MB",
                "1844674407.3 GB"
            ]
        );
    }
}
