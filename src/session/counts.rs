//! Frames and messages, counted.

use crate::websocket::{Message, Opcode};

/// Frames of one sender, by opcode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Opcode 1.
    pub text: u64,
    /// Opcode 2.
    pub binary: u64,
    /// Opcode 0.
    pub continuation: u64,
    /// Opcode 8.
    pub close: u64,
    /// Opcode 9.
    pub ping: u64,
    /// Opcode 10.
    pub pong: u64,
    /// All other opcodes.
    pub reserved: u64,
    /// Payload bytes of all of them as their headers announce, compressed where they are.
    pub payload_bytes: u64,
}

impl FrameCounts {
    pub(super) fn add(&mut self, opcode: Opcode, payload_len: u64) {
        self.payload_bytes = self.payload_bytes.saturating_add(payload_len);
        let count = match opcode {
            Opcode::Text => &mut self.text,
            Opcode::Binary => &mut self.binary,
            Opcode::Continuation => &mut self.continuation,
            Opcode::Close => &mut self.close,
            Opcode::Ping => &mut self.ping,
            Opcode::Pong => &mut self.pong,
            Opcode::Reserved(_) => &mut self.reserved,
        };
        *count += 1;
    }

    /// Those that messages consist of.
    pub fn data(&self) -> u64 {
        self.text + self.binary + self.continuation
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.text
            + self.binary
            + self.continuation
            + self.close
            + self.ping
            + self.pong
            + self.reserved
    }
}

/// Data messages of one sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Messages that ended, incomplete ones included.
    pub count: u64,
    /// Those of which bytes are missing or unreadable.
    pub incomplete: u64,
    /// Uncompressed bytes.
    pub bytes: u64,
    /// Bytes of their frames, headers included.
    pub wire_bytes: u64,
    /// Compressed messages that were inflated, their uncompressed and their frames' bytes.
    pub compressed: (u64, u64, u64),
    /// The largest complete message, uncompressed.
    pub largest: u64,
}

impl MessageCounts {
    pub(super) fn add(&mut self, message: &Message) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(message.len);
        self.wire_bytes = self.wire_bytes.saturating_add(message.wire_len);
        if message.complete {
            self.largest = self.largest.max(message.len);
        } else {
            self.incomplete += 1;
        }
        if message.compressed && message.complete {
            let (count, bytes, wire) = self.compressed;
            self.compressed = (
                count + 1,
                bytes.saturating_add(message.len),
                wire.saturating_add(message.wire_len),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Direction, PacketRef};
    use crate::websocket::{Confidence, Opcode};

    #[test]
    fn what_was_not_inflated_is_no_cost_of_compression() {
        let at = PacketRef::default();
        let inflated = Message {
            direction: Direction::ServerToClient,
            opcode: Opcode::Text,
            len: 50,
            wire_len: 20,
            whole_len: Some(50),
            whole_wire_len: Some(20),
            compressed: true,
            fragments: 1,
            complete: true,
            confidence: Confidence::Certain,
            first: at,
            begun: at,
            last: at,
            available: at,
            end: 20,
            breaches: Vec::new(),
            sha256: None,
            payload: None,
        };
        let unread = Message {
            len: 0,
            complete: false,
            ..inflated.clone()
        };
        let mut counts = MessageCounts::default();
        counts.add(&inflated);
        counts.add(&unread);
        assert_eq!(counts.compressed, (1, 50, 20));
        assert_eq!((counts.count, counts.incomplete), (2, 1));
    }
}
