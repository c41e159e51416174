//! Puts what two directions tell back into the order of the capture.

use crate::stream::{Direction, PacketRef};
use crate::websocket::Event;

/// Events of both directions, each in its own order, as they were captured: a
/// Pong must not be told of before its Ping because its direction was read first.
pub(super) fn in_capture_order(events: Vec<Event>) -> impl Iterator<Item = Event> {
    let of_client = |event: &Event| place(event).0 == Direction::ClientToServer;
    let (client, server): (Vec<_>, Vec<_>) = events.into_iter().partition(of_client);
    let (mut client, mut server) = (client.into_iter().peekable(), server.into_iter().peekable());
    std::iter::from_fn(move || match (client.peek(), server.peek()) {
        (Some(up), Some(down)) if place(down).1 < place(up).1 => server.next(),
        (Some(_), _) => client.next(),
        (None, _) => server.next(),
    })
}

/// Whose event it is, and the packet that completes what it tells.
fn place(event: &Event) -> (Direction, PacketRef) {
    match event {
        Event::Frame(frame) => (frame.direction, frame.at),
        Event::Message(message) => (message.direction, message.last),
        Event::Ping(control) | Event::Pong(control) => (control.frame.direction, control.last),
        Event::Said(said) => (said.heard.direction, said.heard.last),
        Event::Close(close) => (close.control.frame.direction, close.control.last),
        Event::Breach { direction, at, .. }
        | Event::Gap { direction, at, .. }
        | Event::LostSync { direction, at }
        | Event::Resynced { direction, at, .. }
        | Event::Unread { direction, at, .. }
        | Event::ContextLost { direction, at }
        | Event::End { direction, at, .. } => (*direction, *at),
    }
}
