//! What a certificate says (RFC 5280): whom it is for, who signed it, and until when.

use std::net::IpAddr;

use x509_parser::prelude::*;

use crate::time::Timestamp;

/// A certificate, as far as it matters to who looks at a failed handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The subject's distinguished name.
    pub subject: String,
    /// The issuer's.
    pub issuer: String,
    /// DNS names and addresses that it is for (RFC 5280, section 4.2.1.6); the
    /// first 32.
    pub names: Vec<String>,
    /// Valid from then on.
    pub not_before: Timestamp,
    /// Valid until then.
    pub not_after: Timestamp,
    /// Subject and issuer are the same.
    pub self_issued: bool,
    /// It may sign others.
    pub authority: bool,
}

impl Certificate {
    /// What `der` says; `None` where it can't be read.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        /// Rationale: a report shows a handful.
        const NAMES: usize = 32;
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative
            .iter()
            .flat_map(|extension| &extension.value.general_names)
            .filter_map(name)
            .take(NAMES)
            .collect();
        let validity = certificate.validity();
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names,
            not_before: time(validity.not_before),
            not_after: time(validity.not_after),
            self_issued: certificate.subject() == certificate.issuer(),
            authority: certificate.is_ca(),
        })
    }

    /// Whether it is for this host name or address (RFC 9525, section 6.3).
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        self.names.iter().any(|name| matches(name, host))
    }

    /// Whether it is valid at `time`.
    pub fn is_valid_at(&self, time: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }
}

/// The SubjectPublicKeyInfo of a certificate (RFC 5280, section 4.1.2.7), as it stands there.
pub(super) fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

fn time(time: ASN1Time) -> Timestamp {
    Timestamp::from_nanos(time.timestamp().saturating_mul(1_000_000_000))
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// RFC 9525, section 6.3: `*` stands for one whole label, the leftmost.
fn matches(name: &str, host: &str) -> bool {
    let name = name.trim_end_matches('.');
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    let (Some(parent), Some((label, rest))) = (name.strip_prefix("*."), host.split_once('.'))
    else {
        return false;
    };
    !label.is_empty() && parent.contains('.') && parent.eq_ignore_ascii_case(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(matches("*.lab.test", "ws.lab.test"));
        assert!(matches("WS.lab.test", "ws.LAB.test"));
        assert!(!matches("*.lab.test", "a.ws.lab.test"));
        assert!(!matches("*.lab.test", "lab.test"));
        assert!(!matches("*.test", "lab.test"));
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert_eq!(Certificate::parse(b"\x30\x03\x02\x01\x01"), None);
    }
}
