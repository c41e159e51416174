//! `hs-upgrade-stripped`: a proxy took Upgrade or Connection away before the backend.

use crate::diagnosis::legs::{before, behind, joined, proxy_name};
use crate::diagnosis::refusal::{body_of, is_stripped_between, shown, stripped_before_capture};
use crate::diagnosis::{
    Check, Confidence, Evidence, Finding, Overview, Refusal, Rule, Severity, Stripped, Value,
    confidence_of, head_changes, refusal_of, responder_of,
};
use crate::session::Session;

pub(super) static RULE: Rule = Rule {
    id: "hs-upgrade-stripped",
    severity: Severity::Error,
    summary: "a proxy removed Upgrade or Connection before the request reached the backend",
    explain: "\
## What it means
The backend got the request without `Upgrade: websocket` or `Connection: Upgrade` and refused it, or answered it as an ordinary page.
Both fields are hop-by-hop: a proxy has to drop them, and must be told to set them again for its own connection.

## What usually causes it
- nginx with its defaults: HTTP/1.0 and `Connection: close` toward the upstream.
- A CDN or gateway route without WebSocket support, or with caching on.
- A web application firewall, an antivirus or an inspecting proxy.
- A client written by hand that never sent the fields: then no proxy is to blame.

## How to tell them apart
- Both sides of the proxy were captured: the two requests tell, and the finding is certain.
- The captured request has the fields and the answer complains about them: they were lost behind the capture point.
- The captured request lacks them, but has `Sec-WebSocket-Key` and signs of a proxy (`Via`, `X-Forwarded-For`, HTTP/1.0, `Connection:
  close`): they were lost before it.
- It lacks them and comes from a browser: browsers always send both.
- No such sign: look at the client; see `hs-bad-request`.

## What to do
nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;` with a `map`
from `$http_upgrade` to `upgrade` or `close`. Apache: `mod_proxy_wstunnel` or `upgrade=websocket`. CDN: switch WebSockets on and caching
off for the route.

## References
RFC 9110, sections 7.6.1 and 7.8; RFC 6455, section 4.2.1.
",
    checks: &[Check::Capture(check)],
};

const NGINX: &str = "let the proxy pass the upgrade on; nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
proxy_set_header Connection $connection_upgrade;";

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let sessions = overview.sessions;
    for session in sessions {
        let between = |front: &Session, back: &Session| is_stripped_between(front, back);
        match (behind(session, sessions), before(session, sessions)) {
            // Where both sides of the proxy were captured, they tell all.
            (Some(back), _) if between(session, back) => {
                findings.push(between_legs(session, back));
            }
            (_, Some(front)) if between(front, session) => {}
            _ => alone(session, findings),
        }
    }
}

/// What one side of the proxy tells.
fn alone(session: &Session, findings: &mut Vec<Finding>) {
    let handshake = &session.handshake;
    let request = Evidence::new(handshake.request.last, "the request, as captured");
    let finding = match (refusal_of(session), stripped_before_capture(session)) {
        (Some(Refusal::Stripped(Stripped::BeforeAnswerer)), _) => behind_capture(session, request),
        // Where nobody refused, there is nothing to explain.
        (Some(Refusal::Stripped(_) | Refusal::Form), Some(how)) => {
            before_capture(session, how, request)
        }
        (None, Some(how)) if !handshake.is_upgraded() => before_capture(session, how, request),
        _ => return,
    };
    let answer = handshake.response.as_ref();
    let finding = match answer {
        Some(response) => finding
            .evidence(response.first, format!("the answer: {}", response.status))
            .data("status", Value::Count(u64::from(response.status))),
        None => finding,
    };
    findings.push(
        finding
            .cause(
                Confidence::Likely,
                "a proxy that drops hop-by-hop fields and doesn't set them again (nginx' default)",
            )
            .cause(
                Confidence::Possible,
                "a CDN route, firewall or scanner that doesn't let WebSockets through",
            )
            .advice(NGINX),
    );
}

/// The request on both sides of the proxy.
fn between_legs(front: &Session, back: &Session) -> Finding {
    let (came, left) = (&front.handshake.request, &back.handshake.request);
    let changes = head_changes(&came.headers, &left.headers);
    let mut now = Vec::new();
    for name in ["Upgrade", "Connection"] {
        let key = name.to_ascii_lowercase();
        if changes.removed.contains(&key) {
            now.push(format!("no {name}"));
        } else if changes.changed.contains(&key) {
            let value = left.headers.first(name).unwrap_or_default();
            now.push(format!("{name}: {}", shown(back, value, 40)));
        }
    }
    if left.minor_version == 0 && came.minor_version > 0 {
        now.push("HTTP/1.0".to_owned());
    }
    let name = proxy_name(front);
    let summary = format!(
        "{name} passed the opening handshake on as an ordinary request: {}",
        now.join(", ")
    );
    let request = Evidence::new(came.last, "the request as the client sent it, with Upgrade");
    let confidence = joined(front).map_or(Confidence::Likely, |j| confidence_of(j.story.proof));
    let mut finding = Finding::new(&RULE, front, confidence, request, summary)
        .evidence(left.last, format!("as {name} passed it on, without"))
        .data("kind", Value::Text("between-legs".to_owned()))
        .data("removed", Value::List(changes.removed))
        .data("changed", Value::List(changes.changed))
        .data("added", Value::List(changes.added))
        .data("legs", Value::List(vec![front.name(), back.name()]));
    for (session, who) in [(back, "the backend"), (front, name)] {
        if let Some(answer) = &session.handshake.response {
            let what = format!("{who} answers {}", answer.status);
            finding = finding.evidence(answer.first, what);
        }
    }
    if let Some(status) = front.handshake.status() {
        finding = finding.data("status", Value::Count(u64::from(status)));
    }
    finding.tcp_stream = None;
    finding
        .cause(
            confidence,
            format!("{name} drops hop-by-hop fields and isn't told to set them again"),
        )
        .advice(NGINX)
}

fn behind_capture(session: &Session, request: Evidence) -> Finding {
    let who = responder_of(session).map_or("the backend".to_owned(), |r| r.name);
    let summary =
        format!("{who} didn't get Upgrade and Connection, though the captured request has them");
    Finding::new(&RULE, session, Confidence::Likely, request, summary)
        .data("kind", Value::Text("behind-capture".to_owned()))
        .data("tell", Value::Text(tell(session)))
}

fn before_capture(session: &Session, how: Stripped, request: Evidence) -> Finding {
    let lacks: Vec<&str> = session
        .handshake
        .request_breaches
        .iter()
        .filter(|breach| {
            breach.kind.starts_with("upgrade-") || breach.kind.starts_with("connection-")
        })
        .map(|breach| breach.what.as_str())
        .collect();
    let (confidence, signs) = match how {
        Stripped::Perhaps => (Confidence::Possible, "it is an opening handshake otherwise"),
        _ => (
            Confidence::Likely,
            "it bears the marks of a proxy or a browser",
        ),
    };
    let summary = format!(
        "an opening handshake arrived without its Upgrade: {}; {signs}",
        lacks.join("; ")
    );
    Finding::new(&RULE, session, confidence, request, summary)
        .data("kind", Value::Text("before-capture".to_owned()))
}

/// The line of the body that tells.
fn tell(session: &Session) -> String {
    let body = body_of(session);
    let line = body.lines().find(|line| {
        let lower = line.to_lowercase();
        lower.contains("upgrade") || lower.contains("connection")
    });
    shown(session, line.unwrap_or_default(), 80)
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::ClientToServer;

    const REFUSAL: &str =
        "Failed to open a WebSocket connection: invalid Connection header: close.";

    fn asked(fields: &str) -> Script {
        let head = format!(
            "GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n{fields}\r\n"
        );
        Script::new()
            .handshake()
            .bytes(ClientToServer, head.as_bytes())
    }

    #[test]
    fn a_backend_that_misses_what_was_sent_tells_of_a_proxy() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer("426 Upgrade Required", "", REFUSAL)
            .told();
        let finding = told.only("hs-upgrade-stripped");
        assert_eq!(finding.confidence.name(), "likely");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("behind-capture".to_owned())))
        );
    }

    #[test]
    fn a_handshake_without_upgrade_from_a_proxy_is_likely_stripped() {
        let told = asked("X-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n")
            .answer("426 Upgrade Required", "", REFUSAL)
            .told();
        assert_eq!(told.only("hs-upgrade-stripped").confidence.name(), "likely");
        assert!(
            told.of("hs-bad-request").is_empty(),
            "one cause, one finding"
        );
    }

    #[test]
    fn without_signs_of_a_proxy_the_client_may_have_written_it_so() {
        let told = asked("Upgrade: websocket\r\nConnection: keep-alive\r\n")
            .answer("426 Upgrade Required", "", REFUSAL)
            .told();
        assert_eq!(
            told.only("hs-upgrade-stripped").confidence.name(),
            "possible"
        );
        assert_eq!(told.of("hs-bad-request").len(), 1);
    }

    #[test]
    fn another_refusal_of_a_sound_request_says_nothing_of_a_proxy() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer("404 Not Found", "", "no such page")
            .told();
        assert!(told.of("hs-upgrade-stripped").is_empty());
    }
}
