//! The sessions, a line each, and their Pings.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

use super::style::Style;
use crate::diagnosis::{Severity, client_leg, joined, span};
use crate::report::messages::shown;
use crate::report::wrap::wrapped_after;
use crate::report::{Report, Reported, describe};
use crate::session::Session;
use crate::stream::Direction::{self, ClientToServer, ServerToClient};

/// Rationale: a first screen; `-v` and `--format json` have the rest.
const SESSIONS_SHOWN: usize = 20;
/// Which column holds the path, and what it keeps of it at least.
const PLACE: usize = 2;
const PLACE_LEAST: usize = 12;
/// In place of the path of a session whose request is not in the capture.
const UNKNOWN_PATH: &str = "(mid-stream)";
/// The same where it is, and nobody could read it.
const UNREAD_PATH: &str = "(encrypted)";

pub(super) fn sessions(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if report.sessions.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = plain_table(style);
    table.set_header(["SESSION", "client", "path", "up/down", "lasted", "end"]);
    pad(&mut table);
    // The troubled first, so that a long list begins with what matters.
    let mut order: Vec<&Session> = report.sessions.iter().filter(own_row).collect();
    order.sort_by_cached_key(|s| (Reverse(worst_of(report, s)), s.id));
    let most = if style.verbose {
        usize::MAX
    } else {
        SESSIONS_SHOWN
    };
    // The host is news only where there are several.
    let hosts = order
        .windows(2)
        .any(|two| matches!(two, [a, b] if host(a) != host(b)));
    let mut rows: Vec<[String; 6]> = Vec::new();
    for session in order.iter().take(most) {
        rows.push(session_row(&report.judged(session), report, hosts));
        if style.verbose {
            rows.extend(tls_row(session));
            rows.extend(leg_rows(session, report));
        }
    }
    cut_places(&mut rows, style.width);
    for row in rows {
        table.add_row(row);
    }
    print_table(&table, out)?;
    inferred_note(&order, style, out)?;
    match order.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "... and {more} more (-v shows them all)"),
    }
}

fn session_row(reported: &Reported<'_>, report: &Report, hosts: bool) -> [String; 6] {
    let session = reported.session;
    let unknown = match session.keyless {
        Some(_) => UNREAD_PATH,
        None => UNKNOWN_PATH,
    };
    let path = describe::path(session, report.secrets).unwrap_or(Cow::Borrowed(unknown));
    let place = if let (Some(_), Some(name)) = (&session.keyless, describe::host(session)) {
        format!("{name} {path}")
    } else if hosts && session.handshake.seen_request().is_some() {
        format!("{}{path}", host(session))
    } else {
        path.into_owned()
    };
    let end = session.leg.last_packet_any().time;
    let (up, down) = (session.messages.client.count, session.messages.server.count);
    [
        names(session),
        session.leg.client.to_string(),
        place,
        match session.is_inferred() {
            true => "?/?".to_owned(),
            false => format!(
                "{up}{}/{down}{}",
                more(session, ClientToServer),
                more(session, ServerToClient)
            ),
        },
        span(end.saturating_since(session.leg.first.time)),
        describe::fate(reported),
    ]
}

/// The legs of a proxy are one session, and share the row of the client's.
fn own_row(session: &&Session) -> bool {
    client_leg(session) == session.id
}

/// `s1+s2` where a session is seen on several legs.
fn names(session: &Session) -> String {
    let Some(joined) = joined(session) else {
        return session.name();
    };
    let legs = joined.story.legs.iter();
    let names: Vec<String> = legs.map(|leg| format!("s{}", leg.session)).collect();
    names.join("+")
}

/// The legs behind the client's, where all is to be shown.
fn leg_rows(session: &Session, report: &Report) -> Vec<[String; 6]> {
    let legs = joined(session).map(|joined| joined.others());
    let sessions = legs
        .into_iter()
        .flatten()
        .filter_map(|leg| report.session(leg.session));
    sessions
        .map(|session| {
            let mut row = session_row(&report.judged(session), report, false);
            let [name, _, place, ..] = &mut row;
            *name = format!("  {}", session.name());
            *place = format!("-> {}", session.leg.server);
            row
        })
        .collect()
}

/// What is not read but inferred, and how it could be read.
fn inferred_note(order: &[&Session], style: Style, out: &mut dyn Write) -> io::Result<()> {
    let inferred: Vec<String> = order
        .iter()
        .filter(|session| session.keyless.is_some())
        .map(|session| session.name())
        .collect();
    let Some(first) = inferred.first() else {
        return Ok(());
    };
    let who = match inferred.len() {
        1 => first.clone(),
        more => format!("{first} and {} more", more - 1),
    };
    let text = format!(
        "{who}: TLS that nobody could read. That it is WebSocket, and how it ended, is inferred from the sizes and times of its records; \
         --keys FILE (SSLKEYLOGFILE) would read it"
    );
    wrapped_after(
        out,
        style.width,
        &format!("{}  ", style.bold("INFERRED")),
        10,
        &text,
    )
}

/// What protects the session, where anything does: `TLS 1.3, decrypted`.
fn tls_row(session: &Session) -> Option<[String; 6]> {
    let tls = session.leg.tls.as_deref()?;
    let version = tls.version().unwrap_or("TLS");
    let state = match tls.undecrypted() {
        Some((reason, _)) => format!("not decrypted ({})", reason.name()),
        None => "decrypted".to_owned(),
    };
    let mut row: [String; 6] = Default::default();
    let [_, _, place, ..] = &mut row;
    *place = format!("{version}, {state}");
    Some(row)
}

/// The Host field, or the server's address.
fn host(session: &Session) -> Cow<'_, str> {
    match describe::host(session) {
        Some(host) => Cow::Borrowed(host),
        None => Cow::Owned(session.leg.server.to_string()),
    }
}

/// A plus behind a count that is a minimum: the rest could not be read.
fn more(session: &Session, sender: Direction) -> &'static str {
    if session.lost_sync[sender].is_some() || session.resyncs[sender].unread > 0 {
        "+"
    } else {
        ""
    }
}

/// The path gets the room that the other columns leave.
fn cut_places(rows: &mut [[String; 6]], width: usize) {
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
            .max(7)
            + 2
    };
    let others: usize = (0..6).filter(|column| *column != PLACE).map(widest).sum();
    let room = width.saturating_sub(others + 2).max(PLACE_LEAST);
    for row in rows {
        if let Some(place) = row.get_mut(PLACE) {
            *place = shown(place, room);
        }
    }
}

fn worst_of(report: &Report, session: &Session) -> Option<Severity> {
    let others = joined(session).map(|joined| joined.others());
    let others = others.into_iter().flatten().map(|leg| leg.session);
    let about = others
        .chain([session.id])
        .flat_map(|id| report.about(id))
        .filter_map(|index| report.findings.get(*index));
    about.map(|finding| finding.severity).max()
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
