//! `auth-rejected`: the upgrade was refused for its credentials.

use std::collections::HashMap;

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::token;
use crate::diagnosis::{
    Check, Confidence, Evidence, Finding, Overview, Refusal, Rule, Severity, Value, refusal_of,
};
use crate::session::redact::{REPLACEMENT, Secrets};
use crate::session::{Ended, Request, Session};

pub(super) static RULE: Rule = Rule {
    id: "auth-rejected",
    severity: Severity::Error,
    summary: "the upgrade was refused for its credentials (401, 403, 407, or a redirect to a login page)",
    explain: "\
## What it means
The server, or a proxy, doesn't accept who asks. `data.credential` says where the request carried credentials: in the query, in
`Authorization`, in a cookie, as a subprotocol, or nowhere.

## What usually causes it
- No credentials at all: browsers can't set `Authorization` on a WebSocket, and send cookies only to the right site.
- A token or a session that has run out.
- Credentials for another environment or audience.
- The application refuses before it accepts; ASGI servers turn that into 403.

## How to tell them apart
- `credential` is `none`: the client never sent any. 407: it is the proxy that asks.
- The same client got in earlier with the same kind of credentials: they ran out.
- `WWW-Authenticate` names what the server wants.

## What to do
Renew the token before each attempt to connect, and don't retry with one that was refused. See `auth-token-expired` where the token
tells its own end.

## References
RFC 9110, section 11; RFC 6455, sections 4.2.2 and 10.5.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let refused: Vec<&Session> = overview
        .sessions
        .iter()
        .filter(|session| refusal_of(session) == Some(Refusal::Credentials))
        .collect();
    if refused.is_empty() {
        return;
    }
    // What became of each connection at last: an authentication in two steps begins with a refusal.
    let newest: HashMap<u32, &Session> = overview
        .sessions
        .iter()
        .map(|session| (session.leg.tcp_stream, session))
        .collect();
    for session in refused {
        let newest = newest
            .get(&session.leg.tcp_stream)
            .copied()
            .unwrap_or(session);
        if newest.handshake.is_upgraded() {
            continue; // `hs-http-status` says so.
        }
        let last_word = newest.id == session.id && session.ended == Some(Ended::Settled);
        findings.extend(finding(session, last_word));
    }
}

/// Where the request carries credentials, as a word.
fn place(request: &Request) -> &'static str {
    let headers = &request.headers;
    if headers.first("Authorization").is_some() || headers.first("Proxy-Authorization").is_some() {
        return "authorization";
    }
    if Secrets::Redacted
        .target(&request.target)
        .contains(REPLACEMENT)
    {
        return "query";
    }
    let in_subprotocol = Secrets::Redacted
        .subprotocols(headers.list("Sec-WebSocket-Protocol"))
        .iter()
        .any(|shown| shown == REPLACEMENT);
    match (in_subprotocol, headers.first("Cookie").is_some()) {
        (true, _) => "subprotocol",
        (false, true) => "cookie",
        (false, false) => "none",
    }
}

fn finding(session: &Session, last_word: bool) -> Option<Finding> {
    let handshake = &session.handshake;
    let response = handshake.response.as_ref()?;
    let place = place(&handshake.request);
    let carried = match place {
        "none" => "the request carried no credentials",
        "authorization" => "its credentials are in Authorization",
        "query" => "its credentials are in the query of the URL",
        "subprotocol" => "its credentials are among the subprotocols",
        _ => "it carried a cookie",
    };
    let sure = if last_word {
        unless_unpaired(session)
    } else {
        Confidence::Likely
    };
    let (confidence, what) = match response.status {
        401 => (sure, "401, not authenticated".to_owned()),
        407 => (sure, "407, the proxy wants credentials".to_owned()),
        403 => (Confidence::Likely, "403, forbidden".to_owned()),
        status => (
            Confidence::Likely,
            format!("{status}, a redirect to a login page"),
        ),
    };
    let request = Evidence::new(
        handshake.request.last,
        format!("the upgrade request: {carried}"),
    );
    let summary = format!("the upgrade was refused with {what}; {carried}");
    // Where another finding names the fault of the credential, this one only keeps the status.
    let fault = token::refused(session).and_then(|no| token::fault(session, &no));
    let severity = if fault.is_some() {
        Severity::Info
    } else {
        RULE.severity
    };
    let finding = Finding::new(&RULE, session, confidence, request, summary)
        .severity(severity)
        .evidence(response.first, format!("the answer: {}", response.status))
        .data("status", Value::Count(u64::from(response.status)))
        .data("credential", Value::Text(place.to_owned()));
    let scheme = response
        .headers
        .first("WWW-Authenticate")
        .or_else(|| response.headers.first("Proxy-Authenticate"))
        .and_then(|value| value.split([' ', ',']).next());
    let finding = match scheme {
        Some(scheme) => finding.data("wants", Value::Text(scheme.chars().take(32).collect())),
        None => finding,
    };
    let finding = match place {
        "none" => finding
            .cause(
                Confidence::Likely,
                "the client sends no credentials; browsers can't set Authorization on a WebSocket",
            )
            .cause(
                Confidence::Possible,
                "a cookie isn't sent because site or path differ",
            ),
        _ => finding
            .cause(Confidence::Possible, "the token or session has run out")
            .cause(
                Confidence::Possible,
                "credentials for another environment, or without this permission",
            ),
    };
    Some(finding.advice(match place {
        "none" => "send credentials with the upgrade: a cookie, a ticket in the query, or a first message after the 101",
        _ => "renew the credentials before connecting, and don't retry with ones that were refused",
    }))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_401_tells_where_the_credentials_were() {
        let told = Script::new()
            .handshake()
            .request("Authorization: Bearer s3cr3t-value-42\r\n")
            .answer(
                "401 Unauthorized",
                "WWW-Authenticate: Bearer realm=\"x\"\r\n",
                "",
            )
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        let finding = told.only("auth-rejected");
        assert_eq!(finding.confidence.name(), "certain");
        assert!(
            finding
                .data
                .contains(&("credential", Value::Text("authorization".to_owned())))
        );
        assert!(
            finding
                .data
                .contains(&("wants", Value::Text("Bearer".to_owned())))
        );
        assert!(!format!("{finding:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_403_that_says_nothing_of_credentials_is_only_a_status() {
        let told = Script::new()
            .handshake()
            .request("")
            .answer("403 Forbidden", "", "quota exceeded")
            .told();
        assert!(told.of("auth-rejected").is_empty());
        assert_eq!(told.only("hs-http-status").severity.name(), "error");
    }
}
