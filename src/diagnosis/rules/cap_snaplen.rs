//! `cap-snaplen`: the snap length cut payload off.

use crate::diagnosis::{Check, Confidence, Evidence, Finding, Overview, Rule, Severity, Value};
use crate::stream::GapCause;

pub(super) static RULE: Rule = Rule {
    id: "cap-snaplen",
    severity: Severity::Warn,
    summary: "the snap length cut payload off packets",
    explain: "\
## What it means
The capture holds only the first bytes of these packets. Frame headers that lie behind the cut can't be read, nor can compressed messages;
messages are reported as incomplete. Lengths, times and TCP's side are right.

## What usually causes it
`tcpdump -s N` or a capture tool whose default is short.

## How to tell them apart
`data.packets` packets were cut; if it is only a few, large ones were meant to be shortened.

## What to do
Capture with `-s 0`.

## References
pcap: snap length.
",
    checks: &[Check::Capture(check)],
};

fn check(overview: &Overview<'_>, findings: &mut Vec<Finding>) {
    let capture = overview.capture;
    if capture.cut == 0 {
        return;
    }
    let bytes = capture
        .gaps
        .iter()
        .find(|total| total.cause == GapCause::SnapLength)
        .map_or(0, |total| total.bytes);
    let (cut, all) = (capture.cut, capture.tcp_segments);
    let mut finding = Finding::of_capture(
        &RULE,
        Confidence::Certain,
        format!("{cut} of {all} TCP packets were cut by the snap length: of {bytes} bytes of followed connections only the number is known"),
    )
    .data("packets", Value::Count(cut))
    .data("bytes", Value::Count(bytes))
    .advice("capture with -s 0; what lies behind the cut is unknown");
    if let Some((at, stream)) = capture.first_cut {
        finding
            .evidence
            .push(Evidence::new(at, "the first packet that was cut"));
        finding.tcp_stream = Some(stream);
    }
    findings.push(finding);
}

#[cfg(test)]
mod tests {
    use crate::script::{Script, frame};
    use crate::stream::Direction::ServerToClient;

    #[test]
    fn a_cut_packet_is_found() {
        let told = Script::new()
            .upgrade()
            .cut(ServerToClient, &frame(0x82, &[0; 100], false), 50)
            .told();
        assert_eq!(
            told.only("cap-snaplen")
                .evidence
                .first()
                .map(|e| e.at.number),
            Some(8)
        );
    }

    #[test]
    fn whole_packets_are_silent() {
        let told = Script::new().upgrade().text(ServerToClient, "hi").told();
        assert!(told.of("cap-snaplen").is_empty());
    }
}
