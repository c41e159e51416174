//! Which try of a client followed which. Clients are told by what they say of
//! themselves; of those that say nothing, each try continues the one that has
//! waited longest, so that many clients behind one address stay many.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::trial::Trial;
use crate::time::Timestamp;

/// Rationale: who comes back after more than two minutes has been elsewhere.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(120);

/// Rationale: behind one address there are seldom more kinds of programs.
const SEARCHED: usize = 32;

/// The tries of one client, oldest first, as places among all tries. Two of them never overlap.
pub(in crate::diagnosis) type Chain = Vec<usize>;

/// Where a chain stands while it grows.
#[derive(Default)]
struct Lane {
    tries: Chain,
    /// Its last try is over, and nothing followed yet.
    free: bool,
    known: Option<u64>,
    /// Of which program its ClientHellos are.
    shape: Option<u64>,
}

/// All chains, in the order of their first tries.
pub(super) fn chains(trials: &[Trial<'_>]) -> Vec<Chain> {
    let mut groups: BTreeMap<(IpAddr, u32), Vec<usize>> = BTreeMap::new();
    for (place, trial) in trials.iter().enumerate() {
        let key = (trial.client, trial.service);
        groups.entry(key).or_default().push(place);
    }
    let mut chains: Vec<Chain> = groups
        .values()
        .flat_map(|group| lanes_of(group, trials))
        .map(|lane| lane.tries)
        .collect();
    chains.sort_by_key(|chain| chain.first().copied());
    chains
}

/// The clients that wait, by what they are known by.
#[derive(Default)]
struct Waiting {
    known: HashMap<u64, VecDeque<usize>>,
    unknown: VecDeque<usize>,
    /// All whose last try failed.
    failed: VecDeque<usize>,
}

fn lanes_of(group: &[usize], trials: &[Trial<'_>]) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    let mut waiting = Waiting::default();
    let mut ends: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
    for place in group {
        let Some(trial) = trials.get(*place) else {
            continue;
        };
        while let Some(Reverse((at, lane))) = ends.peek().copied() {
            if at > trial.began.time {
                break;
            }
            ends.pop();
            release(lane, &mut lanes, &mut waiting, trials);
        }
        let key = trial.identity.map(|who| who.own.unwrap_or(who.look));
        let lane = waiting
            .take(key, &lanes, trials, trial)
            .unwrap_or(lanes.len());
        if lane == lanes.len() {
            lanes.push(Lane::default());
        }
        if let Some(found) = lanes.get_mut(lane) {
            found.tries.push(*place);
            found.free = false;
            found.known = found.known.or(key);
            found.shape = found.shape.or(trial.shape);
        }
        if let Some(over) = trial.over {
            ends.push(Reverse((over.time, lane)));
        }
    }
    lanes
}

fn release(place: usize, lanes: &mut [Lane], waiting: &mut Waiting, trials: &[Trial<'_>]) {
    let Some(lane) = lanes.get_mut(place) else {
        return;
    };
    lane.free = true;
    match lane.known {
        Some(key) => waiting.known.entry(key).or_default().push_back(place),
        None => waiting.unknown.push_back(place),
    }
    let last = lane.tries.last().and_then(|last| trials.get(*last));
    if last.is_some_and(|trial| trial.fate.is_failure()) {
        waiting.failed.push_back(place);
    }
}

impl Waiting {
    fn take(
        &mut self,
        key: Option<u64>,
        lanes: &[Lane],
        trials: &[Trial<'_>],
        next: &Trial<'_>,
    ) -> Option<usize> {
        let waits = |place: usize| {
            let lane = lanes.get(place).filter(|lane| lane.free)?;
            let over = trials.get(*lane.tries.last()?)?.over?;
            let since = next.began.time.saturating_since(over.time);
            (since <= FOLLOWS_WITHIN).then_some(lane)
        };
        let first = |queue: &mut VecDeque<usize>| {
            let mut place = 0;
            while place < SEARCHED {
                match waits(*queue.get(place)?) {
                    None => drop(queue.remove(place)),
                    Some(lane) if may_be_one(lane.shape, next.shape) => {
                        return queue.remove(place);
                    }
                    Some(_) => place = place.saturating_add(1),
                }
            }
            None
        };
        match key {
            Some(key) => self
                .known
                .get_mut(&key)
                .and_then(first)
                .or_else(|| first(&mut self.unknown)),
            None => first(&mut self.failed).or_else(|| first(&mut self.unknown)),
        }
    }
}

/// Two programs don't take turns.
fn may_be_one(a: Option<u64>, b: Option<u64>) -> bool {
    a.zip(b).is_none_or(|(a, b)| a == b)
}
