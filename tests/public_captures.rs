//! The captures that others made, which lie beside the checkout: frames and
//! payload bytes as their index has them, no WebSocket where there is none,
//! one clear line and exit code 2 where nothing can be read, never a panic.
#![allow(clippy::indexing_slicing)] // A key that a JSON `Value` lacks is null, not a panic.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use wscope::pipeline::{Analyzer, Finished, Options};
use wscope::session::Session;
use wscope::source::{CaptureFile, Input, Source};

/// Files of which nothing can be read, and why that is right.
const UNREADABLE: &[(&str, &str)] = &[
    (
        "courvoif+pcap-file/tests/pcap/infinite_loop.pcap",
        "a Git LFS pointer, not a capture",
    ),
    (
        "rshk+python-pcapng/test_data/test010.ntar",
        "its first packet block has no legal length",
    ),
];

/// Where our figures and those of the index differ, and why: the file, how the
/// difference begins, the reason.
const DIFFERENT: &[(&str, &str, &str)] = &[
    (
        "seladb+PcapPlusPlus/Tests/Pcap++Test/PcapExamples/650HttpResponses.pcap",
        "sessions: index 0, wscope 1",
        "packet 475 is a 101 to a WebSocket; the capture has responses only",
    ),
    (
        "derived/d12-swap-two-compressed.pcap",
        "payload bytes: index 188, wscope 211",
        "the index counts the 9 frames that tshark finds; the tenth has 23 bytes",
    ),
    (
        "OISF+suricata-verify/tests/drop-protocol-change/input.pcap",
        "connections: index 2, wscope 1",
        "packet 7 has a TCP header of less than 20 bytes; tshark numbers it as a stream",
    ),
];

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures/public")
}

/// What wscope made of a file.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn wscope(arguments: &[&str], capture: &Path) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_wscope"))
        .args(arguments)
        .arg(capture)
        .output()
        .expect("wscope runs");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("wscope prints UTF-8"),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Frames by opcode, the absent ones left out.
type Frames = BTreeMap<String, u64>;

fn frames_of_index(entry: &Value) -> Frames {
    let told = [&entry["truth"]["ws_frames"], &entry["ws_frames_by_opcode"]];
    let frames = told.into_iter().find_map(Value::as_object);
    let count = |(name, count): (&String, &Value)| (name.clone(), count.as_u64().expect("a count"));
    frames
        .map(|frames| frames.iter().map(count).collect())
        .unwrap_or_default()
}

/// Frames and payload bytes of all sessions of a report.
fn frames_of_report(report: &Value) -> (Frames, u64) {
    let (mut frames, mut payload) = (Frames::new(), 0);
    for session in report["sessions"].as_array().expect("a list of sessions") {
        for side in ["client", "server"] {
            for (name, count) in session["frames"][side].as_object().expect("counts") {
                let count = count.as_u64().expect("a count");
                match name.as_str() {
                    "payload_bytes" => payload += count,
                    _ if count > 0 => *frames.entry(name.clone()).or_default() += count,
                    _ => {}
                }
            }
        }
    }
    (frames, payload)
}

/// A line for each thing in which the report and the index disagree.
fn differences(entry: &Value, report: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let mut compare = |what: &str, index: String, ours: String| {
        if index != ours {
            lines.push(format!("{what}: index {index}, wscope {ours}"));
        }
    };
    let (frames, payload) = frames_of_report(report);
    let wanted = frames_of_index(entry);
    compare("frames", format!("{wanted:?}"), format!("{frames:?}"));
    // Where the reference found no frames, its bytes are those of none.
    if entry["ws_frames_by_opcode"].is_object() {
        compare(
            "payload bytes",
            entry["ws_payload_bytes"].to_string(),
            payload.to_string(),
        );
    }
    if wanted.is_empty() && entry["upgrade_requests"].as_u64().unwrap_or(0) == 0 {
        let sessions = report["capture"]["sessions"].to_string();
        compare("sessions", "0".to_owned(), sessions);
    }
    let capture = &report["capture"];
    let (packets, connections) = (&capture["packets"], &capture["tcp_connections"]);
    compare("packets", entry["packets"].to_string(), packets.to_string());
    if entry["tcp_streams"].is_u64() {
        let streams = entry["tcp_streams"].to_string();
        compare("connections", streams, connections.to_string());
    }
    lines
}

/// What is wrong with how wscope refuses a file.
fn refusal_faults(path: &Path, ran: &Ran) -> Vec<String> {
    let line = ran.stderr.trim_end();
    let sound = ran.code == Some(2)
        && ran.stdout.is_empty()
        && line.lines().count() == 1
        && line.starts_with(&format!("wscope: {}: offset ", path.display()));
    if sound {
        return Vec::new();
    }
    vec![format!("exit code {:?} and `{line}`", ran.code)]
}

fn faults_of(name: &str, entry: &Value) -> Vec<String> {
    let path = captures().join(name);
    let json = wscope(&["analyze", "--format", "json"], &path);
    let lines = wscope(
        &["messages", "--control", "--sha256", "--format", "jsonl"],
        &path,
    );
    if UNREADABLE.iter().any(|(unreadable, _)| *unreadable == name) {
        let mut faults = refusal_faults(&path, &json);
        faults.extend(refusal_faults(&path, &lines));
        return faults;
    }
    for ran in [&json, &lines] {
        if ran.code != Some(0) || ran.stderr.contains("panic") || ran.stderr.contains("a bug in") {
            return vec![format!("exit code {:?}: {}", ran.code, ran.stderr.trim())];
        }
    }
    let mut faults: Vec<String> = lines
        .stdout
        .lines()
        .filter(|line| serde_json::from_str::<Value>(line).is_err())
        .map(|line| format!("messages prints `{line}`"))
        .collect();
    match serde_json::from_str(&json.stdout) {
        Ok(report) => faults.extend(differences(entry, &report)),
        Err(error) => faults.push(format!("the report: {error}")),
    }
    faults
}

#[test]
fn captures_of_others_read_as_their_index_says() {
    let Ok(index) = fs::read_to_string(captures().join("INDEX.json")) else {
        // Written past the test's capture: a test that didn't run has to be seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: ../shared/captures/public isn't here"
        );
        return;
    };
    let index: Value = serde_json::from_str(&index).expect("the index is JSON");
    let mut faults = Vec::new();
    let mut met = Vec::new();
    for entry in index["files"].as_array().expect("a list of files") {
        let name = entry["path"].as_str().expect("a path");
        for fault in faults_of(name, entry) {
            let known = DIFFERENT
                .iter()
                .position(|(file, begins, _)| *file == name && fault.starts_with(begins));
            match known {
                Some(known) => met.push(known),
                None => faults.push(format!("{name}: {fault}")),
            }
        }
    }
    let stale = DIFFERENT
        .iter()
        .enumerate()
        .filter(|(known, _)| !met.contains(known));
    faults.extend(stale.map(|(_, (file, begins, why))| {
        format!("{file}: no longer differs in `{begins}` ({why})")
    }));
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The sessions that show in the last part of a capture, from this share of its packets on.
fn found_in_the_rest(path: &Path, from: u64) -> Vec<Session> {
    let (mut analyzer, mut finished) = (Analyzer::new(Options::default()), Vec::new());
    let Ok(mut file) = CaptureFile::open(path, 0) else {
        return Vec::new();
    };
    while let Ok(Some(input)) = file.next() {
        if !matches!(&input, Input::Packet(packet) if packet.at.number <= from) {
            analyzer.push(&input, &mut finished);
        }
    }
    let capture = analyzer.finish(&mut finished, |_| {});
    assert_eq!(capture.failures, 0, "{}", path.display());
    let session = |finished| match finished {
        Finished::Session(session) => Some(*session),
        Finished::Attempt(_) => None,
    };
    finished.into_iter().filter_map(session).collect()
}

/// Without its beginning, no other protocol looks like a WebSocket.
#[test]
fn captures_without_websocket_have_none_wherever_they_begin() {
    let Ok(index) = fs::read_to_string(captures().join("INDEX.json")) else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: ../shared/captures/public isn't here"
        );
        return;
    };
    let index: Value = serde_json::from_str(&index).expect("the index is JSON");
    let mut faults = Vec::new();
    for entry in index["files"].as_array().expect("a list of files") {
        let asked = entry["upgrade_requests"].as_u64().unwrap_or(0) > 0;
        if asked || !frames_of_index(entry).is_empty() {
            continue;
        }
        let name = entry["path"].as_str().expect("a path");
        let packets = entry["packets"].as_u64().unwrap_or(0);
        for from in [packets / 10, packets / 3, packets * 3 / 5] {
            let found = found_in_the_rest(&captures().join(name), from);
            let made_up = found
                .iter()
                .filter_map(|session| session.handshake.mid_stream);
            faults.extend(made_up.map(|found| format!("{name} from {from}: {found:?}")));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn truth_counts_where_the_index_has_both() {
    let entry = serde_json::json!({
        "truth": {"ws_frames": {"text": 10}}, "ws_frames_by_opcode": {"text": 9},
    });
    assert_eq!(
        frames_of_index(&entry),
        Frames::from([("text".to_owned(), 10)])
    );
    assert_eq!(frames_of_index(&serde_json::json!({})), Frames::new());
}
