//! `wscope explain [FINDING-ID]`.

use std::io::{self, Write};

use anyhow::{Result, bail};

use super::Outcome;
use super::args::ExplainArgs;
use crate::diagnosis::{Rule, rules};

pub(super) fn run(args: &ExplainArgs) -> Result<Outcome> {
    let mut out = io::stdout().lock();
    match &args.id {
        None => {
            for rule in rules::ALL {
                writeln!(
                    out,
                    "{:28} {:5}  {}",
                    rule.id,
                    rule.severity.name(),
                    rule.summary
                )?;
            }
        }
        Some(id) => match rules::by_id(id) {
            Some(rule) => one(rule, &mut out)?,
            None => bail!("{}", unknown(id)),
        },
    }
    out.flush()?;
    Ok(Outcome::Quiet)
}

fn one(rule: &Rule, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{} ({})\n{}\n",
        rule.id,
        rule.severity.name(),
        rule.summary
    )?;
    for line in rule.explain.lines() {
        wrap(line, out)?;
    }
    Ok(())
}

/// 80 columns; what follows a `- ` is set in.
fn wrap(line: &str, out: &mut impl Write) -> io::Result<()> {
    let indent = if line.starts_with("- ") { "  " } else { "" };
    let mut written = 0;
    for word in line.split(' ') {
        let len = word.chars().count();
        if written > 0 && written + 1 + len > 80 {
            write!(out, "\n{indent}")?;
            written = indent.len();
        } else if written > 0 {
            write!(out, " ")?;
            written += 1;
        }
        write!(out, "{word}")?;
        written += len;
    }
    writeln!(out)
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
