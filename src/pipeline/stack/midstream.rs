//! What becomes of a connection on which something was found that has no handshake.

use super::followed::Followed;
use super::layer::Layer;
use super::order::in_capture_order;
use super::rhythm::Suggested;
use super::sought::{Found, Sought, reversed};
use super::subject::Subject;
use crate::packet::Endpoint;
use crate::pipeline::records::Pending;
use crate::pipeline::{Finished, Shared};
use crate::session::{FoundBy, MidStream, Orientation};
use crate::stream::{Direction, GapCause, PacketRef, Sides};
use crate::websocket;

impl Followed {
    /// The client, as far as is known.
    pub(super) fn client(&mut self) -> Endpoint {
        let client = self.subject.leg().client;
        Endpoint {
            ip: client.ip(),
            port: client.port(),
        }
    }

    /// Acts on what the search came to. Returns true if the sides were the
    /// wrong way round and have been exchanged.
    pub(super) fn settle_sought(
        &mut self,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) -> bool {
        let idle = matches!(self.layer, Layer::Opaque);
        match &mut self.sought {
            Sought::Idle | Sought::Looking(_) => false,
            Sought::Found(_) => match std::mem::replace(&mut self.sought, Sought::Nothing) {
                Sought::Found(found) => self.adopt(*found, shared, finished),
                _ => false,
            },
            Sought::Records(rhythm) => {
                if !idle {
                    let first = rhythm.first();
                    if let Some(swapped) = self.open_headless(first, shared, finished) {
                        return swapped;
                    }
                    self.layer = Layer::Opaque;
                    shared.on_headless_tls(first, self.subject.leg());
                }
                false
            }
            Sought::Nothing => {
                if let (Layer::Http(http, _), Subject::Attempt(attempt)) =
                    (&self.layer, &self.subject)
                    && http.is_searching()
                {
                    shared.on_mid_stream(attempt, false);
                    self.layer = Layer::Opaque;
                }
                false
            }
        }
    }

    /// The connection is over: what is likely has to do.
    pub(super) fn end_search(&mut self, shared: &mut Shared, finished: &mut Vec<Finished>) {
        self.sought.finish();
        self.settle_sought(shared, finished);
        if let Some(suggested) = self.sought.suggested() {
            self.infer(suggested, shared, finished);
        }
    }

    /// The frames that were found are a session's from here on.
    fn adopt(&mut self, found: Found, shared: &mut Shared, finished: &mut Vec<Finished>) -> bool {
        let Some(swapped) = self.orient(found.client, shared) else {
            self.layer = Layer::Opaque;
            return false;
        };
        let first = found.first;
        self.begin(FoundBy::Frames, first, shared, finished);
        let (subject, pending) = (&mut self.subject, &mut self.pending);
        let websocket = read_found(found, swapped, subject, pending, shared);
        self.layer = Layer::WebSocket(Box::new(websocket));
        swapped
    }

    /// Puts the sides right; whether they were exchanged. `None` where a SYN says otherwise.
    pub(super) fn orient(&mut self, client: Direction, shared: &mut Shared) -> Option<bool> {
        let wrong = client == Direction::ServerToClient;
        match self.subject.leg().orientation {
            Orientation::Syn => return (!wrong).then_some(false),
            Orientation::Payload | Orientation::Provisional => {}
        }
        if wrong {
            self.swap_sides(shared);
        }
        self.subject.leg().orientation = Orientation::Payload;
        Some(wrong)
    }

    fn begin(
        &mut self,
        by: FoundBy,
        first: PacketRef,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let found = MidStream {
            by,
            skipped: Sides::default(),
            lost: !self.subject.leg().has_loss(GapCause::BeganMidStream),
        };
        self.subject
            .begin_mid_stream(found, first, &mut self.pending, shared, finished);
    }

    /// What the sizes of records suggest is a session too, marked as inferred.
    fn infer(&mut self, suggested: Suggested, shared: &mut Shared, finished: &mut Vec<Finished>) {
        let Some(swapped) = self.orient(suggested.client, shared) else {
            return;
        };
        let mut close = suggested.close;
        if swapped {
            close.swap();
        }
        let by = FoundBy::RecordSizes { close: Some(close) };
        self.begin(by, suggested.first, shared, finished);
    }
}

/// Reads the frames that were found, up to now; `swapped` says that the sides have been exchanged since.
pub(super) fn read_found(
    found: Found,
    swapped: bool,
    subject: &mut Subject,
    pending: &mut Pending,
    shared: &mut Shared,
) -> websocket::Connection {
    let turned = |direction: Direction| {
        if swapped {
            direction.reverse()
        } else {
            direction
        }
    };
    let wants = shared.options.wants;
    let (recognition, acked, waiting) = found.into_parts();
    let mut events = Vec::new();
    let mut websocket = recognition.into_connection(wants, &mut |event| events.push(event));
    for event in waiting.iter().map(|kept| kept.event()) {
        let event = if swapped { reversed(event) } else { event };
        websocket.on_stream(&event, &mut |event| events.push(event));
    }
    for ack in acked {
        subject.on_acked(turned(ack.direction), ack.upto, ack.at, pending);
    }
    for event in in_capture_order(events) {
        subject.on_websocket(event, pending, shared);
    }
    websocket
}
