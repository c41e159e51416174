//! From the names on the command line to the files to read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::SourceError;
use super::block::Block;
use super::magic::{self, Kind};

/// Replaces each directory by the captures in it, sorted by name; other paths stay as they are.
///
/// A file is a capture by its magic number, also when it is compressed. What lies in
/// directories below is not looked at.
///
/// # Errors
/// A directory that can't be read, or that has no captures.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, SourceError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(captures(path)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn captures(directory: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let refused = |error| SourceError::from_io(directory.to_owned(), 0, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path.is_file() && is_capture(&path) {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(SourceError::NoCaptures {
            path: directory.to_owned(),
        }),
        false => Ok(files),
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
