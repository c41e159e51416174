//! Writes a made-up capture of WebSocket traffic, and the truth about it.

mod capture;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;

use capture::options::Options;

const EXAMPLES: &str = "\
Examples:
  generate --messages 1000 --sessions 5 small.pcap
  generate --size 1G --sessions 200 --deflate 20 --http 10 --loss 0.1 --reorder 0.1 big.pcap
  generate --size 5M --abnormal 50 --truth truth.json abnormal.pcap
  generate --tls 80 --tls12 20 --keys keys.log tls.pcap
  generate --sizes small --nanos - | wscope -";

/// Writes a made-up capture of WebSocket traffic: the same options, the same bytes
#[derive(Debug, Parser)]
#[command(name = "generate", after_help = EXAMPLES)]
struct Cli {
    /// Where the pcap goes; `-` is stdout
    #[arg(default_value = "-")]
    output: PathBuf,
    /// Write what was sent, session by session, as JSON
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Write the secrets of the sessions with TLS, in the form of SSLKEYLOGFILE
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

fn main() -> anyhow::Result<()> {
    let mut cli = Cli::parse();
    cli.options.digests = cli.truth.is_some();
    let out: Box<dyn Write> = match cli.output.as_path() {
        path if path == Path::new("-") => Box::new(io::stdout().lock()),
        path => Box::new(create(path)?),
    };
    let truth = capture::generate(&cli.options, out).context("writing the capture")?;
    if let Some(path) = &cli.truth {
        serde_json::to_writer(create(path)?, &truth).context("writing the truth")?;
    }
    if let Some(path) = &cli.keys {
        let wrote = create(path)?.write_all(truth.key_log.as_bytes());
        wrote.context("writing the key log")?;
    }
    Ok(())
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("{}: can't be written", path.display()))
}
