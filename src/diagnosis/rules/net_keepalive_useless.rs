//! `net-keepalive-useless`: TCP keep-alives ran, and the idle timer struck all the same.

use crate::diagnosis::ends::{self, Reading};
use crate::diagnosis::wording::{ping_interval, span};
use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "net-keepalive-useless",
    severity: Severity::Info,
    summary: "TCP keep-alives ran, but the idle timer that struck doesn't count them",
    explain: "\
## What it means
During the silence that ended the session one side sent TCP keep-alives. They carry no data: a proxy that works on HTTP or WebSocket never sees
them, since its TCP answers them. They keep devices awake that track flows (NAT, network load balancers, firewalls), nothing else.

## What usually causes it
- `SO_KEEPALIVE` was switched on in the hope that it keeps the session alive, or is a library's default.

## How to tell them apart
- A timer that counts packets (`close-1006-flow-expired`) would not have struck while keep-alives ran: the one that did counts data.

## What to do
Send WebSocket Pings (RFC 6455, section 5.5.2) or messages of the application at least twice within the timer's time.

## References
RFC 1122, section 4.2.3.6; RFC 6455, section 5.5.2.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    for end in ends::read(overview) {
        let Reading::Idle(timer) = &end.reading else {
            continue;
        };
        let leg = &end.hit.leg;
        let runs = Direction::BOTH.into_iter().filter_map(|side| {
            let (count, first, last) = leg.flow[side].keep_alives.run?;
            Some((side, count, first, last))
        });
        let Some((side, count, first, last)) = runs.max_by_key(|(_, count, ..)| *count) else {
            continue;
        };
        let idle = end.closing.idle.unwrap_or_default();
        let side = side.sender();
        let summary = format!(
            "the {side} sent {count} TCP keep-alives in the {} of silence before the end; the timer that struck doesn't count them",
            span(idle)
        );
        let confidence = timer.confidence.min(Confidence::Likely);
        findings.push(
            Finding::new(
                &RULE,
                end.hit,
                confidence,
                Evidence::new(first, format!("first keep-alive of the {side}")),
                summary,
            )
            .evidence(last, "the last one")
            .data("sender", Value::Text(side.to_owned()))
            .data("keep_alives", Value::Count(count.into()))
            .data("idle_ms", Value::Ms(idle))
            .advice(format!(
                "send WebSocket Pings at least every {}, instead of TCP keep-alives",
                ping_interval(idle)
            )),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn idle(keep_alives: u32) -> crate::script::Told {
        let mut script = Script::new()
            .upgrade_with("", "Server: nginx/1.22.1\r\n")
            .text(ClientToServer, "hi");
        for _ in 0..keep_alives {
            script = script.wait_s(14.998).keep_alive(ClientToServer);
        }
        let rest = 60.0 - 15.0 * f64::from(keep_alives);
        script.wait_s(rest).fin(ServerToClient).told()
    }

    #[test]
    fn keep_alives_before_an_idle_timeout_were_in_vain() {
        let told = idle(3);
        told.only("close-1006-idle-timeout");
        let finding = told.only("net-keepalive-useless");
        assert!(
            finding.summary.contains("sent 3 TCP keep-alives"),
            "{}",
            finding.summary
        );
    }

    #[test]
    fn an_idle_timeout_without_any_says_nothing_of_them() {
        assert!(idle(0).of("net-keepalive-useless").is_empty());
    }
}
