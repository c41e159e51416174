//! TLS from file to report: what others' key logs open, keys wherever they
//! stand, lost packets, and that no secret ever gets out.
#![allow(clippy::indexing_slicing)] // A key that a JSON `Value` lacks is null, not a panic.

mod capture;
#[path = "../examples/generate/capture/mod.rs"]
mod generator;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::io::{Cursor, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use serde_json::Value;

use capture::{Directory, pcapng_block, words};
use generator::truth::Truth;
use wscope::packet::{Decoded, Decoder, Endpoint};
use wscope::pipeline::{Analyzer, Options};
use wscope::source::{CaptureFile, Input, Source as _, embedded_key_logs, read_key_log};
use wscope::stream::{Direction, StreamEvent};
use wscope::{tcp, tls};

// --- captures of others -------------------------------------------------

fn public() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures/public")
}

/// The entries of a category of the index; `None` (aloud) where the captures are missing.
fn entries(category: &str) -> Option<Vec<Value>> {
    let Ok(index) = fs::read_to_string(public().join("INDEX.json")) else {
        // Written past the test's capture: a test that didn't run has to be seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: ../shared/captures/public isn't here"
        );
        return None;
    };
    let index: Value = serde_json::from_str(&index).expect("the index is JSON");
    let files = index["files"].as_array().expect("a list of files");
    let of_category = files.iter().filter(|entry| entry["category"] == category);
    Some(of_category.cloned().collect())
}

/// What a file's only connection said in TLS.
#[derive(Debug, Default)]
struct Decrypted {
    client: Option<Endpoint>,
    /// By the client, by the server.
    said: [Vec<u8>; 2],
    closed: u64,
    gaps: u64,
}

impl Decrypted {
    fn take(&mut self, output: &tls::Output<'_>) {
        match output {
            tls::Output::Stream(StreamEvent::Chunk(chunk)) => {
                let side = usize::from(chunk.direction == Direction::ServerToClient);
                self.said[side].extend_from_slice(chunk.bytes);
            }
            tls::Output::Stream(StreamEvent::Gap(_)) => self.gaps += 1,
            tls::Output::Fact(tls::Event::Closed { .. }) => self.closed += 1,
            tls::Output::Stream(StreamEvent::End(..)) | tls::Output::Fact(_) => {}
        }
    }
}

/// Reads the only connection of a file with all secrets that there are.
fn decrypt(path: &Path, key_log: Option<&Path>) -> Decrypted {
    let mut keys = tls::Keys::new(false);
    if let Some(key_log) = key_log {
        let text = fs::read(key_log).expect("the key log");
        read_key_log(&text, |secret| keys.add(secret));
    }
    embedded_key_logs(path, |text| {
        read_key_log(text, |secret| keys.add(secret));
    });
    let mut file = CaptureFile::open(path, 0).expect("a capture");
    let mut decoder = Decoder::new();
    let mut tcp = tcp::Connection::new(tcp::Patience::default());
    let mut tls = tls::Connection::new(0);
    let mut decrypted = Decrypted::default();
    while let Some(input) = file.next().expect("a sound capture") {
        let Input::Packet(packet) = input else {
            continue;
        };
        let Decoded::Tcp(segment) = decoder.decode(&packet) else {
            continue;
        };
        let direction = match *decrypted.client.get_or_insert(segment.from) == segment.from {
            true => Direction::ClientToServer,
            false => Direction::ServerToClient,
        };
        tcp.on_segment(direction, &segment, &mut |output| {
            if let tcp::Output::Stream(event) = output {
                tls.on_stream(&event, &keys, &mut |output| decrypted.take(&output));
            }
        });
    }
    tls.finish(&mut |output| decrypted.take(&output));
    decrypted
}

/// What tshark decrypts of the two sides, in either order; `None` where it isn't installed.
fn by_tshark(path: &Path, key_log: Option<&Path>) -> Option<[Vec<u8>; 2]> {
    let mut command = Command::new("tshark");
    command.args(["-q", "-z", "follow,tls,raw,0", "-r"]);
    command.arg(path);
    if let Some(key_log) = key_log {
        let option = format!("tls.keylog_file:{}", key_log.display());
        command.args(["-o", &option]);
    }
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut said = [Vec::new(), Vec::new()];
    for line in text.lines() {
        let digits = line.trim();
        if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let pairs = digits.as_bytes().chunks(2);
            said[usize::from(line.starts_with('\t'))].extend(pairs.map(|pair| {
                let pair = std::str::from_utf8(pair).expect("digits");
                u8::from_str_radix(pair, 16).expect("two digits")
            }));
        }
    }
    Some(said)
}

/// Bytes inside TLS by the client and by the server; tshark finds as many.
const INSIDE: &[(&str, usize, usize)] = &[
    (
        "PYPI+pcap2har/tests/resources/http2-dump.pcap",
        1_212,
        65_187,
    ),
    ("adulau+ssldump/samples/tls1.2_aes256.pcap", 16, 16),
    ("adulau+ssldump/samples/tls1.3_aes256gcm.pcap", 32, 27),
    ("adulau+ssldump/samples/tls1.3_ccm8.pcap", 10, 10),
    (
        "adulau+ssldump/samples/tls1.3_curl_google.pcap",
        113,
        17_329,
    ),
    (
        "adulau+ssldump/samples/tls1.3_session_resumption.pcap",
        11,
        6,
    ),
    // tshark reads nothing after the first segments out of order (304,318 bytes of the server).
    (
        "gopacket+gopacket/pcapgo/tests/le/test301.pcapng",
        207,
        857_814,
    ),
    ("syncsynchalt+illustrated-tls12/captures/capture.pcap", 4, 4),
    ("syncsynchalt+illustrated-tls13/captures/capture.pcap", 4, 4),
    (
        "zeek+zeek/testing/btest/Traces/tls/tls-1.2-stream-keylog.pcap",
        9_715,
        147_270,
    ),
];

#[test]
fn key_logs_of_others_open_what_their_reference_opens() {
    let Some(entries) = entries("tls-keys") else {
        return;
    };
    let mut faults = Vec::new();
    let mut met = 0;
    for entry in entries {
        let name = entry["path"].as_str().expect("a path");
        let key_log = entry["keylog"].as_str().map(|log| public().join(log));
        let path = public().join(name);
        let ours = decrypt(&path, key_log.as_deref());
        let lengths = [ours.said[0].len(), ours.said[1].len()];
        if ours.closed > 0 || ours.gaps > 0 {
            faults.push(format!(
                "{name}: {} closed, {} gaps",
                ours.closed, ours.gaps
            ));
        }
        match INSIDE.iter().find(|(file, ..)| *file == name) {
            Some((_, client, server)) if [*client, *server] == lengths => met += 1,
            wanted => faults.push(format!("{name}: {lengths:?}, not {wanted:?}")),
        }
        let Some(theirs) = by_tshark(&path, key_log.as_deref()) else {
            continue;
        };
        let begins =
            |ours: &Vec<u8>, theirs: &Vec<u8>| ours.starts_with(theirs) && !theirs.is_empty();
        let [a, b] = &theirs;
        let [client, server] = &ours.said;
        if !(begins(client, a) && begins(server, b) || begins(client, b) && begins(server, a)) {
            faults.push(format!("{name}: the two said something else to tshark"));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert_eq!(met, INSIDE.len());
}

/// What can't be opened, and why; where nothing was encrypted there is nothing to say.
const CLOSED: &[(&str, &str)] = &[
    (
        "certificate-request-failed.pcap",
        r#"[{"count":1,"reason":"no-key"}]"#,
    ),
    ("hrr.pcap", r#"[{"count":1,"reason":"no-key"}]"#),
    ("ssl-to-http-server.pcap", "[]"),
    ("tls-early-alert.pcap", r#"[{"count":1,"reason":"no-key"}]"#),
    ("tls-fragmented-handshake.pcap.gz", "[]"),
    ("tls13-ech.pcap", r#"[{"count":2,"reason":"no-key"}]"#),
];

#[test]
fn captures_without_keys_tell_why_they_stay_closed() {
    let Some(entries) = entries("tls-nokeys") else {
        return;
    };
    let mut faults = Vec::new();
    for entry in &entries {
        let name = entry["path"].as_str().expect("a path");
        let path = public().join(name);
        let path = path.to_str().expect("UTF-8");
        let ran = wscope(Path::new("."), &["--format", "json", path], b"");
        let tls = &json(&ran.stdout)["capture"]["tls"];
        let told = (tls["undecrypted"].to_string(), tls["decrypted"].clone());
        let file = name.rsplit('/').next().unwrap_or_default();
        let wanted = CLOSED.iter().find(|(wanted, _)| *wanted == file);
        let wanted = wanted.map(|(_, wanted)| ((*wanted).to_owned(), Value::from(0)));
        if wanted.as_ref() != Some(&told) {
            faults.push(format!("{name}: {told:?}, not {wanted:?}"));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert_eq!(entries.len(), CLOSED.len());
}

// --- keys wherever they stand -------------------------------------------

/// What a run printed.
struct Ran {
    stdout: String,
    stderr: String,
}

fn wscope(directory: &Path, arguments: &[&str], stdin: &[u8]) -> Ran {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_wscope"))
        .current_dir(directory)
        .args(arguments)
        .write_stdin(stdin)
        .output()
        .expect("wscope runs");
    let stderr = String::from_utf8(output.stderr).expect("wscope complains in UTF-8");
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    let stdout = String::from_utf8(output.stdout).expect("wscope prints UTF-8");
    Ran { stdout, stderr }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Everything that is told of sessions: the reports, and messages one by one.
#[derive(Debug)]
struct Told {
    sessions: Value,
    findings: Value,
    messages: Vec<Value>,
}

fn told(directory: &Path, input: &[&str], stdin: &[u8]) -> Told {
    let report = [input, &["--format", "json"]].concat();
    let mut report = json(&wscope(directory, &report, stdin).stdout);
    let list = ["messages", "--control", "--sha256", "--format", "jsonl"];
    let lines = wscope(directory, &[&list, input].concat(), stdin).stdout;
    Told {
        sessions: report["sessions"].take(),
        findings: report["findings"].take(),
        messages: lines.lines().map(json).collect(),
    }
}

/// Fails with the first line in which the two differ.
fn same(told: &impl Debug, wanted: &impl Debug, what: &str) {
    let (told, wanted) = (format!("{told:#?}"), format!("{wanted:#?}"));
    let mut lines = told.lines().zip(wanted.lines()).zip(1..);
    if let Some(((told, wanted), line)) = lines.find(|((told, wanted), _)| told != wanted) {
        panic!("{what}: line {line}: {told}, not {wanted}");
    }
    assert_eq!(told.len(), wanted.len(), "{what}");
}

/// The packets of a little-endian pcap: seconds, their fractions, bytes.
fn packets(pcap: &[u8]) -> Vec<(u32, u32, &[u8])> {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let (mut packets, mut rest) = (Vec::new(), &pcap[24..]);
    while let Some((head, after)) = rest.split_at_checked(16) {
        let len = usize::try_from(word(&head[8..12])).expect("a length");
        let (packet, after) = after.split_at(len);
        packets.push((word(&head[..4]), word(&head[4..8]), packet));
        rest = after;
    }
    packets
}

/// The packets of a pcap in a pcapng, with a block of secrets before each packet that is named.
fn with_secrets(pcap: &[u8], secrets: &[(usize, String)]) -> Vec<u8> {
    let nanos = pcap.starts_with(&[0x4d, 0x3c, 0xb2, 0xa1]);
    let mut file = pcapng_block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, !0, !0]));
    // if_tsresol (9): a power of ten.
    let resolution = if nanos { 9 } else { 6 };
    file.extend(pcapng_block(
        1,
        &words(&[1, 262_144, 0x0001_0009, resolution, 0]),
    ));
    let units: u64 = if nanos { 1_000_000_000 } else { 1_000_000 };
    let packets = packets(pcap);
    for place in 0..=packets.len() {
        for (_, text) in secrets.iter().filter(|(at, _)| *at == place) {
            let len = u32::try_from(text.len()).expect("a short text");
            let mut body = words(&[0x544c_534b, len]);
            body.extend(text.as_bytes());
            body.resize(body.len().next_multiple_of(4), 0);
            file.extend(pcapng_block(10, &body));
        }
        let Some((seconds, fraction, packet)) = packets.get(place) else {
            break;
        };
        let time = u64::from(*seconds) * units + u64::from(*fraction);
        let [high, low] =
            [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).expect("32 bits"));
        let len = u32::try_from(packet.len()).expect("a small packet");
        let mut body = words(&[0, high, low, len, len]);
        body.extend(*packet);
        body.resize(body.len().next_multiple_of(4), 0);
        file.extend(pcapng_block(6, &body));
    }
    file
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: generator::options::Options,
}

fn generate(line: &str) -> (Vec<u8>, Truth) {
    let options = Line::parse_from(format!("generate {line}").split(' ')).options;
    let mut file = Cursor::new(Vec::new());
    let truth = generator::generate(&options, &mut file).expect("a capture");
    (file.into_inner(), truth)
}

/// A few sessions in TLS 1.3 and 1.2, on a network that loses and reorders.
fn some_sessions() -> (Vec<u8>, Truth) {
    generate("--messages 80 --sessions 4 --sizes small --tls 50 --tls12 50 --loss 1 --reorder 2")
}

fn fixture(name: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    fixtures.join("tls-session-with-key-log").join(name)
}

/// A capture and its key log, of the lab and made up.
fn captures() -> [(Vec<u8>, String); 2] {
    let recorded = fs::read(fixture("capture.pcap")).expect("the fixture");
    let key_log = fs::read_to_string(fixture("keys.log")).expect("its key log");
    let (made, truth) = some_sessions();
    [(recorded, key_log), (made, truth.key_log)]
}

#[test]
fn keys_beside_the_capture_or_anywhere_in_it_tell_the_same() {
    for (number, (pcap, key_log)) in captures().into_iter().enumerate() {
        let directory = Directory::new(&format!("tls-keys-anywhere-{number}"));
        directory.file("a.pcap", &pcap);
        directory.file("keys.log", key_log.as_bytes());
        let wanted = told(directory.path(), &["a.pcap", "--keys", "keys.log"], b"");
        assert!(wanted.messages.len() > 4, "{wanted:#?}");
        let end = packets(&pcap).len();
        let places = [0, end / 2, end];
        for place in places {
            let file = with_secrets(&pcap, &[(place, key_log.clone())]);
            directory.file("a.pcapng", &file);
            let inside = told(directory.path(), &["a.pcapng"], b"");
            same(&inside, &wanted, &format!("secrets before packet {place}"));
        }
        // A line here, a line there, each twice.
        let lines = key_log.lines().zip((0..end).cycle().step_by(7));
        let lines = lines.map(|(line, place)| (place, format!("{line}\r\n{line}")));
        directory.file("a.pcapng", &with_secrets(&pcap, &lines.collect::<Vec<_>>()));
        let scattered = told(directory.path(), &["a.pcapng"], b"");
        same(&scattered, &wanted, "a line here, a line there");
    }
}

#[test]
fn records_from_a_pipe_wait_for_keys_that_come_behind_them() {
    for (number, (pcap, key_log)) in captures().into_iter().enumerate() {
        let directory = Directory::new(&format!("tls-late-keys-{number}"));
        directory.file("keys.log", key_log.as_bytes());
        let wanted = told(directory.path(), &["-", "--keys", "keys.log"], &pcap);
        assert!(wanted.messages.len() > 4, "{wanted:#?}");
        let end = packets(&pcap).len();
        for place in [0, end / 3, end] {
            let file = with_secrets(&pcap, &[(place, key_log.clone())]);
            let late = told(directory.path(), &["-"], &file);
            // Sessions are numbered as they are found.
            for session in wanted.sessions.as_array().expect("a list") {
                let stream = &session["tcp_stream"];
                let what = format!("secrets before packet {place}, stream {stream}");
                same(
                    &of_stream(&late, stream),
                    &of_stream(&wanted, stream),
                    &what,
                );
            }
        }
    }
}

#[test]
fn a_session_reads_the_same_whether_others_have_keys_or_not() {
    let (pcap, truth) = some_sessions();
    let directory = Directory::new("tls-half-of-the-keys");
    directory.file("a.pcap", &pcap);
    directory.file("all.log", truth.key_log.as_bytes());
    let all = told(directory.path(), &["a.pcap", "--keys", "all.log"], b"");
    let random = |line: &str| line.split(' ').nth(1).unwrap_or_default().to_owned();
    let randoms: BTreeSet<String> = truth.key_log.lines().map(random).collect();
    assert_eq!(randoms.len(), 4);
    for known in &randoms {
        let lines = truth.key_log.lines().filter(|line| random(line) == *known);
        let lines: Vec<&str> = lines.collect();
        directory.file("one.log", lines.join("\n").as_bytes());
        let one = told(directory.path(), &["a.pcap", "--keys", "one.log"], b"");
        let sessions = one.sessions.as_array().expect("a list");
        assert_eq!(sessions.len(), 1);
        let stream = sessions[0]["tcp_stream"].clone();
        same(&of_stream(&one, &stream), &of_stream(&all, &stream), known);
    }
}

/// What is told of a stream, without the numbers that count other sessions, too.
fn of_stream(told: &Told, stream: &Value) -> [Vec<Value>; 3] {
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let mut sessions = list(&told.sessions);
    sessions.retain(|session| session["tcp_stream"] == *stream);
    let id = sessions[0]["id"].clone();
    let mut findings = list(&told.findings);
    findings.retain(|finding| finding["session"] == id);
    let mut messages = told.messages.clone();
    messages.retain(|message| message["session"] == id);
    sessions[0]["findings"].take();
    sessions[0]["id"].take();
    for numbered in findings.iter_mut().chain(&mut messages) {
        numbered["session"].take();
    }
    [sessions, findings, messages]
}

// --- what is lost -------------------------------------------------------

/// A message or control frame, however it came.
fn content(message: &Value) -> String {
    ["direction", "opcode", "length", "sha256"]
        .map(|field| message[field].to_string())
        .join(" ")
}

/// A pcap without one of its packets.
fn without(pcap: &[u8], lost: usize) -> Vec<u8> {
    without_all(pcap, lost..lost + 1)
}

#[test]
fn whatever_packet_is_lost_nothing_is_made_up_and_most_is_found_again() {
    let line = "--messages 40 --sessions 1 --sizes small --pings 0";
    let directory = Directory::new("tls-lost-packet");
    for version in ["--tls 100", "--tls12 100"] {
        let (pcap, truth) = generate(&format!("{line} {version}"));
        directory.file("keys.log", truth.key_log.as_bytes());
        directory.file("a.pcap", &pcap);
        let list = ["messages", "--control", "--sha256", "--format", "jsonl"];
        let list = [&list[..], &["a.pcap", "--keys", "keys.log"]].concat();
        let contents = || -> Vec<String> {
            let lines = wscope(directory.path(), &list, b"").stdout;
            let lines: Vec<Value> = lines.lines().map(json).collect();
            let whole = lines.iter().filter(|line| line["complete"] != false);
            whole.map(content).collect()
        };
        let all = contents();
        assert_eq!(all.len(), 42, "{all:#?}");
        // From the first message on, ten packets spread over the session.
        let count = packets(&pcap).len();
        for lost in (14..count - 14).step_by(count / 10) {
            directory.file("a.pcap", &without(&pcap, lost));
            let found = contents();
            let mut unmatched = all.clone();
            for message in &found {
                let place = unmatched.iter().position(|sent| sent == message);
                let place = place.unwrap_or_else(|| panic!("{version} without {lost}: {message}"));
                unmatched.remove(place);
            }
            // Frames that aren't masked prove themselves in a chain of a few.
            assert!(
                unmatched.len() <= 10,
                "{version} without {lost}: {unmatched:#?}"
            );
        }
    }
}

/// Session tickets come between the server's Finished and its first answer.
#[test]
fn lost_session_tickets_cost_no_message() {
    let pcap = fs::read(fixture("capture.pcap")).expect("the fixture");
    let key_log = fs::read(fixture("keys.log")).expect("its key log");
    let directory = Directory::new("tls-lost-tickets");
    directory.file("keys.log", &key_log);
    directory.file("a.pcap", &pcap);
    directory.file("b.pcap", &without(&pcap, 14));
    let list = |name: &str| -> Vec<String> {
        let list = ["messages", "--control", "--sha256", "--format", "jsonl"];
        let list = [&list[..], &["--keys", "keys.log", name]].concat();
        let lines = wscope(directory.path(), &list, b"").stdout;
        lines.lines().map(|line| content(&json(line))).collect()
    };
    assert_eq!(list("b.pcap"), list("a.pcap"));
    let flags = ["b.pcap", "--keys", "keys.log", "--format", "json"];
    let report = json(&wscope(directory.path(), &flags, b"").stdout);
    assert_eq!(report["sessions"][0]["handshake"]["status"], 101);
    assert_eq!(report["capture"]["gaps"][0]["bytes"], 510);
}

/// A pcap without some of its packets.
fn without_all(pcap: &[u8], lost: Range<usize>) -> Vec<u8> {
    let (mut file, mut rest) = (pcap[..24].to_vec(), &pcap[24..]);
    for (number, (_, _, packet)) in packets(pcap).into_iter().enumerate() {
        let (record, after) = rest.split_at(16 + packet.len());
        if !lost.contains(&number) {
            file.extend(record);
        }
        rest = after;
    }
    file
}

/// What was said after the cut is what the whole capture has there; nothing else is told.
fn finds_later_messages(directory: &Directory, pcap: &[u8], lost: Range<usize>, what: &str) {
    let list = ["messages", "--control", "--sha256", "--format", "jsonl"];
    let list = [&list[..], &["--keys", "keys.log", "a.pcap"]].concat();
    let lines = || -> Vec<Value> {
        let lines = wscope(directory.path(), &list, b"").stdout;
        lines.lines().map(json).collect()
    };
    directory.file("a.pcap", pcap);
    let later = |message: &Value| {
        let packet = message["packet"].as_u64().expect("a packet");
        usize::try_from(packet).expect("a small number") > lost.end
    };
    let all = lines();
    let wanted: Vec<String> = all.iter().filter(|m| later(m)).map(content).collect();
    assert!(wanted.len() > 3 && wanted.len() < all.len(), "{what}");
    directory.file("a.pcap", &without_all(pcap, lost.clone()));
    let found: Vec<String> = lines().iter().map(content).collect();
    // Each side in its order; which of the two was first is another matter.
    for side in ["\"client\"", "\"server\""] {
        let of_side = |all: &[String]| -> Vec<String> {
            let of_side = all.iter().filter(|message| message.starts_with(side));
            of_side.cloned().collect()
        };
        same(&of_side(&found), &of_side(&wanted), what);
    }
    let flags = ["a.pcap", "--keys", "keys.log", "--format", "json"];
    let report = json(&wscope(directory.path(), &flags, b"").stdout);
    let session = &report["sessions"][0];
    assert_eq!(session["handshake"]["outcome"], "not-captured", "{what}");
    assert_eq!(session["tls"]["decrypted"], true, "{what}");
    assert_eq!(report["sessions"][1], Value::Null, "{what}");
    let loud = |finding: &&Value| finding["severity"] == "error";
    let findings = report["findings"].as_array().expect("a list");
    assert_eq!(findings.iter().find(loud), None, "{what}");
}

#[test]
fn frames_are_found_inside_records_whose_first_were_not_captured() {
    let pcap = fs::read(fixture("capture.pcap")).expect("the fixture");
    let directory = Directory::new("tls-frames-inside");
    let key_log = fs::read(fixture("keys.log")).expect("its key log");
    directory.file("keys.log", &key_log);
    // From the upgrade to the first message; everything before it.
    for lost in [12..20, 0..20] {
        let what = format!("the fixture without {lost:?}");
        finds_later_messages(&directory, &pcap, lost, &what);
    }
}

#[test]
fn acknowledgments_of_records_are_those_of_their_messages() {
    let directory = Directory::new("tls-acknowledged");
    for version in ["--tls 100", "--tls12 100"] {
        let (pcap, truth) = generate(&format!(
            "--messages 60 --sessions 2 --sizes small {version}"
        ));
        directory.file("keys.log", truth.key_log.as_bytes());
        directory.file("a.pcap", &pcap);
        let list = [
            "messages",
            "--control",
            "--format",
            "jsonl",
            "a.pcap",
            "--keys",
            "keys.log",
        ];
        let lines = wscope(directory.path(), &list, b"").stdout;
        for line in lines.lines().map(json) {
            // Within a round trip, and the time for which an acknowledgment is delayed.
            let acked = line["acked_ms"].as_f64();
            assert!(
                acked.is_some_and(|ms| (0.0..500.0).contains(&ms)),
                "{line:#}"
            );
        }
        assert_eq!(lines.lines().count(), 64);
    }
}

// --- secrets ------------------------------------------------------------

/// Everything that reads a capture and prints of it.
const PRINTS: [&[&str]; 8] = [
    &["analyze"],
    &["analyze", "--verbose"],
    &["analyze", "--show-secrets"],
    &["analyze", "--format", "json", "--show-secrets"],
    &["analyze", "--format", "jsonl"],
    &["messages", "--control"],
    &["messages", "--control", "--format", "jsonl", "--sha256"],
    &["show", "s1", "--all", "--show-secrets"],
];

/// A secret as it might be printed: hexadecimal, and as `Debug` shows bytes.
fn printed(secret: &str) -> [String; 3] {
    let pairs = secret.as_bytes().chunks(2);
    let bytes: Vec<u8> = pairs
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("two digits")
        })
        .collect();
    let decimal = format!("{:?}", &bytes[..8]);
    let decimal = decimal.trim_matches(['[', ']']).to_owned();
    [
        secret[..16].to_lowercase(),
        secret[..16].to_uppercase(),
        decimal,
    ]
}

#[test]
fn no_output_shows_a_secret_of_a_key_log() {
    for (number, (pcap, key_log)) in captures().into_iter().enumerate() {
        let directory = Directory::new(&format!("tls-secrets-{number}"));
        directory.file("a.pcap", &pcap);
        directory.file("keys.log", key_log.as_bytes());
        // A line that is none is told by its number.
        let broken = key_log.replacen('\n', "00\n", 2);
        directory.file("broken.log", broken.as_bytes());
        directory.file("a.pcapng", &with_secrets(&pcap, &[(9, key_log.clone())]));
        let secrets = key_log.lines().filter(|line| !line.starts_with('#'));
        let secrets = secrets.filter_map(|line| line.trim().rsplit(' ').next());
        let secrets: Vec<String> = secrets.flat_map(printed).collect();
        assert!(secrets.len() > 10);
        for print in PRINTS {
            for input in [
                &["a.pcap", "--keys", "keys.log"][..],
                &["a.pcap", "--keys", "broken.log"],
                &["a.pcapng"],
            ] {
                let ran = wscope(directory.path(), &[print, input].concat(), b"");
                for text in [ran.stdout, ran.stderr] {
                    let shown = secrets.iter().find(|secret| text.contains(*secret));
                    assert_eq!(shown, None, "{print:?} {input:?}");
                }
            }
        }
    }
}

#[test]
fn no_debug_form_shows_a_secret() {
    for (pcap, key_log) in captures() {
        let mut analyzer = Analyzer::new(Options::default());
        let read = analyzer.add_keys(key_log.as_bytes());
        assert!(read.secrets > 2, "{read:?}");
        let reader = Box::new(Cursor::new(pcap));
        let mut file = CaptureFile::from_reader("-".into(), 0, reader).expect("a capture");
        let mut finished = Vec::new();
        let mut shown = Vec::new();
        while let Some(input) = file.next().expect("a sound capture") {
            analyzer.push(&input, &mut finished);
            // While keys are in use; the whole state once in a while.
            if let Input::Packet(packet) = &input
                && packet.at.number % 20 == 0
            {
                shown.push(format!("{analyzer:?}"));
            }
        }
        shown.push(format!("{finished:?}"));
        let secrets = key_log.lines().filter(|line| !line.starts_with('#'));
        let secrets = secrets.filter_map(|line| line.trim().rsplit(' ').next());
        for secret in secrets.flat_map(printed) {
            assert!(!shown.iter().any(|text| text.contains(&secret)), "{secret}");
        }
    }
}
