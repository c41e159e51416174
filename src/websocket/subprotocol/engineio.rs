//! Engine.IO, protocols 3 and 4: one digit before each message. In 4 the server
//! pings and the client answers; in 3 it is the other way round.

use std::time::Duration;

use super::detect::Hit;
use super::fact::{Contract, Fact, Heard};
use super::json::{Value, pick};
use super::socketio;
use super::speaker::Out;
use super::{Protocol, Source};
use crate::stream::Direction;
use crate::websocket::Opcode;

/// One direction of it.
#[derive(Debug)]
pub(super) struct EngineIo {
    /// What is inside is Socket.IO.
    socket_io: bool,
}

impl EngineIo {
    pub(super) const fn new(socket_io: bool) -> Self {
        Self { socket_io }
    }

    pub(super) fn read(&mut self, heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
        // Binary messages are attachments.
        if heard.opcode != Opcode::Text {
            return;
        }
        let Some((kind, rest)) = bytes.split_first() else {
            return;
        };
        match (kind, rest) {
            (b'0', _) => self.open(heard, rest, out),
            // A probe: the transport is being changed.
            (b'2', b"probe") => out(Fact::OpeningBegun),
            (b'3', b"probe") => out(Fact::OpeningAccepted),
            (b'2', _) => out(Fact::Ping { id: None }),
            (b'3', _) => out(Fact::Pong { id: None }),
            (b'4', _) => {
                if !self.socket_io && socketio::is_packet(rest) {
                    self.socket_io = true;
                    out(Fact::Recognised {
                        protocol: Protocol::SocketIo,
                        source: Source::Sniffed,
                    });
                }
                if self.socket_io {
                    socketio::read(heard, rest, out);
                }
            }
            _ => {}
        }
    }

    /// The server's first packet: how often it pings, and how long it waits.
    fn open(&mut self, heard: &Heard, json: &[u8], out: &mut Out<'_>) {
        if !self.socket_io {
            out(Fact::OpeningAccepted);
        }
        let [interval, timeout, max_payload] =
            pick(json, ["pingInterval", "pingTimeout", "maxPayload"]).values;
        let (Some(interval), Some(timeout)) = (
            interval.and_then(Value::count),
            timeout.and_then(Value::count),
        ) else {
            return;
        };
        // Only protocol 4 has the size; in it the server pings.
        let sender = match max_payload {
            Some(_) => heard.direction,
            None => heard.direction.reverse(),
        };
        let every = Duration::from_millis(interval);
        out(Fact::Contract(Contract {
            sender,
            every,
            deadline: every.saturating_add(Duration::from_millis(timeout)),
            any_message: false,
        }));
    }
}

/// The packet that opens it can be nothing else; pings look like many things.
pub(super) fn sniff(direction: Direction, bytes: &[u8]) -> Hit {
    match bytes.split_first() {
        Some((b'0', json)) if direction == Direction::ServerToClient => {
            let [sid, interval] = pick(json, ["sid", "pingInterval"]).values;
            match (sid, interval) {
                (Some(_), Some(_)) => Hit::Unique,
                _ => Hit::No,
            }
        }
        Some((b'2' | b'3', b"probe")) => Hit::Unique,
        Some((b'2' | b'3', b"")) => Hit::OneOfAPair,
        _ => Hit::No,
    }
}
