//! `close-1006-idle-timeout`: an idle timer ended the session.

use crate::diagnosis::ends::{self, End, Reading, Timer};
use crate::diagnosis::wording::ping_interval;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "close-1006-idle-timeout",
    severity: Severity::Error,
    summary: "an idle timer on the path ended the session, without a Close frame",
    explain: "\
## What it means
Nobody sent anything for a while, and then a proxy, or the server itself, closed the connection. No Close frame was sent: browsers report code 1006,
`wasClean` false, and no `error` event.

## What usually causes it
- A reverse proxy's idle timer: nginx `proxy_read_timeout` (60 s), haproxy `timeout tunnel`, Envoy `stream_idle_timeout` (300 s).
- A load balancer's: AWS ALB (60 s), Heroku (55 s), Azure Front Door (300 s).
- The WebSocket server's own: uWebSockets and Bun (120 s), servers that expect a Ping or Pong within a deadline.

## How to tell them apart
- The handshake's `Server` or `Via` header names a proxy: it is that one, or one behind it.
- nginx ends both legs with FIN, the upstream leg first; haproxy ends the client's leg with FIN and resets the server's.
- On the leg behind the proxy the FIN or reset comes from the proxy. If it comes from the backend, the backend ended it, and no timer of the proxy.
- No proxy, and a FIN of the server's host: the server's own deadline.
- The same silence before each end, within 2 %: a timer for sure.

## What to do
Send a Ping (from either side) at least twice within the timer's time, or raise the timer. TCP keep-alives don't count for proxies that work on HTTP.

## References
RFC 6455, sections 5.5.2 and 7.1.5.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for end in ends::read(overview) {
        if let Reading::Idle(timer) = &end.reading {
            findings.push(end.told(found(&end, timer)));
        }
    }
}

fn found(end: &End<'_>, timer: &Timer) -> Finding {
    let idle = end.closing.idle.unwrap_or_default();
    let confidence = timer.confidence.min(end.certainty());
    let what = end.terminator.word();
    let ender = end.ender();
    let summary = format!(
        "{ender} ended the connection after {} without a byte in either direction, without a Close frame",
        span(idle)
    );
    let last = end.closing.idle_from.unwrap_or(end.terminator.at);
    let first = Evidence::new(last, "last payload before the silence");
    let mut finding = Finding::new(&RULE, end.session, confidence, first, summary)
        .evidence(end.terminator.at, format!("{what} of {ender}"))
        .data("idle_ms", Value::Ms(idle))
        .data("cluster", Value::Count(timer.cluster as u64));
    if let Some(seconds) = timer.whole {
        finding = finding.data("timer_s", Value::Count(seconds));
    }
    if let Some(proxy) = end.proxy {
        finding = finding.data("kind", Value::Text("proxy".to_owned())).cause(
            confidence,
            format!("the idle timer of {proxy}, where requests for this path pass"),
        );
    }
    if end.as_haproxy_does() {
        let haproxy = "haproxy (timeout tunnel): it sends a FIN to the client and resets the leg to the server";
        finding = finding.cause(Confidence::Possible, haproxy);
    }
    for row in timer.rows.iter().take(3) {
        finding = finding.cause(Confidence::Possible, row.candidate());
    }
    if let Some(proxy) = end.proxy {
        let lost = format!("{proxy} lost its upstream, whose leg was not captured whole");
        if !end.of_proxys_own_will() {
            finding = finding.cause(Confidence::Possible, lost);
        }
        let reloaded = format!("{proxy} was reloaded or drained");
        finding = finding.cause(Confidence::Possible, reloaded);
    }
    finding.advice(format!(
        "send a Ping at least every {} from either side, or raise {}",
        ping_interval(idle),
        setting(end.proxy)
    ))
}

/// The setting that holds the timer, by the proxy's name.
fn setting(proxy: Option<&str>) -> String {
    let Some(proxy) = proxy else {
        return "the server's own idle timer or deadline".to_owned();
    };
    let name = match proxy {
        nginx if nginx.starts_with("nginx") => "proxy_read_timeout (and proxy_send_timeout)",
        "haproxy" => "timeout tunnel",
        "Envoy" => "stream_idle_timeout",
        "an AWS load balancer" => "the idle timeout",
        _ => {
            return format!(
                "the timer of {proxy} (nginx: proxy_read_timeout and proxy_send_timeout; haproxy: timeout tunnel; Envoy: stream_idle_timeout; ALB: idle timeout)"
            );
        }
    };
    format!("{name} of {proxy}")
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    const NGINX: &str = "Server: nginx/1.22.1\r\n";

    fn idle(response: &str, seconds: f64) -> crate::script::Told {
        Script::new()
            .upgrade_with("", response)
            .text(ClientToServer, "hi")
            .wait_s(seconds)
            .fin(ServerToClient)
            .told()
    }

    #[test]
    fn a_proxy_that_closes_after_a_round_number_of_seconds_has_a_timer() {
        let told = idle(NGINX, 5.0);
        let finding = told.only("close-1006-idle-timeout");
        assert_eq!(finding.confidence.name(), "likely");
        assert_eq!(
            finding.advice,
            "send a Ping at least every 2 s from either side, or raise proxy_read_timeout (and proxy_send_timeout) of nginx"
        );
        assert!(told.of("close-1006-peer-fin").is_empty());
    }

    fn told_possible(seconds: f64) -> bool {
        let told = idle(NGINX, seconds);
        let finding = told.only("close-1006-idle-timeout");
        let others: Vec<&str> = finding
            .causes
            .iter()
            .map(|cause| cause.text.as_str())
            .collect();
        assert!(
            others.contains(&"nginx was reloaded or drained"),
            "{others:?}"
        );
        finding.confidence.name() == "possible"
    }

    #[test]
    fn a_proxy_that_closes_after_an_odd_silence_may_have_one() {
        assert!(told_possible(4.0) && told_possible(143.0) && !told_possible(60.0));
        let told = idle(NGINX, 4.4);
        assert_eq!(
            told.only("close-1006-idle-timeout").confidence.name(),
            "possible"
        );
        assert_eq!(told.only("close-1006-peer-fin").confidence.name(), "likely");
    }

    #[test]
    fn a_server_that_closes_at_two_minutes_fits_a_known_deadline() {
        assert_eq!(
            idle("", 120.0)
                .only("close-1006-idle-timeout")
                .confidence
                .name(),
            "likely"
        );
    }

    #[test]
    fn a_server_that_closes_while_busy_has_none() {
        assert!(idle(NGINX, 0.2).of("close-1006-idle-timeout").is_empty());
        assert!(idle("", 7.3).of("close-1006-idle-timeout").is_empty());
    }

    #[test]
    fn three_equal_silences_are_a_timer_whatever_its_length() {
        let mut script = Script::new();
        for port in [40_001, 40_002, 40_003] {
            script = script
                .at_port(port)
                .upgrade()
                .text(ClientToServer, "hi")
                .wait_s(7.3)
                .fin(ServerToClient)
                .fin(ClientToServer);
        }
        let told = script.told();
        let found = told.of("close-1006-idle-timeout");
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].confidence.name(), "likely");
    }
}
