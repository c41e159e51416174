//! How text is laid out: width, colour, wrapped lines.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Ansi};

use crate::diagnosis::Severity;
use crate::report::messages::shown;

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub(in crate::report) struct Style {
    pub(in crate::report) color: bool,
    pub(in crate::report) width: usize,
    pub(in crate::report) verbose: bool,
}

impl Style {
    fn paint(self, ansi: Ansi, text: &str) -> String {
        if self.color {
            format!("{ansi}{text}{ansi:#}")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint(Ansi::new().bold(), text)
    }

    pub(super) fn severity(self, severity: Severity) -> String {
        let (word, color) = match severity {
            Severity::Error => ("ERROR", AnsiColor::Red),
            Severity::Warn => ("WARN ", AnsiColor::Yellow),
            Severity::Info => ("info ", AnsiColor::Cyan),
        };
        self.paint(Ansi::new().fg_color(Some(color.into())).bold(), word)
    }
}

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
