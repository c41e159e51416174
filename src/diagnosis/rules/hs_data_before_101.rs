//! `hs-data-before-101`: the client sent bytes before the answer to its upgrade.

use crate::diagnosis::lacks::unless_unpaired;
use crate::diagnosis::{Case, Check, Confidence, Evidence, Finding, Rule, Severity, Value};

pub(super) static RULE: Rule = Rule {
    id: "hs-data-before-101",
    severity: Severity::Warn,
    summary: "the client sent data before the server had accepted the upgrade",
    explain: "\
## What it means
After its upgrade request the client sent more bytes before the 101 came. RFC 6455 wants it to wait. Some servers and many proxies lose
these bytes, or take them for a second HTTP request, and the stream is out of step from then on.

## What usually causes it
- A client written by hand that sends its first message without waiting for the connection to open.
- A proxy that forwards what it has buffered.

## How to tell them apart
- It comes from every client library in the field: a proxy.
- From one client only: its code.

## What to do
Send the first frame from the open event (or after the connect call returned). A pipelined HTTP request looks the same and is no better
here.

## References
RFC 6455, section 4.1.
",
    checks: &[Check::Session(check)],
};

/// `data.told_by`, where the client's data doesn't acknowledge the 101: no time is relied on.
pub(in crate::diagnosis) const BY_ACKNOWLEDGMENT: &str = "acknowledgment";

fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let session = case.session;
    let handshake = &session.handshake;
    let (Some(early), Some(response)) = (handshake.early_data, &handshake.response) else {
        return;
    };
    let (at, len) = (early.at, early.len);
    let (confidence, told_by) = match early.proven {
        true => (Confidence::Certain, BY_ACKNOWLEDGMENT),
        false => (unless_unpaired(session), "time"),
    };
    // A body that the request announces is another breach.
    if handshake
        .request_breaches
        .iter()
        .any(|breach| breach.kind == "request-body")
    {
        return;
    }
    let before = response.first.time.saturating_since(at.time);
    let summary =
        format!("the client sent {len} bytes before the 101 that it should have waited for");
    let data = Evidence::new(at, "data, client to server");
    findings.push(
        Finding::new(&RULE, session, confidence, data, summary)
            .evidence(response.first, "the 101")
            .data("bytes", Value::Count(len))
            .data("early_ms", Value::Ms(before))
            .data("told_by", Value::Text(told_by.to_owned()))
            .cause(Confidence::Likely, "the client doesn't wait for the connection to open before it sends")
            .advice("send the first message from the client's open event: servers and proxies may lose what comes before"),
    );
}

#[cfg(test)]
mod tests {
    use crate::diagnosis::Value;
    use crate::script::{Script, frame};
    use crate::stream::Direction::ClientToServer;

    #[test]
    fn a_frame_before_the_101_is_too_early() {
        let early = frame(0x81, b"too early", true);
        let told = Script::new()
            .handshake()
            .request("")
            .bytes(ClientToServer, &early)
            .accept("")
            .told();
        let finding = told.only("hs-data-before-101");
        assert_eq!(finding.evidence.first().map(|e| e.at.number), Some(6));
        assert!(
            finding
                .data
                .contains(&("bytes", Value::Count(early.len() as u64)))
        );
    }

    #[test]
    fn what_does_not_acknowledge_the_101_is_early_whatever_the_clock_did() {
        let told = |between: f64| {
            Script::new()
                .handshake()
                .request("")
                .bytes(ClientToServer, &frame(0x81, b"early", true))
                .wait_s(between)
                .accept("")
                .told()
        };
        let confidence = |between| told(between).only("hs-data-before-101").confidence.name();
        assert_eq!((confidence(-5.0), confidence(0.0)), ("certain", "certain"));
    }

    #[test]
    fn what_acknowledges_the_101_is_not_early_though_the_capture_has_it_first() {
        let told = Script::new()
            .handshake()
            .request("")
            .stamped_backwards(|s| s.accept("").text(ClientToServer, "after the 101"))
            .told();
        assert!(told.of("hs-data-before-101").is_empty());
        assert_eq!(told.sessions[0].messages.client.count, 1);
    }

    #[test]
    fn a_frame_after_it_is_not() {
        let told = Script::new().upgrade().text(ClientToServer, "hi").told();
        assert!(told.of("hs-data-before-101").is_empty());
    }
}
