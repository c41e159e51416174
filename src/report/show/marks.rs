//! Findings beside the packets that prove them, and state changes beside the
//! packets that show them.

use super::lanes::Change;
use super::legs;
use super::row::{Row, Weight};
use crate::diagnosis::{Evidence, Finding, Severity, Subject};
use crate::report::Report;
use crate::session::Session;
use crate::stream::{Direction, PacketRef};

/// Rationale: the first and the last ones show what a finding rests on; the report has all with `-v`.
const SHOWN: usize = 4;

/// The places of the findings about this session and the other legs of its story.
pub(super) fn about(session: &Session, report: &Report) -> Vec<usize> {
    let mut places = report.about(session.id).to_vec();
    if let Some(joined) = &session.joined {
        for leg in joined.others() {
            places.extend(report.about(leg.session));
        }
    }
    places.sort_unstable();
    places
}

pub(super) fn mark(rows: &mut Vec<Row>, session: &Session, report: &Report) {
    for place in about(session, report) {
        if let Some(finding) = report.findings.get(place) {
            mark_one(rows, place, finding, session, report);
        }
    }
}

fn mark_one(
    rows: &mut Vec<Row>,
    place: usize,
    finding: &Finding,
    session: &Session,
    report: &Report,
) {
    let mut evidence: Vec<&Evidence> = finding.evidence.iter().collect();
    evidence.sort_by_key(|evidence| evidence.at);
    let count = evidence.len();
    for (number, evidence) in evidence.into_iter().enumerate() {
        let last = number.saturating_add(1) == count;
        // Remarks in one place only.
        let most = if finding.severity == Severity::Info {
            0
        } else {
            SHOWN
        };
        if number >= most && !last {
            continue;
        }
        let row = match fitting(rows, evidence) {
            Some(row) => row,
            None => {
                let mut row = of_evidence(evidence, finding, session, report);
                let acked = rows.iter().find(|row| row.acked == Some(evidence.at));
                if let Some(of) = acked.and_then(|acked| acked.from)
                    && row.leg.is_none()
                {
                    row.from = Some(of.reverse());
                    row.arrow = legs::arrow(session.joined.as_ref(), of.reverse());
                }
                rows.push(row);
                let Some(row) = rows.last_mut() else { continue };
                row
            }
        };
        match row.findings.iter_mut().find(|(known, _)| *known == place) {
            Some((_, proves)) => *proves |= last,
            None => row.findings.push((place, last)),
        }
        row.weight = row.weight.max(Weight::Proof);
    }
}

/// A row for a packet that nothing else tells of, on the leg that it is on.
fn of_evidence(evidence: &Evidence, finding: &Finding, session: &Session, report: &Report) -> Row {
    let mut row = Row::new(evidence.at, "evidence", evidence.what.clone()).rank(65);
    let others = session.joined.iter().flat_map(|joined| joined.others());
    let others = others.filter_map(|leg| report.session(leg.session));
    let legs: Vec<&Session> = std::iter::once(session).chain(others).collect();
    let of_subject = |leg: &&&Session| finding.subject == Subject::Session(leg.id);
    let mut each = legs.iter();
    let on = each
        .find(|leg| sender(leg, evidence.at).is_some())
        .or_else(|| legs.iter().find(of_subject))
        .map_or(session, |leg| *leg);
    row.leg = (on.id != session.id).then_some(on.id);
    row.from = sender(on, evidence.at);
    if let Some(from) = row.from {
        row.arrow = legs::arrow(on.joined.as_ref(), from);
    }
    row
}

/// Who sent this packet, if this leg remembers it.
fn sender(session: &Session, at: PacketRef) -> Option<Direction> {
    let leg = &session.leg;
    Direction::BOTH.into_iter().find(|side| {
        let delivered = leg.last_delivered[*side].map(|(payload, _)| payload);
        let acked = leg.last_delivered[side.reverse()].map(|(_, acked)| acked);
        let unacked = &leg.unacked[*side];
        let known = [
            leg.first_payload[*side],
            leg.last_payload[*side],
            leg.last_packet[*side],
            leg.last_retransmission[*side],
            session.last_frame[*side].map(|(_, at)| at),
            unacked.first,
            unacked.last,
            delivered,
            acked,
        ];
        known.contains(&Some(at))
    })
}

/// The row of the packet that is evidence; of several the one that it speaks of.
fn fitting<'a>(rows: &'a mut [Row], evidence: &Evidence) -> Option<&'a mut Row> {
    const WORDS: [(&str, &str); 8] = [
        ("FIN", "fin"),
        ("reset", "rst"),
        ("Close", "close"),
        ("Ping", "ping"),
        ("Pong", "pong"),
        ("SYN", "syn"),
        ("request", "request"),
        ("answer", "response"),
    ];
    let named = |row: &Row| {
        let mut words = WORDS.iter();
        words.any(|(word, event)| row.event == *event && evidence.what.contains(word))
    };
    let here = |row: &Row| row.at == evidence.at && row.event != "folded";
    let places: Vec<usize> = (0..rows.len())
        .filter(|place| rows.get(*place).is_some_and(here))
        .collect();
    let best = places
        .iter()
        .find(|place| rows.get(**place).is_some_and(named))
        .or(places.first());
    rows.get_mut(*best?)
}

/// Puts each change on the row of its packet; where there is none, on one of its own.
pub(super) fn place_changes(rows: &mut Vec<Row>, changes: Vec<Change>) {
    for change in changes {
        let here =
            |row: &&mut Row| row.at == change.at && row.leg.is_none() && row.event != "folded";
        // The last of a packet's rows: a FIN comes after what it carries.
        let row = match rows.iter_mut().filter(here).max_by_key(|row| row.rank) {
            Some(row) => row,
            None => {
                rows.push(Row::new(change.at, "state", "").rank(64));
                let Some(row) = rows.last_mut() else { continue };
                row
            }
        };
        row.changes.push((change.side, change.to, change.why));
    }
}
