//! How this side's payload flows: against the receiver's window, and again after losses.

use super::Half;
use crate::packet::Segment;
use crate::tcp::pace::Bin;
use crate::tcp::window::Window;

impl Half {
    /// New payload, before it is taken; `accepts` is the receiver's window.
    /// Returns the tenth of a second before, if it is over.
    pub(in crate::tcp) fn pace(&mut self, segment: &Segment<'_>, accepts: Window) -> Option<Bin> {
        let len = u64::from(segment.wire_len);
        let on_its_way = match self.acked {
            Some(acked) => self.highest.saturating_sub(acked),
            None => 0,
        };
        let in_flight = on_its_way.saturating_add(len);
        let window = accepts.bytes(self.window);
        self.pace.on_payload(segment.at, len, in_flight, window)
    }

    /// Payload from `offset` on was sent again. Returns true if all of it was acknowledged before.
    pub(in crate::tcp) fn sent_again(&mut self, offset: u64, segment: &Segment<'_>) -> bool {
        let end = offset.saturating_add(u64::from(segment.wire_len));
        self.resent.sent(end, segment);
        self.acked.is_some_and(|acked| end <= acked)
    }

    /// The other side's acknowledgment shows that the newest retransmission was needless.
    pub(in crate::tcp) fn sent_in_vain(&mut self, ack: &Segment<'_>) -> bool {
        if self.resent.is_nothing() {
            return false;
        }
        let Some(upto) = self.offset_of(ack.ack) else {
            return false;
        };
        self.resent.acked(u64::try_from(upto).unwrap_or(0), ack)
    }
}
