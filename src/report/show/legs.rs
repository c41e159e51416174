//! The other legs of a proxy: how each opened and closed.

use super::row::Row;
use super::transport;
use crate::report::Report;
use crate::session::redact::Secrets;
use crate::session::{Joined, Party, Session};
use crate::stream::Direction::{self, ClientToServer, ServerToClient};

/// `C->S`; between proxies `P->P`, towards a server `P->S`.
pub(super) fn arrow(joined: Option<&Joined>, from: Direction) -> String {
    let ends = match joined {
        Some(joined) => {
            let sender = |from| joined.story.sender(joined.place, from);
            [sender(from), sender(from.reverse())].map(|party| match party {
                Party::Client => 'C',
                Party::Proxy(_) => 'P',
                Party::Server => 'S',
            })
        }
        None if from == ClientToServer => ['C', 'S'],
        None => ['S', 'C'],
    };
    let [sender, receiver] = ends;
    format!("{sender}->{receiver}")
}

/// Who is at the two ends: `client`, `proxy`, `server`.
pub(super) fn end(joined: Option<&Joined>, side: Direction) -> &'static str {
    let party = joined.map(|joined| joined.story.sender(joined.place, side));
    match party {
        Some(Party::Client) => "client",
        Some(Party::Proxy(_)) => "proxy",
        Some(Party::Server) => "server",
        None => side.sender(),
    }
}

/// What the other legs of this session's story did.
pub(super) fn rows(session: &Session, report: &Report) -> Vec<Row> {
    let Some(joined) = &session.joined else {
        return Vec::new();
    };
    let others = joined.others();
    let others = others.filter_map(|leg| report.session(leg.session));
    others
        .flat_map(|other| of_leg(other, report.secrets))
        .collect()
}

fn of_leg(session: &Session, secrets: Secrets) -> Vec<Row> {
    let handshake = &session.handshake;
    let mut rows = Vec::new();
    if let Some(request) = handshake.seen_request() {
        let told = format!("{} {}", request.method, secrets.target(&request.target));
        rows.push(
            Row::new(request.first, "request", told)
                .from(ClientToServer)
                .rank(30),
        );
    }
    if let Some(response) = &handshake.response {
        let reason = secrets.text(&response.reason, &handshake.secrets());
        let told = format!("{} {reason}", response.status);
        rows.push(
            Row::new(response.last, "response", told)
                .from(ServerToClient)
                .rank(35),
        );
    }
    for side in Direction::BOTH {
        let Some(close) = &session.close[side] else {
            continue;
        };
        let told = match close.code {
            Some(code) => format!("Close {code}"),
            None => "Close without a code".to_owned(),
        };
        let at = close.control.frame.at;
        rows.push(Row::new(at, "close", told).from(side).rank(62));
    }
    rows.extend(transport::ends(session));
    let joined = session.joined.as_ref();
    for row in &mut rows {
        row.leg = Some(session.id);
        row.arrow = row.from.map_or(String::new(), |from| arrow(joined, from));
    }
    rows
}
