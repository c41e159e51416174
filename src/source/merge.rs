//! Several files of one vantage point, as one: a rotated ring, or two interfaces of a host.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::Path;

use super::file::Advance;
use super::summary::{Damage, FileSummary};
use super::{CaptureFile, Input, Source, SourceError};
use crate::time::Timestamp;

/// Capture files in time order, by the time of each one's next packet; at the
/// same time the one that began first comes first.
///
/// Files are numbered by their first packets, so the order in which they were
/// added tells nothing. The order within a file stays as it is, also where its
/// times run back. A file is held open only from its first packet to its last, so a
/// ring of thousands of files needs no more memory and descriptors than those that
/// overlap.
#[derive(Default)]
pub struct Merged {
    members: Vec<Member>,
    /// Those that still have something, by the time of it.
    waiting: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Those that have nothing yet and may grow.
    idle: Vec<usize>,
    /// Files that were added before reading began, by what comes first in each.
    added: Vec<(Timestamp, Member)>,
    /// Whether the first of `waiting` has been lent and must move on.
    lent: bool,
}

enum Member {
    Open(Box<CaptureFile>),
    /// Looked at and closed, until its first packet's turn comes.
    Asleep(FileSummary),
    /// Read to its end, or gone while it slept.
    Done(FileSummary),
}

impl Member {
    fn path(&self) -> &Path {
        match self {
            Self::Open(file) => file.path(),
            Self::Asleep(summary) | Self::Done(summary) => &summary.path,
        }
    }
}

impl Merged {
    /// A merge of these files.
    pub fn new(files: impl IntoIterator<Item = CaptureFile>) -> Self {
        let mut merged = Self::default();
        for file in files {
            merged.add(file);
        }
        merged
    }

    /// Adds a file that was just opened. It is read up to its first packet and
    /// then, if it can be opened again, closed until its turn comes: open and
    /// add files one by one, and their number is not limited by descriptors.
    ///
    /// Files are numbered when the first packet is asked for; what is added later
    /// gets the next number.
    pub fn add(&mut self, mut file: CaptureFile) {
        let header = file.summary();
        let (member, time) = if file.is_regular() {
            let first = first_packet(&mut file);
            (Member::Asleep(header), first)
        } else {
            // A pipe can't be read twice; wait for what it has to say first. A file that grows
            // is read on from where it stands.
            match file.advance() {
                Advance::Lent | Advance::Waiting => {
                    let time = file.packet_time();
                    (Member::Open(Box::new(file)), time)
                }
                Advance::Ended => (Member::Done(file.summary()), None),
            }
        };
        // Without a packet there may still be keys: early is right for them.
        self.added.push((time.unwrap_or(BEGINNING), member));
    }

    /// What each file held so far, by the number of each file.
    pub fn summaries(&mut self) -> Vec<FileSummary> {
        self.take_added();
        let summary = |member: &Member| match member {
            Member::Open(file) => file.summary(),
            Member::Asleep(summary) | Member::Done(summary) => summary.clone(),
        };
        self.members.iter().map(summary).collect()
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.members.len().saturating_add(self.added.len())
    }

    /// Numbers what was added.
    #[cold]
    fn take_added(&mut self) {
        let mut added = std::mem::take(&mut self.added);
        added.sort_by(|(a, one), (b, other)| (a, one.path()).cmp(&(b, other.path())));
        for (time, mut member) in added {
            let index = self.members.len();
            if let Member::Open(file) = &mut member {
                file.number(number(index));
                match file.current() {
                    Some(_) => self.waiting.push(Reverse((time, index))),
                    None => self.idle.push(index),
                }
            }
            if matches!(member, Member::Asleep(_)) {
                self.waiting.push(Reverse((time, index)));
            }
            self.members.push(member);
        }
    }

    /// The files that are open and may grow.
    pub(super) fn growing(&self) -> impl Iterator<Item = &CaptureFile> {
        let open = self.members.iter().filter_map(|member| match member {
            Member::Open(file) => Some(file.as_ref()),
            Member::Asleep(_) | Member::Done(_) => None,
        });
        open.filter(|file| file.is_growing())
    }

    /// Looks again at those that had nothing.
    pub(super) fn look_again(&mut self) {
        self.take_added();
        for index in std::mem::take(&mut self.idle) {
            if let Some(Member::Open(file)) = self.members.get_mut(index) {
                let found = file.advance();
                self.keep(index, found, BEGINNING);
            }
        }
    }

    /// Those for which `is_over` holds grow no more.
    pub(super) fn settle(&mut self, is_over: impl Fn(&CaptureFile) -> bool) {
        self.take_added();
        for member in &mut self.members {
            match member {
                Member::Open(file) if file.is_growing() && is_over(file) => file.settle(),
                Member::Open(_) | Member::Asleep(_) | Member::Done(_) => {}
            }
        }
    }

    /// Those for which `is_gone` holds end with what was read of them.
    pub(super) fn cut(&mut self, is_gone: impl Fn(&CaptureFile) -> bool) {
        self.take_added();
        for member in &mut self.members {
            match member {
                Member::Open(file) if file.is_growing() && is_gone(file) => file.cut(),
                Member::Open(_) | Member::Asleep(_) | Member::Done(_) => {}
            }
        }
    }

    /// Whoever may grow is read to where it ends by now: a record that isn't whole is no damage.
    pub(super) fn stop(&mut self) {
        for member in &mut self.members {
            if let Member::Open(file) = member {
                file.stop();
            }
        }
        self.look_again();
    }

    /// Puts a file, which is in no list, where it belongs; `before` is the time of what it lent last.
    fn keep(&mut self, index: usize, found: Advance, before: Timestamp) {
        let Some(member) = self.members.get_mut(index) else {
            return;
        };
        let Member::Open(file) = member else { return };
        match found {
            Advance::Lent => {
                let time = file.packet_time().unwrap_or(before);
                self.waiting.push(Reverse((time, index)));
            }
            Advance::Waiting => self.idle.push(index),
            Advance::Ended => *member = Member::Done(file.summary()),
        }
    }

    /// Moves the first file on, and keeps `waiting` in order.
    #[inline(always)]
    fn step(&mut self) {
        let Some(mut top) = self.waiting.peek_mut() else {
            return;
        };
        let Reverse((time, index)) = &mut *top;
        let Some(Member::Open(file)) = self.members.get_mut(*index) else {
            PeekMut::pop(top);
            return;
        };
        let found = file.advance();
        if found == Advance::Lent {
            // What isn't a packet keeps the place of the packet before it.
            *time = file.packet_time().unwrap_or(*time);
            return;
        }
        let Reverse((time, index)) = PeekMut::pop(top);
        self.keep(index, found, time);
    }

    /// The first file sleeps.
    #[inline]
    fn is_asleep(&self) -> bool {
        let Some(Reverse((_, index))) = self.waiting.peek() else {
            return false;
        };
        matches!(self.members.get(*index), Some(Member::Asleep(_)))
    }

    /// Until the first file is open.
    #[cold]
    fn wake_all(&mut self) {
        while self.wake() {
            self.step();
        }
    }

    /// Opens the first file if it sleeps; whether it did.
    fn wake(&mut self) -> bool {
        let Some(Reverse((_, index))) = self.waiting.peek() else {
            return false;
        };
        let Some(member) = self.members.get_mut(*index) else {
            return false;
        };
        let Member::Asleep(summary) = member else {
            return false;
        };
        *member = match CaptureFile::open(&summary.path, number(*index)) {
            Ok(mut file) => {
                if let Some(lead) = summary.lead.take() {
                    file.correct(lead);
                }
                Member::Open(Box::new(file))
            }
            Err(error) => {
                let what = format!("gone since it was first looked at ({error})");
                summary.damage = Some(Damage { offset: 0, what });
                Member::Done(summary.clone())
            }
        };
        true
    }

    /// Moves on to the next input, which [`current`](Self::current) then lends; false where
    /// there is none, which for files that grow is no end.
    #[inline]
    pub(super) fn advance(&mut self) -> bool {
        if !self.added.is_empty() {
            self.take_added();
        }
        if self.lent {
            self.step();
        }
        if self.is_asleep() {
            self.wake_all();
        }
        self.lent = !self.waiting.is_empty();
        self.lent
    }

    /// What [`advance`](Self::advance) found.
    pub(super) fn current(&self) -> Option<Input<'_>> {
        let Reverse((_, index)) = self.waiting.peek()?;
        match self.members.get(*index)? {
            Member::Open(file) => file.current(),
            Member::Asleep(_) | Member::Done(_) => None,
        }
    }
}

impl Source for Merged {
    fn next(&mut self) -> Result<Option<Input<'_>>, SourceError> {
        self.advance();
        Ok(self.current())
    }
}

/// Before all packets.
const BEGINNING: Timestamp = Timestamp::from_nanos(i64::MIN);

/// A file's number in [`PacketRef::source`](crate::stream::PacketRef::source). Whoever adds
/// files counts them.
fn number(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

fn first_packet(file: &mut CaptureFile) -> Option<Timestamp> {
    while file.advance() == Advance::Lent {
        if let Some(time) = file.packet_time() {
            return Some(time);
        }
    }
    None
}
