//! A timeline for people: a row a packet, in columns.

use std::io::{self, Write};

use super::cells::lines;
use super::lanes::State;
use super::page::{LINES, Page};
use super::row::counted;
use super::{Show, Story, ending, legs};
use crate::diagnosis::{Confidence, span};
use crate::report::describe;
use crate::report::text::Style;
use crate::report::when::{clock, date};
use crate::report::wrap::wrapped;
use crate::stream::Direction::{self, ClientToServer, ServerToClient};

pub(super) fn write(story: &Story<'_>, show: &Show, out: &mut dyn Write) -> io::Result<()> {
    let style = Style {
        color: show.color,
        width: show.width,
        verbose: show.all_fields,
    };
    head(story, show, style, out)?;
    let mut page = Page::new(story, style, show.all);
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
    let title = lines(&title, style.width.saturating_sub(5), LINES);
    for (number, line) in title.iter().enumerate() {
        let lead = if number == 0 { name.as_str() } else { "" };
        writeln!(out, "{}", style.bold(&format!("{lead:<5}{line}")))?;
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
    if session.is_inferred() {
        let told = "nothing of it could be decrypted: what is said of its records is inferred from their sizes and times";
        wrapped(out, style.width, "     ", told)?;
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
    findings(story, style, out)
}

fn findings(story: &Story<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let report = story.report;
    if story.about.is_empty() && story.elsewhere == 0 {
        return Ok(());
    }
    writeln!(out, "\n{}", style.bold("FINDINGS"))?;
    if story.elsewhere > 0 {
        let told = match story.elsewhere {
            1 => "1 rests on packets outside the chosen time only".to_owned(),
            count => format!("{count} rest on packets outside the chosen time only"),
        };
        wrapped(out, style.width, "      ", &told)?;
    }
    for finding in story
        .about
        .iter()
        .filter_map(|place| report.findings.get(*place))
    {
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
