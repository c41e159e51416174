//! What many tries show that one doesn't: read once, for all rules about patterns.
//!
//! Sorting is the dearest step: O(n log n) in sessions and attempts.

mod backoff;
mod chain;
mod mass;
mod retry;
mod service;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// So many clients of one address, dropped together, that try again in step.
    fn crowd(clients: u16) -> Script {
        let mut script = Script::new();
        for port in 0..clients {
            script = script.at_port(10_000 + port).upgrade();
        }
        for port in 0..clients {
            script = script
                .at_port(10_000 + port)
                .resume()
                .fin(ServerToClient)
                .fin(ClientToServer);
        }
        for port in 0..clients {
            script = script.at_port(30_000 + port).syn().refuse();
        }
        script
    }

    #[test]
    fn clients_behind_one_address_are_as_many_as_were_open_at_once() {
        let told = crowd(25).told();
        let patterns = Patterns::of(&told.sessions, &told.attempts, &told.capture);
        assert_eq!(patterns.trials.len(), 50);
        assert_eq!(
            patterns.chains.len(),
            25,
            "attempts that are only counted are tries too"
        );
        assert!(patterns.chains.iter().all(|chain| chain.len() == 2));
        assert!(told.of("pattern-reconnect-loop").is_empty());
    }

    #[test]
    fn the_legs_of_a_proxy_are_one_try() {
        let told = Script::new()
            .handshake()
            .request("")
            .behind(Script::upgrade)
            .accept("")
            .told();
        assert_eq!(told.sessions.len(), 2);
        let patterns = Patterns::of(&told.sessions, &told.attempts, &told.capture);
        assert_eq!(patterns.trials.len(), 1);
    }

    #[test]
    fn unanswered_syns_that_overlap_are_no_chain() {
        let mut script = Script::new();
        for port in 40_001..40_005 {
            script = script.at_port(port).syn().wait_s(0.3);
        }
        let told = script.told();
        let patterns = Patterns::of(&told.sessions, &told.attempts, &told.capture);
        assert_eq!(patterns.chains.len(), 4);
    }
}
