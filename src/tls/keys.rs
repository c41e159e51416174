//! The secrets at hand, by what names them.

use std::collections::HashMap;

use super::private_key::{Premaster, PrivateKey};
use crate::stream::{Direction, Secret, SecretLabel};

/// All secrets that key logs and captures gave.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    by_random: HashMap<[u8; 32], Vec<Secret>, foldhash::fast::RandomState>,
    premasters: HashMap<[u8; 8], Secret>,
    sessions: HashMap<Vec<u8>, Secret>,
    private_keys: Vec<PrivateKey>,
    /// Those of `by_random`, in the order in which they came.
    order: Vec<([u8; 32], SecretLabel)>,
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
            Secret::OfRandom {
                client_random,
                label,
                ..
            } => {
                let known = self.by_random.entry(*client_random).or_default();
                if !known.contains(&secret) {
                    self.order.push((*client_random, *label));
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

    /// Takes a server's private key.
    pub fn add_private_key(&mut self, key: PrivateKey) {
        self.private_keys.push(key);
    }

    /// Takes the master secret of a session that a handshake told, by its id or its ticket.
    pub fn learn(&mut self, session: Secret) {
        /// Rationale: 1 MB; a server resumes sessions of the last minutes or hours.
        const SESSIONS: usize = 4_096;
        if self.sessions.len() < SESSIONS {
            self.add(session);
        }
    }

    /// Later ones may come, so that records wait for theirs.
    pub fn expect_more(&mut self) {
        self.more_may_come = true;
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_random.is_empty()
            && self.premasters.is_empty()
            && self.sessions.is_empty()
            && self.private_keys.is_empty()
    }

    /// Whether later ones may come.
    pub(super) const fn more_may_come(&self) -> bool {
        self.more_may_come
    }

    /// Every secret of the connection with this client random.
    pub fn of(&self, client_random: &[u8; 32]) -> &[Secret] {
        self.by_random.get(client_random).map_or(&[], Vec::as_slice)
    }

    /// The secret of this kind of the connection with this client random.
    pub(super) fn find(&self, client_random: &[u8; 32], wanted: SecretLabel) -> Option<&[u8]> {
        self.of(client_random)
            .iter()
            .find_map(|secret| match secret {
                Secret::OfRandom { label, bytes, .. } if *label == wanted => Some(bytes.as_slice()),
                _ => None,
            })
    }

    /// The master secret of a connection of TLS 1.2 or older, by its client random,
    /// or by the id or the ticket of its session.
    pub(super) fn master(&self, client_random: &[u8; 32], sessions: [&[u8]; 2]) -> Option<&[u8]> {
        let of_session = || {
            let known = sessions.iter().filter(|id| !id.is_empty());
            known.copied().find_map(|id| match self.sessions.get(id) {
                Some(Secret::OfSession { master, .. }) => Some(master.as_slice()),
                _ => None,
            })
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

    /// Whether there are private keys of servers.
    pub(super) fn has_private_keys(&self) -> bool {
        !self.private_keys.is_empty()
    }

    /// Whether one of the private keys is that of this public key.
    pub(super) fn is_private_key_of(&self, public: &[u8]) -> bool {
        self.private_keys.iter().any(|key| key.belongs_to(public))
    }

    /// What a client encrypted for a server with this public key, or for one of which none is known.
    pub(super) fn decrypt(&self, public: Option<&[u8]>, encrypted: &[u8]) -> Option<Premaster> {
        self.private_keys
            .iter()
            .filter(|key| public.is_none_or(|public| key.belongs_to(public)))
            .find_map(|key| key.premaster(encrypted))
    }

    /// All secrets of client randoms, in the order in which they came, from the `first` on.
    pub(super) fn since(&self, first: usize) -> &[([u8; 32], SecretLabel)] {
        self.order.get(first..).unwrap_or_default()
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
