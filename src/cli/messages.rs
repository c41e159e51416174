//! `wscope messages FILE...`: one line a message.

use anyhow::Result;

use super::Outcome;
use super::analyze::findings;
use super::args::{LineFormat, MessagesArgs};
use super::choose::{choose, chosen};
use super::input::{Read, Told};
use super::output::complain;
use crate::diagnosis::Finding;
use crate::pipeline::{Options, Settle};
use crate::report::{MessageFormat, Messages};
use crate::session::{Selector, Wanted};
use crate::websocket::Wants;

/// Rationale: people read a line; scripts get the payload, up to what one line of JSON may reasonably hold.
const KEPT_FOR_PEOPLE: usize = 512;
const KEPT_FOR_SCRIPTS: usize = 16 << 20;

pub(super) fn run(args: &MessagesArgs) -> Result<Outcome> {
    let format = match args.format {
        LineFormat::Text => MessageFormat::Text,
        LineFormat::Jsonl => MessageFormat::Jsonl,
    };
    let kept = match format {
        MessageFormat::Text => KEPT_FOR_PEOPLE,
        MessageFormat::Jsonl => KEPT_FOR_SCRIPTS,
    };
    let options = Options {
        records: true,
        settle: match args.input.follow {
            true => Settle::Soon,
            false => Settle::Patiently,
        },
        wants: Wants {
            payload: (!args.no_payload).then_some(kept),
            sha256: args.sha256,
        },
        ..Options::default()
    };
    let messages = Messages {
        format,
        control: args.control,
        payload: !args.no_payload,
        secrets: args.input.secrets(),
        width: args.output.width(),
    };
    let Some(only) = only(args)? else {
        return Ok(Outcome::Quiet);
    };
    let mut out = args.output.writer()?;
    let read = args
        .input
        .read(options, only, args.output.quiet, |told| match told {
            Told::Record(record) => Ok(messages.write(record, &mut out)?),
            Told::Pause => Ok(out.flush()?),
        })?;
    out.flush()?;
    let incomplete = read.incomplete;
    say_what_a_filter_missed(&read, args);
    if !args.input.select.selector().asks_for_findings() {
        say_if_nothing(read, Vec::new(), args);
    }
    Ok(if incomplete {
        Outcome::Incomplete
    } else {
        Outcome::Quiet
    })
}

/// Whose messages are asked for. What a session was found to have is known
/// when it is over, so that takes a first pass; `None` if that chooses nothing.
/// Which legs belong together is known then too: where several conditions may be
/// met by several legs, what can be read twice is, and else each leg stands for itself.
fn only(args: &MessagesArgs) -> Result<Option<Selector>> {
    let thresholds = args.input.thresholds()?;
    let select = &args.input.select;
    let selector = select.selector();
    let finds = selector.asks_for_findings();
    let twice = args.input.can_be_read_twice("--where finding=...");
    match finds {
        true => twice?,
        false if selector.asks_for_several() && twice.is_ok() => {}
        false => return Ok(Some(selector)),
    }
    let read = args
        .input
        .read(Options::default(), Selector::default(), true, |_| Ok(()))?;
    let findings = findings(&read, &thresholds);
    let chosen = chosen(&selector, read.window, &read.sessions, &findings);
    if chosen.is_empty() && !finds {
        return Ok(Some(selector));
    }
    if chosen.is_empty() {
        say_if_nothing(read, findings, args);
        return Ok(None);
    }
    let mut wanted: Vec<Wanted> = chosen.into_iter().map(Wanted::Session).collect();
    wanted.sort_unstable();
    Ok(Some(Selector {
        wanted,
        conditions: Vec::new(),
    }))
}

/// Here no report says so.
fn say_what_a_filter_missed(read: &Read, args: &MessagesArgs) {
    let filter = read.capture.filter.iter().filter(|_| !args.output.quiet);
    for filter in filter {
        let (expression, left_out) = (&filter.expression, filter.left_out);
        for hint in filter.hints() {
            complain(&format!(
                "--filter '{expression}' left out {left_out} packets; {hint}"
            ));
        }
    }
}

/// An empty output may surprise.
fn say_if_nothing(mut read: Read, mut findings: Vec<Finding>, args: &MessagesArgs) {
    let (select, secrets) = (&args.input.select, args.input.secrets());
    let selected = choose(
        select,
        read.window,
        secrets,
        &mut read.sessions,
        &mut findings,
    );
    if let Some(selected) = selected.filter(|selected| selected.sessions == 0)
        && !args.output.quiet
    {
        complain(&selected.nothing());
    }
}
