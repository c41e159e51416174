//! One direction's stream of records: complete ones, torn ones, and the place
//! where records go on after bytes were lost.

use super::record::{HEADER, Header, MAX_FRAGMENT};
use crate::stream::{Chunk, Gap, PacketRef};

/// How many bytes are held while records are looked for.
///
/// Rationale: a proof takes two headers, and at most one whole record lies between them.
const SEARCHED: usize = 3 * (MAX_FRAGMENT as usize + HEADER);

/// When bytes came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) seen: PacketRef,
    pub(super) released: PacketRef,
}

impl Arrival {
    fn latest(self, other: Self) -> Self {
        Self {
            seen: self.seen.max(other.seen),
            released: self.released.max(other.released),
        }
    }
}

/// What the stream of records holds next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A record, whole.
    Record {
        header: Header,
        fragment: &'a [u8],
        arrival: Arrival,
    },
    /// A record of which bytes are missing.
    Torn { header: Header, at: PacketRef },
    /// An unknown number of records is missing, in at most that many bytes where that is known.
    Lost { bytes: Option<u64>, at: PacketRef },
    /// What comes is no TLS.
    Foreign { at: PacketRef },
}

/// Cuts one direction into records.
#[derive(Debug, Default)]
pub(super) struct Reader {
    state: State,
    /// The bytes of a record whose end is still to come, or those among which records are looked for.
    held: Vec<u8>,
    arrival: Arrival,
    /// While records are looked for: where in `held` the bytes of which packets end.
    marks: Vec<(usize, Arrival)>,
    /// How many bytes at the front of `held` begin no record, whatever follows.
    ruled_out: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A record begins, or is held in part.
    #[default]
    InStep,
    /// In a record of which bytes are missing; so many of it are still to come.
    Torn {
        header: Header,
        missing: usize,
    },
    /// Looking for the next record; bytes of the stream passed since step was lost.
    Searching {
        passed: Option<u64>,
    },
    Foreign,
}

impl Reader {
    pub(super) fn held(&self) -> usize {
        self.held.capacity()
    }

    /// Bytes were lost, and the next record isn't found yet.
    pub(super) const fn is_searching(&self) -> bool {
        matches!(self.state, State::Searching { .. })
    }

    pub(super) fn on_chunk(&mut self, chunk: &Chunk<'_>, each: &mut impl FnMut(Item<'_>)) {
        let arrival = Arrival {
            seen: chunk.seen,
            released: chunk.released,
        };
        self.on_bytes(chunk.bytes, arrival, each);
    }

    fn on_bytes(&mut self, bytes: &[u8], arrival: Arrival, each: &mut impl FnMut(Item<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.state {
                State::InStep => self.read(rest, arrival, each),
                State::Torn { header, missing } => {
                    let passed = missing.min(rest.len());
                    self.state = State::Torn {
                        header,
                        missing: missing - passed,
                    };
                    self.end_torn(arrival.seen, each);
                    rest.get(passed..).unwrap_or_default()
                }
                State::Searching { .. } => return self.search(rest, arrival, each),
                State::Foreign => return,
            };
        }
    }

    pub(super) fn on_gap(&mut self, gap: &Gap, each: &mut impl FnMut(Item<'_>)) {
        let len = gap.len.and_then(|len| usize::try_from(len).ok());
        let torn = match self.state {
            State::InStep => header_of(&self.held).map(|header| {
                let whole = HEADER + usize::from(header.len);
                (header, whole.saturating_sub(self.held.len()))
            }),
            State::Torn { header, missing } => Some((header, missing)),
            State::Searching { .. } | State::Foreign => None,
        };
        let torn = torn.and_then(|(header, missing)| Some((header, missing.checked_sub(len?)?)));
        match (torn, self.state) {
            (Some((header, missing)), _) => {
                self.held.clear();
                self.state = State::Torn { header, missing };
                self.end_torn(gap.at, each);
            }
            (None, State::InStep | State::Torn { .. }) => {
                let held = self.held.len() as u64;
                self.held.clear();
                let passed = gap.len.map(|len| len.saturating_add(held));
                self.state = State::Searching { passed };
            }
            (None, State::Searching { passed }) => {
                // A record doesn't reach over the gap.
                let before = std::mem::take(&mut self.held).len() as u64;
                self.marks.clear();
                self.ruled_out = 0;
                let passed = passed
                    .zip(gap.len)
                    .map(|(passed, len)| passed.saturating_add(before).saturating_add(len));
                self.state = State::Searching { passed };
            }
            (None, State::Foreign) => {}
        }
    }

    fn end_torn(&mut self, at: PacketRef, each: &mut impl FnMut(Item<'_>)) {
        if let State::Torn { header, missing: 0 } = self.state {
            self.state = State::InStep;
            each(Item::Torn { header, at });
        }
    }

    /// Reads at most one record; returns the bytes behind it.
    fn read<'a>(
        &mut self,
        bytes: &'a [u8],
        arrival: Arrival,
        each: &mut impl FnMut(Item<'_>),
    ) -> &'a [u8] {
        if self.held.is_empty() {
            // The usual case: the record lies in the packet, or begins there.
            let Some((head, behind)) = bytes.split_first_chunk::<HEADER>() else {
                return self.hold(bytes, arrival);
            };
            let Some(header) = Header::parse(head) else {
                return self.lose_step(bytes, arrival, each);
            };
            let Some((fragment, rest)) = behind.split_at_checked(usize::from(header.len)) else {
                return self.hold(bytes, arrival);
            };
            each(Item::Record {
                header,
                fragment,
                arrival,
            });
            return rest;
        }
        let mut rest = self.fill(HEADER, bytes, arrival);
        let Some(head) = self.held.first_chunk::<HEADER>() else {
            return rest;
        };
        let Some(header) = Header::parse(head) else {
            return self.lose_step(rest, arrival, each);
        };
        let whole = HEADER + usize::from(header.len);
        rest = self.fill(whole, rest, arrival);
        if let Some(fragment) = self.held.get(HEADER..whole) {
            each(Item::Record {
                header,
                fragment,
                arrival: self.arrival,
            });
            self.held.clear();
        }
        rest
    }

    /// Holds bytes until there are `len`; returns the others.
    fn fill<'a>(&mut self, len: usize, bytes: &'a [u8], arrival: Arrival) -> &'a [u8] {
        let missing = len.saturating_sub(self.held.len());
        let (taken, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        if !taken.is_empty() {
            self.held.extend_from_slice(taken);
            self.arrival = self.arrival.latest(arrival);
        }
        rest
    }

    fn hold<'a>(&mut self, bytes: &'a [u8], arrival: Arrival) -> &'a [u8] {
        self.held.extend_from_slice(bytes);
        self.arrival = arrival;
        &[]
    }

    /// What stands where a record should begin isn't one.
    fn lose_step<'a>(
        &mut self,
        bytes: &'a [u8],
        arrival: Arrival,
        each: &mut impl FnMut(Item<'_>),
    ) -> &'a [u8] {
        self.held.clear();
        self.state = State::Foreign;
        each(Item::Foreign { at: arrival.seen });
        bytes
    }

    /// Looks for a chain of two record headers, or of one whose record ends
    /// with the packet: 24 bits of a header are as good as fixed.
    fn search(&mut self, bytes: &[u8], arrival: Arrival, each: &mut impl FnMut(Item<'_>)) {
        self.held.extend_from_slice(bytes);
        self.marks.push((self.held.len(), arrival));
        let State::Searching { passed } = self.state else {
            return;
        };
        let Some(start) = self.proven_start() else {
            let too_many = self.held.len().saturating_sub(SEARCHED);
            if too_many > 0 {
                self.drop_front(too_many);
                self.state = State::Searching {
                    passed: passed.map(|passed| passed.saturating_add(too_many as u64)),
                };
            }
            return;
        };
        each(Item::Lost {
            bytes: passed.map(|passed| passed.saturating_add(start as u64)),
            at: arrival.seen,
        });
        self.state = State::InStep;
        self.ruled_out = 0;
        let held = std::mem::take(&mut self.held);
        let mut from = start;
        for (end, arrival) in std::mem::take(&mut self.marks) {
            if let Some(piece) = held.get(from..end) {
                self.on_bytes(piece, arrival, each);
                from = end;
            }
        }
    }

    fn drop_front(&mut self, count: usize) {
        self.held.drain(..count.min(self.held.len()));
        self.ruled_out = self.ruled_out.saturating_sub(count);
        self.marks.retain_mut(|(end, _)| {
            *end = end.saturating_sub(count);
            *end > 0
        });
    }

    /// Where in `held` a record provably begins.
    fn proven_start(&mut self) -> Option<usize> {
        let mut open = None;
        for start in self.ruled_out..self.held.len() {
            match self.begins_record(start) {
                Some(true) => return Some(start),
                Some(false) => {}
                None => {
                    open.get_or_insert(start);
                }
            }
        }
        self.ruled_out = open.unwrap_or(self.held.len());
        None
    }

    /// Whether a record begins at `start`; `None` while that depends on what follows.
    fn begins_record(&self, start: usize) -> Option<bool> {
        let head = self.held.get(start..)?.first_chunk()?;
        let Some(header) = Header::parse(head).filter(|header| header.version >= 0x0301) else {
            return Some(false);
        };
        let end = start + HEADER + usize::from(header.len);
        if end == self.held.len() {
            return Some(true);
        }
        let next = Header::parse(self.held.get(end..)?.first_chunk()?);
        Some(next.is_some_and(|next| next.version == header.version))
    }
}

fn header_of(bytes: &[u8]) -> Option<Header> {
    bytes.first_chunk().and_then(Header::parse)
}
