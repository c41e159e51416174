//! `hs-http-status`: the upgrade was answered with HTTP, but not with 101.

use std::collections::HashMap;

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::legs::{before, behind, joined};
use crate::diagnosis::refusal::{body_of, is_stripped_between, shown};
use crate::diagnosis::status::{WRONG_VERSION, reading_of};
use crate::diagnosis::tunnel;
use crate::diagnosis::wording::span;
use crate::diagnosis::{
    Check, Confidence, Evidence, Finding, Overview, Refusal, Responder, Rule, Severity, Value,
    confidence_of, refusal_of, responder_of,
};
use crate::session::redact::Secrets;
use crate::session::{Attempt, Response, Session};
use crate::stream::PacketRef;

pub(super) static RULE: Rule = Rule {
    id: "hs-http-status",
    severity: Severity::Error,
    summary: "the server, or a proxy, answered the upgrade with an HTTP status other than 101",
    explain: "\
## What it means
The upgrade was refused in HTTP. A browser reports `error`, then `close` with code 1006; it doesn't show the status to the page.
`data.who` is who answered, as far as the answer tells, `data.status` the status, `data.body` the first part of the body.

## What usually causes it
- 200: an ordinary page instead of a WebSocket: a proxy dropped the Upgrade field, or the path has no WebSocket handler.
- 301, 302, 307, 308: a redirect (to https, to a login page, to a trailing slash); browsers don't follow redirects of WebSockets.
- 400: the request's form, or an application's check; the body says which.
- 401, 407: credentials; 403: Origin or permission; ASGI servers also send 403 where the application closes before it accepts.
- 404, 405: wrong path or method. 426: the backend saw no Upgrade, or another version.
- 429, 503: overload or a limit; `Retry-After` says how long.
- 502, 504: the proxy can't reach its upstream, or waits for it too long. 505: the backend saw HTTP/1.0.
- `data.kind` `connect`: a forward proxy refused the tunnel (CONNECT) in which the upgrade would have gone, so there is no session. 407: it
  wants credentials, by one of `data.schemes`; 403: its rules forbid the host or the port; 502, 503, 504: it can't reach `data.target`.
  Chromium calls that ERR_TUNNEL_CONNECTION_FAILED, or ERR_PROXY_AUTH_... after a 407.
- `data.kind` `socks4` or `socks5`: the same by a SOCKS proxy, with its reply in `data.reply` (RFC 1928, section 6).

## How to tell them apart
- Who answered: the proxy's own error page (its name in Server or in the body) or the application's.
- The same client gets through later on the same connection: an authentication in two steps (NTLM, Negotiate) works like that, and is
  reported as info. A 407 that a tunnel to the same target follows isn't reported at all.
- A PROXY protocol header before the request, and a 400: the server doesn't expect one.
- All clients, or one: the route, or this client's credentials.

## What to do
Look in the log of whoever answered. With a 502 or 504 look at the upstream: is it up, and is the proxy's address for it right?

## References
RFC 6455, sections 4.1, 4.2.2 and 4.4; RFC 9110, sections 9.3.6, 11.7 and 15.
",
    checks: &[Check::Capture(check), Check::Capture(tunnels)],
};

fn tunnels(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    tunnel::refused(overview, &RULE, findings);
    tunnel::refused_by_socks(overview, &RULE, findings);
}

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let accepted: HashMap<u32, u32> = overview
        .sessions
        .iter()
        .filter(|session| session.handshake.is_upgraded())
        .map(|session| (session.leg.tcp_stream, session.id))
        .collect();
    for session in overview.sessions {
        let Some(refusal) = refusal_of(session) else {
            continue;
        };
        let later = accepted
            .get(&session.leg.tcp_stream)
            .filter(|id| **id > session.id);
        findings.extend(finding(session, refusal, later.copied(), overview));
    }
}

fn finding(
    session: &Session,
    refusal: Refusal,
    later: Option<u32>,
    overview: &Overview<'_>,
) -> Option<Finding> {
    let handshake = &session.handshake;
    let response = handshake.response.as_ref()?;
    let who = responder_of(session);
    let waited = response
        .first
        .time
        .saturating_since(handshake.request.last.time);
    let after = match waited.as_secs() {
        0 => String::new(),
        _ => format!(" after {}", span(waited)),
    };
    let own_name = who.as_ref().map_or("the server", |who| who.name.as_str());
    let back = behind(session, overview.sessions);
    let said = back.map(|back| from_behind(session, back, own_name));
    let name = said
        .as_ref()
        .and_then(|said| said.by.as_deref())
        .unwrap_or(own_name);
    let status = status_text(session, response);
    let summary = match later {
        Some(id) => {
            format!("{name} answered {status} first, and accepted on the same connection: s{id}")
        }
        None => format!("{name} refused the upgrade{after}: {status}"),
    };
    let request = Evidence::new(handshake.request.last, "the upgrade request");
    // Where another finding names the cause, this one only keeps the status.
    let stripped = back.is_some_and(|back| is_stripped_between(session, back))
        || before(session, overview.sessions).is_some_and(|f| is_stripped_between(f, session));
    let severity = match (later, refusal) {
        (None, Refusal::Status) if !stripped => Severity::Error,
        _ => Severity::Info,
    };
    let finding = Finding::new(&RULE, session, unless_unpaired(session), request, summary)
        .severity(severity)
        .evidence(response.first, format!("the answer: {status}"))
        .data("status", Value::Count(u64::from(response.status)))
        .data(
            "kind",
            Value::Text(reading_of(response.status).kind.to_owned()),
        )
        .data("http_ms", Value::Ms(waited));
    let finding = details(finding, session, response, who.as_ref());
    Some(match later {
        Some(_) => finding
            .cause(
                Confidence::Likely,
                "an authentication in two steps on one connection (NTLM, Negotiate)",
            )
            .advice("nothing: the second request went through"),
        None => {
            let finding = match said {
                Some(said) => said.told(finding, session, back),
                None => with_upstream(finding, session, response, overview),
            };
            causes(finding, session, response, who.as_ref())
        }
    })
}

/// `404 Not Found`; the phrase is the server's, so it is looked through and cut.
fn status_text(session: &Session, response: &Response) -> String {
    let phrase = shown(session, &response.reason, 40);
    format!("{} {phrase}", response.status)
        .trim_end()
        .to_owned()
}

fn details(
    mut finding: Finding,
    session: &Session,
    response: &Response,
    who: Option<&Responder>,
) -> Finding {
    if let Some(who) = who {
        finding = finding.data("who", Value::Text(who.name.clone()));
    }
    for (name, field) in [
        ("location", "Location"),
        ("retry_after", "Retry-After"),
        ("supported_versions", "Sec-WebSocket-Version"),
    ] {
        if let Some(value) = response.headers.first(field) {
            let value = Secrets::Redacted.header(field, value);
            finding = finding.data(name, Value::Text(shown(session, &value, 200)));
        }
    }
    let body = body_of(session);
    // A compressed or binary body says nothing to anybody.
    if !body.is_empty() && !body.contains('\u{fffd}') {
        finding = finding.data("body", Value::Text(shown(session, &body, 200)));
    }
    finding
}

/// What the leg behind the proxy shows of the refusal.
struct Behind {
    /// Who refused, where the proxy only passed it on.
    by: Option<String>,
    cause: String,
    what: &'static str,
    at: PacketRef,
}

fn from_behind(front: &Session, back: &Session, proxy: &str) -> Behind {
    let server = back.leg.server;
    let Some(answer) = &back.handshake.response else {
        let reset = back.leg.resets.first().map(|reset| reset.at);
        let ended = back.leg.fin.server.or(reset);
        let (what, at) = match (ended, reset) {
            (Some(at), None) => ("closes without an answer", at),
            (_, Some(at)) => ("resets without an answer", at),
            (None, None) => ("gives no answer", back.handshake.request.last),
        };
        let cause = format!("the upstream {server} {what}");
        let by = None;
        return Behind {
            by,
            cause,
            what,
            at,
        };
    };
    let at = answer.first;
    if front.handshake.status() != Some(answer.status) {
        let cause = format!(
            "the upstream {server} answered {}, and {proxy} made another answer of it",
            answer.status
        );
        let (by, what) = (None, "answers otherwise");
        return Behind {
            by,
            cause,
            what,
            at,
        };
    }
    let who = responder_of(back).filter(|who| !who.is_proxy);
    let by = Some(who.map_or_else(|| "the backend".to_owned(), |who| who.name));
    let cause = format!("the answer is that of the upstream {server}; {proxy} passed it on");
    let what = "answers so first";
    Behind {
        by,
        cause,
        what,
        at,
    }
}

impl Behind {
    fn told(self, finding: Finding, session: &Session, back: Option<&Session>) -> Finding {
        let Some(back) = back else { return finding };
        let confidence =
            joined(session).map_or(Confidence::Possible, |j| confidence_of(j.story.proof));
        let what = format!("the upstream {} {}", back.leg.server, self.what);
        let mut finding = finding
            .evidence(self.at, what)
            .data("upstream", Value::Text(back.leg.server.to_string()))
            .cause(confidence, self.cause);
        finding.tcp_stream = None; // The evidence is of two connections.
        finding.evidence.sort_by_key(|evidence| evidence.at);
        finding
    }
}

/// A connection that failed while a gateway's client waited is most likely the
/// one to its upstream.
fn with_upstream(
    mut finding: Finding,
    session: &Session,
    response: &Response,
    overview: &Overview<'_>,
) -> Finding {
    let waited = |attempt: &&Attempt| {
        attempt.never_opened()
            && attempt.leg.first > session.handshake.request.first
            && attempt.leg.first < response.first
    };
    if !matches!(response.status, 502..=504) {
        return finding;
    }
    let mut failed = overview.attempts.iter().filter(waited);
    let (Some(attempt), None) = (failed.next(), failed.next()) else {
        return finding;
    };
    // A gateway may dial from another address than the one that it is reached at.
    let same_host = attempt.leg.client.ip() == session.leg.server.ip();
    let confidence = if same_host {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let (from, upstream) = (attempt.leg.client.ip(), attempt.leg.server);
    let refused = attempt.leg.resets.iter().any(|reset| reset.refuses_syn);
    let how = match (refused, attempt.leg.unreachable.is_empty()) {
        (true, _) => "it refused a connection meanwhile",
        (false, false) => "the network reported it unreachable meanwhile",
        (false, true) => "a connection to it failed meanwhile",
    };
    finding.tcp_stream = None; // The evidence is of two connections.
    let dial = format!("meanwhile {from} dials {upstream} in vain");
    let mut finding = finding.evidence(attempt.leg.first, dial);
    finding.evidence.sort_by_key(|evidence| evidence.at);
    finding
        .data("upstream", Value::Text(upstream.to_string()))
        .cause(
            confidence,
            format!("the upstream {upstream} can't be reached: {how}"),
        )
}

/// The usual cause is likely where something else in the answer speaks for it.
fn usual_is_likely(session: &Session, response: &Response, who: Option<&Responder>) -> bool {
    let is_proxy = who.is_some_and(|who| who.is_proxy);
    match response.status {
        200..=299 => is_proxy || body_of(session).to_lowercase().contains("<html"),
        429 | 503 => response.headers.first("Retry-After").is_some(),
        502 | 504 => is_proxy,
        300..=399 | 404 | 405 | 410 | 500..=599 => true,
        _ => false,
    }
}

fn causes(
    finding: Finding,
    session: &Session,
    response: &Response,
    who: Option<&Responder>,
) -> Finding {
    let finding = match response.status {
        400 => tunnel::about_proxy_header(finding, session, Confidence::Likely),
        _ => finding,
    };
    let breaches = &session.handshake.request_breaches;
    let version = breaches.iter().any(|b| b.kind.starts_with("version-"));
    let (reading, likely) = match response.status {
        400 | 426 if version => (WRONG_VERSION, true),
        status => (reading_of(status), usual_is_likely(session, response, who)),
    };
    reading
        .causes
        .iter()
        .enumerate()
        .fold(finding, |finding, (place, text)| {
            let confidence = if place == 0 && likely {
                Confidence::Likely
            } else {
                Confidence::Possible
            };
            finding.cause(confidence, *text)
        })
        .advice(reading.advice)
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Finding, Severity, Value};
    use crate::script::Script;

    fn refused(status: &str, fields: &str, body: &str) -> Finding {
        let told = Script::new()
            .handshake()
            .request("")
            .answer(status, fields, body)
            .told();
        told.only("hs-http-status").clone()
    }

    #[test]
    fn the_status_and_who_sent_it_are_told() {
        let page = "<html><center>nginx/1.22.1</center></html>";
        let finding = refused("502 Bad Gateway", "Server: nginx/1.22.1\r\n", page);
        assert_eq!(
            finding.summary,
            "nginx refused the upgrade: 502 Bad Gateway"
        );
        assert_eq!(finding.severity, Severity::Error);
        assert!(finding.data.contains(&("status", Value::Count(502))));
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(6));
    }

    #[test]
    fn a_401_that_a_second_request_overcomes_is_no_failure() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer("401 Unauthorized", "WWW-Authenticate: NTLM\r\n", "")
            .request("")
            .accept("")
            .told();
        let finding = told.only("hs-http-status");
        assert_eq!(finding.severity, Severity::Info);
        assert!(finding.summary.contains("s2"));
        assert!(told.of("auth-rejected").is_empty());
    }

    #[test]
    fn secrets_that_a_server_echoes_stay_out() {
        let told = Script::new()
            .handshake()
            .request("Authorization: Bearer s3cr3t-value-42\r\n")
            .answer("404 Not Found", "", "no route for s3cr3t-value-42")
            .told();
        assert!(!format!("{:?}", told.only("hs-http-status")).contains("s3cr3t-value-42"));
    }

    #[test]
    fn a_502_names_the_upstream_that_was_dialled_in_vain() {
        let told = Script::new()
            .handshake()
            .request("")
            .elsewhere(50_001, Script::syn)
            .answer("502 Bad Gateway", "Server: nginx\r\n", "")
            .told();
        let finding = told.only("hs-http-status");
        assert!(finding.causes[0].text.contains("upstream"), "{finding:?}");
        assert_eq!(finding.tcp_stream, None);
    }

    #[test]
    fn a_page_behind_a_proxy_is_likely_a_stripped_upgrade() {
        let page = "<html>Hello</html>";
        let finding = refused("200 OK", "Server: nginx/1.22.1\r\n", page);
        assert_eq!(finding.causes[0].confidence.name(), "likely");
        let bare = refused("200 OK", "", "ok");
        assert_eq!(bare.causes[0].confidence.name(), "possible");
    }

    #[test]
    fn a_400_behind_a_proxy_header_is_likely_about_it() {
        let header = b"PROXY TCP4 192.0.2.7 192.0.2.2 40001 80\r\n";
        let told = Script::new()
            .handshake()
            .bytes(crate::stream::Direction::ClientToServer, header)
            .request("")
            .answer("400 Bad Request", "", "")
            .told();
        let first = &told.only("hs-http-status").causes[0];
        assert!(first.text.contains("PROXY protocol"));
        let without = refused("400 Bad Request", "", "");
        assert!(!without.causes[0].text.contains("PROXY protocol"));
    }

    #[test]
    fn a_101_is_not_told() {
        assert!(
            Script::new()
                .upgrade()
                .told()
                .of("hs-http-status")
                .is_empty()
        );
    }
}
