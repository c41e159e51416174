//! `app-silent-subscription`: a subscription was granted, and nothing came for it while others got something.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::diagnosis::application::may_hide_answer;
use crate::diagnosis::patterns::Trial;
use crate::diagnosis::refusal::shown;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Protocol, Session, Subscription, Word};
use crate::stream::{Direction, PacketRef};
use crate::time::Timestamp;

pub(super) static RULE: Rule = Rule {
    id: "app-silent-subscription",
    severity: Severity::Error,
    summary: "a subscription was granted and nothing came for it, while others got messages of the same topic",
    explain: "\
## What it means
The client subscribed to a topic (`data.topic`) and the server granted it. Then nothing came for it, while at least five messages of that very topic
went to other sessions of the same service, over 2 s and more. It is not the transport: the server never sent them to this one.

## What usually causes it
1. The server's instance that holds this session doesn't get the topic's messages: the bus between instances is broken, or it lost the
   subscription in a failover.
2. A filter or a permission of this client lets nothing through.
3. The client sent those messages itself, and the server doesn't send them back to their sender.

## How to tell them apart
- Silent sessions are all on one backend (`pattern-uneven-backends` has the method; here compare `data.others`): the bus.
- Silent for one user on each backend: filter or permission.

## What to do
Look at the server that holds this session for how it gets the topic's messages. On the client let a topic that is silent for too long be
subscribed to again.

## References
Each protocol's chapter on subscriptions.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: a burst to one client is a snapshot for it; five in two seconds and more are traffic.
const TRAFFIC: Duration = Duration::from_secs(2);
/// Rationale: what was on its way when the subscription was granted need not have come.
const SETTLED: Duration = Duration::from_secs(1);

/// A subscription, whose, and until when.
struct Held<'a> {
    session: &'a Session,
    subscription: &'a Subscription,
    granted: PacketRef,
    until: Timestamp,
}

type Topic = (u32, &'static str, Word);

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let mut topics: BTreeMap<Topic, Vec<Held<'_>>> = BTreeMap::new();
    for trial in &overview.patterns.trials {
        for (topic, held) in held(trial, overview.capture.last) {
            topics.entry(topic).or_default().push(held);
        }
    }
    let mut found: Vec<Finding> = Vec::new();
    for all in topics.values().filter(|all| all.len() >= 2) {
        let mut served: Vec<(Timestamp, Timestamp, &Held<'_>)> =
            all.iter().filter_map(traffic).collect();
        served.sort_unstable_by_key(|(first, last, held)| (*first, *last, held.session.id));
        let silent = all.iter().filter(|one| one.subscription.pushes == 0);
        found.extend(silent.filter_map(|one| finding(one, &served)));
    }
    found.sort_by_key(|finding| finding.evidence.first().map(|e| e.at));
    findings.extend(found);
}

/// The subscriptions of a session of which the server's messages can be counted.
fn held<'a>(trial: &Trial<'a>, last: PacketRef) -> impl Iterator<Item = (Topic, Held<'a>)> {
    let session = trial.session;
    let known = session.and_then(|session| session.application.as_deref());
    // Names that mean the same for everybody, and messages that carry them.
    let known = known.filter(|known| {
        matches!(
            known.protocol,
            Protocol::Phoenix | Protocol::Centrifugo | Protocol::Pusher
        )
    });
    let service = trial.service;
    let until = trial.over.unwrap_or(last).time;
    known.into_iter().flat_map(move |known| {
        known.subscriptions.iter().filter_map(move |subscription| {
            let (session, granted) = (session?, subscription.granted?);
            let topic = (service, known.protocol.name(), subscription.name);
            let until = subscription
                .ended
                .map_or(until, |ended| ended.time.min(until));
            (!subscription.name.may_be_cut()).then_some((
                topic,
                Held {
                    session,
                    subscription,
                    granted,
                    until,
                },
            ))
        })
    })
}

/// From when to when the newest five came, where they are no burst.
fn traffic<'p, 'a>(held: &'p Held<'a>) -> Option<(Timestamp, Timestamp, &'p Held<'a>)> {
    let [first, .., last] = held.subscription.recent;
    let (first, last) = (first?, last?);
    (last.saturating_since(first) >= TRAFFIC).then_some((first, last, held))
}

fn finding(silent: &Held<'_>, served: &[(Timestamp, Timestamp, &Held<'_>)]) -> Option<Finding> {
    let session = silent.session;
    let from = silent.granted.time.saturating_add(SETTLED);
    let after = served.partition_point(|(first, ..)| *first < from);
    let mut others = served
        .get(after..)?
        .iter()
        .take_while(|(first, ..)| *first <= silent.until)
        .filter(|(_, last, _)| *last <= silent.until)
        // A few are enough.
        .take(8);
    let (_, _, witness) = others.next()?;
    let count = others.count().saturating_add(1);
    // Who speaks may be the one that the others hear.
    let speaks = session.application.as_deref().is_none_or(|known| {
        known.notifications.client > 0
            || known
                .latency
                .methods
                .iter()
                .any(|method| is_said(method.name))
            || known.latency.other_methods > 0
    });
    if speaks || may_hide_answer(session, Direction::ServerToClient, silent.granted) {
        return None;
    }
    let topic = shown(session, &silent.subscription.name.text(), 60);
    let waited = silent.until.saturating_since(silent.granted.time);
    let (confidence, severity) = match count {
        1 => (Confidence::Possible, Severity::Warn),
        _ => (Confidence::Likely, Severity::Error),
    };
    let many = match count {
        1 => "another session".to_owned(),
        8 => "8 and more sessions".to_owned(),
        count => format!("{count} other sessions"),
    };
    let summary = format!(
        "nothing came for {topic} in {} since it was granted, while {many} got messages of it",
        span(waited)
    );
    let granted = Evidence::new(silent.granted, format!("the server grants {topic}"));
    let mut found = Finding::new(&RULE, session, confidence, granted, summary)
        .severity(severity)
        .evidence_if(
            witness.subscription.last_push,
            &format!("a message of {topic} to {}", witness.session.name()),
        )
        .data("topic", Value::Text(topic))
        .data("waited_ms", Value::Ms(waited))
        .data("others", Value::Count(count as u64));
    found.tcp_stream = None; // The evidence is of two connections.
    Some(
        found
            .cause(Confidence::Possible, "the instance that holds this session doesn't get the topic's messages")
            .cause(Confidence::Possible, "a filter or a permission lets nothing through to this client")
            .advice("it is not the transport: look at what the server that holds this session does with the topic"),
    )
}

/// A request that may be heard by others, rather than one that asks for them.
fn is_said(method: Word) -> bool {
    const ASKS: [&[u8]; 5] = [
        b"phx_join",
        b"subscribe",
        b"connect",
        b"pusher:subscribe",
        b"ping",
    ];
    !ASKS.iter().any(|ask| method.bytes().starts_with(ask))
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, Told};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    const WELCOME: &str = r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.1\",\"activity_timeout\":120}"}"#;

    fn subscribes(script: Script, port: u16, topic: &str) -> Script {
        let request = "GET /app/key?protocol=7&client=js HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        script
            .at_port(port)
            .handshake()
            .bytes(ClientToServer, request.as_bytes())
            .accept("")
            .text(ServerToClient, WELCOME)
            .text(
                ClientToServer,
                &format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{topic}"}}}}"#),
            )
            .text(
                ServerToClient,
                &format!(r#"{{"event":"pusher_internal:subscription_succeeded","data":"{{}}","channel":"{topic}"}}"#),
            )
    }

    /// Three sessions; those of these ports get a message of `news` each second.
    fn pushed(topics: [&str; 3], to: &[u16]) -> Told {
        let mut script = Script::new();
        for (port, topic) in (40_001..).zip(topics) {
            script = subscribes(script, port, topic);
        }
        for _ in 0..8 {
            script = script.wait_s(1.0);
            for port in to {
                script = script.at_port(*port).resume().text(
                    ServerToClient,
                    r#"{"event":"item","data":"{}","channel":"news"}"#,
                );
            }
        }
        for port in 40_001..40_004 {
            script = script.at_port(port).resume().clean_close(ClientToServer);
        }
        script.told()
    }

    #[test]
    fn a_session_without_the_messages_that_others_get_is_told() {
        let told = pushed(["news"; 3], &[40_001, 40_002]);
        let finding = told.only("app-silent-subscription");
        assert_eq!(finding.confidence.name(), "likely");
        assert!(finding.summary.contains("news"), "{}", finding.summary);
        let one = pushed(["news"; 3], &[40_001]);
        let all: Vec<_> = one.of("app-silent-subscription");
        assert!(all.iter().all(|f| f.confidence.name() == "possible"));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn another_topic_or_a_quiet_one_is_not() {
        let other = pushed(["news", "news", "weather"], &[40_001, 40_002]);
        assert!(other.of("app-silent-subscription").is_empty());
        assert!(
            pushed(["news"; 3], &[])
                .of("app-silent-subscription")
                .is_empty()
        );
    }
}
