//! TLS of which the beginning is missing, and the keys at hand: what was said
//! before it turned out to be TLS is kept, and tried with them.

use super::encrypted::Encrypted;
use super::followed::Followed;
use super::layer::Layer;
use super::sought::{Kept, Sought, reversed};
use crate::pipeline::{Finished, Shared};
use crate::session::Orientation;
use crate::stream::{Direction, Gap, GapCause, PacketRef, StreamEvent};
use crate::tls;

/// How many bytes are kept.
///
/// Rationale: two records prove TLS, and one more has to be whole.
const KEPT: usize = 64 * 1024;

/// The events since bytes went missing.
#[derive(Debug, Default)]
pub(super) struct Early {
    events: Vec<Kept>,
    bytes: usize,
    /// They were tried.
    over: bool,
}

impl Early {
    /// Keeps an event while something is sought and keys may open it.
    pub(super) fn keep(&mut self, event: &StreamEvent<'_>, sought: &Sought, shared: &Shared) {
        let looking = matches!(sought, Sought::Looking(_) | Sought::Records(_));
        if !looking || self.over || shared.keys.is_empty() {
            if !self.events.is_empty() {
                self.events = Vec::new();
                self.bytes = 0;
            }
            return;
        }
        if let StreamEvent::Chunk(chunk) = event {
            self.bytes = self.bytes.saturating_add(chunk.bytes.len());
        }
        if self.bytes <= KEPT {
            self.events.push(Kept::of(event));
        }
    }

    pub(super) fn buffered(&self) -> usize {
        self.bytes.min(KEPT)
    }

    /// Which direction is the client's, if the keys open what was said; as far as `allowed`.
    fn client(&self, keys: &tls::Keys, allowed: &[Direction]) -> Option<Direction> {
        let opens = |client: &&Direction| {
            let mut tls = tls::Connection::new(0);
            let mut opened = false;
            let first = PacketRef::default();
            for event in missing(first).chain(self.events.iter().map(Kept::event)) {
                let event = match client {
                    Direction::ClientToServer => event,
                    Direction::ServerToClient => reversed(event),
                };
                tls.on_stream(&event, keys, &mut |output| {
                    opened |= matches!(output, tls::Output::Fact(tls::Event::Opened { .. }));
                });
            }
            opened
        };
        allowed.iter().find(opens).copied()
    }
}

/// The beginnings of both directions, which aren't there.
fn missing<'a>(at: PacketRef) -> impl Iterator<Item = StreamEvent<'a>> {
    Direction::BOTH.into_iter().map(move |direction| {
        StreamEvent::Gap(Gap {
            direction,
            offset: 0,
            len: None,
            cause: GapCause::BeganMidStream,
            at,
        })
    })
}

impl Followed {
    /// Opens records without their beginning, if the keys at hand do. Whether the sides
    /// were the wrong way round and have been exchanged; `None` where it stays closed.
    pub(super) fn open_headless(
        &mut self,
        first: Option<PacketRef>,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) -> Option<bool> {
        let early = std::mem::take(&mut self.early);
        self.early.over = true;
        let allowed = match self.subject.leg().orientation {
            Orientation::Syn => &[Direction::ClientToServer][..],
            Orientation::Payload | Orientation::Provisional => &Direction::BOTH,
        };
        let client = early.client(&shared.keys, allowed)?;
        let swapped = self.orient(client, shared)?;
        self.sought = Sought::Nothing;
        shared.on_late_tls(first, self.subject.leg());
        let mut encrypted = Encrypted::default();
        let (subject, pending) = (&mut self.subject, &mut self.pending);
        let at = first.unwrap_or_default();
        for event in missing(at).chain(early.events.iter().map(Kept::event)) {
            let event = if swapped { reversed(event) } else { event };
            encrypted.read(&event, subject, pending, shared, finished);
        }
        self.layer = Layer::Tls(Box::new(encrypted));
        Some(swapped)
    }
}
