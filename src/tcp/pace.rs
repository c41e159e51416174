//! How much one side sends in a tenth of a second, and whether the window held it back.

use std::time::Duration;

use crate::stream::PacketRef;

/// Rationale: longer than most round trips, short enough to tell a stall from a slow path.
const BIN: Duration = Duration::from_millis(100);

/// Rationale: the usual segment; one that the network card cuts later is no measure.
const SEGMENT: u64 = 1_460;

/// Payload of up to 100 ms, counted from its first segment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    /// Its first segment.
    pub at: PacketRef,
    /// Payload bytes, each counted once.
    pub bytes: u64,
    /// The most that was on its way, sent and not acknowledged.
    pub in_flight: u64,
    /// That filled the window that the receiver advertised; `None` where the window isn't known.
    pub full: Option<bool>,
}

/// The bin that is being filled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    bin: Option<Bin>,
}

impl Pace {
    /// New payload of `len` bytes; returns the bin before, if it is over.
    pub(super) fn on_payload(
        &mut self,
        at: PacketRef,
        len: u64,
        in_flight: u64,
        window: Option<u64>,
    ) -> Option<Bin> {
        let full = window.map(|window| in_flight.saturating_add(len.min(SEGMENT)) > window);
        match &mut self.bin {
            Some(bin) if at.time.saturating_since(bin.at.time) < BIN => {
                bin.bytes = bin.bytes.saturating_add(len);
                bin.in_flight = bin.in_flight.max(in_flight);
                bin.full = bin.full.max(full);
                None
            }
            bin => bin.replace(Bin {
                at,
                bytes: len,
                in_flight,
                full,
            }),
        }
    }
}
