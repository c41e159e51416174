//! `auth-origin-rejected`: the server refused the Origin.

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::legs::{before, joined, proxy_name};
use crate::diagnosis::refusal::{body_of, foreign_origin, shown};
use crate::diagnosis::{
    Check, Confidence, Evidence, Finding, Overview, Refusal, Rule, Severity, Subject, Value,
    confidence_of, refusal_of,
};
use crate::session::Session;
use crate::session::redact::Secrets;

pub(super) static RULE: Rule = Rule {
    id: "auth-origin-rejected",
    severity: Severity::Error,
    summary: "the server refused the upgrade because of its Origin",
    explain: "\
## What it means
A browser says in `Origin` which page opens the WebSocket. The server checks it against its own name or a list, and refused this one.

## What usually causes it
- A proxy rewrote `Host` or dropped its port, so that a sound Origin doesn't fit any more.
- The page's address isn't in the server's list: a new domain, http instead of https, a port, localhost while developing.
- A foreign page that really should be refused.

## How to tell them apart
- Origin and Host name the same host but for the port: the proxy's Host.
- They differ altogether: the list, or a foreign page.
- Clients without Origin (not browsers) get through.

## What to do
Pass the Host on (nginx: `proxy_set_header Host $http_host`), or add the page's origin to the server's list. Don't switch the check off:
it is what keeps foreign pages from using your users' cookies.

## References
RFC 6455, sections 4.2.2 and 10.2; RFC 6454.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for session in overview.sessions {
        let front = before(session, overview.sessions);
        findings.extend(finding(
            session,
            front.filter(|f| is_host_rewritten(f, session)),
        ));
    }
}

/// The Origin fitted the Host that came to the proxy, and not the one that left it.
pub(super) fn is_host_rewritten(front: &Session, back: &Session) -> bool {
    let seen = !front.handshake.request_lost && !back.handshake.request_lost;
    let both = front.handshake.host().is_some() && back.handshake.host().is_some();
    let status = back.handshake.status();
    seen && both
        && status.is_some()
        && status == front.handshake.status()
        && foreign_origin(back)
        && !foreign_origin(front)
}

/// `front` is the leg before the proxy that rewrote Host.
fn finding(session: &Session, front: Option<&Session>) -> Option<Finding> {
    let handshake = &session.handshake;
    let (Some(Refusal::Origin), Some(response)) = (refusal_of(session), &handshake.response) else {
        return None;
    };
    let said_so = body_of(session).to_lowercase().contains("origin");
    let confidence = match (said_so, foreign_origin(session)) {
        (true, true) => unless_unpaired(session),
        (true, false) => Confidence::Likely,
        (false, true) if front.is_some() => Confidence::Likely,
        _ => Confidence::Possible,
    };
    let headers = &handshake.request.headers;
    let field = |name: &str| {
        let value = headers.first(name).unwrap_or("none");
        Secrets::Redacted
            .target(value)
            .chars()
            .take(80)
            .collect::<String>()
    };
    let (origin, host) = (field("Origin"), field("Host"));
    let request = Evidence::new(
        handshake.request.last,
        format!("Origin: {origin}; Host: {host}"),
    );
    let how = if said_so {
        "refused the Origin"
    } else {
        "refused, perhaps because of the Origin"
    };
    let summary = format!(
        "the server {how} {origin} with {} (Host: {host})",
        response.status
    );
    let same_but_port = host_name(&origin) == host_name(&host);
    let finding = Finding::new(&RULE, session, confidence, request, summary)
        .evidence(response.first, format!("the answer: {}", response.status))
        .data("status", Value::Count(u64::from(response.status)))
        .data("origin", Value::Text(origin.clone()))
        .data("host", Value::Text(host));
    if let Some(front) = front {
        return Some(rewritten(finding, front, session));
    }
    let finding = if same_but_port {
        finding.cause(
            Confidence::Likely,
            "a proxy rewrote Host or dropped its port",
        )
    } else {
        finding
            .cause(
                Confidence::Possible,
                "the page's origin is not in the server's list",
            )
            .cause(Confidence::Possible, "a foreign page, rightly refused")
            .cause(Confidence::Possible, "a proxy rewrote Host")
    };
    Some(finding.advice(format!(
        "let the proxy pass Host on (nginx: proxy_set_header Host $http_host), or allow {origin} if it is yours"
    )))
}

/// Told of the client's leg: what broke it stands between the two.
fn rewritten(mut finding: Finding, front: &Session, back: &Session) -> Finding {
    let proxy = proxy_name(front);
    let host = |session: &Session| shown(session, session.handshake.host().unwrap_or("none"), 80);
    let (came, left) = (host(front), host(back));
    let sure = joined(front).map_or(Confidence::Possible, |j| confidence_of(j.story.proof));
    finding = finding
        .evidence(
            front.handshake.request.last,
            format!("{}: the client's request, Host: {came}", front.name()),
        )
        .cause(
            sure,
            format!(
                "{proxy} rewrote Host on the way to the backend {}: {came} came, {left} left",
                back.leg.server
            ),
        );
    finding.subject = Subject::Session(front.id);
    finding.tcp_stream = None;
    finding.evidence.sort_by_key(|evidence| evidence.at);
    finding.advice(format!(
        "let {proxy} pass Host on (nginx: proxy_set_header Host $http_host)"
    ))
}

fn host_name(authority: &str) -> &str {
    let authority = authority
        .split_once("://")
        .map_or(authority, |(_, rest)| rest);
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use crate::script::Script;

    #[test]
    fn a_body_that_names_the_origin_is_certain() {
        let told = Script::new()
            .handshake()
            .request("Origin: https://evil.example\r\n")
            .answer("403 Forbidden", "", "origin not allowed")
            .told();
        let finding = told.only("auth-origin-rejected");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(finding.summary.contains("https://evil.example"));
        assert!(told.of("auth-rejected").is_empty());
    }

    #[test]
    fn an_origin_of_the_same_host_is_not_blamed() {
        let told = Script::new()
            .handshake()
            .request("Origin: http://ws.example.test:8080\r\n")
            .answer("403 Forbidden", "", "")
            .told();
        assert!(told.of("auth-origin-rejected").is_empty());
    }

    fn behind_proxy(origin: &str, host: &str) -> crate::script::Told {
        let head = format!(
            "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{origin}\r\n"
        );
        let answer = |s: Script| s.answer("403 Forbidden", "Server: nginx\r\n", "");
        let script = Script::new().handshake().request(origin);
        let to_server = crate::stream::Direction::ClientToServer;
        answer(script.behind(|s| answer(s.handshake().bytes(to_server, head.as_bytes())))).told()
    }

    #[test]
    fn a_host_that_the_proxy_rewrote_leads() {
        let told = behind_proxy("Origin: http://ws.example.test:8080\r\n", "backend:9000");
        let finding = told.only("auth-origin-rejected");
        assert_eq!(finding.confidence.name(), "likely");
        assert_eq!(finding.subject, crate::diagnosis::Subject::Session(1));
        assert!(finding.causes[0].text.starts_with("nginx rewrote Host"));
        let status = told.of("hs-http-status");
        assert!(
            status
                .iter()
                .all(|f| f.severity == crate::diagnosis::Severity::Info)
        );
    }

    #[test]
    fn an_origin_that_was_foreign_from_the_start_is_not_the_proxys_doing() {
        let told = behind_proxy("Origin: https://evil.example\r\n", "backend:9000");
        let all = told.of("auth-origin-rejected");
        assert!(!all.is_empty());
        let text = format!("{all:?}");
        assert!(!text.contains("rewrote Host on the way"), "{text}");
    }
}
