//! Many clients that come back at once.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use super::Patterns;
use crate::stream::PacketRef;
use crate::time::Timestamp;

/// Rationale: fewer clients are no load for any server; a second is what one notices.
const STORM: (usize, Duration) = (20, Duration::from_secs(1));
/// Rationale: five times what is usual is no daily rise.
const ABOVE_USUAL: usize = 5;
/// Rationale: a minute tells what is usual.
const BASELINE: u32 = 60;

/// The busiest second of a server.
#[derive(Clone, Debug)]
pub(in crate::diagnosis) struct Storm {
    /// What is dialled.
    pub(in crate::diagnosis) server: SocketAddr,
    /// Clients that came back within that second.
    pub(in crate::diagnosis) clients: usize,
    /// Their tries in it.
    pub(in crate::diagnosis) tries: Vec<usize>,
    /// The first of them.
    pub(in crate::diagnosis) first: PacketRef,
    /// All tries to come back to this server.
    pub(in crate::diagnosis) all: usize,
    /// The share of the second's tries in its busiest tenth.
    pub(in crate::diagnosis) in_step: f64,
}

/// The storm on this server.
pub(in crate::diagnosis) fn storm_of<'p>(
    patterns: &'p Patterns<'_>,
    server: SocketAddr,
) -> Option<&'p Storm> {
    patterns.storms.iter().find(|storm| storm.server == server)
}

/// One that comes back: when, whose chain, which try.
type Return = (Timestamp, usize, usize);

pub(super) fn storms(patterns: &Patterns<'_>) -> Vec<Storm> {
    let mut servers: BTreeMap<SocketAddr, Vec<Return>> = BTreeMap::new();
    for (chain, tries) in patterns.chains.iter().enumerate() {
        for (before, place) in tries.iter().zip(tries.iter().skip(1)) {
            let (Some(before), Some(trial)) =
                (patterns.trials.get(*before), patterns.trials.get(*place))
            else {
                continue;
            };
            if before.fate.is_failure() {
                let back = (trial.began.time, chain, *place);
                servers.entry(trial.server).or_default().push(back);
            }
        }
    }
    let found = servers.into_iter().filter_map(|(server, mut returns)| {
        returns.sort_unstable();
        storm(server, &returns, patterns)
    });
    found.collect()
}

fn storm(server: SocketAddr, returns: &[Return], patterns: &Patterns<'_>) -> Option<Storm> {
    let (from, to, clients) = busiest(returns)?;
    let second = returns.get(from..to)?;
    let (start, _, place) = *second.first()?;
    if clients < STORM.0 || second.len() <= usual(returns.get(..from)?, start) * ABOVE_USUAL {
        return None;
    }
    Some(Storm {
        server,
        clients,
        tries: second.iter().map(|(.., place)| *place).collect(),
        first: patterns.trials.get(place)?.began,
        all: returns.len(),
        in_step: in_step(second),
    })
}

/// The second with the most different clients: from, to, how many.
fn busiest(returns: &[Return]) -> Option<(usize, usize, usize)> {
    let mut best = None;
    let mut most = (0, 0);
    let mut inside: HashMap<usize, usize> = HashMap::new();
    let mut from = 0_usize;
    for (to, (at, chain, _)) in returns.iter().enumerate() {
        *inside.entry(*chain).or_default() += 1;
        while let Some((_, old, _)) = returns
            .get(from)
            .filter(|(first, ..)| at.saturating_since(*first) >= STORM.1)
        {
            if let Some(count) = inside.get_mut(old) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    inside.remove(old);
                }
            }
            from = from.saturating_add(1);
        }
        // Of equals the one with the most tries.
        let here = (inside.len(), to.saturating_add(1).saturating_sub(from));
        if here > most {
            most = here;
            best = Some((from, to.saturating_add(1), inside.len()));
        }
    }
    best
}

/// The median of the tries in each second of the minute before.
fn usual(before: &[Return], start: Timestamp) -> usize {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for (at, ..) in before.iter().rev() {
        let ago = start.saturating_since(*at).as_secs();
        if ago >= u64::from(BASELINE) {
            break;
        }
        *counts.entry(ago).or_default() += 1;
    }
    // Seconds without any count as none.
    let mut values: Vec<usize> = counts.into_values().collect();
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.get(BASELINE as usize / 2).copied().unwrap_or(0)
}

fn in_step(second: &[Return]) -> f64 {
    let tenth = STORM.1 / 10;
    let mut most = 0;
    let mut from = 0_usize;
    for (to, (at, ..)) in second.iter().enumerate() {
        while second
            .get(from)
            .is_some_and(|(first, ..)| at.saturating_since(*first) >= tenth)
        {
            from = from.saturating_add(1);
        }
        most = most.max(to.saturating_add(1).saturating_sub(from));
    }
    let share = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    share(most) / share(second.len().max(1))
}
