//! `close-1006-peer-fin`: the server's side closed TCP, and nobody had said Close.

use crate::diagnosis::ends::{self, End, Reading};
use crate::diagnosis::wording::span;
use crate::diagnosis::wording::timer_length;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
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
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for end in ends::read(overview) {
        let theirs = end.terminator.direction == Direction::ServerToClient;
        let better_said = match &end.reading {
            Reading::Idle(timer) => timer.confidence >= Confidence::Likely,
            Reading::Side => false,
            Reading::Lifetime(_) | Reading::HalfClose { .. } | Reading::Path => true,
        };
        if theirs && end.terminator.reset.is_none() && !better_said {
            findings.push(end.told(found(&end)));
        }
    }
}

fn found(end: &End<'_>) -> Finding {
    let idle = end.closing.idle.unwrap_or_default();
    let word = end.terminator.word();
    let shown = match end.terminator.is_unseen(end.hit) {
        true => "acknowledges a FIN, server to client, that the capture lacks".to_owned(),
        false => format!("{word}, server to client, no Close frame before it"),
    };
    let fin = Evidence::new(end.terminator.at, shown);
    let who = end.ender();
    let summary = format!(
        "{who} closed TCP with a {word} and without a Close frame, {} after the last payload{}",
        span(idle),
        end.followed()
    );
    let mut finding = Finding::new(&RULE, end.session, end.certainty(), fin, summary)
        .evidence_if(end.closing.idle_from, "last payload before it")
        .data("idle_ms", Value::Ms(idle))
        .data("together", Value::Count(end.together as u64));
    if let Some(why) = end.acquits_proxy() {
        finding = finding
            .data("kind", Value::Text("backend".to_owned()))
            .cause(Confidence::Certain, why);
    }
    let where_to_look = match (end.behind_proxy(), end.proxy, end.of_proxys_own_will()) {
        (true, ..) => "look in the log of the backend at the time of its FIN".to_owned(),
        (_, Some(proxy), true) => {
            format!("look in the log of {proxy} at the time of the FIN: it ended both legs")
        }
        _ if end.proxy_followed().is_some() => {
            "look at the leg that ended first: the proxy only followed".to_owned()
        }
        _ => "look in the log of the server, or of the proxy before it, at the time of the FIN"
            .to_owned(),
    };
    causes(finding, end).advice(where_to_look)
}

/// The causes, those first for which the wire speaks.
fn causes(mut finding: Finding, end: &End<'_>) -> Finding {
    let leg = &end.hit.leg;
    let own_will = end.of_proxys_own_will();
    if let Some(why) = end.proxy_followed() {
        return finding.cause(Confidence::Certain, why);
    }
    if end.together > 0 {
        let what = if own_will {
            "the proxy ended several at once, as for a reload, a drain or an operator's command"
        } else {
            "the process or host went away"
        };
        let others = format!(
            "{what}: {} more of its sessions ended within 2 s",
            end.together
        );
        finding = finding.cause(Confidence::Likely, others);
    }
    if leg.zero_window.client.since.is_some() {
        finding = finding.cause(
            Confidence::Likely,
            "a limit on what may wait for a slow reader: the client's window was closed",
        );
    }
    if let Some(silence) = end.after_longest_silence() {
        finding = finding.cause(
            Confidence::Possible,
            format!(
                "an idle timer of {}: it was the longest silence of the session",
                timer_length(silence)
            ),
        );
    }
    if own_will {
        return finding
            .cause(
                Confidence::Possible,
                "the proxy was reloaded or drained, or told to end its sessions",
            )
            .cause(Confidence::Possible, "the proxy's process went away");
    }
    if end.proxy.is_some() {
        finding = finding.cause(
            Confidence::Possible,
            "the proxy lost its upstream, was reloaded or drained",
        );
    }
    finding
        .cause(
            Confidence::Possible,
            "the server process was killed or crashed",
        )
        .cause(
            Confidence::Possible,
            "the application destroyed the socket without closing the WebSocket",
        )
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
            .fin(ClientToServer)
            .told();
        let finding = told.only("close-1006-peer-fin");
        assert_eq!(finding.confidence.name(), "certain");
        assert_eq!(
            told.sessions[0].leg.fin.server,
            finding.evidence.last().map(|e| e.at)
        );
    }

    #[test]
    fn the_client_may_say_close_where_the_capture_ends_before_its_fin() {
        let told = Script::new()
            .upgrade()
            .text(ClientToServer, "hi")
            .fin(ServerToClient)
            .told();
        let finding = told.only("close-1006-peer-fin");
        assert_eq!(finding.confidence.name(), "likely");
    }

    #[test]
    fn the_longest_silence_before_it_may_be_a_timers() {
        let after = |seconds| {
            let told = Script::new()
                .upgrade()
                .text(ClientToServer, "hi")
                .wait_s(seconds)
                .fin(ServerToClient)
                .told();
            let finding = told.only("close-1006-peer-fin");
            let timer = finding
                .causes
                .iter()
                .find(|c| c.text.starts_with("an idle timer"));
            timer.map(|cause| cause.text.clone()).unwrap_or_default()
        };
        assert!(after(7.0).starts_with("an idle timer of 7 s"));
        assert!(after(7.4).starts_with("an idle timer of 7.4 s"));
        assert_eq!(after(0.2), "");
    }

    #[test]
    fn a_fin_after_a_close_frame_is_not() {
        let told = Script::new().upgrade().clean_close(ServerToClient).told();
        assert!(told.of("close-1006-peer-fin").is_empty());
    }
}
