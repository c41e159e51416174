//! `wscope FILE...`: the report.

use anyhow::Result;

use super::Outcome;
use super::args::{AnalyzeArgs, FailOn, ReportFormat};
use super::choose::choose;
use super::input::Read;
use super::output::complain;
use crate::diagnosis::{self, Finding, Severity, Thresholds};
use crate::pipeline::Options;
use crate::report::{Format, Report};
use crate::session::Selector;

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
    let thresholds = args.input.thresholds()?;
    let read = args.input.read(
        Options::default(),
        Selector::default(),
        args.output.quiet,
        |_| Ok(()),
    )?;
    let incomplete = read.incomplete;
    let report = judge(read, args, thresholds);
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

/// Asks all rules about all that was read; what is asked for is chosen after that,
/// since a rule may look at other sessions too.
fn judge(read: Read, args: &AnalyzeArgs, thresholds: Thresholds) -> Report {
    let mut findings = findings(&read, &thresholds);
    let Read {
        capture,
        mut sessions,
        window,
        ..
    } = read;
    findings.retain(|finding| !args.ignore.iter().any(|id| id == finding.rule.id));
    let secrets = args.input.secrets();
    let select = &args.input.select;
    let selected = choose(select, window, secrets, &mut sessions, &mut findings);
    diagnosis::rank(&mut findings);
    let keys_given = !args.input.keys.is_empty();
    Report::new(capture, sessions, findings, secrets, keys_given, thresholds).selected(selected)
}

/// What all rules say, in no order.
pub(super) fn findings(read: &Read, thresholds: &Thresholds) -> Vec<Finding> {
    let Read {
        capture,
        sessions,
        attempts,
        ..
    } = read;
    let mut findings: Vec<Finding> = sessions
        .iter()
        .flat_map(|session| diagnosis::diagnose(session, capture, thresholds))
        .collect();
    findings.extend(diagnosis::diagnose_capture(
        sessions, attempts, capture, thresholds,
    ));
    diagnosis::merge_legs(&mut findings, sessions);
    findings
}
