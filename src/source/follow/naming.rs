//! Which names belong to one ring.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file's name without its numbers: `ring.pcap`, `ring.pcap1` and `ring.pcap02` are alike,
/// and so are `cap_00001_20260101120000.pcapng` and `cap_00002_20260101130000.pcapng`.
pub(super) fn pattern(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut pattern = String::new();
    for c in name.chars() {
        match c.is_ascii_digit() {
            true if pattern.ends_with('#') => {}
            true => pattern.push('#'),
            false => pattern.push(c),
        }
    }
    pattern.trim_end_matches('#').to_owned()
}

/// Both belong to one ring.
pub(super) fn same(a: &Path, b: &Path) -> bool {
    directory(a) == directory(b) && pattern(a) == pattern(b)
}

/// The directory that a file lies in.
pub(super) fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Of the files of each ring the one that was written last.
pub(super) fn newest(files: &[PathBuf]) -> HashSet<&Path> {
    let mut newest: HashMap<(PathBuf, String), (Option<SystemTime>, &Path)> = HashMap::new();
    for file in files {
        let written = fs::metadata(file)
            .ok()
            .and_then(|file| file.modified().ok());
        let this = (written, file.as_path());
        let last = newest
            .entry((directory(file), pattern(file)))
            .or_insert(this);
        *last = (*last).max(this);
    }
    newest.into_values().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_ring_are_alike_but_for_numbers() {
        for ring in [
            ["x.pcap", "x.pcap1", "x.pcap12"],
            ["x.pcap0", "x.pcap1", "x.pcap007"],
            [
                "x-1795447782.pcap",
                "x-1795447783.pcap",
                "x-1795447784.pcap2",
            ],
            [
                "x_00001_20260101120000.pcapng",
                "x_00002_20260101130000.pcapng",
                "x_100000_20260101130000.pcapng",
            ],
        ] {
            assert!(
                ring.iter()
                    .all(|name| same(Path::new(ring[0]), Path::new(name))),
                "{ring:?}"
            );
        }
    }

    #[test]
    fn other_names_and_other_directories_are_another_ring() {
        let same = |a: &str, b: &str| same(Path::new(a), Path::new(b));
        assert!(!same("x.pcap", "y.pcap"));
        assert!(!same("x.pcap1", "x.pcap2.gz"));
        assert!(!same("a/x.pcap1", "b/x.pcap2"));
        assert!(same("x.pcap1", "./x.pcap2"));
    }
}
