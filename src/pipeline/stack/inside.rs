//! What is inside TLS: its layers, and where bytes are missing, the search beside them.

use super::layer::{self, Layer};
use super::midstream::read_found;
use super::sought::{Acked, Sought};
use super::subject::Subject;
use crate::pipeline::records::Pending;
use crate::pipeline::{Finished, Shared};
use crate::session::{FoundBy, MidStream};
use crate::stream::{Direction, GapCause, PacketRef, Sides, StreamEvent};

/// The decrypted stream of a connection.
#[derive(Debug)]
pub(super) struct Inside {
    layer: Layer,
    sought: Sought,
}

impl Default for Inside {
    fn default() -> Self {
        Self {
            layer: Layer::of_unknown(),
            sought: Sought::default(),
        }
    }
}

impl Inside {
    pub(super) fn read(
        &mut self,
        event: StreamEvent<'_>,
        subject: &mut Subject,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        layer::read(&mut self.layer, subject, pending, event, shared, finished);
        self.sought.look(&event, self.layer.is_searching());
        if let Sought::Found(_) = self.sought {
            self.adopt(subject, pending, shared, finished);
        }
    }

    /// The frames that were found are a session's from here on. Who is the client is
    /// known: the keys have sides.
    fn adopt(
        &mut self,
        subject: &mut Subject,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        let Sought::Found(found) = std::mem::replace(&mut self.sought, Sought::Nothing) else {
            return;
        };
        if found.client != Direction::ClientToServer {
            return;
        }
        let mid_stream = MidStream {
            by: FoundBy::Frames,
            skipped: Sides::default(),
            lost: !subject.leg().has_loss(GapCause::BeganMidStream),
        };
        subject.begin_mid_stream(mid_stream, found.first, pending, shared, finished);
        let websocket = read_found(*found, false, subject, pending, shared);
        self.layer = Layer::WebSocket(Box::new(websocket));
    }

    pub(super) fn on_keys(
        &mut self,
        subject: &mut Subject,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        self.layer.on_keys(subject, pending, shared, finished);
    }

    pub(super) fn finish(
        &mut self,
        subject: &mut Subject,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        self.sought.finish();
        self.adopt(subject, pending, shared, finished);
        layer::finish(&mut self.layer, subject, pending, shared, finished);
    }

    pub(super) fn buffered(&self) -> usize {
        self.layer.buffered() + self.sought.buffered()
    }

    /// The first packet of a message that is not at its end, or of what is looked at for frames.
    pub(super) fn open_since(&self) -> Option<PacketRef> {
        let sought = self.sought.since();
        sought.into_iter().chain(self.layer.open_since()).min()
    }

    /// An acknowledgment in terms of the innermost stream.
    pub(super) fn inside(&mut self, acked: Acked) -> Acked {
        self.layer.inside(acked)
    }
}
