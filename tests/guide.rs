//! docs/guide.md names findings, commands and flags: all of them exist, or are
//! marked as not there yet. `UPDATE_EXPECTED=1 cargo test --test guide` sets the marks.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use wscope::diagnosis::rules;

/// What stands behind a finding that isn't built.
const MARK: &str = " (not yet)";

/// Findings that are named although no rule has them yet.
const TO_COME: [&str; 41] = [
    "app-delivered-not-handled",
    "app-message-too-big",
    "app-resubscribe-missing",
    "app-schema-drift",
    "app-seq-gap",
    "app-silent-subscription",
    "auth-error-message",
    "auth-expiry-kill",
    "auth-retry-same-token",
    "auth-token-expired",
    "auth-token-malformed",
    "flow-sender-backlog",
    "flow-server-evicts-slow",
    "flow-slow-consumer",
    "flow-zero-window",
    "hb-browser-throttled",
    "hs-alpn-h2",
    "lat-burst-delivery",
    "lat-gap",
    "lat-growing",
    "lat-hol-blocking",
    "lat-nagle-delack",
    "lat-retransmit",
    "lat-server-stall",
    "net-bandwidth-limited",
    "net-keepalive-useless",
    "net-loss",
    "net-mtu-blackhole",
    "net-stall",
    "pattern-blame",
    "pattern-connection-leak",
    "pattern-duplicate-connections",
    "pattern-mass-disconnect",
    "pattern-network-change",
    "pattern-no-backoff",
    "pattern-periodic-disconnect",
    "pattern-reconnect-loop",
    "pattern-reconnect-storm",
    "pattern-uneven-backends",
    "pattern-ungraceful-shutdown",
    "close-1006-stream-reset",
];

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide.md")
}

fn is_rule(id: &str) -> bool {
    rules::ALL.iter().any(|rule| rule.id == id)
}

/// The word in backticks is the id of a finding, by its first part.
fn is_id(word: &str) -> bool {
    const FAMILIES: [&str; 14] = [
        "hs", "tls", "close", "end", "hb", "lat", "net", "flow", "pv", "cmp", "auth", "app",
        "pattern", "cap",
    ];
    let family = word.split('-').next().unwrap_or_default();
    let plain = word
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    word.contains('-') && plain && FAMILIES.contains(&family)
}

/// The page with a mark behind each finding that no rule has, and behind no other.
fn marked(page: &str) -> (String, Vec<String>) {
    let (mut marked, mut ids) = (String::new(), Vec::<String>::new());
    for (place, part) in page.replace(MARK, "").split('`').enumerate() {
        let named = place % 2 == 1 && is_id(part);
        match place % 2 {
            0 => marked.push_str(part),
            _ => marked.push_str(&format!("`{part}`")),
        }
        if named && !is_rule(part) {
            marked.push_str(MARK);
        }
        if named {
            ids.push(part.to_owned());
        }
    }
    (marked, ids)
}

#[test]
fn every_finding_that_the_guide_names_exists_or_is_marked() {
    let page = fs::read_to_string(path()).expect("there is a guide");
    let (marked, ids) = marked(&page);
    assert!(ids.len() > 80, "{}", ids.len());
    let unknown: Vec<_> = ids
        .iter()
        .filter(|id| !is_rule(id) && !TO_COME.contains(&id.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        // In one step, since the other test reads it at the same time.
        let new = path().with_extension("new");
        fs::write(&new, &marked).expect("docs/ can be written");
        fs::rename(new, path()).expect("docs/ can be written");
        return;
    }
    assert!(
        page == marked,
        "docs/guide.md marks findings wrongly: UPDATE_EXPECTED=1 cargo test --test guide"
    );
}

#[test]
fn the_guides_commands_and_flags_exist() {
    let page = fs::read_to_string(path()).expect("there is a guide");
    let lines = page
        .lines()
        .filter_map(|line| line.strip_prefix("    wscope "));
    let mut count = 0;
    for line in lines {
        let line = line.split(" #").next().unwrap_or(line);
        let verb = line.split(' ').next().unwrap_or_default();
        let verb = match verb {
            "messages" | "show" | "explain" => verb,
            _ => "analyze",
        };
        let output = Command::new(env!("CARGO_BIN_EXE_wscope"))
            .args([verb, "--help"])
            .output()
            .expect("wscope runs");
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        for flag in line.split(' ').filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "{line}: {verb} has no {flag}");
            count += 1;
        }
    }
    assert!(count > 5, "{count}");
}
