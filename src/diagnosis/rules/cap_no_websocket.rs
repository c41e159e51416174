//! `cap-no-websocket`: no WebSocket was recognised, and what was there instead.

use crate::diagnosis::finding::counted;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};
use crate::session::Capture;

pub(super) static RULE: Rule = Rule {
    id: "cap-no-websocket",
    severity: Severity::Info,
    summary: "no WebSocket was recognised",
    explain: "\
## What it means
The capture was read, but nothing in it asked for a WebSocket where that could be seen. The finding lists what was there instead.

## What usually causes it
- The WebSockets run inside TLS, and there are no keys for it (`cap-no-keys`), or its handshake failed.
- They run over HTTP/2 or HTTP/3.
- They were opened before the capture began.
- The capture filter, interface or time was another one.

## How to tell them apart
Each of these is in the list with its count; UDP on port 443 is HTTP/3.

## What to do
TLS: give the key log with `--keys`, or capture behind the proxy that terminates it. Open before: let the client reconnect while the capture runs. None of them: check interface and filter with
`wscope capture-command HOST:PORT`.

## References
RFC 6455, section 4; RFC 8441; RFC 9220.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    if !overview.sessions.is_empty() {
        return;
    }
    let found = found_instead(overview);
    let capture = overview.capture;
    let summary = if capture.packets == 0 {
        format!("no WebSocket: {}", nothing_read(capture))
    } else {
        format!("no WebSocket recognised; instead: {}", found.join("; "))
    };
    findings.push(
        Finding::of_capture(&RULE, Confidence::Certain, summary)
            .data("packets", Value::Count(capture.packets))
            .data("tcp_connections", Value::Count(capture.tcp_connections))
            .data("instead", Value::List(found))
            .advice(advice(overview)),
    );
}

/// Why there was no packet.
fn nothing_read(capture: &Capture) -> String {
    let held: u64 = capture.files.iter().map(|file| file.packets).sum();
    match left_out(capture) {
        0 if held > 0 => "all packets of the capture came after --to".to_owned(),
        0 => "the capture is empty".to_owned(),
        left_out => format!("--filter left out all {}", counted(left_out, "packet")),
    }
}

/// Packets that a filter of ours kept away.
fn left_out(capture: &Capture) -> u64 {
    capture.filter.as_ref().map_or(0, |filter| filter.left_out)
}

/// What was there, the likeliest hiding places of a WebSocket first.
fn found_instead(overview: &Overview<'_>) -> Vec<String> {
    let capture = overview.capture;
    let mut found = Vec::new();
    let unread = capture
        .tls
        .connections
        .saturating_sub(capture.tls.decrypted);
    if unread > 0 {
        let ports: Vec<String> = capture.tls_ports.iter().map(u16::to_string).collect();
        found.push(format!(
            "{} (port {}) that {} not decrypted",
            counted(unread, "TLS connection"),
            ports.join(", "),
            if unread == 1 { "was" } else { "were" }
        ));
    }
    if capture.http2_connections > 0 {
        found.push(counted(capture.http2_connections, "HTTP/2 connection"));
    }
    if capture.mid_stream.count > 0 {
        let count = counted(capture.mid_stream.count, "connection");
        found.push(format!("{count} that began before the capture"));
    }
    let refused = overview.attempts.iter();
    let refused = refused.filter(|attempt| attempt.connects.last().is_some());
    if let Ok(count @ 1..) = u64::try_from(refused.count()) {
        let count = counted(count, "connection");
        found.push(format!("{count} to a proxy that opened no tunnel"));
    }
    if capture.tunnels.count > 0 {
        let count = counted(capture.tunnels.count, "tunnel");
        found.push(format!("{count} through a proxy"));
    }
    if capture.http_exchanges > 0 {
        let count = counted(capture.http_exchanges, "ordinary HTTP exchange");
        found.push(format!("{count} without an upgrade"));
    }
    if let [server, ..] = capture.proxied_servers.as_slice() {
        found.push(format!(
            "a PROXY protocol header to {server}, and no request to open a WebSocket behind it"
        ));
    }
    if capture.never_opened > 0 {
        let count = counted(capture.never_opened, "connection");
        found.push(format!("{count} that never opened"));
    }
    if capture.cut > 0 {
        let count = counted(capture.cut, "TCP packet");
        found.push(format!(
            "{count} cut by the snap length, request heads perhaps among them"
        ));
    }
    if capture.tcp_connections == 0 {
        found.push("no TCP at all".to_owned());
    } else if found.is_empty() {
        found.push(format!(
            "{} of other protocols",
            counted(capture.tcp_connections, "TCP connection")
        ));
    }
    if left_out(capture) > 0 {
        let count = counted(left_out(capture), "packet");
        found.push(format!("{count} that --filter left out"));
    }
    // Rationale: the most frequent few; the report lists all of them.
    for (why, count) in capture.not_decoded.iter().take(3) {
        found.push(format!("{} ({why})", counted(*count, "packet")));
    }
    found
}

fn advice(overview: &Overview<'_>) -> &'static str {
    let capture = overview.capture;
    if left_out(capture) > 0 {
        "look again without --filter; to choose sessions, take --where"
    } else if capture.tls.connections > capture.tls.decrypted {
        "give the TLS keys (SSLKEYLOGFILE) with --keys, or capture behind the proxy that terminates TLS"
    } else if capture.mid_stream.count > 0 {
        "let the client reconnect while the capture runs, so that the opening handshake is in it"
    } else if capture.tcp_connections == 0 {
        "check the interface and the capture filter: wscope capture-command HOST:PORT prints one that fits"
    } else {
        "check that the capture ran on the right interface while the client connected"
    }
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn tls_is_named_with_its_port() {
        let hello = [0x16, 3, 1, 0, 4, 1, 0, 0, 0];
        let told = Script::new()
            .handshake()
            .bytes(ClientToServer, &hello)
            .told();
        let finding = told.only("cap-no-websocket");
        assert_eq!(
            finding.summary,
            "no WebSocket recognised; instead: 1 TLS connection (port 8080) that was not decrypted"
        );
    }

    #[test]
    fn ordinary_http_is_named() {
        let told = Script::new()
            .handshake()
            .bytes(ClientToServer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .bytes(ServerToClient, b"HTTP/1.1 204 No Content\r\n\r\n")
            .told();
        let summary = &told.only("cap-no-websocket").summary;
        assert!(
            summary.ends_with("1 ordinary HTTP exchange without an upgrade"),
            "{summary}"
        );
    }

    #[test]
    fn a_proxy_header_without_a_request_is_named() {
        let summary = |more: fn(Script) -> Script| {
            let header = b"PROXY TCP4 192.0.2.7 192.0.2.2 40001 80\r\n";
            let script = Script::new().handshake().bytes(ClientToServer, header);
            let told = more(script).told();
            let found = told.of("cap-no-websocket");
            found.first().map(|finding| finding.summary.clone())
        };
        let alone = summary(|s| s.fin(ClientToServer)).unwrap_or_default();
        let named = "a PROXY protocol header to 10.0.0.2:8080, and no request";
        assert!(alone.contains(named), "{alone}");
        assert_eq!(summary(|s| s.request("").accept("")), None);
    }

    #[test]
    fn an_empty_capture_is_said_to_be_empty() {
        let told = Script::new().told();
        assert_eq!(
            told.only("cap-no-websocket").summary,
            "no WebSocket: the capture is empty"
        );
    }

    #[test]
    fn a_refused_upgrade_is_a_session() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer("404 Not Found", "", "")
            .told();
        assert!(told.of("cap-no-websocket").is_empty());
    }
}
