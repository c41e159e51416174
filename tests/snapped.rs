//! What a snap length leaves of recordings: every frame that is reported is one of the whole file's.

#![allow(clippy::indexing_slicing, clippy::cast_possible_truncation)] // Of files of our own.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Files beyond this are left out.
///
/// Rationale: a test may take seconds.
const MAX_FILE: u64 = 400 << 10;

fn recordings() -> Option<Vec<PathBuf>> {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures/lab");
    let kinds = ["codec_", "hb_", "close_", "lat_", "drop_"];
    let mut found = Vec::new();
    for entry in fs::read_dir(lab).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let file = entry.path().join("capture.pcap");
        let small = fs::metadata(&file).is_ok_and(|file| file.len() < MAX_FILE);
        if small && kinds.iter().any(|kind| name.starts_with(kind)) {
            found.push(file);
        }
    }
    found.sort();
    Some(found)
}

/// The same capture with at most `snap` bytes of each packet; `None` for another format.
fn snapped(pcap: &[u8], snap: usize) -> Option<Vec<u8>> {
    let magic = [[0xd4, 0xc3, 0xb2, 0xa1], [0x4d, 0x3c, 0xb2, 0xa1]];
    let (head, mut rest) = pcap.split_at_checked(24)?;
    if !magic.iter().any(|magic| head.starts_with(magic)) {
        return None;
    }
    let mut out = head.to_vec();
    while let Some((record, behind)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(record[8..12].try_into().ok()?) as usize;
        let (packet, next) = behind.split_at_checked(len)?;
        let kept = &packet[..len.min(snap)];
        out.extend(&record[..8]);
        out.extend((kept.len() as u32).to_le_bytes());
        out.extend(&record[12..]);
        out.extend(kept);
        rest = next;
    }
    Some(out)
}

fn messages(file: &Path) -> Vec<Value> {
    let run = Command::new(env!("CARGO_BIN_EXE_wscope"))
        .args(["messages", "--control", "--no-payload", "--format", "jsonl"])
        .arg(file)
        .output()
        .expect("it runs");
    let lines = String::from_utf8(run.stdout).expect("text");
    let line = |line| serde_json::from_str(line).expect("JSON");
    lines.lines().map(line).collect()
}

/// Where it begins, what it is and how long it is; `null` fits all.
fn is_of(cut: &Value, whole: &Value) -> bool {
    let same = |name: &str| cut[name] == whole[name];
    let known = |name: &str| cut[name].is_null() || same(name);
    ["tcp_stream", "direction", "packet", "opcode"]
        .into_iter()
        .all(same)
        && known("length")
        && known("wire_length")
}

#[test]
fn what_is_read_behind_a_snap_length_was_sent() {
    let Some(recordings) = recordings() else {
        println!("SKIPPED: the recordings are not here");
        return;
    };
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("snapped.pcap");
    let mut read = 0;
    for recording in recordings {
        let bytes = fs::read(&recording).expect("a recording");
        let whole = messages(&recording);
        for snap in [64, 80, 96, 128, 200] {
            let Some(cut) = snapped(&bytes, snap) else {
                continue;
            };
            fs::write(&place, cut).expect("room");
            for message in messages(&place) {
                let true_one = whole.iter().any(|whole| is_of(&message, whole));
                assert!(true_one, "{} at {snap}: {message}", recording.display());
                read += 1;
            }
        }
    }
    assert!(read > 1000, "{read}");
}
