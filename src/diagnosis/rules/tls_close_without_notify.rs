//! `tls-close-without-notify`: TCP ended, and the side that ended it had said nothing in TLS.

use crate::diagnosis::closing::close_of;
use crate::diagnosis::tls::has_all_of;
use crate::diagnosis::{
    Check, Confidence, EndedBy, Evidence, Finding, Kind, Overview, Rule, Severity, Terminator,
    Value,
};
use crate::session::Session;
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "tls-close-without-notify",
    severity: Severity::Info,
    summary: "a session that ended without a Close frame ended without a TLS close_notify, too",
    explain: "\
## What it means
Who ends TLS in good order sends a close_notify before the FIN. This side ended a session that way neither in WebSocket nor in TLS: the
program that owned the connection probably didn't end it, its kernel or a device did. It only helps to tell causes of a 1006 apart, and is
never a fault of its own.

## What usually causes it
- The process was killed or crashed.
- A proxy cut old connections after a reload (nginx with `worker_shutdown_timeout`).
- A balancer that works on TCP ended it.
- A library that never sends one.

## How to tell them apart
- Other sessions of the same host do send one (`data.others_sent`): this end was not of its program's will.
- All sessions of that host end so: a habit of its library; then nothing is told from the third one on.

## What to do
Nothing about TLS. Look for what ended the process or the connection at that time.

## References
RFC 8446, section 6.1.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: two ends may be the same crash; more of them without one that differs are a habit.
const HABIT: usize = 3;

/// An end by a side whose every record could be read.
fn end_of(session: &Session) -> Option<(Terminator, bool)> {
    let tls = session.leg.tls.as_deref()?;
    let closing = close_of(session);
    let end = closing.terminator?;
    let own = matches!(
        closing.ended_by,
        EndedBy::Client | EndedBy::Server | EndedBy::Proxy
    );
    // A close_notify that nobody could read shows by its size and its place.
    let sized = session.keyless.is_some();
    let read =
        (tls.opened[end.direction].is_some() || sized) && has_all_of(&session.leg, end.direction);
    let said = tls.close_notify[end.direction].is_some();
    (own && read).then_some((end, said))
}

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let ends: Vec<_> = overview
        .sessions
        .iter()
        .filter_map(|session| end_of(session).map(|(end, said)| (session, end, said)))
        .collect();
    for (session, end, said) in &ends {
        if *said || close_of(session).kind != Kind::Abnormal || end.farewell.is_some() {
            continue;
        }
        let host = host_of(session, end.direction);
        let of_host = ends
            .iter()
            .filter(|(other, e, _)| host_of(other, e.direction) == host);
        let (mut silent, mut sent) = (0_usize, 0_usize);
        for (_, _, said) in of_host {
            if *said { sent += 1 } else { silent += 1 }
        }
        if sent == 0 && silent >= HABIT {
            continue;
        }
        findings.push(of_session(session, end, sent));
    }
}

fn host_of(session: &Session, side: Direction) -> std::net::IpAddr {
    match side {
        Direction::ClientToServer => session.leg.client.ip(),
        Direction::ServerToClient => session.leg.server.ip(),
    }
}

fn of_session(session: &Session, end: &Terminator, sent: usize) -> Finding {
    let side = match end.direction {
        Direction::ClientToServer => "client",
        Direction::ServerToClient => "server",
    };
    let word = end.word();
    let confidence = if sent > 0 {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let first = Evidence::new(
        end.at,
        format!("{word} of the {side}, no close_notify before it"),
    );
    let summary =
        format!("the {side}'s side ended TCP with a {word} and without a TLS close_notify");
    Finding::new(&RULE, session, confidence, first, summary)
        .data(
            "others_sent",
            Value::Count(u64::try_from(sent).unwrap_or(u64::MAX)),
        )
        .cause(
            confidence,
            "the process was killed or crashed, or a device ended the connection",
        )
        .cause(Confidence::Possible, "a habit of its library")
        .advice("look for what ended the process or the connection at that time")
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::{Finding, Thresholds, diagnose_capture};
    use crate::script::Script;
    use crate::session::Tls;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    /// Sessions over TLS that the server ends without a Close frame, with or without a close_notify.
    fn ended(notified: &[bool]) -> Vec<Finding> {
        let mut script = Script::new();
        for (port, _) in (40_001..).zip(notified) {
            script = script.elsewhere(port, |script| {
                let script = script.upgrade().text(ClientToServer, "hi");
                script.fin(ServerToClient).fin(ClientToServer)
            });
        }
        let mut told = script.told();
        assert_eq!(told.sessions.len(), notified.len());
        for (session, notified) in told.sessions.iter_mut().zip(notified) {
            let mut tls = Tls::default();
            tls.opened.server = session.leg.first_payload.server;
            tls.close_notify.server = session.leg.fin.server.filter(|_| *notified);
            session.leg.tls = Some(Box::new(tls));
        }
        let thresholds = Thresholds::default();
        let findings = diagnose_capture(&told.sessions, &[], &told.capture, &thresholds);
        let ours = |finding: &Finding| finding.rule.id == super::RULE.id;
        findings.into_iter().filter(ours).collect()
    }

    #[test]
    fn an_end_without_a_close_notify_is_information() {
        let found = ended(&[false]);
        let told: Vec<_> = found
            .iter()
            .map(|f| (f.severity.name(), f.confidence.name()))
            .collect();
        assert_eq!(told, [("info", "possible")]);
        assert!(ended(&[true]).is_empty());
    }

    #[test]
    fn a_host_that_sends_one_elsewhere_makes_it_likely() {
        let found = ended(&[true, false]);
        let told: Vec<_> = found.iter().map(|f| f.confidence.name()).collect();
        assert_eq!(told, ["likely"]);
    }

    #[test]
    fn a_habit_is_not_told() {
        assert_eq!(ended(&[false, false]).len(), 2);
        assert!(ended(&[false, false, false]).is_empty());
    }
}
