//! What many tries show that one doesn't: read once, for all rules about patterns.
//!
//! Sorting is the dearest step: O(n log n) in sessions and attempts.

mod backoff;
mod chain;
mod mass;
mod retry;
mod storm;
mod trial;

use crate::session::{Attempt, Capture, Session};

pub(super) use backoff::{Backoff, Shape};
pub(super) use chain::Chain;
pub(super) use mass::{Event, Mass};
pub(super) use retry::Retries;
pub(super) use storm::{Storm, storm_of};
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
    /// Servers to which many came back at once.
    pub(super) storms: Vec<Storm>,
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
        let mut patterns = Self {
            trials,
            chains,
            masses,
            storms: Vec::new(),
        };
        patterns.storms = storm::storms(&patterns);
        patterns
    }
}
