//! One direction of a protocol that is known.

use super::fact::{Fact, Heard};
use super::generic::Generic;
use super::mqtt::Mqtt;
use super::{Protocol, engineio, graphql, jsonrpc, stomp};

/// Where facts go.
pub(super) type Out<'a> = dyn FnMut(Fact) + 'a;

/// What reads the messages of one direction.
#[derive(Debug)]
pub(super) enum Speaker {
    JsonRpc,
    Graphql(graphql::Dialect),
    EngineIo(engineio::EngineIo),
    Stomp,
    Mqtt(Box<Mqtt>),
    Generic(Box<Generic>),
}

impl Speaker {
    /// What reads this protocol from its first message on.
    pub(super) fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::JsonRpc => Self::JsonRpc,
            Protocol::GraphqlTransportWs => Self::Graphql(graphql::Dialect::Transport),
            Protocol::GraphqlWs => Self::Graphql(graphql::Dialect::Legacy),
            Protocol::SocketIo => Self::EngineIo(engineio::EngineIo::new(true)),
            Protocol::EngineIo => Self::EngineIo(engineio::EngineIo::new(false)),
            Protocol::Stomp => Self::Stomp,
            Protocol::Mqtt => Self::Mqtt(Box::default()),
            Protocol::Generic => Self::Generic(Box::default()),
        }
    }

    /// Reads a message, of which `bytes` is the beginning.
    pub(super) fn read(&mut self, heard: &Heard, bytes: &[u8], out: &mut Out<'_>) {
        match self {
            Self::JsonRpc => jsonrpc::read(heard, bytes, out),
            Self::Graphql(dialect) => graphql::read(*dialect, heard, bytes, out),
            Self::EngineIo(engine) => engine.read(heard, bytes, out),
            Self::Stomp => stomp::read(heard, bytes, out),
            Self::Mqtt(mqtt) => mqtt.read(heard, bytes, out),
            Self::Generic(generic) => generic.read(heard, bytes, out),
        }
    }

    /// Bytes of this direction are missing: a protocol that is a stream of bytes
    /// can't be read any more.
    pub(super) fn lose(&mut self) {
        match self {
            Self::Mqtt(mqtt) => mqtt.lose(),
            Self::JsonRpc
            | Self::Graphql(_)
            | Self::EngineIo(_)
            | Self::Stomp
            | Self::Generic(_) => {}
        }
    }
}

/// What reading ended with tells of a message that has to be JSON.
pub(super) fn judge(heard: &Heard, bytes: &[u8], stop: super::json::Stop, out: &mut Out<'_>) {
    use super::json::Stop;
    match stop {
        Stop::End => {}
        Stop::Cut if !heard.whole => {}
        Stop::Malformed(at) => out(Fact::Malformed { offset: at as u64 }),
        Stop::Cut => out(Fact::Malformed {
            offset: bytes.len() as u64,
        }),
        Stop::Deep => out(Fact::Unread),
    }
}
