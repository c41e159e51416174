//! Small frames that came right behind a large message of the same sender.

use std::time::Duration;

use super::flow::keep_longest;
use crate::stream::PacketRef;
use crate::websocket::{Frame, Message, Opcode};

/// Rationale: what others call a large message: 64 KiB take 50 ms at 10 Mbit/s.
const LARGE: u64 = 65_536;
/// Rationale: a few segments at most, so it takes no time of its own.
const SMALL: u64 = 4_096;
/// Rationale: what was queued follows at once; the next segment of a slow link may take some milliseconds.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Rationale: shorter waits are no matter to anyone.
const WAIT: Duration = Duration::from_millis(100);

/// A small frame, and the large message that it came behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The packets with the large message's first and last byte.
    pub large: (PacketRef, PacketRef),
    /// Its bytes on the wire.
    pub bytes: u64,
    /// The packet with the small frame's first byte.
    pub frame: PacketRef,
    /// What it is.
    pub opcode: Opcode,
}

impl Behind {
    /// How long the large message took: what is behind it waits for so long at most.
    pub fn transfer(&self) -> Duration {
        self.large.1.time.saturating_since(self.large.0.time)
    }
}

/// Frames of one sender in their order.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// Small frames behind large messages that took 100 ms or more.
    pub count: u64,
    /// Those behind the slowest, slowest first: at most 4.
    pub worst: Vec<Behind>,
    /// The large message of 500 ms or more that took longest: its packets and bytes.
    pub slowest: Option<(PacketRef, PacketRef, u64)>,
    /// The large message before, and where it or what followed it at once ends.
    large: Option<(PacketRef, PacketRef, u64)>,
    end: u64,
}

impl Queue {
    /// A data message is whole.
    #[inline]
    pub(super) fn on_message(&mut self, message: &Message) {
        if message.wire_len < LARGE {
            return;
        }
        let large = (message.first, message.last, message.wire_len);
        self.large = Some(large);
        self.end = message.end;
        let took =
            |(first, last, _): (PacketRef, PacketRef, u64)| last.time.saturating_since(first.time);
        if took(large) > self.slowest.map_or(Duration::ZERO, took) {
            self.slowest = Some(large);
        }
    }

    /// A frame begins.
    #[inline]
    pub(super) fn on_frame(&mut self, frame: &Frame) {
        let Some((first, last, bytes)) = self.large else {
            return;
        };
        if frame.offset != self.end
            || frame.payload_len > SMALL
            || frame.at.time.saturating_since(last.time) > AT_ONCE
        {
            self.large = None;
            return;
        }
        self.end = frame.end();
        let behind = Behind {
            large: (first, last),
            bytes,
            frame: frame.at,
            opcode: frame.opcode,
        };
        // After a Close nothing waits.
        if behind.transfer() >= WAIT && frame.opcode != Opcode::Close {
            self.count += 1;
            keep_longest(&mut self.worst, behind, Behind::transfer);
        }
    }
}
