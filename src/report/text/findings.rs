//! The findings, one entry for all of a kind.

use std::io::{self, Write};

use super::style::Style;
use super::{filter, sentence_case, source_of, subject};
use crate::diagnosis::{Confidence, Finding, Subject};
use crate::report::Report;
use crate::report::wrap::wrapped;

/// Rationale: a first screen; `-v` and `--format json` have the rest.
const FINDINGS_SHOWN: usize = 12;

pub(super) fn findings(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if report.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", style.bold("FINDINGS"))?;
    let groups = if style.verbose {
        report.findings.iter().map(|finding| (finding, 1)).collect()
    } else {
        grouped(report)
    };
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

/// One finding per rule and severity, with how many there are.
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
    if let Some(filter) = filter(report, finding, source_of(finding)) {
        writeln!(out, "      {filter}")?;
    }
    Ok(())
}
