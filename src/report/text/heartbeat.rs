//! Pings in a line, and what looks like them where nobody could read.

use std::io::{self, Write};
use std::time::Duration;

use super::style::Style;
use crate::diagnosis::{client_leg, span};
use crate::report::Report;
use crate::report::wrap::wrapped_after;
use crate::session::Session;
use crate::stream::Sides;

pub(super) fn heartbeat(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut sent = Sides {
        client: 0,
        server: 0,
    };
    let (mut unanswered, mut slowest) = (0, None::<Duration>);
    let pings = |session: &Session| {
        !session.is_inferred() && session.pings.iter().any(|(_, ledger)| ledger.sent > 0)
    };
    // Pings that a proxy passes on count once.
    let pinging = |session: &&Session| {
        let front = report.session(client_leg(session));
        let counted = front.is_some_and(|front| front.id != session.id && pings(front));
        pings(session) && !counted
    };
    for session in report.sessions.iter().filter(pinging) {
        let pings = report.judged(session).pings;
        for (side, ledger) in session.pings.iter() {
            sent[side] += ledger.sent;
            unanswered += pings[side].unanswered_count;
            slowest = slowest.max(ledger.rtt.max());
        }
    }
    beats(report, style, out)?;
    if sent.client + sent.server == 0 {
        return Ok(());
    }
    let slowest = slowest.map_or(String::new(), |rtt| {
        format!(", slowest Pong after {}", span(rtt))
    });
    let text = format!(
        "{} from clients, {} from servers; {unanswered} unanswered{slowest}",
        sent.client, sent.server
    );
    writeln!(out)?;
    wrapped_after(
        out,
        style.width,
        &format!("{}  ", style.bold("PINGS")),
        7,
        &text,
    )
}

/// Heartbeats of sessions that nobody could read.
fn beats(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut told = report.sessions.iter().filter_map(|session| {
        let beats = session.keyless.as_deref()?.beats.as_ref()?;
        let period = session.pings[beats.sender].intervals.median()?;
        Some((session, beats, period))
    });
    let Some((session, beats, period)) = told.next() else {
        return Ok(());
    };
    let more = match told.count() {
        0 => String::new(),
        count => format!(" (and in {count} more)"),
    };
    let text = format!(
        "{}: every {} a record of the {} that has the size of a Ping, and one of its Pong's size after it{more}; not read",
        session.name(),
        span(period),
        beats.sender.sender(),
    );
    writeln!(out)?;
    wrapped_after(
        out,
        style.width,
        &format!("{}  ", style.bold("BEATS")),
        7,
        &text,
    )
}
