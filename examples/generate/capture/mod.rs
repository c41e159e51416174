//! Makes up a capture: WebSocket sessions side by side, HTTP in the background, a
//! network that loses and reorders. The same options give the same bytes.
//!
//! ```text
//!  mod        who acts next          options   what was asked for
//!  session    WebSocket      web     plain HTTP
//!  websocket  frames, deflate        content   what they say
//!  tls        handshake      hello     its messages
//!  seal       sealed records
//!  tcp        both kernels   flight  loss, order, acknowledgements
//!  packet     one packet     wire    the capture point and its pcap file
//! ```
//!
//! Nothing is kept of what was written: memory depends on the number of sessions
//! and the longest message, not on the length of the capture.

mod content;
mod flight;
mod hello;
pub(crate) mod options;
mod packet;
mod rng;
mod seal;
mod session;
mod tcp;
mod tls;
pub(crate) mod truth;
mod web;
mod websocket;
mod wire;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use self::content::Content;
use self::flight::Network;
use self::options::Options;
use self::packet::Endpoint;
use self::rng::Rng;
use self::seal::Version;
use self::session::Session;
use self::truth::{HttpTruth, Truth};
use self::web::Web;
use self::wire::{MS, SECOND, Time, Wire};

/// Messages where neither a size nor a number was asked for.
const MESSAGES: u64 = 10_000;

/// Bytes that the end of a connection takes: two Close frames, the FINs, the
/// acknowledgements and the record headers. Kept free when a size was asked for.
const CLOSING: u64 = 600;

/// What all connections share.
struct World<'a> {
    options: &'a Options,
    rng: Rng,
    wire: Wire<'a>,
    content: Content,
    scratch: Scratch,
    /// Messages sent so far.
    sent: u64,
    http: HttpTruth,
    key_log: String,
}

/// Buffers that every message uses again.
#[derive(Default)]
struct Scratch {
    payload: Vec<u8>,
    compressed: Vec<u8>,
    frames: Vec<u8>,
}

impl World<'_> {
    fn network(&self) -> Network {
        Network {
            loss: self.options.loss,
            reorder: self.options.reorder,
        }
    }

    fn messages_left(&self) -> u64 {
        match (self.options.size, self.options.messages) {
            (Some(_), _) => u64::MAX,
            (None, limit) => limit.unwrap_or(MESSAGES).saturating_sub(self.sent),
        }
    }

    fn is_done(&self, connections: usize) -> bool {
        let closing = CLOSING * u64::try_from(connections).unwrap_or(0);
        let full = self
            .options
            .size
            .is_some_and(|size| self.wire.size() + closing >= size);
        full || self.messages_left() == 0
    }

    /// Until the next action of a connection: 50 ms on average, now and then seconds.
    fn pause(&mut self) -> Time {
        match self.rng.percent(0.5) {
            true => self.rng.within(SECOND..5 * SECOND),
            false => self.rng.within(MS..100 * MS),
        }
    }
}

/// A connection of either kind, and how far it is.
struct Member {
    kind: Kind,
    stage: Stage,
}

#[expect(clippy::large_enum_variant, reason = "nearly all are sessions")]
enum Kind {
    Session(Session),
    Web(Web),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Running,
    /// Its end has a time.
    Leaving,
}

/// Writes the capture to `out`; what was sent.
///
/// # Errors
/// Those of `out`.
pub(crate) fn generate<'a>(options: &'a Options, out: impl Write + 'a) -> io::Result<Truth> {
    let mut rng = Rng::new(options.seed);
    let content = Content::new(&mut rng);
    let wire = Wire::new(Box::new(out), options.nanos)?;
    let (scratch, http) = (Scratch::default(), HttpTruth::default());
    let mut world = World {
        options,
        rng,
        wire,
        content,
        scratch,
        sent: 0,
        http,
        key_log: String::new(),
    };
    let mut members = members(&mut world);

    let mut agenda = BinaryHeap::new();
    for index in 0..members.len() {
        // In order, 2 ms apart: the TCP streams have the members' numbers.
        agenda.push(Reverse((u64::try_from(index).unwrap_or(0) * 2 * MS, index)));
    }
    while let Some(Reverse((at, index))) = agenda.pop() {
        world.wire.write_until(at)?;
        let count = members.len();
        let Some(member) = members.get_mut(index) else {
            break;
        };
        if let Some(next) = member.step(at, count, &mut world) {
            agenda.push(Reverse((next, index)));
        }
    }
    let truth = Truth {
        seed: options.seed,
        packets: world.wire.packets(),
        bytes: world.wire.size(),
        tcp_connections: members.len(),
        messages: world.sent,
        http: world.http,
        key_log: world.key_log,
        sessions: members.into_iter().filter_map(Member::truth).collect(),
    };
    world.wire.finish()?;
    Ok(truth)
}

/// All connections, the background spread among the sessions.
fn members(world: &mut World<'_>) -> Vec<Member> {
    let sessions = world.options.sessions;
    let share = f64::from(sessions) * world.options.http / 100.0;
    let mut members = Vec::new();
    let mut due = 0.0;
    for _ in 0..sessions {
        due += share / f64::from(sessions);
        let tls = Version::draw(world.options, &mut world.rng);
        let port = if tls.is_some() { 443 } else { 8080 };
        let ends = endpoints(members.len(), port);
        let session = Session::new(members.len(), ends, tls, world);
        members.push(Member {
            kind: Kind::Session(session),
            stage: Stage::New,
        });
        while due >= 0.5 {
            due -= 1.0;
            let web = Web::new(endpoints(members.len(), 80), world);
            members.push(Member {
                kind: Kind::Web(web),
                stage: Stage::New,
            });
        }
    }
    members
}

/// Client and server number `index`: clients in 10.1.0.0/16, one server.
fn endpoints(index: usize, server_port: u16) -> [Endpoint; 2] {
    let [.., high, low] = u32::try_from(index % 60_000).unwrap_or(0).to_be_bytes();
    let port = 32_768 + u16::try_from(index % 28_000).unwrap_or(0);
    let client = Endpoint {
        mac: [2, 0, 0, 0, 0, 1],
        ip: [10, 1, high, low],
        port,
    };
    let server = Endpoint {
        mac: [2, 0, 0, 0, 0, 2],
        ip: [10, 2, 0, 1],
        port: server_port,
    };
    [client, server]
}

impl Member {
    /// What it does at `at`; when it acts again, `None` when it is through.
    fn step(&mut self, at: Time, count: usize, world: &mut World<'_>) -> Option<Time> {
        let end = match self.stage {
            Stage::New => {
                self.stage = Stage::Running;
                self.open(at, world)
            }
            Stage::Leaving => {
                self.close(at, world);
                return None;
            }
            Stage::Running if world.is_done(count) => {
                self.stage = Stage::Leaving;
                // Ends are spread like openings.
                let spread = SECOND + u64::try_from(count).unwrap_or(0) * 2 * MS;
                let next = at + world.rng.within(0..spread);
                self.idle(at, next, world);
                return Some(next);
            }
            Stage::Running => self.act(at, world),
        };
        let next = end + world.pause();
        self.idle(end, next, world);
        Some(next)
    }

    fn open(&mut self, at: Time, world: &mut World<'_>) -> Time {
        match &mut self.kind {
            Kind::Session(session) => session.open(at, world),
            Kind::Web(web) => web.open(at, world),
        }
    }

    fn act(&mut self, at: Time, world: &mut World<'_>) -> Time {
        match &mut self.kind {
            Kind::Session(session) => session.act(at, world),
            Kind::Web(web) => web.act(at, world),
        }
    }

    fn idle(&mut self, from: Time, until: Time, world: &mut World<'_>) {
        match &mut self.kind {
            Kind::Session(session) => session.idle(from, until, world),
            Kind::Web(web) => web.idle(from, until, world),
        }
    }

    fn close(&mut self, at: Time, world: &mut World<'_>) {
        match &mut self.kind {
            Kind::Session(session) => session.close(at, world),
            Kind::Web(web) => web.close(at, world),
        }
    }

    fn truth(self) -> Option<truth::SessionTruth> {
        match self.kind {
            Kind::Session(session) => Some(session.truth.finish()),
            Kind::Web(_) => None,
        }
    }
}
