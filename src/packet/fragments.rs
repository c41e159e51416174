//! Datagrams whose fragments haven't all come yet.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use etherparse::IpNumber;
use etherparse::defrag::IpDefragBuf;

use super::layer::{Carrier, Fragment, Layer, MALFORMED, Next, Rest, Why};
use crate::time::Timestamp;

/// Rationale: Linux gives up on a datagram after 30 s (`net.ipv4.ipfrag_time`).
const PATIENCE: Duration = Duration::from_secs(30);

/// Rationale: a datagram holds at most 64 KiB, so all of them at most 16 MiB;
/// on a healthy network one or two are incomplete at a time.
const MAX_DATAGRAMS: usize = 256;

/// Rationale: fragments in order, or in reverse, make one run; this many holes
/// are an attack on the time that it takes to look for neighbours.
const MAX_RUNS: usize = 64;

/// Rationale: a capture that sees each packet twice sees the second copy of a
/// fragment within a few packets of the first.
const MAX_DONE: usize = 32;

/// Others of its datagram never came.
const INCOMPLETE: Why = "fragment-incomplete";
/// Its datagram was complete without it.
const DUPLICATE: Why = "fragment-duplicate";
/// Too many datagrams were incomplete at once.
const TOO_MANY: Why = "fragment-limit";
/// It contradicts others, or itself. RFC 5722 has such datagrams dropped.
const CONFLICT: Why = "fragment-conflict";
/// The snap length cut it.
const CUT: Why = "fragment-cut";

/// The pool: bounded in number, and so in memory; aged by the packets' clock.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// Oldest first. Few, so a search from the young end is short.
    incomplete: VecDeque<Incomplete>,
    /// The last one that became whole.
    whole: Option<Incomplete>,
    /// Those that became whole last.
    done: VecDeque<Key>,
    /// Fragments that came to nothing after they were held, by reason.
    lost: Vec<(Why, u64)>,
}

/// A datagram, or what there is of it.
#[derive(Debug)]
pub(super) struct Incomplete {
    key: Key,
    since: Timestamp,
    /// Of the fragment that begins the datagram; until it comes, of another.
    head: Head,
    protocol: u8,
    bytes: IpDefragBuf,
    /// How many packets brought them.
    packets: u64,
    /// They contradict each other: it is kept, so that those to come are known.
    conflict: bool,
}

/// An IP header: at most 60 bytes.
#[derive(Clone, Copy, Debug)]
struct Head {
    bytes: [u8; 60],
    len: usize,
}

/// What all fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    from: IpAddr,
    to: IpAddr,
    id: u32,
    /// RFC 8200, section 4.5: IPv6 asks for that of the first fragment only.
    protocol: Option<u8>,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// Others are missing.
    Pending,
    /// It was the last; [`Fragments::take_whole`] has the datagram.
    Whole,
    /// It is no use.
    Unusable(Why),
}

impl Fragments {
    /// Puts a fragment where it belongs; `packets` brought it.
    pub(super) fn add(&mut self, fragment: &Fragment<'_>, packets: u64, now: Timestamp) -> Added {
        self.forget_old(now);
        // The last packet is counted by whoever asked.
        let earlier = packets.saturating_sub(1);
        if fragment.rest.bytes.len() < fragment.rest.wire {
            self.lose(CUT, earlier);
            return Added::Unusable(CUT);
        }
        let index = self.find_or_begin(fragment, now);
        let Some(datagram) = self.incomplete.get_mut(index) else {
            return Added::Unusable(TOO_MANY);
        };
        if !datagram.add(fragment, packets) {
            let held = std::mem::take(&mut datagram.packets);
            self.lose(CONFLICT, held.saturating_add(earlier));
            return Added::Unusable(CONFLICT);
        }
        if !datagram.bytes.is_complete() {
            return Added::Pending;
        }
        self.whole = self.incomplete.remove(index);
        if self.done.len() >= MAX_DONE {
            self.done.pop_front();
        }
        self.done.extend(self.whole.as_ref().map(|whole| whole.key));
        Added::Whole
    }

    /// The datagram that has just become whole.
    pub(super) fn take_whole(&mut self) -> Option<Incomplete> {
        self.whole.take()
    }

    /// Keeps a whole datagram until the next one, and lends it.
    pub(super) fn keep_whole(&mut self, datagram: Incomplete) -> &Incomplete {
        self.whole.insert(datagram)
    }

    /// A datagram was put together for nothing: all of its fragments but the
    /// last, which its packet stands for, are counted with the reason.
    pub(super) fn in_vain(&mut self, why: Why, datagram: &Incomplete) {
        self.lose(why, datagram.packets.saturating_sub(1));
    }

    /// The input is at its end: nothing can become whole any more. Returns how
    /// many fragments came to nothing after they were held, by reason.
    pub(super) fn finish(&mut self) -> Vec<(Why, u64)> {
        while let Some(datagram) = self.incomplete.pop_front() {
            self.give_up(&datagram, INCOMPLETE);
        }
        std::mem::take(&mut self.lost)
    }

    fn forget_old(&mut self, now: Timestamp) {
        let is_old = |oldest: &Incomplete| now.saturating_since(oldest.since) > PATIENCE;
        while self.incomplete.front().is_some_and(is_old)
            && let Some(old) = self.incomplete.pop_front()
        {
            self.give_up(&old, INCOMPLETE);
        }
    }

    fn give_up(&mut self, datagram: &Incomplete, why: Why) {
        let again = self.done.contains(&datagram.key);
        self.lose(if again { DUPLICATE } else { why }, datagram.packets);
    }

    fn lose(&mut self, why: Why, count: u64) {
        match self.lost.iter_mut().find(|(known, _)| *known == why) {
            _ if count == 0 => {}
            Some((_, known)) => *known += count,
            None => self.lost.push((why, count)),
        }
    }

    fn find_or_begin(&mut self, fragment: &Fragment<'_>, now: Timestamp) -> usize {
        let key = Key {
            from: fragment.carrier.from(),
            to: fragment.carrier.to(),
            id: fragment.id,
            protocol: (!fragment.carrier.is_v6()).then_some(fragment.protocol),
        };
        if let Some(index) = self.incomplete.iter().rposition(|held| held.key == key) {
            return index;
        }
        if self.incomplete.len() >= MAX_DATAGRAMS
            && let Some(oldest) = self.incomplete.pop_front()
        {
            self.give_up(&oldest, TOO_MANY);
        }
        self.incomplete.push_back(Incomplete {
            key,
            since: now,
            head: Head::of(&fragment.carrier),
            protocol: fragment.protocol,
            bytes: IpDefragBuf::new(IpNumber(fragment.protocol), Vec::new(), Vec::new()),
            packets: 0,
            conflict: false,
        });
        self.incomplete.len() - 1
    }
}

impl Incomplete {
    /// The header that begins the datagram, and its payload.
    pub(super) fn layer(&self) -> Next<'_> {
        let head = self.head.bytes.get(..self.head.len).ok_or(MALFORMED)?;
        let carrier = Carrier::of(head).ok_or(MALFORMED)?;
        let bytes = self.bytes.data();
        let rest = Rest::new(bytes, bytes.len());
        Ok((Layer::Protocol(carrier, self.protocol), rest))
    }

    /// How many packets it came in.
    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// False if the fragment fits no datagram that has the others.
    fn add(&mut self, fragment: &Fragment<'_>, packets: u64) -> bool {
        let bytes = fragment.rest.bytes;
        self.conflict |= self.contradicts(fragment)
            || self
                .bytes
                .add(fragment.offset, fragment.more, bytes)
                .is_err()
            || self.bytes.sections().len() > MAX_RUNS;
        if self.conflict {
            return false;
        }
        self.packets += packets;
        if fragment.offset.value() == 0 {
            self.head = Head::of(&fragment.carrier);
            self.protocol = fragment.protocol;
        }
        true
    }

    /// Other bytes in the same place, or bytes behind what says that it is the end.
    fn contradicts(&self, fragment: &Fragment<'_>) -> bool {
        let bytes = fragment.rest.bytes;
        let start = usize::from(fragment.offset.byte_offset());
        let end = start.saturating_add(bytes.len());
        self.bytes.sections().iter().any(|held| {
            let (held_start, held_end) = (usize::from(held.start), usize::from(held.end));
            let (from, to) = (start.max(held_start), end.min(held_end));
            let beyond = !fragment.more && held_end > end;
            let ours = bytes.get(from.saturating_sub(start)..to.saturating_sub(start));
            beyond || from < to && ours != self.bytes.data().get(from..to)
        })
    }
}

impl Head {
    fn of(carrier: &Carrier<'_>) -> Self {
        let mut head = Self {
            bytes: [0; 60],
            len: 0,
        };
        for (to, from) in head.bytes.iter_mut().zip(carrier.slice()) {
            *to = *from;
            head.len += 1;
        }
        head
    }
}
