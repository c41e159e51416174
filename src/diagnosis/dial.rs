//! Connections that never said WebSocket, grouped by who dialled what.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::{Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::session::Attempt;

/// The attempts of one client host to reach one server port, oldest first; never empty.
pub(super) struct Dial<'a> {
    /// The first of them.
    pub(super) first: &'a Attempt,
    /// All of them.
    pub(super) attempts: Vec<&'a Attempt>,
}

/// The attempts for which `fits` holds, grouped, in the order of their first packets.
pub(super) fn dials<'a>(overview: &Overview<'a>, fits: impl Fn(&Attempt) -> bool) -> Vec<Dial<'a>> {
    let mut fitting: Vec<&Attempt> = overview.attempts.iter().filter(|a| fits(a)).collect();
    fitting.sort_by_key(|attempt| attempt.leg.first);
    let mut places: HashMap<(IpAddr, SocketAddr), usize> = HashMap::new();
    let mut dials: Vec<Dial<'a>> = Vec::new();
    for attempt in fitting {
        let key = (attempt.leg.client.ip(), attempt.leg.server);
        let place = *places.entry(key).or_insert(dials.len());
        match dials.get_mut(place) {
            Some(dial) => dial.attempts.push(attempt),
            None => dials.push(Dial {
                first: attempt,
                attempts: vec![attempt],
            }),
        }
    }
    dials
}

impl Dial<'_> {
    /// The rule's own where something else ties this server to WebSocket, or
    /// where the capture holds nothing else that speaks; otherwise it may be
    /// anybody's connection.
    pub(super) fn severity(&self, overview: &Overview<'_>, rule: &Rule) -> Severity {
        let server = self.first.leg.server;
        let tied = overview
            .sessions
            .iter()
            .any(|session| session.leg.server == server);
        let failed = u64::try_from(overview.attempts.len()).unwrap_or(u64::MAX);
        let capture = overview.capture;
        let alone = overview.sessions.is_empty()
            && capture.http_exchanges == 0
            && capture.tcp_connections <= failed.saturating_add(capture.wordless);
        if tied || alone {
            rule.severity
        } else {
            Severity::Info
        }
    }

    /// A finding about it, with the count; `shown` is the attempt that its evidence is of.
    pub(super) fn finding(
        &self,
        overview: &Overview<'_>,
        rule: &'static Rule,
        shown: &Attempt,
        confidence: Confidence,
        evidence: Evidence,
        summary: String,
    ) -> Finding {
        let count = u64::try_from(self.attempts.len()).unwrap_or(u64::MAX);
        Finding::of_connection(rule, &shown.leg, confidence, evidence, summary)
            .severity(self.severity(overview, rule))
            .data("attempts", Value::Count(count))
    }
}
