//! wscope: why did the WebSocket drop? Answered from a packet capture.

pub mod cli;
pub mod diagnosis;
pub mod http;
pub mod packet;
pub mod pipeline;
pub mod report;
pub mod session;
pub mod source;
pub mod stream;
pub mod tcp;
pub mod time;
pub mod websocket;

#[cfg(test)]
pub(crate) mod script;
