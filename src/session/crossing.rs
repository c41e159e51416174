//! What the client had of the answer to its upgrade when it sent more: its acknowledgment
//! numbers tell (RFC 9293, section 3.4), whatever the records' order and times.

use crate::stream::{Direction, PacketRef, Sides};

/// Rationale: an answer is a segment or two, and what a client sends before it a message or two.
const KEPT: usize = 16;

/// A segment with payload between the request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossed {
    /// Its packet.
    pub at: PacketRef,
    /// Where its payload ends in its sender's TCP stream.
    pub end: u64,
    /// What its sender had of the other side's.
    pub acked: u64,
}

/// The first segments of each sender since the request, until the answer is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Crossing {
    seen: Sides<Vec<Crossed>>,
}

impl Crossing {
    pub(super) fn add(&mut self, sender: Direction, segment: Crossed) {
        let seen = &mut self.seen[sender];
        if seen.len() < KEPT {
            seen.push(segment);
        }
    }

    /// Nothing of the client's waits for the answer.
    pub(super) fn is_one_sided(&self) -> bool {
        self.seen.client.is_empty()
    }

    /// Whether the client had all up to the packet `answer` when it sent the packet `data`;
    /// `None` where the two can't be compared.
    pub(super) fn had(&self, data: PacketRef, answer: PacketRef) -> Option<bool> {
        let of = |sender: Direction, at| {
            let mut seen = self.seen[sender].iter();
            seen.find(|segment| segment.at == at)
        };
        let data = of(Direction::ClientToServer, data)?;
        let answer = of(Direction::ServerToClient, answer)?;
        Some(data.acked >= answer.end)
    }
}
