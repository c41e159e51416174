//! Tunnels that a proxy didn't open: CONNECTs that were refused or never
//! answered, grouped, and what ties them to WebSocket.

mod prefix;
mod refused;
mod socks;
mod unanswered;

pub(super) use prefix::{about_missing_proxy_header, about_proxy_header};
pub(super) use refused::check as refused;
pub(super) use socks::check as refused_by_socks;
pub(super) use unanswered::check as unanswered;

use std::net::{IpAddr, SocketAddr};

use super::dial::nothing_else;
use super::{Finding, Overview, Rule, Severity, Value};
use crate::session::redact::Secrets;
use crate::session::{Attempt, TunnelRequest};

/// CONNECTs of one client host to one proxy that met with the same.
struct Failure<'a> {
    /// The first of them: its connection, and the request that decided there.
    first: &'a Attempt,
    request: &'a TunnelRequest,
    /// All of them.
    count: u64,
    /// Their targets, each once.
    targets: Vec<&'a str>,
    /// The rule's, or info where it may be anybody's tunnel.
    severity: Option<Severity>,
}

/// What belongs together. Targets that nothing ties to WebSocket are one heap.
type Key<'a> = (IpAddr, SocketAddr, Option<u16>, Option<&'a str>);

/// The connections whose last CONNECT opened nothing and for which `fits` holds.
fn failures<'a>(
    overview: &Overview<'a>,
    fits: impl Fn(&Attempt, &TunnelRequest) -> bool,
) -> Vec<Failure<'a>> {
    let alone = nothing_else(overview.sessions, overview.attempts, overview.capture);
    let mut found: Vec<(Key<'a>, Failure<'a>)> = Vec::new();
    for attempt in overview.attempts {
        let Some(request) = attempt.connects.last() else {
            continue;
        };
        if !fits(attempt, request) {
            continue;
        }
        let reply = request.socks.map(|refusal| u16::from(refusal.reply));
        let status = request.response.as_ref().map(|response| response.status);
        let status = status.or(reply);
        let overcome = is_overcome(overview, attempt, request);
        if overcome && status == Some(ASKS_FOR_CREDENTIALS) {
            // A step on the way, not a failure.
            continue;
        }
        let loud = !overcome && (alone || is_tied(overview, request));
        let target = request.target.as_str();
        let leg = &attempt.leg;
        let key = (leg.client.ip(), leg.server, status, loud.then_some(target));
        match found.iter_mut().find(|(known, _)| *known == key) {
            Some((_, failure)) => {
                failure.count += 1;
                if !failure.targets.contains(&target) {
                    failure.targets.push(target);
                }
            }
            None => found.push((
                key,
                Failure {
                    first: attempt,
                    request,
                    count: 1,
                    targets: vec![target],
                    severity: (!loud).then_some(Severity::Info),
                },
            )),
        }
    }
    found.into_iter().map(|(_, failure)| failure).collect()
}

/// RFC 9110, section 15.5.8.
const ASKS_FOR_CREDENTIALS: u16 = 407;

/// The same client got its tunnel later: with credentials, or at the next attempt.
fn is_overcome(overview: &Overview<'_>, attempt: &Attempt, request: &TunnelRequest) -> bool {
    let leg = &attempt.leg;
    overview.capture.tunnels.iter().any(|opened| {
        (opened.client, opened.proxy) == (leg.client.ip(), leg.server)
            && opened.target.eq_ignore_ascii_case(&request.target)
            && opened.asked > request.first
    })
}

/// A session of this capture speaks WebSocket with the same target.
fn is_tied(overview: &Overview<'_>, request: &TunnelRequest) -> bool {
    let same = |other: &str| bare(other).eq_ignore_ascii_case(bare(&request.target));
    overview.sessions.iter().any(|session| {
        let host = session.handshake.request.headers.first("Host");
        same(&session.leg.far_end())
            || same(&session.leg.server.to_string())
            || host.is_some_and(same)
    })
}

/// The default ports of ws and wss may be left out in one place and stand in another.
fn bare(target: &str) -> &str {
    target
        .strip_suffix(":443")
        .or_else(|| target.strip_suffix(":80"))
        .unwrap_or(target)
}

impl Failure<'_> {
    /// Whom the client wanted: `a.test:443`, `a.test:443 and 3 others`.
    fn whom(&self) -> String {
        let first = Secrets::Redacted.authority(&self.request.target);
        match self.targets.len() {
            0 | 1 => first.into_owned(),
            2 => format!("{first} and 1 other"),
            more => format!("{first} and {} others", more - 1),
        }
    }

    fn proxy(&self) -> SocketAddr {
        self.first.leg.server
    }

    /// `, 3 times`.
    fn times(&self) -> String {
        match self.count {
            1 => String::new(),
            count => format!(", {count} times"),
        }
    }

    /// With what is the same for all of them.
    fn dressed(&self, finding: Finding, rule: &Rule) -> Finding {
        let targets = self.targets.iter().take(16);
        let targets = targets.map(|target| Secrets::Redacted.authority(target).into_owned());
        let target = Secrets::Redacted.authority(&self.request.target);
        let finding = finding
            .severity(self.severity.unwrap_or(rule.severity))
            .data("kind", Value::Text(self.request.kind.name().to_owned()))
            .data("target", Value::Text(target.into_owned()))
            .data("attempts", Value::Count(self.count));
        match self.targets.len() {
            1 => finding,
            _ => finding.data("targets", Value::List(targets.collect())),
        }
    }
}
