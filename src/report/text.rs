//! The report for people: verdict first, then what it rests on.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style as Ansi};
use comfy_table::{ContentArrangement, Table, presets};

use super::messages::shown;
use super::when::{clock, date, short};
use super::{Report, Reported, describe};
use crate::diagnosis::{Confidence, Evidence, Finding, Kind, Severity, Subject};
use crate::stream::Sides;

/// Rationale: a first screen; the rest is in `--format json` and `-v`.
const SESSIONS_SHOWN: usize = 20;
const FINDINGS_SHOWN: usize = 12;
const EVIDENCE_SHOWN: usize = 4;
/// Rationale: what 80 columns leave beside the others.
const PLACE_COLUMNS: usize = 24;

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) color: bool,
    pub(super) width: usize,
    pub(super) verbose: bool,
}

impl Style {
    fn paint(self, ansi: Ansi, text: &str) -> String {
        if self.color {
            format!("{ansi}{text}{ansi:#}")
        } else {
            text.to_owned()
        }
    }

    fn bold(self, text: &str) -> String {
        self.paint(Ansi::new().bold(), text)
    }

    fn severity(self, severity: Severity) -> String {
        let (word, color) = match severity {
            Severity::Error => ("ERROR", AnsiColor::Red),
            Severity::Warn => ("WARN ", AnsiColor::Yellow),
            Severity::Info => ("info ", AnsiColor::Cyan),
        };
        self.paint(Ansi::new().fg_color(Some(color.into())).bold(), word)
    }
}

pub(super) fn write(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    head(report, style, out)?;
    quality(report, style, out)?;
    verdict(report, style, out)?;
    sessions(report, style, out)?;
    heartbeat(report, style, out)?;
    findings(report, style, out)?;
    next_steps(report, out)
}

fn head(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let capture = &report.capture;
    let name = match capture.files.as_slice() {
        [one] => one.path.display().to_string(),
        many => format!("{} files", many.len()),
    };
    let first = capture.files.iter().filter_map(|file| file.first).min();
    let last = capture.files.iter().filter_map(|file| file.last).max();
    let span = first.zip(last).map_or(String::new(), |(first, last)| {
        let long = short(last.saturating_since(first));
        format!(
            "  {} {} to {} UTC ({long})",
            date(first),
            clock(first),
            clock(last)
        )
    });
    let version = env!("CARGO_PKG_VERSION");
    let title = shown(&name, style.width.saturating_sub(10));
    writeln!(out, "{}", style.bold(&format!("wscope {version}  {title}")))?;
    writeln!(
        out,
        "{} packets, {} TCP connections, {} WebSocket sessions{}",
        capture.packets,
        capture.tcp_connections,
        report.sessions.len(),
        if span.is_empty() {
            String::new()
        } else {
            format!("\n{}", span.trim_start())
        },
    )
}

/// What limits everything below comes before it.
fn quality(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let limits: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|f| {
            f.rule.id.starts_with("cap-")
                && f.rule.id != "cap-no-websocket"
                && f.severity > Severity::Info
        })
        .collect();
    for finding in limits {
        wrapped(out, style.width, "CAPTURE  ", &finding.summary)?;
    }
    Ok(())
}

fn verdict(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    let label = format!("{}  ", style.bold("VERDICT"));
    let Some(worst) = main_finding(report) else {
        return wrapped_after(out, style.width, &label, 9, &quiet_verdict(report));
    };
    let same: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|f| f.rule.id == worst.rule.id && f.severity == worst.severity)
        .collect();
    let who = match same.as_slice() {
        [_] => subject(report, worst),
        many => several(report, many),
    };
    let sentence = format!("{who}{}.", sentence_case(&worst.summary, who.is_empty()));
    wrapped_after(out, style.width, &label, 9, &sentence)?;
    let mut about = worst.confidence.name().to_owned();
    if let Some(sees) = what_apis_saw(report, worst) {
        about.push_str(&format!("; {sees}"));
    }
    if same.len() > 1 {
        about.push_str(&format!(
            "; shown here: {}",
            subject(report, worst).trim_end_matches(": ")
        ));
    }
    wrapped(out, style.width, "         ", &about)?;
    for cause in worst.causes.iter().take(3) {
        let text = format!("{}: {}", cause.confidence.name(), cause.text);
        wrapped(out, style.width, "  cause  ", &text)?;
    }
    evidence(worst, style, out)?;
    if let Some(filter) = worst.filter(source_of(worst), report.capture.files.len() <= 1) {
        writeln!(out, "  wireshark  {filter}")?;
    }
    if !worst.advice.is_empty() {
        wrapped(out, style.width, "  do     ", &worst.advice)?;
    }
    Ok(())
}

/// `20 of 40 sessions: `, or the number of cases where they are no sessions.
fn several(report: &Report, same: &[&Finding]) -> String {
    let mut sessions: Vec<Subject> = same.iter().map(|finding| finding.subject).collect();
    sessions.retain(|subject| matches!(subject, Subject::Session(_)));
    sessions.sort_unstable();
    sessions.dedup();
    match sessions.len() {
        0 => format!("{} times: ", same.len()),
        1 => same
            .first()
            .map_or_else(String::new, |finding| subject(report, finding)),
        count => format!("{count} of {} sessions: ", report.sessions.len()),
    }
}

/// The finding that the verdict is about: the worst that is not about the capture's quality.
fn main_finding(report: &Report) -> Option<&Finding> {
    let mut told: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|f| f.severity > Severity::Info && !f.rule.id.starts_with("cap-"))
        .collect();
    told.sort_by_key(|f| {
        let same = report
            .findings
            .iter()
            .filter(|other| other.rule.id == f.rule.id)
            .count();
        (
            std::cmp::Reverse(f.severity),
            std::cmp::Reverse(f.confidence),
            std::cmp::Reverse(same),
        )
    });
    told.first().copied()
}

fn quiet_verdict(report: &Report) -> String {
    let count = report.sessions.len();
    let clean = report
        .sessions
        .iter()
        .filter(|s| s.closing.kind == Kind::Clean)
        .count();
    let open = report
        .sessions
        .iter()
        .filter(|s| s.closing.kind == Kind::Open)
        .count();
    match (count, clean, open) {
        (0, ..) => {
            let why = report
                .findings
                .iter()
                .find(|f| f.rule.id == "cap-no-websocket");
            let why = why.map_or("nothing in this capture said WebSocket", |f| {
                f.summary.as_str()
            });
            format!("{}.", sentence_case(why.trim_end_matches('.'), true))
        }
        (1, 1, _) => "Nothing broke: the session opened and closed as it should.".to_owned(),
        (_, clean, 0) if clean == count => {
            format!("Nothing broke: all {count} sessions opened and closed as they should.")
        }
        (_, _, open) => format!(
            "Nothing broke: of {count} sessions {clean} closed cleanly, {open} were still open when the capture ended."
        ),
    }
}

fn what_apis_saw(report: &Report, finding: &Finding) -> Option<String> {
    let Subject::Session(id) = finding.subject else {
        return None;
    };
    let reported = report.sessions.iter().find(|r| r.session.id == id)?;
    let sees = &reported.closing.sees;
    let client = sees
        .client
        .map(|code| format!("the client's API reports {code}"));
    let server = sees.server.map(|code| format!("the server's {code}"));
    let parts: Vec<String> = client.into_iter().chain(server).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn evidence(finding: &Finding, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let most = if style.verbose {
        usize::MAX
    } else {
        EVIDENCE_SHOWN
    };
    let mut in_order: Vec<&Evidence> = finding.evidence.iter().collect();
    in_order.sort_by_key(|evidence| evidence.at);
    for evidence in in_order.into_iter().take(most) {
        let line = format!(
            "#{} {}  {}",
            evidence.at.number,
            clock(evidence.at.time),
            evidence.what
        );
        writeln!(
            out,
            "  packet {}",
            shown(&line, style.width.saturating_sub(9))
        )?;
    }
    match finding.evidence.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "  packet ... and {more} more (-v shows them)"),
    }
}

fn source_of(finding: &Finding) -> u16 {
    finding
        .evidence
        .first()
        .map_or(0, |evidence| evidence.at.source)
}

/// Whom a finding is about, as the beginning of a sentence; empty for the capture.
fn subject(report: &Report, finding: &Finding) -> String {
    match finding.subject {
        Subject::Capture => String::new(),
        Subject::Connection { client, server } => format!("{client} -> {server}: "),
        Subject::Session(id) => {
            let path = report
                .sessions
                .iter()
                .find(|r| r.session.id == id)
                .map(|r| {
                    (
                        r.session.leg.client,
                        describe::url(&r.session, report.secrets),
                    )
                });
            match path {
                Some((client, url)) => format!("s{id} ({client} -> {url}): "),
                None => format!("s{id}: "),
            }
        }
    }
}

fn sentence_case(text: &str, capital: bool) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if capital => first.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

fn sessions(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if report.sessions.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = plain_table(style);
    table.set_header(["SESSION", "client", "path", "up/down", "lasted", "end"]);
    pad(&mut table);
    // The troubled first, so that a long list begins with what matters.
    let mut order: Vec<&Reported> = report.sessions.iter().collect();
    order.sort_by_key(|r| {
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
        .findings
        .iter()
        .filter(|f| f.subject == Subject::Session(session));
    about.map(|f| f.severity).max()
}

fn heartbeat(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
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

fn findings(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if report.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", style.bold("FINDINGS"))?;
    let groups = grouped(report);
    let most = if style.verbose {
        usize::MAX
    } else {
        FINDINGS_SHOWN
    };
    for (finding, count) in groups.iter().take(most) {
        one_finding(report, finding, *count, style, out)?;
    }
    match groups.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "... and {more} more kinds (-v shows them all)"),
    }
}

/// One finding per rule and severity, with how many there are; all of them with `-v`.
fn grouped(report: &Report) -> Vec<(&Finding, usize)> {
    let mut groups: Vec<(&Finding, usize)> = Vec::new();
    for finding in &report.findings {
        let same = |(f, _): &&mut (&Finding, usize)| {
            f.rule.id == finding.rule.id && f.severity == finding.severity
        };
        match groups.iter_mut().find(same) {
            Some((_, count)) => *count += 1,
            None => groups.push((finding, 1)),
        }
    }
    groups
}

fn one_finding(
    report: &Report,
    finding: &Finding,
    count: usize,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let times = if count > 1 {
        format!(" x{count}")
    } else {
        String::new()
    };
    let sure = match finding.confidence {
        Confidence::Certain => "",
        Confidence::Likely => ", likely",
        Confidence::Possible => ", possible",
    };
    writeln!(
        out,
        "{} {}{times}{sure}",
        style.severity(finding.severity),
        style.bold(finding.rule.id)
    )?;
    let who = match finding.subject {
        Subject::Session(id) => format!("s{id}: "),
        _ => subject(report, finding),
    };
    let text = format!("{who}{}", sentence_case(&finding.summary, who.is_empty()));
    wrapped(out, style.width, "      ", &text)?;
    if let Some(filter) = finding.filter(source_of(finding), report.capture.files.len() <= 1) {
        writeln!(out, "      {filter}")?;
    }
    Ok(())
}

fn next_steps(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    match main_finding(report) {
        Some(worst) => writeln!(out, "\nnext: wscope explain {}", worst.rule.id),
        None => Ok(()),
    }
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

/// `text`, wrapped, each line after `label` or as many blanks.
fn wrapped(out: &mut dyn Write, width: usize, label: &str, text: &str) -> io::Result<()> {
    wrapped_after(out, width, label, label.chars().count(), text)
}

fn wrapped_after(
    out: &mut dyn Write,
    width: usize,
    label: &str,
    indent: usize,
    text: &str,
) -> io::Result<()> {
    let room = width.saturating_sub(indent).max(20);
    let mut line = String::new();
    let mut first = true;
    let mut flush = |line: &mut String, out: &mut dyn Write| {
        let lead = if first {
            label.to_owned()
        } else {
            " ".repeat(indent)
        };
        first = false;
        let written = writeln!(out, "{lead}{line}");
        line.clear();
        written
    };
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            flush(&mut line, out)?;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    flush(&mut line, out)
}
