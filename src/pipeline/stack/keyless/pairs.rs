//! Records that answer one another, and by how much their lengths differ.

use super::{Held, LONGEST_CONTROL, MASK, SHORTEST_HTTP, sides};
use crate::stream::Direction;

/// RFC 9113, section 4.1: a frame without payload, which an empty SETTINGS is.
const H2_SETTINGS_ACK: u16 = 9;

/// Neighbours of opposite directions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pairs {
    /// The client's is longer by the masking key.
    pub(super) masked: u32,
    /// The server's is.
    reversed: u32,
    /// Any, of control frames' sizes.
    all: u32,
    /// One of the client's that differ by the key is shorter than any request.
    pub(super) tiny: bool,
}

impl Pairs {
    pub(super) fn of(frames: &[Held]) -> Self {
        let mut pairs = Self::default();
        let mut rest = frames;
        while let [one, other, ..] = rest {
            rest = rest.get(1..).unwrap_or_default();
            let (client, server) = sides(one, other);
            if one.direction == other.direction || server > LONGEST_CONTROL {
                continue;
            }
            pairs.all += 1;
            if client == server + MASK {
                pairs.masked += 1;
                pairs.tiny |= client < SHORTEST_HTTP;
                // Each is in one pair.
                rest = rest.get(1..).unwrap_or_default();
            } else if client + MASK == server {
                pairs.reversed += 1;
            }
        }
        pairs
    }

    /// Most of them differ by the key, and not the wrong way round.
    pub(super) fn agree(&self) -> bool {
        self.masked.saturating_mul(2) >= self.all && self.reversed.saturating_mul(4) <= self.masked
    }
}

/// Both sides acknowledge settings: HTTP/2.
pub(super) fn is_h2(frames: &[Held]) -> bool {
    Direction::BOTH.into_iter().all(|direction| {
        let mut own = frames.iter().filter(|held| held.direction == direction);
        own.next().is_some_and(|held| held.len == H2_SETTINGS_ACK)
    })
}
