//! The secrets at hand, by what names them.

use std::collections::HashMap;

use crate::stream::{Direction, Secret, SecretLabel};

/// All secrets that key logs and captures gave.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    by_random: HashMap<[u8; 32], Vec<Secret>, foldhash::fast::RandomState>,
    premasters: HashMap<[u8; 8], Secret>,
    sessions: HashMap<Vec<u8>, Secret>,
    more_may_come: bool,
}

impl Keys {
    /// No secrets. `more_may_come` says whether records wait for theirs: live
    /// and from a pipe they do, for a file all keys are read first.
    pub fn new(more_may_come: bool) -> Self {
        Self {
            more_may_come,
            ..Self::default()
        }
    }

    /// Takes one more; what is known already changes nothing.
    pub fn add(&mut self, secret: Secret) {
        match &secret {
            Secret::OfRandom { client_random, .. } => {
                let known = self.by_random.entry(*client_random).or_default();
                if !known.contains(&secret) {
                    known.push(secret);
                }
            }
            Secret::Premaster { encrypted, .. } => {
                self.premasters.insert(*encrypted, secret);
            }
            Secret::OfSession { id, .. } => {
                self.sessions.insert(id.clone(), secret);
            }
        }
    }

    /// Later ones may come, so that records wait for theirs.
    pub fn expect_more(&mut self) {
        self.more_may_come = true;
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_random.is_empty() && self.premasters.is_empty() && self.sessions.is_empty()
    }

    /// Whether later ones may come.
    pub(super) const fn more_may_come(&self) -> bool {
        self.more_may_come
    }

    /// Every secret of the connection with this client random.
    pub fn of(&self, client_random: &[u8; 32]) -> &[Secret] {
        self.by_random.get(client_random).map_or(&[], Vec::as_slice)
    }

    fn find(&self, client_random: &[u8; 32], wanted: SecretLabel) -> Option<&[u8]> {
        self.of(client_random)
            .iter()
            .find_map(|secret| match secret {
                Secret::OfRandom { label, bytes, .. } if *label == wanted => Some(bytes.as_slice()),
                _ => None,
            })
    }

    /// The master secret of a connection of TLS 1.2 or older.
    pub(super) fn master(&self, client_random: &[u8; 32], session_id: &[u8]) -> Option<&[u8]> {
        let of_session = || match self.sessions.get(session_id) {
            Some(Secret::OfSession { master, .. }) => Some(master.as_slice()),
            _ => None,
        };
        self.find(client_random, SecretLabel::Master)
            .or_else(of_session)
    }

    /// The premaster secret whose encrypted form this is.
    pub(super) fn premaster(&self, encrypted: &[u8]) -> Option<&[u8]> {
        match self.premasters.get(encrypted.first_chunk::<8>()?) {
            Some(Secret::Premaster { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }

    /// The traffic secret of TLS 1.3 with which one side begins an epoch.
    pub(super) fn traffic(
        &self,
        client_random: &[u8; 32],
        direction: Direction,
        epoch: Epoch,
    ) -> Option<&[u8]> {
        let label = match (direction, epoch) {
            (Direction::ClientToServer, Epoch::EarlyData) => SecretLabel::ClientEarlyTraffic,
            (Direction::ServerToClient, Epoch::EarlyData) => return None,
            (Direction::ClientToServer, Epoch::Handshake) => SecretLabel::ClientHandshakeTraffic,
            (Direction::ServerToClient, Epoch::Handshake) => SecretLabel::ServerHandshakeTraffic,
            (Direction::ClientToServer, Epoch::Application) => SecretLabel::ClientTraffic,
            (Direction::ServerToClient, Epoch::Application) => SecretLabel::ServerTraffic,
        };
        self.find(client_random, label)
    }
}

/// Which keys of TLS 1.3 protect a record (RFC 8446, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Epoch {
    EarlyData,
    Handshake,
    Application,
}

impl Epoch {
    pub(super) const ALL: [Self; 3] = [Self::EarlyData, Self::Handshake, Self::Application];
}
