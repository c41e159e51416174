//! What happened: the facts of all layers, one record per WebSocket session.
//!
//! Facts only. What they mean, and every threshold, is `diagnosis`' business.

mod application;
mod attempt;
mod beats;
mod cadence;
mod capture;
mod certificate;
mod client_certificate;
mod clock;
mod counts;
mod credential;
mod crossing;
mod delivery;
mod distribution;
mod flow;
mod frames;
mod handshake;
mod identity;
mod jwt;
mod keepalive;
mod keyless;
mod latency;
mod leg;
mod legs;
mod notes;
mod pattern;
mod queue;
mod rare;
mod record;
pub mod redact;
mod rtt;
mod sealed;
mod segments;
mod selector;
mod signs;
mod stalls;
mod story;
mod subscriptions;
mod timeline;
mod tls;
mod translated;
mod tunnel;
mod unseen;

pub use application::{Application, ErrorGroup, Opening, Promise};
pub use attempt::Attempt;
pub use beats::{Beat, BeatLedger};
pub use cadence::{Cadence, Pause};
pub use capture::{
    Capture, CaptureFile, Damage, Dialled, Filtered, GapTotal, Lead, MoreAttempts, Tally, TlsTotals,
};
pub use certificate::CertificateProblem;
pub use client_certificate::{ClientCertificate, ClientRefused};
pub use clock::{ClockStep, Clocks, Skew};
pub use counts::{FrameCounts, MessageCounts};
pub use credential::{Credential, Place, TokenDamage, credentials_of};
pub use crossing::Crossed;
pub use delivery::{Delivery, HeldUp};
pub use distribution::Distribution;
pub use flow::{Flow, HeldBack, KeepAlives, Recovery, SteadyRate};
pub use handshake::{EarlyData, FoundBy, Handshake, MidStream};
pub use identity::Identity;
pub use jwt::{Jwt, JwtDamage};
pub use keepalive::{Exchange, Interval, Ping, PingLedger, PongKind};
pub use keyless::{Beats, Keyless};
pub use latency::{Answered, Latency, Method, Request as Asked};
pub use leg::{Leg, Orientation, Unreachable};
pub use legs::join_legs;
pub use notes::{Announced, BreachNote, FrameGap, Noted, Resyncs, StreamEnd};
pub use queue::{Behind, Queue};
pub use rare::Rare;
pub use record::{Record, RecordKind};
pub use rtt::RttSeries;
pub use sealed::{SealedRecord, SealedRecords};
pub use selector::{Condition, Key, Selector, Wanted};
pub use stalls::{Silence, Unacked, ZeroWindow};
pub use story::{Joined, Origin, Outline, Party, Proof, Role, Sign, SignKind, Story, StoryLeg};
pub use subscriptions::Subscription;
pub use timeline::{ClosedWindow, Probes, SILENCE, SentAgain, Span, Timeline, Turn, TurnKind};
pub use tls::{AlertSeen, Chosen, Sealed, Tls, version_name};
pub use translated::{FarSide, SameAs};
pub use tunnel::{OpenedTunnel, OpenedTunnels, TunnelRequest, TunnelRequests};

#[cfg(test)]
pub(crate) use jwt::tests::token as jwt_for_tests;

// The layers' words for what they noticed are the session's too: diagnosis and
// report take them from here and know no layer.
pub use crate::http::{
    Agreement, DeflateParameters, HandshakeBreach, Lookalike, Proxied, ProxyFault, Request,
    Response, SocksRefusal, Tunnel, TunnelKind,
};
pub use crate::tcp::Reset;
pub use crate::tls::{Alert, Certificate, ClientHello, ServerHello, Undecrypted};
pub use crate::websocket::Confidence as FrameConfidence;
pub use crate::websocket::subprotocol::{Contract, Fault, Id, Protocol, Source, Word};
pub use crate::websocket::{Breach, CloseFrame, Control, Frame, Message, Opcode};

use crate::stream::{Direction, PacketRef, Sides};
use crate::{http, tcp};

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

/// One attempt to open a WebSocket, and what became of it.
#[derive(Clone, Debug)]
pub struct Session {
    /// 1 for the first session of the capture: `s1`.
    pub id: u32,
    /// Its TCP connection.
    pub leg: Box<Leg>,
    /// Its opening handshake.
    pub handshake: Box<Handshake>,
    /// Frames by sender.
    pub frames: Sides<FrameCounts>,
    /// Messages by sender.
    pub messages: Sides<MessageCounts>,
    /// The newest frame of each sender, and its packet.
    pub last_frame: Sides<Option<(Opcode, PacketRef)>>,
    /// The newest whole data message of each sender.
    pub last_message: Sides<Option<PacketRef>>,
    /// The largest payload that a data frame's header announced.
    pub largest_announced: Sides<Option<Announced>>,
    /// Fragmented messages: the most fragments of one.
    pub most_fragments: Sides<u32>,
    /// The first 64 breaches of RFC 6455 and 7692.
    pub breaches: Vec<BreachNote>,
    /// All of them, by kind and sender.
    pub breach_counts: Vec<(Breach, Direction, u64)>,
    /// The first Close frame of each sender.
    pub close: Sides<Option<Box<CloseFrame>>>,
    /// When each sender's messages were acknowledged.
    pub delivery: Sides<Delivery>,
    /// What came behind each sender's large messages.
    pub queue: Sides<Queue>,
    /// The rhythm of each sender's messages.
    pub cadence: Sides<Cadence>,
    /// What the pinging side's Pings met with.
    pub pings: Sides<Rare<PingLedger>>,
    /// What each side's peer acknowledged last of the stream of the messages: all before this offset.
    acked: Sides<Option<(u64, PacketRef)>>,
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
    /// What its messages say, where their protocol is known.
    pub application: Option<Box<Application>>,
    /// The newest packet at which bytes of a direction turned out to be missing
    /// or unreadable: what may have been in them came before.
    pub blind: Sides<Option<PacketRef>>,
    /// Its first messages in outline, by which its other leg is told.
    pub outline: Outline,
    /// Its place among the legs of a proxy, where several were captured; set when the capture is at its end.
    pub joined: Option<Joined>,
    /// The same connection under translated addresses; set when the capture is at its end.
    pub far_side: Option<Box<FarSide>>,
    /// What sizes and times tell of a session whose handshake was captured and can't be read.
    pub keyless: Option<Box<Keyless>>,
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
            leg: Box::new(leg),
            handshake: Box::new(handshake),
            frames: Sides::default(),
            messages: Sides::default(),
            last_frame: Sides::default(),
            last_message: Sides::default(),
            largest_announced: Sides::default(),
            most_fragments: Sides::default(),
            breaches: Vec::new(),
            breach_counts: Vec::new(),
            close: Sides::default(),
            delivery: Sides::default(),
            queue: Sides::default(),
            cadence: Sides::default(),
            pings: Sides::default(),
            acked: Sides::default(),
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
            application: None,
            blind: Sides::default(),
            outline: Outline::default(),
            joined: None,
            far_side: None,
            keyless: None,
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
        self.acked[direction] = Some((upto, at));
        let ledger = &mut self.pings[direction];
        if !ledger.is_untouched() {
            ledger.on_acked(upto, at);
        }
        if let Some(application) = &mut self.application {
            application.on_acked(direction, upto, at);
        }
        let lost = self.leg.flow[direction].last_lost;
        self.delivery[direction].on_acked(upto, at, lost);
    }

    /// A segment with payload, before TCP puts it in order, while the answer is not read.
    pub fn on_crossing(&mut self, sender: Direction, segment: Crossed) {
        self.handshake
            .crossing
            .get_or_insert_default()
            .add(sender, segment);
    }

    /// Takes a fact of the opening handshake.
    pub fn handshake_event(&mut self, event: &http::Event) {
        self.handshake.apply(event);
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
}
