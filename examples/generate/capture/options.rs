//! What may be asked of the generator.

use clap::{Args, ValueEnum};

use super::seal::Suite;

/// The traffic to make up. Percentages are 0 to 100 and may have a fraction.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Stop when the file has about this many bytes (suffixes K, M and G are powers of 1000)
    #[arg(long, value_name = "BYTES", value_parser = bytes, conflicts_with = "messages")]
    pub(crate) size: Option<u64>,
    /// Stop after this many messages, all sessions together [default: 10000, without --size]
    #[arg(long, value_name = "COUNT")]
    pub(crate) messages: Option<u64>,
    /// WebSocket sessions, all open at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) sessions: u32,
    /// Another seed is another capture; the same seed is the same capture
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How long messages are
    #[arg(long, value_enum, default_value_t = Sizes::Mixed)]
    pub(crate) sizes: Sizes,
    /// Sessions that negotiate permessage-deflate, with context takeover both ways
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) deflate: f64,
    /// Messages that are binary
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    pub(crate) binary: f64,
    /// Messages that are sent in two to four fragments
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    pub(crate) fragmented: f64,
    /// How often each server pings; 0 is never
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub(crate) pings: u64,
    /// Background HTTP keep-alive connections, as a share of --sessions
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) http: f64,
    /// Sessions that speak TLS 1.3
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) tls: f64,
    /// Sessions that speak TLS 1.2; together with --tls at most 100
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) tls12: f64,
    /// What sessions with TLS are encrypted with
    #[arg(long, value_enum, default_value_t = Suite::Aes128Gcm)]
    pub(crate) suite: Suite,
    /// Segments that the network loses, half of them before the capture point and half
    /// behind it; each is sent again later
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) loss: f64,
    /// Segments that the network delivers behind later ones
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) reorder: f64,
    /// Sessions that end by RST or FIN without a Close frame
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub(crate) abnormal: f64,
    /// The MSS that both ends announce; a segment carries 12 bytes less (timestamps option)
    #[arg(long, value_name = "BYTES", default_value_t = 1460, value_parser = clap::value_parser!(u16).range(64..=9000))]
    pub(crate) mss: u16,
    /// Write the nanosecond form of pcap
    #[arg(long)]
    pub(crate) nanos: bool,
    /// Digest every message for the truth (costs time)
    #[arg(skip)]
    pub(crate) digests: bool,
}

/// How long messages are, before compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sizes {
    /// 20 to 300 bytes
    Small,
    /// 20 bytes to 64 KiB, most of them short
    Mixed,
    /// 16 KiB to 1 MiB
    Large,
}

/// `100M` as a number of bytes.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (text.split_at(at).0, 1_000),
        Some((at, 'm' | 'M')) => (text.split_at(at).0, 1_000_000),
        Some((at, 'g' | 'G')) => (text.split_at(at).0, 1_000_000_000),
        _ => (text, 1),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "expected a number such as 500K, 100M or 1G")?;
    number
        .checked_mul(unit)
        .ok_or_else(|| "more bytes than can be counted".to_owned())
}
