//! Packets as a pcap file, and that file as a reader gets it.

use std::io::{Cursor, Read};

use wscope::stream::Direction;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// A TCP segment of the session on this client port.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) micros: i64,
    pub(crate) port: u16,
    pub(crate) from: Direction,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) ip_id: u16,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    /// IPv4 and TCP; nobody looks at checksums.
    fn bytes(&self) -> Vec<u8> {
        let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let (from, to, ports) = match self.from {
            Direction::ClientToServer => (client, server, [self.port, 8_080]),
            Direction::ServerToClient => (server, client, [8_080, self.port]),
        };
        let total = u16::try_from(40 + self.payload.len()).unwrap();
        let mut bytes = vec![0x45, 0];
        bytes.extend(total.to_be_bytes());
        bytes.extend(self.ip_id.to_be_bytes());
        bytes.extend([0x40, 0, 64, 6, 0, 0]);
        bytes.extend(from.iter().chain(&to));
        bytes.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        // A bare reset has no socket behind it that could offer a window.
        let window = if self.flags == RST { 0 } else { 0x20 };
        bytes.extend([0x50, self.flags, window, 0, 0, 0, 0, 0]);
        bytes.extend(&self.payload);
        bytes
    }
}

/// A pcap of raw IP (link type 101).
pub(crate) fn pcap(packets: &[Packet]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 101] {
        file.extend(word.to_le_bytes());
    }
    for packet in packets {
        let bytes = packet.bytes();
        let len = u32::try_from(bytes.len()).unwrap();
        let seconds = u32::try_from(1_700_000_000 + packet.micros / 1_000_000).unwrap();
        let micros = u32::try_from(packet.micros % 1_000_000).unwrap();
        for word in [seconds, micros, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(bytes);
    }
    file
}

/// Hands out at most `most` bytes a read.
pub(crate) struct Trickle {
    bytes: Cursor<Vec<u8>>,
    most: usize,
}

impl Trickle {
    pub(crate) fn new(bytes: Vec<u8>, most: usize) -> Self {
        Self {
            bytes: Cursor::new(bytes),
            most,
        }
    }
}

impl Read for Trickle {
    fn read(&mut self, free: &mut [u8]) -> std::io::Result<usize> {
        let len = free.len().min(self.most);
        self.bytes.read(&mut free[..len])
    }
}
