//! TLS without its keys: what is inferred is what the truth says, of our own
//! recordings and of the captures that others made.
#![allow(clippy::indexing_slicing)] // A key that a JSON `Value` lacks is null, not a panic.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The recordings beside the checkout; `None` (aloud) where they are missing.
fn shared(folder: &str) -> Option<PathBuf> {
    let place = Path::new("../shared/captures").join(folder);
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join(&place);
    if found.is_dir() {
        return Some(found);
    }
    // Written past the test's capture: a test that didn't run has to be seen.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {} isn't here", place.display());
    None
}

/// The report on a capture that is given without any key log.
fn report(capture: &Path) -> Value {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_wscope"))
        .args(["--format", "json"])
        .arg(capture)
        .output()
        .expect("wscope runs");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn inferred(report: &Value) -> Vec<Value> {
    let sessions = report["sessions"].as_array().cloned().unwrap_or_default();
    let inferred =
        |session: &Value| session["inferred"] == true && !session["tls"]["version"].is_null();
    sessions.into_iter().filter(inferred).collect()
}

/// What is wrong with an inferred session, by the truth of its recording.
fn fault(session: &Value, truth: &Value) -> Option<String> {
    let connections = truth["connections"].as_array()?;
    // Behind a tunnel or a proxy the legs have other addresses.
    let direct = truth["topology"]["kind"] == "direct";
    let opened = |connection: &&Value| connection["handshake"]["client"]["result"] == "ok";
    let mut opened = connections.iter().filter(opened);
    let own = opened.find(|connection| connection["client"] == session["client"] || !direct);
    let Some(own) = own else {
        return direct.then(|| "was never opened".to_owned());
    };
    let first = &own["close"]["first_close_frame_from"];
    let closing = &session["closing"];
    let clean = closing["kind"] == "clean";
    if clean && closing["ended_by"] != *first {
        return Some(format!("{closing}, closed by {first}"));
    }
    if closing["kind"] == "abnormal" && !first.is_null() {
        return Some(format!("{closing}, but a Close frame of {first}"));
    }
    let unknown = ["frames", "messages", "ping", "url", "path"];
    let invented = unknown.iter().find(|name| !session[**name].is_null());
    invented.map(|name| format!("has {name}: {}", session[*name]))
}

#[test]
fn what_is_inferred_of_our_recordings_is_true_of_them() {
    let Some(lab) = shared("lab") else { return };
    let (mut faults, mut count) = (Vec::new(), 0);
    let mut folders: Vec<PathBuf> = fs::read_dir(lab)
        .expect("it can be listed")
        .map(|entry| entry.expect("an entry").path())
        .filter(|folder| folder.join("keys.log").is_file() || folder.join("truth.json").is_file())
        .collect();
    folders.sort();
    for folder in folders {
        let capture = folder.join("capture.pcap");
        let Ok(truth) = fs::read_to_string(folder.join("truth.json")) else {
            continue;
        };
        if !capture.is_file() {
            continue;
        }
        let truth: Value = serde_json::from_str(&truth).expect("JSON");
        for session in inferred(&report(&capture)) {
            count += 1;
            let fault = fault(&session, &truth);
            faults.extend(fault.map(|fault| format!("{}: {fault}", folder.display())));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    // Those over AEAD suites with an ordinary client.
    assert!(count >= 30, "{count} were inferred");
}

#[test]
fn ordinary_tls_of_others_is_no_session() {
    let Some(public) = shared("public") else {
        return;
    };
    let index = fs::read_to_string(public.join("INDEX.json")).expect("an index");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    let files = index["files"].as_array().expect("a list of files");
    let of_tls = files.iter().filter(|entry| {
        let category = entry["category"].as_str().unwrap_or_default();
        category.starts_with("tls")
    });
    let mut seen = 0;
    for entry in of_tls {
        seen += 1;
        let name = entry["path"].as_str().expect("a path");
        let report = report(&public.join(name));
        assert!(inferred(&report).is_empty(), "{name}");
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        let loud = |finding: &&Value| {
            finding["summary"]
                .as_str()
                .unwrap_or_default()
                .contains("inferred")
        };
        assert_eq!(findings.iter().filter(loud).count(), 0, "{name}");
    }
    assert!(seen > 0);
}

/// Client, end, who ended it and how, and what the client's API reports, of each inferred session.
fn ends(capture: &Path) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let of = |session: Value| {
        let closing = &session["closing"];
        ["kind", "ended_by", "how", "client_sees"].map(|name| text(&closing[name]))
    };
    inferred(&report(capture)).into_iter().map(of).collect()
}

#[test]
fn the_same_session_is_inferred_over_both_versions() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls-records-without-keys");
    let clean = ["clean", "client", "close", "null"].map(str::to_owned);
    assert_eq!(ends(&fixture.join("capture.pcap")), [clean.clone(), clean]);
}

#[test]
fn sessions_that_a_proxy_carried_end_as_they_did() {
    let Some(endings) = shared("endings") else {
        return;
    };
    // Two that ping and two that only send; those in which nothing was said could be anything.
    let dropped = ["abnormal", "client", "fin", "1006"].map(str::to_owned);
    assert_eq!(ends(&endings.join("proxy_idle.pcap")), vec![dropped; 4]);
    // Bytes of a raw socket, without an opening handshake.
    assert!(ends(&endings.join("kill.pcap")).is_empty());
}

/// Python's asyncio and Chromium, each over TLS 1.3 and 1.2, are shown a certificate that they don't take.
#[test]
fn each_way_to_refuse_a_certificate_is_told_with_its_confidence() {
    let Some(folder) = shared("endings") else {
        return;
    };
    let report = report(&folder.join("tlsfail.pcap"));
    let findings = report["findings"].as_array().expect("a list");
    let loud = findings.iter().filter(|found| found["severity"] != "info");
    let mut told: Vec<Value> = loud
        .map(|found| {
            let evidence = found["evidence"].as_array().into_iter().flatten();
            let packets: Vec<&Value> = evidence.map(|one| &one["packet"]).collect();
            let [id, kind, confidence] =
                [&found["id"], &found["data"]["kind"], &found["confidence"]];
            json!([id, kind, confidence, packets])
        })
        .collect();
    told.sort_by_key(|found| found[3][0].as_u64());
    // The server's flight with the certificate, and what the client did then.
    let wanted = [
        json!(["tls-client-rejected-cert", "silent", "possible", [6, 8]]),
        json!(["tls-client-rejected-cert", "silent", "possible", [16, 18]]),
        json!([
            "tls-client-rejected-cert",
            "sealed-alert",
            "likely",
            [31, 33]
        ]),
        json!([
            "tls-client-rejected-cert",
            "certificate_unknown",
            "certain",
            [36, 38]
        ]),
    ];
    assert_eq!(told, wanted);
}
