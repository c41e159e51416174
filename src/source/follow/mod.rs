//! Files that are still written to, and those that take their place.

mod naming;
mod ring;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::summary::FileSummary;
use super::{CaptureFile, Input, Merged, Source, SourceError};
use crate::time::Timestamp;
use ring::{Fate, Ring};

/// How often files and directories are looked at. Rationale: nobody who watches
/// notices it, and a few system calls ten times a second cost nothing.
const POLL: Duration = Duration::from_millis(100);

/// After how many packets in a row the clock is asked whether to look at directories.
const BUSY: u32 = 4096;

/// How many files of a ring may stand open behind the last. Rationale: whoever writes
/// closes one before the next begins; a copy that somebody put beside them is no end.
const KEPT: usize = 4;

/// Capture files, as one, that are read on as they grow.
///
/// A record that isn't whole yet is waited for. A file beside it whose name differs in its
/// numbers only, and that appears or begins anew later, goes on where it ends: the rings
/// of tcpdump (`-C`, `-G`, `-W`) and dumpcap (`-b`). It ends when it is told to stop, with
/// all that was written until then; without packets it ticks.
pub struct Followed {
    merged: Merged,
    rings: Vec<Ring>,
    stop: Arc<AtomicBool>,
    stopped: bool,
    looked: Instant,
    /// Packets since.
    busy: u32,
    /// Since when there was nothing, and the time of the newest packet before.
    quiet: Option<Instant>,
    newest: Timestamp,
}

/// A timer is what the outside has.
#[expect(clippy::disallowed_methods, reason = "source may ask the time")]
fn now() -> Instant {
    Instant::now()
}

impl Followed {
    /// Follows nothing yet; ends once `stop` is set.
    pub fn new(stop: Arc<AtomicBool>) -> Self {
        Self {
            merged: Merged::default(),
            rings: Vec::new(),
            stop,
            stopped: false,
            looked: now(),
            busy: 0,
            quiet: None,
            newest: Timestamp::default(),
        }
    }

    /// Captures that appear in this directory later are read too.
    pub fn watch(&mut self, directory: &Path) {
        self.rings.push(Ring::of_directory(directory));
    }

    /// Adds files. Of those whose names differ in numbers only, the one that was written last
    /// grows. Returns those that hold nothing yet: they are waited for.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn add(&mut self, files: &[PathBuf]) -> Result<Vec<PathBuf>, SourceError> {
        let newest = naming::newest(files);
        let mut awaited = Vec::new();
        for path in files {
            if !self.rings.iter().any(|ring| ring.holds(path)) {
                self.rings.push(Ring::of_file(path));
            }
            let opened = match newest.contains(path.as_path()) {
                true => CaptureFile::open_growing(path),
                false => CaptureFile::open(path, 0),
            };
            match opened {
                Ok(file) => self.take(file)?,
                Err(SourceError::Empty { .. } | SourceError::Header { .. }) => {
                    awaited.push(path.clone());
                }
                Err(error) => return Err(error),
            }
        }
        for ring in &mut self.rings {
            ring.take_stock(&awaited);
        }
        Ok(awaited)
    }

    fn take(&mut self, file: CaptureFile) -> Result<(), SourceError> {
        if self.merged.len() >= usize::from(u16::MAX) {
            return Err(SourceError::TooManyFiles);
        }
        self.merged.add(file);
        Ok(())
    }

    /// What each file held so far.
    pub fn summaries(&mut self) -> Vec<FileSummary> {
        self.merged.summaries()
    }

    /// Looks for new files, and for more in those that are open.
    fn look(&mut self) -> Result<(), SourceError> {
        self.looked = now();
        self.busy = 0;
        let (mut moved, mut rewritten, mut begun) = (Vec::new(), Vec::new(), Vec::new());
        for ring in &mut self.rings {
            for file in self.merged.growing() {
                match ring.fate(file) {
                    Fate::Same => {}
                    Fate::Moved => moved.push(file.path().to_owned()),
                    Fate::Rewritten => rewritten.push(file.path().to_owned()),
                }
            }
            begun.extend(ring.begun());
        }
        let successors = self.successors();
        self.merged
            .cut(|file| rewritten.iter().any(|path| path == file.path()));
        // Another file has its name by now, or enough others came after it.
        self.merged.settle(|file| {
            let later = successors
                .iter()
                .filter(|(number, _)| *number > file.source());
            let later = later.filter(|(_, path)| naming::same(path, file.path()));
            moved.iter().any(|path| path == file.path()) || later.count() >= KEPT
        });
        self.merged.look_again();
        for path in &begun {
            match CaptureFile::open_growing(path) {
                Ok(file) => self.take(file)?,
                // Its header isn't written yet, or it is gone again: another look will tell.
                Err(_) => self.rings.iter_mut().for_each(|ring| ring.forget(path)),
            }
        }
        Ok(())
    }

    /// The files that may grow, each with its number: what comes later has a higher one.
    fn successors(&self) -> Vec<(u16, PathBuf)> {
        let growing = self.merged.growing();
        growing
            .map(|file| (file.source(), file.path().to_owned()))
            .collect()
    }

    /// Reads what is there by now. Only of the last file of a ring the rest may still come.
    fn finish(&mut self) -> Result<(), SourceError> {
        self.stopped = true;
        self.look()?;
        let successors = self.successors();
        self.merged.settle(|file| {
            successors
                .iter()
                .any(|(number, path)| *number > file.source() && naming::same(path, file.path()))
        });
        self.merged.stop();
        Ok(())
    }

    /// Notes what is lent.
    fn note(&mut self) {
        self.quiet = None;
        self.busy = self.busy.saturating_add(1);
        if let Some(Input::Packet(packet)) = self.merged.current() {
            self.newest = packet.at.time;
        }
    }

    /// Time goes on though nothing comes: as much since the newest packet as since it was read.
    fn tick(&mut self) -> Input<'static> {
        let since = *self.quiet.get_or_insert_with(now);
        Input::Tick(self.newest.saturating_add(since.elapsed()))
    }
}

impl Source for Followed {
    fn next(&mut self) -> Result<Option<Input<'_>>, SourceError> {
        if !self.stopped && self.stop.load(Ordering::Relaxed) {
            self.finish()?;
        }
        if self.busy >= BUSY && !self.stopped && self.looked.elapsed() >= POLL {
            self.look()?;
        }
        if self.merged.advance() {
            self.note();
            return Ok(self.merged.current());
        }
        if self.stopped {
            return Ok(None);
        }
        // Whoever waits for output hears at once that there is a pause.
        if self.quiet.is_some() {
            thread::sleep(POLL);
        }
        self.look()?;
        if self.merged.advance() {
            self.note();
            return Ok(self.merged.current());
        }
        Ok(Some(self.tick()))
    }
}
