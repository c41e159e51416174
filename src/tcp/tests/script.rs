//! Traces for the tests: `client(5).data("world")` is a segment whose payload
//! begins at stream offset 5; what comes out is told as text.
//!
//! ```text
//! > 0 hello              the client's bytes from offset 0 on
//! < 5 world (5 by 7)     the server's, seen in packet 5, released by packet 7
//! > gap 0+5 not-captured (by 9)
//! > end (9)
//! ```

use std::net::{IpAddr, Ipv4Addr};

use crate::packet::{Endpoint, Flags, Options, Segment, Seq};
use crate::stream::{Direction, PacketRef, Sides, StreamEvent};
use crate::tcp::{Connection, Event, Output, Patience};
use crate::time::Timestamp;
use Direction::{ClientToServer, ServerToClient};

/// A segment in the making.
#[derive(Clone)]
pub(super) struct Sent {
    from: Direction,
    offset: i64,
    payload: Vec<u8>,
    cut: u32,
    flags: u8,
    ack: Option<i64>,
    window: u16,
    ip_id: Option<u16>,
    ttl: u8,
    stamp: Option<u32>,
}

fn sent(from: Direction, offset: i64) -> Sent {
    Sent {
        from,
        offset,
        payload: Vec::new(),
        cut: 0,
        flags: 0,
        ack: None,
        window: 500,
        ip_id: None,
        ttl: 64,
        stamp: None,
    }
}

/// A segment of the client at this stream offset.
pub(super) fn client(offset: i64) -> Sent {
    sent(ClientToServer, offset)
}

/// A segment of the server at this stream offset.
pub(super) fn server(offset: i64) -> Sent {
    sent(ServerToClient, offset)
}

impl Sent {
    pub(super) fn data(mut self, text: &str) -> Self {
        self.payload = text.as_bytes().to_vec();
        self
    }

    /// `len` bytes that nobody looks at.
    pub(super) fn bytes(mut self, len: usize) -> Self {
        self.payload = vec![b'.'; len];
        self
    }

    /// The snap length cut so many bytes off the payload.
    pub(super) fn cut(mut self, bytes: u32) -> Self {
        self.cut = bytes;
        self
    }

    /// Acknowledges everything of the other side before this offset.
    pub(super) fn ack(mut self, offset: i64) -> Self {
        self.ack = Some(offset);
        self
    }

    pub(super) fn syn(mut self) -> Self {
        self.flags |= Flags::SYN;
        self
    }

    pub(super) fn fin(mut self) -> Self {
        self.flags |= Flags::FIN;
        self
    }

    pub(super) fn rst(mut self) -> Self {
        self.flags |= Flags::RST;
        self
    }

    pub(super) fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    pub(super) fn ip_id(mut self, id: u16) -> Self {
        self.ip_id = Some(id);
        self
    }

    pub(super) fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    pub(super) fn stamp(mut self, stamp: u32) -> Self {
        self.stamp = Some(stamp);
        self
    }
}

/// A connection, what was fed to it, and what came of it.
pub(super) struct Trace {
    pub(super) tcp: Connection,
    isn: Sides<u32>,
    now: i64,
    number: u64,
    next_id: Sides<u16>,
    /// Acknowledged by default: what a side acknowledged last.
    acked: Sides<i64>,
    stream: Vec<String>,
    pub(super) facts: Vec<Event>,
}

impl Trace {
    /// Nothing was seen yet.
    pub(super) fn new() -> Self {
        Self::patient(Patience::default())
    }

    pub(super) fn patient(patience: Patience) -> Self {
        Self {
            tcp: Connection::new(patience),
            isn: Sides {
                client: 1_000,
                server: 77_000,
            },
            now: 1_000_000_000,
            number: 0,
            next_id: Sides {
                client: 100,
                server: 9_000,
            },
            acked: Sides::default(),
            stream: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// With these initial sequence numbers.
    pub(super) fn numbered(mut self, client: u32, server: u32) -> Self {
        self.isn = Sides { client, server };
        self
    }

    /// SYN, SYN-ACK, ACK: packets 1 to 3.
    pub(super) fn opened() -> Self {
        Self::new().open()
    }

    pub(super) fn open(self) -> Self {
        self.then(client(-1).syn())
            .then(server(-1).syn().ack(0))
            .then(client(0).ack(0))
    }

    /// The next packet, 1 ms after the one before.
    pub(super) fn then(mut self, sent: Sent) -> Self {
        self.now += 1_000_000;
        self.push(&sent);
        self
    }

    /// The next packet, at the same time as the one before.
    pub(super) fn and(mut self, sent: Sent) -> Self {
        self.push(&sent);
        self
    }

    pub(super) fn wait_ms(mut self, ms: i64) -> Self {
        self.now += ms * 1_000_000;
        self
    }

    fn push(&mut self, sent: &Sent) {
        self.number += 1;
        let from = sent.from;
        let (ends, ports) = ([10, 20], [40_001, 80]);
        let endpoint = |side: Direction| Endpoint {
            ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, ends[side as usize])),
            port: ports[side as usize],
        };
        let is_first = sent.flags & Flags::SYN != 0 && sent.ack.is_none();
        let ack = sent.ack.unwrap_or(self.acked[from]);
        self.acked[from] = ack;
        let id = sent.ip_id.unwrap_or(self.next_id[from]);
        self.next_id[from] = id.wrapping_add(1);
        let acknowledges = u8::from(!is_first) * Flags::ACK;
        let wire_len = sent.payload.len() as u32;
        let kept = sent.payload.len() - sent.cut as usize;
        let segment = Segment {
            at: self.at(),
            from: endpoint(from),
            to: endpoint(from.reverse()),
            seq: self.seq(from, sent.offset),
            ack: self.seq(from.reverse(), ack),
            flags: Flags(sent.flags | acknowledges),
            window: sent.window,
            options: Options {
                timestamps: sent.stamp.map(|stamp| (stamp, 1)),
                ..Options::default()
            },
            ttl: sent.ttl,
            ip_id: Some(id),
            payload: &sent.payload[..kept],
            wire_len,
        };
        let (stream, facts) = (&mut self.stream, &mut self.facts);
        self.tcp.on_segment(from, &segment, &mut |output| {
            note(&output, stream, facts);
        });
    }

    fn seq(&self, side: Direction, offset: i64) -> Seq {
        Seq(self.isn[side].wrapping_add(1).wrapping_add(offset as u32))
    }

    fn at(&self) -> PacketRef {
        PacketRef {
            time: Timestamp::from_nanos(self.now),
            number: self.number,
            source: 0,
            epoch: Default::default(),
        }
    }

    /// The capture ends.
    pub(super) fn finish(mut self) -> Self {
        let at = self.at();
        let (stream, facts) = (&mut self.stream, &mut self.facts);
        self.tcp
            .finish(at, &mut |output| note(&output, stream, facts));
        self
    }

    /// Memory is short.
    pub(super) fn give_up(mut self) -> Self {
        let at = self.at();
        let (stream, facts) = (&mut self.stream, &mut self.facts);
        self.tcp
            .give_up(at, &mut |output| note(&output, stream, facts));
        self
    }

    /// What went up.
    pub(super) fn stream(&self) -> Vec<&str> {
        self.stream.iter().map(String::as_str).collect()
    }

    /// What TCP noticed, but for payload, acknowledgments and SYNs.
    pub(super) fn noticed(&self) -> Vec<String> {
        let usual = |event: &&Event| {
            !matches!(
                event,
                Event::Payload { .. }
                    | Event::Acked { .. }
                    | Event::RoundTrip { .. }
                    | Event::Syn { .. }
                    | Event::Bin { .. }
            )
        };
        self.facts.iter().filter(usual).map(told).collect()
    }

    /// Payload bytes counted as new, of the client and of the server.
    pub(super) fn payload(&self) -> (u64, u64) {
        let of = |side| {
            let lens = self.facts.iter().filter_map(move |event| match event {
                Event::Payload { direction, len, .. } if *direction == side => {
                    Some(u64::from(*len))
                }
                _ => None,
            });
            lens.sum()
        };
        (of(ClientToServer), of(ServerToClient))
    }
}

fn arrow(direction: Direction) -> &'static str {
    match direction {
        ClientToServer => ">",
        ServerToClient => "<",
    }
}

fn note(output: &Output<'_>, stream: &mut Vec<String>, facts: &mut Vec<Event>) {
    let line = match output {
        Output::Fact(event) => return facts.push(*event),
        Output::Stream(StreamEvent::Chunk(chunk)) => {
            let text = String::from_utf8_lossy(chunk.bytes);
            let (seen, released) = (chunk.seen.number, chunk.released.number);
            let held = match seen == released {
                true => String::new(),
                false => format!(" ({seen} by {released})"),
            };
            format!("{} {} {text}{held}", arrow(chunk.direction), chunk.offset)
        }
        Output::Stream(StreamEvent::Gap(gap)) => {
            let len = gap.len.map_or("?".to_owned(), |len| len.to_string());
            let (offset, cause, by) = (gap.offset, gap.cause.name(), gap.at.number);
            format!(
                "{} gap {offset}+{len} {cause} (by {by})",
                arrow(gap.direction)
            )
        }
        Output::Stream(StreamEvent::End(direction, at)) => {
            format!("{} end ({})", arrow(*direction), at.number)
        }
    };
    stream.push(line);
}

/// `5 > again 0+5`: the packet, the sender, what it was.
fn told(event: &Event) -> String {
    let (at, direction, what) = match *event {
        Event::Syn { direction, at, .. } => (at, direction, "syn".to_owned()),
        Event::Payload { direction, at, len } => (at, direction, format!("payload {len}")),
        Event::Retransmission {
            direction,
            at,
            offset,
            len,
            ..
        } => (at, direction, format!("again {offset}+{len}")),
        Event::Spurious { direction, at } => (at, direction, "sent in vain".to_owned()),
        Event::Bin { direction, bin } => (bin.at, direction, format!("bin {}", bin.bytes)),
        Event::OutOfOrder { direction, at } => (at, direction, "out of order".to_owned()),
        Event::Duplicate { direction, at, .. } => (at, direction, "duplicate".to_owned()),
        Event::Conflict {
            direction,
            at,
            offset,
        } => (at, direction, format!("conflict {offset}")),
        Event::Probe { direction, at } => (at, direction, "probe".to_owned()),
        Event::Acked {
            direction,
            at,
            upto,
            ..
        } => (at, direction, format!("acked {upto}")),
        Event::AckedEarly {
            direction,
            at,
            acked,
        } => (at, direction, format!("acked early in {}", acked.number)),
        Event::RoundTrip {
            direction,
            at,
            nanos,
        } => (at, direction, format!("round trip {nanos}")),
        Event::WindowClosed { direction, at } => (at, direction, "window closed".to_owned()),
        Event::WindowOpened { direction, at } => (at, direction, "window opened".to_owned()),
        Event::Fin {
            direction,
            at,
            repeated,
        } => {
            let what = if repeated { "fin again" } else { "fin" };
            (at, direction, what.to_owned())
        }
        Event::Reset(reset) => {
            let what = if reset.in_window {
                "reset"
            } else {
                "reset out of window"
            };
            (reset.at, reset.direction, what.to_owned())
        }
        Event::SentAfterReset { direction, at } => (at, direction, "sent after reset".to_owned()),
    };
    format!("{} {} {what}", at.number, arrow(direction))
}
