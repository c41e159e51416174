//! What a full analysis costs: `wscope FILE --format json` on made-up captures, beside
//! `tcpdump -r FILE -w /dev/null`, which only reads and copies.
//!
//! ```text
//! cargo bench --bench analyze -- --size 1G --runs 5 --mix mixed
//! ```

#[path = "../examples/generate/capture/mod.rs"]
mod capture;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;

use capture::options::Options;

/// Each mix by name, with what the generator is told.
const MIXES: [(&str, &str); 5] = [
    ("small", "--sessions 200 --sizes small"),
    (
        "mixed",
        "--sessions 200 --sizes mixed --deflate 20 --http 10 --loss 0.1 --reorder 0.1",
    ),
    ("large", "--sessions 50 --sizes large"),
    ("deflate", "--sessions 200 --sizes mixed --deflate 100"),
    ("many", "--sessions 5000 --sizes small --deflate 5"),
];

/// Measures wscope's speed and memory on made-up captures
#[derive(Parser)]
struct Cli {
    /// Bytes of each capture (suffixes K, M and G)
    #[arg(long, default_value = "100M")]
    size: String,
    /// Runs of each program; the median counts
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

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // `cargo test --all-targets` runs this file too, without the flag.
    if !cli.bench {
        return Ok(());
    }
    let folder = Folder::new()?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<8} {:>9} {:>9} {:>9} {:>10} {:>9} {:>11} {:>6}",
        "mix", "MB", "packets", "MB/s", "ns/packet", "peak MiB", "tcpdump s", "ratio"
    )?;
    for (name, line) in MIXES {
        if cli.mix.as_ref().is_none_or(|wanted| wanted == name) {
            let measured = measure(&folder.0.join(name), line, &cli)?;
            writeln!(out, "{name:<8} {measured}")?;
        }
    }
    Ok(())
}

/// A folder that goes when the benchmark ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("wscope-bench-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("{}: can't be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind is untidy, not wrong.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes one capture and has both programs read it; a line of figures.
fn measure(path: &Path, line: &str, cli: &Cli) -> anyhow::Result<String> {
    let words = ["generate", "--size", &cli.size]
        .into_iter()
        .chain(line.split(' '));
    let options = Generator::try_parse_from(words)?.options;
    let truth = capture::generate(&options, File::create(path)?)?;

    let wscope = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wscope"));
        command.arg(path).args(["--format", "json"]);
        command
    };
    let tcpdump = || {
        let mut command = Command::new("tcpdump");
        command.arg("-r").arg(path).args(["-w", "/dev/null"]);
        command
    };
    // The first run of each fills the page cache; wscope's says how much memory it takes.
    let peak = peak_bytes(wscope(), path)?;
    let has_tcpdump = start(&mut tcpdump())
        .and_then(|mut child| child.wait())
        .is_ok();

    let ours = median(cli.runs, wscope)?;
    let theirs = if has_tcpdump {
        Some(median(cli.runs, tcpdump)?)
    } else {
        None
    };
    fs::remove_file(path)?;

    let seconds = ours.as_secs_f64();
    let megabytes = truth.bytes as f64 / 1e6;
    let (rate, packet) = (megabytes / seconds, seconds * 1e9 / truth.packets as f64);
    let peak = peak.map_or("-".to_owned(), |peak| {
        format!("{:.1}", peak as f64 / 1_048_576.0)
    });
    let (theirs, ratio) = match theirs.map(|time| time.as_secs_f64()) {
        Some(theirs) => (format!("{theirs:.3}"), format!("{:.2}", seconds / theirs)),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let packets = truth.packets;
    Ok(format!(
        "{megabytes:>9.1} {packets:>9} {rate:>9.1} {packet:>10.1} {peak:>9} {theirs:>11} {ratio:>6}"
    ))
}

/// The median of `runs` runs, each from start to exit.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is about the time that passes here"
)]
fn median(runs: u32, command: impl Fn() -> Command) -> anyhow::Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let mut command = command();
        let before = Instant::now();
        let status = start(&mut command)?.wait()?;
        times.push(before.elapsed());
        ensure!(status.success(), "{command:?} ended with {status}");
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("no runs")
}

/// The most memory that `command` had at one time: as GNU time says, or without it
/// as /proc said shortly before the end; `None` where there is neither.
fn peak_bytes(mut command: Command, capture: &Path) -> anyhow::Result<Option<u64>> {
    let note = capture.with_extension("rss");
    let mut time = Command::new("/usr/bin/time");
    time.args(["-f", "%M", "-o"]).arg(&note);
    time.arg(command.get_program()).args(command.get_args());
    if let Ok(mut child) = start(&mut time) {
        child.wait()?;
        let text = fs::read_to_string(&note)?;
        let kibibytes: Option<u64> = text
            .lines()
            .last()
            .and_then(|line| line.trim().parse().ok());
        return Ok(kibibytes.map(|kibibytes| kibibytes * 1024));
    }
    let mut child = start(&mut command)?;
    let mut peak = None;
    while child.try_wait()?.is_none() {
        peak = high_water_mark(&child).or(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(peak)
}

/// VmHWM of a process that still runs, in bytes.
fn high_water_mark(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}

fn start(command: &mut Command) -> io::Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
