//! The sessions, a line each, and their Pings.

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};

use super::style::{Style, wrapped_after};
use crate::diagnosis::Severity;
use crate::report::messages::shown;
use crate::report::when::short;
use crate::report::{Report, Reported, describe};
use crate::stream::Sides;

/// Rationale: a first screen; `-v` and `--format json` have the rest.
const SESSIONS_SHOWN: usize = 20;
/// Rationale: what 80 columns leave beside the others.
const PLACE_COLUMNS: usize = 24;

pub(super) fn sessions(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if report.sessions.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = plain_table(style);
    table.set_header(["SESSION", "client", "path", "up/down", "lasted", "end"]);
    pad(&mut table);
    // The troubled first, so that a long list begins with what matters.
    let mut order: Vec<&Reported> = report.sessions.iter().collect();
    order.sort_by_cached_key(|r| {
        (
            std::cmp::Reverse(worst_of(report, r.session.id)),
            r.session.id,
        )
    });
    let most = if style.verbose {
        usize::MAX
    } else {
        SESSIONS_SHOWN
    };
    for reported in order.iter().take(most) {
        table.add_row(session_row(reported, report));
    }
    print_table(&table, out)?;
    match report.sessions.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "... and {more} more (-v shows them all)"),
    }
}

fn session_row(reported: &Reported, report: &Report) -> [String; 6] {
    let session = &reported.session;
    let server = session.leg.server.to_string();
    let host = describe::host(session).unwrap_or(&server);
    let place = format!("{}{}", host, describe::path(session, report.secrets));
    let end = session.leg.last_packet_any().time;
    let (up, down) = (session.messages.client.count, session.messages.server.count);
    [
        session.name(),
        session.leg.client.to_string(),
        shown(&place, PLACE_COLUMNS),
        format!("{up}/{down}"),
        short(end.saturating_since(session.leg.first.time)),
        describe::fate(session, reported.closing.kind),
    ]
}

fn worst_of(report: &Report, session: u32) -> Option<Severity> {
    let about = report
        .about(session)
        .iter()
        .filter_map(|index| report.findings.get(*index));
    about.map(|finding| finding.severity).max()
}

pub(super) fn heartbeat(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut sent = Sides {
        client: 0,
        server: 0,
    };
    let (mut unanswered, mut slowest) = (0, None::<Duration>);
    for reported in &report.sessions {
        for (side, ledger) in reported.session.pings.iter() {
            sent[side] += ledger.sent;
            unanswered += reported.pings[side].unanswered_count;
            slowest = slowest.max(ledger.rtt.max());
        }
    }
    if sent.client + sent.server == 0 {
        return Ok(());
    }
    let slowest = slowest.map_or(String::new(), |rtt| {
        format!(", slowest Pong after {}", short(rtt))
    });
    let text = format!(
        "{} Pings from clients, {} from servers; {unanswered} unanswered{slowest}",
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

fn plain_table(style: Style) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(style.width).unwrap_or(u16::MAX));
    table
}

/// Two blanks between columns, none before the first.
fn pad(table: &mut Table) {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
}

fn print_table(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
