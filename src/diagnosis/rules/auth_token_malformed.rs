//! `auth-token-malformed`: a refused token was damaged before it was sent, or on its way.

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::token;
use crate::diagnosis::{
    Case, Check, Confidence, Finding, Refusal, Rule, Severity, Value, refusal_of,
};
use crate::session::{JwtDamage, Place, Session, TokenDamage};
use crate::stream::PacketRef;

pub(super) static RULE: Rule = Rule {
    id: "auth-token-malformed",
    severity: Severity::Error,
    summary: "a refused token is not what the issuer made: badly encoded, cut, or a variable that nobody set",
    explain: "\
## What it means
The request carried a token that can't be what was issued, and the server refused it. `data.kind` names the damage; the token itself
stays out of every report.

## What usually causes it
- `plus`, `space`, `encoded-twice`: the token was put into the URL as it is, or encoded twice. A `+` in a query is a space to most
  servers, and `%25` is a percent sign that was encoded again.
- `unset`, `empty`: the program wrote `undefined`, `null` or `[object Object]` because the variable was not there yet: it connects before
  the login is done, or it doesn't wait for a promise.
- `bearer-inside`: the value of the header, with its scheme, was put where the bare token belongs.
- `segments`, `truncated`: a JSON Web Token has three parts with dots between; a limit on a cookie, a column or a URL cut it.
- `unreadable`: it begins like one and isn't; another encoding of base64, or a character that got lost.

## How to tell them apart
The kind tells. A token that no one can read by design (an opaque one) is never called malformed for that.

## What to do
`new URL(...)` with `searchParams.set('token', token)`, or `encodeURIComponent(token)`, once. Connect only when the token is there. Log its
length and its last characters at both ends to see where it gets shorter.

## References
RFC 3986, section 2; RFC 7519, section 3; RFC 6750, section 2.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let Some((at, what, sure)) = refusal(session) else {
        return;
    };
    let credentials = token::credentials(session);
    let damaged = credentials.iter().find_map(|c| Some((c, c.damage?)));
    let Some((credential, damage)) = damaged else {
        return;
    };
    let (kind, words) = told(damage);
    // A plus sign or a space may belong to an opaque value.
    let confidence = match damage {
        TokenDamage::Plus | TokenDamage::Space | TokenDamage::EncodedTwice => Confidence::Possible,
        _ if credential.place == Place::Cookie => Confidence::Possible,
        TokenDamage::Unset(_) | TokenDamage::BearerInside | TokenDamage::Empty => sure,
        TokenDamage::Jwt(_) => sure.min(Confidence::Likely),
    };
    let summary = format!(
        "the token {} {words}, and was refused",
        credential.place.phrase()
    );
    let request = token::request(session, Some(credential));
    let finding = Finding::new(&RULE, session, confidence, request, summary)
        .evidence(at, what)
        .data("kind", Value::Text(kind.to_owned()))
        .data("name", Value::Text(credential.name.clone()));
    let finding = token::told(finding, credential);
    let (cause, advice) = cause_of(damage);
    findings.push(finding.cause(Confidence::Likely, cause).advice(advice));
}

/// The server's no; one over the form of the request counts too.
fn refusal(session: &Session) -> Option<(PacketRef, String, Confidence)> {
    if let Some(no) = token::refused(session) {
        return Some((no.at, no.what, no.confidence));
    }
    let response = session.handshake.response.as_ref()?;
    let plain = matches!(refusal_of(session)?, Refusal::Status)
        && matches!(response.status, 400 | 403 | 414 | 422 | 500);
    let sure = unless_unpaired(session).min(Confidence::Likely);
    plain.then(|| {
        (
            response.first,
            format!("the answer: {}", response.status),
            sure,
        )
    })
}

fn told(damage: TokenDamage) -> (&'static str, String) {
    match damage {
        TokenDamage::Unset(word) => ("unset", format!("is the word \"{word}\"")),
        TokenDamage::Empty => ("empty", "is empty".to_owned()),
        TokenDamage::BearerInside => ("bearer-inside", "has \"Bearer \" inside".to_owned()),
        TokenDamage::Plus => (
            "plus",
            "has a + that is not encoded, which servers read as a space".to_owned(),
        ),
        TokenDamage::Space => ("space", "has a space in it".to_owned()),
        TokenDamage::EncodedTwice => ("encoded-twice", "was percent-encoded twice".to_owned()),
        TokenDamage::Jwt(JwtDamage::Segments(count)) => {
            let parts = if count == 1 { "part" } else { "parts" };
            (
                "segments",
                format!("begins like a JSON Web Token and has {count} {parts} instead of three"),
            )
        }
        TokenDamage::Jwt(JwtDamage::Truncated) => (
            "truncated",
            "is a JSON Web Token that was cut short".to_owned(),
        ),
        TokenDamage::Jwt(JwtDamage::Unreadable) => (
            "unreadable",
            "begins like a JSON Web Token and can't be decoded".to_owned(),
        ),
    }
}

fn cause_of(damage: TokenDamage) -> (&'static str, &'static str) {
    match damage {
        TokenDamage::Unset(_) | TokenDamage::Empty => (
            "the program connects before the variable with the token is set",
            "connect only after the login has given a token",
        ),
        TokenDamage::BearerInside => (
            "the value of the Authorization field, scheme and all, stands where the bare token belongs",
            "send the token without \"Bearer \" here",
        ),
        TokenDamage::Plus | TokenDamage::Space => (
            "the token was put into the URL without encodeURIComponent",
            "encode it once: encodeURIComponent(token)",
        ),
        TokenDamage::EncodedTwice => (
            "encodeURIComponent was applied to what a URL library encodes again",
            "encode it once: either by encodeURIComponent or by the URL library",
        ),
        TokenDamage::Jwt(_) => (
            "a limit on the length of a cookie, a column or a URL cut it, or a character got lost",
            "compare its length where it is issued and where it is sent",
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, Told};
    use crate::session::jwt_for_tests as token;
    use crate::stream::Direction::ClientToServer;

    fn asked(target: &str, status: &str) -> Told {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let script = Script::new()
            .handshake()
            .bytes(ClientToServer, head.as_bytes());
        match status {
            "101" => script.accept("").told(),
            status => script.answer(status, "", "").told(),
        }
    }

    fn kind(target: &str) -> Value {
        let told = asked(target, "401 Unauthorized");
        let data = &told.only("auth-token-malformed").data;
        let kind = data.iter().find(|(name, _)| *name == "kind");
        kind.expect("a kind").1.clone()
    }

    #[test]
    fn the_damage_is_named() {
        let word = |text: &str| Value::Text(text.to_owned());
        assert_eq!(kind("/ws?token=undefined"), word("unset"));
        assert_eq!(kind("/ws?token=ab+cd"), word("plus"));
        let cut = token(r#"{"exp":99}"#);
        let cut = &cut[..cut.len() - 4];
        assert_eq!(kind(&format!("/ws?token={cut}")), word("truncated"));
        let told = asked(&format!("/ws?token={cut}"), "401 Unauthorized");
        assert!(!format!("{:?}", told.findings).contains(cut));
    }

    #[test]
    fn an_opaque_token_or_one_that_was_taken_is_not_told() {
        for (target, status) in [
            ("/ws?token=not-a-token", "401 Unauthorized"),
            ("/ws?token=null", "101"),
            ("/ws?token=null", "404 Not Found"),
        ] {
            let told = asked(target, status);
            assert!(
                told.of("auth-token-malformed").is_empty(),
                "{target} {status}"
            );
        }
    }
}
