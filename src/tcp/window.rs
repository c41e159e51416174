//! Zero windows: a receiver that accepts no more (RFC 9293, section 3.8.6).

use crate::packet::Segment;

/// What a segment changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Closed,
    Opened,
}

/// The window that one side advertises.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    closed: bool,
}

impl Window {
    pub(super) fn is_closed(self) -> bool {
        self.closed
    }

    /// Zero is zero whatever the scale, so a lost SYN does no harm here. A side
    /// that has sent its FIN may advertise what it likes.
    pub(super) fn on_segment(&mut self, segment: &Segment<'_>) -> Option<Change> {
        let flags = segment.flags;
        if flags.syn() || flags.rst() || !flags.ack() {
            return None;
        }
        let closed = segment.window == 0 && !flags.fin();
        if closed == self.closed {
            return None;
        }
        self.closed = closed;
        Some(if closed {
            Change::Closed
        } else {
            Change::Opened
        })
    }
}
