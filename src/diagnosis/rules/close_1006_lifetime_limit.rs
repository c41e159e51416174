//! `close-1006-lifetime-limit`: sessions are cut at a fixed age.

use crate::diagnosis::ends::{self, End, Reading};
use crate::diagnosis::timeouts::{Counts, Timeout, Timeouts};
use crate::diagnosis::wording::span;
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "close-1006-lifetime-limit",
    severity: Severity::Warn,
    summary: "the session was cut at a fixed age, busy or not",
    explain: "\
## What it means
Something on the path allows a connection only so long a life, and ends it without a Close frame whether it is busy or not.

## What usually causes it
- Google Cloud's external load balancer: its backend service timeout (30 s unless raised) is the whole life of a WebSocket.
- Cloud Run (up to 1 h), AWS API Gateway (2 h), Azure Front Door (4 h), some exchanges' streams (24 h).

## How to tell them apart
- Sessions that began at different times end at the same age: a limit. They end at the same moment: an event, such as a deploy.
- The silence before the end differs from session to session: no idle timer.

## What to do
Open the next connection before the limit strikes, at nine tenths of the age, and move over. Or raise the limit.

## References
RFC 6455, section 7.1.5.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for end in ends::read(overview) {
        match &end.reading {
            Reading::Lifetime(timer) => {
                let finding = found(&end, timer.confidence, &timer.rows);
                let finding = finding.data("cluster", Value::Count(timer.cluster as u64));
                findings.push(end.told(finding));
            }
            Reading::Side => findings
                .extend(alone(&end, overview.thresholds.timeouts).map(|finding| end.told(finding))),
            Reading::Idle(_) | Reading::HalfClose { .. } | Reading::Path => {}
        }
    }
}

/// One end proves nothing, but an age that hits a known limit while the session was busy is worth a word.
fn alone(end: &End<'_>, timeouts: &'static Timeouts) -> Option<Finding> {
    let (idle, age) = (end.closing.idle?, end.age?);
    // Rationale: a limit is met within 1 %; the first packets of a session take that long at most.
    let rows: Vec<_> = timeouts
        .fitting(Counts::Lifetime, age)
        .filter(|row| age.abs_diff(row.after()) <= row.after() / 100)
        .collect();
    let theirs = end.terminator.direction == Direction::ServerToClient && end.together == 0;
    let busy = idle < age / 10;
    (theirs && busy && !rows.is_empty()).then(|| found(end, Confidence::Possible, &rows))
}

fn found(end: &End<'_>, confidence: Confidence, rows: &[&'static Timeout]) -> Finding {
    let age = end.age.unwrap_or_default();
    let began = end
        .session
        .leg
        .established
        .unwrap_or(end.session.handshake.request.last);
    let first = Evidence::new(began, "the connection is established");
    let summary = format!(
        "{} ended the connection at an age of {}, without a Close frame",
        end.ender(),
        span(age)
    );
    let mut finding = Finding::new(
        &RULE,
        end.session,
        confidence.min(end.certainty()),
        first,
        summary,
    )
    .evidence(end.terminator.at, "end of the connection")
    .data("age_ms", Value::Ms(age))
    .data("idle_ms", Value::Ms(end.closing.idle.unwrap_or_default()));
    for row in rows.iter().take(3) {
        finding = finding.cause(Confidence::Possible, row.candidate());
    }
    let early = span(age.mul_f64(0.9));
    finding.advice(format!(
        "open the next connection after {early} and move over to it, or raise the limit"
    ))
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, Told};
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn lives(seconds: &[(u16, f64, f64)]) -> Told {
        let mut script = Script::new();
        for (port, quiet, last) in seconds {
            script = script
                .at_port(*port)
                .upgrade()
                .wait_s(*quiet)
                .text(ClientToServer, "hi")
                .wait_s(*last)
                .fin(ServerToClient)
                .fin(ClientToServer);
        }
        script.told()
    }

    #[test]
    fn three_lives_of_the_same_length_are_a_limit() {
        let told = lives(&[(40_001, 5.0, 2.3), (40_002, 4.0, 3.3), (40_003, 6.3, 1.0)]);
        let found = told.of("close-1006-lifetime-limit");
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].confidence.name(), "likely");
        assert!(told.of("close-1006-peer-fin").is_empty());
    }

    #[test]
    fn two_are_not() {
        let told = lives(&[(40_001, 5.0, 2.3), (40_002, 4.0, 3.3)]);
        assert!(told.of("close-1006-lifetime-limit").is_empty());
    }

    #[test]
    fn a_busy_session_cut_at_30_s_may_have_met_the_limit_of_a_load_balancer() {
        let told = lives(&[(40_001, 29.0, 1.0)]);
        assert_eq!(
            told.only("close-1006-lifetime-limit").confidence.name(),
            "possible"
        );
    }
}
