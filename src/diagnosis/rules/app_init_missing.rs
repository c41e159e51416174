//! `app-init-missing`: the exchange that opens the inner protocol is missing or was refused.

use crate::diagnosis::application::may_hide_answer;
use crate::diagnosis::heartbeat::first_sign_of_the_end;
use crate::diagnosis::refusal::shown;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::{Application, Opening, Protocol, Session, Source};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "app-init-missing",
    severity: Severity::Error,
    summary: "the exchange that opens the inner protocol is missing or was refused",
    explain: "\
## What it means
The protocol inside the session has an opening of its own, after the WebSocket handshake: `connection_init` and `connection_ack` of GraphQL, the
CONNECT packets of Socket.IO, STOMP and MQTT, and so on. It was refused (`data.kind`: `refused`, with what the other side said), never answered
(`unanswered`), or the client went on without it (`missing`). Requests are not served before it.

## What usually causes it
1. Refused: credentials that are missing, wrong or expired; a version that the server doesn't speak.
2. Unanswered: the server waits for something behind it, or doesn't speak this protocol.
3. Missing: client and server are of two dialects, or the client lost its first message when it reconnected.

## How to tell them apart
What the refusal says; otherwise the first messages of both sides beside the protocol's specification.

## What to do
Refused: mend the credentials or the version, and look into the server's log. Missing: let the client open the protocol after each reconnect, not
only the first time.

## References
graphql-transport-ws, ConnectionInit; Socket.IO protocol, Connection to a namespace; STOMP 1.2, Connecting; MQTT 5, sections 3.1 and 3.2.
",
    checks: &[Check::Session(check)],
};

/// How the opening failed.
enum Failure {
    Refused,
    Unanswered,
    Missing,
}

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if let Some(application) = case.session.application.as_deref()
        && let Some(failure) = failure(case, application)
    {
        findings.extend(finding(case, application, &failure));
    }
}

fn failure(case: &Case<'_>, application: &Application) -> Option<Failure> {
    let (session, opening) = (case.session, &application.opening);
    if opening.refused.is_some() && opening.accepted.is_none() {
        return Some(Failure::Refused);
    }
    opener(application.protocol)?;
    if opening.accepted.is_some()
        || may_hide_answer(session, Direction::ServerToClient, application.since)
    {
        return None;
    }
    if let Some(begun) = opening.begun {
        let end = first_sign_of_the_end(session, case.closing);
        let waited = end.time.saturating_since(begun.time);
        let other = opening.first_other.server.is_some();
        return (waited >= case.thresholds.no_response && !other).then_some(Failure::Unanswered);
    }
    let seen_from_the_start = session.handshake.mid_stream.is_none()
        && !may_hide_answer(
            session,
            Direction::ClientToServer,
            session.handshake.request.first,
        );
    let sure = application.source != Source::Sniffed;
    let went_on = opening.first_other.client.is_some();
    (seen_from_the_start && sure && went_on).then_some(Failure::Missing)
}

/// Before what is known to be a refusal it may have been accepted.
fn refused_with(session: &Session, opening: &Opening, side: Direction) -> Confidence {
    let seen = session.blind[side].is_none() && session.handshake.mid_stream.is_none();
    match seen && opening.surely_refused {
        true => Confidence::Certain,
        false => Confidence::Likely,
    }
}

/// What a protocol wants first.
const fn opener(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::GraphqlTransportWs | Protocol::GraphqlWs => Some("connection_init"),
        Protocol::SocketIo => Some("a CONNECT packet"),
        Protocol::Stomp | Protocol::Mqtt => Some("CONNECT"),
        Protocol::SignalR => Some("the protocol handshake"),
        Protocol::Wamp => Some("HELLO"),
        Protocol::Ocpp => Some("BootNotification"),
        Protocol::Centrifugo | Protocol::Ddp => Some("connect"),
        Protocol::HomeAssistant => Some("auth"),
        Protocol::Nats => Some("CONNECT"),
        Protocol::JsonRpc
        | Protocol::EngineIo
        | Protocol::Phoenix
        | Protocol::ActionCable
        | Protocol::Pusher
        | Protocol::SockJs
        | Protocol::Jupyter
        | Protocol::Generic => None,
    }
}

fn finding(case: &Case<'_>, application: &Application, failure: &Failure) -> Option<Finding> {
    let (session, opening) = (case.session, &application.opening);
    let protocol = application.protocol.name();
    let first = opener(application.protocol).unwrap_or("its opening");
    let (kind, confidence, at, what, summary) = match failure {
        Failure::Refused => {
            let (at, side, fault) = opening.refused.as_ref()?;
            let text = shown(
                session,
                &format!("{} {}", fault.code.text(), fault.text),
                80,
            );
            let said = if text.is_empty() {
                "without a reason".to_owned()
            } else {
                format!("\"{text}\"")
            };
            let who = side.sender();
            (
                "refused",
                refused_with(session, opening, *side),
                *at,
                "the refusal",
                format!("the {who} refused to open {protocol}: {said}"),
            )
        }
        Failure::Unanswered => (
            "unanswered",
            Confidence::Likely,
            opening.begun?,
            "the opening, never answered",
            format!("{protocol} was never opened: the server did not answer {first}"),
        ),
        Failure::Missing => (
            "missing",
            Confidence::Likely,
            opening.first_other.client?,
            "the client's first message",
            format!("{protocol} begins with {first}, and the client went on without it"),
        ),
    };
    let mut finding = Finding::new(&RULE, session, confidence, Evidence::new(at, what), summary)
        .data("kind", Value::Text(kind.to_owned()))
        .data("protocol", Value::Text(protocol.to_owned()));
    if let Failure::Refused = failure {
        finding = finding.evidence_if(opening.begun, "what was refused");
    }
    Some(finding.advice(match failure {
        Failure::Refused => "mend what the refusal names; the server's log has the rest".to_owned(),
        Failure::Unanswered => format!(
            "look why the server does not answer {first}: it may wait for something behind it"
        ),
        Failure::Missing => format!("send {first} first, after each reconnect too"),
    }))
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn graphql() -> Script {
        let field = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n";
        Script::new().upgrade_with(field, field)
    }

    fn kind(script: Script) -> Option<Value> {
        let told = script.told();
        let finding = told.of("app-init-missing").into_iter().next()?;
        finding
            .data
            .iter()
            .find(|(name, _)| *name == "kind")
            .map(|(_, value)| value.clone())
    }

    const SUBSCRIBE: &str = r#"{"id":"1","type":"subscribe","payload":{"query":"{a}"}}"#;
    const INIT: &str = r#"{"type":"connection_init"}"#;

    #[test]
    fn a_subscription_without_an_opening_is_found() {
        let script = graphql()
            .text(ClientToServer, SUBSCRIBE)
            .clean_close(ServerToClient);
        assert_eq!(kind(script), Some(Value::Text("missing".to_owned())));
    }

    #[test]
    fn an_opening_that_nobody_answers_is_found() {
        let script = graphql().text(ClientToServer, INIT).wait_s(9.0);
        assert_eq!(
            kind(script.clean_close(ClientToServer)),
            Some(Value::Text("unanswered".to_owned()))
        );
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words() {
        let script = Script::new()
            .upgrade()
            .text(ClientToServer, r#"2probe"#)
            .text(ClientToServer, r#"40{"token":"x"}"#)
            .text(ServerToClient, r#"44{"message":"Not authorized"}"#);
        // The probe's own answer would be an opening that was accepted.
        assert_eq!(kind(script), Some(Value::Text("refused".to_owned())));
    }

    #[test]
    fn an_opening_that_is_answered_is_none() {
        let script = graphql()
            .text(ClientToServer, INIT)
            .text(ServerToClient, r#"{"type":"connection_ack"}"#)
            .text(ClientToServer, SUBSCRIBE)
            .clean_close(ClientToServer);
        assert_eq!(kind(script), None);
    }
}
