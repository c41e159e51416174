//! What `wscope explain` prints: one rule, or the list of all.

use std::io::{self, Write};

use super::wrap::wrapped;
use crate::diagnosis::{Rule, rules};

/// Rationale: the longest id has 27 characters.
const ID_COLUMNS: usize = 28;

/// All rules, a few lines each.
///
/// # Errors
/// What `out` says; a closed pipe among them.
pub fn list_rules(width: usize, out: &mut dyn Write) -> io::Result<()> {
    for rule in rules::ALL {
        let label = format!("{:ID_COLUMNS$} {:5}  ", rule.id, rule.severity.name());
        wrapped(out, width, &label, rule.summary)?;
    }
    Ok(())
}

/// All that a rule has to say.
///
/// # Errors
/// What `out` says; a closed pipe among them.
pub fn explain_rule(rule: &Rule, width: usize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} ({})", rule.id, rule.severity.name())?;
    wrapped(out, width, "", rule.summary)?;
    writeln!(out)?;
    for paragraph in paragraphs(rule.explain) {
        let label = item_label(&paragraph);
        let text = paragraph.get(label.len()..).unwrap_or_default();
        wrapped(out, width, label, text)?;
    }
    Ok(())
}

/// Lines that belong together as one: a heading, an item of a list, a
/// paragraph; an empty one stays.
fn paragraphs(markdown: &str) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    for line in markdown.trim().lines() {
        let begins = line.is_empty() || line.starts_with('#') || !item_label(line).is_empty();
        match paragraphs.last_mut() {
            Some(last) if !begins && !last.is_empty() && !last.starts_with('#') => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => paragraphs.push(line.to_owned()),
        }
    }
    paragraphs
}

/// `- ` or `1. ` at the beginning of an item of a list; empty for anything else.
fn item_label(line: &str) -> &str {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let len = match line.get(digits..) {
        Some(rest) if digits > 0 && rest.starts_with(". ") => digits + 2,
        _ if line.starts_with("- ") => 2,
        _ => 0,
    };
    line.get(..len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_paragraph_flow_and_items_hang() {
        let text = "## What it means\nOne\ntwo.\n\n- an item\n  goes on\n12. another";
        assert_eq!(
            paragraphs(text),
            [
                "## What it means",
                "One two.",
                "",
                "- an item goes on",
                "12. another"
            ]
        );
        assert_eq!(item_label("12. another"), "12. ");
    }

    #[test]
    fn no_explanation_is_wider_than_its_terminal() {
        for rule in rules::ALL {
            let mut out = Vec::new();
            explain_rule(rule, 80, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(80), "{}: {widest:?}", rule.id);
        }
    }
}
