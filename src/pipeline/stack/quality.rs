//! What the capture lacks, counted as it shows.

use crate::pipeline::Shared;
use crate::session::{Attempt, GapTotal, Leg, Lookalike};
use crate::stream::{Gap, GapCause, PacketRef};

impl Shared {
    /// Counts a connection that was open before the capture began, unless HTTP was found on it.
    pub(super) fn on_mid_stream(&mut self, attempt: &Attempt) {
        let leg = &attempt.leg;
        let began = leg
            .gaps
            .iter()
            .find(|gap| gap.cause == GapCause::BeganMidStream);
        let unknown = attempt
            .looks_like
            .iter()
            .all(|(_, looks)| looks.is_none_or(|(looks, _)| looks == Lookalike::Unknown));
        if let Some(gap) = began
            && attempt.exchanges == 0
            && unknown
        {
            self.capture.mid_stream.add(gap.at, leg.tcp_stream);
        }
    }

    /// Counts a packet that was captured before, on the connection `stream`.
    pub(super) fn on_duplicate(&mut self, at: PacketRef, first: Option<PacketRef>, stream: u32) {
        let capture = &mut self.capture;
        capture.duplicates += 1;
        capture.first_duplicate.get_or_insert((at, stream));
        if let Some(first) = first {
            let apart = at.time.as_nanos().abs_diff(first.time.as_nanos());
            let (count, nanos) = capture.copies_apart;
            capture.copies_apart = (count + 1, nanos.saturating_add(apart));
        }
    }

    pub(super) fn on_gap(&mut self, gap: &Gap, leg: &mut Leg) {
        let bytes = gap.len.unwrap_or(0);
        let first = !leg.has_loss(gap.cause);
        leg.on_gap(gap);
        match gap.cause {
            GapCause::SnapLength => {
                self.capture
                    .first_cut
                    .get_or_insert((gap.at, leg.tcp_stream));
            }
            GapCause::NotCaptured if leg.last_packet[gap.direction].is_none() => {
                if first {
                    self.capture.unheard[gap.direction].add(gap.at, leg.tcp_stream);
                }
                let (gaps, unheard) = &mut self.capture.unheard_gaps;
                *gaps += 1;
                *unheard = unheard.saturating_add(bytes);
            }
            GapCause::NotCaptured if !leg.is_acknowledged(gap) => {
                let (gaps, unresolved) = &mut self.capture.unresolved_gaps;
                *gaps += 1;
                *unresolved = unresolved.saturating_add(bytes);
            }
            GapCause::NotCaptured => {
                self.capture
                    .first_gap
                    .get_or_insert((gap.at, leg.tcp_stream));
            }
            GapCause::BeganMidStream | GapCause::LimitReached | GapCause::NoKeys => {}
        }
        match self
            .capture
            .gaps
            .iter_mut()
            .find(|total| total.cause == gap.cause)
        {
            Some(total) => {
                total.count += 1;
                total.bytes = total.bytes.saturating_add(bytes);
            }
            None => self.capture.gaps.push(GapTotal {
                cause: gap.cause,
                count: 1,
                bytes,
            }),
        }
    }
}
