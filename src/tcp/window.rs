//! The window that a side advertises, and when it accepts no more (RFC 9293, section 3.8.6).

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
    /// The window field of the newest segment that isn't a SYN: those of a SYN aren't scaled.
    field: Option<u16>,
    /// What its SYN said of scaling: a shift count, or nothing.
    offer: Option<Option<u8>>,
}

impl Window {
    pub(super) fn is_closed(self) -> bool {
        self.closed
    }

    /// Notes what its SYN offers.
    pub(super) fn on_syn(&mut self, segment: &Segment<'_>) {
        self.offer = Some(segment.options.window_scale);
    }

    /// Bytes that this side accepts; `None` where a SYN was not captured, since
    /// the scale stands there alone. Scaled only if both sides offer it (RFC 7323, section 2.2).
    pub(super) fn bytes(self, peer: Self) -> Option<u64> {
        let shift = match (self.offer?, peer.offer?) {
            (Some(shift), Some(_)) => shift,
            _ => 0,
        };
        self.field.map(|field| u64::from(field) << shift)
    }

    /// Zero is zero whatever the scale, so a lost SYN does no harm here. A side
    /// that has sent its FIN may advertise what it likes.
    pub(super) fn on_segment(&mut self, segment: &Segment<'_>) -> Option<Change> {
        let flags = segment.flags;
        if flags.syn() || flags.rst() || !flags.ack() {
            return None;
        }
        self.field = Some(segment.window);
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
