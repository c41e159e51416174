//! What the capture lacks, counted as it shows.

use crate::pipeline::Shared;
use crate::session::{Attempt, GapTotal, Leg, Lookalike};
use crate::stream::{Gap, GapCause, PacketRef};

impl Shared {
    /// Counts a connection that was open before the capture began, unless HTTP was found on it.
    /// `thorough`: all of it was searched for frames.
    pub(super) fn on_mid_stream(&mut self, attempt: &Attempt, thorough: bool) {
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
            if !thorough {
                self.capture.mid_stream_skimmed += 1;
            }
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

    /// Counts a connection that turned out to be TLS without its first records.
    pub(super) fn on_headless_tls(&mut self, first: Option<PacketRef>, leg: &Leg) {
        self.on_late_tls(first, leg);
        self.capture.tls.headless += 1;
    }

    /// Counts a connection that is known to be TLS only after its first bytes.
    pub(super) fn on_late_tls(&mut self, first: Option<PacketRef>, leg: &Leg) {
        let capture = &mut self.capture;
        capture.tls.connections += 1;
        if let Some(at) = first {
            capture.first_tls.get_or_insert((at, leg.tcp_stream));
        }
        let port = leg.server.port();
        // Rationale: a report names a handful.
        if capture.tls_ports.len() < 16 && !capture.tls_ports.contains(&port) {
            capture.tls_ports.push(port);
        }
    }

    /// The sides of this connection are exchanged: what was counted of them too.
    pub(super) fn on_swap(&mut self, leg: &Leg) {
        let gap = leg.gaps.iter().find(|gap| {
            gap.cause == GapCause::NotCaptured && leg.last_packet[gap.direction].is_none()
        });
        if let Some(gap) = gap {
            let counted = &mut self.capture.unheard[gap.direction];
            counted.count = counted.count.saturating_sub(1);
            if counted.first == Some((gap.at, leg.tcp_stream)) {
                counted.first = None;
            }
            self.capture.unheard[gap.direction.reverse()].add(gap.at, leg.tcp_stream);
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
