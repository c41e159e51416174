//! `lat-request-slow`: replies take long, or one takes far longer than the others.

use std::time::Duration;

use crate::diagnosis::refusal::shown;
use crate::diagnosis::wording::span;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};
use crate::session::{Answered, Application, Session};
use crate::stream::Direction;

pub(super) static RULE: Rule = Rule {
    id: "lat-request-slow",
    severity: Severity::Warn,
    summary: "replies take long, or one takes far longer than the others",
    explain: "\
## What it means
Requests and replies are told by the ids that the protocol gives them, never by their order. The time runs from the last byte of a request to the
first byte of its reply, as the capture point saw the two: a capture at the client includes the network, one at the server does not. Either most
replies are slow (`data.kind`: `all`), or a few stand out (`spike`). `data.max_ms` is the slowest, `data.p50_ms` and `data.p95_ms` are those of the
session, `data.tcp_rtt_ms` is what TCP needs to the answering side and back.

## What usually causes it
1. The answering side's program: a slow query, a lock, a blocked event loop.
2. The network: packets lost and sent again in the meantime.
3. The reply, or the request, waited behind other bytes.
4. The request took long to send.

## How to tell them apart
- TCP acknowledged the request at once, and no packet was sent again: the answering side had it and took its time.
- Retransmissions between the two: the network. The part that the reply waited for earlier bytes is named.
- The request's own first and last byte are far apart: its sender, or the way up.

## What to do
Look at the answering side's log and profiler for the method and the time of the slowest exchanges. Long polls and calls that wait on purpose are
slow by design.

## References
JSON-RPC 2.0, section 5; each protocol's chapter on requests and replies.
",
    checks: &[Check::Session(check)],
};

/// Rationale: percentiles of fewer say little.
const FEWEST: u64 = 20;
/// Rationale: beside fewer nothing stands out.
const FEWEST_BESIDE: u64 = 5;

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if let Some(application) = case.session.application.as_deref() {
        findings.extend(slow(case, application));
    }
}

fn slow(case: &Case<'_>, application: &Application) -> Option<Finding> {
    let latency = &application.latency;
    let worst = latency.slowest.first()?;
    let limit = case.thresholds.reply_slow;
    let (p50, p95) = (latency.times.median()?, latency.times.percentile(95)?);
    let count = latency.times.count();
    let all = count >= FEWEST && p95 > limit;
    let spike = count >= FEWEST_BESIDE
        && worst.took > limit
        && worst.took > p50.saturating_mul(case.thresholds.reply_spike);
    if !all && !spike {
        return None;
    }
    let session = case.session;
    let asker = worst.asker;
    let (side, peer) = (asker.sender(), asker.receiver());
    let method = named(session, worst);
    let summary = match all {
        true => format!(
            "the {peer} takes long to answer: half of {count} replies took more than {}, 5 % more than {}; the slowest, to {method}, {}",
            span(p50),
            span(p95),
            span(worst.took)
        ),
        false => format!(
            "the {peer} answered {method} after {}, where half of {count} replies took less than {}",
            span(worst.took),
            span(p50)
        ),
    };
    let mut finding = Finding::new(
        &RULE,
        session,
        surely_paired(session, worst),
        Evidence::new(worst.asked, format!("request, {side} to {peer}: {method}")),
        summary,
    )
    .evidence(worst.replied, "its reply");
    let others = latency.slowest.iter().skip(1);
    for other in others.filter(|other| other.took > limit) {
        let what = format!("another reply after {}", span(other.took));
        finding = finding.evidence(other.replied, what);
    }
    let tcp = session.leg.rtt[asker.reverse()].min();
    finding = finding
        .data(
            "kind",
            Value::Text(if all { "all" } else { "spike" }.to_owned()),
        )
        .data("method", Value::Text(method))
        .data("max_ms", Value::Ms(worst.took))
        .data("p50_ms", Value::Ms(p50))
        .data("p95_ms", Value::Ms(p95))
        .data("replies", Value::Count(count))
        .data("tcp_rtt_ms", Value::Ms(tcp.unwrap_or_default()));
    for (confidence, text) in causes(session, worst, tcp.unwrap_or_default()) {
        finding = finding.cause(confidence, text);
    }
    Some(finding.advice(format!(
        "look at what the {peer} did for the slowest requests at that time; `wscope messages` has the time of each reply"
    )))
}

/// Where something is missing since the request, the reply may be another one's with the same id.
fn surely_paired(session: &Session, worst: &Answered) -> Confidence {
    let mut blind = session.blind.iter();
    let lacks = blind.any(|(_, at)| at.is_some_and(|at| at >= worst.request));
    match worst.certain && !lacks {
        true => Confidence::Certain,
        false => Confidence::Likely,
    }
}

/// What the wire says of the slowest exchange.
fn causes(session: &Session, worst: &Answered, tcp: Duration) -> Vec<(Confidence, String)> {
    let peer = worst.asker.receiver();
    let mut causes = Vec::new();
    let again = session.leg.last_retransmission;
    let resent = Direction::BOTH.into_iter().any(|direction| {
        again[direction].is_some_and(|at| at >= worst.request && at <= worst.replied)
    });
    if worst.held_up > worst.took / 2 {
        let text = format!(
            "the reply was there and waited {} for bytes before it",
            span(worst.held_up)
        );
        causes.push((Confidence::Likely, text));
    } else if resent {
        let text = "packets were lost and sent again in the meantime".to_owned();
        causes.push((Confidence::Likely, text));
    }
    if worst.sending > worst.took {
        let text = format!("the request itself took {} to send", span(worst.sending));
        causes.push((Confidence::Possible, text));
    }
    let soon =
        |at: crate::stream::PacketRef| at.time.saturating_since(worst.asked.time) <= worst.took / 2;
    let taken = worst.acked.is_some_and(soon);
    let own = worst.took.saturating_sub(tcp);
    let (confidence, text) = match (taken, resent) {
        (true, false) => (
            Confidence::Likely,
            format!(
                "the {peer}'s program: its TCP had the request at once, and {} of the time are not the network's",
                span(own)
            ),
        ),
        _ => (Confidence::Possible, format!("the {peer}'s program")),
    };
    causes.push((confidence, text));
    causes.sort_by_key(|(confidence, _)| std::cmp::Reverse(*confidence));
    causes
}

/// The method for people.
fn named(session: &Session, answered: &Answered) -> String {
    let method = shown(session, &answered.method.text(), 60);
    match method.as_str() {
        "" => "a request".to_owned(),
        _ => method,
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::Script;
    use crate::stream::Direction::{ClientToServer, ServerToClient};

    fn call(script: Script, id: u32, took: f64) -> Script {
        script
            .text(
                ClientToServer,
                &format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"get"}}"#),
            )
            .wait_s(took)
            .text(
                ServerToClient,
                &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#),
            )
    }

    #[test]
    fn one_reply_that_takes_800_ms_among_quick_ones_is_the_servers() {
        let script = (0..10).fold(Script::new().upgrade(), |script, id| {
            call(script, id, 0.005)
        });
        let told = call(script, 10, 0.8).clean_close(ClientToServer).told();
        let finding = told.only("lat-request-slow");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("spike".to_owned())))
        );
        let cause = finding.causes.first().map(|cause| cause.text.as_str());
        assert!(
            cause.is_some_and(|text| text.starts_with("the server's program")),
            "{cause:?}"
        );
    }

    #[test]
    fn replies_that_all_take_400_ms_are_not_slow() {
        let script = (0..20).fold(Script::new().upgrade(), |script, id| call(script, id, 0.4));
        assert!(script.told().of("lat-request-slow").is_empty());
    }

    #[test]
    fn replies_that_all_take_a_second_are() {
        let script = (0..20).fold(Script::new().upgrade(), |script, id| call(script, id, 1.0));
        let told = script.told();
        let finding = told.only("lat-request-slow");
        assert!(
            finding
                .data
                .contains(&("kind", Value::Text("all".to_owned())))
        );
    }
}
