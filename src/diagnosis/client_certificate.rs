//! `tls-alert` where nobody can read the alert: the server doesn't take the
//! client's certificate (RFC 8446, section 4.4.2.4).

use super::dial::{Dial, dials};
use super::tls::check_command;
use super::wording::times;
use super::{Confidence, Evidence, Finding, Overview, Rule, Value};
use crate::session::{Attempt, ClientCertificate};

/// `rule` where the server's record of the size of an alert stands right behind the client's certificate.
pub(super) fn refused(overview: &Overview<'_>, rule: &'static Rule, findings: &mut Vec<Finding>) {
    for shown in [ClientCertificate::Missing, ClientCertificate::Shown] {
        let fits = |attempt: &Attempt| {
            let refused = attempt.leg.client_refused();
            refused.is_some_and(|refused| refused.shown == shown)
        };
        for dial in dials(overview, fits) {
            findings.extend(of_dial(&dial, overview, rule));
        }
    }
}

fn of_dial(dial: &Dial<'_>, overview: &Overview<'_>, rule: &'static Rule) -> Option<Finding> {
    let leg = &dial.first.leg;
    let refused = leg.client_refused()?;
    let again = match dial.count {
        1 => String::new(),
        count => format!(", {}", times(usize::try_from(count).unwrap_or(usize::MAX))),
    };
    let (kind, what, cause) = match refused.shown {
        ClientCertificate::Missing => (
            "client-certificate-missing",
            "the client had no certificate to show",
            "mutual TLS: the client has to be given a certificate and its key",
        ),
        ClientCertificate::Shown => (
            "client-certificate-refused",
            "the client showed its certificate",
            "the server doesn't accept the client's certificate",
        ),
    };
    let summary = format!(
        "{} to {}: the server ended TLS with what is most likely an alert, when {what}{again} (inferred from the sizes of TLS records)",
        dial.who(),
        dial.whom(),
    );
    let sure = Confidence::Likely;
    let first = Evidence::new(
        refused.at,
        "the server's only record after the handshake, of the size of an alert",
    );
    let mut finding = dial
        .finding(overview, rule, dial.first, sure, first, summary)
        .evidence(refused.flight, "the client's half of the handshake")
        .data("kind", Value::Text(kind.to_owned()))
        .data("by", Value::Text("server".to_owned()))
        .cause(Confidence::Likely, cause);
    if let Some(name) = leg.tls.as_deref().and_then(|tls| tls.server_name()) {
        finding = finding.data("server_name", Value::Text(name.to_owned()));
    }
    Some(finding.advice(format!(
        "look in the server's TLS log at that time, or try with the certificate: {} -cert FILE -key FILE",
        check_command(leg)
    )))
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::script::hello::{client_hello, record, server_hello};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// TLS 1.3, with the client's half of the handshake in records of these sizes.
    fn finished(lens: &[usize]) -> Script {
        let shown = Script::new()
            .handshake()
            .bytes(ClientToServer, &client_hello())
            .bytes(ServerToClient, &server_hello(0x0304))
            .bytes(ServerToClient, &record(23, &[7; 900]));
        let flight: Vec<u8> = lens
            .iter()
            .flat_map(|len| record(23, &vec![7; *len]))
            .collect();
        shown.bytes(ClientToServer, &flight)
    }

    fn ended(script: Script) -> Script {
        script
            .bytes(ServerToClient, &record(23, &[7; 19]))
            .fin(ServerToClient)
            .fin(ClientToServer)
    }

    #[test]
    fn an_alert_behind_an_empty_certificate_is_likely_about_it() {
        for flight in [&[25, 53][..], &[61], &[25, 53, 400]] {
            let told = ended(finished(flight)).told();
            let finding = told.only("tls-alert");
            assert_eq!(finding.confidence.name(), "likely");
            assert_eq!(finding.severity.name(), "error");
            assert!(finding.summary.contains("no certificate"));
        }
    }

    #[test]
    fn an_alert_behind_a_certificate_is_likely_about_it() {
        let told = ended(finished(&[800, 281, 53])).told();
        assert!(told.only("tls-alert").summary.contains("showed"));
    }

    #[test]
    fn a_server_that_takes_what_the_client_shows_is_heard_first() {
        let ticket = finished(&[25, 53]).bytes(ServerToClient, &record(23, &[7; 250]));
        assert!(ended(ticket).told().of("tls-alert").is_empty());
    }

    #[test]
    fn a_client_that_was_not_asked_or_says_goodbye_first_is_not_refused() {
        assert!(ended(finished(&[53])).told().of("tls-alert").is_empty());
        let goodbye = finished(&[25, 53]).bytes(ClientToServer, &record(23, &[7; 19]));
        assert!(ended(goodbye).told().of("tls-alert").is_empty());
        let left = finished(&[25, 53]).fin(ClientToServer);
        assert!(ended(left).told().of("tls-alert").is_empty());
    }
}
