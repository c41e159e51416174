//! `--follow`: a writer that is slow, rotates and writes over old files, and a reader that
//! keeps up until it is interrupted.
#![cfg(unix)]
#![allow(clippy::indexing_slicing)] // A key that a JSON `Value` lacks is null, not a panic.

mod capture;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use capture::Sender::{Client, Server};
use capture::{Conversation, Directory};

/// Rationale: far more than any machine needs; a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A wscope that runs, and the lines that it prints.
struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_wscope"))
            .current_dir(directory)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("wscope runs");
        let stdout = process.stdout.take().expect("a pipe");
        Self {
            process,
            lines: lines_of(stdout),
        }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// Interrupts it: the rest of its output, once it ended as it should.
    fn interrupt(mut self) -> String {
        let number = self.process.id().to_string();
        let sent = Command::new("kill").args(["-INT", &number]).status();
        assert!(sent.expect("kill runs").success());
        let status = self.process.wait().expect("it ends");
        let mut told = String::new();
        let stderr = self.process.stderr.as_mut().expect("a pipe");
        stderr.read_to_string(&mut told).expect("words");
        assert_eq!((status.code(), told.as_str()), (Some(0), ""));
        let rest: Vec<String> = self.lines.iter().collect();
        rest.join("\n")
    }
}

/// A test that fails leaves nobody behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (send, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The file's header, and its records. The sixth is the client's message, the seventh the server's.
fn chat() -> (Vec<u8>, Vec<Vec<u8>>) {
    let file = Conversation::new()
        .upgrade("/chat", "", "")
        .frame(Client, 1, b"hello")
        .frame(Server, 1, b"welcome")
        .frame(Client, 1, b"again")
        .frame(Server, 8, &[3, 232])
        .frame(Client, 8, &[3, 232])
        .close()
        .pcap();
    let (header, mut rest) = file.split_at(24);
    let mut records = Vec::new();
    while let Some(len) = rest.get(8..12) {
        let len = u32::from_le_bytes(len.try_into().expect("four bytes"));
        let (record, after) = rest.split_at(16 + len as usize);
        records.push(record.to_vec());
        rest = after;
    }
    (header.to_vec(), records)
}

fn append(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().append(true).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .expect("the file grows");
}

#[test]
fn messages_come_as_the_file_grows() {
    let directory = Directory::new("follow-grows");
    let (header, records) = chat();
    let path = directory.file("a.pcap", &header);
    let running = Running::start(directory.path(), &["messages", "--follow", "a.pcap"]);
    append(&path, &records[..7].concat());
    assert!(running.line().ends_with("hello"));
    // The first half of a record is waited for.
    let (front, back) = records[7].split_at(30);
    append(&path, front);
    assert!(running.line().ends_with("welcome"));
    append(&path, back);
    assert!(running.line().ends_with("again"));
    append(&path, &records[8][..20]);
    assert_eq!(running.interrupt(), "");
}

#[test]
fn the_report_comes_at_the_end_and_calls_nothing_cut_off() {
    let directory = Directory::new("follow-report");
    let (header, records) = chat();
    let path = directory.file("a.pcap", &header);
    let arguments = ["--follow", "a.pcap", "--format", "json"];
    let running = Running::start(directory.path(), &arguments);
    append(&path, &[&records[..8].concat(), &records[8][..9]].concat());
    wait_for_pause(running.process.id());
    let report: Value = serde_json::from_str(&running.interrupt()).expect("a report");
    assert_eq!(report["capture"]["packets"], 8);
    assert_eq!(report["capture"]["files"][0]["truncated"], false);
    assert_eq!(report["sessions"][0]["closing"]["kind"], "open");
}

/// Until it listens for signals, and had time to look at its file. Linux tells the former;
/// elsewhere time must do.
fn wait_for_pause(process: u32) {
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))?;
        let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
        // SIGINT is 2, SIGTERM 15.
        Some(mask & 0x4002 == 0x4002)
    };
    for _ in 0..200 {
        if caught() == Some(true) {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(300));
}

/// A ring as tcpdump -C -W writes it: the last file begins in the place of the first.
#[test]
fn a_ring_is_followed_from_file_to_file_and_where_it_wraps() {
    let directory = Directory::new("follow-ring");
    let (header, records) = chat();
    let first = directory.file(
        "ring.pcap0",
        &[header.clone(), records[..4].concat()].concat(),
    );
    let running = Running::start(directory.path(), &["messages", "--follow", "ring.pcap0"]);
    wait_for_pause(running.process.id());
    append(&first, &records[4..6].concat());
    directory.file("ring.pcap1", &[header.clone(), records[6].clone()].concat());
    assert!(running.line().ends_with("hello"));
    assert!(running.line().ends_with("welcome"));
    // The same file, cut off and written anew.
    let mut file = File::create(&first).expect("the file is written over");
    file.write_all(&[header, records[7].clone()].concat())
        .expect("the file grows");
    assert!(running.line().ends_with("again"));
    file.write_all(&records[8..].concat()).expect("it grows");
    drop(file);
    assert_eq!(running.interrupt(), "");
}

/// What stands behind the place up to which the old file was read is the middle of the new one.
#[test]
fn a_file_that_is_written_anew_is_read_from_its_start_however_long_it_is() {
    let directory = Directory::new("follow-anew");
    let (header, records) = chat();
    let path = directory.file("a.pcap", &[header.clone(), records[..6].concat()].concat());
    let running = Running::start(directory.path(), &["messages", "--follow", "a.pcap"]);
    assert!(running.line().ends_with("hello"));
    let another = Conversation::new()
        .udp(b"what tells the one file from the other is how it begins")
        .connect()
        .upgrade("/chat", "", "")
        .frame(Client, 1, &[b'x'; 20])
        .frame(Server, 1, b"the other answers")
        .close()
        .pcap();
    assert!(another.len() > header.len() + records[..6].concat().len());
    fs::write(path, another).expect("the file is written over");
    assert!(running.line().ends_with("xxxxxxxxxxxxxxxxxxxx"));
    assert!(running.line().ends_with("the other answers"));
    assert_eq!(running.interrupt(), "");
}

#[test]
fn a_directory_is_followed_and_its_new_files_too() {
    let directory = Directory::new("follow-directory");
    let (header, records) = chat();
    directory.file(
        "cap_00001.pcap",
        &[header.clone(), records[..6].concat()].concat(),
    );
    let arguments = ["--follow", ".", "--format", "json"];
    let running = Running::start(directory.path(), &arguments);
    wait_for_pause(running.process.id());
    directory.file("notes.txt", b"nothing here");
    directory.file("cap_00002.pcap", &[header, records[6..].concat()].concat());
    thread::sleep(Duration::from_millis(400));
    let report: Value = serde_json::from_str(&running.interrupt()).expect("a report");
    assert_eq!(report["capture"]["files"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["sessions"][0]["closing"]["kind"], "clean");
    assert_eq!(report["sessions"][0]["messages"]["client"]["count"], 2);
}

#[test]
fn stdin_needs_no_flag_to_be_followed() {
    let output = Command::new(env!("CARGO_BIN_EXE_wscope"))
        .args(["--follow", "-"])
        .output()
        .expect("wscope runs");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        told,
        "wscope: --follow: stdin is read until it ends in any case; leave the flag out, or name files\n"
    );
}
