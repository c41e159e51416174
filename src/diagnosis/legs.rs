//! What the legs of a proxy say together: who began the end, what the proxy
//! changed, and which findings are one.

use std::collections::BTreeMap;

use super::path::front_of;
use super::{Confidence, EndedBy, Finding, Subject, Value};
use crate::session::{Headers, Joined, Party, Proof, Role, Session};
use crate::stream::Direction;

/// The session's place in its story, where conclusions may rest on it.
pub fn joined(session: &Session) -> Option<&Joined> {
    session
        .joined
        .as_ref()
        .filter(|joined| joined.story.proof.holds())
}

/// How sure it is that the legs belong together.
pub fn confidence_of(proof: Proof) -> Confidence {
    match proof {
        Proof::Key => Confidence::Certain,
        Proof::Signs => Confidence::Likely,
        Proof::OneSign => Confidence::Possible,
    }
}

/// Who ended the story that this session is a leg of, where another leg's end
/// or a proxy's place in it tells more than this leg does by itself.
pub(super) fn ended_by(session: &Session, alone: EndedBy) -> EndedBy {
    let Some((joined, origin)) = joined(session).and_then(|j| Some((j, j.story.origin()?))) else {
        return alone;
    };
    let here = origin.place == joined.place;
    match (alone, origin.party) {
        (EndedBy::Middlebox | EndedBy::Network, _) if here => alone,
        _ if !here && origin.sign.disowned => EndedBy::Middlebox,
        (_, Party::Client) => EndedBy::Client,
        (_, Party::Server) => EndedBy::Server,
        (_, Party::Proxy(_)) => EndedBy::Proxy,
    }
}

/// The proxy's name, as its answer to the client has it.
pub(super) fn proxy_name(client_leg: &Session) -> &'static str {
    front_of(client_leg, Direction::ServerToClient).unwrap_or("the proxy")
}

/// The session of this number, in sessions that are in order.
pub(super) fn by_id(sessions: &[Session], id: u32) -> Option<&Session> {
    let place = sessions.binary_search_by_key(&id, |session| session.id);
    sessions.get(place.ok()?)
}

/// The leg behind this one, toward the server.
pub(super) fn behind<'a>(session: &Session, sessions: &'a [Session]) -> Option<&'a Session> {
    let joined = joined(session)?;
    let next = joined.story.legs.get(joined.place.checked_add(1)?)?;
    by_id(sessions, next.session)
}

/// The leg before this one, toward the client.
pub(super) fn before<'a>(session: &Session, sessions: &'a [Session]) -> Option<&'a Session> {
    let joined = joined(session)?;
    let previous = joined.story.legs.get(joined.place.checked_sub(1)?)?;
    by_id(sessions, previous.session)
}

/// How a request or an answer left a proxy, against how it came: names of header fields in
/// lower case. Values may be secret and stay out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadChanges {
    /// Fields that are gone.
    pub removed: Vec<String>,
    /// Fields with other values.
    pub changed: Vec<String>,
    /// Fields that were added.
    pub added: Vec<String>,
}

/// What a proxy made of a head.
pub fn head_changes(came: &Headers, left: &Headers) -> HeadChanges {
    let fields = |headers: &Headers| {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &headers.0 {
            let values = fields.entry(name.to_ascii_lowercase()).or_default();
            values.push(value.trim().to_owned());
        }
        fields
    };
    let (came, left) = (fields(came), fields(left));
    // `Upgrade` and `upgrade` are one word (RFC 9110, section 7.8); most values are not.
    let same = |name: &str, a: &[String], b: &[String]| match name {
        "upgrade" | "connection" | "host" => a.join(",").eq_ignore_ascii_case(&b.join(",")),
        _ => a == b,
    };
    let mut changes = HeadChanges::default();
    for (name, values) in &came {
        match left.get(name) {
            None => changes.removed.push(name.clone()),
            Some(other) if !same(name, values, other) => changes.changed.push(name.clone()),
            Some(_) => {}
        }
    }
    let new = left.keys().filter(|name| !came.contains_key(*name));
    changes.added.extend(new.cloned());
    changes
}

/// What became of one side's Pings at the proxy: `true` where they were passed
/// on, `false` where the proxy answered them itself; `None` where nothing tells.
pub fn pings_passed(entered: &Session, left: &Session, sender: Direction) -> Option<bool> {
    let hidden = left.may_hide_frames(sender) || entered.may_hide_frames(sender);
    let (here, there) = (entered.pings[sender].sent, left.pings[sender].sent);
    (here > 0 && !hidden).then_some(there > 0)
}

/// Messages of `sender` that entered the proxy and didn't leave it, where both
/// legs were captured whole.
pub fn not_passed_on(entered: &Session, left: &Session, sender: Direction) -> Option<u64> {
    let whole = |session: &Session| {
        session.is_open_or_was()
            && !session.may_hide_frames(sender)
            && session.messages[sender].incomplete == 0
    };
    let (here, there) = (entered.messages[sender].count, left.messages[sender].count);
    (whole(entered) && whole(left)).then(|| here.saturating_sub(there))
}

/// One root cause, one finding: what a rule says of several legs of a story
/// stands on the one nearest to the client, with the packets of all.
/// `sessions` in the order of their numbers.
pub fn merge_legs(findings: &mut Vec<Finding>, sessions: &[Session]) {
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    let mut places: BTreeMap<(u32, &'static str), Vec<usize>> = BTreeMap::new();
    for finding in findings.drain(..) {
        let story = match finding.subject {
            Subject::Session(id) => by_id(sessions, id).and_then(joined),
            Subject::Connection { .. } | Subject::Capture => None,
        };
        // Networks differ from leg to leg, and so do their faults.
        let Some(story) = story.filter(|_| !finding.rule.id.starts_with("net-")) else {
            kept.push(finding);
            continue;
        };
        let same = places
            .entry((story.story.number, finding.rule.id))
            .or_default();
        let twin = same.iter().copied().find(|place| {
            let other = kept.get(*place);
            other.is_some_and(|other| is_same(other, &finding))
        });
        match twin.and_then(|place| kept.get_mut(place)) {
            Some(other) => join(other, finding, sessions),
            None => {
                same.push(kept.len());
                kept.push(finding);
            }
        }
    }
    *findings = kept;
}

/// Two of one rule that differ in kind are two, and each leg has its own.
fn is_same(kept: &Finding, new: &Finding) -> bool {
    let kind = |finding: &Finding| {
        let kind = finding.data.iter().find(|(name, _)| *name == "kind");
        kind.map(|(_, value)| value.clone())
    };
    let holds = |legs: Vec<String>| name_of(new).is_some_and(|name| legs.contains(&name));
    kind(kept) == kind(new)
        && kept.subject != new.subject
        && legs_of(new).is_none()
        && !legs_of(kept).is_some_and(holds)
}

fn join(kept: &mut Finding, mut other: Finding, sessions: &[Session]) {
    let place = |finding: &Finding| match finding.subject {
        Subject::Session(id) => by_id(sessions, id).and_then(joined).map(|j| j.place),
        _ => None,
    };
    if place(&other) < place(kept) {
        std::mem::swap(kept, &mut other);
    }
    kept.severity = kept.severity.max(other.severity);
    kept.confidence = kept.confidence.max(other.confidence);
    kept.tcp_stream = None;
    let mut legs = legs_of(kept)
        .or_else(|| name_of(kept).map(|name| vec![name]))
        .unwrap_or_default();
    legs.extend(legs_of(&other).unwrap_or_default());
    legs.extend(name_of(&other));
    legs.dedup();
    let on = name_of(&other).unwrap_or_default();
    for mut evidence in other.evidence {
        if !kept.evidence.iter().any(|known| known.at == evidence.at) {
            evidence.what = format!("{on}: {}", evidence.what);
            kept.evidence.push(evidence);
        }
    }
    kept.data.retain(|(name, _)| *name != "legs");
    kept.data.push(("legs", Value::List(legs)));
}

fn legs_of(finding: &Finding) -> Option<Vec<String>> {
    finding.data.iter().find_map(|(name, value)| match value {
        Value::List(legs) if *name == "legs" => Some(legs.clone()),
        _ => None,
    })
}

fn name_of(finding: &Finding) -> Option<String> {
    match finding.subject {
        Subject::Session(id) => Some(format!("s{id}")),
        Subject::Connection { .. } | Subject::Capture => None,
    }
}

/// How many WebSockets `sessions` are: the legs of a story are one.
pub fn stories(sessions: &[Session]) -> usize {
    let own = |session: &&Session| match joined(session) {
        Some(joined) => joined.role() == Role::Client,
        None => true,
    };
    sessions.iter().filter(own).count()
}

/// The session by which a story is named: that of its client's leg.
pub fn client_leg(session: &Session) -> u32 {
    let first = joined(session).and_then(|joined| joined.story.legs.first());
    first.map_or(session.id, |leg| leg.session)
}

/// The session on which a story's server speaks: that of its last leg.
pub fn server_leg(session: &Session) -> u32 {
    let last = joined(session).and_then(|joined| joined.story.legs.last());
    last.map_or(session.id, |leg| leg.session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::closing::close_of;
    use crate::diagnosis::{How, Severity};
    use crate::script::{Script, Told};
    use Direction::{ClientToServer, ServerToClient};

    const NGINX: &str = "Server: nginx/1.22.1\r\n";

    fn proxied() -> Script {
        Script::new()
            .handshake()
            .request("")
            .behind(Script::upgrade)
            .accept(NGINX)
            .text(ClientToServer, "hi")
            .behind(|s| s.text(ClientToServer, "hi"))
    }

    fn ends(told: &Told) -> Vec<(EndedBy, Option<How>)> {
        let closings = told.sessions.iter().map(close_of);
        closings.map(|c| (c.ended_by, c.how)).collect()
    }

    fn loud(told: &Told) -> Vec<&'static str> {
        let loud = told.findings.iter().filter(|f| f.severity > Severity::Info);
        loud.map(|finding| finding.rule.id).collect()
    }

    #[test]
    fn a_backend_that_dies_is_named_on_the_clients_leg_and_its_proxy_is_not() {
        let told = proxied()
            .behind(|s| s.fin(ServerToClient).fin(ClientToServer))
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        let end = (EndedBy::Server, Some(How::Fin));
        assert_eq!(ends(&told), [end, end]);
        assert_eq!(loud(&told), ["close-1006-peer-fin"]);
        let finding = told.only("close-1006-peer-fin");
        assert_eq!(finding.subject, Subject::Session(1));
        let backend = &told.sessions[1].leg.server;
        let names = format!("the backend {backend} closed TCP");
        assert!(finding.summary.starts_with(&names), "{finding:?}");
        assert!(
            finding
                .summary
                .ends_with("; nginx ended the client's leg 4.0 ms later")
        );
        let legs = Value::List(vec!["s1".to_owned(), "s2".to_owned()]);
        assert!(finding.data.contains(&("legs", legs)));
    }

    #[test]
    fn a_backend_that_resets_is_a_reset_though_its_client_got_a_fin() {
        let told = proxied()
            .behind(|s| s.rst(ServerToClient))
            .fin(ServerToClient)
            .told();
        assert_eq!(loud(&told), ["close-1006-peer-rst"]);
        let causes = &told.only("close-1006-peer-rst").causes;
        assert!(causes[0].text.ends_with("the proxy is not to blame"));
        assert_eq!(
            ends(&told),
            [
                (EndedBy::Server, Some(How::Fin)),
                (EndedBy::Server, Some(How::Rst))
            ]
        );
    }

    #[test]
    fn a_proxy_that_ends_both_legs_is_the_one() {
        let told = proxied()
            .wait_s(0.3)
            .behind(|s| s.fin(ClientToServer))
            .fin(ServerToClient)
            .told();
        let end = (EndedBy::Proxy, Some(How::Fin));
        assert_eq!(ends(&told), [end, end]);
        assert_eq!(loud(&told), ["close-1006-peer-fin"]);
        assert!(
            told.only("close-1006-peer-fin")
                .summary
                .starts_with("nginx 10.0.0.2:8080 closed TCP")
        );
    }

    #[test]
    fn a_client_that_goes_away_is_told_once() {
        let told = proxied()
            .fin(ClientToServer)
            .behind(|s| s.fin(ClientToServer))
            .told();
        assert_eq!(loud(&told), ["close-1006-client-closed-hard"]);
        assert_eq!(
            told.only("close-1006-client-closed-hard").subject,
            Subject::Session(1)
        );
    }

    #[test]
    fn an_idle_timer_of_a_proxy_is_told_once_with_both_ends() {
        let told = proxied()
            .wait_s(5.0)
            .behind(|s| s.fin(ClientToServer))
            .fin(ServerToClient)
            .told();
        assert_eq!(loud(&told), ["close-1006-idle-timeout"]);
        assert_eq!(told.only("close-1006-idle-timeout").evidence.len(), 3);
    }

    const BACKENDS_101: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    fn who(told: &Told) -> Vec<EndedBy> {
        ends(told).into_iter().map(|(by, _)| by).collect()
    }

    #[test]
    fn a_backend_whose_101_was_not_captured_ends_first_all_the_same() {
        let told = Script::new()
            .handshake()
            .request("")
            .behind(|s| {
                let asked = s.handshake().request("");
                asked.uncaptured(ServerToClient, BACKENDS_101.as_bytes())
            })
            .accept(NGINX)
            .text(ClientToServer, "hi")
            .behind(|s| s.text(ClientToServer, "hi"))
            .wait_s(5.0)
            .behind(|s| s.fin(ServerToClient).fin(ClientToServer))
            .fin(ServerToClient)
            .told();
        assert_eq!(loud(&told), ["close-1006-peer-fin", "cap-packet-loss"]);
        let finding = told.only("close-1006-peer-fin");
        assert_eq!(finding.confidence, Confidence::Likely);
        assert!(finding.summary.starts_with("the backend"), "{finding:?}");
    }

    #[test]
    fn a_fin_that_was_not_captured_and_is_acknowledged_came_first() {
        let told = proxied()
            .wait_s(5.0)
            .behind(|s| s.uncaptured(ServerToClient, &[0]).fin(ClientToServer))
            .fin(ServerToClient)
            .told();
        assert_eq!(who(&told).first(), Some(&EndedBy::Server));
        assert_eq!(loud(&told), ["close-1006-peer-fin", "cap-packet-loss"]);
        let finding = told.only("close-1006-peer-fin");
        assert_eq!(finding.confidence, Confidence::Likely);
        assert!(told.of("close-1006-idle-timeout").is_empty());
    }

    #[test]
    fn more_than_one_byte_acknowledged_is_no_fin() {
        let told = proxied()
            .wait_s(5.0)
            .behind(|s| s.uncaptured(ServerToClient, b"ab").fin(ClientToServer))
            .fin(ServerToClient)
            .told();
        assert_eq!(who(&told).first(), Some(&EndedBy::Proxy));
    }

    #[test]
    fn a_leg_whose_request_was_not_captured_is_joined_by_the_accept_value() {
        let told = Script::new()
            .proxy_dials_from(77)
            .handshake()
            .request("")
            .behind(|s| {
                let line = b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n";
                let asked = s.handshake().uncaptured(ClientToServer, line);
                asked.bytes(ServerToClient, BACKENDS_101.as_bytes())
            })
            .accept(NGINX)
            .text(ClientToServer, "hi")
            .behind(|s| s.text(ClientToServer, "hi"))
            .wait_s(5.0)
            .behind(|s| s.fin(ServerToClient).fin(ClientToServer))
            .fin(ServerToClient)
            .told();
        assert_eq!(who(&told).first(), Some(&EndedBy::Server));
        assert!(told.of("close-1006-idle-timeout").is_empty());
    }

    #[test]
    fn the_accept_value_joins_no_leg_that_was_answered_later() {
        let told = Script::new()
            .proxy_dials_from(77)
            .upgrade_with("", NGINX)
            .behind(|s| {
                let line = b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n";
                let asked = s.handshake().uncaptured(ClientToServer, line);
                asked.bytes(ServerToClient, BACKENDS_101.as_bytes())
            })
            .told();
        assert!(told.sessions.iter().all(|s| s.joined.is_none()));
    }

    #[test]
    fn a_torn_connection_that_ended_right_before_leaves_a_timer_possible() {
        let told = Script::new()
            .proxy_dials_from(77)
            .upgrade_with("", NGINX)
            .behind(|s| s.upgrade().uncaptured(ServerToClient, &[0x81, 0]))
            .text(ClientToServer, "hi")
            .wait_s(5.0)
            .behind(|s| s.fin(ServerToClient))
            .fin(ServerToClient)
            .told();
        let finding = told.only("close-1006-idle-timeout");
        assert_eq!(finding.confidence, Confidence::Possible);
    }

    #[test]
    fn a_healthy_session_on_two_legs_has_nothing_to_report() {
        let told = proxied()
            .behind(|s| s.text(ServerToClient, "ho"))
            .text(ServerToClient, "ho")
            .close(ClientToServer, 1000, "")
            .behind(|s| s.clean_close(ClientToServer))
            .close(ServerToClient, 1000, "")
            .fin(ServerToClient)
            .fin(ClientToServer)
            .told();
        assert_eq!(loud(&told), Vec::<&str>::new());
        assert_eq!(told.of("close-code-meaning").len(), 1);
        assert_eq!(stories(&told.sessions), 1);
    }

    #[test]
    fn a_proxy_that_hangs_up_on_the_backend_for_its_client_is_not_the_client() {
        let told = proxied()
            .clean_close(ClientToServer)
            .behind(|s| s.fin(ClientToServer))
            .told();
        let finding = told.only("close-1006-client-closed-hard");
        assert!(
            finding.summary.starts_with("nginx 10.0.0.2:8080 ended TCP"),
            "{finding:?}"
        );
        assert_eq!(
            finding.causes.first().map(|cause| cause.text.as_str()),
            Some(
                "the client had ended its leg first, with a Close frame; nginx followed, and did not pass the Close frame on"
            )
        );
        assert_eq!(finding.causes.len(), 1, "{finding:?}");
    }

    #[test]
    fn through_two_proxies_the_one_in_the_middle_is_told() {
        let chain = |end: fn(Script) -> Script| {
            let script = Script::new().handshake().request("").behind(|s| {
                s.handshake()
                    .request("")
                    .behind(|s| s.upgrade().text(ServerToClient, "hi"))
                    .accept("")
                    .text(ServerToClient, "hi")
            });
            end(script.accept(NGINX).text(ServerToClient, "hi")).told()
        };
        let all = |by| [by, by, by];
        let by = |told: &Told| {
            let ends = ends(told).into_iter().map(|(by, _)| by);
            ends.collect::<Vec<_>>()
        };
        let backend = chain(|s| {
            s.behind(|s| s.behind(|s| s.fin(ServerToClient)).fin(ServerToClient))
                .fin(ServerToClient)
        });
        assert_eq!(by(&backend), all(EndedBy::Server));
        let middle = chain(|s| {
            s.behind(|s| s.behind(|s| s.fin(ClientToServer)).fin(ServerToClient))
                .fin(ServerToClient)
        });
        assert_eq!(by(&middle), all(EndedBy::Proxy));
        assert_eq!(loud(&middle), ["close-1006-peer-fin"]);
        let named = format!("the proxy {}", middle.sessions[1].leg.server);
        let summary = &middle.only("close-1006-peer-fin").summary;
        assert!(summary.starts_with(&named), "{summary}");
        let parties = middle.sessions[0]
            .joined
            .as_ref()
            .and_then(|j| j.story.origin());
        assert_eq!(parties.map(|origin| origin.party), Some(Party::Proxy(1)));
    }

    #[test]
    fn two_sessions_without_a_proxy_keep_their_findings() {
        let told = Script::new()
            .upgrade()
            .fin(ServerToClient)
            .at_port(40_002)
            .upgrade()
            .fin(ServerToClient)
            .told();
        assert_eq!(told.of("close-1006-peer-fin").len(), 2);
        assert_eq!(stories(&told.sessions), 2);
    }

    #[test]
    fn what_a_proxy_did_not_pass_on_is_counted() {
        let told = proxied().text(ClientToServer, "lost").told();
        let [front, back] = told.sessions.as_slice() else {
            panic!("two legs");
        };
        assert_eq!(not_passed_on(front, back, ClientToServer), Some(1));
        assert_eq!(not_passed_on(back, front, ServerToClient), Some(0));
    }

    #[test]
    fn a_proxy_may_answer_pings_itself() {
        let told = proxied()
            .ping(ClientToServer, b"1")
            .pong(ServerToClient, b"1")
            .told();
        let [front, back] = told.sessions.as_slice() else {
            panic!("two legs");
        };
        assert_eq!(pings_passed(front, back, ClientToServer), Some(false));
        assert_eq!(pings_passed(back, front, ServerToClient), None);
    }

    #[test]
    fn a_proxy_that_strips_the_upgrade_is_proven_by_both_requests() {
        let head = "GET /ws HTTP/1.0\r\nHost: b\r\nConnection: close\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        let told = Script::new()
            .handshake()
            .request("")
            .behind(|s| {
                s.handshake().bytes(ClientToServer, head.as_bytes()).answer(
                    "200 OK",
                    "",
                    "<html>hello</html>",
                )
            })
            .answer("200 OK", NGINX, "<html>hello</html>")
            .told();
        assert_eq!(loud(&told), ["hs-upgrade-stripped"]);
        let finding = told.only("hs-upgrade-stripped");
        assert_eq!(finding.confidence, Confidence::Certain);
        assert_eq!(finding.subject, Subject::Session(1));
        let removed = Value::List(vec!["upgrade".to_owned()]);
        assert!(finding.data.contains(&("removed", removed)), "{finding:?}");
    }

    #[test]
    fn a_refusal_that_is_passed_on_is_the_backends() {
        let told = Script::new()
            .handshake()
            .request("")
            .behind(|s| s.handshake().request("").answer("404 Not Found", "", ""))
            .answer("404 Not Found", NGINX, "")
            .told();
        let finding = told.only("hs-http-status");
        assert_eq!(
            finding.summary,
            "the backend refused the upgrade: 404 Not Found"
        );
    }

    #[test]
    fn a_gateway_error_names_what_its_upstream_did() {
        let told = Script::new()
            .handshake()
            .request("")
            .behind(|s| s.handshake().request("").rst(ServerToClient))
            .answer("502 Bad Gateway", NGINX, "")
            .told();
        let finding = told.only("hs-http-status");
        assert!(
            finding
                .causes
                .iter()
                .any(|c| c.text == "the upstream 10.0.0.3:9000 resets without an answer"),
            "{finding:?}"
        );
    }
}
