//! `wscope messages FILE...`: one line a message.

use anyhow::Result;

use super::Outcome;
use super::args::{LineFormat, MessagesArgs};
use super::input::Told;
use crate::pipeline::{Options, Settle};
use crate::report::{MessageFormat, Messages};
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
    let mut out = args.output.writer()?;
    let read = args
        .input
        .read(options, args.output.quiet, |told| match told {
            Told::Record(record) => Ok(messages.write(record, &mut out)?),
            Told::Pause => Ok(out.flush()?),
        })?;
    out.flush()?;
    Ok(if read.incomplete {
        Outcome::Incomplete
    } else {
        Outcome::Quiet
    })
}
