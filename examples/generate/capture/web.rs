//! Background: an HTTP keep-alive connection that never becomes a WebSocket.

use wscope::stream::Direction;

use super::World;
use super::packet::Endpoint;
use super::tcp::Connection;
use super::wire::{MS, Time};

use Direction::{ClientToServer, ServerToClient};

/// A browser's connection to a web server.
pub(crate) struct Web {
    tcp: Connection,
}

impl Web {
    pub(crate) fn new([client, server]: [Endpoint; 2], world: &mut World<'_>) -> Self {
        world.http.connections += 1;
        Self {
            tcp: Connection::new(client, server, world.options.mss, &mut world.rng),
        }
    }

    pub(crate) fn open(&mut self, at: Time, world: &mut World<'_>) -> Time {
        self.tcp.open(at, &mut world.wire)
    }

    /// One request and its response; the time when it has arrived.
    pub(crate) fn act(&mut self, at: Time, world: &mut World<'_>) -> Time {
        world.http.requests += 1;
        let mut bytes = Vec::new();
        self.request(&mut bytes, world);
        let at = self.send(at, ClientToServer, &bytes, world);
        let thinking = world.rng.within(MS..20 * MS);
        self.tcp.idle(at, at + thinking, &mut world.wire);
        bytes.clear();
        self.response(&mut bytes, world);
        self.send(at + thinking, ServerToClient, &bytes, world)
    }

    pub(crate) fn close(&mut self, at: Time, world: &mut World<'_>) {
        self.tcp.finish(at, ClientToServer, &mut world.wire);
    }

    pub(crate) fn idle(&mut self, from: Time, until: Time, world: &mut World<'_>) {
        self.tcp.idle(from, until, &mut world.wire);
    }

    /// Appends a GET, or a POST with a form.
    fn request(&self, out: &mut Vec<u8>, world: &mut World<'_>) {
        let page = world.rng.within(0..10_000);
        let host =
            "Host: app.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*";
        if world.rng.percent(80.0) {
            let head = format!("GET /page/{page} HTTP/1.1\r\n{host}\r\n\r\n");
            out.extend_from_slice(head.as_bytes());
        } else {
            let mut body = Vec::new();
            let size = world.rng.below(2_000);
            world.content.json(size, &mut world.rng, &mut body);
            let head = format!(
                "POST /form/{page} HTTP/1.1\r\n{host}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n",
                body.len(),
            );
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(&body);
        }
    }

    /// Appends a response: its body counted, or one in four chunked.
    fn response(&self, out: &mut Vec<u8>, world: &mut World<'_>) {
        let mut body = Vec::new();
        let size = super::options::Sizes::Mixed.draw(&mut world.rng) * 2;
        world.content.text(size, &mut world.rng, &mut body);
        let kind = "Content-Type: text/html; charset=utf-8\r\nConnection: keep-alive";
        if world.rng.percent(75.0) {
            let len = body.len();
            let head = format!("HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {len}\r\n\r\n");
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(&body);
            return;
        }
        let head = format!("HTTP/1.1 200 OK\r\n{kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
        out.extend_from_slice(head.as_bytes());
        // Rationale: 4 KiB is the chunk of common servers.
        for chunk in body.chunks(4_096) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
    }

    fn send(&mut self, at: Time, from: Direction, bytes: &[u8], world: &mut World<'_>) -> Time {
        let network = world.network();
        self.tcp
            .send(at, from, bytes, network, &mut world.rng, &mut world.wire)
    }
}
