//! Datagrams whose fragments haven't all come yet.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use etherparse::IpNumber;
use etherparse::defrag::IpDefragBuf;

use super::layer::{Fragment, Rest};
use crate::time::Timestamp;

/// Rationale: Linux gives up on a datagram after 30 s (`net.ipv4.ipfrag_time`).
const PATIENCE: Duration = Duration::from_secs(30);

/// Rationale: a datagram holds at most 64 KiB, so all of them at most 16 MiB;
/// on a healthy network one or two are incomplete at a time.
const MAX_DATAGRAMS: usize = 256;

/// Rationale: fragments in order, or in reverse, make one run; this many holes
/// are an attack on the time that it takes to look for neighbours.
const MAX_RUNS: usize = 64;

/// The pool: bounded in number, and so in memory; aged by the packets' clock.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// Oldest first. Few, so a search from the young end is short.
    incomplete: VecDeque<Incomplete>,
    /// The last one that became whole.
    whole: Option<IpDefragBuf>,
}

#[derive(Debug)]
struct Incomplete {
    key: Key,
    since: Timestamp,
    bytes: IpDefragBuf,
}

/// What all fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    from: IpAddr,
    to: IpAddr,
    id: u32,
    protocol: u8,
}

/// What became of a fragment.
#[derive(Debug)]
pub(super) enum Added<'a> {
    /// Others are missing.
    Pending,
    /// It was the last: the payload of the datagram, until the next call.
    Whole(Rest<'a>),
    /// It fits no datagram: cut by the snap length, or it contradicts the others.
    Unusable,
}

impl Fragments {
    /// Puts a fragment where it belongs.
    pub(super) fn add(&mut self, fragment: &Fragment<'_>, now: Timestamp) -> Added<'_> {
        self.forget_old(now);
        if fragment.rest.bytes.len() < fragment.rest.wire {
            return Added::Unusable;
        }
        let index = self.find_or_begin(fragment, now);
        let Some(datagram) = self.incomplete.get_mut(index) else {
            return Added::Unusable;
        };
        let added = datagram
            .bytes
            .add(fragment.offset, fragment.more, fragment.rest.bytes);
        if added.is_err() || datagram.bytes.sections().len() > MAX_RUNS {
            self.incomplete.remove(index);
            return Added::Unusable;
        }
        if !datagram.bytes.is_complete() {
            return Added::Pending;
        }
        self.whole = self.incomplete.remove(index).map(|datagram| datagram.bytes);
        let bytes = self.whole.as_ref().map_or(&[][..], |whole| whole.data());
        Added::Whole(Rest::new(bytes, bytes.len()))
    }

    fn forget_old(&mut self, now: Timestamp) {
        let is_old = |oldest: &Incomplete| now.saturating_since(oldest.since) > PATIENCE;
        while self.incomplete.front().is_some_and(is_old) {
            self.incomplete.pop_front();
        }
    }

    fn find_or_begin(&mut self, fragment: &Fragment<'_>, now: Timestamp) -> usize {
        let key = Key {
            from: fragment.carrier.from(),
            to: fragment.carrier.to(),
            id: fragment.id,
            protocol: fragment.protocol,
        };
        if let Some(index) = self.incomplete.iter().rposition(|held| held.key == key) {
            return index;
        }
        if self.incomplete.len() >= MAX_DATAGRAMS {
            self.incomplete.pop_front();
        }
        let bytes = IpDefragBuf::new(IpNumber(fragment.protocol), Vec::new(), Vec::new());
        self.incomplete.push_back(Incomplete {
            key,
            since: now,
            bytes,
        });
        self.incomplete.len() - 1
    }
}
