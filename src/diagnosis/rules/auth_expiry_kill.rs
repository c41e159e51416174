//! `auth-expiry-kill`: the server ends a session when its token runs out.

use std::time::Duration;

use crate::diagnosis::patterns::{Fate, Trial};
use crate::diagnosis::token;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Credential, Session};
use crate::stream::PacketRef;
use crate::time::Timestamp;

pub(super) static RULE: Rule = Rule {
    id: "auth-expiry-kill",
    severity: Severity::Warn,
    summary: "the server ended the session when its token ran out",
    explain: "\
## What it means
The session was opened with a token that was valid then, and the server's side ended it within a minute of the moment at which the token
says that it runs out (`exp`). The server means it: an open WebSocket is not to outlive its permission.

## What usually causes it
- By design: the server sets a timer for `exp`, or checks the token with each message.
- A gateway that checks tokens drops connections of which the token ran out.

## How to tell them apart
- A Close code for credentials (4401, 3000, 1008 with words): the application says why. It is *likely* then.
- No such code: one session may be chance, so only two and more with the same tie are told, as *possible*.
- All sessions end at the same age although their tokens end at different times: `close-1006-lifetime-limit` or `pattern-periodic-disconnect`.

## What to do
Renew the token inside the session, by a message, some time before `exp` (`data.exp`); or open the next session with a new token before the
old one ends, and move over. Don't take it for a network failure: reconnecting with the same token gives `auth-token-expired`.

## References
RFC 7519, section 4.1.4; RFC 6455, section 7.4.2.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: servers look at tokens once a minute at least, where they do at all.
const NEAR: Duration = Duration::from_secs(60);

struct Tie<'a> {
    session: &'a Session,
    credential: Credential,
    expires: Timestamp,
    end: PacketRef,
    what: String,
    said: bool,
}

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let ties: Vec<Tie<'_>> = overview.patterns.trials.iter().filter_map(tie).collect();
    for tie in &ties {
        let confidence = match (tie.said, ties.len()) {
            (true, _) => Confidence::Likely,
            (false, 0 | 1) => continue,
            (false, _) => Confidence::Possible,
        };
        findings.push(finding(tie, confidence));
    }
}

fn tie<'a>(trial: &Trial<'a>) -> Option<Tie<'a>> {
    let session = trial.session.filter(|session| session.is_open_or_was())?;
    if !matches!(
        trial.fate,
        Fate::Closed(_) | Fate::Dropped | Fate::Dismissed
    ) {
        return None;
    }
    let end = trial.over?;
    let began = session.handshake.request.last.time;
    let found = token::credentials(session)
        .into_iter()
        .find_map(|credential| {
            let expires = credential.jwt.as_ref()?.expires?;
            let near = expires
                .saturating_since(end.time)
                .max(end.time.saturating_since(expires))
                <= NEAR;
            // A token for a minute and less is near its end all the time.
            let outlived = expires > began
                && end.time.saturating_since(began) * 2 > expires.saturating_since(began);
            (near && outlived).then_some((credential, expires))
        });
    let (credential, expires) = found?;
    let no = token::refused(session);
    let said = no.is_some();
    let (end, what) = no.map_or((end, "the end of the session".to_owned()), |no| {
        (no.at, no.what)
    });
    Some(Tie {
        session,
        credential,
        expires,
        end,
        what,
        said,
    })
}

fn finding(tie: &Tie<'_>, confidence: Confidence) -> Finding {
    let (early, late) = (
        tie.expires.saturating_since(tie.end.time),
        tie.end.time.saturating_since(tie.expires),
    );
    let when = match early.is_zero() {
        true => format!("{} after its token ran out", span(late)),
        false => format!("{} before its token ran out", span(early)),
    };
    let session = tie.session;
    let request = token::request(session, Some(&tie.credential));
    let age = tie
        .end
        .time
        .saturating_since(session.handshake.request.last.time);
    let found = Finding::new(
        &RULE,
        session,
        confidence,
        request,
        format!("the server ended the session {when}"),
    )
    .evidence(tie.end, tie.what.clone())
    .data("age_ms", Value::Ms(age))
    .data("apart_ms", Value::Ms(early.max(late)));
    token::told(found, &tie.credential)
        .cause(
            Confidence::Likely,
            "by design: the server doesn't let a session outlive its token",
        )
        .advice(format!(
            "renew the token inside the session, or move over to a new one, before {}",
            token::date(tie.expires)
        ))
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::session::jwt_for_tests as token;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// A session of a token that runs out 100 s after the script's beginning, which lives for so long.
    fn lives(script: Script, port: u16, seconds: f64) -> Script {
        let fields = format!("Authorization: Bearer {}\r\n", token(r#"{"exp":101}"#));
        script
            .at_port(port)
            .upgrade_with(&fields, "")
            .wait_s(seconds)
    }

    #[test]
    fn a_close_4401_when_the_token_ends_is_told() {
        let told = lives(Script::new(), 40_001, 100.0)
            .close(ServerToClient, 4401, "token expired")
            .close(ClientToServer, 4401, "")
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        assert_eq!(told.only("auth-expiry-kill").confidence.name(), "likely");
    }

    #[test]
    fn one_end_without_words_is_chance_and_so_is_one_at_another_time() {
        let end = |script: Script| script.fin(ServerToClient).fin(ClientToServer);
        let told = end(lives(Script::new(), 40_001, 100.0)).told();
        assert!(told.of("auth-expiry-kill").is_empty());
        let told = lives(Script::new(), 40_001, 20.0)
            .close(ServerToClient, 4401, "kicked")
            .told();
        assert!(told.of("auth-expiry-kill").is_empty());
    }
}
