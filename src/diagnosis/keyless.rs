//! A request that nobody could read and nobody answered.

use std::time::Duration;

use super::dial::{Dial, dials};
use super::tls::{first_end, has_all_of};
use super::wording::{span, times};
use super::{Confidence, Evidence, Finding, Overview, Rule, Value};
use crate::session::Attempt;
use crate::stream::{Direction, PacketRef};

struct Unanswered {
    request: PacketRef,
    acked: PacketRef,
    /// Who ended the connection.
    by: Direction,
    end: PacketRef,
    waited: Duration,
}

fn unanswered(attempt: &Attempt, overview: &Overview<'_>) -> Option<Unanswered> {
    let leg = &attempt.leg;
    let request = attempt.unanswered?;
    if leg.client_refused().is_some() {
        return None; // That is the answer: `tls-alert`.
    }
    let (payload, acked) = leg.last_delivered.client?;
    let (by, end) = first_end(leg).filter(|(_, at)| *at > request)?;
    let waited = end.time.saturating_since(request.time);
    let enough = match by {
        Direction::ServerToClient => true,
        // Earlier, it is the client that had no patience.
        Direction::ClientToServer => waited >= overview.thresholds.slow_handshake,
    };
    let seen = has_all_of(leg, Direction::ServerToClient) && payload >= request;
    (enough && seen).then_some(Unanswered {
        request,
        acked,
        by,
        end,
        waited,
    })
}

/// `rule` where a connection to a server that speaks WebSocket has one record of
/// a request's size, and none of the server's after it.
pub(super) fn unanswered_requests(
    overview: &Overview<'_>,
    rule: &'static Rule,
    findings: &mut Vec<Finding>,
) {
    for dial in dials(overview, |attempt| unanswered(attempt, overview).is_some()) {
        findings.extend(of_dial(&dial, overview, rule));
    }
}

fn of_dial(dial: &Dial<'_>, overview: &Overview<'_>, rule: &'static Rule) -> Option<Finding> {
    let told = unanswered(dial.first, overview)?;
    let again = match dial.count {
        1 => String::new(),
        count => format!(", {}", times(usize::try_from(count).unwrap_or(usize::MAX))),
    };
    let how = match told.by {
        Direction::ServerToClient => "the server ended the connection",
        Direction::ClientToServer => "then the client gave up",
    };
    let summary = format!(
        "{} didn't answer what may be the upgrade request of {} in {}, {how}{again} (inferred from the sizes of TLS records)",
        dial.whom(),
        dial.who(),
        span(told.waited)
    );
    let first = Evidence::new(told.request, "a record of a request's size");
    Some(
        dial.finding(overview, rule, dial.first, Confidence::Possible, first, summary)
            .evidence(told.acked, "the server's TCP acknowledged it")
            .evidence(told.end, "the end, and no record of the server before it")
            .data("kind", Value::Text("keyless".to_owned()))
            .data("waited_ms", Value::Ms(told.waited))
            .data("acked", Value::Flag(true))
            .cause(
                Confidence::Possible,
                "the handler hangs or failed before it wrote an answer, or a proxy could not reach its upstream",
            )
            .advice("look in the log of the server at the time of the request; with --keys FILE the request can be read"),
    )
}
