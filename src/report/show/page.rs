//! The rows of a timeline for people.

use std::io::{self, Write};
use std::time::Duration;

use super::cells::{beginning, columns, fit, lines};
use super::lanes::State;
use super::row::Row;
use super::{Story, frames, legs};
use crate::diagnosis::{Confidence, span};
use crate::report::text::Style;
use crate::report::when::clock;
use crate::stream::Direction::{ClientToServer, ServerToClient};
use crate::stream::PacketRef;

/// Columns before what a row says: packet, time, both states, who to whom.
const INDENT: usize = 34;
/// Rationale: a header field or a body that takes more is for `--format json`.
pub(super) const LINES: usize = 3;

/// Writes rows, one after the other.
pub(super) struct Page<'a> {
    story: &'a Story<'a>,
    style: Style,
    all: bool,
    /// The packet of the row before; none where the time has to be said in full.
    before: Option<PacketRef>,
}

impl<'a> Page<'a> {
    /// From the first row on.
    pub(super) fn new(story: &'a Story<'a>, style: Style, all: bool) -> Self {
        Self {
            story,
            style,
            all,
            before: None,
        }
    }

    pub(super) fn row(&mut self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
        let room = self.style.width.saturating_sub(4);
        match row.event {
            "silence" => {
                self.before = None;
                let text = format!("········ {} ········", row.what);
                return writeln!(out, "   {}", fit(&text, room));
            }
            "folded" => {
                self.before = None;
                let joined = self.story.session.joined.as_ref();
                let arrows = [ClientToServer, ServerToClient].map(|from| legs::arrow(joined, from));
                let told = frames::folded(row, arrows.each_ref().map(String::as_str));
                let lasted = row.end().time.saturating_since(row.at.time);
                let (from, to) = (row.at.number, row.end().number);
                let text = format!("{told}; #{from} to #{to}, {}", span(lasted));
                for (number, line) in lines(&text, room.saturating_sub(4), LINES)
                    .iter()
                    .enumerate()
                {
                    let mark = if number == 0 { ":::" } else { "   " };
                    writeln!(out, "   {mark} {line}")?;
                }
                return Ok(());
            }
            _ => {}
        }
        self.packet(row, out)?;
        self.below(row, out)
    }

    fn packet(&mut self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
        let number = self.number(row.at);
        let time = self.time(row.at);
        let lanes = format!("{} {}", row.states.client.sign(), row.states.server.sign());
        let arrow = &row.arrow;
        let lead = format!("{number:<8}{time:>12}  {lanes}  {arrow:<4}  ");
        let room = self.style.width.saturating_sub(INDENT);
        let what = match row.leg {
            Some(leg) => format!("[s{leg}] {}", row.what),
            None => row.what.clone(),
        };
        let told = lines(&what, room, if self.all { usize::MAX } else { LINES });
        let count = told.len();
        if told.is_empty() {
            return writeln!(out, "{}", lead.trim_end());
        }
        for (place, line) in told.iter().enumerate() {
            let lead = match place {
                0 => lead.clone(),
                _ => " ".repeat(INDENT),
            };
            let left = room.saturating_sub(columns(line)).saturating_sub(2);
            match &row.preview {
                Some(preview) if place.saturating_add(1) == count && left >= 8 => {
                    writeln!(out, "{lead}{line}  {}", beginning(preview, left))?;
                }
                _ => writeln!(out, "{}", format!("{lead}{line}").trim_end())?,
            }
        }
        Ok(())
    }

    /// What is told of a row beside the packet itself.
    fn below(&mut self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
        let indent = " ".repeat(INDENT.saturating_add(2));
        let room = self.style.width.saturating_sub(indent.len());
        for note in &row.notes {
            for line in lines(note, room, LINES) {
                writeln!(out, "{indent}{line}")?;
            }
        }
        let indent = " ".repeat(24);
        let room = self.style.width.saturating_sub(indent.len());
        let joined = self.story.session.joined.as_ref();
        for (side, to, why) in &row.changes {
            let who = legs::end(joined, *side);
            let told = match to.name() {
                Some(_) if *to == State::Unknown => format!("{who} ?: {why}"),
                Some(name) => format!("{who} {name}: {why}"),
                None => continue,
            };
            for (number, line) in lines(&told, room.saturating_sub(3), LINES)
                .iter()
                .enumerate()
            {
                let mark = if number == 0 { "=> " } else { "   " };
                writeln!(out, "{indent}{mark}{line}")?;
            }
        }
        for (place, proves) in &row.findings {
            let Some(finding) = self.story.report.findings.get(*place) else {
                continue;
            };
            let told = match proves {
                true => {
                    let severity = self.style.severity(finding.severity);
                    let sure = match finding.confidence {
                        Confidence::Certain => String::new(),
                        sure => format!(" ({})", sure.name()),
                    };
                    format!("<- {severity} {}{sure}", finding.rule.id)
                }
                false => format!("<- {}", finding.rule.id),
            };
            writeln!(out, "{indent}{told}")?;
        }
        Ok(())
    }

    fn number(&self, at: PacketRef) -> String {
        match self.story.report.capture.files.len() {
            0 | 1 => format!("#{}", at.number),
            _ => format!("#{}/{}", at.source, at.number),
        }
    }

    fn time(&mut self, at: PacketRef) -> String {
        let before = self.before.replace(at);
        let since = before.filter(|before| before.epoch == at.epoch);
        match since.and_then(|before| at.time.since(before.time)) {
            Some(passed) if passed.is_zero() => "+0".to_owned(),
            Some(passed) if passed < Duration::from_micros(100) => {
                format!("+{} µs", passed.as_nanos().div_ceil(1_000))
            }
            Some(passed) => format!("+{}", span(passed)),
            None => clock(at.time),
        }
    }
}
