//! `tls-legacy-version`: TLS 1.0 or 1.1 is in use.

use crate::diagnosis::dial::{Dial, dials};
use crate::diagnosis::wording::times;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value,
};
use crate::session::Attempt;
use crate::stream::PacketRef;

pub(super) static RULE: Rule = Rule {
    id: "tls-legacy-version",
    severity: Severity::Warn,
    summary: "the connection uses TLS 1.0, TLS 1.1 or SSL 3.0",
    explain: "\
## What it means
Client and server agreed on a version of TLS that is no longer to be used. Browsers refuse it; whoever still gets through is an old client or a
device.

## What usually causes it
- The server's or proxy's settings allow nothing newer, or its TLS library is very old.
- The client is: the ClientHello's highest version is in `data.offered`.

## How to tell them apart
`data.offered` is newer than `data.version`: the server is to blame. They are the same: the client.

## What to do
Enable TLS 1.2 and 1.3 on both sides, and switch the old versions off.

## References
RFC 8996.
",
    checks: &[Check::Session(check), Check::Capture(check_attempts)],
};

const ADVICE: &str =
    "enable TLS 1.2 or newer on both sides; browsers refuse to connect with this version";

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let Some(tls) = session.leg.tls.as_deref() else {
        return;
    };
    let Some((version, at)) = tls.legacy_version() else {
        return;
    };
    let first = Evidence::new(at, "ServerHello");
    let summary = format!("the connection uses {version}");
    let mut finding = Finding::new(&RULE, session, Confidence::Certain, first, summary)
        .data("version", Value::Text(version.to_owned()))
        .advice(ADVICE);
    if let Some(offered) = tls.offered_version() {
        finding = finding.data("offered", Value::Text(offered.to_owned()));
    }
    findings.push(finding);
}

fn legacy(attempt: &Attempt) -> Option<(&'static str, PacketRef)> {
    attempt.leg.tls.as_deref()?.legacy_version()
}

fn check_attempts(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for dial in dials(overview, |attempt| legacy(attempt).is_some()) {
        findings.extend(of_dial(&dial, overview));
    }
}

fn of_dial(dial: &Dial<'_>, overview: &Overview<'_>) -> Option<Finding> {
    let (version, at) = legacy(dial.first)?;
    let again = match dial.count {
        1 => String::new(),
        count => format!(", {}", times(usize::try_from(count).unwrap_or(usize::MAX))),
    };
    let summary = format!("{} and {} use {version}{again}", dial.who(), dial.whom());
    let first = Evidence::new(at, "ServerHello");
    let sure = Confidence::Certain;
    Some(
        dial.finding(overview, &RULE, dial.first, sure, first, summary)
            .data("version", Value::Text(version.to_owned()))
            .advice(ADVICE),
    )
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::script::hello::{client_hello, server_hello};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn chose(minor: u16) -> Script {
        Script::new()
            .handshake()
            .bytes(ClientToServer, &client_hello())
            .bytes(ServerToClient, &server_hello(0x0300 + minor))
    }

    #[test]
    fn a_version_that_nobody_should_use_is_told() {
        for (minor, name) in [(1, "TLS 1.0"), (2, "TLS 1.1")] {
            let told = chose(minor).told();
            let finding = told.only("tls-legacy-version");
            assert!(finding.summary.contains(name), "{}", finding.summary);
            assert_eq!(finding.severity.name(), "warn");
        }
    }

    #[test]
    fn tls_1_2_is_in_order() {
        assert!(chose(3).told().of("tls-legacy-version").is_empty());
    }
}
