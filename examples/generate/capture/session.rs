//! One WebSocket session: opening handshake, messages and pings, closing
//! handshake or worse.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Sha256;
use tungstenite::handshake::derive_accept_key;
use wscope::stream::{Direction, Sides};

use super::World;
use super::seal::Version;
use super::tls::Tls;
use super::truth::{Closing, SessionTruth};
use super::websocket::{Deflate, Head, Opcode, frame};
use super::wire::{SECOND, Time};
use super::{packet::Endpoint, tcp::Connection};

use Direction::{ClientToServer, ServerToClient};

/// A session and what it has sent so far.
pub(crate) struct Session {
    tcp: Connection,
    tls: Option<Tls>,
    deflate: Option<Deflate>,
    next_ping: Time,
    pings: u32,
    pub(crate) truth: SessionTruth,
}

impl Session {
    pub(crate) fn new(
        tcp_stream: usize,
        ends: [Endpoint; 2],
        tls: Option<Version>,
        world: &mut World<'_>,
    ) -> Self {
        let [client, server] = ends;
        let deflate = world.rng.percent(world.options.deflate);
        let truth = SessionTruth {
            tcp_stream,
            client: address(client),
            server: address(server),
            deflate,
            frames: Default::default(),
            messages: Default::default(),
            closing: Closing::default(),
            client_close: None,
            server_close: None,
            digests: world
                .options
                .digests
                .then(|| Sides::from_fn(|_| Sha256::default())),
        };
        let tcp = Connection::new(client, server, world.options.mss, &mut world.rng);
        let deflate = deflate.then(Deflate::new);
        Self {
            tcp,
            tls: tls.map(|version| Tls::new(version, world.options.suite)),
            deflate,
            next_ping: Time::MAX,
            pings: 0,
            truth,
        }
    }

    /// TCP's handshake, TLS's and WebSocket's; the time when the session is open.
    pub(crate) fn open(&mut self, at: Time, world: &mut World<'_>) -> Time {
        let key = STANDARD.encode(
            [
                world.rng.next().to_be_bytes(),
                world.rng.next().to_be_bytes(),
            ]
            .as_flattened(),
        );
        let request = format!(
            "GET /feed?room={} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
             Accept: */*\r\nOrigin: http://app.example\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
             Sec-WebSocket-Key: {key}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
            self.truth.tcp_stream, self.truth.server,
        );
        let extensions = match self.deflate {
            Some(_) => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            None => "",
        };
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{extensions}\r\n",
            derive_accept_key(key.as_bytes()),
        );
        let mut at = self.tcp.open(at, &mut world.wire);
        if let Some(tls) = &mut self.tls {
            for (from, flight) in tls.handshake(&mut world.rng, &mut world.key_log) {
                at = self.send(at, from, &flight, world);
            }
        }
        for (from, head) in [(ClientToServer, request), (ServerToClient, response)] {
            let mut bytes = head.into_bytes();
            self.protect(from, 0, &mut bytes);
            at = self.send(at, from, &bytes, world);
        }
        if let Some(period @ 1..) = world.options.pings.checked_mul(SECOND) {
            self.next_ping = at + world.rng.within(0..period);
        }
        at
    }

    /// A ping that is due, or a few messages from one side; the time when they have arrived.
    pub(crate) fn act(&mut self, at: Time, world: &mut World<'_>) -> Time {
        if at >= self.next_ping {
            self.next_ping = at + world.options.pings * SECOND;
            return self.ping(at, world);
        }
        let from = if world.rng.percent(50.0) {
            ClientToServer
        } else {
            ServerToClient
        };
        let together = world.rng.percent(50.0);
        let mut out = std::mem::take(&mut world.scratch.frames);
        out.clear();
        let mut end = at;
        for _ in 0..world.rng.within(1..4).min(world.messages_left()) {
            self.message(from, &mut out, world);
            // Together: the kernel puts several writes into one segment.
            if !together {
                end = self.send(end, from, &out, world);
                out.clear();
            }
        }
        end = self.send(end, from, &out, world);
        world.scratch.frames = out;
        end
    }

    /// The end: a closing handshake, or for some none.
    pub(crate) fn close(&mut self, at: Time, world: &mut World<'_>) {
        let first = if world.rng.percent(70.0) {
            ClientToServer
        } else {
            ServerToClient
        };
        let mut closing = Closing {
            kind: "abnormal",
            how: "",
            ended_by: first.sender(),
        };
        if world.rng.percent(world.options.abnormal) {
            if world.rng.percent(50.0) {
                closing.how = "rst";
                self.tcp.reset(at, first, &mut world.wire);
            } else {
                closing.how = "fin";
                self.tcp.finish(at, first, &mut world.wire);
            }
        } else {
            closing.kind = "clean";
            closing.how = "close";
            let code: u16 = if world.rng.percent(50.0) { 1000 } else { 1001 };
            let at = self.control(at, first, Opcode::Close, &code.to_be_bytes(), world);
            let at = self.control(
                at,
                first.reverse(),
                Opcode::Close,
                &code.to_be_bytes(),
                world,
            );
            let at = self.close_notify(at, world);
            self.truth.client_close = Some(code);
            self.truth.server_close = Some(code);
            // RFC 6455, section 7.1.1: the server closes the TCP connection first.
            self.tcp.finish(at, ServerToClient, &mut world.wire);
        }
        self.truth.closing = closing;
    }

    /// Nothing is sent from `from` to `until`.
    pub(crate) fn idle(&mut self, from: Time, until: Time, world: &mut World<'_>) {
        self.tcp.idle(from, until, &mut world.wire);
    }

    fn ping(&mut self, at: Time, world: &mut World<'_>) -> Time {
        self.pings += 1;
        let payload = self.pings.to_be_bytes();
        let at = self.control(at, ServerToClient, Opcode::Ping, &payload, world);
        self.control(at, ClientToServer, Opcode::Pong, &payload, world)
    }

    fn control(
        &mut self,
        at: Time,
        from: Direction,
        opcode: Opcode,
        payload: &[u8],
        world: &mut World<'_>,
    ) -> Time {
        let mut out = Vec::new();
        frame(Head::whole(opcode), payload, from, &mut world.rng, &mut out);
        self.truth.frames.sender(from).count(opcode);
        self.protect(from, 0, &mut out);
        self.send(at, from, &out, world)
    }

    /// Appends the frames of one message to `out`, written at once.
    fn message(&mut self, from: Direction, out: &mut Vec<u8>, world: &mut World<'_>) {
        let World {
            options,
            rng,
            content,
            scratch,
            sent,
            ..
        } = world;
        *sent += 1;
        let start = out.len();
        let size = options.sizes.draw(rng);
        let binary = rng.percent(options.binary);
        match binary {
            true => content.binary(size, rng, &mut scratch.payload),
            false => content.json(size, rng, &mut scratch.payload),
        }
        let payload = match &mut self.deflate {
            Some(deflate) => {
                deflate.compress(from, &scratch.payload, &mut scratch.compressed);
                &scratch.compressed
            }
            None => &scratch.payload,
        };
        let pieces = if rng.percent(options.fragmented) {
            rng.below(3) + 2
        } else {
            1
        };
        let step = payload.len().div_ceil(pieces).max(1);
        let count = payload.len().div_ceil(step);
        let mut wire_bytes = 0;
        for (index, piece) in payload.chunks(step).enumerate() {
            let opcode = match (index, binary) {
                (0, true) => Opcode::Binary,
                (0, false) => Opcode::Text,
                _ => Opcode::Continuation,
            };
            // RFC 7692, section 6: RSV1 is set on a message's first frame only.
            let compressed = self.deflate.is_some() && index == 0;
            let head = Head {
                opcode,
                last: index + 1 == count,
                compressed,
            };
            wire_bytes += frame(head, piece, from, rng, out);
            self.truth.frames.sender(from).count(opcode);
        }
        self.truth.message(from, &scratch.payload, wire_bytes);
        self.protect(from, start, out);
    }

    /// Puts what one write appended to `out` into TLS records, if the session has TLS.
    fn protect(&mut self, from: Direction, start: usize, out: &mut Vec<u8>) {
        if let Some(tls) = &mut self.tls {
            tls.seal(from, start, out);
        }
    }

    /// The end of TLS, from the server first as of TCP; nothing without TLS.
    fn close_notify(&mut self, mut at: Time, world: &mut World<'_>) -> Time {
        for from in [ServerToClient, ClientToServer] {
            if let Some(tls) = &mut self.tls {
                let alert = tls.close_notify(from);
                at = self.send(at, from, &alert, world);
            }
        }
        at
    }

    fn send(&mut self, at: Time, from: Direction, bytes: &[u8], world: &mut World<'_>) -> Time {
        let network = world.network();
        self.tcp
            .send(at, from, bytes, network, &mut world.rng, &mut world.wire)
    }
}

fn address(end: Endpoint) -> String {
    let [a, b, c, d] = end.ip;
    format!("{a}.{b}.{c}.{d}:{}", end.port)
}
