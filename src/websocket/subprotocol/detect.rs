//! Finds out what is spoken: by the handshake, by the path, by the first messages.

use super::fact::Heard;
use super::generic::{self, Glimpse};
use super::json::members;
use super::listener::{Held, Listener};
use super::speaker::Speaker;
use super::{
    Protocol, Source, actioncable, centrifugo, ddp, engineio, graphql, homeassistant, jsonrpc,
    jupyter, mqtt, nats, ocpp, phoenix, pusher, signalr, sockjs, stomp, wamp,
};
use crate::stream::{Direction, PacketRef, Sides};
use crate::websocket::{Event, Opcode};

/// What the opening handshake tells of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hint {
    /// Nothing.
    #[default]
    None,
    /// What is spoken, and by what it tells.
    Known(Protocol, Source),
}

impl Hint {
    /// Of the subprotocol that was chosen, and the target of the request.
    pub fn of(subprotocol: Option<&str>, target: Option<&str>) -> Self {
        let negotiated = subprotocol.and_then(|name| Some((negotiated(name)?, Source::Negotiated)));
        let known = negotiated.or_else(|| Some((in_url(target?)?, Source::Url)));
        known.map_or(Self::None, |(protocol, source)| {
            Self::Known(protocol, source)
        })
    }
}

impl Hint {
    /// What listens to a direction at the beginning.
    pub(in crate::websocket) fn listener(self) -> Listener {
        match self {
            Self::None => Listener::curious(),
            Self::Known(protocol, source) => Listener::to(Speaker::of(protocol), protocol, source),
        }
    }
}

fn negotiated(name: &str) -> Option<Protocol> {
    Some(match name.to_ascii_lowercase().as_str() {
        "graphql-transport-ws" => Protocol::GraphqlTransportWs,
        "graphql-ws" => Protocol::GraphqlWs,
        "v10.stomp" | "v11.stomp" | "v12.stomp" | "stomp" => Protocol::Stomp,
        "mqtt" | "mqttv3.1" => Protocol::Mqtt,
        "jsonrpc" | "jsonrpc-2.0" | "json-rpc" => Protocol::JsonRpc,
        "centrifuge-json" | "centrifuge-protobuf" => Protocol::Centrifugo,
        "actioncable-v1-json" | "actioncable-v1.1-json" => Protocol::ActionCable,
        "v1.kernel.websocket.jupyter.org" => Protocol::Jupyter,
        name if name.starts_with("wamp.2.") => Protocol::Wamp,
        name if name.starts_with("ocpp1.") || name.starts_with("ocpp2.") => Protocol::Ocpp,
        _ => return None,
    })
}

fn in_url(target: &str) -> Option<Protocol> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let has = |name: &str| query.split('&').any(|pair| pair.starts_with(name));
    if has("EIO=") && has("transport=websocket") {
        return Some(match path.contains("socket.io") {
            true => Protocol::SocketIo,
            false => Protocol::EngineIo,
        });
    }
    let ends = |tail: &str| path.trim_end_matches('/').ends_with(tail);
    // SockJS: `/<server>/<session>/websocket`, the server being three digits.
    let mut parts = path.trim_end_matches('/').rsplit('/');
    let last = parts.next();
    let server = parts.nth(1);
    let digits = server.is_some_and(|s| s.len() == 3 && s.bytes().all(|b| b.is_ascii_digit()));
    Some(match path {
        _ if last == Some("websocket") && has("vsn=") => Protocol::Phoenix,
        _ if last == Some("websocket") && digits => Protocol::SockJs,
        _ if ends("/connection/websocket") => Protocol::Centrifugo,
        _ if path.contains("/app/") && has("protocol=") && has("client=") => Protocol::Pusher,
        _ if path.contains("/api/kernels/") && ends("/channels") => Protocol::Jupyter,
        _ if path.contains("/devtools/") => Protocol::JsonRpc,
        _ => return None,
    })
}

/// How well a message fits a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    No,
    /// Counts where the other side's messages fit too.
    OneOfAPair,
    /// Two of these are enough.
    Hint,
    /// It can be nothing else.
    Unique,
}

/// Rationale: protocols show at once; later messages are what is said in them.
const SNIFFED: usize = 20;
/// Rationale: ids have to come back some twenty times, and other messages lie between.
const WATCHED: usize = 64;

/// What the first messages of both sides fit.
#[derive(Debug, Default)]
pub(in crate::websocket) struct Detection {
    /// Messages that were looked at.
    judged: Sides<usize>,
    /// Hits by protocol.
    hits: Vec<(Protocol, Sides<u8>)>,
    /// Messages that look like JSON or like a heartbeat.
    worth_reading: usize,
}

impl Detection {
    /// Looks at what came since the last time. Returns false when it is settled.
    pub(in crate::websocket) fn judge(
        &mut self,
        listeners: Sides<&mut Listener>,
        ended: bool,
        out: &mut impl FnMut(Event),
    ) -> bool {
        let Sides { client, server } = listeners;
        let counts = {
            let (Some(one), Some(other)) = (client.held(), server.held()) else {
                return false;
            };
            let (judged, full) = (self.judged, one.is_full() || other.is_full());
            if !ended && one.len() == judged.client && other.len() == judged.server {
                return true;
            }
            if let Some(protocol) = self.sniff(Sides {
                client: one,
                server: other,
            }) {
                settle(client, server, || Speaker::of(protocol), protocol, out);
                return false;
            }
            let most = (one.len() + one.passed).max(other.len() + other.passed);
            (most, full)
        };
        let (most, full) = counts;
        // Rationale: who says something structured does it in one of twenty messages.
        let nothing = most >= SNIFFED && self.worth_reading == 0;
        let last = ended || full || nothing || most >= WATCHED;
        // Once: it reads all that is held.
        if !last {
            return true;
        }
        let found = if nothing {
            None
        } else {
            let one = client
                .held()
                .into_iter()
                .flat_map(|held| held.from(0))
                .collect();
            let other = server
                .held()
                .into_iter()
                .flat_map(|held| held.from(0))
                .collect();
            generic::find(&Sides {
                client: one,
                server: other,
            })
        };
        if let Some(Sides {
            client: one,
            server: other,
        }) = found
        {
            let mut speakers = [
                Speaker::Generic(Box::new(one)),
                Speaker::Generic(Box::new(other)),
            ]
            .into_iter();
            settle(
                client,
                server,
                || {
                    speakers
                        .next()
                        .unwrap_or_else(|| Speaker::of(Protocol::Generic))
                },
                Protocol::Generic,
                out,
            );
            return false;
        }
        client.give_up();
        server.give_up();
        false
    }

    fn sniff(&mut self, held: Sides<&Held>) -> Option<Protocol> {
        for direction in Direction::BOTH {
            let judged = self.judged[direction];
            self.judged[direction] = held[direction].len();
            let room = SNIFFED.saturating_sub(judged);
            for (heard, bytes) in held[direction].from(judged).take(room) {
                if let Some(found) = self.sniff_one(heard, bytes) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn sniff_one(&mut self, heard: &Heard, bytes: &[u8]) -> Option<Protocol> {
        let direction = heard.direction;
        if heard.opcode == Opcode::Binary {
            let all = [
                (Protocol::Mqtt, mqtt::sniff(bytes)),
                (Protocol::Nats, nats::sniff(bytes)),
            ];
            let mut found = all.into_iter().filter(|(_, hit)| *hit == Hit::Unique);
            return found.next().map(|(protocol, _)| protocol);
        }
        if heard.opcode != Opcode::Text {
            return None;
        }
        let start = bytes.trim_ascii_start().first();
        let structured = matches!(start, Some(b'{' | b'['));
        if structured || self.worth_reading == 0 && generic::beat(bytes).is_some() {
            self.worth_reading += 1;
        }
        let hits = match start {
            Some(b'{') => of_object(direction, bytes),
            Some(b'[') => of_array(direction, bytes),
            _ => of_text(direction, bytes),
        };
        hits.into_iter()
            .find(|(protocol, hit)| self.count(*protocol, *hit, direction))
            .map(|(protocol, _)| protocol)
    }

    /// Notes a hit; true where it is enough.
    fn count(&mut self, protocol: Protocol, hit: Hit, direction: Direction) -> bool {
        if let Hit::No | Hit::Unique = hit {
            return hit == Hit::Unique;
        }
        let known = self.hits.iter().position(|(other, _)| *other == protocol);
        if known.is_none() {
            self.hits.push((protocol, Sides::default()));
        }
        let place = known.unwrap_or(self.hits.len().saturating_sub(1));
        let Some((_, hits)) = self.hits.get_mut(place) else {
            return false;
        };
        hits[direction] = hits[direction].saturating_add(1);
        match hit {
            Hit::OneOfAPair => hits.client > 0 && hits.server > 0,
            _ => hits.client.saturating_add(hits.server) >= 2,
        }
    }
}

/// What each protocol makes of a message.
type Hits = Vec<(Protocol, Hit)>;

/// Members that tell which protocols an object may be of.
#[derive(Clone, Copy, Default)]
struct Shape {
    call: bool,
    kind: bool,
    event: bool,
    message: bool,
    header: bool,
    connect: bool,
    protocol: bool,
    identifier: bool,
}

impl Shape {
    /// Reads the object once, so that most messages are read but once.
    fn of(bytes: &[u8]) -> Self {
        let mut shape = Self::default();
        for (key, _) in members(bytes) {
            match key {
                b"jsonrpc" | b"method" | b"result" | b"error" => shape.call = true,
                b"type" => shape.kind = true,
                b"event" => shape.event = true,
                b"msg" => shape.message = true,
                b"header" => shape.header = true,
                b"connect" => shape.connect = true,
                b"protocol" => shape.protocol = true,
                b"identifier" => shape.identifier = true,
                _ => {}
            }
        }
        shape
    }
}

fn of_object(direction: Direction, bytes: &[u8]) -> Hits {
    let mut hits = Hits::new();
    let shape = Shape::of(bytes);
    if shape.call {
        hits.push((Protocol::JsonRpc, jsonrpc::sniff(bytes)));
    }
    if shape.kind {
        let (dialect, graphql) = graphql::sniff(bytes);
        let dialect = match dialect {
            graphql::Dialect::Transport => Protocol::GraphqlTransportWs,
            graphql::Dialect::Legacy => Protocol::GraphqlWs,
        };
        hits.push((dialect, graphql));
        let found = homeassistant::sniff(direction, bytes);
        hits.push((Protocol::HomeAssistant, found));
    }
    if shape.kind || shape.protocol {
        hits.push((Protocol::SignalR, signalr::sniff(bytes)));
    }
    if shape.kind || shape.identifier {
        hits.push((Protocol::ActionCable, actioncable::sniff(direction, bytes)));
    }
    if shape.event {
        hits.push((Protocol::Phoenix, phoenix::sniff(bytes)));
        hits.push((Protocol::Pusher, pusher::sniff(bytes)));
    }
    if shape.connect {
        hits.push((Protocol::Centrifugo, centrifugo::sniff(direction, bytes)));
    }
    if shape.message {
        hits.push((Protocol::Ddp, ddp::sniff(bytes)));
    }
    if shape.header {
        hits.push((Protocol::Jupyter, jupyter::sniff(bytes)));
    }
    hits
}

fn of_array(direction: Direction, bytes: &[u8]) -> Hits {
    vec![
        (Protocol::JsonRpc, jsonrpc::sniff(bytes)),
        (Protocol::Wamp, wamp::sniff(direction, bytes)),
        (Protocol::Ocpp, ocpp::sniff(bytes)),
        (Protocol::Phoenix, phoenix::sniff(bytes)),
        (Protocol::SockJs, sockjs::sniff(direction, bytes)),
    ]
}

fn of_text(direction: Direction, bytes: &[u8]) -> Hits {
    vec![
        (Protocol::EngineIo, engineio::sniff(direction, bytes)),
        (Protocol::Stomp, stomp::sniff(bytes)),
        (Protocol::SockJs, sockjs::sniff(direction, bytes)),
        (Protocol::Nats, nats::sniff(bytes)),
    ]
}

/// Both directions are known now: what was held is read first, in order.
fn settle(
    client: &mut Listener,
    server: &mut Listener,
    mut speaker: impl FnMut() -> Speaker,
    protocol: Protocol,
    out: &mut impl FnMut(Event),
) {
    let held = [client.give_up(), server.give_up()];
    *client = Listener::to(speaker(), protocol, Source::Sniffed);
    *server = Listener::to(speaker(), protocol, Source::Sniffed);
    let mut all: Vec<(PacketRef, bool, Glimpse<'_>)> = Vec::new();
    for held in held.iter().flatten() {
        // A direction's messages stay in its order, whatever order they were captured in.
        let mut newest = PacketRef::default();
        for (place, (heard, bytes)) in held.from(0).enumerate() {
            newest = newest.max(heard.last);
            all.push((newest, held.lacks_before(place), (heard, bytes)));
        }
    }
    all.sort_by_key(|(at, ..)| *at);
    let mut listeners = Sides { client, server };
    for (_, behind_loss, (heard, bytes)) in all {
        let listener = &mut listeners[heard.direction];
        if behind_loss {
            listener.on_lost();
        }
        listener.listen(heard, bytes, &mut |said| out(Event::Said(said)));
    }
    let [client, server] = held;
    for (direction, held) in [
        (Direction::ClientToServer, client),
        (Direction::ServerToClient, server),
    ] {
        if held.is_some_and(|held| held.lacks_before(held.len())) {
            listeners[direction].on_lost();
        }
    }
}
