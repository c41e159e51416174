//! A server's private key: what it can't open, why, and that nobody gets to see it.
#![allow(clippy::indexing_slicing)] // A key that a JSON `Value` lacks is null, not a panic.

mod capture;
mod stacks;

use std::fs;

use capture::Directory;
use serde_json::Value;
use stacks::{Program, Relay, as_pcap, certificate, free_port, has};

/// A talk over TLS 1.2 with this suite, as `a.pcap` beside the keys of its server and of another.
fn talk(name: &str, suite: &str) -> Option<Directory> {
    if !has("openssl", "version") {
        return None;
    }
    let directory = Directory::new(name);
    certificate(directory.path(), "server");
    certificate(directory.path(), "other");
    let port = free_port();
    let line =
        format!("openssl s_server -accept 127.0.0.1:{port} -key server.pem -cert server.crt");
    let line: Vec<&str> = line.split_whitespace().collect();
    let _server = Program::start(directory.path(), &line);
    let relay = Relay::to(port);
    let line = format!(
        "openssl s_client -connect 127.0.0.1:{} -tls1_2 -cipher {suite}",
        relay.port
    );
    let line: Vec<&str> = line.split_whitespace().collect();
    let mut client = Program::start(directory.path(), &line);
    relay.settle();
    client.type_in("hello\n");
    relay.settle();
    client.type_in("Q");
    relay.settle();
    client.end();
    directory.file("a.pcap", &as_pcap(&relay.wire(), 1_700_000_000));
    Some(directory)
}

/// What a run prints, on both outputs.
fn print(directory: &Directory, arguments: &[&str]) -> (String, String) {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_wscope"))
        .current_dir(directory.path())
        .args(arguments)
        .output()
        .expect("wscope runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// `cap-no-keys` with this key, if it is told.
fn no_keys(directory: &Directory, key: &str) -> Option<Value> {
    let arguments = ["analyze", "a.pcap", "--keys", key, "--format", "json"];
    let report: Value = serde_json::from_str(&print(directory, &arguments).0).expect("a report");
    let findings = report["findings"].as_array().expect("a list");
    findings
        .iter()
        .find(|finding| finding["id"] == "cap-no-keys")
        .cloned()
}

#[test]
fn a_private_key_that_cannot_help_is_told_why() {
    let Some(directory) = talk("key-of-no-use", "ECDHE-RSA-AES128-GCM-SHA256") else {
        return;
    };
    let told = no_keys(&directory, "server.pem").expect("a finding");
    assert_eq!(told["data"]["not_rsa"], 1);
    assert!(told["data"]["foreign_private_key"].is_null(), "{told:#}");
    assert!(told["causes"].to_string().contains("only a key log helps"));
}

#[test]
fn a_private_key_of_another_server_is_told_to_be_that() {
    let Some(directory) = talk("key-of-another", "AES128-SHA") else {
        return;
    };
    let told = no_keys(&directory, "other.pem").expect("a finding");
    assert_eq!(told["data"]["foreign_private_key"], 1);
    assert!(told["data"]["not_rsa"].is_null(), "{told:#}");
    assert_eq!(no_keys(&directory, "server.pem"), None);
}

#[test]
fn no_output_shows_a_private_key() {
    let Some(directory) = talk("key-unseen", "AES128-SHA") else {
        return;
    };
    let pem = fs::read_to_string(directory.path().join("server.pem")).expect("the key");
    // Cut off, with a line that is none, and under a name that nobody expects.
    let half: String = pem
        .lines()
        .take(9)
        .map(|line| format!("{line}\n"))
        .collect();
    directory.file("half.pem", half.as_bytes());
    let broken = pem.replacen('M', "?", 3);
    directory.file("broken.pem", broken.as_bytes());
    directory.file(
        "nameless.pem",
        pem.replace("PRIVATE KEY", "SECRET").as_bytes(),
    );
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let secrets: Vec<&str> = lines.filter_map(|line| line.get(8..40)).collect();
    assert!(secrets.len() > 10);
    for key in ["server.pem", "half.pem", "broken.pem", "nameless.pem"] {
        for arguments in [
            &["analyze", "--verbose", "--show-secrets"][..],
            &["analyze", "--format", "json", "--show-secrets"],
            &["analyze", "--format", "jsonl"],
            &["messages", "--control"],
            &["show", "1"],
        ] {
            let (out, err) = print(
                &directory,
                &[arguments, &["a.pcap", "--keys", key]].concat(),
            );
            for secret in &secrets {
                assert!(
                    !out.contains(secret) && !err.contains(secret),
                    "{key}: {out}{err}"
                );
            }
        }
    }
}
