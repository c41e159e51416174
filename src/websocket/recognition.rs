//! Connections whose opening handshake wasn't captured: is this WebSocket at all?

use super::{Connection, Event, Wants};
use crate::stream::{Direction, StreamEvent};

/// What a connection turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// Nothing is proven yet; the bytes are held.
    Undecided,
    /// WebSocket frames.
    Frames {
        /// Which of the directions, as the caller labels them, is the client's:
        /// clients mask (RFC 6455, section 5.1).
        client: Direction,
    },
    /// No proof came within the bounds, and none is looked for any more.
    Nothing,
}

/// Looks for frames in a connection of which only a later part was captured,
/// and which is neither HTTP nor TLS.
///
/// The labels of the directions may be the wrong way round; one direction alone is enough.
#[derive(Debug, Default)]
pub struct Recognition {}

impl Recognition {
    /// Of a connection of which nothing was seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, gap or end. After `Frames` the connection is to be
    /// taken with [`into_connection`](Self::into_connection) before more is handed in.
    pub fn on_stream(&mut self, _event: &StreamEvent<'_>) -> Recognised {
        Recognised::Undecided
    }

    /// The capture ended: answers `Frames` where they are likely too, else `Nothing`.
    pub fn finish(&mut self) -> Recognised {
        Recognised::Nothing
    }

    /// The connection, into which all that was held has been fed; what shows in it goes to `out`.
    ///
    /// It and its events call the client's direction `ClientToServer`: a
    /// caller that was answered `client: ServerToClient` exchanges its labels
    /// before it feeds the connection on.
    pub fn into_connection(self, wants: Wants, _out: &mut impl FnMut(Event)) -> Connection {
        Connection::mid_stream(wants)
    }

    /// Bytes of memory held.
    pub fn buffered(&self) -> usize {
        0
    }
}
