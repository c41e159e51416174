//! A timeline for people: a row a packet, in columns.

use std::io::{self, Write};
use std::time::Duration;

use super::lanes::State;
use super::row::{Preview, Row, counted};
use super::{Show, Story, ending, frames, legs, marks};
use crate::diagnosis::{Confidence, span};
use crate::report::describe;
use crate::report::messages::shown;
use crate::report::text::Style;
use crate::report::when::{clock, date};
use crate::report::wrap::wrapped;
use crate::session::Opcode;
use crate::stream::Direction::{self, ClientToServer, ServerToClient};
use crate::stream::PacketRef;

/// Columns before what a row says: packet, time, both states, who to whom.
const INDENT: usize = 34;
/// Rationale: a header field or a body that takes more is for `--format json`.
const LINES: usize = 3;

pub(super) fn write(story: &Story<'_>, show: &Show, out: &mut dyn Write) -> io::Result<()> {
    let style = Style {
        color: show.color,
        width: show.width,
        verbose: show.all_fields,
    };
    head(story, show, style, out)?;
    let mut page = Page {
        story,
        style,
        all: show.all,
        before: None,
    };
    for row in &story.rows {
        page.row(row, out)?;
    }
    tail(story, style, out)
}

fn head(story: &Story<'_>, show: &Show, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let (session, report) = (story.session, story.report);
    let leg = &session.leg;
    let to = describe::url(session, report.secrets).unwrap_or_else(|| leg.server.to_string());
    let name = session.name();
    let title = format!("{} -> {to}", leg.client);
    let lead = format!("{name:<5}");
    for line in lines(&title, style.width.saturating_sub(5), LINES) {
        writeln!(out, "{}", style.bold(&format!("{lead}{line}")))?;
    }
    let reported = report.judged(session);
    let (first, last) = (leg.first, leg.last_packet_any());
    let mut about = vec![
        describe::fate(&reported),
        format!("tcp.stream {}", leg.tcp_stream),
        format!("{} {} UTC", date(first.time), clock(first.time)),
        format!("{} long", span(last.time.saturating_since(first.time))),
    ];
    if let Some(way) = describe::way(session, report.secrets) {
        about.push(way);
    }
    if let Some(tls) = &leg.tls {
        about.push(tls.version().unwrap_or("TLS").to_owned());
    }
    wrapped(out, style.width, "     ", &about.join(", "))?;
    if let Some(joined) = &session.joined {
        let others: Vec<String> = joined
            .others()
            .map(|leg| format!("s{}", leg.session))
            .collect();
        let told = format!(
            "one of {} legs of a proxy; the rows of {} are marked",
            joined.story.legs.len(),
            others.join(", ")
        );
        wrapped(out, style.width, "     ", &told)?;
    }
    let many = report.capture.files.len() > 1;
    for (number, file) in report.capture.files.iter().enumerate().filter(|_| many) {
        let told = format!("file {number}: {}", file.path.display());
        wrapped(out, style.width, "     ", &told)?;
    }
    let ends =
        [ClientToServer, ServerToClient].map(|side| legs::end(session.joined.as_ref(), side));
    let [near, far] = ends;
    let legend = format!(
        "readyState of {near} and {far}: 0 CONNECTING, 1 OPEN, 2 CLOSING, 3 CLOSED, ? the wire doesn't tell, - none yet"
    );
    wrapped(out, style.width, "     ", &legend)?;
    if story.before > 0 {
        let told = format!(
            "{} outside the chosen time",
            counted(story.before as u64, "row")
        );
        wrapped(out, style.width, "     ", &told)?;
    }
    if story.left_out > 0 {
        let told = format!(
            "{} counted only: too many to keep; `wscope messages --session {name} --control` lists them",
            counted(story.left_out, "message or control frame")
        );
        wrapped(out, style.width, "     ", &told)?;
    }
    let folded = story.rows.iter().any(|row| row.event == "folded");
    if folded && !show.all {
        wrapped(
            out,
            style.width,
            "     ",
            "what is alike is counted in one line (--all shows each)",
        )?;
    }
    writeln!(out)
}

struct Page<'a> {
    story: &'a Story<'a>,
    style: Style,
    all: bool,
    /// The packet of the row before; none where the time has to be said in full.
    before: Option<PacketRef>,
}

impl Page<'_> {
    fn row(&mut self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
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

fn tail(story: &Story<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let (session, report) = (story.session, story.report);
    writeln!(out, "\n{}", style.bold("AT THE END"))?;
    let joined = session.joined.as_ref();
    for side in Direction::BOTH {
        let who = legs::end(joined, side);
        let (state, known) = match &story.why[side] {
            Some((State::Unknown, why)) => (format!("unknown: {why}"), false),
            Some((state, _)) => (state.name().unwrap_or("no WebSocket").to_owned(), true),
            None => ("no WebSocket".to_owned(), true),
        };
        wrapped(out, style.width, &format!("  {who:<8}"), &state)?;
        // Of a leg's two ends only one may be an endpoint of the session.
        if who == side.sender() {
            let told = ending::told(session, report, side, known);
            wrapped(out, style.width, "          ", &told)?;
        }
    }
    for side in Direction::BOTH {
        if legs::end(joined, side) != side.sender() {
            let told = ending::told(session, report, side, true);
            let label = format!("  {:<8}", side.sender());
            wrapped(out, style.width, &label, &format!("on another leg: {told}"))?;
        }
    }
    let about = marks::about(session, report);
    if about.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", style.bold("FINDINGS"))?;
    for finding in about.iter().filter_map(|place| report.findings.get(*place)) {
        let severity = style.severity(finding.severity);
        let sure = match finding.confidence {
            Confidence::Certain => String::new(),
            sure => format!(", {}", sure.name()),
        };
        writeln!(out, "{severity} {}{sure}", style.bold(finding.rule.id))?;
        wrapped(out, style.width, "      ", &finding.summary)?;
    }
    Ok(())
}

/// The beginning of a payload, on one line, safe for a terminal.
fn beginning(preview: &Preview, room: usize) -> String {
    let bytes = preview.bytes.as_slice();
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => bytes
            .get(..error.valid_up_to())
            .filter(|_| error.error_len().is_none())
            .and_then(|bytes| std::str::from_utf8(bytes).ok()),
    };
    match (preview.opcode, valid) {
        (Opcode::Text, Some(text)) => fit(text, room),
        _ => {
            let hex: Vec<String> = bytes
                .iter()
                .take(room / 3)
                .map(|b| format!("{b:02x}"))
                .collect();
            hex.join(" ")
        }
    }
}

/// `text`, harmless, in so many columns; of a longer one its beginning.
fn fit(text: &str, room: usize) -> String {
    let text = shown(text, usize::MAX);
    if columns(&text) <= room {
        return text;
    }
    let (mut line, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += width(c);
        if used > room {
            break;
        }
        line.push(c);
    }
    line.push('…');
    line
}

/// `text`, harmless, in at most so many lines of so many columns. Words that are longer are broken.
fn lines(text: &str, room: usize, most: usize) -> Vec<String> {
    let text = shown(text, usize::MAX);
    let room = room.max(8);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let wide = columns(word);
        if !line.is_empty() && columns(&line) + 1 + wide <= room {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            if columns(&line) + width(c) > room {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
        if lines.len() > most {
            break;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = fit(&format!("{last} …"), room);
        }
    }
    lines
}

fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// How many columns of a terminal a character takes: East Asian ones and pictures take two.
fn width(c: char) -> usize {
    match u32::from(c) {
        0x1100..=0x115f
        | 0x2600..=0x27bf
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f000.. => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_broken_and_long_texts_end() {
        assert_eq!(
            lines("GET /aaaaaaaaaaaa x", 10, 9),
            ["GET", "/aaaaaaaaa", "aaa x"]
        );
        assert_eq!(
            lines("one two three four five", 9, 2),
            ["one two", "three …"]
        );
        assert!(lines("", 10, 3).is_empty());
    }

    #[test]
    fn a_wide_character_takes_two_columns() {
        assert_eq!(fit("日本語日本語", 7), "日本語…");
        assert_eq!(fit("a\u{1b}[31m\u{202e}b\u{2028}", 20), "a·[31m·b·");
    }
}
