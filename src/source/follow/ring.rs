//! The files of one ring, or of one directory: which of them are new.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::naming::{directory, pattern};
use crate::source::{CaptureFile, magic};

/// What tells a file from another that takes its name later.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    /// The number that the file system gives it; 0 where there is none.
    inode: u64,
    len: u64,
    written: Option<SystemTime>,
    /// How it begins: in pcap the time of the first packet is in it.
    head: Vec<u8>,
}

/// What became of a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It still names the file.
    Same,
    /// It names another; what was open has all that was written to it.
    Moved,
    /// The file was begun anew: what was written before is gone.
    Rewritten,
}

/// Files that belong together.
pub(super) struct Ring {
    directory: PathBuf,
    /// What their names have in common; `None` for all captures of a directory.
    pattern: Option<String>,
    /// The directory as the user wrote it, or nothing for the current one.
    shown: PathBuf,
    known: HashMap<PathBuf, Identity>,
}

impl Ring {
    /// The ring that a file belongs to.
    pub(super) fn of_file(path: &Path) -> Self {
        Self {
            directory: directory(path),
            pattern: Some(pattern(path)),
            shown: path.parent().unwrap_or(Path::new("")).to_owned(),
            known: HashMap::new(),
        }
    }

    /// All captures of a directory.
    pub(super) fn of_directory(path: &Path) -> Self {
        Self {
            directory: path.to_owned(),
            pattern: None,
            shown: path.to_owned(),
            known: HashMap::new(),
        }
    }

    pub(super) fn holds(&self, path: &Path) -> bool {
        let named = |name: &String| *name == pattern(path);
        directory(path) == self.directory && self.pattern.as_ref().is_none_or(named)
    }

    /// Those that are there now are no news, but for `awaited`.
    pub(super) fn take_stock(&mut self, awaited: &[PathBuf]) {
        for (path, metadata) in self.files() {
            if !awaited.contains(&path) {
                let identity = identity(&path, &metadata);
                self.known.insert(path, identity);
            }
        }
    }

    /// Files that are new, or that begin anew, by when they were written.
    pub(super) fn begun(&mut self) -> Vec<PathBuf> {
        let mut begun = Vec::new();
        for (path, metadata) in self.files() {
            let known = self.known.get(&path);
            if known.is_some_and(|known| known.is_unchanged(&metadata)) {
                continue;
            }
            let now = identity(&path, &metadata);
            let same = known.is_some_and(|known| {
                known.inode == now.inode && !known.is_rewritten(&path, &metadata)
            });
            if same {
                self.known.insert(path, now);
                continue;
            }
            if self.pattern.is_some() || is_capture(&now.head) {
                begun.push((now.written, path.clone()));
            }
            self.known.insert(path, now);
        }
        begun.sort();
        begun.into_iter().map(|(_, path)| path).collect()
    }

    /// It could not be opened yet.
    pub(super) fn forget(&mut self, path: &Path) {
        self.known.remove(path);
    }

    /// What became of the name of this file, which is read.
    pub(super) fn fate(&self, file: &CaptureFile) -> Fate {
        let known = self.known.get(file.path());
        let (Some(known), Ok(metadata)) = (known, fs::metadata(file.path())) else {
            // Renamed or removed: it may still be written to.
            return Fate::Same;
        };
        if inode(&metadata) != known.inode {
            return Fate::Moved;
        }
        let shrunk = metadata.len() < file.bytes_read();
        match shrunk || known.is_rewritten(file.path(), &metadata) {
            true => Fate::Rewritten,
            false => Fate::Same,
        }
    }

    /// The ring's files as they are now. A directory that can't be read has none for now.
    fn files(&self) -> Vec<(PathBuf, Metadata)> {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        let file = |entry: fs::DirEntry| {
            let path = self.shown.join(entry.file_name());
            let named = |name: &String| *name == pattern(&path);
            if !self.pattern.as_ref().is_none_or(named) {
                return None;
            }
            let metadata = fs::metadata(&path).ok()?;
            metadata.is_file().then_some((path, metadata))
        };
        entries.flatten().filter_map(file).collect()
    }
}

impl Identity {
    fn is_unchanged(&self, metadata: &Metadata) -> bool {
        self.inode == inode(metadata)
            && self.len == metadata.len()
            && self.written == metadata.modified().ok()
    }

    /// The same file was begun anew.
    fn is_rewritten(&self, path: &Path, metadata: &Metadata) -> bool {
        // What is known of the head may be shorter: it was still being written.
        metadata.len() < self.len
            || metadata.modified().ok() != self.written && !head(path).starts_with(&self.head)
    }
}

fn identity(path: &Path, metadata: &Metadata) -> Identity {
    Identity {
        inode: inode(metadata),
        len: metadata.len(),
        written: metadata.modified().ok(),
        head: head(path),
    }
}

/// The first bytes.
fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(path) {
        let _read = file.take(64).read_to_end(&mut head);
    }
    head
}

fn is_capture(head: &[u8]) -> bool {
    // What is empty may become one.
    head.is_empty()
        || matches!(
            magic::recognise(head),
            magic::Kind::Pcap | magic::Kind::Pcapng | magic::Kind::Packed(_)
        )
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}
