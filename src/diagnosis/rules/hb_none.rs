//! `hb-none`: long silences, and nothing that keeps the path alive.

use crate::diagnosis::heartbeat::first_sign_of_the_end;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::{Session, Silence};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "hb-none",
    severity: Severity::Warn,
    summary: "long silences without a heartbeat",
    explain: "\
## What it means
Nobody sent a Ping or a Pong in this session, and it was silent for so long that a proxy, load balancer or NAT with a usual idle timer would
have ended it. Neither side can notice that the other is gone either: a dead peer looks just like a quiet one.

## What usually causes it
- The client is a browser, whose API has no way to send a Ping, and the server is not set up to send any.
- Keep-alive is switched off on the server (`ping_interval=None`, KeepAliveInterval 0, no timer around `ws.ping()`).

## How to tell them apart
TCP keep-alive probes (`data.probes`) keep NATs and firewalls open. Proxies that speak HTTP don't count them: they are answered by the proxy's
own kernel.

## What to do
Let the server send a Ping every 20 to 30 s, at most half of the shortest idle timer on the path, and end sessions whose Pong stays out.
Usual idle timers are 60 s (nginx, AWS ALB) and 4 min (Azure); these are typical values, not facts of this capture.

## References
RFC 6455, sections 5.5.2 and 5.5.3.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let beats = |side: Direction| {
        session.frames[side].ping + session.frames[side].pong + session.pings[side].sent
    };
    // Without a key a heartbeat shows by its even intervals, if all records were looked at.
    let sizes = session
        .keyless
        .as_deref()
        .is_some_and(|keyless| !keyless.partial);
    let hidden = Direction::BOTH
        .into_iter()
        .any(|side| beats(side) > 0 || session.may_hide_frames(side) && !sizes);
    if hidden || !session.is_open_or_was() {
        return;
    }
    let silences = silences(case);
    let long = case.thresholds.long_idle;
    let Some(longest) = silences.first().filter(|silence| silence.len >= long) else {
        return;
    };
    let several = silences
        .iter()
        .filter(|silence| silence.len >= long)
        .count();
    let confidence = if several >= 2 {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let seconds = longest.len.as_secs_f64();
    let probes = session.leg.probes.client + session.leg.probes.server;
    let mut finding = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(longest.from, "the last payload before the longest silence"),
        format!("no Ping or Pong at all, and up to {seconds:.1} s of silence"),
    )
    .evidence(longest.to, "what came after it")
    .data("silence_ms", Value::Ms(longest.len))
    .data("silences", Value::Count(several as u64))
    .data("probes", Value::Count(probes));
    let browser = session
        .handshake
        .request
        .headers
        .first("User-Agent")
        .is_some_and(|agent| agent.starts_with("Mozilla/"));
    finding = match browser {
        true => finding.cause(
            Confidence::Likely,
            "the client is a browser, which can't send Pings, and the server sends none",
        ),
        false => finding.cause(
            Confidence::Possible,
            "keep-alive is switched off on both sides",
        ),
    };
    if probes > 0 {
        finding = finding.cause(
            Confidence::Possible,
            "it relies on TCP keep-alive, which proxies that speak HTTP don't count",
        );
    }
    findings.push(finding.advice(format!(
        "let the server ping every 20 to 30 s: any idle timer below {seconds:.0} s on the path would end this session"
    )));
}

/// Times without payload while the session was open, the longest first.
fn silences(case: &Case<'_>) -> Vec<Silence> {
    let session = case.session;
    let opened = session.handshake.request.first;
    let end = first_sign_of_the_end(session, case.closing);
    let inside = |silence: &&Silence| silence.from >= opened && silence.to <= end;
    let mut all: Vec<Silence> = session
        .leg
        .silences
        .iter()
        .filter(inside)
        .copied()
        .collect();
    all.extend(last_silence(session, end));
    all.sort_by_key(|silence| std::cmp::Reverse(silence.len));
    all
}

/// The silence that the end of the session, or of the capture, ended.
fn last_silence(session: &Session, to: crate::stream::PacketRef) -> Option<Silence> {
    let from = session.leg.last_payload_any().filter(|from| *from < to)?;
    let len = to.time.saturating_since(from.time);
    Some(Silence { len, from, to })
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn two_silences_of_a_minute_without_a_ping_are_likely() {
        let told = Script::new()
            .upgrade()
            .wait_s(60.0)
            .text(ClientToServer, "a")
            .wait_s(61.0)
            .text(ServerToClient, "b")
            .clean_close(ClientToServer)
            .told();
        let finding = told.only("hb-none");
        assert_eq!(finding.confidence.name(), "likely");
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(8));
    }

    #[test]
    fn a_silence_before_the_fin_counts() {
        let told = Script::new()
            .upgrade()
            .wait_s(75.0)
            .fin(ServerToClient)
            .told();
        assert_eq!(told.only("hb-none").confidence.name(), "possible");
    }

    #[test]
    fn a_one_way_heartbeat_is_a_heartbeat() {
        let told = Script::new()
            .upgrade()
            .wait_s(60.0)
            .pong(ClientToServer, b"")
            .wait_s(60.0)
            .clean_close(ClientToServer)
            .told();
        assert!(told.of("hb-none").is_empty());
    }

    #[test]
    fn a_busy_session_needs_none() {
        let mut script = Script::new().upgrade();
        for _ in 0..20 {
            script = script.wait_s(10.0).text(ServerToClient, "tick");
        }
        assert!(script.told().of("hb-none").is_empty());
    }
}
