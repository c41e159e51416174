//! `wscope show SESSION FILE...`: the timeline of one session.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::Outcome;
use super::analyze::findings;
use super::args::{ShowArgs, TimelineFormat};
use super::input::{Read, Told};
use super::select::{streams, there_is};
use crate::diagnosis::{self, Subject, Thresholds};
use crate::pipeline::{Options, Settle};
use crate::report::{Gathered, Report, Show, ShowFormat};
use crate::session::{Selector, Session, Wanted};
use crate::websocket::Wants;

/// Rationale: a row shows a line of it; scripts get short messages whole.
const KEPT: usize = 512;

pub(super) fn run(args: &ShowArgs) -> Result<Outcome> {
    let select = &args.input.select;
    let thresholds = args.input.thresholds()?;
    ensure!(
        select.selector().is_empty(),
        "show: the session stands before the files (`wscope show s3 FILE`); --session and --where have no place here"
    );
    let options = Options {
        records: true,
        timeline: true,
        settle: Settle::Patiently,
        wants: Wants {
            payload: (!args.no_payload).then_some(KEPT),
            sha256: false,
        },
        ..Options::default()
    };
    let only = Selector {
        wanted: vec![args.wanted],
        conditions: Vec::new(),
    };
    let mut gathered: BTreeMap<u32, Gathered> = BTreeMap::new();
    let mut take = |told: Told<'_>| {
        if let Told::Record(record) = told {
            gathered.entry(record.session).or_default().add(record);
        }
        Ok(())
    };
    let read = args
        .input
        .read(options, only, args.output.quiet, &mut take)?;
    let numbers = numbers(&read, args)?;
    let incomplete = read.incomplete;
    let show = Show {
        format: match args.format {
            TimelineFormat::Text => ShowFormat::Text,
            TimelineFormat::Json => ShowFormat::Json,
            TimelineFormat::Jsonl => ShowFormat::Jsonl,
        },
        all: args.all,
        all_fields: args.output.verbose,
        color: args.output.color(),
        width: args.output.width(),
        from: read.window.from,
        to: read.window.to,
    };
    let report = report(read, args, thresholds);
    let mut out = args.output.writer()?;
    for (place, number) in numbers.into_iter().enumerate() {
        let Some(session) = report.session(number) else {
            continue;
        };
        if place > 0 && show.format == ShowFormat::Text {
            writeln!(out)?;
        }
        let gathered = gathered.remove(&number).unwrap_or_default();
        show.write(&report, session, &gathered, &mut out)?;
    }
    out.flush()?;
    Ok(match incomplete {
        true => Outcome::Incomplete,
        false => Outcome::Quiet,
    })
}

/// The sessions that are meant: on one connection there may be several.
///
/// # Errors
/// There is none.
fn numbers(read: &Read, args: &ShowArgs) -> Result<Vec<u32>> {
    let meant = |session: &&Session| args.wanted.is(session);
    let numbers: Vec<u32> = read
        .sessions
        .iter()
        .filter(meant)
        .map(|session| session.id)
        .collect();
    let name = match args.wanted {
        Wanted::Session(id) => format!("show s{id}: there is none"),
        Wanted::Stream(stream) => format!("show {stream}: none on tcp.stream {stream}"),
    };
    let until = match args.input.select.to {
        Some(_) => " until --to",
        None => "",
    };
    ensure!(
        !numbers.is_empty(),
        "{name}; the capture has {}{until}{}; `wscope FILE -v` lists what there is",
        there_is(&read.sessions),
        streams(&read.sessions)
    );
    Ok(numbers)
}

/// All sessions, since the legs of a proxy and findings speak of others too; of
/// the findings those about sessions.
fn report(read: Read, args: &ShowArgs, thresholds: Thresholds) -> Report {
    let mut findings = findings(&read, &thresholds);
    // It wasn't the capture that ended.
    let ends_early = read.window.ends_early();
    findings.retain(|finding| {
        matches!(finding.subject, Subject::Session(_))
            && !(ends_early && finding.rule.id == "end-unknown")
    });
    diagnosis::rank(&mut findings);
    let (secrets, keys) = (args.input.secrets(), !args.input.keys.is_empty());
    Report::new(
        read.capture,
        read.sessions,
        findings,
        secrets,
        keys,
        thresholds,
    )
}
