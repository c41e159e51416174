//! Conversations made up, and the packets that a network makes of them.

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use wscope::session::Opcode;
use wscope::stream::Direction::{self, ClientToServer, ServerToClient};
use wscope::stream::Sides;

use crate::wire::{ACK, FIN, Packet, RST, SYN};

const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: ws.test:8080\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nUser-Agent: Python/3.11 websockets/17.4\r\n\r\n";
const ACCEPT: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What one side sends at once.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Text(usize),
    Binary(usize),
    /// A text message in fragments of these lengths, a Ping behind each but the last.
    Fragments(Vec<usize>),
    Ping(u8),
    Pong(u8),
}

/// What becomes of the dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// 101.
    Accepted,
    /// Another status.
    Refused(u16),
    /// No answer to the request.
    Unanswered,
    /// A reset in answer to the SYN.
    NobodyListens,
    /// SYNs, and nothing else.
    Unreachable,
}

/// How a session ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// Both Close frames and both FINs, begun by this side.
    Clean(Direction, u16),
    /// A Close frame of this side, never answered, and both FINs.
    Half(Direction, u16),
    /// A FIN of this side, answered by the other's, without a word.
    Fin(Direction),
    /// A reset of this side.
    Reset(Direction),
    /// A reset of this side's host, which has no such socket.
    BareReset(Direction),
    /// The capture ends first.
    Open,
}

/// A session.
#[derive(Clone, Debug)]
pub(crate) struct Play {
    pub(crate) opening: Opening,
    /// Milliseconds before each flight and before the end, over and over.
    pub(crate) pauses: Vec<u32>,
    pub(crate) turns: Vec<(Direction, Say)>,
    pub(crate) ending: Ending,
}

/// What the network does to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) isn: Sides<u32>,
    /// Sizes of segments, over and over; none: as large as they get.
    pub(crate) sizes: Vec<usize>,
    /// By how many places a segment of a flight is late, over and over.
    pub(crate) late: Vec<usize>,
    /// Bytes sent again: in which flight, behind which segment, from where, how many.
    pub(crate) again: Vec<(usize, usize, usize, usize)>,
}

pub(crate) fn side() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(ClientToServer), Just(ServerToClient)]
}

pub(crate) fn play() -> impl Strategy<Value = Play> {
    let len = || prop_oneof![6 => 0..130_usize, 2 => 120..1_500_usize, 1 => 65_500..66_000_usize];
    let say = prop_oneof![
        4 => len().prop_map(Say::Text),
        2 => len().prop_map(Say::Binary),
        1 => prop::collection::vec(0..90_usize, 2..5).prop_map(Say::Fragments),
        1 => any::<u8>().prop_map(Say::Ping),
        1 => any::<u8>().prop_map(Say::Pong),
    ];
    let code = prop_oneof![Just(1000), Just(1001), Just(1011), Just(4_001)];
    let ending = prop_oneof![
        2 => (side(), code).prop_map(|(first, code)| Ending::Clean(first, code)),
        1 => (side(), Just(1000)).prop_map(|(from, code)| Ending::Half(from, code)),
        1 => side().prop_map(Ending::Fin),
        1 => side().prop_map(Ending::Reset),
        1 => side().prop_map(Ending::BareReset),
        1 => Just(Ending::Open),
    ];
    let turns = prop::collection::vec((side(), say), 0..8);
    (turns, ending).prop_map(|(turns, ending)| Play {
        opening: Opening::Accepted,
        pauses: vec![100],
        turns,
        ending,
    })
}

/// A play with pauses in it, in which some dials fail.
pub(crate) fn dial() -> impl Strategy<Value = Play> {
    let opening = prop_oneof![
        8 => Just(Opening::Accepted),
        1 => prop_oneof![Just(403), Just(502)].prop_map(Opening::Refused),
        1 => Just(Opening::Unanswered),
        1 => Just(Opening::NobodyListens),
        1 => Just(Opening::Unreachable),
    ];
    let pause = prop_oneof![
        4 => Just(100),
        2 => 1..3_000_u32,
        1 => (1..100_u32).prop_map(|seconds| seconds * 1_000),
    ];
    let pauses = prop::collection::vec(pause, 1..5);
    (play(), opening, pauses).prop_map(|(play, opening, pauses)| {
        let turns = match opening {
            Opening::Accepted => play.turns,
            _ => Vec::new(),
        };
        Play {
            opening,
            pauses,
            turns,
            ending: play.ending,
        }
    })
}

/// Data messages by sender: opcode and SHA-256.
pub(crate) type Messages = Sides<Vec<(Opcode, [u8; 32])>>;

/// What one side sends before the other goes on.
struct Flight {
    from: Direction,
    bytes: Vec<u8>,
}

impl Play {
    /// What a perfect observer tells.
    pub(crate) fn messages(&self) -> Messages {
        let mut messages = Messages::default();
        for (index, (from, say)) in self.turns.iter().enumerate() {
            let (opcode, len) = match say {
                Say::Text(len) => (Opcode::Text, *len),
                Say::Binary(len) => (Opcode::Binary, *len),
                Say::Fragments(lens) => (Opcode::Text, lens.iter().sum()),
                Say::Ping(_) | Say::Pong(_) => continue,
            };
            let digest = Sha256::digest(content(index, len));
            messages[*from].push((opcode, digest.into()));
        }
        messages
    }

    /// Bytes of frames by sender.
    pub(crate) fn frame_bytes(&self) -> Sides<u64> {
        let mut bytes = Sides::default();
        for flight in self.flights().iter().skip(2) {
            bytes[flight.from] += u64::try_from(flight.bytes.len()).unwrap();
        }
        bytes
    }

    fn flights(&self) -> Vec<Flight> {
        let mut flights = vec![
            Flight {
                from: ClientToServer,
                bytes: REQUEST.to_vec(),
            },
            Flight {
                from: ServerToClient,
                bytes: ACCEPT.to_vec(),
            },
        ];
        match self.opening {
            Opening::Accepted => {}
            Opening::Refused(status) => {
                let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
                flights[1].bytes = answer.into_bytes();
                return flights;
            }
            Opening::Unanswered | Opening::NobodyListens | Opening::Unreachable => {
                flights.truncate(1);
                return flights;
            }
        }
        let mut add = |from: Direction, bytes: Vec<u8>| match flights.last_mut() {
            // Never in one flight with the answer: a flight there is all HTTP.
            Some(last) if last.from == from && last.bytes != ACCEPT => last.bytes.extend(bytes),
            _ => flights.push(Flight { from, bytes }),
        };
        for (index, (from, say)) in self.turns.iter().enumerate() {
            add(*from, frames(*from, index, say));
        }
        let closes = match self.ending {
            Ending::Clean(first, code) => vec![(first, code), (first.reverse(), code)],
            Ending::Half(from, code) => vec![(from, code)],
            _ => Vec::new(),
        };
        for (from, code) in closes {
            add(from, frame(from, 0x88, &code.to_be_bytes()));
        }
        flights
    }

    /// The packets of this session, from this client port, in capture order.
    pub(crate) fn packets(&self, port: u16, network: &Network) -> Vec<Packet> {
        let mut line = Line {
            port,
            isn: network.isn,
            sent: Sides {
                client: Vec::new(),
                server: Vec::new(),
            },
            closed: Sides::default(),
            acked: Sides::default(),
            ids: Sides {
                client: 1,
                server: 20_000,
            },
            now: i64::from(port) * 1_111,
            packets: Vec::new(),
        };
        let mut pauses = self.pauses.iter().cycle();
        let mut pause = || i64::from(*pauses.next().unwrap()) * 1_000;
        match self.opening {
            Opening::NobodyListens => line.refuse(),
            Opening::Unreachable => line.dial_in_vain(),
            _ => {
                line.open();
                for (index, flight) in self.flights().into_iter().enumerate() {
                    line.now += pause();
                    line.flight(index, &flight, network);
                }
                line.now += pause();
                line.end(self.ending);
            }
        }
        line.packets
    }
}

/// A TCP connection while its packets are written.
struct Line {
    port: u16,
    isn: Sides<u32>,
    sent: Sides<Vec<u8>>,
    /// Sequence numbers taken by FINs.
    closed: Sides<u32>,
    /// What each *sender* has had acknowledged.
    acked: Sides<u32>,
    ids: Sides<u16>,
    now: i64,
    packets: Vec<Packet>,
}

impl Line {
    fn open(&mut self) {
        self.packet(ClientToServer, SYN, u32::MAX, 0, &[]);
        self.packet(ServerToClient, SYN | ACK, u32::MAX, 0, &[]);
        self.packet(ClientToServer, ACK, 0, 0, &[]);
    }

    fn refuse(&mut self) {
        self.packet(ClientToServer, SYN, u32::MAX, 0, &[]);
        self.packet(ServerToClient, RST | ACK, u32::MAX, 0, &[]);
        // Such a reset has no number of its own (RFC 9293, section 3.5.2).
        self.packets[1].seq = 0;
    }

    fn dial_in_vain(&mut self) {
        for seconds in [1, 2, 4, 8] {
            self.packet(ClientToServer, SYN, u32::MAX, 0, &[]);
            self.now += seconds * 1_000_000;
        }
    }

    fn flight(&mut self, index: usize, flight: &Flight, network: &Network) {
        let (from, base) = (flight.from, self.sent[flight.from].len());
        self.sent[from].extend(&flight.bytes);
        let mut segments = cut(base, flight.bytes.len(), &network.sizes);
        for (at, behind, start, len) in &network.again {
            if at % 8 == index {
                let end = base + flight.bytes.len();
                let start = start % end;
                let copy = (start, (len % 700 + 1).min(end - start));
                segments.insert(behind % (segments.len() + 1), copy);
            }
        }
        let mut order: Vec<(usize, (usize, usize))> = segments.into_iter().enumerate().collect();
        if !network.late.is_empty() {
            order.sort_by_key(|(place, _)| place + network.late[place % network.late.len()]);
        }
        let first_id = self.ids[from];
        let bytes = self.sent[from].clone();
        for (place, (start, len)) in &order {
            let id = first_id.wrapping_add(u16::try_from(*place).unwrap());
            let offset = u32::try_from(*start).unwrap();
            self.packet(from, ACK, offset, id, &bytes[*start..start + len]);
        }
        self.ids[from] = first_id.wrapping_add(u16::try_from(order.len()).unwrap());
        self.acknowledge(from);
    }

    fn acknowledge(&mut self, from: Direction) {
        self.now += 500;
        self.acked[from] = self.next(from);
        self.bare(from.reverse(), ACK);
    }

    fn next(&self, from: Direction) -> u32 {
        u32::try_from(self.sent[from].len()).unwrap() + self.closed[from]
    }

    fn bare(&mut self, from: Direction, flags: u8) {
        let id = self.ids[from];
        self.ids[from] = id.wrapping_add(1);
        self.packet(from, flags, self.next(from), id, &[]);
    }

    fn end(&mut self, ending: Ending) {
        match ending {
            Ending::Clean(first, _) | Ending::Half(first, _) | Ending::Fin(first) => {
                for from in [first, first.reverse()] {
                    self.bare(from, FIN | ACK);
                    self.closed[from] = 1;
                    self.acknowledge(from);
                }
            }
            Ending::Reset(from) => self.bare(from, RST | ACK),
            Ending::BareReset(from) => {
                self.packet(from, RST, self.next(from), 0, &[]);
            }
            Ending::Open => {}
        }
    }

    fn packet(&mut self, from: Direction, flags: u8, offset: u32, ip_id: u16, payload: &[u8]) {
        self.now += 10;
        let number =
            |side: Direction, offset: u32| self.isn[side].wrapping_add(1).wrapping_add(offset);
        let ack = if flags & ACK == 0 {
            0
        } else {
            number(from.reverse(), self.acked[from.reverse()])
        };
        self.packets.push(Packet {
            micros: self.now,
            port: self.port,
            from,
            seq: number(from, offset),
            ack,
            flags,
            ip_id,
            payload: payload.to_vec(),
        });
    }
}

/// Cuts `len` bytes from `base` on into segments.
fn cut(base: usize, len: usize, sizes: &[usize]) -> Vec<(usize, usize)> {
    // Rationale: no flight becomes more than 200 packets, so that cases stay quick.
    let least = len / 200 + 1;
    let (mut segments, mut done) = (Vec::new(), 0);
    let mut sizes = sizes.iter().cycle();
    while done < len {
        let size = sizes.next().map_or(1_460, |size| (*size).max(least));
        let size = size.min(len - done);
        segments.push((base + done, size));
        done += size;
    }
    segments
}

/// Text that differs from turn to turn.
fn content(turn: usize, len: usize) -> Vec<u8> {
    let letter = |at: usize| b'a' + u8::try_from((at * 7 + at / 26 + turn * 5) % 26).unwrap();
    (0..len).map(letter).collect()
}

fn frames(from: Direction, turn: usize, say: &Say) -> Vec<u8> {
    match say {
        Say::Text(len) => frame(from, 0x81, &content(turn, *len)),
        Say::Binary(len) => frame(from, 0x82, &content(turn, *len)),
        Say::Ping(byte) => frame(from, 0x89, &[*byte]),
        Say::Pong(byte) => frame(from, 0x8a, &[*byte]),
        Say::Fragments(lens) => {
            let whole = content(turn, lens.iter().sum());
            let (mut bytes, mut rest) = (Vec::new(), whole.as_slice());
            for (index, len) in lens.iter().enumerate() {
                let (payload, after) = rest.split_at(*len);
                rest = after;
                let opcode = u8::from(index == 0);
                let last = index + 1 == lens.len();
                bytes.extend(frame(from, opcode | u8::from(last) << 7, payload));
                if !last {
                    bytes.extend(frame(from, 0x89, b"between"));
                }
            }
            bytes
        }
    }
}

/// A frame, masked if the client sends it.
fn frame(from: Direction, first: u8, payload: &[u8]) -> Vec<u8> {
    let masked = from == ClientToServer;
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(mask_bit | u8::try_from(len).unwrap()),
        len @ 126..65_536 => {
            bytes.push(mask_bit | 126);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(mask_bit | 127);
            bytes.extend(u64::try_from(len).unwrap().to_be_bytes());
        }
    }
    if masked {
        let key = Sha256::digest(payload);
        bytes.extend(&key[..4]);
        bytes.extend(
            payload
                .iter()
                .zip(key[..4].iter().cycle())
                .map(|(b, k)| b ^ k),
        );
    } else {
        bytes.extend(payload);
    }
    bytes
}
