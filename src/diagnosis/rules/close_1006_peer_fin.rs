//! `close-1006-peer-fin`: the server's side closed TCP, and nobody had said Close.

use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Kind, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "close-1006-peer-fin",
    severity: Severity::Error,
    summary: "the server's side closed TCP without a Close frame",
    explain: "\
## What it means
The server, or a proxy that stands in for it, ended the TCP connection with a FIN while the WebSocket was open. No Close frame was sent, so
browsers report code 1006 with `wasClean` false and no `error` event before it.

## What usually causes it
- The server process was killed or crashed with an empty receive buffer: the kernel sends the FIN.
- The application destroyed the socket (`terminate()`) instead of closing it.
- A proxy lost its upstream, or its own timer ran out.
- A limit was hit by a server that closes without a word: uWebSockets does so for large messages and for slow readers.

## How to tell them apart
- All sessions of that server end together, and new SYNs are refused: the process went away.
- One session ends, others go on: the application or a limit.
- The session was silent for a round number of seconds before: an idle timer; see `close-1006-idle-timeout`.
- A message far larger than any before, or a zero window, stands just before the FIN: a limit.

## What to do
Look in the server's log at the time of the FIN. If nothing is there, look at what stands between. On an orderly shutdown send Close 1001 before closing the socket.

## References
RFC 6455, sections 7.1.1 and 7.1.5; RFC 9293, section 3.6.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(end) = case.closing.terminator else {
        return;
    };
    let from_server = end.direction == Direction::ServerToClient;
    if case.closing.kind != Kind::Abnormal || end.reset.is_some() || !from_server {
        return;
    }
    // A Close frame may hide in bytes that the capture lacks.
    let hidden = case.session.may_hide_frames(Direction::ServerToClient);
    let confidence = if hidden {
        Confidence::Possible
    } else {
        Confidence::Certain
    };
    let idle = case.closing.idle.unwrap_or_default();
    let fin = Evidence::new(end.at, "FIN, server to client, no Close frame before it");
    let finding = Finding::new(
        &RULE,
        case.session,
        confidence,
        fin,
        "the server's side closed TCP with a FIN and without a Close frame",
    );
    findings.push(
        finding
            .evidence_if(case.closing.idle_from, "last payload before it")
            .data("idle_ms", Value::Ms(idle))
            .cause(
                Confidence::Possible,
                "the server process was killed or crashed",
            )
            .cause(
                Confidence::Possible,
                "the application destroyed the socket without closing the WebSocket",
            )
            .cause(Confidence::Possible, "a proxy lost its upstream")
            .advice(
                "look in the log of the server, or of the proxy before it, at the time of the FIN",
            ),
    );
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_fin_without_a_close_frame_is_found() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .fin(ServerToClient)
            .told();
        let finding = told.only("close-1006-peer-fin");
        assert_eq!(finding.confidence.name(), "certain");
        assert_eq!(
            told.sessions[0].leg.fin.server,
            finding.evidence.first().map(|e| e.at)
        );
    }

    #[test]
    fn a_fin_after_a_close_frame_is_not() {
        let told = Script::new().upgrade().clean_close(ServerToClient).told();
        assert!(told.of("close-1006-peer-fin").is_empty());
    }
}
