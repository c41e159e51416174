//! Traffic for tests, as a little play: who sends what, and when.
//!
//! ```ignore
//! let told = Script::new().upgrade().client_text("hi").wait_s(60.0).server_fin().told();
//! assert_eq!(told.ids(), ["close-1006-peer-fin"]);
//! ```
//!
//! Every packet takes 1 ms; payload is acknowledged by the peer 1 ms later
//! unless `silent(..)` says otherwise. Packet numbers count from 1.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the sizes and times of a play are small and positive"
)]

pub(crate) mod hello;
mod sealed;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::diagnosis::{Finding, Thresholds, diagnose, diagnose_capture, merge_legs};
use crate::packet::{Endpoint, Flags, IcmpError, Options as TcpOptions, Segment, Seq};
use crate::pipeline::{Analyzer, Finished, Options};
use crate::session::{Attempt, Capture, Record, Session};
use crate::stream::{Direction, PacketRef, Sides};
use crate::time::Timestamp;
use crate::websocket::Wants;
use Direction::{ClientToServer, ServerToClient};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A capture in the making.
pub(crate) struct Script {
    analyzer: Analyzer,
    finished: Vec<Finished>,
    now_us: i64,
    number: u64,
    ports: (u16, u16),
    /// The last byte of the client's address.
    host: u8,
    next: Sides<u32>,
    ip_id: Sides<u16>,
    ttl: Sides<u8>,
    silent: Sides<bool>,
    window: Sides<u16>,
    mss: Option<u16>,
    /// Segments carry the timestamps option.
    stamped: bool,
    /// So much later than they were sent the capture sees segments.
    late_us: i64,
    /// The last byte of the server's address.
    server_host: u8,
    /// The connections of a chain of proxies that are not played on: hosts,
    /// ports and next numbers.
    legs: [Ends; 3],
    /// Which of them is.
    depth: usize,
    /// Every segment is seen again 0.2 ms later, one hop on, from this client
    /// host, with these added to the sequence numbers.
    translated: Option<(u8, Sides<u32>)>,
    /// Packets of this sender are not in the capture.
    hidden: Sides<bool>,
    /// Segments that are captured in the reverse of the order in which they were sent.
    backwards: Option<Vec<(Segment<'static>, Vec<u8>)>>,
    /// Where the connections stand that were left for others, by client host and ports.
    left: BTreeMap<(u8, (u16, u16)), Sides<u32>>,
}

/// Which connection, and where it stands.
#[derive(Clone, Copy)]
struct Ends {
    hosts: (u8, u8),
    ports: (u16, u16),
    next: Sides<u32>,
}

fn leg(host: u8, server_port: u16) -> Ends {
    let number = u32::from(host) * 100_000;
    Ends {
        hosts: (host, host + 1),
        ports: (50_000 + u16::from(host), server_port),
        next: Sides {
            client: number,
            server: number + 10_000,
        },
    }
}

/// What came of it.
pub(crate) struct Told {
    pub(crate) sessions: Vec<Session>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) capture: Capture,
    pub(crate) findings: Vec<Finding>,
    /// Messages and control frames, where they were asked for.
    pub(crate) records: Vec<Record>,
}

impl Told {
    /// The ids of all findings, sorted, each once.
    pub(crate) fn ids(&self) -> Vec<&'static str> {
        let mut ids: Vec<_> = self
            .findings
            .iter()
            .map(|finding| finding.rule.id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The findings of this rule.
    pub(crate) fn of(&self, id: &str) -> Vec<&Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.rule.id == id)
            .collect()
    }

    /// The only finding of this rule.
    pub(crate) fn only(&self, id: &str) -> &Finding {
        match self.of(id).as_slice() {
            [finding] => finding,
            other => panic!("{} findings of {id}; all: {:?}", other.len(), self.ids()),
        }
    }
}

impl Script {
    /// An empty capture.
    pub(crate) fn new() -> Self {
        Self {
            analyzer: Analyzer::new(Options::default()),
            finished: Vec::new(),
            now_us: 1_000_000,
            number: 0,
            ports: (40_001, 8_080),
            host: 1,
            next: Sides {
                client: 1_000,
                server: 9_000,
            },
            ip_id: Sides {
                client: 100,
                server: 500,
            },
            ttl: Sides {
                client: 64,
                server: 64,
            },
            silent: Sides::default(),
            window: Sides {
                client: 500,
                server: 500,
            },
            mss: None,
            stamped: false,
            late_us: 0,
            server_host: 2,
            legs: [leg(1, 8_080), leg(2, 9_000), leg(3, 9_000)],
            depth: 0,
            translated: None,
            hidden: Sides::default(),
            backwards: None,
            left: BTreeMap::new(),
        }
    }

    // --- time and ends -------------------------------------------------

    /// Lets time pass.
    pub(crate) fn wait_s(mut self, seconds: f64) -> Self {
        self.now_us += (seconds * 1e6) as i64;
        self
    }

    /// From now on packets are of another connection, from this client port.
    pub(crate) fn at_port(mut self, port: u16) -> Self {
        self.leave();
        self.ports.0 = port;
        self.begin();
        self
    }

    /// From now on packets are of a connection of this client host, 10.0.0.x (one more from 2 on: that is the server).
    pub(crate) fn at_host(mut self, last: u8) -> Self {
        self.leave();
        self.host = if last >= 2 { last + 1 } else { last };
        self.begin();
        self
    }

    /// Goes on with the connection of this client host and port where it was left.
    pub(crate) fn resume(mut self) -> Self {
        if let Some(next) = self.left.get(&(self.host, self.ports)) {
            self.next = *next;
        }
        self
    }

    fn leave(&mut self) {
        self.left.insert((self.host, self.ports), self.next);
    }

    fn begin(&mut self) {
        let port = u32::from(self.ports.0);
        self.next = Sides {
            client: 1_000 + port,
            server: 9_000 + port,
        };
    }

    /// From now on packets are of a connection to this server port.
    pub(crate) fn at_server_port(mut self, port: u16) -> Self {
        self.ports.1 = port;
        let client = self.ports.0;
        self.at_port(client)
    }

    /// Meanwhile something happens on another connection, from this client port.
    pub(crate) fn elsewhere(self, port: u16, play: impl FnOnce(Self) -> Self) -> Self {
        let (own, next) = (self.ports.0, self.next);
        let mut this = play(self.at_port(port));
        this.ports.0 = own;
        this.next = next;
        this
    }

    /// Something happens on the connection from this client port, which goes on where it was left.
    pub(crate) fn on_port(mut self, port: u16, play: impl FnOnce(Self) -> Self) -> Self {
        self = self.at_port(port).resume();
        let mut this = play(self);
        this.leave();
        this
    }

    /// Meanwhile something happens on the connection from this one's server, a
    /// proxy, to its backend; the same one every time.
    pub(crate) fn behind(mut self, play: impl FnOnce(Self) -> Self) -> Self {
        let own = self.exchange(self.depth + 1);
        let mut this = play(self);
        this.exchange(own);
        this
    }

    /// The proxy dials its backend from this host from now on.
    pub(crate) fn proxy_dials_from(mut self, last: u8) -> Self {
        self.legs[1].hosts.0 = last;
        self
    }

    /// Goes on with another connection of the chain; returns which one it was.
    fn exchange(&mut self, depth: usize) -> usize {
        self.legs[self.depth] = Ends {
            hosts: (self.host, self.server_host),
            ports: self.ports,
            next: self.next,
        };
        let Ends { hosts, ports, next } = self.legs[depth];
        (self.host, self.server_host) = hosts;
        (self.ports, self.next) = (ports, next);
        std::mem::replace(&mut self.depth, depth)
    }

    /// From now on the capture has each segment a second time, from behind an
    /// address translation to the client host 10.0.0.x that adds these to the sequence numbers.
    pub(crate) fn translated(mut self, host: u8, client: u32, server: u32) -> Self {
        self.translated = Some((host, Sides { client, server }));
        self
    }

    /// From now on segments are seen before the translation only.
    pub(crate) fn inside_only(mut self) -> Self {
        self.translated = None;
        self
    }

    /// What happens in `play` is not in the capture.
    pub(crate) fn unseen(mut self, play: impl FnOnce(Self) -> Self) -> Self {
        let before = self.hidden;
        self.hidden = Sides {
            client: true,
            server: true,
        };
        let mut this = play(self);
        this.hidden = before;
        this
    }

    /// From now on only this side's packets are in the capture.
    pub(crate) fn only(mut self, side: Direction) -> Self {
        self.hidden[side.reverse()] = true;
        self
    }

    /// This side's TCP acknowledges nothing any more (true) or again (false).
    pub(crate) fn silent(mut self, side: Direction, silent: bool) -> Self {
        self.silent[side] = silent;
        self
    }

    /// This side's packets have this TTL from now on.
    pub(crate) fn ttl(mut self, side: Direction, ttl: u8) -> Self {
        self.ttl[side] = ttl;
        self
    }

    /// SYNs announce this maximum segment size from now on.
    pub(crate) fn mss(mut self, mss: u16) -> Self {
        self.mss = Some(mss);
        self
    }

    /// What is played is in the file, and stamped, in the reverse of the order in which it was sent.
    pub(crate) fn stamped_backwards(self, play: impl FnOnce(Self) -> Self) -> Self {
        self.backwards(play, true)
    }

    /// What is played is in the file in the reverse of the order in which it was sent and stamped.
    pub(crate) fn written_backwards(self, play: impl FnOnce(Self) -> Self) -> Self {
        self.backwards(play, false)
    }

    fn backwards(mut self, play: impl FnOnce(Self) -> Self, stamps: bool) -> Self {
        self.backwards = Some(Vec::new());
        let mut played = play(self);
        let segments = played.backwards.take().unwrap_or_default();
        let places: Vec<PacketRef> = segments.iter().map(|(segment, _)| segment.at).collect();
        for ((mut segment, payload), place) in segments.into_iter().rev().zip(places) {
            segment.at.number = place.number;
            if stamps {
                segment.at.time = place.time;
            }
            segment.payload = &payload;
            played.analyzer.push_segment(&segment, &mut played.finished);
        }
        played
    }

    /// Segments carry the timestamps option from now on.
    pub(crate) fn stamped(mut self) -> Self {
        self.stamped = true;
        self
    }

    /// Ends the capture and asks all rules.
    pub(crate) fn told(mut self) -> Told {
        let mut records = Vec::new();
        let keep = |record| records.push(record);
        let capture = self.analyzer.finish(&mut self.finished, keep);
        let (mut sessions, mut attempts) = (Vec::new(), Vec::new());
        for finished in self.finished {
            match finished {
                Finished::Session(session) => sessions.push(*session),
                Finished::Attempt(attempt) => attempts.push(*attempt),
            }
        }
        sessions.sort_by_key(|session| session.id);
        let thresholds = Thresholds::default();
        let mut findings = Vec::new();
        for session in &sessions {
            findings.extend(diagnose(session, &capture, &thresholds));
        }
        findings.extend(diagnose_capture(
            &sessions,
            &attempts,
            &capture,
            &thresholds,
        ));
        merge_legs(&mut findings, &sessions);
        Told {
            sessions,
            attempts,
            capture,
            findings,
            records,
        }
    }

    /// Keep what a timeline needs; to be asked for first.
    pub(crate) fn watched(mut self) -> Self {
        let wants = Wants {
            payload: Some(512),
            sha256: false,
        };
        self.analyzer = Analyzer::new(Options {
            records: true,
            timeline: true,
            wants,
            ..Options::default()
        });
        self
    }

    // --- TCP -------------------------------------------------------------

    /// SYN, SYN-ACK, ACK.
    pub(crate) fn handshake(self) -> Self {
        self.syn()
            .flags(ServerToClient, Flags::SYN | Flags::ACK)
            .flags(ClientToServer, Flags::ACK)
    }

    /// A SYN alone.
    pub(crate) fn syn(self) -> Self {
        self.flags(ClientToServer, Flags::SYN)
    }

    /// The same SYN again.
    pub(crate) fn syn_again(mut self) -> Self {
        self.next.client = self.next.client.wrapping_sub(1);
        self.syn()
    }

    /// A segment without payload.
    pub(crate) fn flags(mut self, from: Direction, flags: u8) -> Self {
        self.send(from, flags, &[], 0);
        let counts = flags & (Flags::SYN | Flags::FIN) != 0;
        self.next[from] = self.next[from].wrapping_add(u32::from(counts));
        self
    }

    /// FIN, acknowledged by the peer unless it is silent.
    pub(crate) fn fin(self, from: Direction) -> Self {
        let this = self.flags(from, Flags::FIN | Flags::ACK);
        if this.silent[from.reverse()] {
            this
        } else {
            this.flags(from.reverse(), Flags::ACK)
        }
    }

    /// A reset of a living socket: RST, ACK, the count goes on.
    pub(crate) fn rst(self, from: Direction) -> Self {
        self.flags(from, Flags::RST | Flags::ACK)
    }

    /// A reset of a host that has no such socket: no ACK, no window, IP-ID 0.
    pub(crate) fn bare_rst(mut self, from: Direction) -> Self {
        let (window, id) = (self.window[from], self.ip_id[from]);
        self.window[from] = 0;
        self.ip_id[from] = u16::MAX;
        self.send(from, Flags::RST, &[], 0);
        self.window[from] = window;
        self.ip_id[from] = id;
        self
    }

    /// The server refuses the SYN.
    pub(crate) fn refuse(mut self) -> Self {
        self.next.server = 0;
        self.flags(ServerToClient, Flags::RST | Flags::ACK)
    }

    /// A router says that the last segment of the client can't be delivered.
    pub(crate) fn unreachable(mut self, kind: u8, code: u8) -> Self {
        let at = self.tick();
        let (from, to) = self.endpoints(ClientToServer);
        let reporter = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 254));
        let seq = Seq(self.next.client);
        self.analyzer.push_icmp(&IcmpError {
            at,
            reporter,
            kind,
            code,
            v6: false,
            from,
            to,
            seq,
        });
        self
    }

    /// Payload in one segment, then the peer's ACK.
    pub(crate) fn bytes(mut self, from: Direction, payload: &[u8]) -> Self {
        self.send(from, Flags::ACK | Flags::PSH, payload, payload.len());
        self.next[from] = self.next[from].wrapping_add(payload.len() as u32);
        if self.silent[from.reverse()] {
            self
        } else {
            self.flags(from.reverse(), Flags::ACK)
        }
    }

    /// Payload in one segment that was captured twice, so many milliseconds
    /// apart, then the peer's ACK.
    pub(crate) fn twice(mut self, from: Direction, payload: &[u8], apart_ms: i64) -> Self {
        self.send(from, Flags::ACK | Flags::PSH, payload, payload.len());
        self.ip_id[from] = self.ip_id[from].wrapping_sub(1);
        self.now_us += (apart_ms - 1) * 1_000;
        self.late_us = apart_ms * 1_000;
        self.send(from, Flags::ACK | Flags::PSH, payload, payload.len());
        self.late_us = 0;
        self.next[from] = self.next[from].wrapping_add(payload.len() as u32);
        self.flags(from.reverse(), Flags::ACK)
    }

    /// Payload that the capture lacks; the network delivers it, unless the peer is silent.
    pub(crate) fn uncaptured(mut self, from: Direction, payload: &[u8]) -> Self {
        self.next[from] = self.next[from].wrapping_add(payload.len() as u32);
        if self.silent[from.reverse()] {
            self
        } else {
            self.flags(from.reverse(), Flags::ACK)
        }
    }

    /// The last `len` bytes again, as a retransmission.
    pub(crate) fn again(mut self, from: Direction, payload: &[u8]) -> Self {
        let next = self.next[from];
        self.next[from] = next.wrapping_sub(payload.len() as u32);
        self.send(from, Flags::ACK | Flags::PSH, payload, payload.len());
        self.next[from] = next;
        self
    }

    /// Payload of which the snap length left only the first `kept` bytes.
    pub(crate) fn cut(mut self, from: Direction, payload: &[u8], kept: usize) -> Self {
        self.send(from, Flags::ACK, &payload[..kept], payload.len());
        self.next[from] = self.next[from].wrapping_add(payload.len() as u32);
        self.flags(from.reverse(), Flags::ACK)
    }

    /// This side's segments advertise this window from now on.
    pub(crate) fn window(mut self, side: Direction, window: u16) -> Self {
        self.window[side] = window;
        self
    }

    /// This side advertises this window now, without payload.
    pub(crate) fn update(self, side: Direction, window: u16) -> Self {
        self.window(side, window).flags(side, Flags::ACK)
    }

    /// A TCP keep-alive, and the peer's answer.
    pub(crate) fn keep_alive(mut self, from: Direction) -> Self {
        let next = self.next[from];
        self.next[from] = next.wrapping_sub(1);
        self.send(from, Flags::ACK, &[], 0);
        self.next[from] = next;
        self.flags(from.reverse(), Flags::ACK)
    }

    // --- HTTP --------------------------------------------------------------

    /// TCP handshake, an upgrade request of Python's websockets and its 101.
    pub(crate) fn upgrade(self) -> Self {
        self.upgrade_with("User-Agent: Python/3.11 websockets/17.4\r\n", "")
    }

    /// The same with these header lines more (each ended by CRLF) in the request and in the 101.
    pub(crate) fn upgrade_with(self, request: &str, response: &str) -> Self {
        self.handshake().request(request).accept(response)
    }

    /// An upgrade request for /ws with these header lines more.
    pub(crate) fn request(self, more: &str) -> Self {
        let head = format!(
            "GET /ws HTTP/1.1\r\nHost: ws.example.test:8080\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
        );
        self.bytes(ClientToServer, head.as_bytes())
    }

    /// The 101 that fits `request`, with these header lines more.
    pub(crate) fn accept(self, more: &str) -> Self {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\n{more}\r\n"
        );
        self.bytes(ServerToClient, head.as_bytes())
    }

    /// Another answer: `status` is `404 Not Found`; Content-Length is added.
    pub(crate) fn answer(self, status: &str, more: &str, body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.bytes(ServerToClient, head.as_bytes())
    }

    // --- WebSocket -----------------------------------------------------------

    /// A frame: first byte as given (FIN, RSV, opcode), masked if the client sends it.
    pub(crate) fn frame(self, from: Direction, first: u8, payload: &[u8]) -> Self {
        // A key of its own for each frame, as RFC 6455, section 5.3 wants it.
        let key = self.next[from].wrapping_mul(0x5bd1_e995).rotate_left(13) ^ u32::from(first);
        let mask = (from == ClientToServer).then_some(key.to_be_bytes());
        let frame = frame_with(first, payload, mask);
        self.bytes(from, &frame)
    }

    /// A text message in one frame.
    pub(crate) fn text(self, from: Direction, text: &str) -> Self {
        self.frame(from, 0x81, text.as_bytes())
    }

    /// A Ping.
    pub(crate) fn ping(self, from: Direction, payload: &[u8]) -> Self {
        self.frame(from, 0x89, payload)
    }

    /// A Pong.
    pub(crate) fn pong(self, from: Direction, payload: &[u8]) -> Self {
        self.frame(from, 0x8a, payload)
    }

    /// A Close frame with a code and a reason.
    pub(crate) fn close(self, from: Direction, code: u16, reason: &str) -> Self {
        let mut body = code.to_be_bytes().to_vec();
        body.extend_from_slice(reason.as_bytes());
        self.frame(from, 0x88, &body)
    }

    /// Close 1000 from `first`, its echo, and FINs from the server and the client.
    pub(crate) fn clean_close(self, first: Direction) -> Self {
        self.close(first, 1000, "")
            .close(first.reverse(), 1000, "")
            .fin(ServerToClient)
            .fin(ClientToServer)
    }

    // --- inside ----------------------------------------------------------------

    fn tick(&mut self) -> PacketRef {
        self.now_us += 1_000;
        self.number += 1;
        PacketRef {
            time: Timestamp::from_nanos(self.now_us * 1_000),
            number: self.number,
            source: 0,
            epoch: Default::default(),
        }
    }

    fn endpoints(&self, from: Direction) -> (Endpoint, Endpoint) {
        let client = Endpoint {
            ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, self.host)),
            port: self.ports.0,
        };
        let server = Endpoint {
            ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, self.server_host)),
            port: self.ports.1,
        };
        if from == ClientToServer {
            (client, server)
        } else {
            (server, client)
        }
    }

    fn send(&mut self, from: Direction, flags: u8, payload: &[u8], wire_len: usize) {
        if self.hidden[from] {
            self.now_us += 1_000;
            self.ip_id[from] = self.ip_id[from].wrapping_add(1);
            return;
        }
        let at = self.tick();
        self.ip_id[from] = self.ip_id[from].wrapping_add(1);
        let (sender, receiver) = self.endpoints(from);
        let sent_ms = ((self.now_us - self.late_us) / 1_000) as u32;
        let segment = Segment {
            at,
            from: sender,
            to: receiver,
            seq: Seq(self.next[from]),
            ack: Seq(self.next[from.reverse()]),
            flags: Flags(flags),
            window: self.window[from],
            options: TcpOptions {
                mss: self.mss.filter(|_| flags & Flags::SYN != 0),
                timestamps: self.stamped.then_some((sent_ms, 0)),
                ..TcpOptions::default()
            },
            ttl: self.ttl[from],
            ip_id: Some(self.ip_id[from]),
            payload,
            wire_len: wire_len as u32,
        };
        if let Some(backwards) = &mut self.backwards {
            let bare = Segment {
                payload: &[],
                ..segment
            };
            backwards.push((bare, payload.to_vec()));
            return;
        }
        self.analyzer.push_segment(&segment, &mut self.finished);
        let Some((host, more)) = self.translated else {
            return;
        };
        let client = self.endpoints(ClientToServer).0;
        let outside = |endpoint: Endpoint| match endpoint == client {
            true => Endpoint {
                ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)),
                port: 61_000,
            },
            false => endpoint,
        };
        self.number += 1;
        let mut copy = segment;
        copy.at.number = self.number;
        copy.at.time = Timestamp::from_nanos(self.now_us * 1_000 + 200_000);
        (copy.from, copy.to) = (outside(sender), outside(receiver));
        copy.seq = Seq(segment.seq.0.wrapping_add(more[from]));
        copy.ack = Seq(segment.ack.0.wrapping_add(more[from.reverse()]));
        copy.ttl = copy.ttl.saturating_sub(1);
        self.analyzer.push_segment(&copy, &mut self.finished);
    }
}

/// A frame's bytes, with a masking key of its payload's length.
pub(crate) fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let key = 0x5bd1_e995_u32.wrapping_mul(payload.len() as u32 + 7) ^ u32::from(first);
    frame_with(first, payload, masked.then_some(key.to_be_bytes()))
}

/// A frame's bytes, masked if there is a key.
pub(crate) fn frame_with(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = vec![first];
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..126 => bytes.push(mask_bit | len as u8),
        len @ 126..65_536 => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if let Some(key) = mask {
        bytes.extend_from_slice(&key);
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
    } else {
        bytes.extend_from_slice(payload);
    }
    bytes
}

#[test]
fn a_healthy_session_has_nothing_to_report() {
    let told = Script::new()
        .upgrade()
        .text(ClientToServer, "hi")
        .text(ServerToClient, "ho")
        .clean_close(ClientToServer)
        .told();
    assert_eq!(told.sessions.len(), 1);
    let errors: Vec<_> = told
        .findings
        .iter()
        .filter(|f| f.severity != crate::diagnosis::Severity::Info)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(told.capture.tcp_connections, 1);
    assert!(told.attempts.is_empty());
}
