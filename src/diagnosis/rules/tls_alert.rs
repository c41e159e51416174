//! `tls-alert`: a fatal alert of TLS ended the attempt.

use std::collections::BTreeSet;

use crate::diagnosis::client_certificate;
use crate::diagnosis::dial::{Dial, dials};
use crate::diagnosis::tls::{check_command, ending_alert, rejection};
use crate::diagnosis::wording::times;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Kind, Overview, Rule, Severity, Value,
};
use crate::session::{AlertSeen, Attempt};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "tls-alert",
    severity: Severity::Error,
    summary: "a fatal TLS alert ended the connection",
    explain: "\
## What it means
One side of TLS gave up and said why, in one word: an alert. No WebSocket can come of the connection. Alerts of the handshake are in the clear
for the most part; in TLS 1.3 those after the ServerHello may be encrypted and need keys.

## What usually causes it
- `handshake_failure` (40): no common cipher suite, or in TLS 1.2 a client certificate that is missing.
- `protocol_version` (70): no common version; one side is very old or allows too little.
- `unrecognized_name` (112): the server serves no such name (SNI).
- `certificate_required` (116), `bad_certificate` and the like from the server: it wants a client certificate (mutual TLS).
- `data.kind` `client-certificate-missing`, `client-certificate-refused`: nobody could read the alert. In TLS 1.3 without keys a server that
  asked for a client certificate answered the client's empty list, or its certificate, with one record of the size of an alert only.
- `certificate_unknown`, `unknown_ca`, `certificate_expired`, `bad_certificate` from the client: see `tls-client-rejected-cert`; then this
  finding is only information.
- `no_application_protocol` (120): the client offers no protocol (ALPN) that the server speaks; WebSocket needs `http/1.1`.
- `internal_error` (80): the server failed; its log knows.

## How to tell them apart
`data.alert` and `data.by` name the alert and its sender; the evidence has the ClientHello with its versions, suites and names.

## What to do
Compare what the ClientHello offers with the server's settings. `close_notify` is an orderly end and is never told here.

## References
RFC 8446, section 6; RFC 5246, section 7.2.
",
    checks: &[
        Check::Session(check),
        Check::Capture(check_attempts),
        Check::Capture(unread),
    ],
};

fn unread(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    client_certificate::refused(overview, &RULE, findings);
}

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let Some(seen) = ending_alert(&session.leg) else {
        return;
    };
    // What comes behind both Close frames harms nobody.
    if case.closing.kind == Kind::Clean {
        return;
    }
    let (summary, first) = (sentence(seen), evidence_of(seen));
    let finding = Finding::new(&RULE, session, Confidence::Certain, first, summary);
    findings.push(explained(finding, seen, ""));
}

/// The alert that ended an attempt. Those to plaintext have no ClientHello before them.
fn alert_of(attempt: &Attempt) -> Option<&AlertSeen> {
    let tls = attempt.leg.tls.as_deref()?;
    tls.client_hello.as_ref()?;
    ending_alert(&attempt.leg)
}

fn key(seen: &AlertSeen) -> (bool, u8) {
    (
        seen.direction == Direction::ClientToServer,
        seen.alert.description,
    )
}

fn check_attempts(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let alerts = overview.attempts.iter().filter_map(alert_of);
    let kinds: BTreeSet<(bool, u8)> = alerts.map(key).collect();
    for kind in kinds {
        let of_kind = |attempt: &Attempt| alert_of(attempt).is_some_and(|seen| key(seen) == kind);
        for dial in dials(overview, of_kind) {
            findings.extend(of_dial(&dial, overview));
        }
    }
}

fn of_dial(dial: &Dial<'_>, overview: &Overview<'_>) -> Option<Finding> {
    let seen = alert_of(dial.first)?;
    let tls = dial.first.leg.tls.as_deref()?;
    let again = match dial.count {
        1 => String::new(),
        count => format!(", {}", times(usize::try_from(count).unwrap_or(usize::MAX))),
    };
    let summary = format!(
        "{} to {}: {}{again}",
        dial.who(),
        dial.whom(),
        sentence(seen)
    );
    let hello = tls.client_hello.as_ref().map(|(_, at)| *at);
    let chosen = tls.server_hello.as_ref().map(|chosen| chosen.at);
    let mut finding = dial
        .finding(
            overview,
            &RULE,
            dial.first,
            Confidence::Certain,
            evidence_of(seen),
            summary,
        )
        .evidence_if(hello, "ClientHello")
        .evidence_if(chosen, "ServerHello");
    if let Some(name) = tls.server_name() {
        finding = finding.data("server_name", Value::Text(name.to_owned()));
    }
    if rejection(dial.first).is_some() {
        // `tls-client-rejected-cert` tells it aloud.
        finding = finding.severity(Severity::Info);
    }
    if seen.alert.description == 40 && tls.certificate_request.is_some() {
        finding = finding.cause(
            Confidence::Likely,
            "the server asked for a client certificate and didn't get one that it takes",
        );
    }
    Some(explained(finding, seen, &check_command(&dial.first.leg)))
}

fn side(seen: &AlertSeen) -> &'static str {
    match seen.direction {
        Direction::ClientToServer => "client",
        Direction::ServerToClient => "server",
    }
}

fn sentence(seen: &AlertSeen) -> String {
    format!(
        "the {} ended TLS with the alert {}: {}",
        side(seen),
        seen.alert.name(),
        meaning(seen.alert.description)
    )
}

fn evidence_of(seen: &AlertSeen) -> Evidence {
    Evidence::new(
        seen.at,
        format!("alert {} of the {}", seen.alert.name(), side(seen)),
    )
}

fn explained(finding: Finding, seen: &AlertSeen, command: &str) -> Finding {
    let of_server = seen.direction == Direction::ServerToClient;
    let mut finding = finding
        .data("alert", Value::Text(seen.alert.name().to_owned()))
        .data("number", Value::Count(u64::from(seen.alert.description)))
        .data("by", Value::Text(side(seen).to_owned()));
    for (confidence, cause) in causes(seen.alert.description, of_server) {
        finding = finding.cause(*confidence, *cause);
    }
    let advice = match (of_server, command) {
        (true, "") => "look in the server's TLS log at that time".to_owned(),
        (false, "") => "look in the client's log at that time".to_owned(),
        (true, command) => {
            format!("compare the ClientHello with the server's settings: {command}")
        }
        (false, command) => format!("look at what the server shows: {command}"),
    };
    finding.advice(advice)
}

/// What an alert says, in a few words.
fn meaning(description: u8) -> &'static str {
    match description {
        10 => "a message came that doesn't belong there",
        20 | 21 => "a record could not be decrypted",
        22 => "a record was too long",
        40 => "there are no settings that both sides accept",
        42 => "the certificate is bad",
        43 => "this kind of certificate isn't supported",
        44 => "the certificate was revoked",
        45 => "the certificate has expired or isn't valid yet",
        46 => "the certificate isn't accepted",
        47 => "a field of the handshake is illegal",
        48 => "the authority that signed the certificate isn't known",
        49 => "the certificate is valid, and access is denied",
        50 => "a message could not be decoded",
        51 => "a signature or a check value is wrong",
        70 => "there is no version that both sides allow",
        71 => "the offered suites are too weak",
        80 => "it failed for a reason of its own",
        86 => "the client came back with an older version than it needs to",
        109 => "an extension is missing",
        110 => "an extension wasn't asked for",
        112 => "it serves no such name",
        115 => "the pre-shared key isn't known",
        116 => "it wants a client certificate and got none",
        120 => "there is no application protocol that both sides speak",
        121 => "it wants the ClientHello encrypted",
        _ => "an alert without a name here",
    }
}

/// What stands behind it, the likeliest first.
fn causes(description: u8, of_server: bool) -> &'static [(Confidence, &'static str)] {
    use Confidence::{Likely, Possible};
    match (description, of_server) {
        (40, true) => &[
            (
                Possible,
                "no common cipher suite or group: compare the ClientHello with the server's settings",
            ),
            (Possible, "the server wants a client certificate"),
        ],
        (40 | 71, _) => &[(
            Possible,
            "the other side's suites or keys are too weak for it",
        )],
        (42..=46 | 48 | 49, true) => {
            &[(Likely, "the server doesn't accept the client's certificate")]
        }
        (42..=46 | 48, false) => &[(Likely, "the client doesn't accept the server's certificate")],
        (70, _) => &[(
            Likely,
            "one side allows only versions that the other doesn't: TLS 1.0 and 1.1 are switched off nearly everywhere",
        )],
        (80, true) => &[
            (
                Possible,
                "the server's certificate or key isn't configured, or can't be read",
            ),
            (Possible, "a proxy has no backend for this name"),
        ],
        (112, true) => &[(
            Likely,
            "the URL's host isn't among the names that the server is configured for",
        )],
        (116, true) => &[(
            Likely,
            "mutual TLS: the client has to be given a certificate and its key",
        )],
        (120, true) => &[(
            Likely,
            "the server doesn't offer http/1.1, which a WebSocket's upgrade needs",
        )],
        (10 | 47 | 50 | 51, _) => &[(
            Possible,
            "the two implementations disagree, or a device in between meddles",
        )],
        (20 | 21, _) => &[(
            Possible,
            "bytes were changed on the path, or a device in between meddles",
        )],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::script::hello::{client_hello, record};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn answered(alert: &[u8]) -> Script {
        Script::new()
            .handshake()
            .bytes(ClientToServer, &client_hello())
            .bytes(ServerToClient, &record(21, alert))
            .fin(ServerToClient)
            .fin(ClientToServer)
    }

    #[test]
    fn an_unknown_name_is_named_with_its_sender() {
        let told = answered(&[2, 112]).told();
        let finding = told.only("tls-alert");
        let text = |text: &str| Value::Text(text.to_owned());
        assert!(finding.data.contains(&("alert", text("unrecognized_name"))));
        assert!(finding.data.contains(&("by", text("server"))));
        assert_eq!(finding.severity.name(), "error");
        assert!(told.of("tls-no-response").is_empty());
    }

    #[test]
    fn close_notify_and_warnings_are_no_failure() {
        assert!(answered(&[1, 0]).told().of("tls-alert").is_empty());
        assert!(answered(&[1, 112]).told().of("tls-alert").is_empty());
    }

    #[test]
    fn an_alert_behind_the_other_sides_end_only_answers_that() {
        let hello = || {
            Script::new()
                .handshake()
                .bytes(ClientToServer, &client_hello())
        };
        let decode_error = record(21, &[2, 50]);
        let told = hello()
            .fin(ServerToClient)
            .bytes(ClientToServer, &decode_error)
            .fin(ClientToServer)
            .told();
        assert!(told.of("tls-alert").is_empty());
        told.only("tls-no-response");
        let told = hello()
            .fin(ClientToServer)
            .bytes(ServerToClient, &decode_error)
            .fin(ServerToClient)
            .told();
        assert!(told.of("tls-alert").is_empty());
    }
}
