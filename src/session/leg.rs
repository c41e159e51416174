//! What TCP showed of one connection: the transport side of a session's record.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::http::{Proxied, Tunnel};
use crate::stream::{Direction, Gap, GapCause, PacketRef, Sides};
use crate::tcp::Reset;

use super::flow::Flow;
use super::rare::Rare;
use super::rtt::RttSeries;
use super::stalls::{Silence, Unacked, ZeroWindow};

/// How it is known which side is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// A SYN, or a SYN-ACK, was captured.
    Syn,
    /// The first bytes told: a request, a ClientHello, a masked frame.
    Payload,
    /// Nobody told; the sender of the first packet is taken for the client.
    Provisional,
}

/// An ICMP error about this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Its packet.
    pub at: PacketRef,
    /// Who reported it.
    pub reporter: IpAddr,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// ICMPv6 rather than ICMP.
    pub v6: bool,
}

/// One TCP connection's facts.
#[derive(Clone, Debug)]
pub struct Leg {
    /// Wireshark's `tcp.stream`.
    pub tcp_stream: u32,
    /// The side that opened the connection.
    pub client: SocketAddr,
    /// The other side.
    pub server: SocketAddr,
    /// How that is known.
    pub orientation: Orientation,
    /// The client that a PROXY protocol header names.
    pub forwarded_for: Option<SocketAddr>,
    /// All that this header says, and its first packet.
    pub proxied: Option<(Box<Proxied>, PacketRef)>,
    /// The tunnels that its bytes go through, the outermost first. `server` is
    /// the first proxy then.
    pub via: Vec<Tunnel>,
    /// The first packet.
    pub first: PacketRef,
    /// The newest packet of each sender.
    pub last_packet: Sides<Option<PacketRef>>,
    /// The newest packet, whoever sent it.
    pub(super) newest_packet: Option<PacketRef>,
    /// The packet before the newest one, whoever sent it.
    pub previous_packet: Option<PacketRef>,
    /// The packet before the newest one of each sender.
    pub(super) heard_before: Sides<Option<PacketRef>>,
    /// How each sender's payload flowed.
    pub flow: Sides<Box<Flow>>,
    /// SYNs (client) and SYN-ACKs (server), repeated ones included; the first 16.
    pub syns: Sides<Vec<PacketRef>>,
    /// All of them.
    pub syn_count: Sides<u32>,
    /// The first packet of the client after the SYN-ACK.
    pub established: Option<PacketRef>,
    /// The first payload of each sender.
    pub first_payload: Sides<Option<PacketRef>>,
    /// The newest payload, acknowledged or not.
    pub last_payload: Sides<Option<PacketRef>>,
    /// The newest payload that was acknowledged, and its acknowledgment.
    pub last_delivered: Sides<Option<(PacketRef, PacketRef)>>,
    /// All bytes of each sender before this stream offset were acknowledged.
    pub acked_upto: Sides<u64>,
    /// What waits for an acknowledgment.
    pub unacked: Sides<Unacked>,
    /// Payload bytes on the wire, each counted once.
    pub payload_bytes: Sides<u64>,
    /// The maximum segment size that each side announced: what its *peer* may send it.
    pub mss: Sides<Option<u16>>,
    /// The largest segment of each sender: its payload and its packet.
    pub largest_segment: Sides<Option<(u32, PacketRef)>>,
    /// The longest time without payload from anyone that payload ended.
    pub longest_silence: Duration,
    /// The longest such times, longest first: at most 3.
    pub silences: Vec<Silence>,
    /// Segments sent again.
    pub retransmissions: Sides<u64>,
    /// The newest of them.
    pub last_retransmission: Sides<Option<PacketRef>>,
    /// Segments overtaken on their way.
    pub out_of_order: Sides<u64>,
    /// Packets captured twice.
    pub duplicates: u64,
    /// The first of them.
    pub first_duplicate: Option<PacketRef>,
    /// Keep-alive and zero-window probes.
    pub probes: Sides<u64>,
    /// Bytes sent again with another content: the first 16.
    pub conflicts: Vec<(Direction, PacketRef)>,
    /// Round trips between the capture point and each side.
    pub rtt: Sides<RttSeries>,
    /// Zero windows, by the side that advertised them.
    pub zero_window: Sides<Rare<ZeroWindow>>,
    /// The first FIN of each sender.
    pub fin: Sides<Option<PacketRef>>,
    /// Resets: the first 16.
    pub resets: Vec<Reset>,
    /// A claimed sender of a reset went on sending: the first such packet.
    pub sent_after_reset: Sides<Option<PacketRef>>,
    /// Bytes that are missing: the first 16 gaps.
    pub gaps: Vec<Gap>,
    /// Gaps and missing bytes by cause, those that began mid-stream not counted in bytes.
    pub missing: Vec<(GapCause, u64, u64)>,
    /// ICMP errors about it: the first 16.
    pub unreachable: Vec<Unreachable>,
    /// What TLS showed, where it is spoken.
    pub tls: Option<Box<super::Tls>>,
    /// What a timeline shows of it, where somebody asked for one.
    pub timeline: Option<Box<super::Timeline>>,
}

impl Leg {
    /// A connection of which `first` is the first packet.
    pub fn new(tcp_stream: u32, client: SocketAddr, server: SocketAddr, first: PacketRef) -> Self {
        Self {
            tcp_stream,
            client,
            server,
            orientation: Orientation::Provisional,
            forwarded_for: None,
            proxied: None,
            via: Vec::new(),
            first,
            last_packet: Sides::default(),
            newest_packet: None,
            previous_packet: None,
            heard_before: Sides::default(),
            flow: Sides::default(),
            syns: Sides::default(),
            syn_count: Sides::default(),
            established: None,
            first_payload: Sides::default(),
            last_payload: Sides::default(),
            last_delivered: Sides::default(),
            acked_upto: Sides::default(),
            unacked: Sides::default(),
            payload_bytes: Sides::default(),
            mss: Sides::default(),
            largest_segment: Sides::default(),
            longest_silence: Duration::ZERO,
            silences: Vec::new(),
            retransmissions: Sides::default(),
            last_retransmission: Sides::default(),
            out_of_order: Sides::default(),
            duplicates: 0,
            first_duplicate: None,
            probes: Sides::default(),
            conflicts: Vec::new(),
            rtt: Sides::default(),
            zero_window: Sides::default(),
            fin: Sides::default(),
            resets: Vec::new(),
            sent_after_reset: Sides::default(),
            gaps: Vec::new(),
            missing: Vec::new(),
            unreachable: Vec::new(),
            tls: None,
            timeline: None,
        }
    }

    /// There are more gaps than those that were kept.
    pub fn gaps_left_out(&self) -> bool {
        let counted: u64 = self.missing.iter().map(|(_, count, _)| *count).sum();
        counted > self.gaps.len() as u64
    }

    /// The receiver said that it has what is missing: the network isn't to
    /// blame. Where nothing of the receiver was captured, nobody can tell.
    pub fn is_acknowledged(&self, gap: &Gap) -> bool {
        self.last_packet[gap.direction.reverse()].is_none()
            || gap.offset < self.acked_upto[gap.direction]
    }

    /// The newest payload of either side.
    pub fn last_payload_any(&self) -> Option<PacketRef> {
        self.last_payload.client.max(self.last_payload.server)
    }

    /// The newest payload of this side that its peer took, as far as that can
    /// be seen: data sent into a void doesn't end a silence. Where no
    /// acknowledgment of the peer was captured at all, the newest payload.
    pub fn last_taken(&self, direction: Direction) -> Option<PacketRef> {
        match self.last_packet[direction.reverse()] {
            Some(_) => self.last_delivered[direction].map(|(payload, _)| payload),
            None => self.last_payload[direction],
        }
    }

    /// Whom the client talks to in the end: the target of the innermost tunnel,
    /// or the server.
    pub fn far_end(&self) -> String {
        self.via
            .last()
            .and_then(|tunnel| tunnel.target.clone())
            .unwrap_or_else(|| self.server.to_string())
    }

    /// The newest packet of either side.
    pub fn last_packet_any(&self) -> PacketRef {
        self.last_packet
            .client
            .max(self.last_packet.server)
            .unwrap_or(self.first)
    }

    /// Both directions were captured.
    pub fn both_ways(&self) -> bool {
        self.last_packet.client.is_some() && self.last_packet.server.is_some()
    }

    /// Bytes are missing that were on the wire.
    pub fn has_loss(&self, cause: GapCause) -> bool {
        self.missing.iter().any(|(c, ..)| *c == cause)
    }
}
