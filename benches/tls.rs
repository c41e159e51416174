//! What decryption costs: a made-up capture with nothing but TLS 1.3 is read up to
//! TCP, then up to TLS; the difference is the TLS layer's.
//!
//! ```text
//! cargo bench --bench tls -- --size 300M
//! openssl speed -evp aes-128-gcm -bytes 16384
//! ```

#[path = "../examples/generate/capture/mod.rs"]
mod capture;

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::io::{self, Cursor, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use capture::options::Options;
use wscope::packet::{Decoded, Decoder, Endpoint};
use wscope::source::{CaptureFile, Input, Source as _, read_key_log};
use wscope::stream::{Direction, StreamEvent};
use wscope::{tcp, tls};

/// Each mix by name, with what the generator is told.
const MIXES: [(&str, &str); 4] = [
    ("small", "--tls 100 --sizes small"),
    ("mixed", "--tls 100 --sizes mixed"),
    ("large", "--tls 100 --sizes large"),
    ("jumbo", "--tls 100 --sizes large --mss 9000"),
];

/// Measures the TLS layer on made-up captures
#[derive(Parser)]
struct Cli {
    /// Bytes of each capture (suffixes K, M and G)
    #[arg(long, default_value = "100M")]
    size: String,
    /// Runs; the shortest counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Only this mix
    #[arg(long, value_parser = MIXES.map(|(name, _)| name))]
    mix: Option<String>,
    /// What cargo says to a benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// The generator's command line.
#[derive(Parser)]
struct Generator {
    #[command(flatten)]
    options: Options,
}

/// How far up a capture is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Tcp,
    Tls,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // `cargo test --all-targets` runs this file too, without the flag.
    if !cli.bench {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "mix        MB plain  ns/packet: TCP   with TLS   TLS MB/s"
    )?;
    for (name, line) in MIXES {
        if cli.mix.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let words = ["generate", "--size", &cli.size];
        let words = words.into_iter().chain(line.split(' '));
        let options = Generator::try_parse_from(words)?.options;
        let mut file = Vec::new();
        let truth = capture::generate(&options, &mut file)?;
        let file: Arc<[u8]> = file.into();
        let mut keys = tls::Keys::new(false);
        read_key_log(truth.key_log.as_bytes(), |secret| keys.add(secret));
        let (below, _) = shortest(cli.runs, || read(&file, &keys, Layer::Tcp))?;
        let (whole, plain) = shortest(cli.runs, || read(&file, &keys, Layer::Tls))?;
        let a_packet = |time: Duration| time.as_secs_f64() * 1e9 / truth.packets as f64;
        writeln!(
            out,
            "{name:<8} {:>10.1} {:>15.1} {:>10.1} {:>10.0}",
            plain as f64 / 1e6,
            a_packet(below),
            a_packet(whole),
            plain as f64 / 1e6 / whole.saturating_sub(below).as_secs_f64(),
        )?;
    }
    Ok(())
}

/// Reads the whole capture; the bytes that came out at the top.
fn read(file: &Arc<[u8]>, keys: &tls::Keys, layer: Layer) -> anyhow::Result<u64> {
    let reader = Box::new(Cursor::new(Arc::clone(file)));
    let mut file = CaptureFile::from_reader("-".into(), 0, reader)?;
    let mut decoder = Decoder::new();
    let mut connections: HashMap<Endpoint, (tcp::Connection, tls::Connection)> = HashMap::new();
    let mut bytes = 0;
    while let Some(input) = file.next()? {
        let Input::Packet(packet) = input else {
            continue;
        };
        let Decoded::Tcp(segment) = decoder.decode(&packet) else {
            continue;
        };
        let (direction, client) = match segment.to.port {
            443 => (Direction::ClientToServer, segment.from),
            _ => (Direction::ServerToClient, segment.to),
        };
        let (tcp, tls) = connections.entry(client).or_insert_with(|| {
            let tcp = tcp::Connection::new(tcp::Patience::default());
            (tcp, tls::Connection::new(0))
        });
        let mut take = |event: &StreamEvent<'_>| {
            if let StreamEvent::Chunk(chunk) = event {
                bytes += black_box(chunk.bytes).len() as u64;
            }
        };
        tcp.on_segment(direction, &segment, &mut |output| {
            let tcp::Output::Stream(event) = output else {
                return;
            };
            match layer {
                Layer::Tcp => take(&event),
                Layer::Tls => tls.on_stream(&event, keys, &mut |output| {
                    if let tls::Output::Stream(event) = output {
                        take(&event);
                    }
                }),
            }
        });
    }
    Ok(bytes)
}

/// The shortest time of `runs` runs, and what they yield. Rationale: other programs can
/// only make a run longer.
fn shortest(runs: u32, run: impl Fn() -> anyhow::Result<u64>) -> anyhow::Result<(Duration, u64)> {
    let mut best = (Duration::MAX, 0);
    for _ in 0..runs {
        let before = processor_time()?;
        let bytes = run()?;
        best = best.min((processor_time()?.saturating_sub(before), bytes));
    }
    Ok(best)
}

/// What this thread has had of the processor, as `openssl speed` counts it too; Linux tells.
fn processor_time() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(Duration::from_nanos(nanos))
}
