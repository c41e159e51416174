//! Finding the keys and the sequence number under which a record opens.

use super::cipher::Opener;
use super::half::{Half, Keyed, Protection, TRIES_IN_VAIN, TrafficSecret};
use super::keys::{Epoch, Keys};
use super::record::Header;
use super::schedule;
use super::suite::{self, Suite};

/// How many sequence numbers a record is tried with.
///
/// Rationale: a gap of 1 MiB holds fewer full records than that, and 1,024 tries of a
/// full record take 3 ms.
const TRIES: u64 = 1_024;

/// What is known of a connection of TLS 1.3 that decides on keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) keys: &'a Keys,
    pub(super) client_random: &'a [u8; 32],
    /// `None` where the ServerHello was lost: then all suites are tried.
    pub(super) suite: Option<&'static Suite>,
    /// The client's early data was offered, and not known to be refused.
    pub(super) early_data: bool,
    /// There is no data before the first record of the application's keys.
    pub(super) began_here: bool,
}

/// How the opening of a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// The plaintext stands in `half.plain`.
    Opened {
        /// How many records before it were skipped.
        skipped: u64,
    },
    /// There was no key to try.
    NoKey,
    /// No key and number at hand opened it.
    Failed,
}

impl Half {
    /// Opens a record of TLS 1.2 or older.
    pub(super) fn open_classic(&mut self, header: Header, fragment: &[u8]) -> Opening {
        let Protection::Classic(opener) = &mut self.protection else {
            return Opening::NoKey;
        };
        let Some(opener) = opener else {
            return Opening::NoKey;
        };
        let mut trial = Trial {
            missed: self.missed,
            header,
            fragment,
            plain: &mut self.plain,
            tries: &mut self.tries,
        };
        let found = trial.find(opener, self.number);
        opener.pass(Some(fragment));
        self.settle(found)
    }

    /// Opens a record of TLS 1.3: with the keys of now, or where a later epoch may have begun, with its keys.
    pub(super) fn open_epochs(
        &mut self,
        known: Known<'_>,
        header: Header,
        fragment: &[u8],
    ) -> Opening {
        let Protection::Epochs(keyed) = &mut self.protection else {
            return Opening::NoKey;
        };
        let mut trial = Trial {
            missed: self.missed,
            header,
            fragment,
            plain: &mut self.plain,
            tries: &mut self.tries,
        };
        let mut tried = false;
        if let Some(keyed) = keyed {
            tried = true;
            let found = trial.find(&keyed.opener, self.number);
            if found.is_some() {
                return self.settle(found);
            }
            if let Some((later, number)) = trial.updated(keyed) {
                **keyed = later;
                self.number = 0;
                return self.settle(Some(number));
            }
        }
        let complete = {
            let (random, epoch) = (known.client_random, Epoch::Application);
            known.keys.traffic(random, self.direction, epoch).is_some()
        };
        let current = keyed.as_ref().map(|keyed| keyed.epoch);
        for epoch in Epoch::ALL {
            let passed = current.is_some_and(|current| epoch <= current);
            if passed || (epoch == Epoch::EarlyData && !known.early_data) {
                continue;
            }
            let direction = self.direction;
            let Some(secret) = known.keys.traffic(known.client_random, direction, epoch) else {
                continue;
            };
            for suite in candidates(known.suite, secret) {
                let Some(opener) = opener_of(suite, secret) else {
                    continue;
                };
                tried = true;
                let found = trial.find(&opener, 0);
                if found.is_some() {
                    self.protect(Protection::Epochs(Some(Box::new(Keyed {
                        epoch,
                        suite,
                        opener,
                        secret: TrafficSecret(secret.to_vec()),
                    }))));
                    if epoch == Epoch::Application && found == Some(0) && known.began_here {
                        // Only the handshake stayed closed: no data is missing.
                        self.torn = None;
                    }
                    return self.settle(found);
                }
            }
        }
        if tried && complete {
            self.settle(None)
        } else {
            Opening::NoKey
        }
    }

    /// The keys after a KeyUpdate of this side.
    pub(super) fn update_keys(&mut self) {
        let Protection::Epochs(Some(keyed)) = &self.protection else {
            return;
        };
        if let Some(later) = next(keyed) {
            self.protect(Protection::Epochs(Some(Box::new(later))));
        }
    }

    /// A record stays closed, or is lost as a whole.
    pub(super) fn pass(&mut self, count: u64) {
        self.missed = self.missed.saturating_add(count);
    }

    fn settle(&mut self, found: Option<u64>) -> Opening {
        let Some(number) = found else {
            return Opening::Failed;
        };
        let skipped = number.saturating_sub(self.number);
        self.number = number.saturating_add(1);
        self.missed = 0;
        self.tries = TRIES_IN_VAIN;
        Opening::Opened { skipped }
    }
}

/// A record that is tried.
struct Trial<'a> {
    /// How many records may have passed since the last one that was opened.
    missed: u64,
    header: Header,
    fragment: &'a [u8],
    plain: &'a mut Vec<u8>,
    tries: &'a mut u64,
}

impl Trial<'_> {
    fn opens(&mut self, opener: &Opener, number: u64) -> bool {
        opener.open(number, self.header, self.fragment, self.plain)
    }

    /// The sequence number, from `first` on, under which the record opens.
    fn find(&mut self, opener: &Opener, first: u64) -> Option<u64> {
        if self.opens(opener, first) {
            return Some(first);
        }
        if self.missed == 0 {
            return None;
        }
        let last = first.saturating_add(self.missed);
        if let Some(told) = opener.told_number(self.fragment)
            && (first..=last).contains(&told)
            && self.opens(opener, told)
        {
            return Some(told);
        }
        let last = last.min(first.saturating_add(TRIES.min(*self.tries)));
        let found = (first.saturating_add(1)..=last).find(|number| self.opens(opener, *number));
        if found.is_none() {
            *self.tries = self.tries.saturating_sub(last.saturating_sub(first));
        }
        found
    }

    /// KeyUpdates may be among the records that were missed.
    fn updated(&mut self, keyed: &Keyed) -> Option<(Keyed, u64)> {
        if self.missed == 0 || keyed.epoch != Epoch::Application {
            return None;
        }
        /// Rationale: endpoints update after gigabytes or minutes, gaps are shorter.
        const UPDATES: usize = 3;
        let mut later = next(keyed)?;
        for _ in 1..UPDATES {
            if let Some(number) = self.find(&later.opener, 0) {
                return Some((later, number));
            }
            later = next(&later)?;
        }
        let number = self.find(&later.opener, 0)?;
        Some((later, number))
    }
}

/// RFC 8446, section 7.2.
fn next(keyed: &Keyed) -> Option<Keyed> {
    let secret = schedule::next_traffic_secret(keyed.suite, &keyed.secret.0)?;
    Some(Keyed {
        epoch: keyed.epoch,
        suite: keyed.suite,
        opener: opener_of(keyed.suite, &secret)?,
        secret: TrafficSecret(secret),
    })
}

pub(super) fn opener_of(suite: &Suite, secret: &[u8]) -> Option<Opener> {
    let keys = schedule::traffic_keys(suite, secret)?;
    Opener::new(0x0304, suite, &keys, false)
}

/// The suites that a secret may belong to: the one that was chosen, or all with a hash of that length.
pub(super) fn candidates(
    suite: Option<&'static Suite>,
    secret: &[u8],
) -> impl Iterator<Item = &'static Suite> + use<> {
    let len = secret.len();
    let all = (0x1301..=0x1305).filter_map(suite::by_id);
    let fits = move |known: &&'static Suite| {
        known.hash.len() == len && suite.is_none_or(|suite| suite.id == known.id)
    };
    all.filter(fits)
}
