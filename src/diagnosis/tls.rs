//! What the TLS handshake of a connection came to, for the rules about it.

use super::wording::span;
use crate::session::{Alert, AlertSeen, Attempt, CertificateProblem, Leg, Tls};
use crate::stream::{Direction, PacketRef};
use crate::time::Timestamp;

/// The client left when it had seen the server's certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejection {
    /// The server's certificate, or the protected flight that holds it.
    pub(super) shown: PacketRef,
    /// What the client did.
    pub(super) how: Left,
    /// Its packet.
    pub(super) at: PacketRef,
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Left {
    /// An alert that can be read and that is about the certificate.
    Told(Alert),
    /// A record of the size of an alert.
    Sealed,
    /// The end of TCP.
    Silently,
    /// The end of TCP, when the handshake was complete and nothing had been said in it.
    Late,
}

/// Alerts about a certificate (RFC 8446, section 6.2).
pub(super) fn is_about_certificate(description: u8) -> bool {
    matches!(description, 42..=46 | 48)
}

/// The fatal alert that ended this connection.
///
/// What a side sends behind the other's end only answers that end: OpenSSL says
/// `decode_error` to whoever hangs up in the handshake.
pub(super) fn ending_alert(leg: &Leg) -> Option<&AlertSeen> {
    let seen = leg.tls.as_deref()?.fatal()?;
    let peer = seen.direction.reverse();
    let late = ends(leg).any(|(who, at)| who == peer && at < seen.at);
    (!late).then_some(seen)
}

/// Whether this connection's client refused the server's certificate.
pub(super) fn rejection(attempt: &Attempt) -> Option<Rejection> {
    let leg = &attempt.leg;
    let tls = leg.tls.as_deref()?;
    let shown = tls.shown_certificate()?;
    let rejection = |how, at| Some(Rejection { shown, how, at });
    if let Some(alert) = ending_alert(leg) {
        let about = alert.direction == Direction::ClientToServer
            && is_about_certificate(alert.alert.description);
        return about
            .then(|| rejection(Left::Told(alert.alert), alert.at))
            .flatten();
    }
    if !has_all_of(leg, Direction::ClientToServer) || tls.close_notify.client.is_some() {
        return None;
    }
    let end = client_left(leg).filter(|at| *at >= shown)?;
    if tls.has_finished(Direction::ClientToServer) {
        return attempt
            .is_left_at_once()
            .then(|| rejection(Left::Late, end))
            .flatten();
    }
    match tls.sealed.client.alert {
        Some(at) => rejection(Left::Sealed, at),
        None => rejection(Left::Silently, end),
    }
}

/// Nothing of this side's stream is missing.
pub(super) fn has_all_of(leg: &Leg, side: Direction) -> bool {
    let lost = leg
        .tls
        .as_ref()
        .is_some_and(|tls| tls.records_lost[side] > 0);
    !lost && leg.last_packet[side].is_some() && leg.gaps.iter().all(|gap| gap.direction != side)
}

/// The client's FIN or reset, where it came before one of the server.
pub(super) fn client_left(leg: &Leg) -> Option<PacketRef> {
    let (who, at) = first_end(leg)?;
    (who == Direction::ClientToServer).then_some(at)
}

/// The first FIN or reset.
pub(super) fn first_end(leg: &Leg) -> Option<(Direction, PacketRef)> {
    ends(leg).min_by_key(|(_, at)| *at)
}

/// FINs and the resets that their receivers would accept.
fn ends(leg: &Leg) -> impl Iterator<Item = (Direction, PacketRef)> {
    let fins = Direction::BOTH
        .into_iter()
        .filter_map(|side| leg.fin[side].map(|at| (side, at)));
    let resets = leg.resets.iter().filter(|reset| reset.in_window);
    let resets = resets.map(|reset| (reset.direction, reset.at));
    fins.chain(resets)
}

/// A problem of the certificate in words: `expired 3 days before`.
pub(super) fn problem_in_words(problem: CertificateProblem, tls: &Tls) -> String {
    let Some((leaf, at)) = tls.certificate() else {
        return String::new();
    };
    match problem {
        CertificateProblem::Expired => format!(
            "the certificate had expired {} before the handshake",
            age(at.time, leaf.not_after)
        ),
        CertificateProblem::NotYetValid => format!(
            "the certificate becomes valid {} after the handshake",
            age(leaf.not_before, at.time)
        ),
        CertificateProblem::WrongName => format!(
            "the certificate is for {}, and the client asked for {}",
            names(&leaf.names),
            tls.server_name()
                .map_or_else(|| "another name".to_owned(), printable)
        ),
        CertificateProblem::EndsSoon => {
            let left = age(leaf.not_after, at.time);
            format!("the certificate expires {left} after the handshake")
        }
    }
}

/// `3 days`, or `2 h 5 min`.
fn age(later: Timestamp, earlier: Timestamp) -> String {
    let time = later.saturating_since(earlier);
    match time.as_secs() / 86_400 {
        0 => span(time),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// The first few.
fn names(names: &[String]) -> String {
    let shown = names.iter().take(3).map(|name| printable(name));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len() {
        0..=3 => shown,
        more => format!("{shown} and {} more", more - 3),
    }
}

/// A name from the wire without anything that a terminal would obey, and not too long.
fn printable(name: &str) -> String {
    /// Rationale: RFC 1035, section 3.1: no host name is longer.
    const LONGEST: usize = 255;
    let kept = name.chars().take(LONGEST);
    kept.map(|c| if c.is_control() { '·' } else { c }).collect()
}

/// The names that a client asks for come from the wire: only what a host name
/// may hold goes into a command.
pub(super) fn check_command(leg: &Leg) -> String {
    let tls = leg.tls.as_deref();
    let plain = |name: &&str| {
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    let name = tls.and_then(Tls::server_name).filter(plain);
    let name = name.map_or(String::new(), |name| format!(" -servername {name}"));
    format!("openssl s_client -connect {}{name} -showcerts", leg.server)
}
