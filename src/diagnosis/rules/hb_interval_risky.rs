//! `hb-interval-risky`: Pings hardly more often than a timer that this capture shows.

use std::time::Duration;

use super::hb_pong_timeout::seconds;
use crate::diagnosis::Terminator;
use crate::diagnosis::closing::close_of;
use crate::diagnosis::wording::ping_interval;
use crate::diagnosis::{
    Check, Closing, Confidence, Evidence, Finding, Kind, Overview, Rule, Severity, Value,
};
use crate::session::Session;
use crate::stream::{Direction, PacketRef};

pub(super) static RULE: Rule = Rule {
    id: "hb-interval-risky",
    severity: Severity::Warn,
    summary: "the time between Pings is close to a timer that ends silent sessions",
    explain: "\
## What it means
A session pings with a period of at least 80 % of a silence after which sessions to the same server were ended in this very capture
(`data.timer_ms`). One late Ping and it is ended as well. It is an error where this session died of just that: it was ended after a silence as
long as its own period.

## What usually causes it
Heartbeat and idle timer have the same default: 60 s against 60 s is the common pair.

## How to tell them apart
If the sessions end after silences that differ a lot, it is no timer, and this finding doesn't apply.

## What to do
Ping at half of the timer at most, or raise the timer.

## References
RFC 6455, section 5.5.2.
",
    checks: &[Check::Capture(check)],
};

/// Rationale: one Ping that is late by a quarter of its period then misses the timer.
const SHARE: f64 = 0.8;
/// Rationale: shorter timers are those of tests and of application protocols.
const SHORTEST: Duration = Duration::from_secs(1);
/// Rationale: timers of proxies strike within 2 % after they ran out.
const SPREAD: f64 = 0.02;

/// A session that was ended after a silence by the side that wasn't silent's peer.
struct Expiry<'a> {
    session: &'a Session,
    idle: Duration,
    end: Terminator,
    last: PacketRef,
}

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let expiries: Vec<Expiry<'_>> = overview
        .sessions
        .iter()
        .filter_map(|session| expiry(session, &close_of(session)))
        .collect();
    if expiries.is_empty() {
        return;
    }
    for session in overview.sessions {
        for pinger in Direction::BOTH {
            if let Some(finding) = risky(session, pinger, &expiries) {
                findings.push(finding);
            }
        }
    }
}

/// Ended without a Close frame, after its longest silence.
fn expiry<'a>(session: &'a Session, closing: &Closing) -> Option<Expiry<'a>> {
    let (end, idle, last) = (closing.terminator?, closing.idle?, closing.idle_from?);
    let longest = idle >= session.leg.longest_silence.mul_f64(0.95);
    (closing.kind == Kind::Abnormal && longest && idle >= SHORTEST).then_some(Expiry {
        session,
        idle,
        end,
        last,
    })
}

fn risky(session: &Session, pinger: Direction, expiries: &[Expiry<'_>]) -> Option<Finding> {
    let ledger = &session.pings[pinger];
    let period = ledger.intervals.median().filter(|_| ledger.sent >= 3)?;
    // A side that ends the session itself has another reason than a timer that its Pings should have reset.
    let same_server = || {
        expiries.iter().filter(|expiry| {
            expiry.session.leg.server == session.leg.server
                && expiry.end.direction == pinger.reverse()
        })
    };
    let own = same_server().find(|expiry| expiry.session.id == session.id);
    // Ended after a silence of just its own period: a race that was lost. A
    // crash comes at any time of the period, a timer only at its end.
    let lost = own
        .filter(|own| own.idle >= period.mul_f64(0.98) && own.idle <= period.mul_f64(1.0 / SHARE));
    let agreeing = |timer: Duration| {
        same_server()
            .filter(|e| {
                e.idle >= timer.mul_f64(1.0 - SPREAD) && e.idle <= timer.mul_f64(1.0 + SPREAD)
            })
            .count()
    };
    let timer = match lost {
        Some(own) => own,
        // Silences of other sessions are a timer only if they agree.
        None => same_server().find(|e| {
            agreeing(e.idle) >= 2
                && period >= e.idle.mul_f64(SHARE)
                && period <= e.idle.mul_f64(1.0 + SPREAD)
        })?,
    };
    let side = pinger.sender();
    let count = agreeing(timer.idle);
    let confidence = match count {
        0 | 1 => Confidence::Possible,
        _ => Confidence::Likely,
    };
    let last_ping = ledger.last?;
    let mut finding = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(last_ping, format!("the last Ping of the {side}")),
        match lost {
            Some(_) => format!("the {side} pings every {}, and the session was ended after {} of silence", seconds(period), seconds(timer.idle)),
            None => format!("the {side} pings every {}; {count} sessions to this server were ended after {} of silence", seconds(period), seconds(timer.idle)),
        },
    )
    .data("sender", Value::Text(side.to_owned()))
    .data("period_ms", Value::Ms(period))
    .data("timer_ms", Value::Ms(timer.idle))
    .data("sessions", Value::Count(count as u64))
    .cause(confidence, "heartbeat and idle timer have nearly the same length")
    .advice(format!("ping at least every {}, or raise the timer", ping_interval(timer.idle)));
    // Evidence has to lie on this finding's own connection.
    if timer.session.id == session.id {
        finding = finding
            .evidence(timer.last, "the last payload")
            .evidence(timer.end.at, "the end after that silence")
            .severity(match confidence {
                Confidence::Possible => Severity::Warn,
                _ => Severity::Error,
            });
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Severity;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn pinging(mut script: Script, count: u8, period: f64) -> Script {
        for index in 0..count {
            script = script
                .wait_s(period)
                .ping(ClientToServer, &[index])
                .pong(ServerToClient, &[index]);
        }
        script
    }

    #[test]
    fn a_session_that_lost_the_race_against_a_timer_is_found() {
        let told = pinging(Script::new().upgrade(), 4, 60.0)
            .wait_s(60.2)
            .fin(ServerToClient)
            .told();
        let finding = told.only("hb-interval-risky");
        assert_eq!(finding.confidence.name(), "possible");
        assert_eq!(finding.severity, Severity::Warn);
    }

    #[test]
    fn two_that_lost_it_are_an_error() {
        let script = pinging(Script::new().upgrade(), 4, 60.0)
            .wait_s(60.2)
            .fin(ServerToClient)
            .at_port(40_002);
        let told = pinging(script.upgrade(), 4, 60.0)
            .wait_s(60.2)
            .fin(ServerToClient)
            .told();
        let found = told.of("hb-interval-risky");
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|f| f.severity == Severity::Error));
    }

    #[test]
    fn a_side_that_ends_the_session_itself_lost_no_race() {
        let told = pinging(Script::new().upgrade(), 4, 60.0)
            .wait_s(60.2)
            .fin(ClientToServer)
            .told();
        assert!(told.of("hb-interval-risky").is_empty());
    }

    #[test]
    fn an_end_in_the_middle_of_the_period_is_no_timer() {
        let told = pinging(Script::new().upgrade(), 4, 60.0)
            .wait_s(25.0)
            .fin(ServerToClient)
            .told();
        assert!(told.of("hb-interval-risky").is_empty());
    }
}
