//! Writing: one writer for data, stderr for the rest, and no fuss about a closed pipe.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};

use anyhow::{Context, Result};

use super::args::{ColorChoice, OutputArgs};

/// Rationale: what everything is laid out for where nobody tells the width.
pub(super) const COLUMNS: usize = 80;
/// Rationale: longer lines are harder to read, whatever the terminal.
const MOST_COLUMNS: usize = 120;

impl OutputArgs {
    /// Where data goes.
    pub(super) fn writer(&self) -> Result<Box<dyn Write>> {
        Ok(match &self.output {
            Some(path) => Box::new(BufWriter::new(File::create(path).with_context(|| {
                format!(
                    "{}: can't write here; give -o another place",
                    path.display()
                )
            })?)),
            None => Box::new(BufWriter::with_capacity(64 << 10, io::stdout().lock())),
        })
    }

    fn to_terminal(&self) -> bool {
        self.output.is_none() && io::stdout().is_terminal()
    }

    /// Colour, or not.
    pub(super) fn color(&self) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                self.to_terminal()
                    && !unwanted
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }

    /// The width to lay text out for.
    pub(super) fn width(&self) -> usize {
        let told = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        match told {
            Some(columns) if self.to_terminal() => usize::clamp(columns, 40, MOST_COLUMNS),
            _ => COLUMNS,
        }
    }
}

/// Says something on stderr; if even that is closed, nobody is there to hear it.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "wscope: {}", one_line(text));
}

/// A file's name may hold line breaks and what a terminal would obey.
fn one_line(text: &str) -> String {
    let harmless = |c: char| if c.is_control() { '·' } else { c };
    text.chars().map(harmless).collect()
}

/// `wscope FILE | head`: the reader has seen enough.
pub(super) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        let json = cause
            .downcast_ref::<serde_json::Error>()
            .and_then(serde_json::Error::io_error_kind);
        io.map(io::Error::kind).or(json) == Some(io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_stays_one_line_whatever_the_file_is_called() {
        assert_eq!(one_line("a\u{1b}[31m\nb.pcap: é"), "a·[31m·b.pcap: é");
    }
}
