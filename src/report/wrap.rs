//! Lines of a limited width.

use std::io::{self, Write};

use super::messages::shown;

/// `text`, wrapped, each line after `label` or as many blanks. It may quote the
/// capture (a Close reason, an Origin): nothing in it reaches the terminal that
/// a terminal would obey.
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
    let text = shown(text, usize::MAX);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_capture_says_gives_the_terminal_no_orders() {
        let mut out = Vec::new();
        wrapped(
            &mut out,
            80,
            "  ",
            "Close \u{1b}[31m\u{9b}2J, \u{202e}bye\n",
        )
        .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "  Close ·[31m·2J, ·bye·\n");
    }
}
