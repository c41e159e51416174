//! Holds every folder under `fixtures/` to its form: a capture, and a README
//! that says what it shows, where it is from and how to make it again.

use std::fs;
use std::path::{Path, PathBuf};

const HEADINGS: [&str; 3] = [
    "## What it shows",
    "## Where it is from",
    "## How to make it again",
];

/// The first four bytes of pcap (micro- and nanosecond, both byte orders) and
/// of pcapng, whose first block type reads the same either way.
const MAGICS: [[u8; 4]; 5] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found: Vec<_> = fs::read_dir(root)
        .expect("the folder fixtures/ is part of the repository")
        .map(|entry| entry.expect("fixtures/ can be listed").path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

/// What is wrong with a README, one line each.
fn readme_faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let sections: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("## "))
        .collect();
    if sections != HEADINGS {
        faults.push(format!("has the headings {sections:?}, not {HEADINGS:?}"));
    }
    for heading in HEADINGS {
        let body = text
            .split_once(&format!("{heading}\n"))
            .map_or("", |(_, rest)| rest);
        let body = body.split("\n## ").next().unwrap_or("");
        if body.trim().is_empty() || body.starts_with("## ") {
            faults.push(format!("says nothing under \"{heading}\""));
        }
    }
    faults
}

fn capture_faults(folder: &Path) -> Vec<String> {
    let captures = ["capture.pcap", "capture.pcapng"].map(|name| folder.join(name));
    match captures
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => vec!["has neither capture.pcap nor capture.pcapng".to_owned()],
        [bytes] if MAGICS.iter().any(|magic| bytes.starts_with(magic)) => Vec::new(),
        [_] => vec!["has a capture that is neither pcap nor pcapng".to_owned()],
        _ => vec!["has two captures; make it two fixtures".to_owned()],
    }
}

#[test]
fn every_fixture_has_its_capture_and_its_readme() {
    let fixtures = fixtures();
    assert!(!fixtures.is_empty(), "no fixtures found");
    let mut faults = Vec::new();
    for folder in &fixtures {
        let name = folder
            .file_name()
            .expect("a folder has a name")
            .to_string_lossy();
        if !name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        {
            faults.push(format!(
                "fixtures/{name}: a name is lower case words with hyphens"
            ));
        }
        let readme = match fs::read_to_string(folder.join("README.md")) {
            Ok(text) => readme_faults(&text),
            Err(error) => vec![format!("README.md: {error}")],
        };
        for fault in readme.into_iter().chain(capture_faults(folder)) {
            faults.push(format!("fixtures/{name} {fault}"));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_readme_without_a_heading_or_its_text_is_told() {
    let good =
        "# x\n\n## What it shows\na\n\n## Where it is from\nb\n\n## How to make it again\nc\n";
    assert!(readme_faults(good).is_empty());
    assert_eq!(
        readme_faults(&good.replace("## Where it is from\nb\n", "")).len(),
        2
    );
    assert_eq!(
        readme_faults(&good.replace("\nc\n", "\n")),
        ["says nothing under \"## How to make it again\""]
    );
}
