//! The verdict: what broke, how sure that is, which packets show it, what to do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::style::Style;
use super::{FILE_NAME, filter, of_several, sentence_case, several, subject};
use crate::diagnosis::{
    Evidence, Finding, Kind, Severity, Subject, client_leg, server_leg, stories,
};
use crate::report::Report;
use crate::report::messages::shown;
use crate::report::when::clock;
use crate::report::wrap::{wrapped, wrapped_after};
use crate::session::Session;

/// Rationale: a first screen; `-v` and `--format json` have the rest.
const EVIDENCE_SHOWN: usize = 4;

pub(super) fn verdict(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    let label = format!("{}  ", style.bold("VERDICT"));
    let Some(worst) = main_finding(report) else {
        return wrapped_after(out, style.width, &label, 9, &in_that_time(report));
    };
    let same: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|f| f.rule.id == worst.rule.id && f.severity == worst.severity)
        .collect();
    wrapped_after(out, style.width, &label, 9, &sentence(report, worst, &same))?;
    let mut about = worst.confidence.name().to_owned();
    if let Some(sees) = what_apis_saw(report, worst) {
        about.push_str(&format!("; {sees}"));
    }
    let example = subject(report, worst);
    if alike(&same) && same.len() > 1 && !example.is_empty() {
        about.push_str(&format!("; shown here: {}", example.trim_end_matches(": ")));
    }
    wrapped(out, style.width, "         ", &about)?;
    for cause in worst.causes.iter().take(3) {
        let text = format!("{}: {}", cause.confidence.name(), cause.text);
        wrapped(out, style.width, "  cause  ", &text)?;
    }
    evidence(report, worst, style, out)?;
    let sources: BTreeSet<u16> = worst.evidence.iter().map(|e| e.at.source).collect();
    for filter in sources.iter().filter_map(|s| filter(report, worst, *s)) {
        writeln!(out, "  wireshark  {filter}")?;
    }
    if !worst.advice.is_empty() {
        wrapped(out, style.width, "  do     ", &worst.advice)?;
    }
    Ok(())
}

/// What one says holds of all only where all say the same; else the rule says
/// it of all, and one is the example.
fn sentence(report: &Report, worst: &Finding, same: &[&Finding]) -> String {
    let one = subject(report, worst);
    if same.len() <= 1 {
        return format!("{one}{}.", sentence_case(&worst.summary, one.is_empty()));
    }
    let many = several(report, same);
    if alike(same) {
        return format!("{many}{}.", sentence_case(&worst.summary, many.is_empty()));
    }
    let rule = sentence_case(worst.rule.summary, many.is_empty());
    let example = sentence_case(&worst.summary, false);
    format!("{many}{rule}. For example {one}{example}.")
}

fn alike(same: &[&Finding]) -> bool {
    same.windows(2)
        .all(|two| matches!(two, [a, b] if a.summary == b.summary))
}

/// The finding that the verdict is about: the worst that is not about the capture's quality.
pub(super) fn main_finding(report: &Report) -> Option<&Finding> {
    let mut told: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|f| f.severity > Severity::Info && !f.rule.id.starts_with("cap-"))
        .collect();
    let mut cases: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in &told {
        *cases.entry(finding.rule.id).or_default() += 1;
    }
    // The worst, the surest, the most frequent; of equals the first in the report.
    told.sort_by_key(|f| {
        (
            Reverse(f.severity),
            Reverse(f.confidence),
            Reverse(cases.get(f.rule.id).copied()),
        )
    });
    told.first().copied()
}

/// Of the chosen time only: what ended a session may lie outside.
fn in_that_time(report: &Report) -> String {
    let outside = report.selected.as_ref().map(|told| told.faults_outside);
    match outside {
        None | Some(0) => quiet_verdict(report),
        Some(1) => {
            "No fault found in the chosen time; 1 finding about what was chosen lies outside it."
                .to_owned()
        }
        Some(more) => format!(
            "No fault found in the chosen time; {more} findings about what was chosen lie outside it."
        ),
    }
}

fn quiet_verdict(report: &Report) -> String {
    let count = stories(&report.sessions);
    if count == 0
        && let Some(selected) = report.selected.as_ref().filter(|selected| selected.of > 0)
    {
        return selected.nothing();
    }
    if count == 0 {
        let why = report
            .findings
            .iter()
            .find(|f| f.rule.id == "cap-no-websocket");
        let why = why.map_or("nothing in this capture said WebSocket", |f| {
            f.summary.as_str()
        });
        return format!("{}.", sentence_case(why, true));
    }
    let (mut clean, mut open, mut refused, mut other) = (0, 0, 0, 0);
    let (mut end_lost, mut answer_lost) = (0, 0);
    let own = |session: &&Session| client_leg(session) == session.id;
    for session in report.sessions.iter().filter(own) {
        let closing = &report.judged(session).closing;
        let fates = match closing.kind {
            Kind::Clean => &mut clean,
            Kind::Open if closing.terminator.is_some() => &mut end_lost,
            Kind::Open => &mut open,
            Kind::None if session.may_hide_answer() => &mut answer_lost,
            Kind::None => &mut refused,
            Kind::Half | Kind::Unknown | Kind::Abnormal => &mut other,
        };
        *fates += 1;
    }
    let all_opened = report
        .sessions
        .iter()
        .filter(own)
        .all(|session| session.handshake.mid_stream.is_none());
    match (count, clean) {
        _ if report.sessions.iter().any(Session::is_inferred) => {
            let many = if count == 1 {
                "the session"
            } else {
                "all sessions"
            };
            match clean == count {
                true => format!("No fault found: {many} closed, as far as sizes tell."),
                false => format!("No fault found in {count} sessions, as far as sizes tell."),
            }
        }
        (1, 1) if !all_opened => {
            "Nothing broke: the session closed as it should; its opening is not in the capture."
                .to_owned()
        }
        (1.., clean) if clean == count && !all_opened => {
            format!("Nothing broke: all {count} sessions closed as they should.")
        }
        (1, 1) => "Nothing broke: the session opened and closed as it should.".to_owned(),
        (_, clean) if clean == count => {
            format!("Nothing broke: all {count} sessions opened and closed as they should.")
        }
        _ => {
            let fates = [
                (clean, "closed cleanly"),
                (open, "still open when the capture ended"),
                (end_lost, "how it ended not captured"),
                (answer_lost, "answer to its upgrade request not captured"),
                (refused, "not opened"),
                (other, "ended without two Close frames"),
            ];
            let told = fates.iter().filter(|(number, _)| *number > 0);
            let told: Vec<String> = match count {
                1 => told.map(|(_, what)| (*what).to_owned()).collect(),
                _ => told
                    .map(|(number, what)| format!("{number} {what}"))
                    .collect(),
            };
            let sessions = if count == 1 { "session" } else { "sessions" };
            format!("No fault found: {count} {sessions}, {}.", told.join(", "))
        }
    }
}

fn what_apis_saw(report: &Report, finding: &Finding) -> Option<String> {
    let Subject::Session(id) = finding.subject else {
        return None;
    };
    let session = report.session(id)?;
    let client = report.judged(session).closing.sees.client;
    // Behind a proxy sits the server of another leg, which may have been told
    // something else, or nothing yet.
    let behind = report.session(server_leg(session)).unwrap_or(session);
    let server = report.judged(behind).closing.sees.server;
    let reports = match session.is_inferred() {
        true => "probably reports",
        false => "reports",
    };
    match (client, server) {
        (Some(client), Some(server)) => Some(format!(
            "the client's API {reports} {client}, the server's {server}"
        )),
        (Some(client), None) => Some(format!("the client's API {reports} {client}")),
        (None, Some(server)) => Some(format!("the server's API {reports} {server}")),
        (None, None) => None,
    }
}

fn evidence(
    report: &Report,
    finding: &Finding,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let most = if style.verbose {
        usize::MAX
    } else {
        EVIDENCE_SHOWN
    };
    let mut in_order: Vec<&Evidence> = finding.evidence.iter().collect();
    in_order.sort_by_key(|evidence| evidence.at);
    let mut before = None;
    for evidence in in_order.into_iter().take(most) {
        let place = format!("#{} {}", evidence.at.number, clock(evidence.at.time));
        let lead = match before.replace(evidence.at) {
            // What else the packet shows stands below what it showed first.
            Some(at) if at == evidence.at => " ".repeat("packet ".len() + place.len()),
            _ => format!("packet {place}"),
        };
        let file = of_several(report, evidence.at.source).map_or(String::new(), |file| {
            format!(" [{}]", shown(&file, FILE_NAME))
        });
        let room = style.width.saturating_sub(2 + file.chars().count());
        let line = format!("{lead}  {}", evidence.what);
        writeln!(out, "  {}{file}", shown(&line, room))?;
    }
    match finding.evidence.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "  packet ... and {more} more (-v shows them)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use crate::session::CaptureFile;
    use crate::session::redact::Secrets;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// What is printed of the capture, as one of two files of these names.
    fn printed(script: Script, files: &[&str]) -> String {
        let told = script.told();
        let mut capture = told.capture;
        let file = |name: &&str| CaptureFile {
            path: name.into(),
            ..CaptureFile::default()
        };
        capture.files = files.iter().map(file).collect();
        let (sessions, findings) = (told.sessions, told.findings);
        let thresholds = crate::diagnosis::Thresholds::default();
        let report = Report::new(
            capture,
            sessions,
            findings,
            Secrets::default(),
            false,
            thresholds,
        );
        let style = Style {
            color: false,
            width: 80,
            verbose: false,
        };
        let mut out = Vec::new();
        verdict(&report, style, &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    fn proxied() -> Script {
        Script::new()
            .handshake()
            .request("")
            .behind(Script::upgrade)
            .accept("Server: nginx/1.22.1\r\n")
            .text(ClientToServer, "hi")
            .behind(|s| s.text(ClientToServer, "hi"))
    }

    #[test]
    fn a_story_of_two_legs_opened_though_it_is_two_sessions() {
        let script = proxied()
            .behind(|s| s.clean_close(ServerToClient))
            .clean_close(ServerToClient);
        let printed = printed(script, &["a.pcap"]);
        assert!(
            printed.contains("the session opened and closed as it should"),
            "{printed}"
        );
    }

    #[test]
    fn what_the_server_was_told_is_what_the_backend_was_told() {
        let script = proxied()
            .wait_s(1.0)
            .fin(ClientToServer)
            .bytes(ServerToClient, b"");
        let printed = printed(script, &["a.pcap"]);
        // The capture ends before the proxy tells its backend.
        assert!(
            printed.contains("likely; the client's API reports 1006\n"),
            "{printed}"
        );
    }

    #[test]
    fn packets_of_several_files_are_told_with_their_file() {
        let script = || Script::new().upgrade().wait_s(1.0).rst(ServerToClient);
        let two = printed(script(), &["x/a.pcap", "x/b.pcap"]);
        assert!(two.contains("[a.pcap]\n"), "{two}");
        assert!(two.contains("wireshark  a.pcap: frame.number in"), "{two}");
        let alike = printed(script(), &["x/a.pcap", "y/a.pcap"]);
        assert!(alike.contains("wireshark  x/a.pcap: frame"), "{alike}");
        let one = printed(script(), &["x/a.pcap"]);
        assert!(one.contains("wireshark  tcp.stream eq 0 &&"), "{one}");
        assert!(!one.contains("a.pcap"), "{one}");
    }
}
