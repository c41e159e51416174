//! `auth-error-message`: the server accepted the WebSocket and then said in a message that it doesn't let the client in.

use std::time::Duration;

use crate::diagnosis::refusal::shown;
use crate::diagnosis::wording::span;
use crate::diagnosis::{
    Case, Check, Confidence, EndedBy, Evidence, Finding, Rule, Severity, Value, token,
};
use crate::session::{Fault, Protocol};
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "auth-error-message",
    severity: Severity::Error,
    summary: "the server accepted the WebSocket and then refused the client's credentials in a message",
    explain: "\
## What it means
The upgrade succeeded (101), so network, proxies and TLS are well. Then a message of the server, one of its first or the last before it closed,
says that it doesn't let the client in: an invalid or expired token, an unknown session, a missing permission. `data.kind` is `token`,
`session` or `permission`, by its words; `data.text` is what it says. Browsers can't see the status of a refused upgrade, so many servers
accept first and refuse so.

## What usually causes it
1. The token is wrong, has run out, or is of another environment.
2. The session that the client names is gone: the server restarted, or another instance holds it.
3. The credentials are right, and the account lacks this permission.

## How to tell them apart
- What the message says; `auth-token-expired` or `auth-token-malformed` on the same session where the request carried the token.
- The same client is let in after it renewed its token: it had run out. Only after a new login: the session was gone.
- One instance refuses what another takes: a key or a session store that isn't shared.

## What to do
Let the client's message handler treat this message as final for this credential: renew it, then connect again; don't retry unchanged.
On the server close with 4401 or 1008 after the message, and log which check failed.

## References
RFC 6455, section 10.5; IANA's WebSocket Close Code Number Registry (3000, 3003).
",
    checks: &[Check::Session(check)],
};

/// Rationale: who isn't let in hears so among the first messages.
const FIRST: usize = 5;
/// Rationale: a server that refuses ends the session at once, or gives the client a moment to leave.
const SOON: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let Some(application) = session.application.as_deref() else {
        return;
    };
    let Some((at, Direction::ServerToClient, fault)) = &application.auth_error else {
        return;
    };
    let of_opening = matches!(&application.opening.refused, Some((place, ..)) if place == at);
    let seen_from_the_start = session.handshake.mid_stream.is_none();
    let said = &session.outline.0.server;
    let early = seen_from_the_start
        && said
            .get(FIRST.saturating_sub(1))
            .is_none_or(|(fifth, _)| at.time <= *fifth);
    let end = ended(case, *at);
    let known = application.protocol != Protocol::Generic;
    let confidence = match (known, early, end.is_some()) {
        (true, ..) if of_opening => Confidence::Certain,
        (_, _, true) => Confidence::Likely,
        (true, true, false) => Confidence::Likely,
        (false, true, false) => Confidence::Possible,
        // In a session that goes on a request was not permitted; `app-error-response` has it.
        (_, false, false) => return,
    };
    findings.push(finding(case, (*at, fault), confidence, end));
}

/// What the server ended the session with soon after.
fn ended(case: &Case<'_>, at: PacketRef) -> Option<(PacketRef, String)> {
    let close = case.session.close.server.as_ref();
    let close = close.filter(|_| case.closing.first_close == Some(Direction::ServerToClient));
    let end = match (close, &case.closing.terminator) {
        (Some(close), _) => {
            let code = close.code.map_or(String::new(), |code| format!(" {code}"));
            (close.control.frame.at, format!("Close{code} of the server"))
        }
        (None, Some(end))
            if case.closing.first_close.is_none() && case.closing.ended_by == EndedBy::Server =>
        {
            (end.at, "the server ends the connection".to_owned())
        }
        _ => return None,
    };
    let soon = end.0.time.since(at.time).is_some_and(|after| after <= SOON);
    soon.then_some(end)
}

fn finding(
    case: &Case<'_>,
    (at, fault): (PacketRef, &Fault),
    confidence: Confidence,
    end: Option<(PacketRef, String)>,
) -> Finding {
    let session = case.session;
    let (code, text) = (
        shown(session, &fault.code.text(), 40),
        shown(session, &fault.text, 120),
    );
    let said = match (code.as_str(), text.as_str()) {
        ("", text) => format!("\"{text}\""),
        (code, "") => code.to_owned(),
        (code, text) => format!("{code} \"{text}\""),
    };
    let (kind, cause) = kind_of(fault);
    let after = at.time.saturating_since(
        session
            .handshake
            .response
            .as_ref()
            .map_or(at, |r| r.last)
            .time,
    );
    let summary = format!(
        "the WebSocket opened, and {} later the server refused the credentials in a message: {said}",
        span(after)
    );
    let request = token::credentials(session).into_iter().next();
    let mut found = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(at, format!("the server's message: {said}")),
        summary,
    )
    .data("kind", Value::Text(kind.to_owned()))
    .data("text", Value::Text(text))
    .data("after_ms", Value::Ms(after))
    .cause(Confidence::Likely, cause)
    .advice("renew the credential before connecting again; the transport is fine, so look into the server's log for the check that failed");
    if !code.is_empty() {
        found = found.data("code", Value::Text(code));
    }
    if let Some((end, what)) = end {
        found = found.evidence(end, what);
    }
    match &request {
        Some(credential) => token::told(found, credential),
        None => found,
    }
}

/// What was refused, by the words for it.
fn kind_of(fault: &Fault) -> (&'static str, &'static str) {
    let words = format!("{} {}", fault.code.text(), fault.text).to_lowercase();
    let says = |any: &[&str]| any.iter().any(|word| words.contains(word));
    if says(&["session"]) {
        return (
            "session",
            "the session that the client names is unknown to this server, or gone",
        );
    }
    if says(&[
        "permission",
        "forbidden",
        "access denied",
        "not authorized",
        "403",
    ]) {
        return ("permission", "the account lacks this permission");
    }
    (
        "token",
        "the token is wrong, has run out, or is of another environment",
    )
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, Told};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn says(messages: &[&str], close: Option<u16>) -> Told {
        let mut script = Script::new().upgrade();
        for message in messages {
            script = script.text(ServerToClient, message);
        }
        match close {
            Some(code) => script
                .close(ServerToClient, code, "")
                .close(ClientToServer, code, ""),
            None => script.wait_s(60.0).clean_close(ClientToServer),
        }
        .told()
    }

    #[test]
    fn a_token_refused_in_a_message_before_a_close_is_told() {
        let told = says(&[r#"{"error": "Invalid token provided"}"#], Some(1008));
        let finding = told.only("auth-error-message");
        assert_eq!(finding.confidence.name(), "likely");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("token".to_owned())))
        );
        assert!(finding.summary.contains("Invalid token provided"));
    }

    #[test]
    fn without_a_close_the_first_message_is_only_possible() {
        let told = says(&[r#"{"error":"Session authentication failed"}"#], None);
        let finding = told.only("auth-error-message");
        assert_eq!(finding.confidence.name(), "possible");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("session".to_owned())))
        );
    }

    #[test]
    fn a_refused_opening_of_a_known_protocol_is_certain() {
        let told = Script::new()
            .upgrade()
            .text(
                ServerToClient,
                r#"{"type":"auth_required","ha_version":"2026.1"}"#,
            )
            .text(ClientToServer, r#"{"type":"auth","access_token":"x"}"#)
            .text(
                ServerToClient,
                r#"{"type":"auth_invalid","message":"Invalid access token"}"#,
            )
            .fin(ServerToClient)
            .told();
        assert_eq!(told.only("auth-error-message").confidence.name(), "certain");
    }

    #[test]
    fn errors_of_the_business_and_late_ones_are_not() {
        let told = says(&[r#"{"error":"unknown symbol"}"#], Some(1008));
        assert!(told.of("auth-error-message").is_empty());
        let talk = [r#"{"price":1}"#; 9].into_iter();
        let late: Vec<&str> = talk.chain([r#"{"error":"token expired"}"#]).collect();
        assert!(says(&late, None).of("auth-error-message").is_empty());
        let chat = says(
            &[r#"{"type":"chat","message":"invalid token"}"#],
            Some(1000),
        );
        assert!(chat.of("auth-error-message").is_empty());
    }
}
