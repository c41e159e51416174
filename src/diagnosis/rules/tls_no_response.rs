//! `tls-no-response`: a ClientHello was delivered, and no ServerHello came.

use std::time::Duration;

use super::hs_scheme_mismatch::plain_answer;
use crate::diagnosis::dial::{Dial, dials};
use crate::diagnosis::tls::{check_command, first_end, has_all_of};
use crate::diagnosis::wording::{span, times};
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::Attempt;
use crate::stream::Direction::{ClientToServer, ServerToClient};
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "tls-no-response",
    severity: Severity::Error,
    summary: "the ClientHello was delivered, but no ServerHello came",
    explain: "\
## What it means
The server's TCP took the first message of TLS, and TLS never answered: the server hung up, or stayed silent until the client gave up. A
browser reports `error`, then `close` with code 1006.

## What usually causes it
- The port doesn't speak TLS, and waits for a request that it understands.
- The server accepts connections and has no time for them: overloaded, blocked, or out of threads.
- No certificate is configured for the name (SNI), or a proxy can't reach what stands behind it.
- A device on the path drops ClientHellos: for their name, or because a large one needs two packets.

## How to tell them apart
- The server hangs up at once: it looked at the first bytes and wanted none of them. Try `ws://` on that port.
- Silence, and other connections of that server are silent too: it is blocked.
- `data.acked` false: the ClientHello itself didn't arrive; look at the network, and at the packet size if it took two segments.

## What to do
Try the port by hand with `openssl s_client`, from the client's network and on the server itself.

## References
RFC 8446, section 4.1.
",
    checks: &[Check::Capture(check)],
};

/// A ClientHello that nobody answered.
struct Unanswered {
    hello: PacketRef,
    /// Who ended the connection.
    end: Option<(Direction, PacketRef)>,
    waited: Duration,
}

fn unanswered(attempt: &Attempt, overview: &Overview<'_>) -> Option<Unanswered> {
    let leg = &attempt.leg;
    let tls = leg.tls.as_deref()?;
    let (_, hello) = tls.client_hello.as_ref()?;
    let seen = has_all_of(leg, ServerToClient) && leg.last_packet.server >= Some(*hello);
    let spoke = leg.last_payload.server >= Some(*hello);
    if spoke || !seen || plain_answer(attempt, overview).is_some() {
        return None;
    }
    let end = first_end(leg).filter(|(_, at)| at > hello);
    let until = end.map_or(attempt.horizon, |(_, at)| at);
    let waited = until.time.saturating_since(hello.time);
    let enough = match end {
        Some((ServerToClient, _)) => true,
        // Earlier, it is the client that had no patience.
        Some((ClientToServer, _)) => waited >= overview.thresholds.slow_handshake,
        None => waited >= overview.thresholds.no_response,
    };
    enough.then_some(Unanswered {
        hello: *hello,
        end,
        waited,
    })
}

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    // Who hung up is what tells the causes apart.
    for end in [ServerToClient, ClientToServer]
        .map(Some)
        .into_iter()
        .chain([None])
    {
        let fits = |attempt: &Attempt| {
            let unanswered = unanswered(attempt, overview);
            unanswered.is_some_and(|told| told.end.map(|(who, _)| who) == end)
        };
        for dial in dials(overview, fits) {
            findings.extend(of_dial(&dial, overview));
        }
    }
}

fn of_dial(dial: &Dial<'_>, overview: &Overview<'_>) -> Option<Finding> {
    let Unanswered { hello, end, waited } = unanswered(dial.first, overview)?;
    let leg = &dial.first.leg;
    let again = match dial.count {
        1 => String::new(),
        count => format!(", {}", times(usize::try_from(count).unwrap_or(usize::MAX))),
    };
    let (kind, how) = match end {
        Some((ServerToClient, _)) => ("hung-up", "the server ended the connection"),
        Some((ClientToServer, _)) => ("client-gave-up", "then the client gave up"),
        None => ("silent", "and the capture ends"),
    };
    let confidence = match end {
        Some((ServerToClient, _)) => Confidence::Likely,
        _ if waited >= overview.thresholds.no_response => Confidence::Likely,
        _ => Confidence::Possible,
    };
    let summary = format!(
        "{} didn't answer the ClientHello of {} in {}, {how}{again}",
        dial.whom(),
        dial.who(),
        span(waited)
    );
    let acked = leg.last_delivered.client;
    let acked = acked.filter(|(payload, _)| *payload >= hello);
    let first = Evidence::new(hello, "TLS ClientHello");
    let mut finding = dial
        .finding(overview, &RULE, dial.first, confidence, first, summary)
        .evidence_if(
            acked.map(|(_, ack)| ack),
            "the server's TCP acknowledged it",
        )
        .evidence_if(
            end.map(|(_, at)| at),
            "the end, nothing from the server's TLS before it",
        )
        .data("kind", Value::Text(kind.to_owned()))
        .data("waited_ms", Value::Ms(waited))
        .data("acked", Value::Flag(acked.is_some()));
    if let Some(name) = leg.tls.as_deref().and_then(|tls| tls.server_name()) {
        finding = finding.data("server_name", Value::Text(name.to_owned()));
    }
    let finding = finding
        .cause(Confidence::Possible, "the port doesn't speak TLS")
        .cause(
            Confidence::Possible,
            "the server is overloaded or blocked, or has nothing for the name that was asked for",
        );
    Some(finding.advice(format!("try the port by hand: {}", check_command(leg))))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Finding, Value};
    use crate::script::Script;
    use crate::script::hello::client_hello;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn asked() -> Script {
        Script::new()
            .handshake()
            .bytes(ClientToServer, &client_hello())
    }

    #[test]
    fn silence_after_a_client_hello_is_told() {
        let told = asked().wait_s(6.0).fin(ClientToServer).told();
        let finding = told.only("tls-no-response");
        assert_eq!(finding.confidence.name(), "likely");
        let told = asked().wait_s(2.0).fin(ClientToServer).told();
        assert_eq!(told.only("tls-no-response").confidence.name(), "possible");
    }

    #[test]
    fn a_server_that_hangs_up_on_a_client_hello_is_told() {
        let told = asked().fin(ServerToClient).fin(ClientToServer).told();
        assert_eq!(told.only("tls-no-response").confidence.name(), "likely");
    }

    #[test]
    fn a_server_that_hangs_up_and_one_that_is_silent_are_told_apart() {
        let told = asked()
            .fin(ServerToClient)
            .fin(ClientToServer)
            .at_port(40_001)
            .handshake()
            .bytes(ClientToServer, &client_hello())
            .wait_s(6.0)
            .fin(ClientToServer)
            .told();
        let kind = |finding: &&Finding| {
            finding
                .data
                .iter()
                .find(|(name, _)| *name == "kind")
                .cloned()
        };
        let kinds: Vec<_> = told.of("tls-no-response").iter().filter_map(kind).collect();
        let kind = |text: &str| ("kind", Value::Text(text.to_owned()));
        assert_eq!(kinds, [kind("hung-up"), kind("client-gave-up")]);
    }

    #[test]
    fn a_client_without_patience_is_not_the_servers_fault() {
        let told = asked().fin(ClientToServer).fin(ServerToClient).told();
        assert!(told.of("tls-no-response").is_empty());
    }
}
