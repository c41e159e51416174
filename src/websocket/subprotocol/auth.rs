//! Errors inside a protocol: their parts, and whether they are about who the peer is.

use super::fact::Fault;
use super::json::{Value, pick, unescaped};
use super::words::Word;

/// Rationale: as long as a sentence; more is a stack trace.
const TEXT_KEPT: usize = 200;

/// Words for what proves who one is.
const PROOFS: [&str; 8] = [
    "token",
    "jwt",
    "credential",
    "session",
    "signature",
    "api key",
    "api-key",
    "apikey",
];
/// What may be wrong with it, within this many characters before.
const WRONGS: [&str; 5] = ["invalid", "expired", "missing", "bad", "malformed"];
/// Rationale: an article and an adjective fit between the two.
const BETWEEN: usize = 20;
/// What says it by itself.
const PLAIN: [&str; 11] = [
    "unauthorized",
    "unauthorised",
    "unauthenticated",
    "forbidden",
    "not authenticated",
    "not authorized",
    "session authentication failed",
    "session expired",
    "session not found",
    "permission denied",
    "access denied",
];
/// What a message that is an error calls itself.
const FAILED: [&str; 7] = [
    "error", "fail", "invalid", "denied", "reject", "expired", "revoked",
];
/// Numbers that HTTP and protocols modelled on it use.
const CODES: [&str; 4] = ["401", "403", "4401", "4403"];

impl Fault {
    /// An error of this code and text.
    pub(super) fn new(code: &[u8], text: &str) -> Box<Self> {
        let auth = CODES.iter().any(|number| number.as_bytes() == code)
            || is_refusal(text)
            || std::str::from_utf8(code).is_ok_and(is_refusal);
        Box::new(Self {
            code: Word::of(code),
            text: text.chars().take(TEXT_KEPT).collect(),
            auth,
        })
    }

    /// Whatever a protocol gives as an error: a string, a number, an object with
    /// a code and a message, or an array of these.
    pub(super) fn of_json(value: Value<'_>) -> Box<Self> {
        match value {
            Value::Text(text) => Self::new(b"", &unescaped(text)),
            Value::Number(digits) => Self::new(digits, ""),
            Value::Object(object) => Self::of_object(object),
            Value::Array(array) => match super::json::elements(array).next() {
                Some(first @ (Value::Text(_) | Value::Object(_))) => Self::of_json(first),
                _ => Self::new(b"", ""),
            },
            Value::True | Value::False | Value::Null => Self::new(b"", ""),
        }
    }

    fn of_object(object: &[u8]) -> Box<Self> {
        let names = [
            "code",
            "message",
            "reason",
            "error",
            "detail",
            "msg",
            "extensions",
        ];
        let [code, message, reason, error, detail, msg, extensions] = pick(object, names).values;
        let inner = extensions.and_then(Value::object);
        let code = code.or_else(|| super::json::member(inner?, "code"));
        let text = [message, reason, error, detail, msg];
        let text = text.into_iter().flatten().find_map(Value::plain);
        let code = code.and_then(Value::plain).unwrap_or_default();
        Self::new(code.as_bytes(), &text.unwrap_or_default())
    }
}

/// What a message of no known protocol says to a peer that isn't let in: an
/// object with an error in it, or one that calls itself one.
pub(super) fn in_object(bytes: &[u8]) -> Option<Box<Fault>> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let [error, errors, kind, event, status] =
        pick(bytes, ["error", "errors", "type", "event", "status"]).values;
    let carried = [error, errors]
        .into_iter()
        .flatten()
        .find(|value| matches!(value, Value::Text(_) | Value::Object(_) | Value::Array(_)));
    let own = || {
        let mut names = [kind, event, status].into_iter().flatten();
        let (own, denied) = names.find_map(|name| {
            let name = unescaped(name.text()?)
                .to_ascii_lowercase()
                .replace(['_', '-', '.', ':'], " ");
            let failed = FAILED.iter().any(|word| name.contains(word));
            let denied = is_refusal(&name) || failed && name.contains("auth");
            (failed || denied).then_some((Fault::of_object(bytes), denied))
        })?;
        let mut own = own;
        own.auth |= denied;
        Some(own)
    };
    let fault = match (carried, error) {
        // An empty one is none.
        (Some(Value::Text(b"")), _) => None,
        (Some(value), _) => Some(Fault::of_json(value)),
        (None, Some(Value::True)) => Some(Fault::of_object(bytes)),
        (None, _) => own(),
    };
    fault.filter(|fault| fault.auth)
}

/// The text says that the peer isn't let in.
pub(super) fn is_refusal(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    PLAIN.iter().any(|phrase| text.contains(phrase))
        || PROOFS.iter().any(|proof| is_wrong(&text, proof))
}

/// `proof` comes shortly after or before a word for what is wrong with it.
fn is_wrong(text: &str, proof: &str) -> bool {
    text.match_indices(proof).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default();
        let after = text
            .get(at.saturating_add(proof.len())..)
            .unwrap_or_default();
        let near = |place: usize, len: usize| place + len + BETWEEN >= before.len();
        WRONGS.iter().any(|wrong| {
            before
                .rmatch_indices(wrong)
                .next()
                .is_some_and(|(place, found)| near(place, found.len()))
                || after.find(wrong).is_some_and(|place| place <= BETWEEN)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_refused_is_told_from_other_errors() {
        for text in [
            "Invalid token",
            "JWT expired",
            "session not found",
            "Unauthorized",
            "the token has expired",
            "missing API key",
        ] {
            assert!(is_refusal(text), "{text}");
        }
        for text in [
            "invalid argument",
            "unexpected token } in JSON at position 4",
            "no such session type",
        ] {
            assert!(!is_refusal(text), "{text}");
        }
        assert!(Fault::new(b"403", "").auth);
    }

    #[test]
    fn a_refusal_is_told_in_messages_of_no_known_protocol() {
        let told = |text: &str| in_object(text.as_bytes()).map(|fault| fault.text);
        assert_eq!(
            told(r#"{"error": "Invalid token provided"}"#).as_deref(),
            Some("Invalid token provided")
        );
        for text in [
            r#"{"type":"error","code":401,"message":"who are you?"}"#,
            r#"{"event":"auth_failed","reason":"signature"}"#,
            r#"{"status":"error","message":"Session authentication failed"}"#,
            r#"{"error":{"code":"E1","message":"jwt expired"}}"#,
            r#"{"error":true,"message":"token expired"}"#,
        ] {
            assert!(told(text).is_some(), "{text}");
        }
        for text in [
            r#"{"error":null,"message":"token expired"}"#,
            r#"{"error":"","token":"invalid"}"#,
            r#"{"error":"unknown symbol"}"#,
            r#"{"type":"chat","message":"my token is invalid"}"#,
            r#"{"type":"auth_ok"}"#,
            r#"["error","token expired"]"#,
            "unauthorized",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn an_error_is_read_in_the_forms_that_protocols_have() {
        let object = Fault::of_json(Value::Object(br#"{"code":-32000,"message":"busy"}"#));
        assert_eq!(
            (object.code.bytes(), object.text.as_str()),
            (&b"-32000"[..], "busy")
        );
        let array = Fault::of_json(Value::Array(
            br#"[{"message":"boom","extensions":{"code":"INTERNAL"}}]"#,
        ));
        assert_eq!(
            (array.code.bytes(), array.text.as_str()),
            (&b"INTERNAL"[..], "boom")
        );
    }
}
