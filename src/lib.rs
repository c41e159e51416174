//! Why did the WebSocket drop? Answered from a packet capture: which session
//! broke, who broke it, how, and which packets show it.
//!
//! ```text
//!           files, stdin
//!                |  Input
//! source ------- v -----  the only part that reads the world
//! packet     link layers, IP, fragments, tunnels    -> Segment
//! tcp        a bystander's RFC 9293                    \
//! http       the opening handshake (RFC 6455, s. 4)     > StreamEvent: Chunk | Gap | End
//! websocket  frames, messages, deflate, closing        /
//!                |  facts, each with its packet
//! session    what happened: one record per WebSocket session
//! diagnosis  what it means: rules -> findings with evidence
//! report     what the user sees: one file per format
//! pipeline   one stack of layers per connection; limits
//! cli        flags -> options -> run -> exit code
//! ```
//!
//! Each layer hands the one above it [`StreamEvent`](stream::StreamEvent)s and
//! everything else that it notices to [`session`]. Decoding never fails:
//! malformed input is a fact, missing input a [`Gap`](stream::Gap).
//!
//! ```no_run
//! use wscope::pipeline::{Analyzer, Finished, Options};
//! use wscope::source::{CaptureFile, Source as _};
//!
//! let mut file = CaptureFile::open("drop.pcap".as_ref(), 0)?;
//! let mut analyzer = Analyzer::new(Options::default());
//! let mut finished = Vec::new();
//! while let Some(input) = file.next()? {
//!     analyzer.push(&input, &mut finished);
//! }
//! let capture = analyzer.finish(&mut finished, |_| {});
//! for one in &finished {
//!     if let Finished::Session(session) = one {
//!         println!("{} of {} packets: {:?}", session.name(), capture.packets, session.leg.client);
//!     }
//! }
//! # Ok::<(), wscope::source::SourceError>(())
//! ```

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
pub mod tls;
pub mod websocket;

#[cfg(test)]
pub(crate) mod script;
