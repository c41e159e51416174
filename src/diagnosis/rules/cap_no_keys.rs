//! `cap-no-keys`: TLS that can't be read.

use crate::diagnosis::finding::counted;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "cap-no-keys",
    severity: Severity::Info,
    summary: "TLS connections could not be decrypted",
    explain: "\
## What it means
Connections of this capture speak TLS, which this version of wscope does not decrypt yet, with keys or without. Whether they carry WebSockets, and what was said in them, can't be
told; how they were opened and ended can.

## What usually causes it
wscope reads no key logs yet; it only counts those that a pcapng file carries.

## How to tell them apart
Nothing to tell apart: it holds for every TLS connection.

## What to do
Capture behind the proxy that terminates TLS, where the WebSockets are in the clear. For later, and for Wireshark: start the client
(browser, Node, curl, Python) with `SSLKEYLOGFILE=/path/keys.log` before it connects and keep that log with the capture;
`editcap --inject-secrets tls,keys.log` puts the secrets into a pcapng file.

## References
RFC 9850: the SSLKEYLOGFILE format.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let tls = &overview.capture.tls;
    let unread = tls.connections.saturating_sub(tls.decrypted);
    if unread == 0 {
        return;
    }
    let connections = counted(unread, "TLS connection");
    let mut finding = Finding::of_capture(
        &RULE,
        Confidence::Certain,
        format!(
            "{connections} (of {}) could not be decrypted",
            tls.connections
        ),
    )
    .data("connections", Value::Count(unread))
    .advice("this version doesn't decrypt TLS yet: capture behind the proxy that terminates it, and keep the SSLKEYLOGFILE for later");
    if let Some((at, stream)) = overview.capture.first_tls {
        finding.evidence.push(Evidence::new(at, "TLS begins"));
        finding.tcp_stream = Some(stream);
    }
    findings.push(finding);
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::ClientToServer;

    #[test]
    fn a_client_hello_without_keys_is_told() {
        let hello = [0x16, 3, 1, 0, 4, 1, 0, 0, 0];
        let told = Script::new()
            .handshake()
            .bytes(ClientToServer, &hello)
            .told();
        // Keys would not help yet, so nobody is sent for them.
        assert!(!told.only("cap-no-keys").advice.contains("--keys"));
        assert_eq!(
            told.only("cap-no-keys")
                .evidence
                .first()
                .map(|e| e.at.number),
            Some(4)
        );
    }

    #[test]
    fn bytes_in_the_clear_need_no_keys() {
        let told = Script::new().upgrade().text(ClientToServer, "hi").told();
        assert!(told.of("cap-no-keys").is_empty());
    }
}
