//! From the names on the command line to the files to read.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::SourceError;
use super::block::Block;
use super::magic::{self, Kind};

/// The files to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// In the order of the names, those of a directory sorted.
    pub files: Vec<PathBuf>,
    /// Files of the directories that are no captures.
    pub skipped: Vec<PathBuf>,
    /// Names of files that were named before.
    pub again: Vec<PathBuf>,
}

/// Replaces each directory by the captures in it, sorted by name; other paths stay as they are.
/// A file that has several names here, links included, is read once.
///
/// A file is a capture by its magic number, also when it is compressed. What lies in
/// directories below is not looked at.
///
/// # Errors
/// A directory that can't be read, or that has no captures.
pub fn expand(paths: &[PathBuf]) -> Result<Inputs, SourceError> {
    let mut inputs = Inputs::default();
    let mut seen = HashSet::new();
    for path in paths {
        let (files, skipped) = match path.is_dir() {
            true => captures(path)?,
            false => (vec![path.clone()], Vec::new()),
        };
        inputs.skipped.extend(skipped);
        for file in files {
            match seen.insert(identity(&file)) {
                true => inputs.files.push(file),
                false => inputs.again.push(file),
            }
        }
    }
    Ok(inputs)
}

/// What is the same for all names of a file. Stdin has one.
fn identity(path: &Path) -> PathBuf {
    // Hard links have several true names; then the same packets are found out as duplicates.
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The captures in a directory, and the other files, each sorted by name.
pub(super) fn captures(directory: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), SourceError> {
    let refused = |error| SourceError::from_io(directory.to_owned(), 0, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let (files, skipped): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| is_capture(path));
    match files.is_empty() {
        true => Err(SourceError::NoCaptures {
            path: directory.to_owned(),
        }),
        false => Ok((files, skipped)),
    }
}

fn is_capture(path: &Path) -> bool {
    match kind(path) {
        Ok(kind) => matches!(kind, Kind::Pcap | Kind::Pcapng),
        // Not ours to look into: the name decides whether its loss would matter.
        Err(_) => path
            .extension()
            .is_some_and(|name| name == "pcap" || name == "pcapng"),
    }
}

fn kind(path: &Path) -> io::Result<Kind> {
    match magic::recognise(&beginning(File::open(path)?)?) {
        Kind::Packed(method) => {
            let packed = Block::new(Box::new(File::open(path)?));
            let inside = beginning(method.reader(packed)).unwrap_or_default();
            Ok(magic::recognise(&inside))
        }
        kind => Ok(kind),
    }
}

fn beginning(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input
        .take(super::block::length(magic::ENOUGH))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
