//! The same for what was really captured: the folders under `fixtures/`, cut
//! at any packet and with any packet missing.

use std::path::{Path, PathBuf};

use wscope::source::{CaptureFile, Input, LinkType, Packet, Source};
use wscope::stream::PacketRef;

use crate::told::{Listener, Told, options};

/// Rationale: a fixture of a thousand packets isn't cut a thousand times; 64
/// places spread over it keep the run short.
const CUTS: usize = 64;

/// Findings that a capture may have just because it ends too early.
///
/// - `cap-mid-session`: too few frames came before the cut to prove any.
/// - `cap-no-websocket`: the Upgrade request is behind the cut.
/// - `cap-one-way`: nothing of the other side came before the cut.
/// - `end-unknown`: the end is behind the cut.
/// - `hb-gap`, `hb-irregular`: the times between Pings so far differ more than
///   all of them do.
pub(crate) fn may_come_with_a_cut(id: &str) -> bool {
    let cut = [
        "cap-mid-session",
        "cap-no-websocket",
        "cap-one-way",
        "end-unknown",
        "hb-gap",
        "hb-irregular",
    ];
    cut.contains(&id)
}

/// Findings that a capture may have just because packets are missing in it.
///
/// - `cap-`: they say so.
/// - `cmp-context-unavailable`: the context was in the lost packet.
/// - `close-code-meaning`: the Close frame was seen; what better finding its
///   packet belongs to was lost.
/// - `hb-pong-missing`: in place of `hb-pong-timeout`, where the Close frame
///   that names the missing Pong was lost.
pub(crate) fn may_come_with_a_loss(id: &str) -> bool {
    may_come_with_a_cut(id)
        || id.starts_with("cap-")
        || [
            "cmp-context-unavailable",
            "close-code-meaning",
            "hb-pong-missing",
        ]
        .contains(&id)
}

struct Owned {
    at: PacketRef,
    link: LinkType,
    wire_len: u32,
    bytes: Vec<u8>,
}

fn fixtures() -> Vec<(String, Vec<Owned>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let read = |folder: PathBuf| {
        let path = ["capture.pcap", "capture.pcapng"]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|path| path.exists())?;
        let name = folder.file_name()?.to_string_lossy().into_owned();
        Some((name, packets(&path)))
    };
    let fixtures: Vec<_> = folders.into_iter().filter_map(read).collect();
    assert!(!fixtures.is_empty());
    fixtures
}

fn packets(path: &Path) -> Vec<Owned> {
    let mut file = CaptureFile::open(path, 0).unwrap();
    let mut packets = Vec::new();
    while let Some(input) = file.next().unwrap() {
        if let Input::Packet(packet) = input {
            packets.push(Owned {
                at: packet.at,
                link: packet.link,
                wire_len: packet.wire_len,
                bytes: packet.bytes.to_vec(),
            });
        }
    }
    packets
}

fn told<'a>(packets: impl IntoIterator<Item = &'a Owned>) -> Told {
    let mut listener = Listener::new(options());
    for packet in packets {
        listener.push(&Input::Packet(Packet {
            at: packet.at,
            link: packet.link,
            wire_len: packet.wire_len,
            bytes: &packet.bytes,
        }));
    }
    listener.finish()
}

/// Up to [`CUTS`] numbers below `len`, evenly spread.
fn places(len: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by(len.div_ceil(CUTS).max(1))
}

/// Messages that `part` has and `whole` hasn't.
fn made_up(part: &Told, whole: &Told) -> bool {
    let whole = whole.complete();
    part.complete().iter().any(|(direction, messages)| {
        messages
            .iter()
            .any(|message| !whole[direction].contains(message))
    })
}

#[test]
fn a_fixture_cut_anywhere_adds_nothing_certain() {
    let mut faults = Vec::new();
    for (name, packets) in fixtures() {
        let whole = told(&packets);
        let certain = whole.certain();
        for at in places(packets.len()) {
            let cut = told(&packets[..at]);
            if made_up(&cut, &whole) {
                faults.push(format!("{name} cut at {at}: a message is made up"));
            }
            for id in cut.certain() {
                if !certain.contains(&id) && !may_come_with_a_cut(id) {
                    faults.push(format!("{name} cut at {at}: {id}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_fixture_without_one_packet_adds_nothing_certain() {
    let mut faults = Vec::new();
    for (name, packets) in fixtures() {
        let whole = told(&packets);
        for gone in places(packets.len()) {
            let rest = packets.iter().enumerate().filter(|(at, _)| *at != gone);
            let told = told(rest.map(|(_, packet)| packet));
            if made_up(&told, &whole) {
                faults.push(format!("{name} without {gone}: a message is made up"));
            }
            for id in told.certain() {
                let known = whole.certain().contains(&id) || may_come_with_a_loss(id);
                if !known {
                    faults.push(format!("{name} without {gone}: {id}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_fixture_that_begins_late_makes_up_no_message() {
    let mut faults = Vec::new();
    for (name, packets) in fixtures() {
        let whole = told(&packets);
        for at in places(packets.len()) {
            if made_up(&told(&packets[at..]), &whole) {
                faults.push(format!("{name} from {at} on: a message is made up"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn stdin_tells_the_same_as_the_file() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/heartbeat-both-sides/capture.pcap");
    let run = |name: &std::ffi::OsStr| {
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_wscope"))
            .args(["--format", "json"])
            .arg(name)
            .write_stdin(std::fs::read(&path).unwrap())
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (report["sessions"].clone(), report["findings"].clone())
    };
    assert_eq!(run(path.as_os_str()), run("-".as_ref()));
}
