//! A client that tries again and again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Backoff, Fate, Patterns, Trial};
use crate::stream::PacketRef;

/// Rationale: three failures within a minute are no accident, and a try that lasted a minute was none.
const LOOP: (usize, Duration) = (3, Duration::from_secs(60));

/// Failures of one client in a row, each soon after the one before.
#[derive(Debug)]
pub(in crate::diagnosis) struct Loop<'p, 'a> {
    /// The failed tries.
    pub(in crate::diagnosis) tries: Vec<&'p Trial<'a>>,
    /// What it waited between them.
    pub(in crate::diagnosis) backoff: Backoff,
    /// A try after them that did not fail.
    pub(in crate::diagnosis) then: Option<&'p Trial<'a>>,
}

impl<'a> Loop<'_, 'a> {
    /// What they failed by most often.
    pub(in crate::diagnosis) fn fate(&self) -> Option<Fate> {
        let mut counts: BTreeMap<String, (usize, Fate)> = BTreeMap::new();
        for trial in &self.tries {
            let entry = counts.entry(trial.fate.phrase()).or_insert((0, trial.fate));
            entry.0 = entry.0.saturating_add(1);
        }
        let most = counts.into_values().max_by_key(|(count, _)| *count);
        most.map(|(_, fate)| fate)
    }

    /// The first of them.
    pub(in crate::diagnosis) fn first(&self) -> Option<&Trial<'a>> {
        self.tries.first().copied()
    }

    /// From the first packet of the first to the end of the last.
    pub(in crate::diagnosis) fn lasted(&self) -> Duration {
        let last = self.tries.last().and_then(|trial| trial.over);
        match (self.first(), last) {
            (Some(first), Some(last)) => last.time.saturating_since(first.began.time),
            _ => Duration::ZERO,
        }
    }
}

/// The same of many clients of one server.
#[derive(Debug)]
pub(in crate::diagnosis) struct Retries<'p, 'a> {
    /// What they dialled.
    pub(in crate::diagnosis) server: SocketAddr,
    /// Their loops, the first one first.
    pub(in crate::diagnosis) loops: Vec<Loop<'p, 'a>>,
}

impl Retries<'_, '_> {
    /// All their tries.
    pub(in crate::diagnosis) fn count(&self) -> usize {
        self.loops.iter().map(|one| one.tries.len()).sum()
    }

    /// The packets to show: the beginnings of the first tries of the first client, or of several.
    pub(in crate::diagnosis) fn shown(&self) -> Vec<(PacketRef, String)> {
        let each = match self.loops.len() {
            1 => 6,
            2 | 3 => 3,
            _ => 1,
        };
        let of = |trial: &&Trial<'_>| {
            (
                trial.began,
                format!("{} tries; {}", trial.client, trial.fate.phrase()),
            )
        };
        let tries = self
            .loops
            .iter()
            .take(6)
            .flat_map(|one| one.tries.iter().take(each));
        tries.map(of).collect()
    }
}

impl<'a> Patterns<'a> {
    /// The loops of all clients, by what they dial.
    pub(in crate::diagnosis) fn retries(&self) -> Vec<Retries<'_, 'a>> {
        let mut of: BTreeMap<u32, Retries<'_, 'a>> = BTreeMap::new();
        for chain in self.chains.iter().filter(|chain| chain.len() >= LOOP.0) {
            let Some(found) = self.longest_loop(chain) else {
                continue;
            };
            let Some(first) = found.tries.first() else {
                continue;
            };
            let retries = of.entry(first.service).or_insert_with(|| Retries {
                server: first.server,
                loops: Vec::new(),
            });
            retries.loops.push(found);
        }
        of.into_values().collect()
    }

    fn longest_loop(&self, chain: &[usize]) -> Option<Loop<'_, 'a>> {
        let mut best: Option<Loop<'_, 'a>> = None;
        let mut run: Vec<&Trial<'a>> = Vec::new();
        let tries: Vec<&Trial<'a>> = chain.iter().filter_map(|at| self.trials.get(*at)).collect();
        let ends = tries.iter().copied().map(Some).chain([None]);
        for trial in ends {
            let short =
                |t: &Trial<'_>| t.fate.is_failure() && t.lasted().is_some_and(|l| l < LOOP.1);
            match trial {
                // A credential that is asked for and then given on the same connection is no failure.
                Some(trial) if short(trial) => run.push(trial),
                then => {
                    let done = std::mem::take(&mut run);
                    let longer = best
                        .as_ref()
                        .is_none_or(|best| best.tries.len() < done.len());
                    if is_loop(&done) && longer {
                        let backoff = Backoff::of(delays(&done));
                        best = Some(Loop {
                            tries: done,
                            backoff,
                            then,
                        });
                    }
                }
            }
        }
        best
    }
}

/// Three of them began within a minute.
fn is_loop(tries: &[&Trial<'_>]) -> bool {
    let ahead = tries.iter().skip(LOOP.0.saturating_sub(1));
    tries
        .iter()
        .zip(ahead)
        .any(|(first, third)| third.began.time.saturating_since(first.began.time) <= LOOP.1)
}

/// From the end of each to the beginning of the next.
pub(super) fn delays(tries: &[&Trial<'_>]) -> Vec<Duration> {
    tries
        .iter()
        .zip(tries.iter().skip(1))
        .filter_map(|(before, next)| Some(next.began.time.saturating_since(before.over?.time)))
        .collect()
}
