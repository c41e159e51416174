//! A proxy answered CONNECT with a status other than 2xx (`hs-http-status`).

use std::time::Duration;

use super::{ASKS_FOR_CREDENTIALS, Failure, failures};
use crate::diagnosis::refusal::without;
use crate::diagnosis::responder::responder;
use crate::diagnosis::{Confidence, Evidence, Finding, Overview, Rule, Value};
use crate::session::Response;
use Confidence::{Likely, Possible};

/// Rationale: a client that has credentials asks again within a round trip or two.
const RETRY: Duration = Duration::from_secs(1);

/// The refused CONNECTs that no later one overcame.
pub(in crate::diagnosis) fn check(
    overview: &Overview<'_>,
    rule: &'static Rule,
    findings: &mut Vec<Finding>,
) {
    for failure in failures(overview, |_, request| request.response.is_some()) {
        findings.extend(finding(&failure, overview, rule));
    }
}

fn finding(failure: &Failure<'_>, overview: &Overview<'_>, rule: &'static Rule) -> Option<Finding> {
    let (attempt, request) = (failure.first, failure.request);
    let response = request.response.as_ref()?;
    let clean = |text: &str, len| without(&request.secrets, text, len);
    let status = format!("{} {}", response.status, clean(&response.reason, 40));
    let status = status.trim_end();
    let body = String::from_utf8_lossy(&request.body);
    let who = responder(response, &body);
    let name = who.map(|who| who.name);
    let proxy = match &name {
        Some(name) => format!("the proxy {} ({name})", failure.proxy()),
        None => format!("the proxy {}", failure.proxy()),
    };
    let summary = format!(
        "{proxy} refused a tunnel to {}: {status}{}",
        failure.whom(),
        failure.times()
    );
    let asked = Evidence::new(request.last, "CONNECT, client to proxy");
    let leg = &attempt.leg;
    let seen_after = attempt.horizon.time.saturating_since(response.last.time);
    let first_step = response.status == ASKS_FOR_CREDENTIALS && request.credentials.is_none();
    let confidence = match first_step && seen_after < RETRY {
        // The capture may have ended before the same request with credentials.
        true => Confidence::Likely,
        false => Confidence::Certain,
    };
    let mut finding = Finding::of_connection(rule, leg, confidence, asked, summary);
    for earlier in attempt.connects.iter() {
        if let Some(answer) = &earlier.response
            && answer.first < response.first
        {
            let what = format!("an earlier CONNECT was answered {}", answer.status);
            finding = finding.evidence(answer.first, what);
        }
    }
    finding = failure
        .dressed(finding, rule)
        .evidence(response.first, format!("the answer: {status}"))
        .data("status", Value::Count(u64::from(response.status)));
    finding.evidence.sort_by_key(|evidence| evidence.at);
    if let Some(name) = name {
        finding = finding.data("who", Value::Text(name));
    }
    for (data, field) in [
        ("via", "Via"),
        ("error", "X-Squid-Error"),
        ("retry_after", "Retry-After"),
    ] {
        if let Some(value) = response.headers.first(field) {
            finding = finding.data(data, Value::Text(clean(value, 200)));
        }
    }
    if let Some(scheme) = &request.credentials {
        finding = finding.data("credentials", Value::Text(clean(scheme, 20)));
    }
    let schemes = schemes_of(response);
    if !schemes.is_empty() {
        finding = finding.data("schemes", Value::List(schemes.clone()));
    }
    if !body.is_empty() && !body.contains('\u{fffd}') {
        finding = finding.data("body", Value::Text(clean(&body, 200)));
    }
    let finding = with_dial(finding, failure, response, overview);
    Some(with_causes(finding, failure, response, &schemes))
}

/// The schemes of Proxy-Authenticate (RFC 9110, section 11.7.1), each once.
fn schemes_of(response: &Response) -> Vec<String> {
    let mut schemes: Vec<String> = Vec::new();
    for value in response.headers.all("Proxy-Authenticate") {
        // What is quoted may hold commas.
        let bare: String = value.split('"').step_by(2).collect();
        for part in bare.split(',') {
            let word = part.split_whitespace().next().unwrap_or_default();
            let is_scheme = word.len() <= 20
                && word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            if is_scheme && !schemes.iter().any(|s| s.eq_ignore_ascii_case(word)) {
                schemes.push(word.to_owned());
            }
        }
    }
    schemes.truncate(8);
    schemes
}

/// A connection of the proxy that failed while its client waited is most likely
/// the one to the target.
fn with_dial(
    finding: Finding,
    failure: &Failure<'_>,
    response: &Response,
    overview: &Overview<'_>,
) -> Finding {
    if !matches!(response.status, 500..=504) {
        return finding;
    }
    let mut failed = overview.attempts.iter().filter(|other| {
        other.never_opened()
            && other.leg.client.ip() == failure.proxy().ip()
            && other.leg.first > failure.request.first
            && other.leg.first < response.first
    });
    let (Some(dial), None) = (failed.next(), failed.next()) else {
        return finding;
    };
    let target = dial.leg.server;
    let mut finding = finding.evidence(dial.leg.first, format!("the proxy dials {target} in vain"));
    finding.tcp_stream = None; // The evidence is of two connections.
    finding.evidence.sort_by_key(|evidence| evidence.at);
    let text = format!("{target} can't be reached: the proxy's connection to it failed meanwhile");
    finding
        .data("upstream", Value::Text(target.to_string()))
        .cause(Likely, text)
}

fn with_causes(
    finding: Finding,
    failure: &Failure<'_>,
    response: &Response,
    schemes: &[String],
) -> Finding {
    let target = failure.whom();
    match response.status {
        407 => about_credentials(finding, failure, schemes),
        400 | 404 | 405 | 501 => finding
            .cause(Likely, "what listens there is no proxy, or none that opens tunnels")
            .cause(Possible, "the proxy takes CONNECT to certain ports only")
            .advice("check the proxy's address and port in the client's settings (HTTPS_PROXY, PAC file)"),
        401 | 403 | 451 => {
            let odd_port = !failure.request.target.ends_with(":443");
            let port = if odd_port { Likely } else { Possible };
            finding
                .cause(port, "the proxy's rules forbid tunnels to this port: many allow 443 alone")
                .cause(Possible, "the proxy's rules forbid this host, or this client")
                .advice(format!("have the proxy's rules allow CONNECT to {target}, or let the server listen on 443"))
        }
        429 => finding
            .cause(Likely, "a limit of the proxy")
            .advice("let clients wait longer between attempts, with a random part"),
        500..=599 => about_target(finding, response)
            .advice(format!("from the proxy's host, try to reach {target}: name, route, firewall")),
        _ => finding
            .cause(Possible, "the proxy doesn't open tunnels for this client or this target")
            .advice("look in the proxy's log, at the time of the answer"),
    }
}

fn about_credentials(finding: Finding, failure: &Failure<'_>, schemes: &[String]) -> Finding {
    let offered = schemes.join(", ");
    let is_offered = |sent: &str| schemes.iter().any(|s| s.eq_ignore_ascii_case(sent));
    let only_windows = !schemes.is_empty()
        && schemes
            .iter()
            .all(|s| ["ntlm", "negotiate", "kerberos"].contains(&s.to_ascii_lowercase().as_str()));
    let finding = match &failure.request.credentials {
        Some(sent) if is_offered(sent) || schemes.is_empty() => finding
            .cause(Likely, "the proxy doesn't accept the credentials that the client sent: wrong, expired, or of another realm"),
        Some(_) => finding.cause(
            Likely,
            format!("the client's credentials are of another scheme than the proxy offers ({offered})"),
        ),
        None => finding.cause(Likely, "the client sent no credentials to the proxy"),
    };
    let finding = match only_windows {
        true => finding.cause(
            Possible,
            format!("the client's WebSocket library can't authenticate by {offered}"),
        ),
        false => finding,
    };
    finding.advice(match (only_windows, offered.is_empty()) {
        (true, _) => "give the client a proxy login that it can use, or let the proxy pass this target without one".to_owned(),
        (false, true) => "give the client the credentials of the proxy".to_owned(),
        (false, false) => format!("give the client credentials of the proxy ({offered}), in its proxy setting"),
    })
}

/// Squid says in a field of its own what went wrong.
fn about_target(finding: Finding, response: &Response) -> Finding {
    let error = response.headers.first("X-Squid-Error").unwrap_or_default();
    let has = |word: &str| error.contains(word);
    match response.status {
        _ if has("DNS") => finding.cause(Likely, "the proxy can't resolve the target's name"),
        _ if has("CONNECT_FAIL") => finding.cause(
            Likely,
            "the target refuses the proxy's connection, or can't be reached",
        ),
        503 => finding
            .cause(Possible, "the proxy can't resolve or reach the target")
            .cause(Possible, "overload or a limit of the proxy"),
        504 => finding.cause(
            Likely,
            "the target didn't answer the proxy in time: a firewall drops, or the host is gone",
        ),
        502 => finding.cause(
            Likely,
            "the target refuses the proxy's connection, or its name can't be resolved",
        ),
        _ => finding.cause(Possible, "the proxy failed to reach the target"),
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Finding, Severity, Subject, Value};
    use crate::script::{Script, Told};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn ask(script: Script, more: &str) -> Script {
        let head = format!("CONNECT ws.test:443 HTTP/1.1\r\nHost: ws.test:443\r\n{more}\r\n");
        script.bytes(ClientToServer, head.as_bytes())
    }

    fn open(script: Script) -> Script {
        script.bytes(ServerToClient, b"HTTP/1.1 200 OK\r\n\r\n")
    }

    fn refused(more: &str, status: &str, fields: &str) -> Finding {
        let script = ask(Script::new().handshake(), more);
        let told = script
            .answer(status, fields, "")
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        told.only("hs-http-status").clone()
    }

    fn causes(finding: &Finding) -> Vec<&str> {
        finding.causes.iter().map(|c| c.text.as_str()).collect()
    }

    #[test]
    fn a_407_names_the_proxy_its_schemes_and_the_missing_credentials() {
        let fields = "Server: squid/5.7\r\nProxy-Authenticate: Basic realm=\"a, NTLM\"\r\nProxy-Authenticate: Digest x=1, Basic y=2\r\n";
        let finding = refused("", "407 Proxy Authentication Required", fields);
        assert_eq!(
            finding.summary,
            "the proxy 10.0.0.2:8080 (Squid) refused a tunnel to ws.test:443: 407 Proxy Authentication Required"
        );
        assert_eq!(finding.severity, Severity::Error);
        assert!(matches!(finding.subject, Subject::Connection { .. }));
        for expected in [
            ("kind", Value::Text("connect".to_owned())),
            ("status", Value::Count(407)),
            (
                "schemes",
                Value::List(vec!["Basic".to_owned(), "Digest".to_owned()]),
            ),
        ] {
            assert!(finding.data.contains(&expected), "{expected:?}");
        }
        assert!(causes(&finding)[0].contains("no credentials"));
    }

    #[test]
    fn credentials_are_told_by_their_scheme_alone() {
        let secret = "Proxy-Authorization: Basic Ym9iOnMzY3IzdA==\r\n";
        let fields = "Proxy-Authenticate: Basic\r\nX-Squid-Error: Ym9iOnMzY3IzdA==\r\n";
        let finding = refused(secret, "407 Ym9iOnMzY3IzdA==", fields);
        assert!(causes(&finding)[0].contains("doesn't accept the credentials"));
        assert!(!format!("{finding:?}").contains("Ym9i"));
        let other = refused(secret, "407 Auth", "Proxy-Authenticate: Negotiate\r\n");
        assert!(causes(&other)[0].contains("another scheme"));
    }

    #[test]
    fn a_407_before_a_tunnel_is_a_step_on_the_way() {
        let auth = "Proxy-Authenticate: NTLM\r\n";
        let first = || ask(Script::new().handshake(), "").answer("407 Auth", auth, "no");
        let same = open(ask(first(), "Proxy-Authorization: NTLM x\r\n"));
        let again = first().fin(ServerToClient).fin(ClientToServer);
        let next = open(ask(again.at_port(40_002).handshake(), ""));
        for told in [same.told(), next.told()] {
            assert!(told.of("hs-http-status").is_empty());
        }
    }

    #[test]
    fn a_capture_that_ends_behind_a_407_may_lack_the_next_step() {
        let asked = || ask(Script::new().handshake(), "");
        let refused = || asked().answer("407 Auth", "", "").fin(ClientToServer);
        let sure = |told: Told| told.only("hs-http-status").confidence.name();
        assert_eq!(sure(refused().told()), "likely");
        assert_eq!(
            sure(refused().wait_s(2.0).fin(ServerToClient).told()),
            "certain"
        );
    }

    #[test]
    fn a_refusal_that_the_next_attempt_overcomes_is_worth_knowing_only() {
        let first = ask(Script::new().handshake(), "").answer("503 Busy", "", "");
        let told = open(ask(first.at_port(40_002).handshake(), "")).told();
        assert_eq!(told.only("hs-http-status").severity, Severity::Info);
    }

    #[test]
    fn the_port_weighs_where_the_proxy_forbids() {
        let finding = refused("", "403 Forbidden", "");
        assert!(causes(&finding)[0].contains("port"));
        assert_eq!(finding.causes[0].confidence.name(), "possible");
    }

    #[test]
    fn a_502_names_the_target_that_the_proxy_dialled_in_vain() {
        let fields = "X-Squid-Error: ERR_DNS_FAIL 0\r\n";
        let finding = refused("", "503 Service Unavailable", fields);
        assert!(causes(&finding)[0].contains("resolve"));
        let finding = refused("", "504 Gateway Timeout", "");
        assert!(causes(&finding)[0].contains("in time"));
    }

    #[test]
    fn a_refused_tunnel_among_other_traffic_may_be_anybodys() {
        let browse = |script: Script| {
            script
                .at_port(40_002)
                .handshake()
                .bytes(ClientToServer, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                .answer("200 OK", "", "hi")
        };
        let refusal = || ask(Script::new().handshake(), "").answer("403 Forbidden", "", "");
        let severity = |told: Told| told.only("hs-http-status").severity;
        assert_eq!(severity(browse(refusal()).told()), Severity::Info);
        // A session with the same target elsewhere ties it to WebSocket.
        let session = refusal().at_host(7).handshake();
        let tied = open(ask(session, "")).request("").accept("");
        assert_eq!(severity(tied.told()), Severity::Error);
    }
}
