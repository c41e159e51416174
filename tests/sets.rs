//! One capture in other clothes: split into a ring whose files come in any order, compressed,
//! through stdin. It tells the same.
#![allow(clippy::indexing_slicing)] // A key that a JSON `Value` lacks is null, not a panic.

mod capture;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use lz4_flex::frame::FrameEncoder;
use lzma_rust2::{XzOptions, XzWriter};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::Value;

use capture::Sender::{Client, Server};
use capture::{Conversation, Directory};

/// What a run printed on stdout, and on stderr.
fn wscope(directory: &Path, arguments: &[&str], stdin: &[u8]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_wscope"))
        .current_dir(directory)
        .args(arguments)
        .write_stdin(stdin)
        .output()
        .expect("wscope runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    (
        String::from_utf8(output.stdout).expect("wscope prints UTF-8"),
        String::from_utf8(output.stderr).expect("wscope complains in UTF-8"),
    )
}

fn json(directory: &Path, names: &[&str], stdin: &[u8]) -> String {
    wscope(directory, &[names, &["--format", "json"]].concat(), stdin).0
}

/// Takes out what tells in which file a packet stands, and in which place of it.
fn forget_places(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in [
                "file",
                "packet",
                "request_packet",
                "response_packet",
                "reply_packet",
                "first_packet",
                "last_packet",
                "lost_sync",
                "close_notify",
                "filter",
                "files",
            ] {
                fields.remove(name);
            }
            fields.values_mut().for_each(forget_places);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_places),
        Value::String(text) => *text = without_numbers(text),
        _ => {}
    }
}

/// `the frame in packet 12` without the number.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split("packet ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "packet " + part.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

/// What a report says of sessions and findings, wherever their packets stand.
fn told(report: &str) -> Value {
    let mut value = serde_json::from_str(report).expect("the report is JSON");
    forget_places(&mut value);
    value
}

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut files: Vec<_> = fs::read_dir(root)
        .expect("the folder fixtures/ is part of the repository")
        .map(|entry| {
            entry
                .expect("fixtures/ can be listed")
                .path()
                .join("capture.pcap")
        })
        .filter(|path| path.exists())
        .collect();
    files.sort();
    assert!(files.len() > 30, "{} fixtures", files.len());
    files
}

/// Header and records of a pcap file of this machine's byte order.
fn records(file: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (header, mut rest) = file.split_at(24);
    let mut records = Vec::new();
    while let Some(len) = rest.get(8..12) {
        let len = u32::from_le_bytes(len.try_into().expect("four bytes"));
        let (record, after) = rest.split_at(rest.len().min(16 + len as usize));
        records.push(record);
        rest = after;
    }
    (header, records)
}

/// The file as a ring of so many, in time order.
fn split(file: &[u8], parts: usize) -> Vec<Vec<u8>> {
    let (header, records) = records(file);
    let each = records.len().div_ceil(parts).max(1);
    let part = |records: &[&[u8]]| [&[header], records].concat().concat();
    records.chunks(each).map(part).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = XzWriter::new(Vec::new(), XzOptions::with_preset(0)).expect("a preset");
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn a_ring_in_any_order_tells_the_same_as_the_whole() {
    for fixture in fixtures() {
        let file = fs::read(&fixture).expect("the fixture");
        // One that is cut off would be cut off in the last part only.
        if fixture.to_string_lossy().contains("file-cut") {
            continue;
        }
        let directory = Directory::new("ring-orders");
        let parts = split(&file, 4);
        let mut names: Vec<String> = (0..parts.len()).map(|n| format!("ring.pcap{n}")).collect();
        for (name, part) in names.iter().zip(&parts) {
            directory.file(name, part);
        }
        directory.file("whole.pcap", &file);
        let of = |names: &[String]| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            json(directory.path(), &names, b"")
        };
        let in_order = of(&names);
        let whole = json(directory.path(), &["whole.pcap"], b"");
        assert_eq!(told(&in_order), told(&whole), "{}", fixture.display());
        names.reverse();
        assert_eq!(of(&names), in_order, "{}", fixture.display());
        names.rotate_left(1);
        assert_eq!(of(&names), in_order, "{}", fixture.display());
    }
}

#[test]
fn compressed_and_through_stdin_tells_the_same() {
    for (index, fixture) in fixtures().iter().enumerate() {
        let file = fs::read(fixture).expect("the fixture");
        let folder = fixture.parent().expect("a folder");
        let whole = told(&json(folder, &["capture.pcap"], b""));
        // Each method's turn comes often enough.
        let packed = match index % 4 {
            0 => gzip(&file),
            1 => zstd(&file),
            2 => lz4(&file),
            _ => xz(&file),
        };
        let piped = told(&json(folder, &["-"], &packed));
        // A file that is cut off is named.
        let name = |text: &str| {
            text.replace("capture.pcap ", "- ")
                .replace("capture.pcap\"", "-\"")
        };
        assert_eq!(
            piped.to_string(),
            name(&whole.to_string()),
            "{}",
            fixture.display()
        );
    }
}

/// A session of eleven packets.
fn chat() -> Vec<u8> {
    Conversation::new()
        .upgrade("/chat", "", "")
        .frame(Client, 1, b"hello")
        .frame(Server, 1, b"welcome")
        .frame(Client, 8, &[3, 232])
        .frame(Server, 8, &[3, 232])
        .close()
        .pcap()
}

#[test]
fn hundreds_of_files_need_few_descriptors() {
    let directory = Directory::new("ring-of-hundreds");
    let (header, packets) = {
        let file = chat();
        let (header, records) = records(&file);
        let records: Vec<Vec<u8>> = records.iter().map(|record| record.to_vec()).collect();
        (header.to_vec(), records)
    };
    for (number, packet) in packets.iter().enumerate() {
        directory.file(
            &format!("ring.pcap{number:03}"),
            &[header.as_slice(), packet].concat(),
        );
    }
    // Rotated on while nothing was sent: files that have a header and no more.
    for number in packets.len()..400 {
        directory.file(&format!("ring.pcap{number:03}"), &header);
    }
    let output = std::process::Command::new("sh")
        .current_dir(directory.path())
        .args([
            "-c",
            "ulimit -n 32; exec \"$0\" . --format json",
            env!("CARGO_BIN_EXE_wscope"),
        ])
        .output()
        .expect("sh runs");
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(
        report["capture"]["files"].as_array().map(Vec::len),
        Some(400)
    );
    assert_eq!(report["sessions"][0]["closing"]["kind"], "clean");
}

#[test]
fn a_ring_that_wrapped_is_read_by_time() {
    let directory = Directory::new("ring-wrapped");
    let parts = split(&chat(), 3);
    // The first name was written over by the last part.
    directory.file("ring.pcap0", &parts[2]);
    directory.file("ring.pcap1", &parts[0]);
    directory.file("ring.pcap2", &parts[1]);
    let report = json(
        directory.path(),
        &["ring.pcap0", "ring.pcap1", "ring.pcap2"],
        b"",
    );
    let report: Value = serde_json::from_str(&report).expect("a report");
    assert_eq!(report["sessions"][0]["closing"]["kind"], "clean");
    let files = report["capture"]["files"].as_array().expect("files");
    let names: Vec<_> = files
        .iter()
        .map(|file| file["path"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(names, ["ring.pcap1", "ring.pcap2", "ring.pcap0"]);
}

#[test]
fn an_empty_file_of_a_ring_is_told_and_costs_nothing() {
    let directory = Directory::new("ring-empty");
    directory.file("ring.pcap0", &chat());
    directory.file("ring.pcap1", b"");
    let (report, told) = wscope(
        directory.path(),
        &["ring.pcap0", "ring.pcap1", "--format", "json"],
        b"",
    );
    assert!(report.contains("\"kind\":\"clean\"") || report.contains("\"kind\": \"clean\""));
    assert!(
        told.starts_with("wscope: ring.pcap1: offset 0: the file is empty; "),
        "{told}"
    );
}

#[test]
fn a_file_given_twice_is_read_once_and_said_so() {
    let directory = Directory::new("given-twice");
    directory.file("a.pcap", &chat());
    let once = json(directory.path(), &["a.pcap"], b"");
    let (twice, told) = wscope(
        directory.path(),
        &["a.pcap", "./a.pcap", "--format", "json"],
        b"",
    );
    assert_eq!(twice, once);
    assert_eq!(
        told,
        "wscope: ./a.pcap: given twice, and read once; leave one of the names out\n"
    );
}

#[test]
fn files_that_overlap_count_their_packets_once() {
    let directory = Directory::new("overlapping");
    let file = chat();
    let (header, records) = records(&file);
    let part = |from: usize, to: usize| [&[header], &records[from..to]].concat().concat();
    directory.file("a.pcap", &part(0, 8));
    directory.file("b.pcap", &part(4, records.len()));
    let report: Value = serde_json::from_str(&json(directory.path(), &["b.pcap", "a.pcap"], b""))
        .expect("a report");
    let session = &report["sessions"][0];
    assert_eq!(session["messages"]["client"]["count"], 1);
    assert_eq!(session["messages"]["server"]["count"], 1);
    assert_eq!(session["tcp"]["retransmissions"]["client"], 0);
}

#[test]
fn what_a_directory_holds_besides_is_told_in_a_line() {
    let directory = Directory::new("mixed");
    directory.file("a.pcap", &chat());
    directory.file("b.log", b"nothing here");
    directory.file("c.txt", b"nothing here");
    let (_, told) = wscope(directory.path(), &["."], b"");
    assert_eq!(
        told,
        "wscope: ./b.log: no pcap or pcapng file, so skipped, and 1 more\n"
    );
}

/// A record's time, in microseconds, moved by so many.
fn moved(record: &[u8], micros: i64) -> Vec<u8> {
    let field = |at: usize| {
        let bytes = record[at..at + 4].try_into().expect("four bytes");
        i64::from(u32::from_le_bytes(bytes))
    };
    let time = field(0) * 1_000_000 + field(4) + micros;
    let fields = [time.div_euclid(1_000_000), time.rem_euclid(1_000_000)];
    let fields = fields.map(|field| u32::try_from(field).expect("a time").to_le_bytes());
    [fields.as_flattened(), &record[8..]].concat()
}

/// Two one-way taps: the server's half has a clock that is behind.
fn taps(behind_micros: i64) -> Value {
    let directory = Directory::new(&format!("taps-{behind_micros}"));
    let mut talk = Conversation::new().upgrade("/chat", "", "");
    for _ in 0..8 {
        talk = talk
            .frame(Client, 1, b"question")
            .frame(Server, 1, b"answer");
    }
    let file = talk.close().pcap();
    let (header, records) = records(&file);
    let (mut client, mut server) = (header.to_vec(), header.to_vec());
    for record in records {
        // Behind record header, Ethernet and IPv4: the source port.
        match record[16 + 34..16 + 36] {
            [a, b] if u16::from_be_bytes([a, b]) > 40_000 => client.extend(moved(record, 0)),
            _ => server.extend(moved(record, -behind_micros)),
        }
    }
    directory.file("client.pcap", &client);
    directory.file("server.pcap", &server);
    let report = json(directory.path(), &["client.pcap", "server.pcap"], b"");
    serde_json::from_str(&report).expect("a report")
}

fn clock_finding(report: &Value) -> Option<&Value> {
    let mut findings = report["findings"].as_array().expect("findings").iter();
    findings.find(|finding| finding["id"] == "cap-clock")
}

#[test]
fn two_clocks_that_differ_are_told_by_what_was_acknowledged_too_early() {
    let report = taps(5_000);
    assert_eq!(report["sessions"][0]["messages"]["client"]["count"], 8);
    assert_eq!(report["sessions"][0]["messages"]["server"]["count"], 8);
    let finding = clock_finding(&report).expect("cap-clock");
    let data = &finding["data"];
    let told = (&data["kind"], &data["ahead"], &data["behind"]);
    assert_eq!(
        (told.0.as_str(), told.1.as_str(), told.2.as_str()),
        (Some("skew"), Some("client.pcap"), Some("server.pcap"))
    );
    let skew = data["skew_ms"].as_f64().expect("a number");
    // An answer takes a millisecond, and the clocks differ by five.
    assert!((4.0..=6.0).contains(&skew), "{skew}");
    assert_eq!(data["corrected"], true);
}

#[test]
fn two_clocks_that_agree_are_silent() {
    let report = taps(0);
    assert_eq!(report["sessions"][0]["messages"]["client"]["count"], 8);
    assert_eq!(clock_finding(&report), None);
}

/// The packets of each direction, those of the second stamped so many nanoseconds later;
/// what isn't TCP goes to the first. `None` for a capture of more hosts than two.
fn by_direction(file: &[u8], later: i64) -> Option<[Vec<u8>; 2]> {
    let (header, records) = records(file);
    let mut files = [header.to_vec(), header.to_vec()];
    let mut hosts = None;
    for record in records {
        let tcp = record.get(16 + 12..16 + 14)? == [8, 0] && *record.get(16 + 23)? == 6;
        if !tcp {
            files[0].extend(record);
            continue;
        }
        let (from, to) = record.get(16 + 26..16 + 34)?.split_at(4);
        let (client, server) = hosts.get_or_insert_with(|| (from.to_vec(), to.to_vec()));
        let back = from == server;
        if !back && from != client {
            return None;
        }
        let mut record = record.to_vec();
        if back {
            let field = |at: usize| {
                let bytes = record.get(at..at + 4).expect("a record's header");
                i64::from(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
            };
            let time = field(0) * 1_000_000_000 + field(4) * 1_000 + later;
            let parts = [time / 1_000_000_000, time % 1_000_000_000 / 1_000];
            let parts = parts.map(|part| u32::try_from(part).expect("a time after 1970"));
            record.splice(..8, parts.map(u32::to_le_bytes).concat());
        }
        files[usize::from(back)].extend(record);
    }
    Some(files)
}

/// How sessions ended, and what was found but of the capture itself.
fn verdicts(report: &str) -> (Vec<Value>, Vec<Value>) {
    let report: Value = serde_json::from_str(report).expect("the report is JSON");
    let list = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    let ends = ["kind", "ended_by", "how", "client_sees", "server_sees"];
    let end =
        |session: &Value| Value::from(ends.map(|end| session["closing"][end].clone()).to_vec());
    let found = list("findings");
    let found = found.iter().filter(|finding| {
        finding["id"]
            .as_str()
            .is_some_and(|id| !id.starts_with("cap-"))
    });
    let ids =
        found.map(|finding| Value::from(vec![finding["id"].clone(), finding["severity"].clone()]));
    (list("sessions").iter().map(end).collect(), ids.collect())
}

/// What `cap-clock` says of clocks that differ.
fn skews(report: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(report).expect("the report is JSON");
    let found = report["findings"].as_array().expect("a list");
    let of_clocks = |finding: &&Value| finding["id"] == "cap-clock";
    found
        .iter()
        .filter(of_clocks)
        .map(|finding| finding["data"].clone())
        .collect()
}

#[test]
fn a_file_for_each_direction_whose_clocks_differ_tells_the_same() {
    let mut tried = 0;
    for fixture in fixtures() {
        let file = fs::read(&fixture).expect("the fixture");
        for later in [3_000_000, -40_000_000, 5_000_000_000, -3_600_000_000_000] {
            let Some([there, back]) = by_direction(&file, later) else {
                break;
            };
            let directory = Directory::new("directions");
            directory.file("whole.pcap", &file);
            directory.file("a.pcap", &there);
            directory.file("b.pcap", &back);
            let whole = json(directory.path(), &["whole.pcap"], b"");
            let both = json(directory.path(), &["a.pcap", "b.pcap"], b"");
            let name = fixture.display();
            assert_eq!(verdicts(&both), verdicts(&whole), "{name}, {later} ns");
            let order = json(directory.path(), &["b.pcap", "a.pcap"], b"");
            assert_eq!(both, order, "{name}, {later} ns");
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried} pairs of files");
}

#[test]
fn clocks_that_may_be_the_same_are_left_alone() {
    let [there, back] = by_direction(&chat(), 0).expect("TCP alone");
    let directory = Directory::new("same-clock");
    directory.file("a.pcap", &there);
    directory.file("b.pcap", &back);
    directory.file("whole.pcap", &chat());
    let both = json(directory.path(), &["a.pcap", "b.pcap"], b"");
    assert!(skews(&both).is_empty(), "{both}");
    assert_eq!(
        told(&both),
        told(&json(directory.path(), &["whole.pcap"], b""))
    );
}

#[test]
fn files_that_show_both_directions_are_not_shifted() {
    let directory = Directory::new("two-way");
    let [there, back] = by_direction(&chat(), 40_000_000).expect("TCP alone");
    let (_, answers) = records(&back);
    let mixed = [there, answers.concat()].concat();
    directory.file("a.pcap", &mixed);
    directory.file("b.pcap", &back);
    let both = json(directory.path(), &["a.pcap", "b.pcap"], b"");
    assert!(!both.contains("skew-corrected"), "{both}");
}
