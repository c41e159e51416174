//! The credentials of an upgrade request: where they travel and what shape they
//! are in. The credential itself isn't kept, only a digest to compare it by.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::Request;
use super::jwt::{Jwt, JwtDamage};
use super::redact::{REPLACEMENT, Secrets, percent_decoded};

/// Where a credential travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the query of the request's target.
    Query,
    /// In the Authorization field.
    Authorization,
    /// As a subprotocol.
    Subprotocol,
    /// In a cookie.
    Cookie,
}

impl Place {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Authorization => "authorization",
            Self::Subprotocol => "subprotocol",
            Self::Cookie => "cookie",
        }
    }

    /// In a sentence.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Query => "in the query",
            Self::Authorization => "in Authorization",
            Self::Subprotocol => "among the subprotocols",
            Self::Cookie => "in a cookie",
        }
    }
}

/// What is wrong with a credential's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenDamage {
    /// A word that programs write for a variable that nobody set: `undefined`, `null`, `[object Object]`.
    Unset(&'static str),
    /// Nothing follows the name.
    Empty,
    /// `Bearer ` stands inside the value.
    BearerInside,
    /// A `+` that isn't encoded: many servers read a space there.
    Plus,
    /// A space.
    Space,
    /// Encoded twice: `%25` stands where a `%` did.
    EncodedTwice,
    /// It begins like a JSON Web Token and is none.
    Jwt(JwtDamage),
}

/// A credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Where it travels.
    pub place: Place,
    /// The name of its parameter or cookie, or the scheme of Authorization.
    pub name: String,
    /// A digest of its value: the same for the same value, in this run.
    pub digest: u64,
    /// What it says of itself.
    pub jwt: Option<Jwt>,
    /// What is wrong with its form.
    pub damage: Option<TokenDamage>,
}

/// Names of parameters and cookies of which the value is a credential if a part of the name is one of these.
const PARTS: [&str; 9] = [
    "token",
    "auth",
    "jwt",
    "bearer",
    "ticket",
    "apikey",
    "api_key",
    "api-key",
    "credential",
];
/// The same for cookies: there a session's id is one.
const COOKIE_PARTS: [&str; 2] = ["sess", "sid"];
/// What programs write for a variable that nobody set.
const UNSET: [&str; 6] = [
    "undefined",
    "null",
    "[object Object]",
    "NaN",
    "[object Promise]",
    "None",
];

/// The credentials of a request, in the order of [`Place`].
pub fn credentials_of(request: &Request) -> Vec<Credential> {
    let mut found = Vec::new();
    let query = request.target.split_once('?').map_or("", |(_, q)| q);
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        if is_one_of(name, &PARTS) || Jwt::is_meant(value) {
            found.push(in_query(name, value));
        }
    }
    for value in request.headers.all("Authorization") {
        let (scheme, value) = value.trim().split_once(' ').unwrap_or(("", value));
        let value = value.trim();
        let damage = unset(value).or_else(|| bearer_inside(value));
        found.push(of(Place::Authorization, scheme, value, damage));
    }
    let offered: Vec<&str> = request.headers.list("Sec-WebSocket-Protocol").collect();
    let shown = Secrets::Redacted.subprotocols(offered.iter().copied());
    for (value, _) in offered.iter().zip(shown).filter(|(_, s)| s == REPLACEMENT) {
        let token = value
            .find("eyJ")
            .and_then(|at| value.get(at..))
            .unwrap_or(value);
        found.push(of(Place::Subprotocol, "", token, unset(token)));
    }
    for cookie in request.headers.all("Cookie").flat_map(|c| c.split(';')) {
        if let Some((name, value)) = cookie.trim().split_once('=')
            && (is_one_of(name, &PARTS) || is_one_of(name, &COOKIE_PARTS))
        {
            found.push(of(Place::Cookie, name, value, unset(value)));
        }
    }
    found
}

fn is_one_of(name: &str, parts: &[&str]) -> bool {
    let lower = name.to_ascii_lowercase();
    parts.iter().any(|part| lower.contains(part))
}

fn in_query(name: &str, value: &str) -> Credential {
    let decoded = percent_decoded(value);
    let plain = decoded.as_deref().unwrap_or(value);
    let damage = unset(plain)
        .or_else(|| bearer_inside(plain))
        .or_else(|| value.contains("%25").then_some(TokenDamage::EncodedTwice))
        .or_else(|| value.contains('+').then_some(TokenDamage::Plus))
        .or_else(|| plain.contains(' ').then_some(TokenDamage::Space));
    of(Place::Query, name, plain, damage)
}

fn of(place: Place, name: &str, value: &str, damage: Option<TokenDamage>) -> Credential {
    let token = value.trim();
    let read = match Jwt::is_meant(token) {
        true => Jwt::read(token),
        false => Ok(None),
    };
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    Credential {
        place,
        name: name.chars().filter(|c| !c.is_control()).take(40).collect(),
        digest: hasher.finish(),
        damage: damage.or(read.as_ref().err().copied().map(TokenDamage::Jwt)),
        jwt: read.ok().flatten(),
    }
}

fn unset(value: &str) -> Option<TokenDamage> {
    if value.is_empty() {
        return Some(TokenDamage::Empty);
    }
    let bare = value.strip_prefix("Bearer ").unwrap_or(value);
    let word = UNSET.into_iter().find(|word| *word == bare)?;
    Some(TokenDamage::Unset(word))
}

/// In Authorization the scheme stands before the value; a second one is inside it.
fn bearer_inside(value: &str) -> Option<TokenDamage> {
    let head = value.get(..7)?;
    let inside = head.eq_ignore_ascii_case("bearer ") || head.eq_ignore_ascii_case("bearer+");
    inside.then_some(TokenDamage::BearerInside)
}

#[cfg(test)]
mod tests {
    use super::super::jwt::tests::token;
    use super::*;
    use crate::script::Script;

    fn found(fields: &str) -> Vec<Credential> {
        let told = Script::new().handshake().request(fields).told();
        credentials_of(&told.sessions[0].handshake.request)
    }

    fn damage(value: &str) -> Option<TokenDamage> {
        in_query("token", value).damage
    }

    #[test]
    fn a_credential_is_found_wherever_it_travels() {
        let fields = "Authorization: Bearer abc\r\nCookie: theme=dark; sessionid=77\r\n\
                      Sec-WebSocket-Protocol: chat, access_token, hunter2\r\n";
        let places: Vec<_> = found(fields).iter().map(|c| c.place.name()).collect();
        assert_eq!(places, ["authorization", "subprotocol", "cookie"]);
        assert!(found("Cookie: theme=dark\r\n").is_empty());
    }

    #[test]
    fn equal_values_have_equal_digests_and_no_text_is_kept() {
        let one = found("Authorization: Bearer s3cr3t\r\n");
        assert_eq!(one, found("Authorization: Bearer s3cr3t\r\n"));
        assert_ne!(one, found("Authorization: Bearer other\r\n"));
        assert!(!format!("{one:?}").contains("s3cr3t"));
    }

    #[test]
    fn what_breaks_a_token_on_its_way_is_named() {
        use TokenDamage as D;
        assert_eq!(damage("abc%2Bdef%3D"), None);
        assert_eq!(damage("abc+def="), Some(D::Plus));
        assert_eq!(damage("abc%20def"), Some(D::Space));
        assert_eq!(damage("abc%252Bdef"), Some(D::EncodedTwice));
        assert_eq!(damage("undefined"), Some(D::Unset("undefined")));
        assert_eq!(
            damage("%5Bobject%20Object%5D"),
            Some(D::Unset("[object Object]"))
        );
        assert_eq!(damage("Bearer%20null"), Some(D::Unset("null")));
        assert_eq!(damage("Bearer%20abc"), Some(D::BearerInside));
        assert_eq!(damage(""), Some(D::Empty));
        assert_eq!(damage(&token("{}")), None);
        assert_eq!(
            damage("eyJhbGciOiJub25lIn0.eyJ9"),
            Some(D::Jwt(JwtDamage::Segments(2)))
        );
    }
}
