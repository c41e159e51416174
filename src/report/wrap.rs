//! Lines of a limited width.

use std::io::{self, Write};

/// `text`, wrapped, each line after `label` or as many blanks.
pub(super) fn wrapped(
    out: &mut dyn Write,
    width: usize,
    label: &str,
    text: &str,
) -> io::Result<()> {
    wrapped_after(out, width, label, label.chars().count(), text)
}

/// The same, for a label that a terminal shows in fewer columns than it has characters.
pub(super) fn wrapped_after(
    out: &mut dyn Write,
    width: usize,
    label: &str,
    indent: usize,
    text: &str,
) -> io::Result<()> {
    let room = width.saturating_sub(indent).max(20);
    let mut line = String::new();
    let mut first = true;
    let mut flush = |line: &mut String, out: &mut dyn Write| {
        let lead = if first {
            label.to_owned()
        } else {
            " ".repeat(indent)
        };
        first = false;
        let written = writeln!(out, "{lead}{line}");
        line.clear();
        written
    };
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            flush(&mut line, out)?;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    flush(&mut line, out)
}
