//! The protocols above TCP, one on the other.

use super::encrypted::Encrypted;
use super::onward::on_http;
use super::sought::Acked;
use super::subject::Subject;
use crate::http;
use crate::pipeline::records::Pending;
use crate::pipeline::{Finished, Shared};
use crate::stream::{PacketRef, Sides, StreamEvent};
use crate::websocket;
use crate::{tcp, tls};

/// The protocol above TCP.
#[derive(Debug)]
pub(super) enum Layer {
    /// The first bytes tell.
    Unknown,
    Tls(Box<Encrypted>),
    /// With the layer that reads what HTTP hands on, from the 101 or the 2xx to
    /// CONNECT on, for as long as HTTP holds bytes before it.
    Http(Box<http::Connection>, Option<Box<Layer>>),
    WebSocket(Box<websocket::Connection>),
    /// Bytes that say nothing to us, on a connection that has a session.
    Opaque,
}

impl Layer {
    /// What reads a stream of which nothing is known: TCP's, or the one inside a
    /// tunnel. The place for whatever tells TLS from HTTP.
    pub(super) const fn of_unknown() -> Self {
        Self::Unknown
    }

    /// The layer for a stream that begins with this.
    fn beginning_with(event: &StreamEvent<'_>) -> Self {
        match event {
            StreamEvent::Chunk(chunk) if tls::begins_like_tls(chunk.bytes) => {
                Self::Tls(Box::default())
            }
            _ => Self::Http(Box::new(http::Connection::new()), None),
        }
    }

    pub(super) fn on_keys(
        &mut self,
        subject: &mut Subject,
        pending: &mut Pending,
        shared: &mut Shared,
        finished: &mut Vec<Finished>,
    ) {
        match self {
            Self::Tls(encrypted) => encrypted.on_keys(subject, pending, shared, finished),
            // In a tunnel.
            Self::Http(_, Some(above)) => above.on_keys(subject, pending, shared, finished),
            Self::Http(_, None) | Self::WebSocket(_) | Self::Unknown | Self::Opaque => {}
        }
    }

    /// What an event acknowledges of the stream in which messages are.
    pub(super) fn acked(&mut self, event: &tcp::Event) -> Option<Acked> {
        let tcp::Event::Acked {
            direction,
            upto,
            at,
            ..
        } = *event
        else {
            return None;
        };
        Some(self.inside(Acked {
            direction,
            upto,
            at,
        }))
    }

    /// An acknowledgment in terms of the innermost stream.
    pub(super) fn inside(&mut self, acked: Acked) -> Acked {
        match self {
            Self::Tls(encrypted) => encrypted.on_acked(acked),
            // In a tunnel.
            Self::Http(_, Some(above)) => above.inside(acked),
            Self::Http(_, None) | Self::WebSocket(_) | Self::Unknown | Self::Opaque => acked,
        }
    }

    pub(super) fn buffered(&self) -> usize {
        match self {
            Self::Http(http, above) => {
                http.buffered() + above.as_ref().map_or(0, |above| above.buffered())
            }
            Self::Tls(encrypted) => encrypted.buffered(),
            Self::WebSocket(websocket) => websocket.buffered(),
            Self::Unknown | Self::Opaque => 0,
        }
    }

    /// The first packet of a message that is not at its end.
    pub(super) fn open_since(&self) -> Option<PacketRef> {
        match self {
            Self::WebSocket(websocket) => websocket.open_since(),
            Self::Tls(encrypted) => encrypted.open_since(),
            Self::Http(_, Some(above)) => above.open_since(),
            Self::Http(_, None) | Self::Unknown | Self::Opaque => None,
        }
    }

    /// Where frames begin, if HTTP saw the beginning of a 101.
    pub(super) fn behind_cut_switch(&self) -> Sides<Option<u64>> {
        match self {
            Self::Http(http, None) => http.behind_cut_switch(),
            _ => Sides::default(),
        }
    }

    /// Bytes are missing, and HTTP looks for the next head.
    pub(super) fn is_searching(&self) -> bool {
        matches!(self, Self::Http(http, None) if http.is_searching())
    }
}

/// Has a layer read a stream event: TCP's, or what another layer hands on.
pub(super) fn read(
    layer: &mut Layer,
    subject: &mut Subject,
    pending: &mut Pending,
    event: StreamEvent<'_>,
    shared: &mut Shared,
    finished: &mut Vec<Finished>,
) {
    if matches!(layer, Layer::Unknown) {
        *layer = Layer::beginning_with(&event);
    }
    match layer {
        Layer::WebSocket(websocket) => {
            read_frames(websocket, subject, pending, &event, shared);
        }
        Layer::Tls(encrypted) => encrypted.read(&event, subject, pending, shared, finished),
        Layer::Http(http, above) => {
            http.on_stream(event, &mut |output| {
                on_http(output, subject, pending, above, shared, finished);
            });
            if http.is_opaque() {
                *layer = Layer::Opaque;
            } else if http.is_transparent()
                && let Some(above) = above.take()
            {
                *layer = *above;
            }
        }
        Layer::Unknown | Layer::Opaque => subject.on_opaque(&event),
    }
}

/// Has WebSocket read a stream event.
pub(super) fn read_frames(
    websocket: &mut websocket::Connection,
    subject: &mut Subject,
    pending: &mut Pending,
    event: &StreamEvent<'_>,
    shared: &mut Shared,
) {
    websocket.on_stream(event, &mut |event| {
        subject.on_websocket(event, pending, shared)
    });
}

/// Nothing more comes: the layers tell what they still hold, the lowest first.
pub(super) fn finish(
    layer: &mut Layer,
    subject: &mut Subject,
    pending: &mut Pending,
    shared: &mut Shared,
    finished: &mut Vec<Finished>,
) {
    match layer {
        Layer::Http(http, above) => {
            http.finish(&mut |output| {
                on_http(output, subject, pending, above, shared, finished);
            });
            if let Some(above) = above {
                finish(above, subject, pending, shared, finished);
            }
        }
        Layer::WebSocket(websocket) => {
            websocket.finish(&mut |event| subject.on_websocket(event, pending, shared));
        }
        Layer::Tls(encrypted) => encrypted.finish(subject, pending, shared, finished),
        Layer::Unknown | Layer::Opaque => {}
    }
}
