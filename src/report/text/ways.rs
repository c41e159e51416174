//! The proxies that sessions went through.

use std::io::{self, Write};

use super::style::Style;
use crate::report::wrap::wrapped_after;
use crate::report::{Report, describe};

/// Rationale: a first screen; `--format json` has it for each session.
const NAMED: usize = 5;
/// The same for different ways.
const WAYS: usize = 10;

/// A line for each way, with the sessions that took it.
pub(super) fn ways(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut ways: Vec<(String, Vec<String>)> = Vec::new();
    for session in &report.sessions {
        let Some(way) = describe::way(session, report.secrets) else {
            continue;
        };
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, sessions)) => sessions.push(session.name()),
            None => ways.push((way, vec![session.name()])),
        }
    }
    if ways.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let label = format!("{}  ", style.bold("WAY"));
    for (way, sessions) in ways.iter().take(WAYS) {
        let named = sessions.iter().take(NAMED).cloned().collect::<Vec<_>>();
        let more = match sessions.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!("{}{more} {way}", named.join(", "));
        wrapped_after(out, style.width, &label, 5, &text)?;
    }
    match ways.len().saturating_sub(WAYS) {
        0 => Ok(()),
        more => writeln!(out, "     ... and {more} more (--format json has them all)"),
    }
}
