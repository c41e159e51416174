//! Finds out what is spoken: by the handshake, by the path, by the first messages.

use super::fact::Heard;
use super::generic::{self, Glimpse};
use super::listener::{Held, Listener};
use super::speaker::Speaker;
use super::{Protocol, Source, engineio, graphql, jsonrpc, mqtt, stomp};
use crate::stream::{Direction, Sides};
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
    path.contains("/devtools/").then_some(Protocol::JsonRpc)
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
    /// The message count at which echoed ids are looked for next.
    next: usize,
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
        let last = ended || full || most >= WATCHED;
        if most < SNIFFED.max(self.next) && !last {
            return true;
        }
        self.next = SNIFFED + WATCHED / 2;
        if most >= self.next {
            self.next = WATCHED;
        }
        let found = {
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
                || speakers.next().unwrap_or(Speaker::JsonRpc),
                Protocol::Generic,
                out,
            );
            return false;
        }
        if last {
            client.give_up();
            server.give_up();
        }
        !last
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
        if heard.opcode == Opcode::Binary && mqtt::sniff(bytes) == Hit::Unique {
            return Some(Protocol::Mqtt);
        }
        if heard.opcode != Opcode::Text {
            return None;
        }
        let (dialect, graphql) = graphql::sniff(bytes);
        let graphql = (
            match dialect {
                graphql::Dialect::Transport => Protocol::GraphqlTransportWs,
                graphql::Dialect::Legacy => Protocol::GraphqlWs,
            },
            graphql,
        );
        let all = [
            (Protocol::JsonRpc, jsonrpc::sniff(bytes)),
            graphql,
            (Protocol::EngineIo, engineio::sniff(direction, bytes)),
            (Protocol::Stomp, stomp::sniff(bytes)),
        ];
        all.into_iter()
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
    let mut all: Vec<Glimpse<'_>> = held
        .iter()
        .flatten()
        .flat_map(|held| held.from(0))
        .collect();
    all.sort_by_key(|(heard, _)| heard.first);
    for (heard, bytes) in all {
        let listener = match heard.direction {
            Direction::ClientToServer => &mut *client,
            Direction::ServerToClient => &mut *server,
        };
        listener.listen(heard, bytes, &mut |said| out(Event::Said(said)));
    }
}
