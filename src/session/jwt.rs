//! JSON Web Tokens (RFC 7519) as they travel in requests: their claims, never their signature.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::time::Timestamp;

/// With padding or without: some libraries leave it on.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Rationale: an issuer or an audience is a name or a URL; longer ones say nothing more to people.
const SHOWN: usize = 80;
/// Rationale: RFC 7519 counts in seconds; more than this is a count of
/// milliseconds, or no time at all (the year 5138).
const LAST_SECOND: f64 = 1e11;

/// What a token says of itself. Nobody checked its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jwt {
    /// The algorithm that its header names.
    pub algorithm: String,
    /// From when on it is not accepted any more (`exp`).
    pub expires: Option<Timestamp>,
    /// Before when it is not accepted (`nbf`).
    pub not_before: Option<Timestamp>,
    /// When it was made (`iat`).
    pub issued: Option<Timestamp>,
    /// By whom (`iss`).
    pub issuer: Option<String>,
    /// For whom (`aud`).
    pub audience: Option<String>,
    /// About whom (`sub`).
    pub subject: Option<String>,
}

/// Why something that begins like a token can't be read as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtDamage {
    /// It has this many segments instead of three.
    Segments(usize),
    /// A segment is cut short.
    Truncated,
    /// A segment is no base64url of a JSON object.
    Unreadable,
}

impl Jwt {
    /// It begins as all JSON Web Tokens do: base64url of `{"`.
    pub fn is_meant(token: &str) -> bool {
        token.len() >= 8 && token.starts_with("eyJ")
    }

    /// Reads a token. `Ok(None)`: it is encrypted (JWE, RFC 7516), which tells nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(token: &str) -> Result<Option<Self>, JwtDamage> {
        let segments: Vec<&str> = token.split('.').collect();
        let (header, payload, signature) = match segments.as_slice() {
            [header, payload, signature] => (*header, *payload, *signature),
            [_, _, _, _, _] => return Ok(None),
            other => return Err(JwtDamage::Segments(other.len())),
        };
        let header = object(header)?;
        let claims = object(payload)?;
        let algorithm = text(header.get("alg")).unwrap_or_default();
        if signature.trim_end_matches('=').len() < signature_len(&algorithm) {
            return Err(JwtDamage::Truncated);
        }
        Ok(Some(Self {
            algorithm,
            expires: time(claims.get("exp")),
            not_before: time(claims.get("nbf")),
            issued: time(claims.get("iat")),
            issuer: text(claims.get("iss")),
            audience: text(claims.get("aud")),
            subject: text(claims.get("sub")),
        }))
    }
}

fn object(segment: &str) -> Result<Map<String, Value>, JwtDamage> {
    let bytes = BASE64
        .decode(segment)
        .map_err(|_| match segment.len() % 4 {
            // No bytes have so long an encoding.
            1 => JwtDamage::Truncated,
            _ => JwtDamage::Unreadable,
        })?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Err(error) if error.is_eof() => Err(JwtDamage::Truncated),
        _ => Err(JwtDamage::Unreadable),
    }
}

/// The shortest signature of an algorithm in base64url (RFC 7518, section 3.1).
fn signature_len(algorithm: &str) -> usize {
    match algorithm {
        "HS256" => 43,
        "HS384" => 64,
        "HS512" | "ES256" | "ES256K" | "EdDSA" => 86,
        "ES384" => 128,
        // Of a key of 1,024 bits, which is as short as anybody has.
        "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => 171,
        _ => 0,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked against LAST_SECOND"
)]
fn time(claim: Option<&Value>) -> Option<Timestamp> {
    let seconds = claim?.as_f64()?;
    (0.0..LAST_SECOND)
        .contains(&seconds)
        .then(|| Timestamp::from_nanos((seconds as i64).saturating_mul(1_000_000_000)))
}

/// A claim for people: printable, and not too long.
fn text(claim: Option<&Value>) -> Option<String> {
    let value = match claim? {
        Value::String(text) => text.clone(),
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let printable = value.chars().map(|c| if c.is_control() { ' ' } else { c });
    Some(printable.take(SHOWN).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A token of HS256 with these claims and a signature of the right length.
    pub(crate) fn token(claims: &str) -> String {
        let part = |text: &str| BASE64.encode(text).trim_end_matches('=').to_owned();
        let header = part(r#"{"alg":"HS256","typ":"JWT"}"#);
        format!("{header}.{}.{}", part(claims), "s1".repeat(22))
    }

    #[test]
    fn times_and_names_are_read_and_the_signature_is_not_kept() {
        let read = Jwt::read(&token(
            r#"{"sub":"u7","iss":"https://id.test","aud":["a","b"],"iat":1000,"exp":4600.5}"#,
        ));
        let at = |seconds: i64| Some(Timestamp::from_nanos(seconds * 1_000_000_000));
        let wanted = Jwt {
            algorithm: "HS256".to_owned(),
            expires: at(4_600),
            not_before: None,
            issued: at(1_000),
            issuer: Some("https://id.test".to_owned()),
            audience: Some("a, b".to_owned()),
            subject: Some("u7".to_owned()),
        };
        assert_eq!(read, Ok(Some(wanted)));
    }

    #[test]
    fn a_token_that_lost_its_end_is_told() {
        let whole = token(r#"{"exp":4600}"#);
        assert_eq!(
            Jwt::read(&whole[..whole.len() - 9]),
            Err(JwtDamage::Truncated)
        );
        let without = whole.rsplit_once('.').expect("three segments").0;
        assert_eq!(Jwt::read(without), Err(JwtDamage::Segments(2)));
        assert_eq!(Jwt::read("eyJhbGci.!!.x"), Err(JwtDamage::Truncated));
    }

    #[test]
    fn an_encrypted_token_and_times_in_milliseconds_tell_nothing() {
        assert_eq!(Jwt::read("eyJhbGci.a.b.c.d"), Ok(None));
        let read = Jwt::read(&token(r#"{"exp":1795447624000}"#));
        assert_eq!(read.map(|jwt| jwt.and_then(|jwt| jwt.expires)), Ok(None));
    }
}
