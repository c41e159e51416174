//! What a long timeline leaves out: runs of plain rows away from anything that
//! happened become one row that counts them.

use super::row::{Row, Weight};

/// Rationale: the beginning and the end of a conversation show what it is about; 20 rows fill half a screen.
const ENDS: usize = 20;
/// Rationale: what was said right before and after an incident is part of it.
const AROUND: usize = 2;
/// Rationale: a row that says "2 messages" saves nothing.
const LEAST: usize = 4;
/// Rationale: some ten screens; who wants more asks for `--all`.
const MOST: usize = 400;

/// Folds rows that are in order.
pub(super) fn fold(rows: Vec<Row>) -> Vec<Row> {
    let keep = kept(&rows);
    let mut folded: Vec<Row> = Vec::new();
    let mut run: Vec<Row> = Vec::new();
    for (row, keep) in rows.into_iter().zip(keep) {
        if keep {
            folded.extend(together(std::mem::take(&mut run)));
            folded.push(row);
        } else {
            run.push(row);
        }
    }
    folded.extend(together(run));
    folded
}

fn kept(rows: &[Row]) -> Vec<bool> {
    let mut keep: Vec<bool> = rows.iter().map(|row| row.weight > Weight::Plain).collect();
    let incidents: Vec<usize> = places(&keep);
    for place in incidents {
        let from = place.saturating_sub(AROUND);
        for near in keep.iter_mut().skip(from).take(2 * AROUND + 1) {
            *near = true;
        }
    }
    let count = rows.len();
    for (place, keep) in keep.iter_mut().enumerate() {
        *keep |= place < ENDS || place.saturating_add(ENDS) >= count;
    }
    // Of too many the first and the last, and what nobody may miss.
    let all = places(&keep);
    if all.len() > MOST {
        let middle = all.len().saturating_sub(MOST);
        for place in all.iter().skip(MOST / 2).take(middle) {
            if let (Some(keep), Some(row)) = (keep.get_mut(*place), rows.get(*place)) {
                *keep = !row.changes.is_empty() || !row.findings.is_empty();
            }
        }
    }
    keep
}

fn places(keep: &[bool]) -> Vec<usize> {
    let places = keep.iter().enumerate().filter(|(_, keep)| **keep);
    places.map(|(place, _)| place).collect()
}

fn together(run: Vec<Row>) -> Vec<Row> {
    let counted = run.iter().any(|row| row.event == "folded");
    if run.len() < LEAST && !counted {
        return run;
    }
    let mut rows = run.into_iter();
    let Some(first) = rows.next() else {
        return Vec::new();
    };
    let mut whole = Row::new(first.at, "folded", "");
    whole.weight = Weight::Plain;
    whole.states = first.states;
    let mut end = first.end();
    for row in std::iter::once(first).chain(rows) {
        end = end.max(row.end());
        whole.states = row.states;
        let mut tally = row.tally;
        let told = tally.count() > 0 || tally.silences.0 > 0 || tally.again > 0;
        tally.more = tally.more.saturating_add(u64::from(!told));
        whole.tally.add(&tally);
    }
    whole.until = Some(end);
    vec![whole]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::show::row::Tally;
    use crate::stream::PacketRef;

    fn rows(count: u64, incidents: &[u64]) -> Vec<Row> {
        let row = |number| {
            let at = PacketRef {
                number,
                ..PacketRef::default()
            };
            let mut row = Row::new(at, "text", "");
            row.tally = Tally {
                pings: 1,
                ..Tally::default()
            };
            match incidents.contains(&number) {
                true => row.incident(),
                false => row.plain(),
            }
        };
        (1..=count).map(row).collect()
    }

    fn told(rows: &[Row]) -> Vec<(u64, u64)> {
        let folded = rows.iter().filter(|row| row.event == "folded");
        folded.map(|row| (row.at.number, row.tally.pings)).collect()
    }

    #[test]
    fn a_short_timeline_stays_whole() {
        assert_eq!(fold(rows(42, &[])).len(), 42);
    }

    #[test]
    fn runs_away_from_incidents_are_counted() {
        let folded = fold(rows(100, &[50]));
        assert_eq!(told(&folded), [(21, 27), (53, 28)]);
    }

    #[test]
    fn nothing_is_lost_and_little_is_shown_of_very_much() {
        let every_third: Vec<u64> = (1..=30_000).step_by(3).collect();
        let folded = fold(rows(30_000, &every_third));
        assert!(folded.len() <= MOST + 1, "{}", folded.len());
        let all: u64 = folded.iter().map(|row| row.tally.pings).sum();
        assert_eq!(all, 30_000);
    }
}
