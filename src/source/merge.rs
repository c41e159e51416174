//! Several files of one vantage point, as one: a rotated ring, or two interfaces of a host.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::summary::{Damage, FileSummary};
use super::{CaptureFile, Input, Source, SourceError};
use crate::time::Timestamp;

/// Capture files in time order, by the time of each one's next packet; at the
/// same time the file that was added first comes first.
///
/// The order within a file stays as it is, also where its times run back. A file
/// is held open only from its first packet to its last, so a ring of thousands
/// of files needs no more memory and descriptors than those that overlap.
#[derive(Default)]
pub struct Merged {
    members: Vec<Member>,
    /// Those that still have something, by the time of it.
    waiting: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Whether the first of `waiting` has been lent and must move on.
    lent: bool,
}

enum Member {
    Open(Box<CaptureFile>),
    /// Looked at and closed, until its first packet's turn comes.
    Asleep(FileSummary, u16),
    /// Read to its end, or gone while it slept.
    Done(FileSummary),
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
    pub fn add(&mut self, mut file: CaptureFile) {
        let header = file.summary();
        let (member, time) = if file.is_regular() {
            let first = first_packet(&mut file);
            (Member::Asleep(header, file.source()), first)
        } else {
            // A pipe can't be read twice; wait for what it has to say first.
            match file.advance() {
                true => {
                    let time = file.packet_time();
                    (Member::Open(Box::new(file)), time)
                }
                false => (Member::Done(file.summary()), None),
            }
        };
        let index = self.members.len();
        if !matches!(member, Member::Done(_)) {
            // Without a packet there may still be keys: early is right for them.
            self.waiting
                .push(Reverse((time.unwrap_or(BEGINNING), index)));
        }
        self.members.push(member);
    }

    /// What each file held so far, in the order in which they were added.
    pub fn summaries(&self) -> Vec<FileSummary> {
        let summary = |member: &Member| match member {
            Member::Open(file) => file.summary(),
            Member::Asleep(summary, _) | Member::Done(summary) => summary.clone(),
        };
        self.members.iter().map(summary).collect()
    }

    /// Moves the first file on, and keeps `waiting` in order.
    fn step(&mut self) {
        let Some(mut top) = self.waiting.peek_mut() else {
            return;
        };
        let Reverse((time, index)) = &mut *top;
        let Some(member) = self.members.get_mut(*index) else {
            return;
        };
        if let Member::Open(file) = member {
            if file.advance() {
                // What isn't a packet keeps the place of the packet before it.
                *time = file.packet_time().unwrap_or(*time);
                return;
            }
            *member = Member::Done(file.summary());
        }
        PeekMut::pop(top);
    }

    /// Opens the first file if it sleeps; whether it did.
    fn wake(&mut self) -> bool {
        let Some(Reverse((_, index))) = self.waiting.peek() else {
            return false;
        };
        let Some(member) = self.members.get_mut(*index) else {
            return false;
        };
        let Member::Asleep(summary, source) = member else {
            return false;
        };
        *member = match CaptureFile::open(&summary.path, *source) {
            Ok(file) => Member::Open(Box::new(file)),
            Err(error) => {
                let what = format!("gone since it was first looked at ({error})");
                summary.damage = Some(Damage { offset: 0, what });
                Member::Done(summary.clone())
            }
        };
        true
    }
}

impl Source for Merged {
    fn next(&mut self) -> Result<Option<Input<'_>>, SourceError> {
        if self.lent {
            self.step();
        }
        while self.wake() {
            self.step();
        }
        self.lent = true;
        let first = self
            .waiting
            .peek()
            .and_then(|Reverse((_, index))| self.members.get(*index));
        Ok(match first {
            Some(Member::Open(file)) => file.current(),
            _ => None,
        })
    }
}

/// Before all packets.
const BEGINNING: Timestamp = Timestamp::from_nanos(i64::MIN);

fn first_packet(file: &mut CaptureFile) -> Option<Timestamp> {
    while file.advance() {
        if let Some(time) = file.packet_time() {
            return Some(time);
        }
    }
    None
}
