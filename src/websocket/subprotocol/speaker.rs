//! One direction of a protocol that is known.

use super::fact::{Fact, Heard};
use super::generic::Generic;
use super::mqtt::Mqtt;
use super::nats::Nats;
use super::sockjs::SockJs;
use super::{
    Protocol, actioncable, centrifugo, ddp, engineio, graphql, homeassistant, jsonrpc, jupyter,
    ocpp, phoenix, pusher, signalr, stomp, wamp,
};

/// Where facts go.
pub(super) type Out<'a> = dyn FnMut(Fact) + 'a;

/// What reads the messages of one direction.
#[derive(Debug)]
pub(super) enum Speaker {
    Graphql(graphql::Dialect),
    EngineIo(engineio::EngineIo),
    Mqtt(Box<Mqtt>),
    /// A protocol each of whose messages stands for itself.
    Plain(fn(&Heard, &[u8], &mut Out<'_>)),
    SockJs(SockJs),
    Nats(Box<Nats>),
    Generic(Box<Generic>),
}

impl Speaker {
    /// What reads this protocol from its first message on.
    pub(super) fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::JsonRpc => Self::Plain(jsonrpc::read),
            Protocol::GraphqlTransportWs => Self::Graphql(graphql::Dialect::Transport),
            Protocol::GraphqlWs => Self::Graphql(graphql::Dialect::Legacy),
            Protocol::SocketIo => Self::EngineIo(engineio::EngineIo::new(true)),
            Protocol::EngineIo => Self::EngineIo(engineio::EngineIo::new(false)),
            Protocol::Stomp => Self::Plain(stomp::read),
            Protocol::Mqtt => Self::Mqtt(Box::default()),
            Protocol::SignalR => Self::Plain(signalr::read),
            Protocol::Wamp => Self::Plain(wamp::read),
            Protocol::Ocpp => Self::Plain(ocpp::read),
            Protocol::Phoenix => Self::Plain(phoenix::read),
            Protocol::Centrifugo => Self::Plain(centrifugo::read),
            Protocol::ActionCable => Self::Plain(actioncable::read),
            Protocol::Pusher => Self::Plain(pusher::read),
            Protocol::Ddp => Self::Plain(ddp::read),
            Protocol::HomeAssistant => Self::Plain(homeassistant::read),
            Protocol::Jupyter => Self::Plain(jupyter::read),
            Protocol::SockJs => Self::SockJs(SockJs::default()),
            Protocol::Nats => Self::Nats(Box::default()),
            Protocol::Generic => Self::Generic(Box::default()),
        }
    }

    /// Reads a message, of which `bytes` is the beginning.
    pub(super) fn read(&mut self, heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
        match self {
            Self::Plain(read) => read(heard, bytes, out),
            Self::SockJs(sockjs) => sockjs.read(heard, bytes, out),
            Self::Nats(nats) => nats.read(heard, bytes, out),
            Self::Graphql(dialect) => graphql::read(*dialect, heard, bytes, out),
            Self::EngineIo(engine) => engine.read(heard, bytes, out),
            Self::Mqtt(mqtt) => mqtt.read(heard, bytes, out),
            Self::Generic(generic) => generic.read(heard, bytes, out),
        }
    }

    /// Bytes of this direction are missing: a protocol that is a stream of bytes
    /// can't be read any more.
    pub(super) fn lose(&mut self) {
        match self {
            Self::Mqtt(mqtt) => mqtt.lose(),
            Self::Nats(nats) => nats.lose(),
            Self::Plain(_)
            | Self::Graphql(_)
            | Self::EngineIo(_)
            | Self::SockJs(_)
            | Self::Generic(_) => {}
        }
    }
}

/// Rationale: heartbeats of a digit or a letter, and nothing at all, are no JSON by design.
const SHORT: usize = 4;

/// What reading ended with tells of a message that has to be JSON.
pub(super) fn judge(heard: &Heard, bytes: &[u8], stop: super::json::Stop, out: &mut Out<'_>) {
    use super::json::Stop;
    match stop {
        Stop::End => {}
        // A heartbeat of some layer.
        _ if bytes.len() <= SHORT || super::generic::beat(bytes).is_some() => {}
        Stop::Cut if !heard.whole => {}
        Stop::Malformed(at) => out(Fact::Malformed { offset: at as u64 }),
        Stop::Cut => out(Fact::Malformed {
            offset: bytes.len() as u64,
        }),
        Stop::Deep => out(Fact::Unread),
    }
}
