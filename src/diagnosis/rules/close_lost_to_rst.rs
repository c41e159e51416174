//! `close-lost-to-rst`: a reset chased a Close frame.

use std::time::Duration;

use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::Reset;
use crate::stream::Direction;

/// Rationale: within a round trip or 50 ms the receiver can hardly have read the frame.
const CHASE: Duration = Duration::from_millis(50);

pub(super) static RULE: Rule = Rule {
    id: "close-lost-to-rst",
    severity: Severity::Warn,
    summary: "a reset chased the Close frame, so the other side may never have read it",
    explain: "\
## What it means
A side sent a Close frame, and its host a TCP reset right after it. A reset lets the receiver throw away what it hasn't read. Chromium then reports 1006
instead of the code; ws, undici, Python websockets and aiohttp still report the code.

## What usually causes it
- A server closes the socket right after Close 1009 or 1008 while the client still uploads: the kernel answers what comes then with a reset.
- The application aborts the socket (`terminate`, SO_LINGER 0) right after sending Close.

## How to tell them apart
Data of the other side between the Close frame and the reset: unread input. None: an abort.

## What to do
After Close read on, and throw away, until the other side has closed or a few seconds have passed (a lingering close).

## References
RFC 6455, section 7.1.1; RFC 9112, section 9.6; RFC 9293, section 3.6.
",
    checks: &[Check::Session(check)],
};

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for closer in Direction::BOTH {
        findings.extend(found(case, closer));
    }
}

/// The finding for this side's Close frame, if a reset chased it.
pub(super) fn found(case: &Case<'_>, closer: Direction) -> Option<Finding> {
    let (session, leg) = (case.session, &case.session.leg);
    let close = session.close[closer].as_ref()?;
    let sent = close.control.frame.at;
    let reset = leg
        .resets
        .iter()
        .find(|reset| reset.direction == closer && reset.at > sent)?;
    // Whose answer is on the wire before the reset has read the frame; so has who closed first.
    let read = session.close[closer.reverse()]
        .as_ref()
        .is_some_and(|theirs| theirs.control.frame.at < reset.at);
    let gone = leg.fin[closer.reverse()].is_some_and(|fin| fin < reset.at);
    let after = reset.at.time.saturating_since(sent.time);
    let round_trip =
        leg.rtt.client.min().unwrap_or_default() + leg.rtt.server.min().unwrap_or_default();
    if read || gone || after > CHASE.max(round_trip) {
        return None;
    }
    let uploads = leg.last_payload[closer.reverse()].is_some_and(|data| data > sent);
    // After its own FIN a reset is teardown noise, unless unread data draws it.
    (uploads || !reset.after_own_fin).then(|| explained(case, closer, reset, after, uploads))
}

fn explained(
    case: &Case<'_>,
    closer: Direction,
    reset: &Reset,
    after: Duration,
    uploads: bool,
) -> Finding {
    let session = case.session;
    let (name, other) = (closer.sender(), closer.reverse().sender());
    let (code, sent) = session.close[closer]
        .as_ref()
        .map_or((None, reset.at), |close| {
            (close.code, close.control.frame.at)
        });
    let seen = match closer {
        Direction::ServerToClient => case.closing.sees.client,
        Direction::ClientToServer => case.closing.sees.server,
    };
    let lost = seen == Some(1006);
    let confidence = if lost {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let summary = format!(
        "the {name} reset the connection {} after its Close frame{}, so the {other} may never have read it",
        span(after),
        code.map_or_else(String::new, |code| format!(" {code}"))
    );
    let mut finding = Finding::new(
        &RULE,
        session,
        confidence,
        Evidence::new(sent, format!("Close of the {name}")),
        summary,
    )
    .evidence(reset.at, format!("reset of the {name}"))
    .data("chase_ms", Value::Ms(after))
    .data("closer", Value::Text(name.to_owned()));
    if let Some(code) = code {
        finding = finding.data("status", Value::Count(u64::from(code)));
    }
    let cause = if uploads {
        format!("the {name} closed its socket while the {other} still sent")
    } else {
        format!("the {name} aborted its socket right after the Close frame")
    };
    finding.cause(Confidence::Likely, cause).advice(format!(
        "let the {name} read on after Close until the {other} has closed"
    ))
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    #[test]
    fn a_reset_right_after_close_may_cost_the_code() {
        let told = Script::new()
            .upgrade_with("User-Agent: Mozilla/5.0 Chrome/156\r\n", "")
            .close(ServerToClient, 1009, "")
            .rst(ServerToClient)
            .told();
        assert_eq!(told.only("close-lost-to-rst").confidence.name(), "likely");
        assert_eq!(told.sessions[0].leg.resets.len(), 1);
    }

    #[test]
    fn a_reset_after_the_answer_costs_nothing() {
        let told = Script::new()
            .upgrade()
            .close(ServerToClient, 1000, "")
            .close(ClientToServer, 1000, "")
            .rst(ServerToClient)
            .told();
        assert!(told.of("close-lost-to-rst").is_empty());
    }
}
