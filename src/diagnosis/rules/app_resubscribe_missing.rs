//! `app-resubscribe-missing`: a client came back and didn't subscribe again.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::diagnosis::application::may_hide_answer;
use crate::diagnosis::patterns::Trial;
use crate::diagnosis::refusal::shown;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Application, Protocol, Session, Subscription, Word};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "app-resubscribe-missing",
    severity: Severity::Error,
    summary: "a client reconnected and did not subscribe again to what it had",
    explain: "\
## What it means
A session with subscriptions broke off, and the same client opened the next one. That lived on for more than 10 s, and the client didn't ask again
for all that it had (`data.missing`). The connection looks well from then on; the updates are missing.

## What usually causes it
1. The client subscribes once, when the program starts, not each time that the session opens.
2. The list of what to subscribe to is kept in the object that was thrown away with the old session.
3. It was meant: the user had gone on to another page in the meantime.

## How to tell them apart
- All are missing: the handler of the session's opening doesn't subscribe. Some are: those that were added later are not in the list.
- Servers that resume sessions on their own push without being asked: then nothing is told here.

## What to do
Keep the wanted subscriptions outside of the connection, and send all of them whenever the inner protocol has opened, the first time and every
time after. Then ask for what was missed in between: by sequence numbers, or by a fresh snapshot.

## References
RFC 6455, section 7.2.3; each protocol's chapter on subscriptions.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: who subscribes again does so at once when the session opens.
const AGAIN: Duration = Duration::from_secs(10);

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let patterns = overview.patterns;
    let last = overview.capture.last;
    for chain in &patterns.chains {
        let opened: Vec<&Trial<'_>> = chain
            .iter()
            .filter_map(|place| patterns.trials.get(*place))
            .filter(|trial| trial.opened())
            .collect();
        for (old, new) in opened.iter().zip(opened.iter().skip(1)) {
            let end = new.over.unwrap_or(last);
            let lived = end.time.saturating_since(new.began.time);
            if old.fate.is_failure() && lived > AGAIN {
                findings.extend(finding(old, new));
            }
        }
    }
}

fn finding(old: &Trial<'_>, new: &Trial<'_>) -> Option<Finding> {
    let (before, after) = (old.session?, new.session?);
    let known = before.application.as_deref()?;
    let had: Vec<&Subscription> = known
        .subscriptions
        .iter()
        .filter(|s| is_held(known, s))
        .collect();
    let path = |session: &Session| {
        let path = session.handshake.path()?;
        Some(path.split('?').next().unwrap_or(path).to_owned())
    };
    if had.is_empty() || path(before)? != path(after)? {
        return None;
    }
    let missing = missing(known, &had, after)?;
    let first = had.iter().find(|s| missing.contains(&s.name))?;
    let (count, all) = (missing.len(), had.len());
    let names: Vec<String> = missing
        .iter()
        .take(8)
        .map(|name| shown(after, &name.text(), 60))
        .collect();
    let gap = new.began.time.saturating_since(old.over?.time);
    let summary = format!(
        "the client came back {} after {} broke off and did not subscribe again to {count} of {all}: {}",
        span(gap),
        before.name(),
        names.join(", ")
    );
    // Who is told by address and looks only may be another one.
    let sure = new.identity.is_some_and(|who| who.own.is_some());
    let request = after.handshake.request.last;
    let opens = Evidence::new(request, format!("the client opens {}", after.name()));
    let (confidence, severity) = match sure {
        true => (Confidence::Likely, Severity::Error),
        false => (Confidence::Possible, Severity::Warn),
    };
    let mut found = Finding::new(&RULE, after, confidence, opens, summary)
        .severity(severity)
        .evidence_if(first.asked, &format!("it subscribes in {}", before.name()))
        .evidence(
            old.over?,
            format!("{} ends: {}", before.name(), old.fate.phrase()),
        )
        .data("protocol", Value::Text(known.protocol.name().to_owned()))
        .data("missing", Value::List(names))
        .data("missing_count", Value::Count(count as u64))
        .data("before", Value::Count(all as u64))
        .data("previous", Value::Text(before.name()))
        .data("gap_ms", Value::Ms(gap));
    found.tcp_stream = None; // The evidence is of two connections.
    found.evidence.sort_by_key(|evidence| evidence.at);
    let cause = match count == all {
        true => "the client subscribes when its program starts, not when a session opens",
        false => "what was subscribed to later is not in the list that the client sends again",
    };
    Some(
        found
            .cause(Confidence::Likely, cause)
            .cause(Confidence::Possible, "its user had gone elsewhere in the meantime")
            .advice("send all wanted subscriptions each time that the session opens, and then ask for what was missed"),
    )
}

/// It was in force when the session ended.
fn is_held(application: &Application, subscription: &Subscription) -> bool {
    let granted = match application.protocol {
        // They say so.
        Protocol::Phoenix
        | Protocol::Centrifugo
        | Protocol::Pusher
        | Protocol::ActionCable
        | Protocol::Ddp => subscription.granted.is_some() || subscription.pushes > 0,
        _ => subscription.pushes > 0 || application.error_count == 0,
    };
    granted && subscription.asked.is_some() && subscription.ended.is_none()
}

/// The names are topics, the same in each session; elsewhere they are ids.
const fn names_topics(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::Phoenix
            | Protocol::Centrifugo
            | Protocol::Pusher
            | Protocol::ActionCable
            | Protocol::Wamp
            | Protocol::Nats
            | Protocol::Mqtt
    )
}

/// Those that the client did not ask for again; `None` where that can't be told or none is.
fn missing(known: &Application, had: &[&Subscription], after: &Session) -> Option<BTreeSet<Word>> {
    let (client, server) = (Direction::ClientToServer, Direction::ServerToClient);
    let from = after.handshake.request.last;
    if may_hide_answer(after, client, from)
        || may_hide_answer(after, server, from)
        || after.handshake.mid_stream.is_some()
    {
        return None;
    }
    let all: BTreeSet<Word> = had.iter().map(|s| s.name).collect();
    let Some(now) = after.application.as_deref() else {
        // Nobody could tell what is spoken since the client said nothing at all.
        let silent = after.messages.client.count == 0 && after.messages.server.count == 0;
        return silent.then_some(all);
    };
    if now.protocol != known.protocol {
        return None;
    }
    let asked: BTreeSet<Word> = now.subscriptions.iter().map(|s| s.name).collect();
    // The server remembered, as it may (MQTT 5, section 4.1).
    let resumed = now.pushes > 0 && asked.is_empty();
    let opening_failed = now.opening.refused.is_some()
        || known.opening.accepted.is_some() && now.opening.accepted.is_none();
    if resumed || opening_failed {
        return None;
    }
    let missing: BTreeSet<Word> = match names_topics(known.protocol) {
        true => all.difference(&asked).copied().collect(),
        false if asked.is_empty() => all,
        false => BTreeSet::new(),
    };
    (!missing.is_empty()).then_some(missing)
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, Told};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn joins(script: Script, port: u16, topics: &[&str]) -> Script {
        let script = script
            .at_port(port)
            .handshake()
            .bytes(
                ClientToServer,
                b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: sessionid=u1\r\n\r\n",
            )
            .accept("");
        topics.iter().fold(script, |script, topic| {
            script
                .text(
                    ClientToServer,
                    &format!(r#"["1","1","{topic}","phx_join",{{}}]"#),
                )
                .text(
                    ServerToClient,
                    &format!(
                        r#"["1","1","{topic}","phx_reply",{{"status":"ok","response":{{}}}}]"#
                    ),
                )
        })
    }

    fn back(first: &[&str], then: &[&str], push: bool) -> Told {
        let dropped = joins(Script::new(), 40_001, first)
            .wait_s(5.0)
            .fin(ServerToClient)
            .fin(ClientToServer)
            .wait_s(1.0);
        let script = joins(dropped, 40_002, then);
        let script = match push {
            true => script.text(ServerToClient, r#"["1",null,"room:a","news",{}]"#),
            false => script,
        };
        script
            .wait_s(15.0)
            .text(ClientToServer, r#"[null,"9","phoenix","heartbeat",{}]"#)
            .text(
                ServerToClient,
                r#"[null,"9","phoenix","phx_reply",{"status":"ok","response":{}}]"#,
            )
            .told()
    }

    #[test]
    fn topics_that_were_not_joined_again_are_named() {
        let told = back(&["room:a", "room:b"], &["room:a"], true);
        let finding = told.only("app-resubscribe-missing");
        let missing = Value::List(vec!["room:b".to_owned()]);
        assert!(finding.data.contains(&("missing", missing)), "{finding:?}");
        assert_eq!(finding.confidence.name(), "likely");
        assert_eq!(
            back(&["room:a"], &[], false)
                .of("app-resubscribe-missing")
                .len(),
            1
        );
    }

    #[test]
    fn who_joins_all_again_or_is_served_without_asking_misses_nothing() {
        let again = back(&["room:a", "room:b"], &["room:b", "room:a"], false);
        assert!(again.of("app-resubscribe-missing").is_empty());
        let resumed = back(&["room:a"], &[], true);
        assert!(resumed.of("app-resubscribe-missing").is_empty());
    }

    #[test]
    fn after_a_good_bye_nothing_has_to_come_again() {
        let left = joins(Script::new(), 40_001, &["room:a"])
            .clean_close(ClientToServer)
            .wait_s(1.0);
        let told = joins(left, 40_002, &["room:b"])
            .wait_s(15.0)
            .ping(ClientToServer, b"")
            .told();
        assert!(told.of("app-resubscribe-missing").is_empty());
    }
}
