//! What is spoken inside the messages: which protocol, and what its messages
//! say of requests and replies, heartbeats, opening exchanges and errors.
//!
//! A session's protocol is what the handshake negotiated; else what its path
//! says; else what its first messages show. A session of which none of that
//! tells anything costs nothing from then on.

mod actioncable;
mod auth;
mod centrifugo;
mod ddp;
mod detect;
mod engineio;
mod fact;
mod generic;
mod graphql;
mod homeassistant;
mod json;
mod jsonrpc;
mod jupyter;
mod listener;
mod mqtt;
mod nats;
mod ocpp;
mod phoenix;
mod pusher;
mod signalr;
mod socketio;
mod sockjs;
mod speaker;
mod stomp;
#[cfg(test)]
mod tests;
mod wamp;
mod words;

pub(super) use detect::Detection;
pub use detect::Hint;
pub use fact::{Contract, Fact, Fault, Heard, Said};
pub(super) use listener::Listener;
pub use words::{Id, Word};

/// A protocol inside the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// JSON-RPC 2.0, and what is like it: requests with `id` and `method`, replies with `result` or `error`.
    JsonRpc,
    /// The newer of two protocols for GraphQL.
    GraphqlTransportWs,
    /// The older one, of subscriptions-transport-ws.
    GraphqlWs,
    /// Socket.IO inside Engine.IO.
    SocketIo,
    /// Engine.IO with something else inside.
    EngineIo,
    /// STOMP 1.0 to 1.2.
    Stomp,
    /// MQTT 3.1 to 5.
    Mqtt,
    /// SignalR of ASP.NET Core.
    SignalR,
    /// WAMP v2.
    Wamp,
    /// OCPP-J.
    Ocpp,
    /// Phoenix channels.
    Phoenix,
    /// Centrifugo.
    Centrifugo,
    /// Action Cable of Rails.
    ActionCable,
    /// Pusher channels.
    Pusher,
    /// SockJS with something inside that is not known.
    SockJs,
    /// DDP of Meteor.
    Ddp,
    /// Home Assistant.
    HomeAssistant,
    /// Jupyter kernels.
    Jupyter,
    /// NATS.
    Nats,
    /// None that is known: ids that are echoed, words that are pings.
    Generic,
}

impl Protocol {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JsonRpc => "jsonrpc",
            Self::GraphqlTransportWs => "graphql-transport-ws",
            Self::GraphqlWs => "graphql-ws",
            Self::SocketIo => "socket.io",
            Self::EngineIo => "engine.io",
            Self::Stomp => "stomp",
            Self::Mqtt => "mqtt",
            Self::SignalR => "signalr",
            Self::Wamp => "wamp",
            Self::Ocpp => "ocpp",
            Self::Phoenix => "phoenix",
            Self::Centrifugo => "centrifugo",
            Self::ActionCable => "actioncable",
            Self::Pusher => "pusher",
            Self::SockJs => "sockjs",
            Self::Ddp => "ddp",
            Self::HomeAssistant => "home-assistant",
            Self::Jupyter => "jupyter",
            Self::Nats => "nats",
            Self::Generic => "generic",
        }
    }

    /// By what its replies name their requests.
    pub const fn correlation(self) -> &'static str {
        match self {
            Self::JsonRpc => "jsonrpc id",
            Self::GraphqlTransportWs | Self::GraphqlWs => "operation id",
            Self::SocketIo | Self::EngineIo => "acknowledgment id",
            Self::Stomp => "receipt",
            Self::Mqtt => "packet identifier",
            Self::SignalR => "invocation id",
            Self::Wamp => "request id",
            Self::Ocpp => "message id",
            Self::Phoenix => "ref and topic",
            Self::Centrifugo => "command id",
            Self::ActionCable => "channel identifier",
            Self::Pusher => "channel",
            Self::SockJs => "none",
            Self::Ddp => "method or subscription id",
            Self::HomeAssistant => "command id",
            Self::Jupyter => "message id",
            Self::Nats => "inbox subject",
            Self::Generic => "echoed id",
        }
    }
}

/// What tells the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Sec-WebSocket-Protocol of the answer.
    Negotiated,
    /// The path and the query.
    Url,
    /// The messages.
    Sniffed,
}

impl Source {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Negotiated => "negotiated",
            Self::Url => "url",
            Self::Sniffed => "sniffed",
        }
    }
}
