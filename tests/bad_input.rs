//! What wscope does with input that it can't read, or not to the end: one line
//! with file, offset and way out, the right exit code, and all that was readable.
#![allow(clippy::indexing_slicing)] // A key that a JSON `Value` lacks is null, not a panic.

mod capture;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use capture::Sender::{Client, Server};
use capture::{Conversation, Directory, PRIVATE};

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs wscope in a directory, so that messages name files as they are named here.
fn wscope(directory: &Directory, arguments: &[&str]) -> Ended {
    with_stdin(directory, arguments, b"")
}

fn with_stdin(directory: &Directory, arguments: &[&str], stdin: &[u8]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_wscope"))
        .current_dir(directory.path())
        .args(arguments)
        .write_stdin(stdin)
        .output()
        .expect("wscope runs");
    Ended {
        code: output.status.code().expect("wscope isn't killed"),
        stdout: String::from_utf8(output.stdout).expect("wscope prints UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("wscope complains in UTF-8"),
    }
}

/// Nothing could be read, and this line says why.
fn refused(line: &str) -> Ended {
    Ended {
        code: 2,
        stdout: String::new(),
        stderr: format!("wscope: {line}\n"),
    }
}

/// The JSON report of a run that could read something, and what it said on stderr.
fn report(directory: &Directory, files: &[&str]) -> (Value, String) {
    let ended = wscope(directory, &[files, &["--format", "json"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let report = serde_json::from_str(&ended.stdout).expect("the report is JSON");
    (report, ended.stderr)
}

/// Both reading commands refuse this in the same words.
fn assert_refused(directory: &Directory, files: &[&str], line: &str) {
    assert_eq!(wscope(directory, files), refused(line));
    let messages = [&["messages", "--format", "jsonl"], files].concat();
    assert_eq!(wscope(directory, &messages), refused(line));
}

/// A session of two messages that closes as it should.
fn chat() -> Conversation {
    Conversation::new()
        .upgrade("/chat", "", "")
        .frame(Client, 1, b"hello")
        .frame(Server, 1, b"good evening")
        .frame(Client, 8, &[3, 232])
        .frame(Server, 8, &[3, 232])
        .close()
}

// --- nothing to read ----------------------------------------------------

#[test]
fn an_empty_file_is_refused() {
    let directory = Directory::new("empty");
    directory.file("a.pcap", b"");
    assert_refused(
        &directory,
        &["a.pcap"],
        "a.pcap: offset 0: the file is empty; end the capture with Ctrl-C, \
         or write with tcpdump -U -w, and try again",
    );
}

#[test]
fn a_file_that_is_missing_is_refused() {
    let directory = Directory::new("missing");
    assert_refused(
        &directory,
        &["a.pcap"],
        "a.pcap: no such file; check the name, or give - to read from stdin",
    );
}

#[test]
fn a_directory_without_captures_is_refused() {
    let directory = Directory::new("no-captures");
    directory.file("notes.txt", b"19:03:07 the socket dropped again\n");
    directory.file("empty.txt", b"");
    let line = "no pcap or pcapng file in this directory; \
                name the files, or the directory that tcpdump -w wrote to";
    assert_refused(&directory, &["."], &format!(".: {line}"));
}

#[test]
fn timers_that_are_none_are_refused() {
    let directory = Directory::new("timers");
    directory.file("a.pcap", &chat().pcap());
    directory.file("t.toml", b"[[timeout]]\nseconds = 60\ncounts = \"idel\"\n");
    let told = wscope(&directory, &["a.pcap", "--timeouts", "t.toml"]);
    let begins = "wscope: t.toml: line 3: unknown variant `idel`, expected one of";
    assert_eq!((told.code, told.stdout.as_str()), (2, ""));
    assert!(told.stderr.starts_with(begins), "{}", told.stderr);
    assert_eq!(told.stderr.lines().count(), 1);
    let missing = wscope(&directory, &["a.pcap", "--timeouts", "none.toml"]);
    assert_eq!(missing.code, 2);
    assert!(
        missing.stderr.starts_with("wscope: none.toml: "),
        "{}",
        missing.stderr
    );
}

#[test]
fn a_text_file_is_refused() {
    let directory = Directory::new("text");
    directory.file("log", b"19:03:07 the socket dropped again\n");
    let ended = wscope(&directory, &["log"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    let begins = "wscope: log: offset 0: not a pcap or pcapng file (it begins with text); ";
    assert!(ended.stderr.starts_with(begins), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[test]
fn what_other_programs_packed_names_the_command_that_unpacks_it() {
    let directory = Directory::new("packed");
    let packed: [(&str, &[u8], &str, &str); 1] = [("a.bz2", b"BZh91AY&SY", "bzip2", "bzip2 -d")];
    for (name, bytes, method, command) in packed {
        directory.file(name, bytes);
        let line = format!(
            "{name}: offset 0: compressed with {method}; unpack it first: {command} {name}"
        );
        assert_refused(&directory, &[name], &line);
    }
}

#[test]
fn a_file_that_may_not_be_read_is_refused() {
    let directory = Directory::new("permission");
    let path = directory.file("a.pcap", &chat().pcap());
    forbid(&path);
    if fs::File::open(&path).is_ok() {
        // Written past the test's capture: a test that didn't run has to be seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: this user may read every file (root?)"
        );
        return;
    }
    assert_refused(
        &directory,
        &["a.pcap"],
        "a.pcap: permission denied; run as a user who may read it, \
         or have its owner run chmod a+r on it",
    );
}

fn forbid(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("the file is ours");
}

#[test]
fn what_can_not_be_written_or_compiled_is_refused() {
    let directory = Directory::new("flags");
    directory.file("a.pcap", &chat().pcap());
    let flags: [(&[&str], &str); 3] = [
        (&["a.pcap", "-o", "no/such/place"], "no/such/place: "),
        (&["a.pcap", "--keys", "keys.log"], "keys.log: "),
        (
            &["a.pcap", "--filter", "tcp porridge"],
            "--filter 'tcp porridge': ",
        ),
    ];
    for (arguments, begins) in flags {
        let ended = wscope(&directory, arguments);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (2, ""),
            "{arguments:?}"
        );
        let line = ended.stderr.strip_prefix("wscope: ").unwrap_or_default();
        assert!(line.starts_with(begins), "{}", ended.stderr);
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

// --- damage -------------------------------------------------------------

/// Ends of the records of a pcap file, from the end of its header on.
fn record_ends(pcap: &[u8]) -> Vec<usize> {
    let mut ends = vec![24];
    let mut at = 24;
    while let Some(len) = pcap.get(at + 8..).and_then(|rest| rest.first_chunk()) {
        let len = u32::from_le_bytes(*len);
        at += 16 + usize::try_from(len).expect("a packet's length");
        ends.push(at);
    }
    ends
}

#[test]
fn a_file_that_is_cut_off_anywhere_gives_what_came_before() {
    let directory = Directory::new("cut-off");
    let whole = chat().pcap();
    let ends = record_ends(&whole);
    assert_eq!(ends.last(), Some(&whole.len()));
    let cuts = (1..24).step_by(5).chain((24..whole.len()).step_by(29));
    for cut in cuts.chain(ends.iter().copied()) {
        directory.file("a.pcap", &whole[..cut]);
        let ended = wscope(&directory, &["a.pcap", "--format", "json"]);
        let packets = ends.iter().filter(|end| **end <= cut).count();
        let at_a_seam = ends.contains(&cut);
        if packets <= 1 && !at_a_seam {
            assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "cut at {cut}");
        } else {
            assert_eq!(ended.code, 0, "cut at {cut}: {}", ended.stderr);
            let report: Value = serde_json::from_str(&ended.stdout).expect("a JSON report");
            assert_eq!(report["capture"]["packets"], packets - 1, "cut at {cut}");
            let truncated = &report["capture"]["files"][0]["truncated"];
            assert_eq!(*truncated, !at_a_seam, "cut at {cut}");
        }
        // A cut between two records can't be told from the end.
        let lines = if at_a_seam { 0 } else { 1 };
        assert_eq!(ended.stderr.lines().count(), lines, "{}", ended.stderr);
        assert!(lines == 0 || ended.stderr.starts_with("wscope: a.pcap: offset "));
    }
}

#[test]
fn a_cut_names_offset_and_way_out() {
    let directory = Directory::new("cut-off-line");
    let whole = chat().pcap();
    let ends = record_ends(&whole);
    directory.file("a.pcap", &whole[..ends[5] + 20]);
    let (report, line) = report(&directory, &["a.pcap"]);
    let expected = format!(
        "wscope: a.pcap: offset {}: the file ends inside a packet record \
         (20 of its {} bytes are there); the 5 packets before it were read; \
         take a fresh copy of the file, or capture again\n",
        ends[5],
        ends[6] - ends[5]
    );
    assert_eq!(line, expected);
    assert_eq!(report["sessions"][0]["handshake"]["outcome"], "accepted");
}

#[test]
fn a_cut_file_is_a_finding_too() {
    let directory = Directory::new("cut-off-finding");
    let whole = chat().pcap();
    directory.file("a.pcap", &whole[..whole.len() - 7]);
    let (report, _) = report(&directory, &["a.pcap"]);
    assert!(
        ids(&report).contains(&"cap-truncated-file"),
        "{:?}",
        ids(&report)
    );
}

fn ids(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("a list of findings");
    findings
        .iter()
        .filter_map(|finding| finding["id"].as_str())
        .collect()
}

#[test]
fn an_impossible_block_length_ends_the_file() {
    let directory = Directory::new("block-length");
    let mut file = chat().pcapng(&[capture::ETHERNET]);
    let whole = file.len();
    file.extend(capture::words(&[6, 13, 0, 0, 0, 0]));
    directory.file("a.pcapng", &file);
    let (report, line) = report(&directory, &["a.pcapng"]);
    assert_eq!(report["capture"]["packets"], 11);
    assert_eq!(report["sessions"][0]["closing"]["kind"], "clean");
    let expected = format!(
        "wscope: a.pcapng: offset {whole}: a block of type 0x00000006 claims an impossible \
         length of 13 bytes; the 11 packets before it were read; \
         take a fresh copy of the file, or capture again\n"
    );
    assert_eq!(line, expected);
}

#[test]
fn a_file_that_breaks_before_its_first_packet_is_refused() {
    let directory = Directory::new("no-packet");
    let mut file = Conversation::new().pcapng(&[capture::ETHERNET]);
    file.extend(capture::words(&[6, 0xffff_fff0, 0, 0, 0, 0]));
    directory.file("a.pcapng", &file);
    assert_refused(
        &directory,
        &["a.pcapng"],
        "a.pcapng: offset 48: a block of type 0x00000006 claims an impossible \
         length of 4294967280 bytes; no packet could be read; \
         take a fresh copy of the file, or capture again",
    );
}

#[test]
fn a_gzip_file_that_is_cut_off_gives_what_came_before() {
    let directory = Directory::new("cut-off-gzip");
    let mut packed = GzEncoder::new(Vec::new(), Compression::none());
    packed.write_all(&chat().pcap()).expect("memory");
    let packed = packed.finish().expect("memory");
    directory.file("a.pcap.gz", &packed[..packed.len() - 100]);
    let (report, line) = report(&directory, &["a.pcap.gz"]);
    assert_eq!(report["capture"]["files"][0]["truncated"], true);
    assert_eq!(report["capture"]["sessions"], 1);
    assert!(line.starts_with("wscope: a.pcap.gz: offset "), "{line}");
    assert_eq!(line.lines().count(), 1);
    directory.file("b.pcap.gz", &packed[..12]);
    let ended = wscope(&directory, &["b.pcap.gz"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    let begins = "wscope: b.pcap.gz: offset ";
    assert!(ended.stderr.starts_with(begins), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
}

// --- link types ---------------------------------------------------------

#[test]
fn an_unknown_link_type_is_refused() {
    let directory = Directory::new("link-type");
    directory.file("a.pcap", &chat().pcap_of(PRIVATE));
    let line = |offset| {
        format!(
            "offset {offset}: link type 147 is unknown to this version, 11 of 11 packets have it \
             (tcpdump.org/linktypes.html tells what it is); \
             capture on the host itself: tcpdump -i any -w FILE"
        )
    };
    assert_refused(&directory, &["a.pcap"], &format!("a.pcap: {}", line(20)));
    directory.file("a.pcapng", &chat().pcapng(&[PRIVATE]));
    assert_refused(
        &directory,
        &["a.pcapng"],
        &format!("a.pcapng: {}", line(28)),
    );
}

#[test]
fn a_link_type_without_ip_is_read_and_named() {
    let directory = Directory::new("link-without-ip");
    directory.file("a.pcap", &chat().pcap_of(capture::NETLINK));
    let (report, line) = report(&directory, &["a.pcap"]);
    let expected = serde_json::json!([{"why": "no-ip-on-netlink", "packets": 11}]);
    assert_eq!(report["capture"]["not_decoded"], expected);
    assert_eq!(line, "");
}

#[test]
fn packets_of_a_known_link_type_are_read_beside_unknown_ones() {
    let directory = Directory::new("link-types");
    let file = Conversation::new().udp(b"one").udp(b"two").udp(b"three");
    directory.file("a.pcapng", &file.pcapng(&[capture::ETHERNET, PRIVATE]));
    let (report, line) = report(&directory, &["a.pcapng"]);
    let expected = serde_json::json!([
        {"why": "udp", "packets": 2},
        {"why": "unknown-link-type", "packets": 1},
    ]);
    assert_eq!(report["capture"]["not_decoded"], expected);
    let text = wscope(&directory, &["a.pcapng"]).stdout;
    assert!(
        text.contains("\nCAPTURE  Not read: 1 packet (unknown-link-type)\n"),
        "{text}"
    );
    assert!(
        line.starts_with(
            "wscope: a.pcapng: offset 48: link type 147 is unknown to this version, 1 of 3 packets"
        ),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
}

// --- nothing of ours in it ----------------------------------------------

#[test]
fn a_capture_without_websocket_is_no_failure_and_says_so() {
    let directory = Directory::new("no-websocket");
    let web = Conversation::new()
        .connect()
        .send(Client, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        .send(Server, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        .close();
    directory.file("udp.pcap", &Conversation::new().udp(b"dns").pcap());
    directory.file("web.pcap", &web.pcap());
    directory.file("none.pcap", &Conversation::new().pcap());
    for file in ["udp.pcap", "web.pcap", "none.pcap"] {
        let (report, stderr) = report(&directory, &[file]);
        assert_eq!(
            (&report["sessions"], stderr.as_str()),
            (&Value::Array(Vec::new()), "")
        );
        let ids = ids(&report);
        assert!(ids.contains(&"cap-no-websocket"), "{file}: {ids:?}");
        let messages = wscope(&directory, &["messages", file]);
        assert_eq!((messages.code, messages.stdout.as_str()), (0, ""), "{file}");
    }
}

// --- several inputs, pipes ----------------------------------------------

#[test]
fn one_bad_file_among_several_costs_a_line() {
    let directory = Directory::new("several");
    directory.file("a.pcap", &chat().pcap());
    directory.file("empty.pcap", b"");
    directory.file("note.txt", b"dropped again\n");
    let files = ["empty.pcap", "a.pcap", "note.txt"];
    let ended = wscope(&directory, &[&files[..], &["--format", "json"]].concat());
    // The rest is reported on, and the exit code tells that something is missing.
    assert_eq!(ended.code, 2);
    let report: Value = serde_json::from_str(&ended.stdout).expect("the report is JSON");
    assert_eq!(report["capture"]["files"][0]["path"], "a.pcap");
    assert_eq!(report["capture"]["sessions"], 1);
    let named: Vec<_> = ended
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("wscope: ")?.split(": offset 0: ").next())
        .collect();
    assert_eq!(named, ["empty.pcap", "note.txt"]);
}

#[test]
fn a_directory_is_its_captures() {
    let directory = Directory::new("directory");
    directory.file("1.pcap", &chat().pcap());
    directory.file("0.pcap", &Conversation::new().udp(b"dns").pcap());
    directory.file("notes.txt", b"dropped again\n");
    let (report, stderr) = report(&directory, &["."]);
    let line = "wscope: ./notes.txt: no pcap or pcapng file, so skipped\n";
    assert_eq!(stderr, line);
    assert_eq!(report["capture"]["files"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["capture"]["sessions"], 1);
}

#[test]
fn stdin_reads_as_the_file_does() {
    let directory = Directory::new("stdin");
    let bytes = chat().pcap();
    directory.file("a.pcap", &bytes);
    let lines = ["messages", "--control", "--format", "jsonl"];
    let of_file = wscope(&directory, &[&lines[..], &["a.pcap"]].concat());
    let of_stdin = with_stdin(&directory, &[&lines[..], &["-"]].concat(), &bytes);
    assert_eq!(of_file.stdout.lines().count(), 4);
    assert_eq!(of_file, of_stdin);
}

#[test]
fn bad_stdin_is_refused_by_its_name() {
    let directory = Directory::new("bad-stdin");
    let empty = with_stdin(&directory, &["-"], b"");
    assert_eq!((empty.code, empty.stdout.as_str()), (2, ""));
    assert!(
        empty.stderr.starts_with("wscope: -: offset 0: "),
        "{}",
        empty.stderr
    );
    let cut = with_stdin(
        &directory,
        &["-", "--format", "json"],
        &chat().pcap()[..300],
    );
    assert_eq!(cut.code, 0);
    assert!(
        cut.stderr.starts_with("wscope: -: offset "),
        "{}",
        cut.stderr
    );
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let directory = Directory::new("pipe");
    let mut long = Conversation::new().upgrade("/feed", "", "");
    for _ in 0..2_000 {
        long = long.frame(Server, 1, &[b'x'; 400]);
    }
    directory.file("a.pcap", &long.pcap());
    for arguments in [
        &["messages", "a.pcap"][..],
        &["messages", "--format", "jsonl", "a.pcap"],
    ] {
        let mut running = Process::new(env!("CARGO_BIN_EXE_wscope"))
            .current_dir(directory.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("wscope runs");
        let mut line = String::new();
        let mut reader = BufReader::new(running.stdout.take().expect("a pipe"));
        reader.read_line(&mut line).expect("a first line");
        drop(reader);
        let mut said = String::new();
        let mut errors = running.stderr.take().expect("a pipe");
        errors.read_to_string(&mut said).expect("UTF-8");
        let status = running.wait().expect("wscope ends");
        assert_eq!(
            (status.code(), said.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
        assert!(line.contains("xxx"), "{line}");
    }
}
