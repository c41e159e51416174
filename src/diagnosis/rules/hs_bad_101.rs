//! `hs-bad-101`: a 101 that lacks what it needs, or accepts what nobody offered.

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::{
    Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value, api::ClientKind,
};
use crate::session::HandshakeBreach;

pub(super) static RULE: Rule = Rule {
    id: "hs-bad-101",
    severity: Severity::Error,
    summary: "the 101 lacks Upgrade or Connection, or accepts a subprotocol or extension that was not offered",
    explain: "\
## What it means
The server switched protocols with an answer that RFC 6455 forbids. Browsers, Node's ws, undici and Python's websockets drop the
connection at once (`error`, then 1006); aiohttp lets an unasked subprotocol or extension pass.

## What usually causes it
- The server names a fixed subprotocol or extension, whatever the client offered.
- A proxy drops `Connection` or `Upgrade` from the answer.
- Extension parameters that the offer didn't allow, such as a larger window.

## How to tell them apart
- Upgrade or Connection is missing, and the server's own answers have it: a proxy. Order and case of the fields differ from those of the
  server then.
- A subprotocol or extension that was not offered: the server's configuration. Compare `data.offered` with the answer.

## What to do
Make the server choose from what the client offers, or nothing. Compare an answer taken at the server with the one taken at the client.

## References
RFC 6455, sections 4.1 (client requirements on the answer), 4.2.2 and 9.1; RFC 7692, section 7.1.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let handshake = &session.handshake;
    let Some(response) = &handshake.response else {
        return;
    };
    let of_accept = |breach: &&HandshakeBreach| breach.kind.starts_with("accept-");
    let breaches: Vec<&HandshakeBreach> = handshake
        .response_breaches
        .iter()
        .filter(|b| !of_accept(b))
        .collect();
    let Some(first) = breaches.first() else {
        return;
    };
    let went_on = session.frames.client.total() > u64::from(session.close.client.is_some());
    let more = match breaches.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let summary = format!("the 101 breaks {}: {}{more}", first.section, first.what);
    let answer = Evidence::new(response.first, format!("the 101: {}", first.what));
    let texts = breaches
        .iter()
        .map(|b| format!("{} ({})", b.what, b.section))
        .collect();
    let mut finding = Finding::new(&RULE, session, unless_unpaired(session), answer, summary)
        .data("kind", Value::Text(first.kind.to_owned()))
        .data("breaches", Value::List(texts))
        .data("client_went_on", Value::Flag(went_on));
    if let Some(request) = handshake.seen_request() {
        let request = Evidence::new(request.last, "the request with its offers");
        finding.evidence.insert(0, request);
    }
    // A wrong Accept is the louder news of the same answer.
    let accept_is_wrong = handshake.response_breaches.iter().any(|b| of_accept(&b));
    if went_on || accept_is_wrong {
        finding = finding.severity(Severity::Warn);
    }
    findings.push(causes(finding, first, ClientKind::of(session)));
}

fn causes(finding: Finding, first: &HandshakeBreach, client: ClientKind) -> Finding {
    let of_head = first.kind.starts_with("upgrade-") || first.kind.starts_with("connection-");
    let finding = if of_head {
        finding
            .cause(Confidence::Possible, "a proxy took the field out of the answer")
            .cause(Confidence::Possible, "the server's own answer lacks it")
            .advice("compare with an answer taken at the server itself: it, or the proxy, drops Upgrade or Connection")
    } else {
        finding
            .cause(
                Confidence::Likely,
                "the server names a fixed subprotocol or extension, whatever was offered",
            )
            .advice("make the server choose from what the client offers, or nothing")
    };
    match client {
        ClientKind::Aiohttp => finding.cause(
            Confidence::Likely,
            "aiohttp lets unasked subprotocols and extensions pass; browsers don't",
        ),
        _ => finding,
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Severity, Value};
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn an_unasked_subprotocol_is_a_breach() {
        let told = Script::new()
            .upgrade_with("", "Sec-WebSocket-Protocol: chat\r\n")
            .fin(ClientToServer)
            .told();
        let finding = told.only("hs-bad-101");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("subprotocol-not-offered".to_owned())))
        );
        assert_eq!(finding.severity, Severity::Error);
        assert_eq!(finding.evidence.last().map(|e| e.at.number), Some(6));
    }

    #[test]
    fn a_client_that_goes_on_makes_it_a_warning() {
        let told = Script::new()
            .upgrade_with("", "Sec-WebSocket-Protocol: chat\r\n")
            .text(ClientToServer, "hi")
            .text(ServerToClient, "ho")
            .told();
        assert_eq!(told.only("hs-bad-101").severity, Severity::Warn);
    }

    #[test]
    fn what_was_offered_may_be_chosen() {
        let told = Script::new()
            .upgrade_with(
                "Sec-WebSocket-Protocol: chat\r\n",
                "Sec-WebSocket-Protocol: chat\r\n",
            )
            .told();
        assert!(told.of("hs-bad-101").is_empty());
    }
}
