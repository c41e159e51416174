//! A credential that the server didn't take, held against what the token says of itself.

use std::time::Duration;

use super::lacks::unless_unpaired;
use super::refusal::{body_of, shown};
use super::{Confidence, Evidence, Finding, Refusal, Value, refusal_of};
use crate::session::{Credential, Jwt, Session, TokenDamage, credentials_of};
use crate::stream::{Direction, PacketRef};
use crate::time::Timestamp;

/// Rationale: clocks of issuers run a little ahead; libraries tolerate up to a minute.
const LEEWAY: Duration = Duration::from_secs(60);

/// The server's no to a credential.
#[derive(Clone, Debug)]
pub(super) struct No {
    /// Its packet.
    pub(super) at: PacketRef,
    /// What it is: `the answer: 401`, `Close 4401`.
    pub(super) what: String,
    /// How sure it is that it is about credentials.
    pub(super) confidence: Confidence,
    /// It says in words that something ran out.
    pub(super) says_expired: bool,
}

/// Codes that servers close with over credentials: policy, and what IANA lists
/// or applications made of the HTTP statuses.
const fn is_about_credentials(code: u16) -> bool {
    matches!(code, 3000 | 3003 | 4001 | 4003 | 4401 | 4403)
}

/// The server's no, if there is one: a status, or a Close frame that it sent first.
pub(super) fn refused(session: &Session) -> Option<No> {
    let handshake = &session.handshake;
    if let (Some(Refusal::Credentials), Some(response)) = (refusal_of(session), &handshake.response)
    {
        let sure = unless_unpaired(session);
        let confidence = match response.status {
            401 => sure,
            _ => Confidence::Likely,
        };
        return Some(No {
            at: response.first,
            what: format!("the answer: {}", response.status),
            confidence,
            says_expired: body_of(session).to_lowercase().contains("expired"),
        });
    }
    let close = session.close[Direction::ServerToClient].as_ref()?;
    let first = session.close[Direction::ClientToServer]
        .as_ref()
        .is_none_or(|theirs| close.control.frame.at <= theirs.control.frame.at);
    let (code, reason) = (close.code?, close.reason.to_lowercase());
    let words = ["token", "expired", "auth", "jwt", "credential"];
    let named = words.iter().any(|word| reason.contains(word));
    if !first || !(is_about_credentials(code) || code == 1008 && named) {
        return None;
    }
    let said = shown(session, &close.reason, 80);
    let said = if said.is_empty() {
        said
    } else {
        format!(", \"{said}\"")
    };
    Some(No {
        at: close.control.frame.at,
        what: format!("Close {code} of the server{said}"),
        confidence: Confidence::Likely,
        says_expired: reason.contains("expired"),
    })
}

/// The credentials of a session's request.
pub(super) fn credentials(session: &Session) -> Vec<Credential> {
    session
        .handshake
        .seen_request()
        .map(credentials_of)
        .unwrap_or_default()
}

/// What a token's times say of the moment when it was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    /// It had run out so long before.
    Expired(Duration),
    /// It was not to be used before so much later.
    NotYet(Duration),
    /// It was in order.
    Valid,
}

/// What its times say at `at`.
pub(super) fn validity(jwt: &Jwt, at: Timestamp) -> Validity {
    if let Some(by) = jwt.expires.and_then(|expires| at.since(expires)) {
        return Validity::Expired(by);
    }
    let early = [jwt.not_before, jwt.issued].into_iter().flatten().max();
    match early.and_then(|from| from.since(at)) {
        Some(early) if early > LEEWAY => Validity::NotYet(early),
        _ => Validity::Valid,
    }
}

/// What explains a server's no, as far as the request tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The token had run out, or was not yet to be used.
    Time(Validity),
    /// The server says that something ran out.
    Said,
    /// It was damaged.
    Form(TokenDamage),
}

/// The fault of the credential that the server refused, if one shows.
pub(super) fn fault(session: &Session, no: &No) -> Option<(Option<Credential>, Fault)> {
    let at = session.handshake.request.last.time;
    let all = credentials(session);
    for credential in &all {
        let verdict = credential.jwt.as_ref().map(|jwt| validity(jwt, at));
        if let Some(verdict @ (Validity::Expired(_) | Validity::NotYet(_))) = verdict {
            return Some((Some(credential.clone()), Fault::Time(verdict)));
        }
    }
    if no.says_expired {
        return Some((all.into_iter().next(), Fault::Said));
    }
    let damaged = all
        .into_iter()
        .find(|credential| credential.damage.is_some())?;
    let damage = damaged.damage?;
    Some((Some(damaged), Fault::Form(damage)))
}

/// The claims of a token as figures; nothing of its signature.
pub(super) fn told(finding: Finding, credential: &Credential) -> Finding {
    let finding = finding.data(
        "credential",
        Value::Text(credential.place.name().to_owned()),
    );
    let Some(jwt) = &credential.jwt else {
        return finding;
    };
    let mut finding = finding.data("algorithm", Value::Text(jwt.algorithm.clone()));
    for (name, value) in [
        ("iss", &jwt.issuer),
        ("aud", &jwt.audience),
        ("sub", &jwt.subject),
    ] {
        if let Some(value) = value {
            finding = finding.data(name, Value::Text(value.clone()));
        }
    }
    for (name, time) in [
        ("iat", jwt.issued),
        ("nbf", jwt.not_before),
        ("exp", jwt.expires),
    ] {
        if let Some(time) = time {
            finding = finding.data(name, Value::Text(date(time)));
        }
    }
    match (jwt.issued, jwt.expires) {
        (Some(issued), Some(expires)) => {
            finding.data("lifetime_ms", Value::Ms(expires.saturating_since(issued)))
        }
        _ => finding,
    }
}

/// RFC 3339, in UTC.
pub(super) fn date(time: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time.as_nanos()))
        .map_or_else(|_| String::new(), |time| time.to_string())
}

/// The upgrade request as evidence: where the credential travelled.
pub(super) fn request(session: &Session, credential: Option<&Credential>) -> Evidence {
    let what = match credential {
        Some(credential) => format!(
            "the upgrade request, with a credential {}",
            credential.place.phrase()
        ),
        None => "the upgrade request".to_owned(),
    };
    Evidence::new(session.handshake.request.last, what)
}
