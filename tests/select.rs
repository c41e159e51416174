//! Choosing a part of a capture: `--filter`, `--from`, `--to`, `--session`, `--where`.

#![allow(clippy::indexing_slicing)] // An index that is wrong is a test that is wrong.

mod capture;

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

use capture::Sender::{Client, Server};
use capture::{Conversation, Directory};

fn run(directory: &Directory, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wscope"))
        .current_dir(directory.path())
        .args(arguments)
        .output()
        .expect("wscope runs")
}

fn stdout(directory: &Directory, arguments: &[&str]) -> String {
    let output = run(directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("wscope prints UTF-8")
}

fn json(directory: &Directory, arguments: &[&str]) -> Value {
    let printed = stdout(directory, &[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&printed).expect("an object")
}

/// Why it could not run: its only line on stderr.
fn refusal(directory: &Directory, arguments: &[&str]) -> String {
    let output = run(directory, arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).expect("wscope complains in UTF-8")
}

/// The sessions that a report shows.
fn shown(report: &Value) -> Vec<&str> {
    let sessions = report["sessions"].as_array().expect("a list");
    let ids = sessions.iter().map(|session| session["id"].as_str());
    ids.map(|id| id.expect("a word")).collect()
}

/// Three sessions on tcp.stream 0, 1 and 2, one second after the other: `/chat`
/// says hello and closes, `/chat/eu?token=...` is reset, `/feed` stays open and says a word each second.
fn three() -> Conversation {
    let forwarded =
        "X-Forwarded-For: 203.0.113.9, 10.0.0.77\r\nUser-Agent: Mozilla/5.0 Firefox/130\r\n";
    Conversation::new()
        .upgrade("/chat", "User-Agent: curl/8\r\n", "")
        .frame(Client, 1, b"hello")
        .frame(Server, 8, &[3, 232])
        .frame(Client, 8, &[3, 232])
        .close()
        .at_ms(1_000)
        .upgrade("/chat/eu?token=hunter2secret", forwarded, "")
        .frame(Client, 1, b"second")
        .reset(Server)
        .at_ms(2_000)
        .upgrade(
            "/feed",
            "Sec-WebSocket-Protocol: v2.feed\r\n",
            "Sec-WebSocket-Protocol: v2.feed\r\n",
        )
        .frame(Server, 1, b"at two")
        .at_ms(3_000)
        .frame(Server, 1, b"at three")
        .at_ms(4_000)
        .frame(Server, 1, b"at four")
}

fn directory(name: &str) -> Directory {
    let directory = Directory::new(name);
    directory.file("a.pcap", &three().pcap());
    directory
}

// --- sessions -----------------------------------------------------------

#[test]
fn sessions_are_chosen_by_what_their_handshake_said() {
    let directory = directory("select-where");
    let cases: [(&[&str], &[&str]); 14] = [
        (&["path=/chat"], &["s1"]),
        (&["path=/chat*"], &["s1", "s2"]),
        (&["path=/chat/eu"], &["s2"]),
        (&["path=*hunter2*"], &["s2"]),
        (&["path=/CHAT*"], &[]),
        (&["host=CHAT.example"], &["s1", "s2", "s3"]),
        (&["user-agent=*firefox*"], &["s2"]),
        (&["x-forwarded-for=10.0.0.0/8"], &["s2"]),
        (&["subprotocol=v?.feed"], &["s3"]),
        (&["client=10.0.0.1:40003"], &["s3"]),
        (&["server=10.0.0.2", "client=*:4000[12]"], &["s1", "s2"]),
        (&["path=/feed", "path=/chat"], &["s1", "s3"]),
        (&["path=/chat*", "user-agent=curl*"], &["s1"]),
        (&["finding=close-1006-*"], &["s2"]),
    ];
    for (conditions, expected) in cases {
        let flags: Vec<&str> = conditions.iter().flat_map(|c| ["--where", *c]).collect();
        let report = json(&directory, &[&["a.pcap"], flags.as_slice()].concat());
        assert_eq!(shown(&report), expected, "{conditions:?}");
        assert_eq!(report["capture"]["sessions"], 3);
        assert_eq!(report["capture"]["selected"]["sessions"], expected.len());
    }
}

#[test]
fn a_session_keeps_its_number_and_its_findings() {
    let directory = directory("select-number");
    let whole = json(&directory, &["a.pcap"]);
    for flag in ["s2", "1"] {
        let part = json(&directory, &["a.pcap", "--session", flag]);
        assert_eq!(shown(&part), ["s2"]);
        assert_eq!(
            part["findings"][0]["id"], whole["findings"][0]["id"],
            "the reset is the worst of all"
        );
        assert_eq!(
            part["sessions"][0]["closing"],
            whole["sessions"][1]["closing"]
        );
    }
    let both = json(&directory, &["a.pcap", "--session", "s1,2"]);
    assert_eq!(shown(&both), ["s1", "s3"]);
    assert!(
        both["findings"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|f| f["session"] != "s2")
    );
}

#[test]
fn a_session_that_is_not_there_is_refused_with_how_many_there_are() {
    let directory = directory("select-unknown");
    for command in ["analyze", "messages"] {
        assert_eq!(
            refusal(&directory, &[command, "a.pcap", "--session", "s9"]),
            "wscope: --session s9: there is none; the capture has 3 sessions: s1 to s3\n"
        );
        assert_eq!(
            refusal(&directory, &[command, "a.pcap", "--session", "9"]),
            "wscope: --session 9: none on tcp.stream 9; the capture has 3 sessions: s1 to s3 (tcp.stream 0, 1, 2)\n"
        );
    }
}

#[test]
fn a_choice_of_nothing_says_what_there_is() {
    let directory = directory("select-nothing");
    let printed = stdout(&directory, &["a.pcap", "--where", "path=/chatt"]);
    let lines: String = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        lines.contains(
            "VERDICT None of the 3 sessions matches --where path=/chatt. \
             Of path there is: /chat (1), /chat/eu (1), /feed (1)."
        ),
        "{printed}"
    );
    let output = run(
        &directory,
        &["messages", "a.pcap", "--where", "path=/chatt"],
    );
    assert!(output.status.success() && output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(told.starts_with("wscope: None of the 3 sessions"), "{told}");
}

#[test]
fn a_key_that_is_none_is_told_those_that_are() {
    let directory = directory("select-key");
    let told = refusal(&directory, &["a.pcap", "--where", "color=red"]);
    assert!(told.contains("user-agent, x-forwarded-for"), "{told}");
}

#[test]
fn the_choice_is_shown_without_its_secrets() {
    let directory = directory("select-secrets");
    let flags = ["a.pcap", "--where", "path=*?token=hunter2secret"];
    for format in ["text", "json"] {
        let printed = stdout(&directory, &[&flags[..], &["--format", format]].concat());
        assert!(printed.contains("path=*?token=[redacted]"), "{printed}");
        assert!(!printed.contains("hunter2secret"), "{printed}");
    }
}

#[test]
fn failed_connections_are_chosen_by_their_addresses() {
    let directory = Directory::new("select-attempts");
    let refused = Conversation::new()
        .upgrade("/chat", "", "")
        .frame(Client, 1, b"hello")
        .refused();
    directory.file("a.pcap", &refused.pcap());
    let ids = |flags: &[&str]| {
        let report = json(&directory, &[&["a.pcap"], flags].concat());
        let findings = report["findings"].as_array().expect("a list").clone();
        let refused = |f: &&Value| f["id"] == "hs-connect-refused" && f["session"].is_null();
        findings.iter().filter(refused).count()
    };
    assert_eq!(ids(&[]), 1);
    assert_eq!(ids(&["--where", "server=10.0.0.2"]), 1);
    assert_eq!(ids(&["--where", "finding=hs-connect-*"]), 1);
    assert_eq!(ids(&["--where", "server=10.0.0.9"]), 0);
    assert_eq!(ids(&["--where", "path=/chat"]), 0);
    assert_eq!(ids(&["--session", "s1"]), 0);
}

// --- time ---------------------------------------------------------------

#[test]
fn sessions_are_chosen_by_when_they_were_alive() {
    let directory = directory("select-time");
    // The first packet came at 22:13:20 UTC.
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--from", "+900ms"], &["s2", "s3"]),
        (&["--to", "+900ms"], &["s1"]),
        (&["--from", "+900ms", "--to", "+1900ms"], &["s2"]),
        (&["--from", "22:13:21.5"], &["s3"]),
        (&["--from", "2023-11-14T23:13:21.5+01:00"], &["s3"]),
        (&["--from", "-500ms"], &["s3"]),
        (&["--from", "+3500ms", "--to", "+3600ms"], &["s3"]),
        (&["--from", "+1h"], &[]),
        (&["--from", "+900ms", "--where", "path=/chat*"], &["s2"]),
    ];
    for (flags, expected) in cases {
        let report = json(&directory, &[&["a.pcap"], flags].concat());
        assert_eq!(shown(&report), expected, "{flags:?}");
    }
}

#[test]
fn a_session_from_before_keeps_its_handshake() {
    let directory = directory("select-before");
    let report = json(&directory, &["a.pcap", "--from", "+3s"]);
    let session = &report["sessions"][0];
    assert_eq!(session["path"], "/feed");
    assert_eq!(session["handshake"]["outcome"], "accepted");
    assert_eq!(session["messages"]["server"]["count"], 3);
    assert!(!stdout(&directory, &["a.pcap", "--from", "+3s"]).contains("cap-mid-session"));
}

#[test]
fn a_session_that_ends_later_is_open() {
    let directory = directory("select-open");
    let whole = json(&directory, &["a.pcap", "--session", "s2"]);
    assert_eq!(whole["sessions"][0]["closing"]["kind"], "abnormal");
    // Its last message is the seventh of its packets, a millisecond each; then comes the reset.
    let part = json(
        &directory,
        &["a.pcap", "--session", "s2", "--to", "+1005ms"],
    );
    assert_eq!(part["sessions"][0]["closing"]["kind"], "open");
    assert_eq!(part["sessions"][0]["closing"]["client_sees"], Value::Null);
    assert_eq!(part["findings"], serde_json::json!([]));
}

#[test]
fn a_refusal_and_its_retry_on_one_connection_have_each_their_time() {
    let directory = Directory::new("select-retry");
    let request = "GET /chat HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let refusal = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    let retried = Conversation::new()
        .connect()
        .send(Client, request.as_bytes())
        .send(Server, refusal.as_bytes())
        .at_ms(2_000)
        .send(Client, request.as_bytes())
        .send(Server, refusal.as_bytes());
    directory.file("a.pcap", &retried.pcap());
    let ids = |flags: &[&str]| {
        let report = json(&directory, &[&["a.pcap"], flags].concat());
        shown(&report).join(" ")
    };
    assert_eq!(ids(&["--session", "0"]), "s1 s2");
    assert_eq!(ids(&["--to", "+1s"]), "s1");
    assert_eq!(ids(&["--from", "+1s"]), "s2");
}

#[test]
fn a_request_that_waits_for_its_answer_is_alive() {
    let directory = Directory::new("select-waits");
    let request = "GET /slow HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let waits = Conversation::new()
        .connect()
        .send(Client, request.as_bytes())
        .at_ms(5_000)
        .udp(b"somebody else");
    directory.file("a.pcap", &waits.pcap());
    let report = json(&directory, &["a.pcap", "--from", "+4s"]);
    assert_eq!(shown(&report), ["s1"]);
}

#[test]
fn an_end_before_the_first_packet_leaves_nothing() {
    let directory = directory("select-early");
    let printed = stdout(&directory, &["a.pcap", "--to", "2023-11-14T22:00"]);
    let told = "VERDICT  No WebSocket: all packets of the capture came after --to.";
    assert!(printed.contains(told), "{printed}");
}

#[test]
fn findings_outside_the_time_are_counted_only() {
    let directory = Directory::new("select-findings");
    let breach = Conversation::new()
        .upgrade("/chat", "", "")
        .send(Client, &[0x81, 2, b'h', b'i'])
        .at_ms(5_000)
        .frame(Server, 1, b"late");
    directory.file("a.pcap", &breach.pcap());
    let early = json(&directory, &["a.pcap", "--to", "+1s"]);
    assert_eq!(early["findings"][0]["id"], "pv-mask");
    assert_eq!(early["capture"]["selected"]["findings_outside"], 0);
    let late = json(&directory, &["a.pcap", "--from", "+4s"]);
    let ids = late["findings"].as_array().expect("a list");
    assert!(ids.iter().all(|f| f["id"] != "pv-mask"), "{late}");
    assert_eq!(late["capture"]["selected"]["findings_outside"], 1);
    let told = stdout(&directory, &["a.pcap", "--from", "+4s"]);
    assert!(
        told.contains("VERDICT  No fault found in the chosen time; 1 finding"),
        "{told}"
    );
}

#[test]
fn times_that_make_no_sense_are_refused() {
    let directory = directory("select-refused");
    let told = refusal(&directory, &["a.pcap", "--from", "noon"]);
    assert!(told.contains("write 2026-11-23T14:05:00Z, 14:05"), "{told}");
    let told = refusal(&directory, &["a.pcap", "--from", "+2s", "--to", "+1s"]);
    assert!(told.contains("nothing can be between them"), "{told}");
}

// --- messages -----------------------------------------------------------

/// The texts of the messages that are printed.
fn texts(directory: &Directory, flags: &[&str]) -> Vec<String> {
    let printed = stdout(
        directory,
        &[&["messages", "a.pcap", "--format", "jsonl"], flags].concat(),
    );
    let text = |line: &str| {
        let object: Value = serde_json::from_str(line).expect("an object");
        object["text"].as_str().expect("a text").to_owned()
    };
    printed.lines().map(text).collect()
}

#[test]
fn messages_are_those_of_the_sessions_and_the_time() {
    let directory = directory("select-messages");
    assert_eq!(texts(&directory, &["--session", "s1"]), ["hello"]);
    assert_eq!(
        texts(&directory, &["--where", "subprotocol=v2.*"]),
        ["at two", "at three", "at four"]
    );
    assert_eq!(
        texts(&directory, &["--from", "+900ms", "--to", "+3500ms"]),
        ["second", "at two", "at three"]
    );
    assert_eq!(texts(&directory, &["--from", "-0s"]), ["at four"]);
    assert_eq!(
        texts(&directory, &["--where", "finding=close-1006-*"]),
        ["second"]
    );
}

#[test]
fn what_takes_two_passes_is_refused_from_a_pipe() {
    let pcap = three().pcap();
    for flags in [["--where", "finding=*"], ["--from", "-1s"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_wscope"))
            .args([&["messages", "-"], &flags[..]].concat())
            .write_stdin(pcap.clone())
            .output()
            .expect("wscope runs");
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(told.starts_with("wscope: stdin: "), "{told}");
        assert!(told.contains("needs two passes"), "{told}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_wscope"))
        .args(["messages", "-", "--where", "path=/chat/*", "--from", "+1s"])
        .write_stdin(pcap)
        .output()
        .expect("wscope runs");
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        told.contains("second") && told.lines().count() == 1,
        "{told}"
    );
}

// --- filter -------------------------------------------------------------

#[cfg(feature = "live")]
mod filter {
    use super::*;

    #[test]
    fn a_filter_says_what_it_left_out() {
        let directory = directory("filter-told");
        let report = json(&directory, &["a.pcap", "--filter", "tcp port 40001"]);
        assert_eq!(shown(&report), ["s1"]);
        let filter = &report["capture"]["filter"];
        let packets = report["capture"]["files"][0]["packets"].as_u64();
        let (matched, left_out) = (filter["matched"].as_u64(), filter["left_out"].as_u64());
        assert_eq!(packets, Some(matched.unwrap_or(0) + left_out.unwrap_or(0)));
        assert_eq!(report["capture"]["packets"].as_u64(), matched);
        let printed = stdout(&directory, &["a.pcap", "--filter", "tcp port 40001"]);
        assert!(
            printed.contains("FILTER   --filter 'tcp port 40001' left out "),
            "{printed}"
        );
    }

    #[test]
    fn a_filter_of_one_direction_is_named_as_the_reason() {
        let directory = directory("filter-one-way");
        let report = json(&directory, &["a.pcap", "--filter", "src port 80"]);
        let findings = report["findings"].as_array().expect("a list");
        let finding = findings.iter().find(|f| f["id"] == "cap-one-way");
        let finding = finding.expect("one direction is missing");
        let told = finding["summary"].as_str().expect("a sentence");
        assert!(told.contains("--filter left out"), "{told}");
        assert_eq!(finding["causes"][0]["confidence"], "likely");
        assert!(
            finding["causes"][0]["text"]
                .to_string()
                .contains("--filter")
        );
    }

    #[test]
    fn a_filter_of_large_packets_is_named_as_the_reason() {
        let directory = Directory::new("filter-loss");
        let large = Conversation::new()
            .upgrade("/chat", "", "")
            .frame(Server, 1, &[b'x'; 2_000])
            .frame(Client, 1, b"thanks")
            .frame(Server, 1, b"welcome")
            .frame(Client, 1, b"bye");
        directory.file("a.pcap", &large.pcap());
        let summary = |flags: &[&str]| {
            let report = json(&directory, &[&["a.pcap"], flags].concat());
            let findings = report["findings"].as_array().expect("a list").clone();
            let loss = findings.into_iter().find(|f| f["id"] == "cap-packet-loss");
            loss.map(|f| (f["summary"].to_string(), f["advice"].to_string()))
        };
        assert_eq!(summary(&[]), None);
        let (summary, advice) = summary(&["--filter", "less 1000"]).expect("bytes are missing");
        assert!(
            summary.contains("(--filter left out 1 packet, perhaps those)"),
            "{summary}"
        );
        assert!(advice.contains("without --filter"), "{advice}");
    }

    #[test]
    fn a_filter_works_on_packed_files_and_from_a_pipe() {
        let directory = directory("filter-packed");
        let plain = fs::read(directory.path().join("a.pcap")).expect("it is there");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &plain).expect("into memory");
        directory.file("a.pcap.gz", &packed.finish().expect("into memory"));
        let report = json(&directory, &["a.pcap.gz", "--filter", "tcp port 40001"]);
        assert_eq!(shown(&report), ["s1"]);
        let output = Command::new(env!("CARGO_BIN_EXE_wscope"))
            .args(["-", "--filter", "tcp port 40001"])
            .write_stdin(plain)
            .output()
            .expect("wscope runs");
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(printed.contains("1 WebSocket session"), "{printed}");
    }

    #[test]
    fn a_filter_that_is_none_is_refused_in_a_line() {
        let directory = directory("filter-refused");
        let told = refusal(&directory, &["a.pcap", "--filter", "tcp prot 80"]);
        assert!(
            told.starts_with("wscope: --filter 'tcp prot 80': "),
            "{told}"
        );
        assert_eq!(told.lines().count(), 1, "{told}");
    }

    #[test]
    fn a_filter_that_misses_tagged_packets_says_how_to_find_them() {
        let directory = Directory::new("filter-vlan");
        directory.file("a.pcap", &three().tagged(7).pcap());
        let filter = "tcp port 80";
        let printed = stdout(&directory, &["a.pcap", "--filter", filter]);
        let lines = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(lines.contains("carry a VLAN tag"), "{printed}");
        assert!(
            lines.contains("VERDICT No WebSocket: --filter left out all "),
            "{printed}"
        );
        let output = run(&directory, &["messages", "a.pcap", "--filter", filter]);
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(
            output.stdout.is_empty() && told.contains("carry a VLAN tag"),
            "{told}"
        );
        let filter = "(tcp port 80) or (vlan and (tcp port 80))";
        let report = json(&directory, &["a.pcap", "--filter", filter]);
        assert_eq!(shown(&report).len(), 3);
        assert_eq!(report["capture"]["filter"]["left_out"], 0);
    }

    #[test]
    fn packets_that_cannot_be_read_are_counted_with_a_filter_as_without() {
        let directory = Directory::new("filter-foreign");
        let turns = [capture::ETHERNET, 147];
        directory.file("a.pcapng", &three().pcapng(&turns));
        let count = |flags: &[&str]| {
            let report = json(&directory, &[&["a.pcapng", "-q"], flags].concat());
            report["capture"]["not_decoded"].clone()
        };
        assert_eq!(count(&[]), count(&["--filter", "tcp port 80"]));
    }
}

#[test]
fn the_readme_names_every_flag_that_chooses() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).expect("there is a README");
    for flag in ["--filter", "--from", "--to", "--session", "--where"] {
        assert!(readme.contains(flag), "{flag}");
    }
}
