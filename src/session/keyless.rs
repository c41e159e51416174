//! A session that nobody could read, of which the sizes and times of its TLS
//! records tell something all the same.

use super::{FoundBy, Leg, MidStream, PingLedger, SealedRecord, Session};
use crate::stream::{Direction, PacketRef, Sides};

/// What sizes and times suggest. All of it is inferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyless {
    /// The record that is the client's Finished.
    pub finished: Option<PacketRef>,
    /// The record that is the request, if it is one.
    pub request: PacketRef,
    /// The first record that may be its answer.
    pub response: PacketRef,
    /// How many neighbours of opposite directions differ by the masking key.
    pub masked: u32,
    /// Records that repeat as a heartbeat does.
    pub beats: Option<Beats>,
    /// The records that have the sizes of a Close frame and its answer.
    pub close: Option<Sides<PacketRef>>,
    /// A last record that may be a Close frame which got no answer, or any other short frame.
    pub may_be_close: Sides<Option<PacketRef>>,
    /// The record that is a close_notify, by its size and its place.
    pub farewell: Sides<Option<PacketRef>>,
    /// Not all records of the connection were looked at.
    pub partial: bool,
}

/// Records of one size that come in even intervals, each soon followed by one of another size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beats {
    /// Whose.
    pub sender: Direction,
    /// Bytes of the frame, with its header.
    pub len: u16,
    /// Bytes of the answering frame, with its header.
    pub answer: u16,
    /// Each with its answer.
    pub asked: Vec<(PacketRef, Option<PacketRef>)>,
}

impl Session {
    /// The Host field, without credentials; of a session that nobody could read the name that
    /// its ClientHello asks for.
    pub fn host(&self) -> Option<&str> {
        let asked = || {
            let tls = self.leg.tls.as_deref().filter(|_| self.is_inferred())?;
            tls.server_name()
        };
        self.handshake.host().or_else(asked)
    }

    /// A session whose handshake was captured and can't be read; this is what its records suggest.
    pub fn inferred(id: u32, mut leg: Leg, keyless: Keyless) -> Self {
        let mut records: Vec<SealedRecord> = Vec::new();
        if let Some(tls) = &mut leg.tls {
            for direction in Direction::BOTH {
                let said = &mut tls.close_notify[direction];
                *said = said.or(keyless.farewell[direction]);
            }
            tls.finished.client = tls.finished.client.or(keyless.finished);
            records = tls.sealed_records.in_order();
        }
        let mut session = Self::without_request(id, leg, keyless.request);
        session.handshake.mid_stream = Some(MidStream {
            by: FoundBy::RecordSizes {
                close: keyless.close,
            },
            skipped: Sides::default(),
            lost: false,
        });
        if let Some(beats) = &keyless.beats {
            let delivered = session.leg.last_delivered[beats.sender];
            *session.pings[beats.sender] =
                PingLedger::of_records(&beats.asked, delivered, |from, to| {
                    let answer = |at| beats.asked.iter().any(|(_, answer)| *answer == Some(at));
                    let mut between = records.iter().filter(|r| r.at > from && r.at < to);
                    between.any(|record| !answer(record.at))
                });
        }
        session.keyless = Some(Box::new(keyless));
        session
    }
}
