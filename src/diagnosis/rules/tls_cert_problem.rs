//! `tls-cert-problem`: the server's certificate is expired, not yet valid, for another name, or ends soon.

use std::collections::BTreeSet;

use crate::diagnosis::dial::{Dial, dials};
use crate::diagnosis::tls::{check_command, problem_in_words, rejection};
use crate::diagnosis::wording::times;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value,
};
use crate::session::{Attempt, CertificateProblem, Leg, Tls};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "tls-cert-problem",
    severity: Severity::Error,
    summary: "something is wrong with the server's certificate",
    explain: "\
## What it means
The certificate that the server showed is expired, not valid yet, for another name than the one that the client asked for (SNI), or ends within
14 days. It is judged at the time of its packet. In TLS 1.3 the certificate can only be read with keys.

## What usually causes it
- A renewal that failed, or a server that wasn't reloaded after it.
- A new name without a new certificate; a default certificate where the name isn't configured.
- The clock of the capturing machine is wrong: then the dates here are, too.

## How to tell them apart
- `tls-client-rejected-cert` beside it: the client noticed, and this is the reason; it is told there aloud and here as information.
- Alone, as a warning: this client doesn't check, or it asked for more than it shows. Others will refuse it.

## What to do
Renew the certificate, or add the name, and reload the server; `openssl s_client -connect HOST:PORT -servername NAME` shows what it serves.

## References
RFC 5280, section 4.1.2.5; RFC 9525.
",
    checks: &[Check::Session(check), Check::Capture(check_attempts)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let Some(tls) = session.leg.tls.as_deref() else {
        return;
    };
    let Some((problem, first, what)) = gravest(tls) else {
        return;
    };
    // The client took it, so it breaks nothing here.
    let finding =
        Finding::new(&RULE, session, Confidence::Certain, first, what).severity(Severity::Warn);
    findings.push(told(finding, problem, tls, &session.leg));
}

fn gravest(tls: &Tls) -> Option<(CertificateProblem, Evidence, String)> {
    let problem = *tls.certificate_problems().first()?;
    let (_, at) = tls.certificate()?;
    let summary = problem_in_words(problem, tls);
    Some((
        problem,
        Evidence::new(at, "the server's certificate"),
        summary,
    ))
}

fn check_attempts(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let problem = |attempt: &Attempt| {
        let tls = attempt.leg.tls.as_deref()?;
        tls.certificate_problems().first().copied()
    };
    let problems: BTreeSet<CertificateProblem> =
        overview.attempts.iter().filter_map(problem).collect();
    for of_problem in problems {
        for dial in dials(overview, |attempt| problem(attempt) == Some(of_problem)) {
            findings.extend(of_dial(&dial, overview));
        }
    }
}

fn of_dial(dial: &Dial<'_>, overview: &Overview<'_>) -> Option<Finding> {
    let leg = &dial.first.leg;
    let tls = leg.tls.as_deref()?;
    let (problem, first, what) = gravest(tls)?;
    let again = match dial.count {
        1 => String::new(),
        count => format!(
            ", shown {}",
            times(usize::try_from(count).unwrap_or(usize::MAX))
        ),
    };
    let summary = format!("{}: {what}{again}", dial.whom());
    let sure = Confidence::Certain;
    let finding = dial.finding(overview, &RULE, dial.first, sure, first, summary);
    // Where the client refused it, `tls-client-rejected-cert` tells it aloud.
    let most = match problem {
        _ if rejection(dial.first).is_some() => Severity::Info,
        CertificateProblem::EndsSoon => Severity::Warn,
        _ if tls.has_finished(Direction::ClientToServer) => Severity::Warn,
        _ => Severity::Error,
    };
    let severity = finding.severity.min(most);
    Some(told(finding.severity(severity), problem, tls, leg))
}

fn told(finding: Finding, problem: CertificateProblem, tls: &Tls, leg: &Leg) -> Finding {
    let problems = tls.certificate_problems();
    let names = problems.iter().map(|p| p.name().to_owned()).collect();
    let mut finding = finding
        .data("kind", Value::Text(problem.name().to_owned()))
        .data("problems", Value::List(names));
    if let Some((leaf, _)) = tls.certificate() {
        finding = finding
            .data("subject", Value::Text(leaf.subject.clone()))
            .data("issuer", Value::Text(leaf.issuer.clone()))
            .data("names", Value::List(leaf.names.clone()));
    }
    if let Some(name) = tls.server_name() {
        finding = finding.data("server_name", Value::Text(name.to_owned()));
    }
    let more = problems.iter().skip(1);
    for other in more {
        finding = finding.cause(
            Confidence::Certain,
            format!("beside that, {}", problem_in_words(*other, tls)),
        );
    }
    let what = match problem {
        CertificateProblem::Expired | CertificateProblem::EndsSoon => {
            "renew it, and reload the server"
        }
        CertificateProblem::NotYetValid => "check the clocks, or wait",
        CertificateProblem::WrongName => "serve a certificate for this name, or change the URL",
    };
    finding.advice(format!("{what}: {}", check_command(leg)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::diagnosis::{Finding, Thresholds, diagnose};
    use crate::script::Script;
    use crate::session::{Certificate, Tls};

    /// A session that opened although the server's certificate ends so long after it, or before.
    fn shown(left: Duration, ended: Duration) -> Vec<Finding> {
        let mut told = Script::new().upgrade().told();
        let session = &mut told.sessions[0];
        let at = session.leg.first;
        let until = at.time.saturating_add(left).saturating_sub(ended);
        let leaf = Certificate {
            subject: "CN=a.test".to_owned(),
            issuer: "CN=root".to_owned(),
            names: vec!["a.test".to_owned()],
            not_before: at.time.saturating_sub(Duration::from_secs(86_400 * 90)),
            not_after: until,
            self_issued: false,
            authority: false,
        };
        let mut tls = Tls::default();
        tls.certificates.server = Some((vec![leaf], at));
        session.leg.tls = Some(Box::new(tls));
        let findings = diagnose(session, &told.capture, &Thresholds::default());
        let ours = |finding: &Finding| finding.rule.id == super::RULE.id;
        findings.into_iter().filter(ours).collect()
    }

    fn days(days: u64) -> Duration {
        Duration::from_secs(86_400 * days)
    }

    #[test]
    fn what_a_client_took_although_it_had_expired_is_a_warning() {
        let found = shown(Duration::ZERO, days(3));
        let told: Vec<_> = found
            .iter()
            .map(|f| (f.severity.name(), f.summary.as_str()))
            .collect();
        let summary = "the certificate had expired 3 days before the handshake";
        assert_eq!(told, [("warn", summary)]);
    }

    #[test]
    fn what_ends_within_two_weeks_is_told_and_later_is_not() {
        assert_eq!(shown(days(13), Duration::ZERO).len(), 1);
        assert!(shown(days(15), Duration::ZERO).is_empty());
    }
}
