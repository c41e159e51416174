//! docs/findings.md is written from the rules, and fails here when it is stale.
//! `UPDATE_EXPECTED=1 cargo test --test generated_docs` writes it again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use wscope::diagnosis::rules;
use wscope::diagnosis::timeouts::Timeouts;

fn page() -> String {
    let mut page = String::from(
        "# Findings\n\nWhat each finding means, what usually causes it, how the causes are told apart on the wire, and what to do.\n\
         `wscope explain FINDING-ID` shows the same. This page is generated from the rules.\n\n\
         | finding | severity | says |\n|---|---|---|\n",
    );
    for rule in rules::ALL {
        let _ = writeln!(
            page,
            "| [{0}](#{0}) | {1} | {2} |",
            rule.id,
            rule.severity.name(),
            rule.summary
        );
    }
    for rule in rules::ALL {
        let _ = write!(
            page,
            "\n## {}\n\n*{}* · {}\n",
            rule.id,
            rule.severity.name(),
            rule.summary
        );
        for line in rule.explain.trim().lines() {
            // A rule's own headings stand one level below its name.
            let line = line
                .strip_prefix("## ")
                .map_or(line.to_owned(), |heading| format!("### {heading}"));
            let _ = writeln!(
                page,
                "{}{line}",
                if line.starts_with("### ") { "\n" } else { "" }
            );
        }
    }
    page
}

fn timers() -> String {
    let mut page = String::from(
        "# Timers\n\nWhat ends idle or old WebSockets: the timers that wscope holds a silence, an age or a wait against. This page is generated.\n\n\
         ## Your own\n\n`--timeouts FILE` adds those of your proxies and devices (repeat it for several files). The file is TOML, a table per timer:\n\n\
         ```toml\n[[timeout]]\nseconds = 75             # a whole number\ncounts = \"idle\"         # idle, flow, lifetime, close or pong\n\
         owner = \"our gateway (idle_timeout)\"\nend = \"FIN\"             # how the end looks on the wire\nverified = true         # seen, not only documented; false if left out\n```\n\n\
         - `idle`: time without bytes in either direction; then the owner ends the connection.\n\
         - `flow`: time without packets; then the owner forgets the flow, without a word.\n\
         - `lifetime`: the connection's age, however busy it is.\n\
         - `close`: time until the answer to a Close frame, or until TCP closes after both.\n\
         - `pong`: time until the answer to a Ping.\n\n\
         A timer fits a measured time from 0.25 s or 0.5 % before it to 1.5 s or 2 % after it, whichever is more.\n\n\
         ## Known\n\n| seconds | counts | owner | end | seen |\n|---|---|---|---|---|\n",
    );
    for row in Timeouts::built_in().rows() {
        let seen = if row.verified { "yes" } else { "typical" };
        let (counts, owner, end) = (row.counts.name(), &row.owner, &row.end);
        let _ = writeln!(
            page,
            "| {} | {counts} | {owner} | {end} | {seen} |",
            row.seconds
        );
    }
    page
}

#[test]
fn the_page_of_findings_is_not_stale() {
    holds("docs/findings.md", &page());
}

#[test]
fn the_page_of_timers_is_not_stale() {
    holds("docs/timeouts.md", &timers());
}

/// The file has this content; written anew where that is asked for.
fn holds(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, page).expect("docs/ can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "{name} is stale: UPDATE_EXPECTED=1 cargo test --test generated_docs"
    );
}

/// Each rule says all that `explain` promises.
#[test]
fn every_rule_is_explained_under_all_headings() {
    for rule in rules::ALL {
        for heading in [
            "What it means",
            "What usually causes it",
            "How to tell them apart",
            "What to do",
            "References",
        ] {
            let line = format!("## {heading}");
            assert!(
                rule.explain.lines().any(|l| l == line),
                "{}: no heading {heading}",
                rule.id
            );
        }
        assert!(
            !rule.summary.is_empty() && !rule.summary.ends_with('.'),
            "{}: {}",
            rule.id,
            rule.summary
        );
        assert!(!rule.checks.is_empty(), "{}: nothing decides", rule.id);
    }
}

/// One file per rule, named after it, and no id twice.
#[test]
fn every_rule_has_a_file_of_its_own() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diagnosis/rules");
    let mut ids: Vec<&str> = rules::ALL.iter().map(|rule| rule.id).collect();
    for id in &ids {
        let file = folder.join(format!("{}.rs", id.replace('-', "_")));
        assert!(file.is_file(), "{id} is not in {}", file.display());
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}
