//! `cap-no-keys`: TLS that can't be read.

use std::collections::BTreeMap;

use crate::diagnosis::finding::counted;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Tally, Undecrypted};

pub(super) static RULE: Rule = Rule {
    id: "cap-no-keys",
    severity: Severity::Info,
    summary: "TLS connections could not be decrypted",
    explain: "\
## What it means
Records of these TLS connections stayed closed, so what was said in them can't be told. How they were opened and ended can.

Encryption keeps lengths. Where the first records have the sizes of an opening handshake, and later ones go back and forth as Pings and Pongs, echoes
or Close frames do, the client's longer by its masking key, the connection is shown as a session that is *inferred* (`data.inferred_sessions` counts
these). Its heartbeat, its silences, how it ended and what follows from those are told, never as sure. Messages aren't counted, and codes aren't
known. With CBC suites lengths are rounded, so nothing is inferred; nor where HTTP/2 may have been agreed on.

## What usually causes it
Each connection has one of these reasons; `data` counts them.
- `no-key`: no secret for its client random is in a key log given with `--keys` or inside the capture.
- `no-client-hello`: the connection began before the capture did. The ClientHello names the keys; without it all that are given are tried,
  which needs the ServerHello or, in TLS 1.3, one of the first 65,536 records of each side. None opened it. CCM suites aren't tried
  from the middle, nor the keys after a KeyUpdate that came before the capture began.
- `gap`: packets of the handshake are missing that decide on the keys.
- `wrong-key`: there are secrets for this connection, but they open nothing: the log is damaged, or has only part of its secrets.
- `unsupported-suite`: a cipher suite or version that isn't read.

## How to tell them apart
`data` has the count of each reason, and the evidence the first packet that stayed closed for each. In `--format json` every session has its own
`tls.undecrypted_reason`.

## What to do
- `no-key`: start the client (browser, Node, curl, Python) or the server with `SSLKEYLOGFILE=/path/keys.log` *before* it connects, and give
  that file with `--keys`. `editcap --inject-secrets tls,keys.log` puts the secrets into a pcapng file for good. Keys can't be made afterwards.
- `no-client-hello`: begin to capture before the client connects, or let it reconnect.
- `gap`: capture with a larger buffer, the full packet length, and both directions.
- `wrong-key`: take the key log of the same run; some programs overwrite it.
- The server's RSA private key (`--keys key.pem`) opens connections whose suite begins with `TLS_RSA_`, and no others: with (EC)DHE and in
  TLS 1.3 it only signs. `data.not_rsa` and `data.foreign_private_key` say why a key that was given didn't help.
- Or capture behind the proxy that terminates TLS.

## References
RFC 9850: the SSLKEYLOGFILE format.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let tls = &overview.capture.tls;
    let closed = tls.undecrypted();
    let unread = closed.values().map(|tally| tally.count).sum();
    if unread == 0 {
        return;
    }
    let reasons: Vec<String> = closed
        .iter()
        .map(|(reason, tally)| match closed.len() {
            1 => in_words(*reason).to_owned(),
            _ => format!("{} {}", tally.count, in_words(*reason)),
        })
        .collect();
    let connections = counted(unread, "TLS connection");
    let inferred = overview.sessions.iter().filter(|s| s.is_inferred());
    let sized = overview.sessions.iter().filter(|s| s.keyless.is_some());
    let (inferred, sized) = (inferred.count() as u64, sized.count() as u64);
    let looks = match sized {
        0 => String::new(),
        1 => "; the sizes and times of the records of 1 suggest WebSocket".to_owned(),
        _ => format!("; the sizes and times of the records of {sized} suggest WebSocket"),
    };
    let mut finding = Finding::of_capture(
        &RULE,
        Confidence::Certain,
        format!(
            "{connections} (of {}) could not be decrypted: {}{looks}",
            tls.connections,
            reasons.join(", ")
        ),
    )
    .data("connections", Value::Count(unread))
    .data("inferred_sessions", Value::Count(inferred))
    .advice(advice(&closed));
    if tls.private_keys > 0 {
        finding = about_private_keys(finding, tls.not_rsa, tls.foreign_private_key);
    }
    let mut streams = Vec::new();
    for (reason, tally) in &closed {
        finding = finding.data(reason.name(), Value::Count(tally.count));
        if let Some((at, stream)) = tally.first.or(overview.capture.first_tls) {
            let what = format!("stays closed: {}", in_words(*reason));
            finding.evidence.push(Evidence::new(at, what));
            streams.push(stream);
        }
    }
    if let [stream] = *streams.as_slice() {
        finding.tcp_stream = Some(stream);
    }
    findings.push(finding);
}

/// Why a private key opened nothing.
fn about_private_keys(mut finding: Finding, not_rsa: u64, foreign: u64) -> Finding {
    let sure = Confidence::Certain;
    if not_rsa > 0 {
        finding = finding.data("not_rsa", Value::Count(not_rsa)).cause(
            sure,
            format!(
                "a private key opens only RSA key exchange (TLS_RSA_ suites); {} agreed on another key exchange (ECDHE, or any of TLS 1.3): only a key log helps",
                counted(not_rsa, "connection")
            ),
        );
    }
    if foreign > 0 {
        finding = finding
            .data("foreign_private_key", Value::Count(foreign))
            .cause(
                sure,
                format!(
                    "the private key isn't that of the certificate which the server showed on {}",
                    counted(foreign, "connection")
                ),
            );
    }
    finding
}

fn in_words(reason: Undecrypted) -> &'static str {
    match reason {
        Undecrypted::NoKey => "no key",
        Undecrypted::NoClientHello => "begun before the capture",
        Undecrypted::Gap => "packets of the handshake missing",
        Undecrypted::WrongKey => "keys that open nothing",
        Undecrypted::UnsupportedSuite => "a cipher suite that isn't read",
    }
}

/// The ways out, one for each reason.
fn advice(closed: &BTreeMap<Undecrypted, Tally>) -> String {
    let ways: Vec<&str> = closed
        .keys()
        .map(|reason| match reason {
            Undecrypted::NoKey => {
                "set SSLKEYLOGFILE before the client or the server starts and give that file with --keys FILE, or put it into the capture (editcap --inject-secrets tls,FILE)"
            }
            Undecrypted::NoClientHello => {
                "begin to capture before the client connects; without its ClientHello a key log opens a connection only if it has the ServerHello, or in TLS 1.3"
            }
            Undecrypted::Gap => "capture both directions without loss, from the first packet on",
            Undecrypted::WrongKey => "give the key log of the same run, whole",
            Undecrypted::UnsupportedSuite => {
                "capture behind the proxy that terminates TLS, or choose another cipher suite"
            }
        })
        .collect();
    ways.join("; ")
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::script::hello::{client_hello, record, server_hello};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn records_without_keys_are_told_with_the_way_out() {
        let told = Script::new()
            .handshake()
            .bytes(ClientToServer, &client_hello())
            .bytes(ServerToClient, &server_hello(0x0304))
            .bytes(ServerToClient, &record(23, &[7; 900]))
            .bytes(ClientToServer, &record(23, &[7; 53]))
            .told();
        let finding = told.only("cap-no-keys");
        assert!(finding.summary.ends_with("no key"), "{}", finding.summary);
        for way in ["SSLKEYLOGFILE", "--keys", "--inject-secrets"] {
            assert!(finding.advice.contains(way), "{}", finding.advice);
        }
    }

    #[test]
    fn where_nothing_is_encrypted_no_key_is_missing() {
        let told = Script::new()
            .handshake()
            .bytes(ClientToServer, &client_hello())
            .told();
        assert!(told.of("cap-no-keys").is_empty());
        let told = Script::new().upgrade().text(ClientToServer, "hi").told();
        assert!(told.of("cap-no-keys").is_empty());
    }
}
