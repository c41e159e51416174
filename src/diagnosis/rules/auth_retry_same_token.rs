//! `auth-retry-same-token`: a client comes back with the credential that was refused.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::diagnosis::token::{self, No};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Credential, Session};

pub(super) static RULE: Rule = Rule {
    id: "auth-retry-same-token",
    severity: Severity::Error,
    summary: "a client tries again and again with the same refused credential",
    explain: "\
## What it means
At least three tries carried the very same credential (compared by digest), and the server refused each of them. More tries won't help.

## What usually causes it
- The handler that connects again doesn't look at the status or the code, and takes every failure for a network's.
- The token stands in the URL, and the URL was built once.
- Browsers tell a page nothing of a 401 to a WebSocket: it sees 1006, as for a network failure.

## How to tell them apart
- `auth-token-expired` on the same sessions: the token must be renewed first. `auth-token-malformed`: it never was right.
- Neither: revoked, of another environment, or without this permission.

## What to do
Renew the credential before each try and stop after a second refusal. Since a browser can't see the status, let the server accept and
close with 4401, or ask an HTTP endpoint before connecting.

## References
RFC 6455, sections 4.1 and 7.2.3; RFC 9110, section 15.5.2.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: a second try with the same credential is prudent after a failure that may pass; a third one isn't.
const TRIES: usize = 3;

type Key = (IpAddr, u64);

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let mut refused: BTreeMap<Key, Vec<(&Session, No)>> = BTreeMap::new();
    for trial in &overview.patterns.trials {
        let Some(session) = trial.session else {
            continue;
        };
        let Some(no) = token::refused(session) else {
            continue;
        };
        for credential in token::credentials(session).iter().take(1) {
            let key = (trial.client, credential.digest);
            refused.entry(key).or_default().push((session, no.clone()));
        }
    }
    for ((client, _), tries) in &refused {
        if tries.len() >= TRIES {
            findings.extend(finding(*client, tries));
        }
    }
}

fn finding(client: IpAddr, tries: &[(&Session, No)]) -> Option<Finding> {
    let (first, no) = tries.first()?;
    let (last, last_no) = tries.last()?;
    let credential = token::credentials(first).into_iter().next();
    let place = credential
        .as_ref()
        .map_or("", |c: &Credential| c.place.phrase());
    let lasted = last_no
        .at
        .time
        .saturating_since(first.handshake.request.first.time);
    let count = tries.len();
    let summary = format!(
        "{client} tried {count} times in {} with the same credential {place}, and was refused each time",
        span(lasted)
    );
    let confidence = tries.iter().map(|(_, no)| no.confidence).min()?;
    let request = token::request(first, credential.as_ref());
    let mut found = Finding::new(&RULE, last, confidence, request, summary)
        .evidence(no.at, no.what.clone())
        .data("attempts", Value::Count(count as u64))
        .data("lasted_ms", Value::Ms(lasted))
        .data(
            "sessions",
            Value::List(tries.iter().take(16).map(|(s, _)| s.name()).collect()),
        );
    for (session, no) in tries.iter().skip(1).take(3) {
        let again = "the same credential again";
        found = found
            .evidence(session.handshake.request.last, again)
            .evidence(no.at, no.what.clone());
    }
    found.tcp_stream = None; // The evidence is of several connections.
    let fault = token::fault(first, no).map(|(_, fault)| fault);
    let found = match fault {
        Some(token::Fault::Form(_)) => found.cause(
            Confidence::Likely,
            "the credential was damaged from the start",
        ),
        Some(_) => found.cause(
            Confidence::Likely,
            "the client doesn't renew its token before it tries again",
        ),
        None => found
            .cause(
                Confidence::Likely,
                "the client's handler takes a refusal for a failure that passes",
            )
            .cause(
                Confidence::Possible,
                "the credential was revoked, or is of another environment",
            ),
    };
    let found = match &credential {
        Some(credential) => token::told(found, credential),
        None => found,
    };
    Some(
        found.advice(
            "renew the credential before trying again, and stop when a fresh one is refused",
        ),
    )
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, Told};

    fn tries(tokens: &[&str], status: &str) -> Told {
        let mut script = Script::new();
        for (port, token) in (40_001..).zip(tokens) {
            script = script
                .at_port(port)
                .handshake()
                .request(&format!("Authorization: Bearer {token}\r\n"))
                .answer(status, "", "")
                .fin(crate::stream::Direction::ServerToClient)
                .wait_s(1.0);
        }
        script.told()
    }

    #[test]
    fn three_refusals_of_one_credential_are_one_finding() {
        let told = tries(&["s3cr3t-1", "s3cr3t-1", "s3cr3t-1"], "401 Unauthorized");
        let finding = told.only("auth-retry-same-token");
        assert!(finding.data.contains(&("attempts", Value::Count(3))));
        assert_eq!(finding.confidence.name(), "certain");
        assert!(!format!("{finding:?}").contains("s3cr3t"));
    }

    #[test]
    fn other_credentials_or_other_refusals_are_not_told() {
        let renewed = tries(&["a1", "a2", "a3"], "401 Unauthorized");
        assert!(renewed.of("auth-retry-same-token").is_empty());
        let busy = tries(&["a1", "a1", "a1"], "503 Service Unavailable");
        assert!(busy.of("auth-retry-same-token").is_empty());
        let twice = tries(&["a1", "a1"], "401 Unauthorized");
        assert!(twice.of("auth-retry-same-token").is_empty());
    }
}
