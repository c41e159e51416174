//! What was really captured: the folders under `fixtures/`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use wscope::source::{CaptureFile, Input, LinkType, Packet, Source, embedded_key_logs};
use wscope::stream::PacketRef;

use crate::told::{Listener, Told, options};

/// Findings that a capture may have just because packets are missing in it:
/// they say what the capture is, or lacks.
pub(crate) fn may_come_with_a_lack(id: &str) -> bool {
    id.starts_with("cap-") || ["end-unknown", "cmp-context-unavailable"].contains(&id)
}

/// The same for one that was cut. Rules that compare the times between Pings
/// with each other may find more between those before the cut than between all.
pub(crate) fn may_come_with_a_cut(id: &str) -> bool {
    may_come_with_a_lack(id) || ["hb-gap", "hb-irregular"].contains(&id)
}

/// A captured packet.
#[derive(Clone)]
pub(crate) struct Owned {
    pub(crate) at: PacketRef,
    link: LinkType,
    pub(crate) wire_len: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Owned {
    /// The same packet as another capture point sees it, a hop further on or not.
    pub(crate) fn copy(&self, hop: bool) -> Self {
        let mut copy = self.clone();
        // The TTL of IPv4 over Ethernet.
        if let (true, [0x08, 0x00], Some(ttl)) = (
            hop,
            self.bytes.get(12..14).unwrap_or(&[]),
            copy.bytes.get_mut(22),
        ) {
            *ttl = ttl.saturating_sub(1);
        }
        copy
    }
}

/// The captures under `fixtures/`, by the names of their folders.
pub(crate) fn fixtures() -> Vec<(String, Vec<Owned>)> {
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

/// The packets of a capture; none if it can't be read.
pub(crate) fn packets(path: &Path) -> Vec<Owned> {
    let Ok(mut file) = CaptureFile::open(path, 0) else {
        return Vec::new();
    };
    let mut packets = Vec::new();
    while let Ok(Some(input)) = file.next() {
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

/// The key logs of all fixtures, beside their captures and inside them.
fn key_logs() -> &'static [Vec<u8>] {
    static KEY_LOGS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    KEY_LOGS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let mut texts = Vec::new();
        for folder in std::fs::read_dir(root).unwrap() {
            let folder = folder.unwrap().path();
            texts.extend(std::fs::read(folder.join("keys.log")));
            embedded_key_logs(&folder.join("capture.pcapng"), |text| {
                texts.push(text.to_vec());
            });
        }
        assert!(!texts.is_empty());
        texts
    })
}

pub(crate) fn told<'a>(packets: impl IntoIterator<Item = &'a Owned>) -> Told {
    let mut listener = Listener::new(options());
    key_logs().iter().for_each(|text| listener.learn(text));
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
