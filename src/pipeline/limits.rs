//! Bounds on memory, whatever the capture.

use crate::tcp::Patience;

/// Finite by default; past one, something is let go and the report says so.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// TCP connections that are followed at once; past it, those that were
    /// silent longest are let go.
    pub connections: usize,
    /// Bytes held over all connections; past it, the holes of the connection
    /// that holds most are given up.
    pub bytes: usize,
    /// What a TCP direction may hold, and for how long.
    pub patience: Patience,
    /// Records (messages, control frames) that wait for an acknowledgment or a Pong.
    pub records: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Rationale: a followed connection costs 3 KB before it says WebSocket and 8 KB
            // after; a busy gateway has some ten thousand of these at once.
            connections: 100_000,
            bytes: 128 << 20,
            patience: Patience::default(),
            // Rationale: `messages` prints in order, so one unacknowledged
            // message holds up those behind it; a few thousand are a second's worth.
            records: 4_096,
        }
    }
}
