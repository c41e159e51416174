//! What is wrong with a head, and how it is told without its secrets.

/// One way in which a head breaks the rules of the opening handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeBreach {
    /// A stable word: `upgrade-missing`, `accept-mismatch` ...
    pub kind: &'static str,
    /// One sentence that says what was seen and what must be; free of secrets.
    pub what: String,
    /// `RFC 6455, section 4.1`.
    pub section: &'static str,
}

/// What is wrong with one head, by the rules of one section.
pub(super) struct Breaches {
    pub(super) found: Vec<HandshakeBreach>,
    pub(super) section: &'static str,
}

impl Breaches {
    pub(super) fn add(&mut self, kind: &'static str, what: impl Into<String>) {
        self.found.push(HandshakeBreach {
            kind,
            what: what.into(),
            section: self.section,
        });
    }
}

/// A breach of RFC 9112, or 9110 for section 5.5.
pub(super) fn fault(kind: &'static str, section: &'static str, what: &str) -> HandshakeBreach {
    let section = match section {
        "2.2" => "RFC 9112, section 2.2",
        "3" => "RFC 9112, section 3",
        "5" => "RFC 9112, section 5",
        "5.1" => "RFC 9112, section 5.1",
        "5.2" => "RFC 9112, section 5.2",
        _ => "RFC 9110, section 5.5",
    };
    HandshakeBreach {
        kind,
        what: what.to_owned(),
        section,
    }
}

/// A value for a message: as it is where it can't be a secret, its length where it might be.
pub(super) fn shown(value: &str) -> String {
    let value = value.trim();
    let harmless = value.len() <= 24
        && value.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
        && !looks_like_credential(value);
    if harmless {
        format!("`{value}`")
    } else {
        format!("a value of {} characters", value.chars().count())
    }
}

/// Rationale: names of protocols are words and versions; credentials are long, and mix cases and digits.
fn looks_like_credential(value: &str) -> bool {
    const WORDS: [&str; 6] = ["bearer", "auth", "token", "secret", "key", "eyj"];
    let lower = value.to_ascii_lowercase();
    let has = |class: fn(&u8) -> bool| value.as_bytes().iter().any(class);
    let mixed =
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    let hex = value.len() >= 16 && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    WORDS.iter().any(|word| lower.contains(word)) || hex || (value.len() >= 12 && mixed)
}
