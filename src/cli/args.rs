//! Commands and flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::select::SelectArgs;
use crate::session::Wanted;

/// Says from a packet capture why a WebSocket session broke, who broke it and what to do.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    max_term_width = 80,
    after_help = "\
Examples:
  wscope drop.pcap                        the report: verdict first
  wscope drop.pcap --format json          the same for scripts
  wscope ring.pcap0 ring.pcap1            a rotated set, as one capture
  tcpdump -i eth0 -w - port 443 | wscope -  from a pipe, when it ends
  wscope --follow ring.pcap0              as it grows; the report on Ctrl-C
  wscope big.pcap --where path=/chat* --where client=10.1.0.0/16
                                          these sessions only
  wscope big.pcap --from 14:05 --to 14:10   what was alive then (UTC)
  wscope messages drop.pcap --control     every message, Ping, Pong and Close
  wscope show s3 drop.pcap                the timeline of one session
  wscope explain close-1006-peer-rst      what a finding means and what to do

Exit codes: 0 nothing at or above --fail-on, 1 something, 2 could not run."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    analyze: AnalyzeArgs,
}

impl Cli {
    pub(super) fn command(self) -> Command {
        self.command.unwrap_or(Command::Analyze(self.analyze))
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The report: what broke, who broke it, how, what to do (the default)
    #[command(after_help = "\
Examples:
  wscope analyze drop.pcap
  wscope analyze drop.pcap --fail-on error     exit code 1 if something broke
  wscope analyze drop.pcap --format json | jq '.findings[].id'
  wscope analyze big.pcap --where x-forwarded-for=203.0.113.9
  wscope analyze big.pcap --where 'finding=close-1006-*' --from -5m
  wscope analyze big.pcap --filter 'host 10.1.2.3' --to +90s")]
    Analyze(AnalyzeArgs),
    /// One line a message, in capture order
    #[command(after_help = "\
Examples:
  wscope messages chat.pcap
  wscope messages chat.pcap --control                 Pings, Pongs and Closes too
  wscope messages --follow ring.pcap0                 as they are captured
  wscope messages chat.pcap --session s3 --from 14:05 --to 14:06
  wscope messages chat.pcap --format jsonl --sha256 --no-payload")]
    Messages(MessagesArgs),
    /// The timeline of one session, with both ends' readyState
    ///
    /// TCP, TLS and proxies, the opening handshake, messages, Pings with their times, silences and what covered them,
    /// what was sent again or lost, how it closed, on every leg of a proxy, and the findings at the packets that
    /// prove them. Of a long session what is alike is counted in one line; --all shows each row.
    #[command(after_help = "\
Examples:
  wscope show s3 drop.pcap
  wscope show 17 drop.pcap                   the session on tcp.stream 17
  wscope show s3 drop.pcap --from 14:05 --all
  wscope show s3 wss.pcap --keys keys.log --no-payload
  wscope show s3 drop.pcap --format jsonl | jq 'select(.event == \"silence\")'")]
    Show(ShowArgs),
    /// What a finding means, what causes it, how to tell the causes apart, what to do
    #[command(after_help = "\
Examples:
  wscope explain                       all findings, a line each
  wscope explain close-1006-peer-rst")]
    Explain(ExplainArgs),
}

/// What to read.
#[derive(Clone, Debug, Args)]
pub(super) struct InputArgs {
    /// pcap or pcapng files (gzip, zstd, lz4, xz too), a directory of them, or - for stdin; several are one vantage point
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,

    /// Key log (SSLKEYLOGFILE) that opens TLS, or the server's private key (PEM) for RSA key exchange; secrets inside a pcapng file are found by themselves
    #[arg(long, value_name = "FILE")]
    pub(super) keys: Vec<PathBuf>,

    /// Timers of your own proxies and devices, beside those that are known (TOML; its form is in docs/timeouts.md)
    #[arg(long, value_name = "FILE")]
    pub(super) timeouts: Vec<PathBuf>,

    /// Read on as the files grow, and the files of a ring that come after them; Ctrl-C ends it
    #[arg(long)]
    pub(super) follow: bool,

    /// Show tokens, cookies and credentials; they are redacted otherwise
    #[arg(long)]
    pub(super) show_secrets: bool,

    #[command(flatten)]
    pub(super) select: SelectArgs,
}

/// Where the output goes.
#[derive(Clone, Debug, Args)]
pub(super) struct OutputArgs {
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Colour: auto is for terminals only, and honours NO_COLOR
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(super) color: ColorChoice,

    /// No warnings on stderr
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// Everything: all sessions, all evidence
    #[arg(short, long)]
    pub(super) verbose: bool,
}

#[derive(Clone, Debug, Args)]
pub(super) struct AnalyzeArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,

    /// How to write it
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, value_name = "FORMAT")]
    pub(super) format: ReportFormat,

    /// Exit with 1 when a finding is at least this bad
    #[arg(long, value_enum, default_value_t = FailOn::Never, value_name = "SEVERITY")]
    pub(super) fail_on: FailOn,

    /// Leave out findings of this id
    #[arg(long, value_name = "FINDING-ID")]
    pub(super) ignore: Vec<String>,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Clone, Debug, Args)]
pub(super) struct MessagesArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,

    /// How to write it
    #[arg(long, value_enum, default_value_t = LineFormat::Text, value_name = "FORMAT")]
    pub(super) format: LineFormat,

    /// Pings, Pongs and Close frames too
    #[arg(long)]
    pub(super) control: bool,

    /// Add the SHA-256 of each message, uncompressed and unmasked
    #[arg(long)]
    pub(super) sha256: bool,

    /// Leave out the payload
    #[arg(long)]
    pub(super) no_payload: bool,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ShowArgs {
    /// The session: s3, or 3 for Wireshark's tcp.stream
    #[arg(value_name = "SESSION")]
    pub(super) wanted: Wanted,

    #[command(flatten)]
    pub(super) input: InputArgs,

    /// How to write it
    #[arg(long, value_enum, default_value_t = TimelineFormat::Text, value_name = "FORMAT")]
    pub(super) format: TimelineFormat,

    /// Each row, rather than counting those that are alike
    #[arg(long)]
    pub(super) all: bool,

    /// Leave out the payload
    #[arg(long)]
    pub(super) no_payload: bool,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ExplainArgs {
    /// The finding; without it, all are listed
    #[arg(value_name = "FINDING-ID")]
    pub(super) id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    Text,
    Json,
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LineFormat {
    Text,
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TimelineFormat {
    Text,
    Json,
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Error,
    Warn,
    Info,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorChoice {
    Auto,
    Always,
    Never,
}
