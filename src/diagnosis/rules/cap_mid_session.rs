//! `cap-mid-session`: connections were open before the capture began.

use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "cap-mid-session",
    severity: Severity::Info,
    summary: "connections were already open when the capture began",
    explain: "\
## What it means
These connections have no SYN in the capture and begin with neither an HTTP request nor a TLS handshake. If they are WebSockets, their opening
handshake is unknown: path, subprotocol, extensions, and how long they had been open. This version does not decode the frames of such
connections yet: nothing in the report is about what they carried or how they ended.

## What usually causes it
The capture was started on a server whose sockets live for hours.

## How to tell them apart
Connections that are merely other protocols are counted as well; the server's port tells.

## What to do
For the handshake, let one client reconnect while the capture runs.

## References
RFC 6455, section 4.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let tally = overview.capture.mid_stream;
    let Some((at, stream)) = tally.first else {
        return;
    };
    let connections = match tally.count {
        1 => "1 connection was".to_owned(),
        count => format!("{count} connections were"),
    };
    let mut finding = Finding::of_capture(
        &RULE,
        Confidence::Certain,
        format!(
            "{connections} already open when the capture began, and this version does not decode frames without an opening handshake yet"
        ),
    )
    .evidence(at, "the first payload, without a SYN before it")
    .data("connections", Value::Count(tally.count))
    .advice("let a client reconnect while the capture runs: its opening handshake and its frames are then read");
    finding.tcp_stream = Some(stream);
    findings.push(finding);
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn frames_without_a_syn_are_told() {
        let told = Script::new()
            .text(ClientToServer, "hi")
            .text(ServerToClient, "ho")
            .told();
        let summary = &told.only("cap-mid-session").summary;
        assert!(summary.contains("does not decode frames"));
        assert_eq!(
            told.only("cap-mid-session")
                .evidence
                .first()
                .map(|e| e.at.number),
            Some(1)
        );
    }

    #[test]
    fn a_request_without_a_syn_is_a_whole_session() {
        let told = Script::new()
            .request("")
            .accept("")
            .text(ClientToServer, "hi")
            .told();
        assert_eq!(told.sessions.len(), 1);
        assert!(told.of("cap-mid-session").is_empty());
    }
}
