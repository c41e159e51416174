//! `wscope FILE...`: the report.

use anyhow::Result;

use super::Outcome;
use super::args::{AnalyzeArgs, FailOn, ReportFormat};
use super::input::Read;
use super::output::complain;
use crate::diagnosis::{self, Finding, Severity, Thresholds};
use crate::pipeline::Options;
use crate::report::{Format, Report};

pub(super) fn run(args: &AnalyzeArgs) -> Result<Outcome> {
    for id in args
        .ignore
        .iter()
        .filter(|id| diagnosis::rules::by_id(id).is_none())
    {
        complain(&format!(
            "--ignore {id}: no finding has this id; `wscope explain` lists them"
        ));
    }
    let read = args
        .input
        .read(Options::default(), args.output.quiet, |_| Ok(()))?;
    let incomplete = read.incomplete;
    let report = judge(read, args);
    let mut out = args.output.writer()?;
    format(args).write(&report, &mut out)?;
    out.flush()?;
    if incomplete {
        return Ok(Outcome::Incomplete);
    }
    let bar = match args.fail_on {
        FailOn::Error => Severity::Error,
        FailOn::Warn => Severity::Warn,
        FailOn::Info => Severity::Info,
        FailOn::Never => return Ok(Outcome::Quiet),
    };
    let found = report.worst().is_some_and(|worst| worst >= bar);
    Ok(if found {
        Outcome::Found
    } else {
        Outcome::Quiet
    })
}

fn format(args: &AnalyzeArgs) -> Format {
    match args.format {
        ReportFormat::Text => Format::Text {
            color: args.output.color(),
            width: args.output.width(),
            verbose: args.output.verbose,
        },
        ReportFormat::Json => Format::Json,
        ReportFormat::Jsonl => Format::Jsonl,
    }
}

/// Asks all rules about all that was read.
fn judge(read: Read, args: &AnalyzeArgs) -> Report {
    let Read {
        capture,
        sessions,
        attempts,
        ..
    } = read;
    let thresholds = Thresholds::default();
    let mut findings: Vec<Finding> = sessions
        .iter()
        .flat_map(|session| diagnosis::diagnose(session, &capture, &thresholds))
        .collect();
    findings.extend(diagnosis::diagnose_capture(
        &sessions,
        &attempts,
        &capture,
        &thresholds,
    ));
    diagnosis::merge_legs(&mut findings, &sessions);
    findings.retain(|finding| !args.ignore.iter().any(|id| id == finding.rule.id));
    diagnosis::rank(&mut findings);
    Report::new(
        capture,
        sessions,
        findings,
        args.input.secrets(),
        !args.input.keys.is_empty(),
        thresholds,
    )
}
