//! `auth-token-expired`: the token had run out, or was not valid yet.

use crate::diagnosis::token::{self, Fault, Validity};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Finding, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "auth-token-expired",
    severity: Severity::Error,
    summary: "the server refused a token that had run out, or was not valid yet",
    explain: "\
## What it means
The token that the client sent says by itself that it was no longer, or not yet, to be used at that moment, and the server refused it; or
the server said that it had run out. `data` has its times and whom it is from and for (`iss`, `aud`, `sub`, `iat`, `nbf`, `exp`). They are
read, not verified: what stands in a token is its maker's word. The token and its signature stay out of every report.

## What usually causes it
- The client keeps a token in memory and connects again with it after an hour, or after the machine slept.
- The token is renewed for the HTTP API, and the WebSocket still uses the first one.
- Clocks differ: the issuer's is ahead (`iat` or `nbf` in the future), or that of the machine which checks.

## How to tell them apart
- `data.kind` `expired`: `expired_for_ms` tells how long it had been over. Seconds: a renewal that came too late, or clocks. Hours: nobody renews.
- `not-yet-valid`: a clock. `said`: the server's own words, with a token that tells nothing, or that looks valid by the capture's clock.
- The same client later gets in with another token: renewal works, but not before the first try.
- `auth-retry-same-token` as well: the client doesn't learn from the refusal.

## What to do
Ask for a token right before each connect, not once. On 401 or 4401 renew first, then connect. Let the server accept half a minute of
difference between clocks, and keep NTP running on both.

## References
RFC 7519, sections 4.1.4 to 4.1.6; RFC 6750, section 3.1 (`invalid_token`).
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let Some(no) = token::refused(session) else {
        return;
    };
    let Some((credential, fault)) = token::fault(session, &no) else {
        return;
    };
    let (kind, summary, by) = match fault {
        Fault::Time(Validity::Expired(by)) => {
            let summary = format!(
                "the token had run out {} before it was used, and was refused",
                span(by)
            );
            ("expired", summary, Some(("expired_for_ms", by)))
        }
        Fault::Time(Validity::NotYet(early)) => {
            let summary = format!(
                "the token is valid only {} later, and was refused",
                span(early)
            );
            ("not-yet-valid", summary, Some(("early_by_ms", early)))
        }
        Fault::Said => (
            "said",
            "the server says that the token or session has run out".to_owned(),
            None,
        ),
        Fault::Time(Validity::Valid) | Fault::Form(_) => return,
    };
    // The capture's clock stands in for the server's; its words make up for that.
    let confidence = match (no.says_expired, kind) {
        (true, "expired") => no.confidence,
        _ => no.confidence.min(Confidence::Likely),
    };
    let request = token::request(session, credential.as_ref());
    let open = session.handshake.is_upgraded();
    let severity = if open { Severity::Warn } else { RULE.severity };
    let mut finding = Finding::new(&RULE, session, confidence, request, summary)
        .severity(severity)
        .evidence(no.at, no.what)
        .data("kind", Value::Text(kind.to_owned()));
    if let Some((name, by)) = by {
        finding = finding.data(name, Value::Ms(by));
    }
    let lived = open && session.close[Direction::ServerToClient].is_some();
    let looks_valid =
        kind == "said" && !lived && credential.as_ref().is_some_and(|c| c.jwt.is_some());
    if let Some(credential) = &credential {
        finding = token::told(finding, credential);
    }
    let finding = match (kind, looks_valid, lived) {
        ("not-yet-valid", ..) | (_, true, _) => finding
            .cause(
                Confidence::Likely,
                "clocks differ: the issuer's, or that of the server which checks",
            )
            .cause(
                Confidence::Possible,
                "the server means another limit than the token's own",
            ),
        ("said", _, true) => finding.cause(
            Confidence::Likely,
            "the token ran out while the session was open, and the server ends it then",
        ),
        _ => finding
            .cause(
                Confidence::Likely,
                "the client connects with a token that it has kept, without renewing it",
            )
            .cause(Confidence::Possible, "clocks differ"),
    };
    findings.push(finding.advice(match kind {
        "not-yet-valid" => "compare the clocks of issuer and server (NTP), and let the server tolerate half a minute",
        _ => "get a new token right before each connect, and renew it before retrying after a refusal",
    }));
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, Told};
    use crate::session::jwt_for_tests as token;

    /// The script's clock begins at 1 s; what is asked is told at about that time.
    fn answered(claims: &str, status: &str, body: &str) -> Told {
        Script::new()
            .wait_s(10_000.0)
            .handshake()
            .request(&format!("Authorization: Bearer {}\r\n", token(claims)))
            .answer(status, "", body)
            .told()
    }

    #[test]
    fn a_token_that_had_run_out_is_told_with_its_times_and_without_itself() {
        let told = answered(
            r#"{"sub":"u1","iat":1000,"exp":4600}"#,
            "401 Unauthorized",
            "jwt expired",
        );
        let finding = told.only("auth-token-expired");
        assert_eq!(finding.confidence.name(), "certain");
        let exp = Value::Text("1970-01-01T01:16:40Z".to_owned());
        assert!(finding.data.contains(&("exp", exp)), "{finding:?}");
        assert!(
            finding.summary.contains("1 h 30 min"),
            "{}",
            finding.summary
        );
        assert!(!format!("{finding:?}").contains("eyJ"));
        assert_eq!(told.only("auth-rejected").severity.name(), "info");
    }

    #[test]
    fn a_token_from_the_future_is_a_matter_of_clocks() {
        let told = answered(r#"{"nbf":12000,"exp":99999}"#, "401 Unauthorized", "");
        let finding = told.only("auth-token-expired");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("not-yet-valid".to_owned())))
        );
    }

    #[test]
    fn a_valid_token_or_one_that_was_taken_is_not_told() {
        let valid = answered(r#"{"exp":99999}"#, "401 Unauthorized", "bad audience");
        assert!(valid.of("auth-token-expired").is_empty());
        let taken = Script::new()
            .wait_s(10_000.0)
            .upgrade_with(
                &format!("Authorization: Bearer {}\r\n", token(r#"{"exp":4600}"#)),
                "",
            )
            .told();
        assert!(taken.of("auth-token-expired").is_empty());
    }
}
