//! Key logs in the form of SSLKEYLOGFILE (RFC 9850): one secret a line.

use crate::stream::{Secret, SecretLabel};

/// What a key log held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLogSummary {
    /// Lines with a secret.
    pub secrets: u64,
    /// Lines that are neither a secret, nor empty, nor a comment.
    pub unreadable: u64,
    /// The first such line, from 1.
    pub first_unreadable: Option<u64>,
}

/// Reads a key log's text and hands each secret to `each`.
///
/// Lines may end in LF, CRLF or CR; empty lines, comments (`#`) and leading
/// or trailing blanks are passed over. A line that can't be read costs only
/// itself.
pub fn read_key_log(text: &[u8], mut each: impl FnMut(Secret)) -> KeyLogSummary {
    let mut summary = KeyLogSummary::default();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut number = 0_u64;
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        number = number.saturating_add(1);
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let secret = std::str::from_utf8(line).ok().and_then(secret_of);
        match secret {
            Some(secret) => {
                summary.secrets += 1;
                each(secret);
            }
            None => {
                summary.unreadable += 1;
                summary.first_unreadable.get_or_insert(number);
            }
        }
    }
    summary
}

/// The secret that a line holds.
fn secret_of(line: &str) -> Option<Secret> {
    let mut words = line.split_ascii_whitespace();
    let label = words.next()?;
    if label.eq_ignore_ascii_case("RSA") {
        return rsa_secret(words.next()?, words.next()?);
    }
    let label = SecretLabel::of(label)?;
    let client_random = hex(words.next()?)?.try_into().ok()?;
    let bytes = hex(words.next()?)?;
    let fits = match label {
        SecretLabel::Master => bytes.len() == 48,
        SecretLabel::EchSecret | SecretLabel::EchConfig => !bytes.is_empty(),
        // As long as the hash of the suite: SHA-256 or SHA-384.
        _ => matches!(bytes.len(), 32 | 48),
    };
    (fits && words.next().is_none()).then_some(Secret::OfRandom {
        label,
        client_random,
        bytes,
    })
}

/// `RSA <encrypted> <premaster>` or `RSA Session-ID:<id> Master-Key:<master>`.
fn rsa_secret(first: &str, second: &str) -> Option<Secret> {
    if let (Some(id), Some(master)) = (
        first.strip_prefix("Session-ID:"),
        second.strip_prefix("Master-Key:"),
    ) {
        let (id, master) = (hex(id)?, hex(master)?);
        return (!id.is_empty() && master.len() == 48).then_some(Secret::OfSession { id, master });
    }
    let (encrypted, bytes) = (hex(first)?, hex(second)?);
    let encrypted = *encrypted.first_chunk::<8>()?;
    (bytes.len() == 48).then_some(Secret::Premaster { encrypted, bytes })
}

/// The bytes that hexadecimal digits stand for.
fn hex(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: &u8| char::from(*digit).to_digit(16);
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(value(high)? << 4 | value(low)?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Secret>, KeyLogSummary) {
        let mut secrets = Vec::new();
        let summary = read_key_log(text.as_bytes(), |secret| secrets.push(secret));
        (secrets, summary)
    }

    fn random() -> String {
        "0a".repeat(32)
    }

    #[test]
    fn messy_lines_are_read() {
        let text = format!(
            "\u{feff}# made by a browser\r\n\r\n  client_random\t{} {}  \r\nCLIENT_TRAFFIC_SECRET_0 {} {}",
            random(),
            "AB".repeat(48),
            random(),
            "cd".repeat(32),
        );
        let (secrets, summary) = read(&text);
        let (first, second) = (SecretLabel::Master, SecretLabel::ClientTraffic);
        let secret = |label, byte, len| Secret::OfRandom {
            label,
            client_random: [0x0a; 32],
            bytes: vec![byte; len],
        };
        assert_eq!(secrets, [secret(first, 0xab, 48), secret(second, 0xcd, 32)]);
        assert_eq!(summary.unreadable, 0);
    }

    #[test]
    fn a_broken_line_costs_only_itself() {
        let text = format!(
            "CLIENT_RANDOM {} 00\nwhat is this\nCLIENT_RANDOM {} {}\n",
            random(),
            random(),
            "ab".repeat(48)
        );
        let (secrets, summary) = read(&text);
        assert_eq!(secrets.len(), 1);
        assert_eq!((summary.unreadable, summary.first_unreadable), (2, Some(1)));
    }

    #[test]
    fn premasters_and_session_ids_are_secrets_too() {
        let text = format!(
            "RSA 0102030405060708 {}\nRSA Session-ID:0102 Master-Key:{}\n",
            "ab".repeat(48),
            "cd".repeat(48)
        );
        let (secrets, _) = read(&text);
        assert_eq!(
            secrets,
            [
                Secret::Premaster {
                    encrypted: [1, 2, 3, 4, 5, 6, 7, 8],
                    bytes: vec![0xab; 48]
                },
                Secret::OfSession {
                    id: vec![1, 2],
                    master: vec![0xcd; 48]
                },
            ]
        );
    }

    #[test]
    fn what_is_printed_of_a_secret_is_its_label() {
        let (secrets, _) = read(&format!("CLIENT_RANDOM {} {}", random(), "ab".repeat(48)));
        assert_eq!(format!("{secrets:?}"), "[Secret(CLIENT_RANDOM)]");
    }
}
