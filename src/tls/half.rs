//! What is known of one direction.

use std::collections::VecDeque;

use super::cipher::Opener;
use super::handshake::Messages;
use super::keys::Epoch;
use super::reader::{Arrival, Reader};
use super::record::Header;
use super::suite::Suite;
use crate::stream::{Direction, PacketRef};

/// How many tries with other sequence numbers may fail before one succeeds.
///
/// Rationale: enough for some gaps in a row; it bounds what a stream costs that no key opens.
pub(super) const TRIES_IN_VAIN: u64 = 16 * 1_024;

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) direction: Direction,
    pub(super) reader: Reader,
    pub(super) messages: Messages,
    pub(super) protection: Protection,
    /// The sequence number of the next record under the keys of now.
    pub(super) number: u64,
    /// How many records may have passed unread since.
    pub(super) missed: u64,
    /// Tries with other sequence numbers that may still be made in vain.
    pub(super) tries: u64,
    /// Position in the plaintext.
    pub(super) offset: u64,
    /// The plaintext of the last record.
    pub(super) plain: Vec<u8>,
    /// Protected records that wait for keys, or for what decides on them.
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) waiting_bytes: usize,
    /// Records that were opened.
    pub(super) opened: u64,
    /// Records that stayed closed.
    pub(super) closed: u64,
    /// It was said that records stay closed.
    pub(super) told: bool,
    /// A gap of the plaintext is to be told before its next bytes.
    pub(super) torn: Option<PacketRef>,
    /// After the last byte; told when nothing waits any more.
    pub(super) ended: Option<PacketRef>,
}

/// What protects the records of a direction.
#[derive(Debug)]
pub(super) enum Protection {
    /// Nothing yet.
    None,
    /// TLS 1.2 and older: these keys; `None` where they aren't known.
    Classic(Option<Box<Opener>>),
    /// TLS 1.3: the keys that opened the last record; `None` before the first.
    Epochs(Option<Box<Keyed>>),
}

/// The keys of an epoch of TLS 1.3.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) epoch: Epoch,
    pub(super) suite: &'static Suite,
    pub(super) opener: Opener,
    /// From which a KeyUpdate derives the next one.
    pub(super) secret: TrafficSecret,
}

/// A traffic secret, which is never printed.
pub(super) struct TrafficSecret(pub(super) Vec<u8>);

impl std::fmt::Debug for TrafficSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrafficSecret")
    }
}

/// A record that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) header: Header,
    pub(super) fragment: Vec<u8>,
    pub(super) arrival: Arrival,
}

impl Half {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            reader: Reader::default(),
            messages: Messages::default(),
            protection: Protection::None,
            number: 0,
            missed: 0,
            tries: TRIES_IN_VAIN,
            offset: 0,
            plain: Vec::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            opened: 0,
            closed: 0,
            told: false,
            torn: None,
            ended: None,
        }
    }

    pub(super) fn buffered(&self) -> usize {
        let held = self.reader.held().saturating_add(self.messages.held());
        held.saturating_add(self.plain.capacity())
            .saturating_add(self.waiting_bytes)
    }

    /// Puts a record into the queue.
    pub(super) fn wait(&mut self, header: Header, fragment: &[u8], arrival: Arrival) {
        self.waiting_bytes = self.waiting_bytes.saturating_add(fragment.len());
        self.waiting.push_back(Waiting {
            header,
            fragment: fragment.to_vec(),
            arrival,
        });
    }

    /// From here on under new keys.
    pub(super) fn protect(&mut self, protection: Protection) {
        self.protection = protection;
        self.number = 0;
        self.missed = 0;
    }
}
