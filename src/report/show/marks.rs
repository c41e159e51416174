//! Findings beside the packets that prove them, and state changes beside the
//! packets that show them.

use super::lanes::Change;
use super::row::{Row, Weight};
use crate::diagnosis::{Evidence, Finding, Severity};
use crate::report::Report;
use crate::session::Session;

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
            mark_one(rows, place, finding);
        }
    }
}

fn mark_one(rows: &mut Vec<Row>, place: usize, finding: &Finding) {
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
                rows.push(Row::new(evidence.at, "evidence", evidence.what.clone()).rank(65));
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
