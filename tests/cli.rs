//! The program as people and scripts meet it: whole outputs of the fixtures,
//! and no secret in any of them.

mod capture;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

use capture::Sender::{Client, Server};
use capture::{Conversation, Directory};

/// What a run printed on stdout and, apart, on stderr.
fn wscope(directory: &Path, arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_wscope"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .expect("wscope runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    (
        String::from_utf8(output.stdout).expect("wscope prints UTF-8"),
        String::from_utf8(output.stderr).expect("wscope complains in UTF-8"),
    )
}

// --- whole outputs ------------------------------------------------------

/// The outputs that are kept beside each fixture.
const EXPECTED: [(&str, &[&str]); 2] = [
    ("expected.txt", &[]),
    ("expected.json", &["--format", "json"]),
];

/// What a fixture's key log is called, where it has one.
const KEY_LOG: &str = "keys.log";

/// Set to 1, the outputs are written anew; read the difference before it is committed.
const UPDATE: &str = "UPDATE_EXPECTED";

/// Every fixture: its folder and the name of its capture.
fn fixtures() -> Vec<(PathBuf, &'static str)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found: Vec<_> = fs::read_dir(root)
        .expect("the folder fixtures/ is part of the repository")
        .map(|entry| entry.expect("fixtures/ can be listed").path())
        .filter_map(|folder| {
            let names = ["capture.pcap", "capture.pcapng"];
            let name = names.into_iter().find(|name| folder.join(name).exists())?;
            Some((folder, name))
        })
        .collect();
    found.sort();
    found
}

/// What wscope prints of a fixture. It runs in the folder, so that the report
/// names the capture in the same way wherever the repository lies. A key log beside the capture is its own.
fn printed(folder: &Path, capture: &str, flags: &[&str]) -> String {
    let keys: &[&str] = match folder.join(KEY_LOG).exists() {
        true => &["--keys", KEY_LOG],
        false => &[],
    };
    let (stdout, stderr) = wscope(folder, &[&[capture], flags, keys].concat());
    match stderr.as_str() {
        "" => stdout,
        _ => format!("{stdout}--- stderr\n{stderr}"),
    }
}

/// The first line in which two texts differ, from either.
fn first_difference(expected: &str, printed: &str) -> String {
    let mut lines = expected.lines().zip(printed.lines()).zip(1..);
    match lines.find(|((expected, printed), _)| expected != printed) {
        Some(((expected, printed), number)) => {
            format!("line {number}:\n  expected {expected}\n  printed  {printed}")
        }
        None => format!(
            "{} lines expected, {} printed",
            expected.lines().count(),
            printed.lines().count()
        ),
    }
}

#[test]
fn fixtures_print_what_they_are_expected_to() {
    let mut faults = Vec::new();
    for (folder, capture) in fixtures() {
        for (name, flags) in EXPECTED {
            let path = folder.join(name);
            let printed = printed(&folder, capture, flags);
            if std::env::var_os(UPDATE).is_some_and(|update| update == "1") {
                fs::write(&path, &printed).expect("fixtures/ can be written");
            }
            // That none is missing is another test's fact.
            let Ok(expected) = fs::read_to_string(&path) else {
                continue;
            };
            if expected != printed {
                let difference = first_difference(&expected, &printed);
                faults.push(format!("{}: {difference}", path.display()));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "\n{}\nif this is meant: {UPDATE}=1 cargo test --test cli, and read the difference\n",
        faults.join("\n")
    );
}

#[test]
fn every_fixture_has_its_expected_outputs() {
    let missing: Vec<_> = fixtures()
        .iter()
        .flat_map(|(folder, _)| EXPECTED.map(|(name, _)| folder.join(name)))
        .filter(|path| !path.exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}; {UPDATE}=1 writes them");
}

/// The fixtures of which a timeline is kept, with the session that it is of.
const TIMELINES: [(&str, &str); 11] = [
    ("handshake-and-clean-close", "s1"),
    ("handshake-401-retry-same-connection", "s2"),
    ("drop-server-killed-reset", "s1"),
    ("drop-firewall-forgets-flow", "s1"),
    ("drop-backend-behind-proxy", "s1"),
    ("drop-nginx-idle-timeout", "s1"),
    ("drop-reset-by-router", "s1"),
    ("capture-starts-mid-session", "s1"),
    ("heartbeat-pong-missing", "s1"),
    ("tls-session-with-key-log", "s1"),
    ("tls-records-without-keys", "s1"),
];

/// The timeline of a session as people see it.
fn timeline(folder: &Path, capture: &str, session: &str) -> String {
    let keys: &[&str] = match folder.join(KEY_LOG).exists() {
        true => &["--keys", KEY_LOG],
        false => &[],
    };
    let arguments = [&["show", session, capture], keys].concat();
    wscope(folder, &arguments).0
}

#[test]
fn timelines_read_as_they_are_expected_to() {
    let mut faults = Vec::new();
    for (name, session) in TIMELINES {
        let found = fixtures();
        let (folder, capture) = found
            .iter()
            .find(|(folder, _)| folder.ends_with(name))
            .expect("the fixture exists");
        let path = folder.join("expected-show.txt");
        let printed = timeline(folder, capture, session);
        if std::env::var_os(UPDATE).is_some_and(|update| update == "1") {
            fs::write(&path, &printed).expect("fixtures/ can be written");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if expected != printed {
            let difference = first_difference(&expected, &printed);
            faults.push(format!("{}: {difference}", path.display()));
        }
    }
    assert!(
        faults.is_empty(),
        "\n{}\nif this is meant: {UPDATE}=1 cargo test --test cli, and read the difference\n",
        faults.join("\n")
    );
}

/// Every session of every fixture: in 80 columns, and of the same rows for scripts.
#[test]
fn no_timeline_is_wider_than_80_columns() {
    let mut wide = Vec::new();
    let mut count = 0;
    for (folder, capture) in fixtures() {
        let report = fs::read_to_string(folder.join("expected.json")).expect("it is written");
        let report = report.split("--- stderr").next().unwrap_or_default();
        let report: serde_json::Value = serde_json::from_str(report).expect("it is JSON");
        let sessions = report["sessions"].as_array().expect("there is a list");
        for session in sessions.iter().filter_map(|session| session["id"].as_str()) {
            count += 1;
            for line in timeline(&folder, capture, session).lines() {
                if line.chars().count() > 80 {
                    wide.push(format!("{}: {session}: {line}", folder.display()));
                }
            }
        }
    }
    assert!(count > 40, "{count}");
    assert!(wide.is_empty(), "\n{}\n", wide.join("\n"));
}

/// The README's first screen is what the program prints, but for the file's name.
#[test]
fn the_readme_shows_real_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("there is a README");
    let shown: Vec<&str> = readme
        .lines()
        .skip_while(|line| *line != "    $ wscope drop.pcap")
        .skip(2)
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    let folder = root.join("fixtures/drop-server-killed-reset");
    let expected = fs::read_to_string(folder.join("expected.txt")).expect("it is written");
    let printed: Vec<&str> = expected.lines().skip(1).take(shown.len()).collect();
    assert!(shown.len() > 10, "{shown:?}");
    assert_eq!(shown, printed);
}

// --- secrets ------------------------------------------------------------

/// Secrets of every kind that a handshake carries, each another one.
const SECRETS: [(&str, &str); 9] = [
    ("token in the URL", "urlhunter77"),
    ("token in the URL, percent-encoded", "pct+hunter/78"),
    (
        "token in the path",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3OSJ9.c2lnbmF0dXJl",
    ),
    ("Authorization", "bearerhunter80"),
    ("Authorization, basic", "YWxhZGRpbjpvcGVuc2VzYW1l"),
    ("Cookie", "cookiehunter81"),
    ("subprotocol that says so", "token.subhunter82"),
    ("subprotocol after one that says so", "pairhunter83"),
    ("Set-Cookie of the answer", "sethunter84"),
];

/// A refusal and a session, with secrets in all places; the refusal's body, a
/// message and a Close reason repeat those of the request.
fn talk_of_secrets() -> Conversation {
    let target = "/feed/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3OSJ9.c2lnbmF0dXJl\
                  ?room=7&token=urlhunter77&access_token=pct%2Bhunter%2F78";
    let fields = "Authorization: Bearer bearerhunter80\r\n\
                  Proxy-Authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l\r\n\
                  Cookie: theme=dark; session=cookiehunter81\r\n\
                  Sec-WebSocket-Protocol: chat, token.subhunter82, access_token, pairhunter83\r\n";
    let echo: String = SECRETS
        .iter()
        .filter(|(what, _)| !what.starts_with("Set-Cookie"))
        .map(|(_, secret)| format!("refused: \"{secret}\"\n"))
        .collect();
    let refusal = format!(
        "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\n\
         WWW-Authenticate: Bearer realm=\"urlhunter77\"\r\n\
         Set-Cookie: session=sethunter84\r\nLocation: /login?token=urlhunter77\r\n\
         Content-Length: {}\r\n\r\n{echo}",
        echo.len()
    );
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    let goodbye = [&[0x0f, 0xa1][..], b"bad token urlhunter77 cookiehunter81"].concat();
    Conversation::new()
        .connect()
        .send(Client, request.as_bytes())
        .send(Server, refusal.as_bytes())
        .close()
        .upgrade(
            target,
            fields,
            "Sec-WebSocket-Protocol: token.subhunter82\r\nSet-Cookie: session=sethunter84\r\n",
        )
        .frame(Server, 8, &goodbye)
        .frame(Client, 8, &goodbye)
        .close()
}

/// Everything that reads a capture and prints of it.
const PRINTS: [&[&str]; 13] = [
    &["analyze"],
    &["analyze", "--verbose"],
    &["analyze", "--color", "always"],
    &["analyze", "--format", "json"],
    &["analyze", "--format", "jsonl"],
    &["messages", "--control"],
    &["messages", "--control", "--format", "jsonl", "--sha256"],
    &["show", "s1"],
    &["show", "s2", "--all", "--verbose"],
    &["show", "s1", "--format", "json"],
    &["show", "s2", "--format", "json"],
    &["show", "s1", "--format", "jsonl", "--all"],
    &["show", "0", "--format", "jsonl", "--verbose"],
];

#[test]
fn no_output_shows_a_secret() {
    let directory = Directory::new("secrets");
    directory.file("a.pcap", &talk_of_secrets().pcap());
    let mut shown = Vec::new();
    for arguments in PRINTS {
        let (stdout, stderr) = wscope(directory.path(), &[arguments, &["a.pcap"]].concat());
        assert!(!stdout.is_empty(), "{arguments:?} prints nothing");
        for (what, secret) in SECRETS {
            // As it is, as a URL has it, and as JSON writes a slash.
            let encoded = secret.replace('+', "%2B").replace('/', "%2F");
            for line in stdout.lines().chain(stderr.lines()) {
                if line.contains(secret) || line.contains(&encoded) {
                    shown.push(format!("{what}: {arguments:?}: {}", line.trim()));
                }
            }
        }
    }
    assert!(shown.is_empty(), "\n{}\n", shown.join("\n"));
}

#[test]
fn secrets_are_shown_to_those_who_ask() {
    let directory = Directory::new("secrets-shown");
    directory.file("a.pcap", &talk_of_secrets().pcap());
    let flags = ["a.pcap", "--show-secrets", "--format", "json"];
    let (stdout, _) = wscope(directory.path(), &flags);
    let (control, _) = wscope(
        directory.path(),
        &["messages", "--control", "a.pcap", "--show-secrets"],
    );
    assert!(stdout.contains("token=urlhunter77"), "{stdout}");
    assert!(control.contains("bad token urlhunter77"), "{control}");
    let (timeline, _) = wscope(
        directory.path(),
        &["show", "s1", "a.pcap", "--show-secrets", "--all"],
    );
    assert!(timeline.contains("token=urlhunter77"), "{timeline}");
}
