//! What many tries show that one doesn't: read once, for all rules about patterns.
//!
//! Sorting is the dearest step: O(n log n) in sessions and attempts.

mod backoff;
mod chain;
mod mass;
mod retry;
mod trial;

use crate::session::{Attempt, Capture, Session};

pub(super) use backoff::{Backoff, Shape};
pub(super) use chain::Chain;
pub(super) use mass::{Event, Mass};
pub(super) use retry::{Loop, Retries};
pub(super) use trial::{Fate, Trial, backend_of};

/// All tries of all clients, and which belong together.
#[derive(Debug, Default)]
pub struct Patterns<'a> {
    /// In the order of their first packets.
    pub(super) trials: Vec<Trial<'a>>,
    /// The tries of each client.
    pub(super) chains: Vec<Chain>,
    /// Many that ended at once, in order.
    pub(super) masses: Vec<Mass>,
}

impl<'a> Patterns<'a> {
    /// Reads all of them.
    pub fn of(sessions: &'a [Session], attempts: &'a [Attempt], capture: &Capture) -> Self {
        let trials = trial::trials(sessions, attempts, capture);
        // Rationale: a pattern needs several; most captures of one session stop here.
        let chains = match trials.len() {
            0 | 1 => Vec::new(),
            _ => chain::chains(&trials),
        };
        let masses = mass::masses(&trials);
        Self {
            trials,
            chains,
            masses,
        }
    }

    /// The tries of a chain.
    pub(super) fn tries<'b>(
        &'b self,
        chain: &'b [usize],
    ) -> impl Iterator<Item = &'b Trial<'a>> + Clone {
        chain.iter().filter_map(|place| self.trials.get(*place))
    }
}
