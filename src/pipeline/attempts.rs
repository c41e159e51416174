//! Failed connections: the first of each client and server are kept, the rest
//! counted. A scan or a retry loop makes hundreds of thousands.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::Finished;
use crate::session::{Attempt, Capture, Dialled, MoreAttempts};

/// Rationale: a finding shows the first few and tells how many there were.
const KEPT_OF_A_PAIR: u64 = 16;
/// Rationale: 2 KB each, so 8 MB; patterns over more hosts show in the counts.
const KEPT: usize = 4_096;
/// Rationale: the counts of as many pairs again are 200 KB.
const COUNTED: usize = 4_096;
/// Rationale: a retry every 100 ms for two hours; 112 bytes each, so 7 MB.
const DIALLED: usize = 65_536;

/// How many attempts of each client host and server port have ended.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    seen: HashMap<(IpAddr, SocketAddr), Seen, foldhash::fast::RandomState>,
    kept: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    attempts: u64,
    /// Its place among the counts.
    place: Option<usize>,
}

impl Attempts {
    /// Keeps an attempt that has ended, or counts it.
    pub(super) fn add(
        &mut self,
        attempt: Box<Attempt>,
        capture: &mut Capture,
        finished: &mut Vec<Finished>,
    ) {
        let (client, server) = (attempt.leg.client.ip(), attempt.leg.server);
        let known = self.seen.len() < KEPT + COUNTED || self.seen.contains_key(&(client, server));
        if !known {
            capture.attempts_beyond += 1;
            return;
        }
        let seen = self.seen.entry((client, server)).or_default();
        seen.attempts += 1;
        if seen.attempts <= KEPT_OF_A_PAIR && self.kept < KEPT {
            self.kept += 1;
            finished.push(Finished::Attempt(attempt));
            return;
        }
        if capture.dialled.len() < DIALLED && attempt.same_as.is_none() {
            capture.dialled.push(Dialled {
                client,
                server,
                first: attempt.leg.first,
                last: attempt.leg.last_packet_any(),
                never_opened: attempt.never_opened(),
                answered: attempt.is_answered(),
            });
        }
        match seen
            .place
            .and_then(|place| capture.more_attempts.get_mut(place))
        {
            Some(more) => more.count += 1,
            None => {
                seen.place = Some(capture.more_attempts.len());
                capture.more_attempts.push(MoreAttempts {
                    client,
                    server,
                    count: 1,
                });
            }
        }
    }
}
