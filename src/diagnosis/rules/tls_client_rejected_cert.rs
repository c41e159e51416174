//! `tls-client-rejected-cert`: the client left when it had seen the server's certificate.

use std::collections::BTreeSet;

use crate::diagnosis::dial::{Dial, dials};
use crate::diagnosis::tls::{Left, check_command, problem_in_words, rejection};
use crate::diagnosis::wording::{span, times};
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Attempt, CertificateProblem, Leg, Tls};

pub(super) static RULE: Rule = Rule {
    id: "tls-client-rejected-cert",
    severity: Severity::Error,
    summary: "the client left as soon as it had seen the server's certificate",
    explain: "\
## What it means
The server sent its half of the TLS handshake with its certificate, and the client never completed its own: it sent an alert about the
certificate, or one record of the size of an alert (`data.kind` `sealed-alert`: browsers encrypt it in TLS 1.3), or simply ended TCP
(`silent`: Python's asyncio and Node do so). Node looks at the certificate last: in TLS 1.2 it completes the handshake and then hangs up
(`late`; told only where the certificate shows a reason). A browser's page learns nothing but `error` and a close event with 1006.

## What usually causes it
- The certificate has expired, or isn't valid yet, or one of the two clocks is wrong.
- It is for other names than the one in the URL.
- The client doesn't know who signed it: self-signed, a private authority, or the intermediate certificate isn't sent along.
- A proxy in between that shows a certificate of its own.

## How to tell them apart
- `certificate_expired`, `unknown_ca`, `bad_certificate`: the alert names the reason. Browsers mostly send `certificate_unknown` for all of them.
- In TLS 1.2 the certificate is in the clear and `data.problems` says what is wrong with it. In TLS 1.3 that takes keys; `data.unchecked`
  names what could not be looked at.
- The issuer differs between clients of the same host (`data.issuer`, `data.other_issuer`): something intercepts, or the host has two
  certificates.
- An alert-sized record or a bare end may also be a client that was closed while it connected: then nothing is wrong with the certificate,
  and other connections of the same client get through.

## What to do
Look at what the server shows: `openssl s_client -connect HOST:PORT -servername NAME -showcerts`. Install the full chain; renew; or give the
client the authority that it lacks.

## References
RFC 8446, sections 4.4.2 and 6.2; RFC 5280; RFC 9525.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let manners: BTreeSet<Manner> = overview.attempts.iter().filter_map(manner).collect();
    for of_manner in manners {
        let fits = |attempt: &Attempt| manner(attempt) == Some(of_manner);
        for dial in dials(overview, fits) {
            findings.extend(of_dial(&dial, overview));
        }
    }
}

/// What clients have in common that left in the same way: what they said, if
/// anything, and whether the certificate shows a reason.
type Manner = (Left, bool);

fn manner(attempt: &Attempt) -> Option<Manner> {
    let rejected = rejection(attempt)?;
    let problems = attempt.leg.tls.as_deref()?.certificate_problems();
    Some((rejected.how, problems.iter().any(|p| p.is_refused())))
}

fn of_dial(dial: &Dial<'_>, overview: &Overview<'_>) -> Option<Finding> {
    let attempt = dial.first;
    let rejected = rejection(attempt)?;
    let leg = &attempt.leg;
    let tls = leg.tls.as_deref()?;
    let problems: Vec<_> = tls.certificate_problems();
    let readable = tls.certificate().is_some();
    let of_silence = match problems.iter().any(|p| p.is_refused()) {
        true => Confidence::Likely,
        false => Confidence::Possible,
    };
    let (kind, what, confidence) = match rejected.how {
        Left::Told(alert) => (
            alert.name(),
            format!("with the TLS alert {}", alert.name()),
            Confidence::Certain,
        ),
        Left::Sealed => (
            "sealed-alert",
            "with an encrypted record of the size of an alert".to_owned(),
            Confidence::Likely,
        ),
        Left::Silently => ("silent", "without a word".to_owned(), of_silence),
        Left::Late => (
            "late",
            "without a word once the handshake was complete".to_owned(),
            of_silence,
        ),
    };
    let waited = rejected.at.time.saturating_since(rejected.shown.time);
    let again = match dial.count {
        1 => String::new(),
        count => format!(", {}", times(usize::try_from(count).unwrap_or(usize::MAX))),
    };
    let summary = format!(
        "{} refused the certificate of {} {what}, {} after it came{again}",
        dial.who(),
        dial.whom(),
        span(waited)
    );
    let first = Evidence::new(
        rejected.shown,
        if readable {
            "the server's certificate"
        } else {
            "the server's part of the handshake, encrypted"
        },
    );
    let end = match rejected.how {
        Left::Told(alert) => format!("alert {}, client to server", alert.name()),
        Left::Sealed => "the client's only encrypted record, no Finished".to_owned(),
        Left::Silently => "the client ends TCP, no Finished before it".to_owned(),
        Left::Late => "the client ends TCP, nothing but its Finished before it".to_owned(),
    };
    let mut finding = dial
        .finding(overview, &RULE, attempt, confidence, first, summary)
        .evidence(rejected.at, end)
        .data("kind", Value::Text(kind.to_owned()));
    if let Some(name) = tls.server_name() {
        finding = finding.data("server_name", Value::Text(name.to_owned()));
    }
    finding = if readable {
        of_fields(intercepted(finding, leg, overview), tls, &problems)
    } else {
        let fields = ["validity", "names", "chain"].map(str::to_owned).to_vec();
        finding
            .data("unchecked", Value::List(fields))
            .cause(
                Confidence::Possible,
                "what is wrong with the certificate can't be told: TLS 1.3 encrypts it, and there are no keys for it",
            )
    };
    finding = match rejected.how {
        Left::Told(alert) => match reason(alert.description) {
            Some(why) => finding.cause(Confidence::Likely, why),
            None => finding,
        },
        Left::Sealed | Left::Silently | Left::Late => finding.cause(
            Confidence::Possible,
            "the client was closed while it connected, and has nothing against the certificate",
        ),
    };
    Some(finding.advice(format!(
        "look at what the server shows: {}",
        check_command(leg)
    )))
}

/// Who signed it, where another client of the same host was shown a certificate
/// that somebody else signed.
fn intercepted(finding: Finding, leg: &Leg, overview: &Overview<'_>) -> Finding {
    let issuer = |leg: &Leg| {
        let (leaf, _) = leg.tls.as_deref()?.certificate()?;
        Some(leaf.issuer.clone())
    };
    let name = |leg: &Leg| {
        let name = leg.tls.as_deref()?.server_name()?;
        Some(name.to_ascii_lowercase())
    };
    let Some(own) = issuer(leg) else {
        return finding;
    };
    let same_host = |other: &&Leg| match (name(leg), name(other)) {
        (Some(own), Some(other)) => own == other,
        (None, None) => other.server == leg.server,
        _ => false,
    };
    let sessions = overview.sessions.iter().map(|session| &*session.leg);
    let attempts = overview.attempts.iter().map(|attempt| &attempt.leg);
    let other = sessions
        .chain(attempts)
        .filter(|other| other.client.ip() != leg.client.ip())
        .filter(same_host)
        .find_map(|other| issuer(other).filter(|issuer| *issuer != own));
    match other {
        None => finding,
        Some(other) => finding
            .data("issuer", Value::Text(own))
            .data("other_issuer", Value::Text(other))
            .cause(
                Confidence::Possible,
                "something in between shows a certificate of its own: another client of the same host was shown one that somebody else signed",
            ),
    }
}

/// What the certificate itself shows.
fn of_fields(mut finding: Finding, tls: &Tls, problems: &[CertificateProblem]) -> Finding {
    for problem in problems.iter().filter(|p| p.is_refused()) {
        finding = finding.cause(Confidence::Likely, problem_in_words(*problem, tls));
    }
    let mut names: Vec<String> = problems.iter().map(|p| p.name().to_owned()).collect();
    let chain = tls.certificates.server.as_ref().map(|(chain, _)| chain);
    if let Some([alone]) = chain.map(Vec::as_slice) {
        let (kind, cause) = if alone.self_issued {
            (
                "self-signed",
                "it is signed by itself: the client has to be told to trust it",
            )
        } else {
            (
                "chain-of-one",
                "the client doesn't know its issuer, or the server doesn't send the intermediate certificate: it sends one certificate only",
            )
        };
        names.push(kind.to_owned());
        finding = finding.cause(Confidence::Possible, cause);
    }
    finding.data("problems", Value::List(names))
}

/// What the client's alert says.
fn reason(description: u8) -> Option<&'static str> {
    Some(match description {
        42 => "the client says that it is bad: often the wrong name",
        43 => "the client says that it doesn't support this kind of certificate",
        44 => "the client says that it was revoked",
        45 => "the client says that it has expired or isn't valid yet",
        48 => "the client says that it doesn't know the authority that signed it",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::diagnosis::{Finding, Thresholds, diagnose_capture};
    use crate::script::Script;
    use crate::script::hello::{client_hello, record, server_hello};
    use crate::session::{Certificate, Leg};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// TLS 1.3 up to the server's protected flight.
    fn shown() -> Script {
        Script::new()
            .handshake()
            .bytes(ClientToServer, &client_hello())
            .bytes(ServerToClient, &server_hello(0x0304))
            .bytes(ServerToClient, &record(23, &[7; 900]))
    }

    #[test]
    fn an_alert_about_the_certificate_is_certain() {
        let told = shown()
            .bytes(ClientToServer, &record(21, &[2, 48]))
            .fin(ClientToServer)
            .told();
        let finding = told.only("tls-client-rejected-cert");
        assert_eq!(finding.confidence.name(), "certain");
        assert_eq!(finding.severity.name(), "error");
        assert!(
            finding.summary.contains("unknown_ca"),
            "{}",
            finding.summary
        );
        // The root cause is told loudly once.
        assert_eq!(told.only("tls-alert").severity.name(), "info");
    }

    #[test]
    fn a_record_of_the_size_of_an_alert_and_a_fin_are_likely_one() {
        let told = shown()
            .bytes(ClientToServer, &record(20, &[1]))
            .bytes(ClientToServer, &record(23, &[7; 19]))
            .fin(ClientToServer)
            .told();
        let finding = told.only("tls-client-rejected-cert");
        assert_eq!(finding.confidence.name(), "likely");
        assert!(told.of("tls-alert").is_empty());
    }

    #[test]
    fn a_bare_fin_may_be_one() {
        let told = shown().fin(ClientToServer).told();
        assert_eq!(
            told.only("tls-client-rejected-cert").confidence.name(),
            "possible"
        );
    }

    #[test]
    fn clients_that_leave_in_different_ways_are_told_apart() {
        let told = shown()
            .fin(ClientToServer)
            .fin(ServerToClient)
            .at_port(40_001)
            .handshake()
            .bytes(ClientToServer, &client_hello())
            .bytes(ServerToClient, &server_hello(0x0304))
            .bytes(ServerToClient, &record(23, &[7; 900]))
            .bytes(ClientToServer, &record(21, &[2, 48]))
            .fin(ClientToServer)
            .told();
        let found = told.of("tls-client-rejected-cert");
        let confidence: Vec<_> = found.iter().map(|f| f.confidence.name()).collect();
        assert_eq!(confidence, ["certain", "possible"]);
    }

    #[test]
    fn what_the_server_says_behind_the_clients_end_is_not_why_it_left() {
        let told = shown()
            .fin(ClientToServer)
            .bytes(ServerToClient, &record(21, &[2, 50]))
            .fin(ServerToClient)
            .told();
        told.only("tls-client-rejected-cert");
        assert!(told.of("tls-alert").is_empty());
    }

    #[test]
    fn a_client_that_finishes_takes_the_certificate() {
        let told = shown()
            .bytes(ClientToServer, &record(23, &[7; 53]))
            .bytes(ClientToServer, &record(23, &[7; 19]))
            .fin(ClientToServer)
            .told();
        assert!(told.of("tls-client-rejected-cert").is_empty());
    }

    #[test]
    fn a_server_that_leaves_first_is_no_refusal() {
        let told = shown().fin(ServerToClient).fin(ClientToServer).told();
        assert!(told.of("tls-client-rejected-cert").is_empty());
    }

    /// Why a client refused a certificate that `one` signed, where another client of the host was shown one of `other`.
    fn told_beside(other: &str) -> Finding {
        let mut told = shown()
            .fin(ClientToServer)
            .at_host(9)
            .at_port(40_001)
            .upgrade()
            .told();
        let certify = |leg: &mut Leg, issuer: &str| {
            let at = leg.first;
            let leaf = Certificate {
                subject: "CN=a.test".to_owned(),
                issuer: issuer.to_owned(),
                names: vec!["a.test".to_owned()],
                not_before: at.time,
                not_after: at.time.saturating_add(Duration::from_secs(86_400 * 90)),
                self_issued: false,
                authority: false,
            };
            let tls = leg.tls.get_or_insert_default();
            tls.certificates.server = Some((vec![leaf], at));
        };
        certify(&mut told.attempts[0].leg, "CN=one");
        certify(&mut told.sessions[0].leg, other);
        let all = diagnose_capture(
            &told.sessions,
            &told.attempts,
            &told.capture,
            &Thresholds::default(),
        );
        let ours = |finding: &Finding| finding.rule.id == super::RULE.id;
        all.into_iter().find(ours).expect("a refusal")
    }

    #[test]
    fn an_issuer_that_other_clients_are_not_shown_may_intercept() {
        let other =
            |finding: &Finding| finding.data.iter().any(|(name, _)| *name == "other_issuer");
        assert!(other(&told_beside("CN=two")));
        assert!(!other(&told_beside("CN=one")));
    }
}
