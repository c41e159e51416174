//! Captures made in a test: a conversation of two hosts, written as pcap or
//! pcapng, and a directory of the test's own to put it in.
#![allow(dead_code)] // Each test program uses its part of this.
#![allow(clippy::indexing_slicing)] // An index that is wrong is a test that is wrong.

use std::fs;
use std::path::{Path, PathBuf};

use etherparse::{PacketBuilder, TcpHeader};

/// Sender and receiver of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}
use Sender::{Client, Server};

/// Link types as files number them.
pub(crate) const ETHERNET: u32 = 1;
/// Kept for private use, so that nobody knows what is in it.
pub(crate) const PRIVATE: u32 = 147;
pub(crate) const NETLINK: u32 = 253;

/// One TCP connection after the other between the same two hosts, a packet a millisecond.
pub(crate) struct Conversation {
    packets: Vec<Vec<u8>>,
    /// When the first was captured, in seconds since 1970.
    began_s: u32,
    /// When each packet was captured, in milliseconds after the first.
    times: Vec<u32>,
    now_ms: u32,
    client_port: u16,
    /// Next sequence numbers of client and server.
    next: [u32; 2],
}

impl Conversation {
    pub(crate) fn new() -> Self {
        Self {
            packets: Vec::new(),
            began_s: 1_700_000_000,
            times: Vec::new(),
            now_ms: 0,
            client_port: 40_000,
            next: [0, 0],
        }
    }

    /// The capture begins at this second since 1970.
    pub(crate) fn began_at(mut self, second: u32) -> Self {
        self.began_s = second;
        self
    }

    /// The three segments that open a connection, from the next port.
    pub(crate) fn connect(mut self) -> Self {
        self.client_port += 1;
        self.next = [1_000, 9_000];
        self.segment(Client, b"", |tcp| tcp.syn = true);
        self.next[0] += 1;
        self.segment(Server, b"", |tcp| (tcp.syn, tcp.ack) = (true, true));
        self.next[1] += 1;
        self.segment(Client, b"", |tcp| tcp.ack = true);
        self
    }

    pub(crate) fn send(mut self, sender: Sender, payload: &[u8]) -> Self {
        self.segment(sender, payload, |tcp| (tcp.ack, tcp.psh) = (true, true));
        self
    }

    /// A whole frame; the client's are masked.
    pub(crate) fn frame(self, sender: Sender, opcode: u8, payload: &[u8]) -> Self {
        self.send(sender, &frame(sender, opcode, payload))
    }

    /// An opening handshake: `request` and `answer` are field lines that are added.
    pub(crate) fn upgrade(self, target: &str, request: &str, answer: &str) -> Self {
        let asked = format!(
            "GET {target} HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{request}\r\n"
        );
        let answered = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{answer}\r\n"
        );
        self.connect()
            .send(Client, asked.as_bytes())
            .send(Server, answered.as_bytes())
    }

    /// Both sides send their FIN.
    pub(crate) fn close(self) -> Self {
        [Client, Server].into_iter().fold(self, Self::fin)
    }

    /// One side sends its FIN.
    pub(crate) fn fin(mut self, sender: Sender) -> Self {
        self.segment(sender, b"", |tcp| (tcp.fin, tcp.ack) = (true, true));
        self.next[sender as usize] += 1;
        self
    }

    /// The server resets the connection, or the client does.
    pub(crate) fn reset(mut self, sender: Sender) -> Self {
        self.segment(sender, b"", |tcp| (tcp.rst, tcp.ack) = (true, true));
        self
    }

    /// A connection from the next port that the server refuses.
    pub(crate) fn refused(mut self) -> Self {
        self.client_port += 1;
        self.next = [1_000, 0];
        self.segment(Client, b"", |tcp| tcp.syn = true);
        self.next[0] += 1;
        self.reset(Server)
    }

    /// What follows comes so long after the first packet.
    pub(crate) fn at_ms(mut self, ms: u32) -> Self {
        assert!(ms >= self.now_ms, "time runs forward");
        self.now_ms = ms;
        self
    }

    /// All packets so far with a VLAN tag.
    pub(crate) fn tagged(mut self, vlan: u16) -> Self {
        for packet in &mut self.packets {
            let tag = [[0x81, 0], vlan.to_be_bytes()].concat();
            packet.splice(12..12, tag);
        }
        self
    }

    /// A packet that is whole, a millisecond after the one before.
    fn push(&mut self, packet: Vec<u8>) {
        self.packets.push(packet);
        self.times.push(self.now_ms);
        self.now_ms += 1;
    }

    pub(crate) fn udp(mut self, payload: &[u8]) -> Self {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(5_353, 53);
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).expect("a small packet");
        self.push(packet);
        self
    }

    fn segment(&mut self, sender: Sender, payload: &[u8], flags: impl FnOnce(&mut TcpHeader)) {
        let (hosts, ports, seq, ack) = match sender {
            Client => ([1, 2], [self.client_port, 80], self.next[0], self.next[1]),
            Server => ([2, 1], [80, self.client_port], self.next[1], self.next[0]),
        };
        let mut tcp = TcpHeader::new(ports[0], ports[1], seq, 500);
        flags(&mut tcp);
        if tcp.ack {
            tcp.acknowledgment_number = ack;
        }
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, hosts[0]], [10, 0, 0, hosts[1]], 64)
            .tcp_header(tcp);
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).expect("a small packet");
        self.push(packet);
        let len = u32::try_from(payload.len()).expect("a small packet");
        self.next[sender as usize] = self.next[sender as usize].wrapping_add(len);
    }

    /// A pcap file of Ethernet.
    pub(crate) fn pcap(&self) -> Vec<u8> {
        self.pcap_of(ETHERNET)
    }

    /// A pcap file that says that its packets begin with another link layer.
    pub(crate) fn pcap_of(&self, link_type: u32) -> Vec<u8> {
        let header = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, link_type];
        let mut file: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
        for (packet, ms) in self.packets.iter().zip(&self.times) {
            let len = u32::try_from(packet.len()).expect("a small packet");
            let (seconds, micros) = (self.began_s + ms / 1_000, ms % 1_000 * 1_000);
            file.extend(
                [seconds, micros, len, len]
                    .into_iter()
                    .flat_map(u32::to_le_bytes),
            );
            file.extend(packet);
        }
        file
    }

    /// A pcapng file with an interface of each link type; the packets take turns.
    pub(crate) fn pcapng(&self, link_types: &[u32]) -> Vec<u8> {
        let mut file = pcapng_block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, !0, !0]));
        for link_type in link_types {
            file.extend(pcapng_block(1, &words(&[*link_type, 262_144])));
        }
        let turns = (0_u32..u32::try_from(link_types.len()).expect("a few")).cycle();
        for (packet, interface) in self.packets.iter().zip(turns) {
            let len = u32::try_from(packet.len()).expect("a small packet");
            let mut body = words(&[interface, 0x0005_f5e1, 0, len, len]);
            body.extend(packet);
            body.resize(body.len().next_multiple_of(4), 0);
            file.extend(pcapng_block(6, &body));
        }
        file
    }
}

/// A pcapng block around its body, whose length is a multiple of four.
pub(crate) fn pcapng_block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 12).expect("a small block");
    let mut block = words(&[kind, len]);
    block.extend(body);
    block.extend(len.to_le_bytes());
    block
}

pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A WebSocket frame with FIN set; those of the client are masked (RFC 6455, section 5.3).
pub(crate) fn frame(sender: Sender, opcode: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mask = if sender == Client { 0x80 } else { 0 };
    let mut frame = vec![0x80 | opcode];
    match u16::try_from(payload.len()).expect("at most 65,535 bytes") {
        len @ 0..126 => frame.push(mask | len.to_le_bytes()[0]),
        len => {
            frame.push(mask | 126);
            frame.extend(len.to_be_bytes());
        }
    }
    if sender == Server {
        frame.extend(payload);
        return frame;
    }
    frame.extend(KEY);
    frame.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// A directory of one test, empty at first.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory below target/");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("a file below target/");
        path
    }
}
