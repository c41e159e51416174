//! The report for people: verdict first, then what it rests on.

mod findings;
mod heartbeat;
mod latency;
mod relayed;
mod sessions;
mod style;
mod unread;
mod verdict;
mod ways;

use std::io::{self, Write};

pub(super) use style::Style;

use super::messages::shown;
use super::when::{clock, date};
use super::wrap::wrapped;
use super::{Report, describe};
use crate::diagnosis::{Finding, Severity, Subject, client_leg, joined, span, stories};
use crate::session::{Filtered, Joined, Role, Session};

/// Columns for a file's name beside what a packet of it shows.
const FILE_NAME: usize = 28;

pub(super) fn write(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    head(report, style, out)?;
    chosen(report, style, out)?;
    quality(report, style, out)?;
    verdict::verdict(report, style, out)?;
    sessions::sessions(report, style, out)?;
    relayed::relayed(report, style, out)?;
    ways::ways(report, style, out)?;
    heartbeat::heartbeat(report, style, out)?;
    latency::latency(report, style, out)?;
    findings::findings(report, style, out)?;
    next_steps(report, out)
}

fn head(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let capture = &report.capture;
    let name = match capture.files.as_slice() {
        [one] if one.path.as_os_str() == "-" => "stdin".to_owned(),
        [one] => one.path.display().to_string(),
        many => format!("{} files", many.len()),
    };
    let first = capture.files.iter().filter_map(|file| file.first).min();
    let last = capture.files.iter().filter_map(|file| file.last).max();
    let span = first.zip(last).map_or(String::new(), |(first, last)| {
        let long = span(last.saturating_since(first));
        format!(
            "  {} {} to {} UTC ({long})",
            date(first),
            clock(first),
            clock(last)
        )
    });
    let version = env!("CARGO_PKG_VERSION");
    let program = format!("wscope {version}  ");
    let title = ending(&name, style.width.saturating_sub(program.chars().count()));
    writeln!(out, "{}", style.bold(&format!("{program}{title}")))?;
    writeln!(
        out,
        "{}, {}, {}{}{}",
        count(capture.packets, "packet"),
        count(capture.tcp_connections, "TCP connection"),
        count(all_stories(report) as u64, "WebSocket session"),
        with_legs(report),
        if span.is_empty() {
            String::new()
        } else {
            format!("\n{}", span.trim_start())
        },
    )?;
    keys(report, out)
}

/// Of how many TLS connections there were keys; nothing where there was no TLS.
fn keys(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let tls = &report.capture.tls;
    if tls.connections == 0 {
        return Ok(());
    }
    let all = count(tls.connections, "connection");
    writeln!(out, "TLS keys: {} of {all}", tls.decrypted)
}

/// Of what was read, what the rest is about.
fn chosen(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if let Some(filter) = &report.capture.filter {
        wrapped(out, style.width, "FILTER   ", &filtered(filter))?;
    }
    match &report.selected {
        Some(selected) => wrapped(out, style.width, "SELECTED ", &selected.sentence()),
        None => Ok(()),
    }
}

fn filtered(filter: &Filtered) -> String {
    let read = filter.left_out.saturating_add(filter.matched);
    let mut told = format!(
        "--filter '{}' left out {} of {}",
        filter.expression,
        filter.left_out,
        count(read, "packet")
    );
    for why in filter.hints() {
        told.push_str("; ");
        told.push_str(&why);
    }
    told
}

/// A path without anything that a terminal would obey; of a long one its end,
/// where the file's name stands.
fn ending(path: &str, room: usize) -> String {
    let path = shown(path, usize::MAX);
    match path.chars().count().checked_sub(room) {
        None | Some(0) => path,
        Some(over) => "…"
            .chars()
            .chain(path.chars().skip(over.saturating_add(1)))
            .collect(),
    }
}

/// `1 packet`, `2 packets`.
fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
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
    if let Some(unread) = unread::unread(report) {
        wrapped(out, style.width, "CAPTURE  ", &unread)?;
    }
    Ok(())
}

fn next_steps(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    match verdict::main_finding(report) {
        Some(worst) => writeln!(out, "\nnext: wscope explain {}", worst.rule.id),
        None => Ok(()),
    }
}

fn source_of(finding: &Finding) -> u16 {
    finding
        .evidence
        .first()
        .map_or(0, |evidence| evidence.at.source)
}

/// A file's name, where there are several: packet numbers count in each anew.
fn of_several(report: &Report, source: u16) -> Option<String> {
    let files = &report.capture.files;
    let path = &files.get(usize::from(source))?.path;
    let alike = files
        .iter()
        .filter(|f| f.path.file_name() == path.file_name());
    match (files.len(), alike.count(), path.file_name()) {
        (0 | 1, ..) => None,
        (_, 1, Some(name)) => Some(name.to_string_lossy().into_owned()),
        _ => Some(path.display().to_string()),
    }
}

/// What to type into Wireshark to see a finding's packets of this file.
fn filter(report: &Report, finding: &Finding, source: u16) -> Option<String> {
    let file = of_several(report, source);
    let filter = finding.filter(source, file.is_none())?;
    Some(match file {
        Some(file) => format!("{}: {filter}", shown(&file, FILE_NAME)),
        None => filter,
    })
}

/// Whom a finding is about, as the beginning of a sentence; empty for the capture.
fn subject(report: &Report, finding: &Finding) -> String {
    match finding.subject {
        Subject::Capture => String::new(),
        // Most sentences about a connection name its ends themselves.
        Subject::Connection { client, server }
            if [client.ip(), server.ip()]
                .iter()
                .any(|ip| finding.summary.contains(&ip.to_string())) =>
        {
            String::new()
        }
        Subject::Connection { client, server } => format!("{client} -> {server}: "),
        Subject::Session(id) => {
            let Some(session) = report.session(id) else {
                return format!("s{id}: ");
            };
            let leg = &session.leg;
            let to = describe::url(session, report.secrets).unwrap_or(leg.server.to_string());
            format!("s{id} ({} -> {to}): ", leg.client)
        }
    }
}

/// How many WebSockets the capture holds, the legs of a proxy being one;
/// where some were chosen, all the same.
fn all_stories(report: &Report) -> usize {
    match &report.selected {
        Some(selected) => selected.of_stories,
        None => stories(&report.sessions),
    }
}

/// ` (both legs of a proxy)`, where some sessions are on several connections.
fn with_legs(report: &Report) -> String {
    if report.selected.is_some() {
        return String::new();
    }
    let all = all_stories(report);
    let role = |session: &Session| joined(session).map(Joined::role);
    let fronts = report.sessions.iter();
    match fronts.filter(|s| role(s) == Some(Role::Client)).count() {
        0 => String::new(),
        some if some == all => " (both legs of a proxy)".to_owned(),
        some => format!(" ({some} with both legs)"),
    }
}

/// `20 of 40 sessions: `, or the number of cases where they are no sessions.
fn several(report: &Report, same: &[&Finding]) -> String {
    let mut sessions: Vec<u32> = same
        .iter()
        .filter_map(|finding| match finding.subject {
            Subject::Session(id) => Some(report.session(id).map_or(id, client_leg)),
            Subject::Connection { .. } | Subject::Capture => None,
        })
        .collect();
    sessions.sort_unstable();
    sessions.dedup();
    match sessions.len() {
        0 => format!("{} times: ", same.len()),
        1 => same
            .first()
            .map_or_else(String::new, |finding| subject(report, finding)),
        count => format!("{count} of {} sessions: ", stories(&report.sessions)),
    }
}

fn sentence_case(text: &str, capital: bool) -> String {
    let text = text.trim_end_matches('.');
    // A file's name or an address keeps its case.
    let word = text.split(' ').next().unwrap_or_default();
    let plain = word
        .chars()
        .all(|c| c.is_ascii_lowercase() || "-',".contains(c));
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if capital && plain => first.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_keeps_the_name_of_the_file() {
        assert_eq!(ending("a/b.pcap", 8), "a/b.pcap");
        assert_eq!(ending("captures/b.pcap", 8), "…/b.pcap");
        assert_eq!(ending("\u{1b}[2J.pcap", 80), "·[2J.pcap");
    }
}
