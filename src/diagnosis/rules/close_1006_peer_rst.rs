//! `close-1006-peer-rst`: the server's side reset the connection.

use crate::diagnosis::ends::{self, End, Reading};
use crate::diagnosis::path::is_undrawn;
use crate::diagnosis::wording::span;
use crate::diagnosis::{
    Check, Confidence, Evidence, Finding, Overview, Provenance, Rule, Severity, Value,
    reset_provenance,
};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "close-1006-peer-rst",
    severity: Severity::Error,
    summary: "the server's side reset the connection without a Close frame",
    explain: "\
## What it means
The connection ended with a TCP reset in the server's name, and no Close frame was sent. Browsers report 1006 without an `error` event; other clients
show a connection reset error.

## What usually causes it
- The server closed its socket, or was killed, while bytes waited that it had not read: the kernel then resets instead of sending FIN.
- The application aborted the socket (SO_LINGER 0, `terminate`, `destroy`).
- The host has no such connection any more: restarted, failed over, or the flow was sent to another host.

## How to tell them apart
- A reset with ACK and with the numbering of that socket: the socket was alive until then. Client data just before it speaks for unread bytes.
- A bare reset without ACK, window 0, IP identification 0: the host's kernel knows no such socket.
- A TTL or identification that isn't the server's, or a server that goes on sending: a device forged it; see `net-rst-injected`.

## What to do
Look for the server's crash, kill or restart at that time. Where the server closes on purpose, read what waits before closing, and send Close first.

## References
RFC 9293, sections 3.5.2 and 3.6; RFC 6455, section 7.1.5.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for end in ends::read(overview) {
        let theirs = end.terminator.direction == Direction::ServerToClient;
        if theirs && end.reading == Reading::Side && end.terminator.reset.is_some() {
            findings.push(end.told(found(&end)));
        }
    }
}

fn found(end: &End<'_>) -> Finding {
    let idle = end.closing.idle.unwrap_or_default();
    let at = end.terminator.at;
    let first = Evidence::new(at, "reset, server to client, no Close frame before it");
    let summary = format!(
        "{} reset the connection without a Close frame, {} after the last payload{}",
        end.ender(),
        span(idle),
        end.followed()
    );
    let finding = Finding::new(&RULE, end.session, end.certainty(), first, summary)
        .evidence_if(end.closing.idle_from, "last payload before it")
        .data("idle_ms", Value::Ms(idle))
        .data("together", Value::Count(end.together as u64));
    if let Some(why) = end.proxy_followed() {
        return finding
            .cause(Confidence::Certain, why)
            .advice("look at the leg that ended first: the proxy only followed");
    }
    let finding = match end.acquits_proxy() {
        Some(why) => finding.cause(Confidence::Certain, why),
        None => finding,
    };
    explained(finding, end)
        .advice("look for a crash, kill or restart of the server at the time of the reset")
}

fn explained(finding: Finding, end: &End<'_>) -> Finding {
    let Some(reset) = end.terminator.reset else {
        return finding;
    };
    let finding = match is_undrawn(&reset) {
        true => finding.cause(
            Confidence::Possible,
            "a device on the path, or the server's host, had forgotten the silent flow (close-1006-flow-expired): a bare reset answers a segment, and the capture lacks it",
        ),
        false => finding,
    };
    let leg = &end.hit.leg;
    let reading = reset_provenance(end.hit, &reset);
    let confidence = if reading.sure {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let signs = reading.signs.join("; ");
    let (kind, finding) = match reading.verdict {
        Provenance::AbortedSocket => {
            let waiting = leg.last_payload.client > leg.last_payload.server;
            let unread = "the server closed or died while bytes of the client waited unread";
            let aborted = "the application aborted the socket (SO_LINGER 0, terminate, destroy)";
            // Of what was acknowledged long before, nothing tells whether it was read.
            let confidence = match waiting && !end.may_leave_unread() {
                true => Confidence::Possible,
                false => confidence,
            };
            let finding = if waiting {
                finding
                    .evidence_if(
                        leg.last_payload.client,
                        "data of the client that may have waited unread",
                    )
                    .cause(confidence, unread)
                    .cause(Confidence::Possible, aborted)
            } else {
                finding.cause(confidence, aborted)
            };
            ("aborted-socket", finding)
        }
        Provenance::NoSocket => {
            let gone = "the server's host knows no such connection any more: restarted, failed over, or the flow went to another host";
            ("no-socket", finding.cause(confidence, gone))
        }
        Provenance::Middlebox => (
            "middlebox",
            finding.cause(confidence, "a device on the path"),
        ),
        Provenance::Unclear => (
            "unclear",
            finding.cause(
                Confidence::Possible,
                "the server's process was killed, or aborted the socket",
            ),
        ),
    };
    let finding = finding.data("kind", Value::Text(kind.to_owned()));
    if signs.is_empty() {
        return finding;
    }
    finding.data("signs", Value::Text(signs))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_reset_of_the_servers_socket_is_found() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .rst(ServerToClient)
            .told();
        let finding = told.only("close-1006-peer-rst");
        assert_eq!(finding.confidence.name(), "certain");
        let kind = Value::Text("aborted-socket".to_owned());
        assert!(finding.data.contains(&("kind", kind)));
    }

    fn bare(seconds: f64) -> crate::diagnosis::Finding {
        let script = Script::new().upgrade().text(ClientToServer, "hi");
        let told = script.wait_s(seconds).bare_rst(ServerToClient).told();
        told.only("close-1006-peer-rst").clone()
    }

    #[test]
    fn a_bare_reset_that_nothing_drew_may_be_anybodys() {
        let finding = bare(2.0);
        assert_eq!(finding.confidence.name(), "possible");
        let first = &finding.causes[0].text;
        assert!(first.contains("close-1006-flow-expired"), "{first}");
        assert_eq!(bare(0.1).confidence.name(), "likely");
    }

    #[test]
    fn a_reset_after_the_close_frames_is_not() {
        let told = Script::new()
            .upgrade()
            .clean_close(ClientToServer)
            .rst(ServerToClient)
            .told();
        assert!(told.of("close-1006-peer-rst").is_empty());
    }

    #[test]
    fn what_is_only_likely_a_websocket_has_only_likely_findings() {
        let unmasked = (0..6).fold(Script::new().unseen(Script::upgrade), |script, n| {
            script.text(ServerToClient, &format!("line {n} of what may be a chat"))
        });
        let told = unmasked.rst(ServerToClient).told();
        let finding = told.only("close-1006-peer-rst");
        assert_eq!(finding.confidence.name(), "likely");
    }
}
