//! Sessions that ended at once, and what most likely ended them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Fate, Trial};
use crate::diagnosis::EndedBy;
use crate::stream::PacketRef;
use crate::time::Timestamp;

/// Rationale: what ends sessions at once does so within two seconds; three may
/// be chance where thousands are open, so a fifth of those that are.
const TOGETHER: (usize, Duration, usize) = (3, Duration::from_secs(2), 5);
/// Rationale: a server that comes back does so within minutes.
const AFTERMATH: Duration = Duration::from_secs(120);

/// What most likely ended them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::diagnosis) enum Event {
    /// The server said that it goes away or restarts (Close 1001 or 1012).
    Shutdown,
    /// The server's process was gone: it refused connections afterwards.
    Restart,
    /// A proxy ended them.
    Proxy,
    /// The path failed.
    Network,
    /// The server closed them for a reason that it gave.
    Policy(u16),
    /// It can't be told.
    Unknown,
}

impl Event {
    /// The word for scripts.
    pub(in crate::diagnosis) const fn name(self) -> &'static str {
        match self {
            Self::Shutdown => "deploy",
            Self::Restart => "restart",
            Self::Proxy => "proxy",
            Self::Network => "network",
            Self::Policy(_) => "policy",
            Self::Unknown => "unknown",
        }
    }
}

/// Several that ended within two seconds.
#[derive(Clone, Debug)]
pub(in crate::diagnosis) struct Mass {
    /// What they were connected to.
    pub(in crate::diagnosis) server: SocketAddr,
    /// Which, in the order of their ends.
    pub(in crate::diagnosis) ended: Vec<usize>,
    /// How many were open before.
    pub(in crate::diagnosis) open: usize,
    /// The first end.
    pub(in crate::diagnosis) first: PacketRef,
    /// From the first end to the last.
    pub(in crate::diagnosis) within: Duration,
    /// By what.
    pub(in crate::diagnosis) event: Event,
    /// No Close frame of the server told them.
    pub(in crate::diagnosis) wordless: bool,
    /// The first connection that the server refused afterwards.
    pub(in crate::diagnosis) refused: Option<PacketRef>,
    /// The first that it took again.
    pub(in crate::diagnosis) back: Option<PacketRef>,
    /// They had begun together too, so that equal timers would end them together.
    pub(in crate::diagnosis) same_age: bool,
}

/// All of them, in the order of their first ends.
pub(super) fn masses(trials: &[Trial<'_>]) -> Vec<Mass> {
    let mut servers: BTreeMap<SocketAddr, Vec<usize>> = BTreeMap::new();
    for (place, trial) in trials.iter().enumerate() {
        servers.entry(trial.server).or_default().push(place);
    }
    let mut masses: Vec<Mass> = servers
        .values()
        .filter(|places| places.len() >= TOGETHER.0)
        .flat_map(|places| of_server(places, trials))
        .collect();
    masses.sort_by_key(|mass| mass.first);
    masses
}

/// An end that some event of the server's side may have brought about.
fn end_of(trial: &Trial<'_>) -> Option<Timestamp> {
    let sudden = match trial.fate {
        // What a server says of one client's messages is about that client.
        Fate::Closed(code) => !matches!(code, 1002 | 1003 | 1007 | 1009 | 1010),
        Fate::Dropped | Fate::Dismissed => trial.opened(),
        _ => false,
    };
    trial.over.filter(|_| sudden).map(|over| over.time)
}

fn of_server(places: &[usize], trials: &[Trial<'_>]) -> Vec<Mass> {
    let of = |place: &usize| trials.get(*place);
    let mut ends: Vec<(Timestamp, usize)> = places
        .iter()
        .filter_map(|place| Some((end_of(of(place)?)?, *place)))
        .collect();
    if ends.len() < TOGETHER.0 {
        return Vec::new();
    }
    ends.sort_unstable();
    let crowd = Crowd::of(&ends, places, trials);
    let mut found = Vec::new();
    let mut passed: usize = 0;
    while let Some((first, _)) = ends.get(passed).copied() {
        let until = first.saturating_add(TOGETHER.1);
        let near = ends.partition_point(|(at, _)| *at <= until);
        let open = crowd.open_at(first);
        // Where sessions always end so, a few at once are no event.
        let since = first.saturating_sub(Duration::from_secs(10));
        let before = passed.saturating_sub(ends.partition_point(|(at, _)| *at < since));
        let usual = before.saturating_mul(3) / 5;
        let count = crowd.there_until(first).saturating_sub(passed);
        let enough =
            count >= TOGETHER.0.saturating_add(usual) && count.saturating_mul(TOGETHER.2) >= open;
        if !enough {
            passed = passed.saturating_add(1);
            continue;
        }
        // One after another isn't together: who came after the first end was not there.
        let there = |place: &usize| of(place).is_some_and(|t| t.began.time <= first);
        let group: Vec<(Timestamp, usize)> = ends
            .get(passed..near)
            .unwrap_or_default()
            .iter()
            .copied()
            .filter(|(_, place)| there(place))
            .collect();
        found.extend(mass(&group, open, trials, places));
        passed = near.max(passed.saturating_add(1));
    }
    found
}

/// How many there are at a time, found without looking at each.
struct Crowd {
    /// When they began and when they were over, those that came to an open WebSocket.
    starts: Vec<Timestamp>,
    overs: Vec<Timestamp>,
    /// Of each that ends suddenly: from when on it is one that was there and ends within two seconds.
    joins: Vec<Timestamp>,
}

impl Crowd {
    fn of(ends: &[(Timestamp, usize)], places: &[usize], trials: &[Trial<'_>]) -> Self {
        let of = |place: &usize| trials.get(*place);
        let opened = || places.iter().filter_map(of).filter(|t| t.opened());
        let join = |(at, place): &(Timestamp, usize)| {
            Some(of(place)?.began.time.max(at.saturating_sub(TOGETHER.1)))
        };
        let mut crowd = Self {
            starts: opened().map(|t| t.began.time).collect(),
            overs: opened().filter_map(|t| Some(t.over?.time)).collect(),
            joins: ends.iter().filter_map(join).collect(),
        };
        crowd.starts.sort_unstable();
        crowd.overs.sort_unstable();
        crowd.joins.sort_unstable();
        crowd
    }

    /// Those that are open right before `at`.
    fn open_at(&self, at: Timestamp) -> usize {
        let begun = self.starts.partition_point(|start| *start <= at);
        begun.saturating_sub(self.overs.partition_point(|over| *over < at))
    }

    /// Those that began by `first` and end suddenly before it or within two seconds of it.
    fn there_until(&self, first: Timestamp) -> usize {
        self.joins.partition_point(|join| *join <= first)
    }
}

fn mass(
    group: &[(Timestamp, usize)],
    open: usize,
    trials: &[Trial<'_>],
    places: &[usize],
) -> Option<Mass> {
    let of: Vec<&Trial<'_>> = group
        .iter()
        .filter_map(|(_, place)| trials.get(*place))
        .collect();
    let (first, last) = (of.first()?.over?, of.last()?.over?);
    let within = last.time.saturating_since(first.time);
    let began = of.iter().map(|trial| trial.began.time);
    let spread = began.clone().max()?.saturating_since(began.min()?);
    let same_age = spread <= TOGETHER.1.max(within * 5);
    let dismissed = of.iter().filter(|t| t.fate == Fate::Dismissed).count();
    // Sessions that began together and whose server says good-bye when its work is done.
    if dismissed.saturating_mul(2) > of.len() && (same_age || of.len() < 5) {
        return None;
    }
    let later = |trial: &&Trial<'_>| {
        trial.began.time > first.time && trial.began.time.saturating_since(last.time) <= AFTERMATH
    };
    let from = places.partition_point(|place| trials.get(*place).is_some_and(|t| t.began <= first));
    let after = places
        .iter()
        .skip(from)
        .filter_map(|place| trials.get(*place))
        .take_while(later);
    let refused = after
        .clone()
        .find(|t| t.fate == Fate::NoConnection)
        .map(|t| t.began);
    let back = after
        .filter(|trial| refused.is_none_or(|refused| trial.began > refused))
        .find(|trial| trial.opened())
        .map(|trial| trial.began);
    let wordless = of.iter().all(|trial| trial.fate == Fate::Dropped);
    Some(Mass {
        server: of.first()?.server,
        ended: group.iter().map(|(_, place)| *place).collect(),
        open,
        first,
        within,
        event: event(&of, refused.is_some()),
        wordless,
        refused,
        back,
        same_age,
    })
}

fn event(ended: &[&Trial<'_>], refused: bool) -> Event {
    let most = |is: &dyn Fn(&Trial<'_>) -> bool| {
        let count = ended.iter().filter(|trial| is(trial)).count();
        count.saturating_mul(2) > ended.len()
    };
    if most(&|t| matches!(t.fate, Fate::Closed(1001 | 1012))) {
        return Event::Shutdown;
    }
    let code = ended.iter().find_map(|trial| match trial.fate {
        Fate::Closed(code) => Some(code),
        _ => None,
    });
    if let Some(code) = code
        && most(&|trial| trial.fate == Fate::Closed(code))
    {
        return Event::Policy(code);
    }
    if most(&|t| matches!(t.ended_by(), EndedBy::Network | EndedBy::Middlebox)) {
        return Event::Network;
    }
    if most(&|t| t.ended_by() == EndedBy::Proxy) {
        return Event::Proxy;
    }
    match refused {
        true => Event::Restart,
        false => Event::Unknown,
    }
}
