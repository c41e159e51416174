//! The verdict: what broke, how sure that is, which packets show it, what to do.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use super::style::Style;
use super::{sentence_case, several, source_of, subject};
use crate::diagnosis::{Evidence, Finding, Kind, Severity, Subject};
use crate::report::Report;
use crate::report::messages::shown;
use crate::report::when::clock;
use crate::report::wrap::{wrapped, wrapped_after};

/// Rationale: a first screen; `-v` and `--format json` have the rest.
const EVIDENCE_SHOWN: usize = 4;

pub(super) fn verdict(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
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
    evidence(worst, style, out)?;
    if let Some(filter) = worst.filter(source_of(worst), report.capture.files.len() <= 1) {
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

fn quiet_verdict(report: &Report) -> String {
    let count = report.sessions.len();
    let (mut clean, mut open) = (0, 0);
    for session in &report.sessions {
        match report.judged(session).closing.kind {
            Kind::Clean => clean += 1,
            Kind::Open => open += 1,
            Kind::Half | Kind::Abnormal | Kind::None => {}
        }
    }
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
    let reported = report.judged(report.session(id)?);
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
