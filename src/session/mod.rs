//! What happened: the facts of all layers, one record per WebSocket session.
//!
//! Facts only. What they mean, and every threshold, is `diagnosis`' business.

mod attempt;
mod capture;
mod certificate;
mod clock;
mod counts;
mod credential;
mod distribution;
mod handshake;
mod identity;
mod jwt;
mod keepalive;
mod leg;
mod legs;
mod pattern;
mod record;
pub mod redact;
mod rtt;
mod selector;
mod signs;
mod stalls;
mod story;
mod tls;
mod translated;
mod tunnel;

pub use attempt::Attempt;
pub use capture::{
    Capture, CaptureFile, Damage, Dialled, Filtered, GapTotal, Lead, MoreAttempts, Tally, TlsTotals,
};
pub use certificate::CertificateProblem;
pub use clock::{ClockStep, Clocks, Skew};
pub use counts::{FrameCounts, MessageCounts};
pub use credential::{Credential, Place, TokenDamage, credentials_of};
pub use distribution::Distribution;
pub use handshake::{FoundBy, Handshake, MidStream};
pub use identity::Identity;
pub use jwt::{Jwt, JwtDamage};
pub use keepalive::{Exchange, Interval, Ping, PingLedger, PongKind};
pub use leg::{Leg, Orientation, Unreachable};
pub use legs::join_legs;
pub use record::{Record, RecordKind};
pub use rtt::RttSeries;
pub use selector::{Condition, Key, Selector, Wanted};
pub use stalls::{Silence, Unacked, ZeroWindow};
pub use story::{Joined, Origin, Outline, Party, Proof, Role, Sign, SignKind, Story, StoryLeg};
pub use tls::{AlertSeen, Chosen, Sealed, Tls, version_name};
pub use translated::{FarSide, SameAs};
pub use tunnel::{OpenedTunnel, OpenedTunnels, TunnelRequest, TunnelRequests};

#[cfg(test)]
pub(crate) use jwt::tests::token as jwt_for_tests;

// The layers' words for what they noticed are the session's too: diagnosis and
// report take them from here and know no layer.
pub use crate::http::{
    Agreement, DeflateParameters, HandshakeBreach, Lookalike, Proxied, ProxyFault, Request,
    Response, Tunnel, TunnelKind,
};
pub use crate::tcp::Reset;
pub use crate::tls::{Alert, Certificate, ClientHello, ServerHello, Undecrypted};
pub use crate::websocket::Confidence as FrameConfidence;
pub use crate::websocket::{Breach, CloseFrame, Control, Frame, Message, Opcode};

use crate::stream::{Direction, Gap, GapCause, PacketRef, Sides};
use crate::{http, tcp, websocket};

/// Rationale: a report names the first few; all are counted.
const BREACHES_KEPT: usize = 64;

/// What the session made of a WebSocket fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A Ping, and the time since the same side's Ping before.
    Ping {
        /// That time; `None` for the first.
        gap: Option<std::time::Duration>,
        /// Its Pong, where that was told of before the Ping.
        answer: Option<Exchange>,
    },
    /// A Pong.
    Pong(PongKind),
    /// Nothing that anyone asks for.
    Nothing,
}

/// Why nothing more comes to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its transport ended, or its request was refused and another followed.
    Settled,
    /// The capture ended first.
    CaptureEnd,
    /// It was let go to stay within a limit.
    LimitReached,
}

/// A breach of the standards, where and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreachNote {
    /// What was broken.
    pub breach: Breach,
    /// By whom.
    pub direction: Direction,
    /// The packet that shows it.
    pub at: PacketRef,
    /// The frame's position in its stream.
    pub offset: u64,
    /// What was seen.
    pub detail: String,
}

/// Where a direction's transport ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// The FIN or RST.
    pub at: PacketRef,
    /// Payload bytes seen and announced, where it ended inside a frame.
    pub inside_frame: Option<(u64, u64)>,
}

/// Missing bytes, as the WebSocket layer met them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameGap {
    /// Whose bytes.
    pub direction: Direction,
    /// Why.
    pub cause: GapCause,
    /// Where that became clear.
    pub at: PacketRef,
    /// The next frame's place stayed known.
    pub in_step: bool,
}

/// What searches for frames of one direction met with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resyncs {
    /// How often frames could be told again after the place of the next one was lost.
    pub count: u64,
    /// Captured bytes that the searches passed over: they are in no frame.
    pub skipped: u64,
    /// Captured bytes after which no frame could be told.
    pub unread: u64,
    /// The packet with the first frame after the newest search that found one.
    pub last: Option<PacketRef>,
}

/// One attempt to open a WebSocket, and what became of it.
#[derive(Clone, Debug)]
pub struct Session {
    /// 1 for the first session of the capture: `s1`.
    pub id: u32,
    /// Its TCP connection.
    pub leg: Leg,
    /// Its opening handshake.
    pub handshake: Handshake,
    /// Frames by sender.
    pub frames: Sides<FrameCounts>,
    /// Messages by sender.
    pub messages: Sides<MessageCounts>,
    /// The newest frame of each sender, and its packet.
    pub last_frame: Sides<Option<(Opcode, PacketRef)>>,
    /// The newest whole data message of each sender.
    pub last_message: Sides<Option<PacketRef>>,
    /// The largest payload that a data frame's header announced, and where.
    pub largest_announced: Sides<Option<(u64, PacketRef)>>,
    /// Fragmented messages: the most fragments of one.
    pub most_fragments: Sides<u32>,
    /// The first 64 breaches of RFC 6455 and 7692.
    pub breaches: Vec<BreachNote>,
    /// All of them, by kind and sender.
    pub breach_counts: Vec<(Breach, Direction, u64)>,
    /// The first Close frame of each sender.
    pub close: Sides<Option<Box<CloseFrame>>>,
    /// What the pinging side's Pings met with.
    pub pings: Sides<PingLedger>,
    /// Frames of a direction can't be told any more from here on.
    pub lost_sync: Sides<Option<PacketRef>>,
    /// The first frame of each sender that could be told, and how sure it is,
    /// where the opening handshake is not in the capture.
    pub found: Sides<Option<(PacketRef, FrameConfidence)>>,
    /// A frame of it is certain.
    surely_framed: bool,
    /// Since when frames of a direction are searched for, while they are.
    pub searching: Sides<Option<PacketRef>>,
    /// A direction ended while its frames were searched for: how it ended is not in the capture.
    pub ended_adrift: Sides<bool>,
    /// Frames of a direction that were found again after a gap.
    pub resyncs: Sides<Resyncs>,
    /// Compressed messages of a direction can't be read any more from here on.
    pub context_lost: Sides<Option<PacketRef>>,
    /// Missing bytes inside the frame stream: the first 16.
    pub frame_gaps: Vec<FrameGap>,
    /// Where each direction ended.
    pub ends: Sides<Option<StreamEnd>>,
    /// Masking keys of the client's first frames, at most 16.
    pub masks: Vec<([u8; 4], PacketRef)>,
    /// Its first messages in outline, by which its other leg is told.
    pub outline: Outline,
    /// Its place among the legs of a proxy, where several were captured; set when the capture is at its end.
    pub joined: Option<Joined>,
    /// The same connection under translated addresses; set when the capture is at its end.
    pub far_side: Option<Box<FarSide>>,
    /// Why nothing more comes; `None` while it is open.
    pub ended: Option<Ended>,
    /// The capture's last packet so far, whoever's, when `ended` was set.
    pub horizon: PacketRef,
}

impl Session {
    /// A session that begins with this request on this connection.
    pub fn new(
        id: u32,
        leg: Leg,
        request: http::Request,
        breaches: Vec<http::HandshakeBreach>,
    ) -> Self {
        Self::with(id, leg, Handshake::new(request, breaches))
    }

    /// A session whose opening request is not in the capture; `at` is the first
    /// packet of it that is.
    pub fn without_request(id: u32, leg: Leg, at: PacketRef) -> Self {
        Self::with(id, leg, Handshake::without_request(at))
    }

    fn with(id: u32, leg: Leg, handshake: Handshake) -> Self {
        let horizon = handshake.request.last;
        Self {
            id,
            leg,
            handshake,
            frames: Sides::default(),
            messages: Sides::default(),
            last_frame: Sides::default(),
            last_message: Sides::default(),
            largest_announced: Sides::default(),
            most_fragments: Sides::default(),
            breaches: Vec::new(),
            breach_counts: Vec::new(),
            close: Sides::default(),
            pings: Sides::default(),
            lost_sync: Sides::default(),
            found: Sides::default(),
            surely_framed: false,
            searching: Sides::default(),
            ended_adrift: Sides::default(),
            resyncs: Sides::default(),
            context_lost: Sides::default(),
            frame_gaps: Vec::new(),
            ends: Sides::default(),
            masks: Vec::new(),
            outline: Outline::default(),
            joined: None,
            far_side: None,
            ended: None,
            horizon,
        }
    }

    /// The id that users see: `s1`.
    pub fn name(&self) -> String {
        format!("s{}", self.id)
    }

    /// Takes a fact of TCP.
    pub fn on_tcp(&mut self, event: &tcp::Event) {
        self.leg.apply(event);
    }

    /// The other side's TCP acknowledged everything before `upto`, a place in
    /// the stream of the messages.
    pub fn on_acked(&mut self, direction: Direction, upto: u64, at: PacketRef) {
        self.pings[direction].on_acked(upto, at);
    }

    /// Takes a fact of the opening handshake.
    pub fn handshake_event(&mut self, event: &http::Event) {
        self.handshake.apply(event);
    }

    /// Takes a fact of the WebSocket layer.
    pub fn on_websocket(&mut self, event: &websocket::Event) -> Noted {
        use websocket::Event as E;
        match event {
            E::Frame(frame) => self.on_frame(frame),
            E::Message(message) => {
                let sender = message.direction;
                self.messages[sender].add(message);
                self.outline.add(sender, message.first, message.len);
                self.most_fragments[sender] = self.most_fragments[sender].max(message.fragments);
                if message.complete {
                    self.last_message[sender] = Some(message.last);
                }
            }
            E::Ping(ping) => {
                let frame = &ping.frame;
                let data = self.frames.client.data() + self.frames.server.data();
                let sent = self.leg.payload_bytes[frame.direction.reverse()];
                let ledger = &mut self.pings[frame.direction];
                let (gap, answer) = ledger.on_ping(ping, data, sent);
                return Noted::Ping { gap, answer };
            }
            E::Pong(pong) => {
                let sender = pong.frame.direction;
                let sent = self.leg.payload_bytes[sender];
                let ledger = &mut self.pings[sender.reverse()];
                return Noted::Pong(ledger.on_pong(pong, sent));
            }
            E::Close(close) => {
                let sender = close.control.frame.direction;
                self.close[sender].get_or_insert_with(|| close.clone());
            }
            E::Breach {
                breach,
                direction,
                at,
                offset,
                detail,
            } => {
                self.on_breach(BreachNote {
                    breach: *breach,
                    direction: *direction,
                    at: *at,
                    offset: *offset,
                    detail: detail.clone(),
                });
            }
            E::Gap {
                direction,
                cause,
                at,
                in_step,
            } => {
                if self.frame_gaps.len() < 16 {
                    let (direction, cause, at, in_step) = (*direction, *cause, *at, *in_step);
                    self.frame_gaps.push(FrameGap {
                        direction,
                        cause,
                        at,
                        in_step,
                    });
                }
            }
            E::LostSync { direction, at } => {
                self.lost_sync[*direction].get_or_insert(*at);
                self.searching[*direction] = Some(*at);
            }
            E::Resynced {
                direction,
                at,
                skipped,
                confidence,
                ..
            } => self.on_resynced(*direction, (*at, *confidence), *skipped),
            E::Unread {
                direction, bytes, ..
            } => {
                self.ended_adrift[*direction] |= self.searching[*direction].take().is_some();
                let unread = &mut self.resyncs[*direction].unread;
                *unread = unread.saturating_add(*bytes);
            }
            E::ContextLost { direction, at } => {
                self.context_lost[*direction].get_or_insert(*at);
            }
            E::End {
                direction,
                at,
                inside_frame,
            } => {
                self.ended_adrift[*direction] |= self.searching[*direction].take().is_some();
                let (at, inside_frame) = (*at, *inside_frame);
                self.ends[*direction].get_or_insert(StreamEnd { at, inside_frame });
            }
        }
        Noted::Nothing
    }

    fn on_frame(&mut self, frame: &websocket::Frame) {
        let sender = frame.direction;
        self.surely_framed |= frame.confidence == FrameConfidence::Certain;
        self.frames[sender].add(frame.opcode, frame.payload_len);
        self.last_frame[sender] = Some((frame.opcode, frame.at));
        if !frame.opcode.is_control() {
            let largest = &mut self.largest_announced[sender];
            if largest.is_none_or(|(len, _)| frame.payload_len > len) {
                *largest = Some((frame.payload_len, frame.at));
            }
        }
        if let (Direction::ClientToServer, Some(key)) = (sender, frame.mask)
            && self.masks.len() < 16
        {
            self.masks.push((key, frame.at));
        }
    }

    /// Frames can be told again; those of a session that was found mid-stream for the first time.
    fn on_resynced(
        &mut self,
        direction: Direction,
        found: (PacketRef, FrameConfidence),
        skipped: u64,
    ) {
        self.searching[direction] = None;
        let resyncs = &mut self.resyncs[direction];
        if let Some(mid_stream) = &mut self.handshake.mid_stream
            && self.found[direction].is_none()
            && self.lost_sync[direction].is_none()
        {
            self.found[direction] = Some(found);
            mid_stream.skipped[direction] = skipped;
            return;
        }
        resyncs.count += 1;
        resyncs.skipped = resyncs.skipped.saturating_add(skipped);
        resyncs.last = Some(found.0);
    }

    fn on_breach(&mut self, note: BreachNote) {
        let key = (note.breach, note.direction);
        match self
            .breach_counts
            .iter_mut()
            .find(|(b, d, _)| (*b, *d) == key)
        {
            Some((.., count)) => *count += 1,
            None => self.breach_counts.push((note.breach, note.direction, 1)),
        }
        if self.breaches.len() < BREACHES_KEPT {
            self.breaches.push(note);
        }
    }

    /// Nothing more comes. `horizon` is the newest packet of the whole capture.
    pub fn end(&mut self, ended: Ended, horizon: PacketRef) {
        self.ended = Some(ended);
        self.horizon = horizon;
    }

    /// The handshake was accepted, rightly or not, so frames may follow.
    pub fn is_open_or_was(&self) -> bool {
        self.handshake.is_upgraded()
    }

    /// The first breach of this kind, by anyone.
    pub fn first_breach(&self, breach: Breach) -> Option<&BreachNote> {
        self.breaches.iter().find(|note| note.breach == breach)
    }

    /// Frames of this sender may have passed that nobody can show: bytes are
    /// missing, the decoder lost its place, or the direction was never captured.
    /// What passed before the capture began doesn't count.
    pub fn may_hide_frames(&self, sender: Direction) -> bool {
        let missing =
            |gap: &FrameGap| gap.direction == sender && gap.cause != GapCause::BeganMidStream;
        self.lost_sync[sender].is_some()
            || self.resyncs[sender].unread > 0
            || self.is_inferred()
            || self.frame_gaps.iter().any(missing)
            || self.leg.last_packet[sender].is_none()
    }

    /// The place of this sender's next frame was lost, and not found again.
    pub fn is_lost(&self, sender: Direction) -> bool {
        self.searching[sender].is_some() || self.resyncs[sender].unread > 0
    }

    /// The answer to the request may be among bytes of the server that the capture lacks.
    pub fn may_hide_answer(&self) -> bool {
        let handshake = &self.handshake;
        let asked = handshake.request.last;
        let missing = |gap: &Gap| {
            gap.direction == Direction::ServerToClient
                && gap.cause == GapCause::NotCaptured
                && gap.at > asked
        };
        handshake.response.is_none()
            && !handshake.is_upgraded()
            && self.leg.gaps.iter().any(missing)
    }

    /// This sender's last frames are not in the capture, or can't be told: a
    /// Close frame, which is the last one, may be among them.
    pub fn may_hide_close_at_end(&self, sender: Direction) -> bool {
        self.ended_adrift[sender] || self.searching[sender].is_some()
    }

    /// Bytes of this sender were captured, and no frame could be told in them.
    pub fn is_unread(&self, sender: Direction) -> bool {
        self.resyncs[sender].unread > 0 && self.last_frame[sender].is_none()
    }

    /// The packet with the first frame of a session that was found without its handshake.
    pub fn found_at(&self) -> PacketRef {
        let found = [self.found.client, self.found.server];
        let first = found.into_iter().flatten().map(|(at, _)| at).min();
        first.unwrap_or(self.handshake.request.first)
    }

    /// How sure it is that its frames are frames: as the surest of them.
    pub fn found_with(&self) -> FrameConfidence {
        if self.surely_framed {
            return FrameConfidence::Certain;
        }
        let found = [self.found.client, self.found.server];
        let surest = found
            .into_iter()
            .flatten()
            .map(|(_, confidence)| confidence)
            .max();
        surest.unwrap_or_default()
    }

    /// Nobody could read it: sizes alone suggest that it is a WebSocket.
    pub fn is_inferred(&self) -> bool {
        self.handshake
            .mid_stream
            .is_some_and(|found| matches!(found.by, FoundBy::RecordSizes { .. }))
    }
}
