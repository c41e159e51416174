//! MQTT 3.1 to 5: a stream of packets in binary messages, which may hold
//! several packets or a part of one (MQTT 5, section 6.0).

use std::time::Duration;

use super::detect::Hit;
use super::fact::{Contract, Fact, Fault, Heard};
use super::speaker::Out;
use super::words::{Id, Word};
use crate::stream::Direction;
use crate::websocket::Opcode;

/// Rationale: a topic with the packet identifier behind it fits nearly always;
/// where it doesn't, the packet is not looked at.
const KEPT: usize = 256;
/// Packet identifiers of messages, and of the second step of those that are
/// delivered exactly once.
const MESSAGE: u8 = 0;
const RELEASE: u8 = 1;

/// One direction of it.
#[derive(Debug, Default)]
pub(super) struct Mqtt {
    place: Place,
    /// The beginning of the packet's body.
    body: Vec<u8>,
}

#[derive(Debug, Default)]
enum Place {
    /// The first byte of a packet comes next.
    #[default]
    Start,
    /// In the remaining length: the first byte, the value so far, and its next bits.
    Length(u8, u64, u32),
    /// In the body: the first byte, and how much is to come.
    Body(u8, u64),
    /// Nobody knows.
    Lost,
}

impl Mqtt {
    pub(super) fn lose(&mut self) {
        self.place = Place::Lost;
        self.body = Vec::new();
    }

    pub(super) fn read(&mut self, heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
        if heard.opcode != Opcode::Binary {
            return;
        }
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            rest = match self.place {
                Place::Lost => return out(Fact::Unread),
                Place::Start => {
                    self.place = Place::Length(byte, 0, 0);
                    after
                }
                Place::Length(first, value, bits) => {
                    self.on_length(first, value, bits, byte);
                    self.end_empty(heard, out);
                    after
                }
                Place::Body(first, left) => self.on_body(first, left, rest, heard, out),
            };
        }
        if !heard.whole {
            self.lose();
        }
    }

    fn on_length(&mut self, first: u8, value: u64, bits: u32, byte: u8) {
        let value = value | u64::from(byte & 0x7f) << bits.min(28);
        self.place = match (byte & 0x80, bits) {
            (0, _) => Place::Body(first, value),
            // The remaining length has four bytes at most (MQTT 5, section 1.5.5).
            (_, 21..) => Place::Lost,
            _ => Place::Length(first, value, bits + 7),
        };
        self.body.clear();
    }

    fn end_empty(&mut self, heard: &Heard, out: &mut Out<'_>) {
        if let Place::Body(first, 0) = self.place {
            self.place = Place::Start;
            say(heard, first, &[], out);
        }
    }

    /// Bytes of a packet's body; returns those after it.
    fn on_body<'a>(
        &mut self,
        first: u8,
        left: u64,
        bytes: &'a [u8],
        heard: &Heard,
        out: &mut Out<'_>,
    ) -> &'a [u8] {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (body, rest) = bytes.split_at_checked(here).unwrap_or((bytes, &[]));
        let room = KEPT.saturating_sub(self.body.len());
        self.body.extend(body.iter().take(room));
        let left = left.saturating_sub(here as u64);
        self.place = Place::Body(first, left);
        if left == 0 {
            self.place = Place::Start;
            say(heard, first, &self.body, out);
        }
        rest
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    let [high, low] = *bytes.first_chunk::<2>()?;
    Some(u64::from(u16::from_be_bytes([high, low])))
}

fn after(bytes: &[u8], place: usize) -> &[u8] {
    bytes.get(place..).unwrap_or_default()
}

/// A string with its length before it, and what comes behind it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = usize::try_from(number(bytes)?).ok()?;
    after(bytes, 2).split_at_checked(len)
}

/// Packet types of section 2.1.2.
fn say(heard: &Heard, first: u8, body: &[u8], out: &mut Out<'_>) {
    let from_client = heard.direction == Direction::ClientToServer;
    let id = |kind| number(body).map(|number| Id::of_number(kind, number));
    let mut request = |kind, method: &str| {
        if let Some(id) = id(kind) {
            let method = Word::of(method.as_bytes());
            out(Fact::Request { id, method });
        }
    };
    match first >> 4 {
        1 if from_client => connect(body, out),
        2 if !from_client => connack(body, out),
        3 => publish(first, body, from_client, out),
        // PUBACK, PUBREC, UNSUBACK: with a reason from MQTT 5 on.
        4 | 5 | 11 => reply(id(MESSAGE), body.get(2).copied(), out),
        6 => request(RELEASE, "PUBREL"),
        7 => reply(id(RELEASE), body.get(2).copied(), out),
        8 => {
            request(MESSAGE, "SUBSCRIBE");
            // In MQTT 5 properties come before the filter: then it isn't told.
            if let Some((name, _)) = string(after(body, 2)).filter(|(name, _)| !name.is_empty()) {
                out(Fact::Subscribe {
                    name: Word::of(name),
                });
            }
        }
        // The reason of the first filter is the last byte where there is one filter.
        9 => reply(id(MESSAGE), body.last().copied(), out),
        10 => request(MESSAGE, "UNSUBSCRIBE"),
        12 => out(Fact::Ping { id: None }),
        13 => out(Fact::Pong { id: None }),
        14 => {
            if let Some(reason) = body.first().filter(|reason| **reason >= 0x80) {
                out(Fact::Error(fault(*reason)));
            }
        }
        _ => {}
    }
}

fn connect(body: &[u8], out: &mut Out<'_>) {
    out(Fact::OpeningBegun);
    let Some((_, rest)) = string(body) else {
        return;
    };
    // Behind the version and the flags (MQTT 5, section 3.1.2).
    let keep_alive = number(after(rest, 2)).filter(|seconds| *seconds > 0);
    if let Some(every) = keep_alive.map(Duration::from_secs) {
        out(Fact::Contract(Contract {
            sender: Direction::ClientToServer,
            every,
            // Section 3.1.2.10: the server gives up after one and a half of it.
            deadline: every.saturating_mul(3) / 2,
            any_message: true,
        }));
    }
}

fn connack(body: &[u8], out: &mut Out<'_>) {
    out(match body.get(1) {
        Some(0) => Fact::OpeningAccepted,
        Some(&reason) => Fact::OpeningRefused(fault(reason)),
        None => return,
    });
}

fn publish(first: u8, body: &[u8], from_client: bool, out: &mut Out<'_>) {
    let quality = first >> 1 & 3;
    let Some((topic, rest)) = string(body) else {
        return out(Fact::Unread);
    };
    let topic = Word::of(topic);
    if !from_client {
        out(Fact::Push { name: topic });
    }
    match (quality, number(rest)) {
        (0, _) if from_client => out(Fact::Notification { method: topic }),
        (0, _) => {}
        // What is sent again, with its flag, is the same request.
        (_, Some(_)) if first & 8 != 0 => {}
        (_, Some(id)) => {
            let mut method = Word::of(b"PUBLISH ");
            method.push(topic.bytes());
            out(Fact::Request {
                id: Id::of_number(MESSAGE, id),
                method,
            });
        }
        (_, None) => out(Fact::Unread),
    }
}

fn reply(id: Option<Id>, reason: Option<u8>, out: &mut Out<'_>) {
    let Some(id) = id else { return };
    let refused = reason.filter(|reason| *reason >= 0x80);
    let fault = refused.map(fault);
    out(Fact::Reply { id, fault });
}

/// Reasons that say who isn't let in; all others by their number (MQTT 5, section 2.4; MQTT 3.1.1, section 3.2.2.3).
fn fault(reason: u8) -> Box<Fault> {
    let text = match reason {
        4 | 0x86 => "bad user name or password",
        5 | 0x87 => "not authorized",
        2 | 0x85 => "client identifier not valid",
        3 | 0x88 => "server unavailable",
        0x89 => "server busy",
        0x8d => "keep alive timeout",
        0x8e => "session taken over",
        0x97 => "quota exceeded",
        _ => "",
    };
    let code = format!("0x{reason:02x}");
    let mut fault = Fault::new(code.as_bytes(), text);
    fault.auth |= matches!(reason, 4 | 5 | 0x86 | 0x87);
    fault
}

pub(super) fn sniff(bytes: &[u8]) -> Hit {
    let named = |at: usize| matches!(string(after(bytes, at)), Some((b"MQTT" | b"MQIsdp", _)));
    match bytes.first() {
        Some(0x10) if (2..=5).any(named) => Hit::Unique,
        _ => Hit::No,
    }
}
