//! `auth-origin-rejected`: the server refused the Origin.

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::refusal::{body_of, foreign_origin};
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Refusal, Rule, Severity, Value, refusal_of,
};
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
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let handshake = &session.handshake;
    let (Some(Refusal::Origin), Some(response)) = (refusal_of(session), &handshake.response) else {
        return;
    };
    let said_so = body_of(session).to_lowercase().contains("origin");
    let confidence = match (said_so, foreign_origin(session)) {
        (true, true) => unless_unpaired(session),
        (true, false) => Confidence::Likely,
        _ => Confidence::Possible,
    };
    let headers = &handshake.request.headers;
    let shown = |name: &str| {
        let value = headers.first(name).unwrap_or("none");
        Secrets::Redacted
            .target(value)
            .chars()
            .take(80)
            .collect::<String>()
    };
    let (origin, host) = (shown("Origin"), shown("Host"));
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
    findings.push(finding.advice(format!(
        "let the proxy pass Host on (nginx: proxy_set_header Host $http_host), or allow {origin} if it is yours"
    )));
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
}
