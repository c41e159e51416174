//! A connection whose ClientHello wasn't captured: which of the secrets at hand
//! open its records. A record is tried with each; its tag tells.

use super::cipher::Opener;
use super::connection::Connection;
use super::half::{Keyed, Protection, TrafficSecret};
use super::keys::{Epoch, Keys};
use super::open;
use super::record::{ContentType, Header};
use super::suite::{self, Suite};
use crate::stream::{Direction, SecretLabel, Sides};

/// What may be tried for one connection, in tries of a small record.
///
/// Rationale: 0.1 s; four secrets are tried as far as [`WINDOW`], of 4,000 the first numbers.
const BUDGET: u64 = 1 << 19;
/// How many records of one side may have passed before the capture began.
///
/// Rationale: a session of an hour with ten messages a second.
const WINDOW: u64 = 1 << 16;
/// How many secrets are tried.
const SECRETS: usize = 4_096;
/// What computing the keys of a connection of TLS 1.2 costs, in tries.
const KEY_BLOCK: u64 = 16;

/// What the search for the secrets of a connection has come to.
#[derive(Debug, Default)]
pub(super) struct Headless {
    spent: u64,
    /// Secrets that were tried on the records of each side.
    tried: Sides<usize>,
    /// The ServerHello wasn't captured either: records are read from anywhere on.
    pub(super) mid_stream: bool,
}

/// A secret, and the suite that it may belong to.
struct Candidate<'a> {
    random: [u8; 32],
    secret: &'a [u8],
    epoch: Epoch,
    suite: &'static Suite,
    opener: Opener,
}

impl Headless {
    /// Pays for tries; false where nothing is left.
    fn pay(&mut self, cost: u64) -> bool {
        self.spent = self.spent.saturating_add(cost);
        self.spent <= BUDGET
    }
}

impl Connection {
    /// Looks for the client random of a connection that doesn't tell it.
    pub(super) fn identify(
        &mut self,
        direction: Direction,
        header: Header,
        fragment: &[u8],
        keys: &Keys,
    ) {
        let half = &self.halves[direction];
        let data = header.content == ContentType::ApplicationData;
        let closed = match &half.protection {
            Protection::None | Protection::Epochs(None) => data,
            Protection::Classic(None) => header.content != ContentType::ChangeCipherSpec,
            Protection::Classic(Some(_)) | Protection::Epochs(Some(_)) => false,
        };
        let placed = self.parameters.client_random.is_some() && !self.headless.mid_stream;
        if !closed || placed || half.opened > 0 {
            return;
        }
        match self.parameters.version {
            Some(..0x0304) => self.identify_classic(direction, header, fragment, keys),
            Some(_) if !self.headless.mid_stream => {
                // The number is what was missed since; who opens the record finds it.
                let window = self.halves[direction].missed.min(16);
                let found = self.find(direction, header, fragment, keys, window);
                self.parameters.client_random = found.map(|(candidate, _)| candidate.random);
            }
            Some(_) | None => self.place(direction, header, fragment, keys),
        }
    }

    /// The number of a record of TLS 1.3 in the middle of a connection, and its keys.
    fn place(&mut self, direction: Direction, header: Header, fragment: &[u8], keys: &Keys) {
        let Some((found, number)) = self.find(direction, header, fragment, keys, WINDOW) else {
            return;
        };
        let Candidate {
            random,
            secret,
            epoch,
            suite,
            opener,
        } = found;
        let secret = TrafficSecret(secret.to_vec());
        self.headless.mid_stream = true;
        self.parameters.client_random = Some(random);
        self.parameters.version = Some(0x0304);
        self.parameters.suite = Some(suite);
        let half = &mut self.halves[direction];
        half.protect(Protection::Epochs(Some(Box::new(Keyed {
            epoch,
            suite,
            opener,
            secret,
        }))));
        half.number = number;
    }

    /// The secret of TLS 1.3 and the number, at most `window`, under which a record opens.
    fn find<'a>(
        &mut self,
        direction: Direction,
        header: Header,
        fragment: &[u8],
        keys: &'a Keys,
        window: u64,
    ) -> Option<(Candidate<'a>, u64)> {
        let server_hello = self.parameters.version.is_some() && !self.headless.mid_stream;
        // Where the place is known, a later record may open that the first one's keys aren't there for.
        let again = server_hello || self.parameters.client_random.is_some();
        let first = if again {
            0
        } else {
            self.headless.tried[direction]
        };
        let known = keys.since(first);
        self.headless.tried[direction] = first.saturating_add(known.len());
        let mut candidates: Vec<Candidate<'a>> = known
            .iter()
            .filter(|(random, _)| {
                self.parameters
                    .client_random
                    .is_none_or(|own| own == *random)
            })
            .filter_map(|(random, label)| {
                let epoch = epoch_of(*label, direction, server_hello)?;
                Some((*random, keys.find(random, *label)?, epoch))
            })
            .take(SECRETS)
            .flat_map(|(random, secret, epoch)| {
                let suites = open::candidates(self.parameters.suite, secret);
                suites.filter_map(move |suite| {
                    // Nobody takes CCM unless told to: it doesn't get a share of the tries.
                    let likely = server_hello
                        || suite.cipher != suite::Cipher::Ccm128
                            && suite.cipher != suite::Cipher::Ccm128Short;
                    Some(Candidate {
                        random,
                        secret,
                        epoch,
                        suite,
                        opener: likely.then(|| open::opener_of(suite, secret)).flatten()?,
                    })
                })
            })
            .collect();
        let cost = 1 + fragment.len() as u64 / 512;
        let mut plain = Vec::new();
        // All secrets with the first numbers, then all with more: connections are young more often than old.
        let mut from = 0;
        for until in [64, 1_024, 8_192, WINDOW] {
            let until = until.min(window.saturating_add(1));
            for (index, candidate) in candidates.iter().enumerate() {
                for number in from..until {
                    if !self.headless.pay(cost) {
                        return None;
                    }
                    if candidate.opener.open(number, header, fragment, &mut plain) {
                        return Some((candidates.swap_remove(index), number));
                    }
                }
            }
            from = until;
        }
        None
    }

    /// TLS 1.2 and older: the ServerHello has half of what the keys are made of, an entry of a key log the rest.
    fn identify_classic(
        &mut self,
        direction: Direction,
        header: Header,
        fragment: &[u8],
        keys: &Keys,
    ) {
        let missed = self.halves[direction].missed.min(16);
        let mut plain = Vec::new();
        let masters = keys.since(0).iter();
        let masters = masters.filter(|(_, label)| *label == SecretLabel::Master);
        for (random, _) in masters.take(SECRETS) {
            if !self.headless.pay(KEY_BLOCK + missed) {
                break;
            }
            self.parameters.client_random = Some(*random);
            let Some(opener) = self.classic_opener(direction, keys) else {
                continue;
            };
            if (0..=missed).any(|number| opener.open(number, header, fragment, &mut plain)) {
                return;
            }
        }
        self.parameters.client_random = None;
    }
}

/// The epoch whose records of `direction` a secret opens; those of a handshake
/// count only where it was captured.
fn epoch_of(label: SecretLabel, direction: Direction, handshake: bool) -> Option<Epoch> {
    match (label, direction) {
        (SecretLabel::ClientTraffic, Direction::ClientToServer)
        | (SecretLabel::ServerTraffic, Direction::ServerToClient) => Some(Epoch::Application),
        (SecretLabel::ClientHandshakeTraffic, Direction::ClientToServer)
        | (SecretLabel::ServerHandshakeTraffic, Direction::ServerToClient) => {
            handshake.then_some(Epoch::Handshake)
        }
        _ => None,
    }
}
