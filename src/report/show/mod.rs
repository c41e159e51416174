//! `wscope show`: the timeline of one session, with both ends' states.

mod cells;
mod connection;
mod ending;
mod fold;
mod frames;
mod gather;
mod json;
mod lanes;
mod legs;
mod marks;
mod opening;
mod page;
mod row;
mod sealed;
mod silence;
#[cfg(test)]
mod tests;
mod text;
mod transport;

use std::io::{self, Write};

pub use gather::Gathered;

use super::{Report, describe};
use crate::session::{Ended, Record, RecordKind, Session};
use crate::stream::{Direction, PacketRef, Sides};
use crate::time::Timestamp;
use gather::Item;
use lanes::State;
use row::{Row, Weight};

/// How a timeline is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowFormat {
    /// For people.
    Text,
    /// One object (schema 1).
    Json,
    /// An object a row.
    Jsonl,
}

/// Writes timelines.
#[derive(Clone, Copy, Debug)]
pub struct Show {
    /// How.
    pub format: ShowFormat,
    /// Each row, rather than those near an incident and the first and last ones.
    pub all: bool,
    /// All header fields.
    pub all_fields: bool,
    /// With colour.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Rows from then on.
    pub from: Option<Timestamp>,
    /// Rows until then; nothing was read after it.
    pub to: Option<Timestamp>,
}

/// A timeline, laid out.
struct Story<'a> {
    report: &'a Report,
    session: &'a Session,
    rows: Vec<Row>,
    /// Rows before the chosen time.
    before: usize,
    /// Messages and control frames of which only the number is known.
    left_out: u64,
    /// The last change of each side: why its state is what it is.
    why: Sides<Option<(State, String)>>,
    /// The places of the findings of the chosen time.
    about: Vec<usize>,
    /// How many others there are.
    elsewhere: usize,
}

impl Show {
    /// Writes the timeline of `session`, one of the report's. `gathered` holds its
    /// messages and control frames; of the report's findings those about the
    /// session and its other legs are shown.
    ///
    /// # Errors
    /// What `out` says; a closed pipe among them.
    pub fn write(
        &self,
        report: &Report,
        session: &Session,
        gathered: &Gathered,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let story = self.story(report, session, gathered);
        match self.format {
            ShowFormat::Text => text::write(&story, self, out),
            ShowFormat::Json => json::write(&story, out),
            ShowFormat::Jsonl => json::write_lines(&story, out),
        }
    }

    fn story<'a>(
        &self,
        report: &'a Report,
        session: &'a Session,
        gathered: &Gathered,
    ) -> Story<'a> {
        let secrets = report.secrets;
        let place = Place::of(session, report);
        let mut rows = opening::of_handshake(session, secrets, self.all_fields);
        if place.first {
            rows.extend(connection::of_connection(session, secrets));
        }
        rows.extend(transport::rows(session));
        rows.extend(unread(session));
        let mut taken = Sides::default();
        let mut held = None;
        for item in gathered.items() {
            note_close(&item, &mut taken);
            rows.push(frames::row(item, secrets, &mut held));
        }
        rows.retain(|row| place.holds(row.at));
        rows.extend(self.end(session));
        rows.extend(place.before(session, report));
        rows.extend(place.next(report));
        for row in &mut rows {
            if let Some(from) = row.from {
                row.arrow = legs::arrow(session.joined.as_ref(), from);
            }
        }
        rows.extend(legs::rows(session, report));
        marks::mark(&mut rows, session, report);
        let (start, changes) = lanes::changes(session, place.first, &taken);
        let changes: Vec<_> = changes.into_iter().filter(|c| place.holds(c.at)).collect();
        let nothing = |state| {
            let unknown = state == State::Unknown;
            unknown.then(|| (state, "nothing that was captured tells".to_owned()))
        };
        let mut why = Sides::from_fn(|side| nothing(start[side]));
        for change in &changes {
            why[change.side] = Some((change.to, change.why.clone()));
        }
        marks::place_changes(&mut rows, changes);
        rows.sort_by_key(|row| (row.at, row.rank));
        rows.extend(silence::rows(session, &rows));
        rows.sort_by_key(|row| (row.at, row.rank));
        run_lanes(&mut rows, start);
        let all = rows.len();
        rows.retain(|row| self.from.is_none_or(|from| row.end().time >= from));
        rows.retain(|row| self.to.is_none_or(|to| row.at.time <= to));
        let before = all.saturating_sub(rows.len());
        let rows = if self.all { rows } else { fold::fold(rows) };
        let all = marks::about(session, report);
        let count = all.len();
        let about: Vec<usize> = all
            .into_iter()
            .filter(|place| self.chooses(report, *place))
            .collect();
        Story {
            report,
            session,
            rows,
            before,
            left_out: gathered.left_out(),
            why,
            elsewhere: count.saturating_sub(about.len()),
            about,
        }
    }

    /// A packet that proves this finding is of the chosen time.
    fn chooses(&self, report: &Report, place: usize) -> bool {
        let finding = report.findings.get(place);
        let evidence = finding.map_or(&[][..], |finding| finding.evidence.as_slice());
        let chosen = |at: PacketRef| {
            self.from.is_none_or(|from| at.time >= from) && self.to.is_none_or(|to| at.time <= to)
        };
        evidence.is_empty() || evidence.iter().any(|evidence| chosen(evidence.at))
    }

    /// Why nothing more comes, where it wasn't the session that ended.
    fn end(&self, session: &Session) -> Option<Row> {
        let last = session.leg.last_packet_any();
        match session.ended {
            Some(Ended::CaptureEnd) | None if self.to.is_some() => {
                let told = "the chosen time ends here (--to)";
                Some(Row::new(session.horizon, "chosen-end", told).rank(90))
            }
            Some(Ended::CaptureEnd) | None => {
                Some(Row::new(session.horizon, "capture-end", "the capture ends here").rank(90))
            }
            Some(Ended::LimitReached) => {
                let told = "not followed any further, for want of memory";
                Some(Row::new(last, "limit-reached", told).rank(90))
            }
            Some(Ended::Settled) => None,
        }
    }
}

/// Where on its connection a session stands.
struct Place {
    /// It is the first one.
    first: bool,
    from: PacketRef,
    /// The next one begins there.
    to: Option<PacketRef>,
}

impl Place {
    fn of(session: &Session, report: &Report) -> Self {
        let began = session.handshake.request.first;
        let others = report.sessions.iter();
        let others = others.filter(|other| other.leg.tcp_stream == session.leg.tcp_stream);
        let starts = others.map(|other| other.handshake.request.first);
        let to = starts.clone().filter(|start| *start > began).min();
        let first = starts.clone().all(|start| start >= began);
        let from = if first { PacketRef::default() } else { began };
        Self { first, from, to }
    }

    /// What came before on the same connection.
    fn before(&self, session: &Session, report: &Report) -> Option<Row> {
        let others = report.sessions.iter();
        let before = others
            .filter(|other| other.leg.tcp_stream == session.leg.tcp_stream)
            .filter(|other| other.handshake.request.first < self.from)
            .max_by_key(|other| other.handshake.request.first)
            .filter(|_| !self.first)?;
        let fate = describe::fate(&report.judged(before));
        let told = format!("{} came before on this connection: {fate}", before.name());
        Some(Row::new(self.from, "session-before", told).rank(0))
    }

    /// Where another session follows on the same connection.
    fn next(&self, report: &Report) -> Option<Row> {
        let to = self.to?;
        let mut sessions = report.sessions.iter();
        let next = sessions.find(|other| other.handshake.request.first == to)?;
        let told = format!("{} begins on the same connection", next.name());
        Some(Row::new(to, "next-session", told).rank(91))
    }

    fn holds(&self, at: PacketRef) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }
}

/// What passed, where nothing of it can be read.
fn unread(session: &Session) -> Vec<Row> {
    let (mut rows, whole) = sealed::rows(session);
    let unread = Direction::BOTH.iter().all(|side| session.is_unread(*side));
    if !whole && (session.is_inferred() || unread) {
        rows.extend(transport::traffic(session));
    }
    rows
}

fn note_close(item: &Item, taken: &mut Sides<Option<PacketRef>>) {
    if let Item::Record(record) = item
        && let Record {
            kind: RecordKind::Close(_),
            acked,
            ..
        } = &**record
    {
        let taken = &mut taken[record.direction()];
        *taken = taken.or(*acked);
    }
}

/// Both ends' states after each row.
fn run_lanes(rows: &mut [Row], start: Sides<State>) {
    let mut now = start;
    for row in rows {
        for (side, to, _) in &row.changes {
            now[*side] = *to;
        }
        row.states = now;
        if !row.changes.is_empty() {
            row.weight = Weight::Proof;
        }
    }
}
