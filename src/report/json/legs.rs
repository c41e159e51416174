//! A session's place among the legs of a proxy, as JSON.

use serde_json::{Value as Json, json};

use crate::diagnosis::{confidence_of, head_changes, not_passed_on, pings_passed};
use crate::report::Report;
use crate::report::when::ms;
use crate::session::{Headers, Joined, Session};
use crate::stream::Direction::{ClientToServer, ServerToClient};

/// `legs` of a session: null where its connection is the only one of it that was captured.
pub(super) fn legs(session: &Session, report: &Report) -> Json {
    let Some(joined) = &session.joined else {
        return Json::Null;
    };
    let story = &joined.story;
    let others: Vec<String> = joined
        .others()
        .map(|leg| format!("s{}", leg.session))
        .collect();
    let first = story.origin();
    let first = first.and_then(|origin| story.legs.get(origin.place));
    json!({
        "story": story.number,
        "role": joined.role().name(),
        "order": joined.place,
        "others": others,
        "joined_by": story.proof.name(),
        "confidence": confidence_of(story.proof).name(),
        "ended_first": first.map(|leg| format!("s{}", leg.session)),
        "delay_ms": story.delay().map(ms),
        "to_next": to_next(session, joined, report),
    })
}

/// What the proxy behind this leg made of it.
fn to_next(session: &Session, joined: &Joined, report: &Report) -> Json {
    let next = joined.place.checked_add(1);
    let next = next.and_then(|place| joined.story.legs.get(place));
    let Some(next) = next.and_then(|leg| report.session(leg.session)) else {
        return Json::Null;
    };
    let (came, left) = (
        session.handshake.seen_request(),
        next.handshake.seen_request(),
    );
    let request = came
        .zip(left)
        .map(|(came, left)| changed(&came.headers, &left.headers));
    // An answer goes the other way.
    let answers = (&next.handshake.response, &session.handshake.response);
    let response = match answers {
        (Some(came), Some(left)) => Some(changed(&came.headers, &left.headers)),
        _ => None,
    };
    json!({
        "session": next.name(),
        "request": request,
        "response": response,
        "pings_passed": {
            "client": pings_passed(session, next, ClientToServer),
            "server": pings_passed(next, session, ServerToClient),
        },
        "not_passed_on": {
            "client": not_passed_on(session, next, ClientToServer),
            "server": not_passed_on(next, session, ServerToClient),
        },
    })
}

fn changed(came: &Headers, left: &Headers) -> Json {
    let changes = head_changes(came, left);
    json!({"removed": changes.removed, "changed": changes.changed, "added": changes.added})
}

/// `translated` of a session: the same connection on the other side of a NAT.
pub(super) fn translated(session: &Session) -> Json {
    let Some(far) = &session.far_side else {
        return Json::Null;
    };
    json!({
        "tcp_stream": far.leg.tcp_stream,
        "client": far.leg.client.to_string(),
        "server": far.leg.server.to_string(),
        "last_packet": far.leg.last_packet_any().number,
    })
}
