//! Every fixture against tshark: frames by opcode, messages and their sizes,
//! Close codes and stream numbers. Where the two differ for a reason, the
//! reason stands in [`KNOWN`]; an entry that no longer applies fails too.
#![allow(clippy::indexing_slicing)] // A key that a JSON `Value` lacks is null, not a panic.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, thread};

use serde_json::Value;

/// A difference that is right: the fixture, how its line begins, and why.
struct Known {
    fixture: &'static str,
    line: &'static str,
    why: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        fixture: "capture-both-sides-of-nat",
        line: "stream 1 ",
        why: "the same connection behind an address translation counts once",
    },
    Known {
        fixture: "capture-lost-101",
        line: "stream 0 ",
        why: "tshark shows no frame whose opening handshake it hasn't seen",
    },
    Known {
        fixture: "capture-snap-length-96",
        line: "stream ",
        why: "tshark shows a frame only when all of it was captured",
    },
    Known {
        fixture: "capture-starts-mid-session",
        line: "stream 0 ",
        why: "tshark shows no frame whose opening handshake it hasn't seen",
    },
    Known {
        fixture: "drop-mid-frame",
        line: "stream 0 server ",
        why: "tshark shows a frame only when all of it was captured",
    },
    Known {
        fixture: "drop-server-killed-reset",
        line: "stream 0 client ",
        why: "tshark shows a frame only when all of it was captured",
    },
    Known {
        fixture: "handshake-client-frames-before-101",
        line: "stream 0 client ",
        why: "tshark takes what follows the request in its segment for HTTP",
    },
    Known {
        fixture: "handshake-through-connect-proxy",
        line: "stream 0 ",
        why: "tshark looks for no WebSocket in a tunnel",
    },
];

/// What one side of one TCP stream sent, as either program tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sent {
    /// Frames by the names of the report: `text`, `ping`, `reserved`.
    frames: BTreeMap<String, u64>,
    /// Payload bytes of all of them.
    payload_bytes: u64,
    /// Text and binary messages in order: opcode, fragments, bytes on the wire
    /// with all headers.
    messages: Vec<(String, u64, u64)>,
    /// Pings, Pongs and Close frames in order: opcode, payload bytes.
    control: Vec<(String, u64)>,
    /// The code of each Close frame; `None` where it is empty.
    close_codes: Vec<Option<u64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Client,
    Server,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

type Streams = BTreeMap<(u64, Side), Sent>;

/// One WebSocket frame as tshark shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    stream: u64,
    sender_port: u64,
    receiver_port: u64,
    opcode: u64,
    fin: bool,
    header_len: u64,
    payload_len: u64,
    close_code: Option<u64>,
}

/// All that is compared of tshark's reading of a file.
#[derive(Debug, Default)]
struct Dissection {
    /// The ports of each `tcp.stream`.
    ports: BTreeMap<u64, BTreeSet<u64>>,
    frames: Vec<Frame>,
}

const FIELDS: [&str; 10] = [
    "tcp.stream",
    "tcp.srcport",
    "tcp.dstport",
    "websocket.opcode",
    "websocket.fin",
    "websocket.mask",
    "websocket.payload_length",
    "websocket.payload_length_ext_16",
    "websocket.payload_length_ext_64",
    "websocket.payload.close.status_code",
];

fn opcode_name(opcode: u64) -> &'static str {
    match opcode {
        0 => "continuation",
        1 => "text",
        2 => "binary",
        8 => "close",
        9 => "ping",
        10 => "pong",
        _ => "reserved",
    }
}

/// Reads what `tshark -T fields` prints for [`FIELDS`], a line a packet. A
/// packet with several frames has all their values in one field, with commas
/// between them; a field that only some frames have lists only those.
fn dissection(text: &str) -> Dissection {
    let mut all = Dissection::default();
    for line in text.lines() {
        let mut fields = line.split('\t').map(|field| -> VecDeque<&str> {
            field.split(',').filter(|value| !value.is_empty()).collect()
        });
        let mut field = || fields.next().unwrap_or_default();
        let [mut stream, mut from, mut to] = [field(), field(), field()];
        let (Some(stream), Some(sender_port), Some(receiver_port)) =
            (number(&mut stream), number(&mut from), number(&mut to))
        else {
            continue; // An ICMP error quotes TCP without being of a stream.
        };
        all.ports
            .entry(stream)
            .or_default()
            .extend([sender_port, receiver_port]);
        let [mut opcodes, mut fins, mut masks, mut lens] = [field(), field(), field(), field()];
        let [mut lens_16, mut lens_64, mut codes] = [field(), field(), field()];
        while let Some(opcode) = number(&mut opcodes) {
            let (extended, payload_len) = match number(&mut lens) {
                Some(126) => (2, number(&mut lens_16)),
                Some(127) => (8, number(&mut lens_64)),
                len => (0, len),
            };
            let payload_len = payload_len.expect("tshark gives each frame a length");
            let mask = if flag(&mut masks) { 4 } else { 0 };
            let has_code = opcode == 8 && payload_len >= 2;
            all.frames.push(Frame {
                stream,
                sender_port,
                receiver_port,
                opcode,
                fin: flag(&mut fins),
                header_len: 2 + extended + mask,
                payload_len,
                close_code: if has_code { number(&mut codes) } else { None },
            });
        }
    }
    all
}

fn number(values: &mut VecDeque<&str>) -> Option<u64> {
    values
        .pop_front()
        .map(|value| value.parse().expect("tshark prints these as decimals"))
}

/// tshark prints a flag as `1` and, from version 4.2 on, as `True`.
fn flag(values: &mut VecDeque<&str>) -> bool {
    matches!(values.pop_front(), Some("1" | "True"))
}

/// Puts frames together to messages; `client_ports` by stream tell the sides.
fn sent_by_tshark(frames: &[Frame], client_ports: &BTreeMap<u64, u64>) -> Streams {
    let mut streams = Streams::new();
    let mut unfinished: BTreeMap<(u64, Side), (String, u64, u64)> = BTreeMap::new();
    for frame in frames {
        // A stream of which wscope has no session: the higher port is usually the client's.
        let guess = frame.sender_port.max(frame.receiver_port);
        let client_port = *client_ports.get(&frame.stream).unwrap_or(&guess);
        let side = if frame.sender_port == client_port {
            Side::Client
        } else {
            Side::Server
        };
        let key = (frame.stream, side);
        let sent = streams.entry(key).or_default();
        let name = opcode_name(frame.opcode);
        *sent.frames.entry(name.to_owned()).or_default() += 1;
        sent.payload_bytes += frame.payload_len;
        if frame.opcode >= 8 {
            if name != "reserved" {
                sent.control.push((name.to_owned(), frame.payload_len));
            }
            if name == "close" {
                sent.close_codes.push(frame.close_code);
            }
            continue;
        }
        let mut message = match (frame.opcode, unfinished.remove(&key)) {
            (0, Some(begun)) => begun,
            (1 | 2, _) => (name.to_owned(), 0, 0),
            _ => continue, // A continuation of nothing, a reserved opcode: no message.
        };
        message.1 += 1;
        message.2 += frame.header_len + frame.payload_len;
        if frame.fin {
            sent.messages.push(message);
        } else {
            unfinished.insert(key, message);
        }
    }
    streams
}

/// The key log beside a capture.
fn key_log(capture: &Path) -> Option<PathBuf> {
    let path = capture.with_file_name("keys.log");
    path.exists().then_some(path)
}

fn tshark(capture: &Path) -> Dissection {
    let mut command = Command::new("tshark");
    if let Some(key_log) = key_log(capture) {
        let option = format!("tls.keylog_file:{}", key_log.display());
        command.args(["-o", &option]);
    }
    command
        .args([
            "-n",
            "-Y",
            "tcp",
            "-T",
            "fields",
            "-E",
            "occurrence=a",
            "-r",
        ])
        .arg(capture);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    // The exit status of a file that is cut short isn't 0, and yet its packets are there.
    let output = command.output().expect("tshark runs");
    assert!(
        output.status.success() || !output.stdout.is_empty(),
        "tshark: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    dissection(&String::from_utf8_lossy(&output.stdout))
}

fn wscope(arguments: &[&str], capture: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wscope"));
    command.args(arguments).arg(capture);
    if let Some(key_log) = key_log(capture) {
        command.arg("--keys").arg(key_log);
    }
    let output = command.output().expect("wscope runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "wscope {arguments:?} {}: {errors}",
        capture.display()
    );
    String::from_utf8(output.stdout).expect("wscope prints UTF-8")
}

/// What wscope says, from its report and its list of messages; beside it the
/// ports of client and server by stream.
fn sent_by_wscope(report: &Value, messages: &str) -> (Streams, BTreeMap<u64, (u64, u64)>) {
    let mut streams = Streams::new();
    let mut ports = BTreeMap::new();
    for session in list(report, "sessions") {
        let stream = count(session, "tcp_stream");
        ports.insert(stream, (port(session, "client"), port(session, "server")));
        for side in [Side::Client, Side::Server] {
            let Some(frames) = session["frames"][side.name()].as_object() else {
                continue;
            };
            let sent = streams.entry((stream, side)).or_default();
            for (opcode, frames) in frames {
                let frames = frames.as_u64().expect("a number of frames");
                if opcode == "payload_bytes" {
                    sent.payload_bytes += frames;
                } else if frames > 0 {
                    *sent.frames.entry(opcode.clone()).or_default() += frames;
                }
            }
        }
    }
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).expect("an object a line");
        let side = match message["direction"].as_str() {
            Some("client") => Side::Client,
            Some("server") => Side::Server,
            other => panic!("direction {other:?}"),
        };
        let sent = streams
            .entry((count(&message, "tcp_stream"), side))
            .or_default();
        let opcode = message["opcode"].as_str().expect("an opcode").to_owned();
        if opcode == "text" || opcode == "binary" {
            let wire = count(&message, "wire_length");
            sent.messages
                .push((opcode, count(&message, "fragments"), wire));
            continue;
        }
        if opcode == "close" {
            sent.close_codes.push(message["code"].as_u64());
        }
        sent.control.push((opcode, count(&message, "length")));
    }
    streams.retain(|_, sent| *sent != Sent::default());
    (streams, ports)
}

fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object[key]
        .as_array()
        .unwrap_or_else(|| panic!("`{key}` is a list"))
}

fn count(object: &Value, key: &str) -> u64 {
    object[key]
        .as_u64()
        .unwrap_or_else(|| panic!("`{key}` is a number in {object}"))
}

fn port(session: &Value, side: &str) -> u64 {
    let address = session[side]
        .as_str()
        .unwrap_or_else(|| panic!("`{side}` is an address"));
    let port = address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    port.unwrap_or_else(|| panic!("`{address}` ends in a port"))
}

/// The two readings of one capture, a line for each difference.
fn differences(capture: &Path) -> Vec<String> {
    let report = wscope(&["analyze", "--format", "json"], capture);
    let report: Value = serde_json::from_str(&report)
        .unwrap_or_else(|error| panic!("{}: the report: {error}", capture.display()));
    let flags = ["messages", "--format", "jsonl", "--control", "--no-payload"];
    let (ours, our_ports) = sent_by_wscope(&report, &wscope(&flags, capture));
    let dissection = tshark(capture);
    let client_ports = our_ports
        .iter()
        .map(|(stream, (client, _))| (*stream, *client))
        .collect();
    let theirs = sent_by_tshark(&dissection.frames, &client_ports);

    let mut lines = Vec::new();
    for (stream, (client, server)) in &our_ports {
        let ports = dissection.ports.get(stream);
        if ports != Some(&BTreeSet::from([*client, *server])) {
            lines.push(format!(
                "stream {stream} ports: tshark {ports:?}, wscope {client} {server}"
            ));
        }
    }
    lines.extend(first_close_differences(&report, &ours));
    let nothing = Sent::default();
    for key in theirs.keys().chain(ours.keys()).collect::<BTreeSet<_>>() {
        let theirs = theirs.get(key).unwrap_or(&nothing);
        let ours = ours.get(key).unwrap_or(&nothing);
        let who = format!("stream {} {}", key.0, key.1.name());
        let mut tell = |what: &str, theirs: String, ours: String| {
            if theirs != ours {
                lines.push(format!("{who} {what}: tshark {theirs}, wscope {ours}"));
            }
        };
        tell(
            "frames",
            format!("{:?}", theirs.frames),
            format!("{:?}", ours.frames),
        );
        tell(
            "payload",
            theirs.payload_bytes.to_string(),
            ours.payload_bytes.to_string(),
        );
        tell(
            "messages",
            format!("{:?}", theirs.messages),
            format!("{:?}", ours.messages),
        );
        tell(
            "control",
            format!("{:?}", theirs.control),
            format!("{:?}", ours.control),
        );
        tell(
            "close",
            format!("{:?}", theirs.close_codes),
            format!("{:?}", ours.close_codes),
        );
    }
    lines
}

/// The Close frames that the report's `closing` names must be the first ones
/// of the list of messages. (Streams with several sessions have several.)
fn first_close_differences(report: &Value, ours: &Streams) -> Vec<String> {
    let mut lines = Vec::new();
    for session in list(report, "sessions") {
        let stream = count(session, "tcp_stream");
        for side in [Side::Client, Side::Server] {
            let close = &session["closing"][format!("{}_close", side.name())];
            if close.is_null() {
                continue;
            }
            let listed = ours
                .get(&(stream, side))
                .and_then(|sent| sent.close_codes.first());
            if listed != Some(&close["code"].as_u64()) {
                let side = side.name();
                lines.push(format!(
                    "stream {stream} {side} closing: {close}, listed {listed:?}"
                ));
            }
        }
    }
    lines
}

fn captures() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found = Vec::new();
    for entry in fs::read_dir(root).expect("the folder fixtures/ is part of the repository") {
        let folder = entry.expect("fixtures/ can be listed").path();
        let name = folder
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        found.extend(
            ["capture.pcap", "capture.pcapng"]
                .map(|file| folder.join(file))
                .into_iter()
                .find(|path| path.exists())
                .map(|path| (name, path)),
        );
    }
    found.sort();
    found
}

/// Every difference of every capture, as (fixture, line). tshark takes a third
/// of a second to start, so this uses all processors.
fn all_differences(captures: &[(String, PathBuf)]) -> Vec<(String, String)> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = captures.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let running: Vec<_> = captures
            .chunks(share)
            .map(|chunk| {
                scope.spawn(move || {
                    let of_one = |(name, path): &(String, PathBuf)| -> Vec<(String, String)> {
                        let lines = differences(path);
                        lines.into_iter().map(|line| (name.clone(), line)).collect()
                    };
                    chunk.iter().flat_map(of_one).collect::<Vec<_>>()
                })
            })
            .collect();
        running
            .into_iter()
            .flat_map(|run| run.join().expect("a comparison ran"))
            .collect()
    })
}

#[test]
fn every_fixture_reads_as_in_tshark() {
    if Command::new("tshark").arg("--version").output().is_err() {
        assert!(
            env::var_os("CI").is_none(),
            "tshark is missing; `make test` installs it"
        );
        // Written past the test's capture: a test that didn't run has to be seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no tshark here; `make test` installs it"
        );
        return;
    }
    let captures = captures();
    assert!(!captures.is_empty(), "no fixtures found");
    let found = all_differences(&captures);
    let is = |known: &Known, (fixture, line): &(String, String)| {
        known.fixture == fixture && line.starts_with(known.line)
    };
    let mut faults: Vec<String> = found
        .iter()
        .filter(|difference| !KNOWN.iter().any(|known| is(known, difference)))
        .map(|(fixture, line)| format!("{fixture}: {line}"))
        .collect();
    faults.extend(
        KNOWN
            .iter()
            .filter(|known| !found.iter().any(|found| is(known, found)))
            .map(|known| {
                format!(
                    "{}: no longer differs in `{}` ({})",
                    known.fixture, known.line, known.why
                )
            }),
    );
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn frames_of_one_packet_are_taken_apart() {
    let line = "0\t8080\t40001\t1,8,2\t1,1,True\t0,0,0\t126,2,127\t5\t200\t1000";
    let frames = dissection(line).frames;
    let read: Vec<_> = frames
        .iter()
        .map(|frame| {
            (
                frame.opcode,
                frame.header_len,
                frame.payload_len,
                frame.close_code,
            )
        })
        .collect();
    assert_eq!(
        read,
        [(1, 4, 5, None), (8, 2, 2, Some(1000)), (2, 10, 200, None)]
    );
    assert!(frames.iter().all(|frame| frame.fin));
}

#[test]
fn fragments_with_a_ping_between_them_are_one_message() {
    let text = "0\t8080\t40001\t1\t0\t0\t3\t\t\t\n\
                0\t8080\t40001\t9\t1\t0\t4\t\t\t\n\
                0\t40001\t8080\t10\t1\t1\t4\t\t\t\n\
                0\t8080\t40001\t0\t1\t0\t2\t\t\t\n";
    let streams = sent_by_tshark(&dissection(text).frames, &BTreeMap::from([(0, 40001)]));
    let server = streams.get(&(0, Side::Server)).expect("the server sent");
    assert_eq!(server.messages, [("text".to_owned(), 2, 9)]);
    assert_eq!(server.control, [("ping".to_owned(), 4)]);
    let client = streams.get(&(0, Side::Client)).expect("the client sent");
    assert_eq!(client.control, [("pong".to_owned(), 4)]);
}

#[test]
fn both_readings_of_the_same_session_are_equal() {
    let report = serde_json::json!({"sessions": [{
        "tcp_stream": 0, "client": "10.0.0.1:40001", "server": "[fd00::1]:8080",
        "frames": {"client": {"text": 1, "close": 1, "ping": 0, "payload_bytes": 5}, "server": {"text": 0}},
        "closing": {"client_close": {"code": null}, "server_close": null},
    }]});
    let messages = r#"{"tcp_stream":0,"direction":"client","opcode":"text","fragments":1,"length":5,"wire_length":11}
{"tcp_stream":0,"direction":"client","opcode":"close","code":null,"length":0,"wire_length":6}"#;
    let (ours, ports) = sent_by_wscope(&report, messages);
    let lines = "0\t40001\t8080\t1\t1\t1\t5\t\t\t\n0\t40001\t8080\t8\t1\t1\t0\t\t\t\n";
    assert_eq!(
        ours,
        sent_by_tshark(&dissection(lines).frames, &BTreeMap::from([(0, 40001)]))
    );
    assert_eq!(ports, BTreeMap::from([(0, (40001, 8080))]));
    assert!(first_close_differences(&report, &ours).is_empty());
}
