//! `wscope explain [FINDING-ID]`.

use std::io::{self, Write};

use anyhow::{Result, bail};

use super::Outcome;
use super::args::ExplainArgs;
use super::output::COLUMNS;
use crate::diagnosis::rules;
use crate::report;

pub(super) fn run(args: &ExplainArgs) -> Result<Outcome> {
    let mut out = io::stdout().lock();
    match &args.id {
        None => report::list_rules(COLUMNS, &mut out)?,
        Some(id) => match rules::by_id(id) {
            Some(rule) => report::explain_rule(rule, COLUMNS, &mut out)?,
            None => bail!("{}", unknown(id)),
        },
    }
    out.flush()?;
    Ok(Outcome::Quiet)
}

fn unknown(id: &str) -> String {
    let near: Vec<&str> = rules::ALL
        .iter()
        .map(|rule| rule.id)
        .filter(|known| known.contains(id))
        .take(3)
        .collect();
    let hint = if near.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", near.join(", "))
    };
    format!("explain {id}: no finding has this id{hint} (`wscope explain` lists them all)")
}
