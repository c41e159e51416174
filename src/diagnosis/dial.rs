//! Connections that never said WebSocket, grouped by who dialled what, so that
//! a scan or an outage is one finding and not one for each host. Attempts that
//! the capture only counts (`Capture::more_attempts`) join in `counted_only`.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

use super::{Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::{Attempt, Capture, MoreAttempts, Session};

/// Rationale: a handful of clients can be looked at one by one; with more, what they dial is to blame.
const CLIENTS: usize = 3;
/// Rationale: no application dials so many ports, or hosts, in vain: that is a scan, or a dead host.
const TARGETS: usize = 16;

/// Attempts that belong together, oldest first.
pub(super) struct Dial<'a> {
    /// The first of them.
    pub(super) first: &'a Attempt,
    /// Those that were kept; never empty.
    pub(super) attempts: Vec<&'a Attempt>,
    /// All of them, with those that were only counted.
    pub(super) count: u64,
    clients: HashSet<IpAddr>,
    servers: HashSet<SocketAddr>,
    /// Another connection ties a server of it to WebSocket.
    tied: bool,
    /// There were attempts that nobody counted: what is counted is a minimum.
    at_least: bool,
}

/// One attempt, or several that were only counted.
struct Item<'a> {
    client: IpAddr,
    server: SocketAddr,
    attempt: Option<&'a Attempt>,
    count: u64,
}

/// What the attempts of a group have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Group {
    /// The client host and the server port.
    Pair(IpAddr, SocketAddr),
    /// The server port.
    Server(SocketAddr),
    /// The client host and the server host: a scan of its ports.
    Scan(IpAddr, IpAddr),
    /// The server host.
    Host(IpAddr),
    /// The client host: a scan of many hosts.
    Client(IpAddr),
}

/// The attempts for which `fits` holds, grouped, in the order of their first packets.
pub(super) fn dials<'a>(overview: &Overview<'a>, fits: impl Fn(&Attempt) -> bool) -> Vec<Dial<'a>> {
    let fitting: Vec<bool> = overview.attempts.iter().map(&fits).collect();
    if !fitting.contains(&true) {
        return Vec::new();
    }
    let mut items: Vec<Item<'a>> = overview
        .attempts
        .iter()
        .zip(&fitting)
        .filter(|(_, fits)| **fits)
        .map(|(attempt, _)| Item {
            client: attempt.leg.client.ip(),
            server: attempt.leg.server,
            attempt: Some(attempt),
            count: 1,
        })
        .collect();
    items.sort_by_key(|item| item.attempt.map(|attempt| attempt.leg.first));
    items.extend(counted_only(
        overview.attempts,
        &fitting,
        &overview.capture.more_attempts,
    ));
    let far_end = |session: &Session| session.leg.far_end().parse().ok();
    let ends = overview
        .sessions
        .iter()
        .flat_map(|session| [Some(session.leg.server), far_end(session)]);
    let tied: HashSet<SocketAddr> = ends.flatten().collect();
    let groups = grouping(&items, &tied);
    let mut dials = collect(items, &groups, &tied);
    for dial in &mut dials {
        // Those of one client to one port are counted to the last, others may have been let go.
        dial.at_least = overview.capture.attempts_beyond > 0 && !dial.is_pair();
    }
    dials
}

/// A place to look for attempts like one that was only counted: client, server host, server port.
type Place = (Option<IpAddr>, Option<IpAddr>, Option<u16>);

fn places(client: IpAddr, server: SocketAddr) -> [Place; 4] {
    let (host, port) = (Some(server.ip()), Some(server.port()));
    [
        (Some(client), host, port),
        (None, host, port),
        (None, host, None),
        (Some(client), None, None),
    ]
}

/// The attempts that were only counted and that most likely ended as those that
/// fit: all the kept ones of the same client and port did, or else of the same
/// port, or else of the same host, or else of the same client.
fn counted_only<'a>(
    attempts: &[Attempt],
    fitting: &[bool],
    more: &[MoreAttempts],
) -> Vec<Item<'a>> {
    if more.is_empty() {
        return Vec::new();
    }
    let mut all_fit: HashMap<Place, bool> = HashMap::new();
    for (attempt, fits) in attempts.iter().zip(fitting) {
        for place in places(attempt.leg.client.ip(), attempt.leg.server) {
            *all_fit.entry(place).or_insert(true) &= *fits;
        }
    }
    let fits = |more: &&MoreAttempts| {
        places(more.client, more.server)
            .iter()
            .find_map(|place| all_fit.get(place))
            .is_some_and(|fit| *fit)
    };
    more.iter()
        .filter(fits)
        .map(|more| Item {
            client: more.client,
            server: more.server,
            attempt: None,
            count: more.count,
        })
        .collect()
}

/// The keys that more than `limit` different values go with.
fn crowded<K: Copy + Eq + Hash, V: Eq + Hash>(
    pairs: impl Iterator<Item = (K, V)>,
    limit: usize,
) -> HashSet<K> {
    let mut values: HashMap<K, HashSet<V>> = HashMap::new();
    for (key, value) in pairs {
        values.entry(key).or_default().insert(value);
    }
    let full = values
        .into_iter()
        .filter(|(_, values)| values.len() > limit);
    full.map(|(key, _)| key).collect()
}

/// The group of each item. A port that sessions use is never lost in a scan.
fn grouping(items: &[Item<'_>], tied: &HashSet<SocketAddr>) -> Vec<Group> {
    let loose = || items.iter().filter(|item| !tied.contains(&item.server));
    let pair = |item: &Item<'_>| (item.client, item.server.ip());
    let scans = crowded(loose().map(|i| (pair(i), i.server.port())), TARGETS);
    let mut hosts = crowded(scans.iter().map(|(client, host)| (*host, *client)), CLIENTS);
    let others = || loose().filter(|item| !scans.contains(&pair(item)));
    hosts.extend(crowded(
        others().map(|i| (i.server.ip(), i.server.port())),
        TARGETS,
    ));
    let servers = crowded(items.iter().map(|i| (i.server, i.client)), CLIENTS);
    let clients = crowded(
        others()
            .filter(|i| !hosts.contains(&i.server.ip()) && !servers.contains(&i.server))
            .map(|i| (i.client, i.server.ip())),
        TARGETS,
    );
    let group = |item: &Item<'_>| {
        let (client, server, host) = (item.client, item.server, item.server.ip());
        let loose = !tied.contains(&server);
        if loose && hosts.contains(&host) {
            Group::Host(host)
        } else if loose && scans.contains(&(client, host)) {
            Group::Scan(client, host)
        } else if servers.contains(&server) {
            Group::Server(server)
        } else if loose && clients.contains(&client) {
            Group::Client(client)
        } else {
            Group::Pair(client, server)
        }
    };
    items.iter().map(group).collect()
}

fn collect<'a>(
    items: Vec<Item<'a>>,
    groups: &[Group],
    tied: &HashSet<SocketAddr>,
) -> Vec<Dial<'a>> {
    let mut places: HashMap<Group, usize> = HashMap::new();
    let mut dials: Vec<Dial<'a>> = Vec::new();
    for (item, group) in items.into_iter().zip(groups) {
        let place = *places.entry(*group).or_insert(dials.len());
        if dials.len() == place {
            let Some(first) = item.attempt else {
                // Nothing of this group was kept: there is no packet to show.
                places.remove(group);
                continue;
            };
            dials.push(Dial {
                first,
                attempts: Vec::new(),
                count: 0,
                clients: HashSet::new(),
                servers: HashSet::new(),
                tied: false,
                at_least: false,
            });
        }
        if let Some(dial) = dials.get_mut(place) {
            dial.attempts.extend(item.attempt);
            dial.count = dial.count.saturating_add(item.count);
            dial.clients.insert(item.client);
            dial.servers.insert(item.server);
            dial.tied |= tied.contains(&item.server) || item.attempt.is_some_and(asks_for_http_1);
        }
    }
    dials
}

impl Dial<'_> {
    /// One client host and one server port.
    pub(super) fn is_pair(&self) -> bool {
        self.clients.len() == 1 && self.servers.len() == 1
    }

    /// Many ports or hosts.
    pub(super) fn is_scan(&self) -> bool {
        self.servers.len() > 1
    }

    /// Who dialled: `10.0.0.1`, `40 clients`.
    pub(super) fn who(&self) -> String {
        match self.clients.len() {
            1 => self.first.leg.client.ip().to_string(),
            count => format!("{}{count} clients", self.minimum()),
        }
    }

    /// `who` in a sentence: `10.0.0.1 was`, `40 clients were`.
    pub(super) fn who_was(&self) -> String {
        let verb = if self.clients.len() == 1 {
            "was"
        } else {
            "were"
        };
        format!("{} {verb}", self.who())
    }

    /// What was dialled: `10.0.0.2:8080`, `20 ports of 10.0.0.2`, `30 hosts`.
    pub(super) fn whom(&self) -> String {
        let server = self.first.leg.server;
        match (self.hosts(), self.servers.len()) {
            (_, 1) => server.to_string(),
            (1, ports) => format!("{}{ports} ports of {}", self.minimum(), server.ip()),
            (hosts, _) => format!("{}{hosts} hosts", self.minimum()),
        }
    }

    /// Before a count that may be too small.
    pub(super) fn minimum(&self) -> &'static str {
        if self.at_least { "at least " } else { "" }
    }

    fn hosts(&self) -> usize {
        let hosts: HashSet<IpAddr> = self.servers.iter().map(SocketAddr::ip).collect();
        hosts.len()
    }

    /// The rule's own where something else ties this server to WebSocket, or
    /// where the capture holds nothing else that speaks; otherwise it may be
    /// anybody's connection.
    pub(super) fn severity(&self, overview: &Overview<'_>, rule: &Rule) -> Severity {
        if self.tied || nothing_else(overview.sessions, overview.attempts, overview.capture) {
            rule.severity
        } else {
            Severity::Info
        }
    }

    /// A finding about it, with the counts; `shown` is the attempt that its first evidence is of.
    pub(super) fn finding(
        &self,
        overview: &Overview<'_>,
        rule: &'static Rule,
        shown: &Attempt,
        confidence: Confidence,
        evidence: Evidence,
        summary: String,
    ) -> Finding {
        let mut found = Finding::of_connection(rule, &shown.leg, confidence, evidence, summary)
            .severity(self.severity(overview, rule))
            .data("attempts", Value::Count(self.count));
        if self.at_least {
            found = found.data("at_least", Value::Flag(true));
        }
        if self.clients.len() > 1 {
            found.data.retain(|(name, _)| *name != "client");
            found = found.data("clients", Value::Count(whole(self.clients.len())));
        }
        if self.servers.len() > 1 {
            found.data.retain(|(name, _)| *name != "server");
            found = match self.hosts() {
                1 => found
                    .data("server", Value::Text(shown.leg.server.ip().to_string()))
                    .data("ports", Value::Count(whole(self.servers.len()))),
                hosts => found.data("hosts", Value::Count(whole(hosts))),
            }
            .cause(
                Confidence::Likely,
                "a scan, or a host that is gone altogether: no application dials so many ports or hosts",
            );
        }
        found
    }
}

/// The ClientHello offers HTTP/1.1 and nothing newer, which browsers and most
/// libraries do for WebSockets only.
fn asks_for_http_1(attempt: &Attempt) -> bool {
    let hello = attempt.leg.tls.as_deref();
    let hello = hello.and_then(|tls| tls.client_hello.as_ref());
    hello.is_some_and(|(hello, _)| matches!(hello.alpn.as_slice(), [one] if one == "http/1.1"))
}

/// The capture holds nothing but failed connections, so they are what it is about.
pub(super) fn nothing_else(sessions: &[Session], attempts: &[Attempt], capture: &Capture) -> bool {
    let counted: u64 = capture.more_attempts.iter().map(|more| more.count).sum();
    let failed = whole(attempts.len())
        .saturating_add(counted)
        .saturating_add(capture.attempts_beyond);
    sessions.is_empty()
        && capture.http_exchanges == 0
        && capture.tcp_connections
            <= failed
                .saturating_add(capture.wordless)
                // The other side of a translation is the same connection.
                .saturating_add(capture.translated_count)
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
