//! What of a session nobody can show: what may be missing, and how sure what was found is.

use super::{FoundBy, FrameConfidence, FrameGap, Session};
use crate::stream::{Direction, Gap, GapCause, PacketRef};

impl Session {
    /// Frames of this sender may have passed that nobody can show: bytes are
    /// missing, the decoder lost its place, or the direction was never captured.
    /// What passed before the capture began doesn't count.
    pub fn may_hide_frames(&self, sender: Direction) -> bool {
        let missing =
            |gap: &FrameGap| gap.direction == sender && gap.cause != GapCause::BeganMidStream;
        self.lost_sync[sender].is_some()
            || self.found[sender.reverse()]
                .is_some_and(|(first, _)| self.passed_over_since(sender, first))
            || self.resyncs[sender].unread > 0
            || self.is_inferred()
            || self.frame_gaps.iter().any(missing)
            || self.leg.last_packet[sender].is_none()
    }

    /// Bytes of this sender, of which the opening handshake is missing, were
    /// passed over after `from`: its first frame that could be told came later.
    pub fn passed_over_since(&self, sender: Direction, from: PacketRef) -> bool {
        let mid_stream = self.handshake.mid_stream;
        let skipped = mid_stream.map_or(0, |found| found.skipped[sender]);
        skipped > 0 && self.found[sender].is_some_and(|(at, _)| at > from)
    }

    /// The place of this sender's next frame was lost, and not found again.
    pub fn is_lost(&self, sender: Direction) -> bool {
        self.searching[sender].is_some() || self.resyncs[sender].unread > 0
    }

    /// The answer to the request may be among bytes of the server that the capture lacks.
    pub fn may_hide_answer(&self) -> bool {
        let handshake = &self.handshake;
        let asked = handshake.request.last;
        let missing = |gap: &Gap| {
            gap.direction == Direction::ServerToClient
                && gap.cause == GapCause::NotCaptured
                && gap.at > asked
        };
        handshake.response.is_none()
            && !handshake.is_upgraded()
            && self.leg.gaps.iter().any(missing)
    }

    /// This sender's last frames are not in the capture, or can't be told: a
    /// Close frame, which is the last one, may be among them.
    pub fn may_hide_close_at_end(&self, sender: Direction) -> bool {
        self.ended_adrift[sender]
            || self.searching[sender].is_some()
            || self
                .keyless
                .as_deref()
                .is_some_and(|keyless| keyless.may_be_close[sender].is_some())
    }

    /// Nobody can say that this sender sent no Close frame: its frames were not
    /// captured, can't be told, or not at its end.
    pub fn may_hide_close(&self, sender: Direction) -> bool {
        self.is_unread(sender)
            || self.may_hide_close_at_end(sender)
            || self.leg.last_packet[sender].is_none()
    }

    /// Bytes of this sender were captured, and no frame could be told in them.
    pub fn is_unread(&self, sender: Direction) -> bool {
        self.resyncs[sender].unread > 0 && self.last_frame[sender].is_none()
    }

    /// The packet with the first frame of a session that was found without its handshake.
    pub fn found_at(&self) -> PacketRef {
        let found = [self.found.client, self.found.server];
        let first = found.into_iter().flatten().map(|(at, _)| at).min();
        first.unwrap_or(self.handshake.request.first)
    }

    /// How sure it is that its frames are frames: as the surest of them.
    pub fn found_with(&self) -> FrameConfidence {
        if self.surely_framed {
            return FrameConfidence::Certain;
        }
        let found = [self.found.client, self.found.server];
        let surest = found
            .into_iter()
            .flatten()
            .map(|(_, confidence)| confidence)
            .max();
        surest.unwrap_or_default()
    }

    /// Nobody could read it: sizes alone suggest that it is a WebSocket.
    pub fn is_inferred(&self) -> bool {
        self.handshake
            .mid_stream
            .is_some_and(|found| matches!(found.by, FoundBy::RecordSizes { .. }))
    }
}
