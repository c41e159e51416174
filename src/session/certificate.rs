//! What is wrong with the certificate that a server showed.

use std::time::Duration;

use super::Tls;

/// Rationale: certificates are renewed some weeks before their end; with two
/// weeks left that has failed.
const RENEWAL: Duration = Duration::from_secs(14 * 24 * 3_600);

/// Why a client may refuse a certificate, as far as it shows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateProblem {
    /// It was valid until before the handshake.
    Expired,
    /// It is valid from after the handshake on.
    NotYetValid,
    /// It isn't for the name that the client asked for.
    WrongName,
    /// It ends within 14 days.
    EndsSoon,
}

impl CertificateProblem {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::WrongName => "wrong-name",
            Self::EndsSoon => "ends-soon",
        }
    }

    /// A client refuses it for that; what ends in two weeks it still takes.
    pub fn is_refused(self) -> bool {
        self != Self::EndsSoon
    }
}

impl Tls {
    /// What is wrong with the server's certificate at the time of its packet,
    /// the gravest first; nothing where it could not be read.
    pub fn certificate_problems(&self) -> Vec<CertificateProblem> {
        let Some((leaf, at)) = self.certificate() else {
            return Vec::new();
        };
        let now = at.time;
        let mut problems = Vec::new();
        if now > leaf.not_after {
            problems.push(CertificateProblem::Expired);
        } else if now < leaf.not_before {
            problems.push(CertificateProblem::NotYetValid);
        }
        // Without a list of names there may be one in the subject, which some clients still take.
        let wrong = |name: &str| !leaf.names.is_empty() && !leaf.is_for(name);
        if self.server_name().is_some_and(wrong) {
            problems.push(CertificateProblem::WrongName);
        }
        if problems.is_empty() && now.saturating_add(RENEWAL) > leaf.not_after {
            problems.push(CertificateProblem::EndsSoon);
        }
        problems
    }

    /// Something is wrong with the server's certificate, or no authority stands behind it.
    pub fn shows_reason_to_refuse(&self) -> bool {
        let chain = self.certificates.server.as_ref();
        let alone = chain.map(|(chain, _)| chain.as_slice());
        matches!(alone, Some([alone]) if alone.self_issued)
            || self.certificate_problems().iter().any(|p| p.is_refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Certificate, ClientHello};
    use crate::stream::{Direction, PacketRef};
    use crate::time::Timestamp;
    use crate::tls::Event;
    use CertificateProblem::{EndsSoon, Expired, NotYetValid, WrongName};

    const DAY: i64 = 24 * 3_600 * 1_000_000_000;

    /// Problems on this day of a certificate for `names` that is valid from day 100 to day 200.
    fn problems(day: i64, names: &[&str], asked: &str) -> Vec<CertificateProblem> {
        let time = |day: i64| Timestamp::from_nanos(day * DAY);
        let at = PacketRef {
            time: time(day),
            ..PacketRef::default()
        };
        let mut tls = Tls::default();
        let hello = ClientHello {
            server_name: Some(asked.to_owned()),
            ..ClientHello::default()
        };
        tls.apply(&Event::ClientHello {
            hello: Box::new(hello),
            at,
        });
        let chain = vec![Certificate {
            subject: String::new(),
            issuer: String::new(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            not_before: time(100),
            not_after: time(200),
            self_issued: false,
            authority: false,
        }];
        tls.apply(&Event::Certificate {
            direction: Direction::ServerToClient,
            chain,
            at,
        });
        tls.certificate_problems()
    }

    #[test]
    fn a_certificate_is_judged_at_the_time_of_its_packet() {
        let on = |day| problems(day, &["a.test"], "a.test");
        assert_eq!(on(99), [NotYetValid]);
        assert_eq!(on(100), []);
        assert_eq!(on(186), []);
        assert_eq!(on(187), [EndsSoon]);
        assert_eq!(on(201), [Expired]);
    }

    #[test]
    fn a_name_that_it_is_not_for_is_told_beside_its_end() {
        assert_eq!(problems(150, &["b.test"], "a.test"), [WrongName]);
        assert_eq!(problems(201, &["b.test"], "a.test"), [Expired, WrongName]);
        assert_eq!(problems(150, &["*.test.org"], "a.test.org"), []);
        // An old certificate that has its name in the subject only.
        assert_eq!(problems(150, &[], "a.test"), []);
    }
}
