//! From the command line's names to files that are open.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::args::InputArgs;
use super::interrupt;
use super::output::complain;
use crate::pipeline::leads;
use crate::source::{
    CaptureFile, FileSummary, Followed, Input, Inputs, Merged, Source, SourceError, expand,
};

/// What is read.
pub(super) enum Files {
    /// To its end.
    Whole(Merged),
    /// Until somebody interrupts.
    Growing(Followed),
}

impl Files {
    pub(super) fn next(&mut self) -> Result<Option<Input<'_>>, SourceError> {
        match self {
            Self::Whole(files) => files.next(),
            Self::Growing(files) => files.next(),
        }
    }

    pub(super) fn summaries(&mut self) -> Vec<FileSummary> {
        match self {
            Self::Whole(files) => files.summaries(),
            Self::Growing(files) => files.summaries(),
        }
    }
}

impl InputArgs {
    /// Files that can't be read at all are left out with a word as long as one
    /// can be; the flag tells that there were such.
    pub(super) fn open(&self, quiet: bool) -> Result<(Files, bool)> {
        if self.follow {
            return Ok((Files::Growing(self.follow(quiet)?), false));
        }
        let inputs = expand(&self.files)?;
        if !quiet {
            tell_left_out(&inputs);
        }
        let (merged, incomplete) = open_all(&inputs.files)?;
        Ok((Files::Whole(merged), incomplete))
    }

    fn follow(&self, quiet: bool) -> Result<Followed> {
        if self.files.iter().any(|path| path.as_os_str() == "-") {
            bail!(
                "--follow: stdin is read until it ends in any case; leave the flag out, or name files"
            );
        }
        let stop = interrupt::flag().context("can't listen for Ctrl-C")?;
        let mut files = Followed::new(stop);
        let (mut named, mut awaited) = (Vec::new(), Vec::new());
        for path in &self.files {
            let empty = matches!(
                expand(std::slice::from_ref(path)),
                Err(SourceError::NoCaptures { .. })
            );
            if path.is_dir() {
                files.watch(path);
            }
            match empty {
                true => awaited.push(path.clone()),
                false => named.push(path.clone()),
            }
        }
        let inputs = expand(&named)?;
        awaited.extend(files.add(&inputs.files)?);
        if !quiet {
            tell_left_out(&inputs);
            for path in &awaited {
                complain(&format!("{}: nothing in it yet; waiting", path.display()));
            }
        }
        Ok(files)
    }
}

fn open_all(paths: &[PathBuf]) -> Result<(Merged, bool)> {
    let mut merged = Merged::default();
    let (mut opened, mut failed, mut incomplete) = (0_u16, None, false);
    for (path, lead) in paths.iter().zip(leads(paths)) {
        match open_one(path) {
            Ok(mut file) => {
                if let Some(lead) = lead {
                    file.correct(lead);
                }
                merged.add(file);
                opened = opened.checked_add(1).ok_or(SourceError::TooManyFiles)?;
            }
            Err(error) => {
                // The newest file of a ring may be empty: nothing was to be read in it.
                incomplete |= !matches!(error, SourceError::Empty { .. });
                if let Some(earlier) = failed.replace(error) {
                    complain(&earlier.to_string());
                }
            }
        }
    }
    match failed {
        Some(error) if opened == 0 => Err(error.into()),
        Some(error) => {
            complain(&error.to_string());
            Ok((merged, incomplete))
        }
        None => Ok((merged, false)),
    }
}

fn open_one(path: &Path) -> Result<CaptureFile, SourceError> {
    if path.as_os_str() == "-" {
        return CaptureFile::from_reader(PathBuf::from("-"), 0, Box::new(std::io::stdin()));
    }
    CaptureFile::open(path, 0)
}

fn tell_left_out(inputs: &Inputs) {
    for path in &inputs.again {
        complain(&format!(
            "{}: given twice, and read once; leave one of the names out",
            path.display()
        ));
    }
    if let [first, more @ ..] = inputs.skipped.as_slice() {
        let more = match more.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        complain(&format!(
            "{}: no pcap or pcapng file, so skipped{more}",
            first.display()
        ));
    }
}
