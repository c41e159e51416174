//! How text looks: width and colour.

use anstyle::{AnsiColor, Style as Ansi};

use crate::diagnosis::Severity;

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

    pub(in crate::report) fn bold(self, text: &str) -> String {
        self.paint(Ansi::new().bold(), text)
    }

    pub(in crate::report) fn severity(self, severity: Severity) -> String {
        let (word, color) = match severity {
            Severity::Error => ("ERROR", AnsiColor::Red),
            Severity::Warn => ("WARN ", AnsiColor::Yellow),
            Severity::Info => ("info ", AnsiColor::Cyan),
        };
        self.paint(Ansi::new().fg_color(Some(color.into())).bold(), word)
    }
}
